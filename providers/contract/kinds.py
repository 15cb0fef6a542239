"""The one list of platforms."""

from __future__ import annotations

from functools import cache

from django.utils.module_loading import import_string

from . import base

ADAPTERS = {
    "acube": "providers.acube.adapter.ACube",
    "seqino": "providers.seqino.adapter.Seqino",
    "billit": "providers.billit.adapter.Billit",
    "cegid": "providers.cegid.adapter.Cegid",
    "cegid_od": "providers.cegid_od.adapter.CegidOD",
    "afnor": "providers.afnor.adapter.Afnor",
}


class UnknownKind(Exception):
    """No adapter speaks this kind."""


@cache
def adapter_class(kind: str) -> type[base.Adapter]:
    if kind not in ADAPTERS:
        raise UnknownKind(f"No platform of kind “{kind}”. Known kinds: {', '.join(sorted(ADAPTERS))}.")
    return import_string(ADAPTERS[kind])


def find_adapter_class(kind: str) -> type[base.Adapter] | None:
    return adapter_class(kind) if kind in ADAPTERS else None
