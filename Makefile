# One command each; every one makes .venv first where it is missing or its locked packages have changed.
PYTHON ?= python3
BIN := .venv/bin
APPS := einvoice_project invoices lifecycle providers
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

.PHONY: run test simulate soak fuzz check fix lock help

help:
	@echo "make run    start the whole demo: database, sandbox platform, web server, worker"
	@echo "make test   run all tests"
	@echo "make simulate  play HISTORIES (10,000) of made-up accidents from SEED on, in simulated time"
	@echo "make fuzz   spoil samples at random, SECONDS (600) for each PARSER, from SEED on"
	@echo "make soak   two minutes of all platforms at once, misbehaving, with processes killed"
	@echo "make check  format, lint, types, migrations, translations, environment reference"
	@echo "make fix    format and repair what can be repaired"
	@echo "make lock   pin the newest versions pyproject.toml allows"

run: export NAVETTE_DEMO = 1
run: .venv/installed
	@exec $(BIN)/python manage.py demo

# A history of the simulator follows from its seed and from this one.
test simulate: export PYTHONHASHSEED = 0
test: .venv/installed
	@exec $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

simulate: export HISTORIES ?= 10000
simulate: .venv/installed
	@exec $(BIN)/python -m pytest tests/simulation/test_simulation.py -k search -s

soak: export SOAK_SECONDS ?= 120
soak: .venv/installed
	@exec $(BIN)/python -m pytest tests/test_soak.py

fuzz: export DJANGO_SETTINGS_MODULE = tests.settings
fuzz: .venv/installed
	@exec $(BIN)/python -m tests.hostile.fuzz $(PARSER)

check: export NAVETTE_DEMO = 1
check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m einvoice_project.translations --check
	$(BIN)/python -m einvoice_project.environment | diff docs/environment.md -

fix: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python -m einvoice_project.translations
	$(BIN)/python -m einvoice_project.environment > docs/environment.md
	$(BIN)/python -m tests.house

# The others take their versions from production.txt, so that what is tested is what runs.
lock: .venv/installed
	$(COMPILE) --upgrade -o requirements/production.txt pyproject.toml
	$(COMPILE) --upgrade -c requirements/production.txt --extra demo --extra dev -o requirements/dev.txt pyproject.toml
	$(COMPILE) --upgrade -c requirements/production.txt --extra redis -o requirements/redis.txt pyproject.toml
	$(COMPILE) --upgrade -c requirements/production.txt --extra s3 -o requirements/s3.txt pyproject.toml

.venv/installed: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Navette needs Python 3.11 or newer; $$($(PYTHON) --version) was found. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
		{ echo "Python's venv module is missing (Debian, Ubuntu: apt install python3-venv)."; rm -rf .venv; exit 1; }
	@echo "Installing the packages of requirements/dev.txt into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
