"""The shape of the project: imports point down, and there is no drawer for everything."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from django.conf import settings

BASE = Path(settings.BASE_DIR)
APPS = ("einvoice_project", "invoices", "lifecycle", "providers")
# Everybody may use the official vocabulary.
LEAF = "lifecycle.codes"
FORBIDDEN = [
    ("providers", ("invoices", "lifecycle")),
    ("invoices", ("lifecycle",)),
    # The sandbox shares no code with the adapters it talks to.
    ("providers/sandbox", ("django.db", "invoices", "providers", "lifecycle")),
]
LONGEST_FILE = 500
# Used where production does not come (the sandbox, the embedded database, the compiler of translations), or only with
# requirements/s3.txt.
NOT_IN_PRODUCTION = {"botocore", "polib", "psutil", "storages", "werkzeug"}


def sources(folder: str) -> list[Path]:
    return sorted(path for path in (BASE / folder).rglob("*.py") if "migrations" not in path.parts)


def imported_modules(path: Path) -> Iterator[str]:
    """Dotted names, absolute: `from lifecycle import codes` gives `lifecycle.codes`."""
    package = path.relative_to(BASE).parent.parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def is_inside(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


@pytest.mark.parametrize(("folder", "above"), FORBIDDEN, ids=[folder for folder, _above in FORBIDDEN])
def test_imports_point_down(folder: str, above: tuple[str, ...]) -> None:
    own = folder.replace("/", ".")
    upward = [
        f"{path.relative_to(BASE)} imports {module}"
        for path in sources(folder)
        for module in imported_modules(path)
        if any(is_inside(module, package) for package in above)
        and not is_inside(module, LEAF)
        and not is_inside(module, own)
    ]
    assert upward == []


def test_vocabulary_is_a_leaf() -> None:
    """Statuses, and the table of their reasons that it reads."""
    modules = [*imported_modules(BASE / "lifecycle" / "codes.py"), *imported_modules(BASE / "lifecycle" / "reasons.py")]
    ours = [module for module in modules if module.split(".")[0] in APPS]
    assert [module for module in ours if not is_inside(module, "lifecycle.reasons")] == []


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"core", "common", "utils", "util", "helpers", "misc"}
    paths = [path for app in APPS for path in (BASE / app).rglob("*")]
    assert [str(path) for path in paths if path.stem in drawers] == []


def test_files_stay_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for app in (*APPS, "tests") for path in sources(app)}
    assert {str(path): length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_every_imported_package_is_locked_for_production() -> None:
    locked = set(
        re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==", (BASE / "requirements/production.txt").read_text(), re.MULTILINE)
    )
    origins = packages_distributions()
    imported = {module.split(".")[0] for app in APPS for path in sources(app) for module in imported_modules(path)} - {
        *sys.stdlib_module_names,
        *APPS,
        *NOT_IN_PRODUCTION,
    }
    missing = {
        name for name in imported if not locked & {re.sub(r"[._]", "-", part.lower()) for part in origins.get(name, [])}
    }
    # Types only, never imported when running.
    assert missing - {"django_stubs_ext"} == set()


# --- the way out ------------------------------------------------------------------------------------------------------

# Calls to platforms go through the guarded client of `registry`; the sandbox and the demo only speak to themselves.
CALLS_OUT = {"providers/registry.py", "lifecycle/management/commands/demo.py"}
CLIENTS = {"requests", "urllib.request", "urllib3", "http.client", "aiohttp", "ftplib", "smtplib", "telnetlib"}
OPENING = {"Client", "AsyncClient", "HTTPTransport", "get", "post", "put", "patch", "delete", "request", "stream"}


def _ways_out(path: Path) -> Iterator[str]:
    yield from CLIENTS & set(imported_modules(path))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = ast.unparse(node.func)
            if (name.startswith("httpx.") and node.func.attr in OPENING) or name == "socket.create_connection":
                yield name


def test_platforms_are_called_through_the_guarded_client_alone() -> None:
    found = {str(path.relative_to(BASE)) for app in APPS for path in sources(app) if [*_ways_out(path)]}
    assert {path for path in found if not path.startswith("providers/sandbox/")} == CALLS_OUT
