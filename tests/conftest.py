"""What all tests share: the database's set-up and address, the official tables, the system's browser."""

import os
import shutil
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
from django.conf import settings
from django.core.files.storage import InMemoryStorage
from django.db import connection
from django.utils import timezone, translation

from providers.connections import nudge, services

# How long an example takes is the machine's business, not the property's.
hypothesis.settings.register_profile("navette", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("navette")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    """One database per worker of a parallel run."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    # Transactional tests clean up by TRUNCATE, which the history refuses everywhere else.
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE lifecycle_statusevent DISABLE TRIGGER status_events_are_not_truncated")
        cursor.execute("ALTER TABLE invoices_auditentry DISABLE TRIGGER audit_entries_are_not_truncated")
        cursor.execute("ALTER TABLE lifecycle_relayattempt DISABLE TRIGGER relay_attempts_are_not_truncated")


@pytest.fixture(autouse=True)
def _fresh_process_memory():
    """What a process keeps between requests must not travel between tests."""
    services.forget_hooks()
    nudge._last.clear()
    nudge._due.clear()
    yield
    # A request leaves the language of its reader and the time zone in its thread.
    translation.deactivate()
    timezone.deactivate()


@pytest.fixture(autouse=True)
def _own_anchors(monkeypatch):
    """The anchors of one test speak of no other's history."""
    monkeypatch.setattr("lifecycle.history.anchors.default_storage", InMemoryStorage())


def pytest_runtest_teardown():
    """A nudge that still waits would write while the database is emptied."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()
            thread.join()


@pytest.fixture(scope="session")
def norm() -> Path:
    """The folder of the official tables and examples, which only our own machines have."""
    folder = Path(settings.BASE_DIR).parent / "shared" / "norm"
    if not folder.is_dir():
        pytest.skip("the official tables (../shared/norm) are not on this machine")
    return folder


@pytest.fixture
def database_url(transactional_db: None) -> str:
    """The test database as DATABASE_URL for a child process; its rows are committed, so the child sees them."""
    database = settings.DATABASES["default"]
    user, password = quote(database["USER"]), quote(database.get("PASSWORD") or "")
    host, port = database.get("HOST") or "", database.get("PORT") or ""
    if host.startswith("/"):
        return f"postgres://{user}:{password}@/{database['NAME']}?host={quote(host, safe='')}"
    return f"postgres://{user}:{password}@{host}:{port or 5432}/{database['NAME']}"


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium on this machine")
    # Chromium's own sandbox refuses to run as root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {**browser_type_launch_args, "executable_path": program, "args": arguments}
