"""Migrates as Django does, and gives way to whoever is served meanwhile."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.migrations import Migration
from psycopg.errors import LockNotAvailable

# Short, because every page that needs the table queues behind whoever waits to change it; then the pages get a turn.
LOCK_TIMEOUT = "5s"
LOCK_DELAYS = (1, 2, 5, 10, 20, 30)
# What pages may take (settings) is too little to rewrite a large table or to build an index of it.
UNLIMITED = ("statement_timeout", "idle_in_transaction_session_timeout")


class Command(migrate.Command):
    help = f"{migrate.Command.help} Takes as long as it must, and waits for a lock in several short tries."

    def handle(self, *args: Any, **options: Any) -> None:
        self.database = connections[options["database"]]
        self.set(**dict.fromkeys(UNLIMITED, "0"), lock_timeout=LOCK_TIMEOUT)
        try:
            self.migrate_when_free(*args, **options)
        finally:
            self.reset(*UNLIMITED, "lock_timeout")

    def migrate_when_free(self, *args: Any, **options: Any) -> None:
        for delay in (*LOCK_DELAYS, None):
            try:
                super().handle(*args, **options)
                return
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                if delay is None:
                    raise CommandError(
                        f"A table that has to be changed is in use ({str(error).strip()}). The migrations named OK "
                        "above are done, nothing of the next one is. End what runs long (pg_stat_activity shows it) or "
                        "stop the workers, and run migrate again."
                    ) from error
                self.stderr.write(f"A table is in use: tried again in {delay} s.")
                time.sleep(delay)

    def migration_progress_callback(self, action: str, migration: Migration | None = None, fake: bool = False) -> None:
        """What is not atomic cannot be begun again, and was written so that nobody waits for it: it waits itself."""
        if action == "apply_start" and migration is not None:
            self.set(lock_timeout=LOCK_TIMEOUT if migration.atomic else "0")
        super().migration_progress_callback(action, migration, fake)

    def set(self, **values: str) -> None:
        with self.database.cursor() as cursor:
            for name, value in values.items():
                cursor.execute("SELECT set_config(%s, %s, false)", [name, value])

    def reset(self, *names: str) -> None:
        """A database that went away meanwhile has nothing to be reset, and its error is the one to be told."""
        if self.database.is_usable():
            with self.database.cursor() as cursor:
                for name in names:
                    cursor.execute(f"RESET {name}")
