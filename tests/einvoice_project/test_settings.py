"""The settings as a production machine loads them: in a process of its own, with nothing but its variables."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import settings

PRODUCTION = {
    "SECRET_KEY": "k9!" * 20 + "abcdefghij",
    "SECRETS_KEYS": Fernet.generate_key().decode(),
    "PUBLIC_URL": "https://navette.example.com",
    "DATABASE_URL": "postgres://navette:geheim@db.example.com:5432/navette?sslmode=verify-full",
}


def python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "einvoice_project.settings", **variables}
    return subprocess.run(
        [sys.executable, *arguments], cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True
    )


def values(*names: str, **variables: str) -> dict[str, Any]:
    code = "import json, django; from django.conf import settings as s; django.setup(); "
    code += f"print(json.dumps({{name: getattr(s, name) for name in {names!r}}}, default=repr))"
    done = python("-c", code, **variables)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_production_settings_pass_the_deployment_check() -> None:
    done = python("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert (done.returncode, done.stdout) == (0, "System check identified no issues (0 silenced).\n")


def test_plain_database_on_another_host_stops_every_command() -> None:
    done = python("manage.py", "check", **PRODUCTION | {"DATABASE_URL": "postgres://navette@db.example.com/navette"})
    assert (done.returncode, "(navette.E001) The database on db.example.com" in done.stderr) == (1, True)


@pytest.mark.parametrize("name", ["SECRET_KEY", "SECRETS_KEYS", "PUBLIC_URL"])
def test_missing_variable_stops_with_one_sentence(name: str) -> None:
    done = python("manage.py", "check", **{key: value for key, value in PRODUCTION.items() if key != name})
    assert done.returncode == 1
    assert done.stderr == (
        f"Navette is not set up: {name} is not set: give it, or {name}_FILE. See docs/environment.md.\n"
    )


def test_secure_address_gives_secure_cookies_and_redirect() -> None:
    names = ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS")
    assert list(values(*names, **PRODUCTION).values()) == [True, True, True, 31536000]


def test_address_with_a_path_keeps_its_origin_for_forms() -> None:
    found = values("CSRF_TRUSTED_ORIGINS", **PRODUCTION | {"PUBLIC_URL": "https://example.com:8443/navette/"})
    assert found == {"CSRF_TRUSTED_ORIGINS": ["https://example.com:8443"]}


def test_demo_keeps_the_keys_it_made_for_their_owner_only(tmp_path: Path) -> None:
    demo = {"NAVETTE_DEMO": "1", "DATA_DIR": str(tmp_path / "var")}
    first = values("SECRET_KEY", "SECRETS_KEYS", "PUBLIC_URL", **demo)
    assert values("SECRET_KEY", "SECRETS_KEYS", "PUBLIC_URL", **demo) == first
    files = sorted((tmp_path / "var").iterdir())
    assert [(file.name, oct(file.stat().st_mode & 0o777)) for file in files] == [
        ("secret_key", "0o600"),
        ("secrets_keys", "0o600"),
    ]


def test_queue_outlasts_its_tasks() -> None:
    queue = values("Q_CLUSTER", **PRODUCTION | {"WORKERS": "4"})["Q_CLUSTER"]
    assert queue["queue_limit"] == 8
    assert queue["retry"] > queue["timeout"] * (1 + queue["queue_limit"] / queue["workers"])
    assert queue["orm"] == "default"


def test_redis_address_moves_nudges_and_cache() -> None:
    found = values("Q_CLUSTER", "CACHES", **PRODUCTION | {"REDIS_URL": "redis://cache:6379/1"})
    assert found["Q_CLUSTER"]["redis"] == "redis://cache:6379/1"
    assert "orm" not in found["Q_CLUSTER"]
    assert found["CACHES"]["default"]["LOCATION"] == "redis://cache:6379/1"
