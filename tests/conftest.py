import pytest
from django.db import connection

from providers import nudge, services


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    """One database per worker of a parallel run."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    # Transactional tests clean up by TRUNCATE, which the history refuses everywhere else.
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE lifecycle_statusevent DISABLE TRIGGER status_events_are_not_truncated")


@pytest.fixture(autouse=True)
def _fresh_process_memory():
    """What a process keeps between requests must not travel between tests."""
    services.forget_hooks()
    nudge._last.clear()
