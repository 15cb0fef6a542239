"""The details of an entry of the audit log, in words."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from invoices.models import AuditEntry, Role
from invoices.models.tokens import Scope

LABELS = {
    "arrived": _("on the platform"),
    "asked_by": _("asked by"),
    "changed": _("fields"),
    "count": _("number of invoices"),
    "factor": _("second factor"),
    "role": _("role"),
    "rules": _("rules"),
    "scopes": _("scopes"),
}
# Codes of details that have a word: roles of people, scopes of tokens.
WORDS = {**dict(Role.choices), **dict(Scope.choices), "+": _("added"), "-": _("deleted")}


def detail_words(entry: AuditEntry) -> str:
    return " ; ".join(f"{LABELS.get(name, name)} {_shown(value)}" for name, value in entry.details.items())


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(before)} → {_shown(after)}" for name, (before, after) in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return str(WORDS.get(value, value)) if isinstance(value, str) else _plain(value)


def _plain(value: Any) -> str:
    return "–" if value is None else str(value)
