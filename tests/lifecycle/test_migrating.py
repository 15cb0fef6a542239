"""What `manage.py migrate` asks of the database: all the time it needs, and locks only for moments."""

from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.db.models.signals import pre_migrate

from lifecycle.management.commands import migrate

pytestmark = pytest.mark.django_db(transaction=True)

LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout")


def limits():
    with database.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in LIMITS))
        return cursor.fetchone()


@pytest.fixture
def in_use():
    """Somebody reads the list of migrations, for long."""
    with psycopg.connect(**database.get_connection_params()) as other:
        other.execute("LOCK TABLE django_migrations IN ACCESS EXCLUSIVE MODE")
        yield other


@pytest.fixture
def seen():
    found = []

    def look(**of_app):
        found.append(limits())

    pre_migrate.connect(look)
    yield found
    pre_migrate.disconnect(look)


def test_migrations_have_no_time_limit_and_pages_have_theirs_again(seen):
    before = limits()

    call_command("migrate", verbosity=0)

    assert set(seen) == {("0", "0", "5s")}
    assert limits() == before == ("1min", "1min", "20s")


def test_table_in_use_is_waited_for_in_short_tries(in_use, monkeypatch):
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "20ms")
    monkeypatch.setattr(migrate, "LOCK_DELAYS", (0, 0))
    told = StringIO()

    with pytest.raises(CommandError, match="run migrate again"):
        call_command("migrate", verbosity=0, stderr=told)

    assert told.getvalue().splitlines() == ["A table is in use: tried again in 0 s."] * 2


def test_table_that_comes_free_is_migrated(in_use, monkeypatch, seen):
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "20ms")
    monkeypatch.setattr(migrate, "LOCK_DELAYS", (0,))

    call_command("migrate", verbosity=0, stderr=Freeing(in_use))

    assert set(seen) == {("0", "0", "20ms")}


def test_what_cannot_be_begun_again_waits_as_long_as_it_must():
    command = migrate.Command(stdout=StringIO())
    command.database, command.verbosity = database, 0
    try:
        command.migration_progress_callback("apply_start", Steps(atomic=False))
        assert limits()[-1] == "0"
        command.migration_progress_callback("apply_start", Steps(atomic=True))
        assert limits()[-1] == "5s"
    finally:
        command.reset("lock_timeout")


class Freeing(StringIO):
    """Whoever had the table lets it go once the first try is told."""

    def __init__(self, other):
        super().__init__()
        self.other = other

    def write(self, words):
        self.other.rollback()
        return super().write(words)


class Steps:
    def __init__(self, atomic):
        self.atomic = atomic
