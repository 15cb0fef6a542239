from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.core.management.base import BaseCommand
from django.db import models, transaction
from django.db.models import Value
from django.db.models.functions import Cast

from providers.connections.sealing import SealBroken, SealedField, reseal
from providers.connections.services import forget_hooks

SEEDS = ("secret", "seed")
Column = tuple[type[models.Model], SealedField]


class Command(BaseCommand):
    help = (
        "Seals every stored secret anew under the newest key, the first of SECRETS_KEYS. Put a new key in front, "
        "restart all processes, run this, then take the old key away. "
        "Exit code 1 if a secret cannot be opened with any key."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--batch", type=int, default=200, help="rows locked and written in one transaction (default: %(default)s)"
        )

    def handle(self, *args: Any, batch: int, verbosity: int, **options: Any) -> None:
        self.broken = 0
        for model, field in sealed_columns():
            done = self.rotate_column(model, field, max(batch, 1))
            if verbosity:
                self.stdout.write(f"{model._meta.label}.{field.name}: {done} sealed anew")
        self.rotate_seeds()
        forget_hooks()
        if self.broken:
            self.stderr.write(f"{self.broken} left as they were: keep the old keys, or enter these secrets anew.")
            sys.exit(1)

    def rotate_column(self, model: type[models.Model], field: SealedField, batch: int) -> int:
        """By primary key, so that memory and locks stay small whatever the table's size."""
        done, last = 0, None
        while True:
            with transaction.atomic():
                rows = locked_rows(model, field, last, batch)
                done += sum(self.rotate_row(model, field, key, sealed) for key, sealed in rows)
            if len(rows) < batch:
                return done
            last = rows[-1][0]

    def rotate_seeds(self) -> None:
        """The seeds of one-time and recovery codes, which allauth keeps inside JSON."""
        for key in Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN).values_list("pk", flat=True):
            with transaction.atomic():
                row = Authenticator.objects.select_for_update().get(pk=key)
                try:
                    row.data |= {name: reseal(row.data[name]) for name in SEEDS if name in row.data}
                except SealBroken as error:
                    self.broken += 1
                    self.stderr.write(f"Second factor {key}: {error}")
                else:
                    row.save(update_fields=["data"])

    def rotate_row(self, model: type[models.Model], field: SealedField, key: Any, sealed: str) -> bool:
        try:
            anew = reseal(sealed)
        except SealBroken as error:
            self.broken += 1
            self.stderr.write(f"{model._meta.label} {key}, {field.name}: {error}")
            return False
        # As plain text: the field would seal the sealed once more.
        model._default_manager.filter(pk=key).update(**{field.name: Value(anew, output_field=models.TextField())})
        return True


def sealed_columns() -> Iterator[Column]:
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if isinstance(field, SealedField):
                yield model, field


def locked_rows(model: type[models.Model], field: SealedField, last: Any, batch: int) -> list[tuple[Any, str]]:
    raw = model._default_manager.annotate(sealed_text=Cast(field.name, models.TextField())).exclude(sealed_text="")
    rows = raw.filter(pk__gt=last) if last is not None else raw
    return list(rows.order_by("pk").select_for_update().values_list("pk", "sealed_text")[:batch])
