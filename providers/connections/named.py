"""The argument `--connection NAME`, shared by the commands that talk to platforms."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import CommandError
from django.db.models import QuerySet

from providers.models import Connection


def add_connection_argument(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--connection",
        action="append",
        metavar="NAME",
        default=[],
        help="only this connection, even if it is paused; may be repeated (default: every active one)",
    )


def chosen_connections(names: list[str]) -> QuerySet[Connection]:
    """The named connections, or all active ones."""
    connections = Connection.objects.order_by("name")
    if not names:
        return connections.filter(state=Connection.State.ACTIVE)
    unknown = sorted(set(names) - set(connections.values_list("name", flat=True)))
    if unknown:
        raise CommandError(f"No connection is named {', '.join(unknown)}.")
    return connections.filter(name__in=names)
