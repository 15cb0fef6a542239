"""Who reaches what: every address of ours, asked by everybody about rows of every owner.

The addresses come from the URL configuration, what is expected from `matrix.tables`. Two customers share a connection,
and one of them has another for itself.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver

from lifecycle.models import RelayState, RelayTask
from tests import fake_provider
from tests.matrix.rules import HIDDEN, IN, LOGIN, PEOPLE, REFUSED
from tests.matrix.tables import ANYTHING, BODIES, MODELS, OTHER_PARTS, RELAY_STATES, TABLE, TOLD_IN_WORDS, asked_by
from tests.matrix.world import World, make_world

pytestmark = pytest.mark.django_db

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
OUTCOMES = {401: LOGIN, 403: REFUSED, 404: HIDDEN, 410: HIDDEN}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Any) -> World:
    fake_provider.register(monkeypatch)
    settings.MEDIA_ROOT = tmp_path
    settings.API_CALLS_PER_MINUTE = settings.EXPORTS_PER_MINUTE = settings.PREVIEWS_PER_MINUTE = 10_000
    return make_world()


# --- addresses --------------------------------------------------------------------------------------------------------


def patterns(resolver: URLResolver, route: str = "", space: str = "") -> Iterator[tuple[str, str]]:
    """Each address's name, or its route where it has none, and its route."""
    for each in resolver.url_patterns:
        whole = route + str(each.pattern).removeprefix("^")
        if isinstance(each, URLResolver):
            yield from patterns(each, whole, f"{space}{each.namespace}:" if each.namespace else space)
        else:
            yield (f"{space}{each.name}" if each.name else whole), whole


ROUTES = dict(patterns(get_resolver()))
PART = re.compile(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^/]*?\)(?=[/$-])|\$")


def addresses(name: str, world: World) -> dict[str, str]:
    """By place; by "" where no row is named."""
    needed = {found[1] or found[2] for found in PART.finditer(ROUTES[name])} - {None}
    if needed <= set(ANYTHING):
        return {"": write(name, ANYTHING)}
    known = {place: ANYTHING | own_parts(name, parts) for place, parts in world.parts.items()}
    return {place: write(name, parts) for place, parts in known.items() if needed <= set(parts)}


def write(name: str, parts: dict[str, Any]) -> str:
    return "/" + PART.sub(lambda found: str(parts.get(found[1] or found[2], "")), ROUTES[name])


def own_parts(name: str, parts: dict[str, Any]) -> dict[str, Any]:
    """For the admin the row of its model."""
    model = next((model for model in MODELS if model in name.replace("/", "_")), "")
    more = {"object_id": parts[model]} if model in parts else {}
    if name == "lifecycle:follow" and "issued_id" in parts:
        more = {"invoice_id": parts["issued_id"]}
    return {**parts, **OTHER_PARTS.get(name, {}), **more}


# --- asking -----------------------------------------------------------------------------------------------------------


class Rollback(Exception):
    pass


def ask(client: Client, method: str, address: str, **options: Any) -> tuple[str, str]:
    """What is heard and read. Nothing stays of it."""
    cookies = client.cookies.copy()
    try:
        with transaction.atomic():
            response = client.generic(method, address, **options)
            heard, read = outcome(response), content_of(response)
            raise Rollback
    except Rollback:
        client.cookies = cookies
    return heard, read


def outcome(response: Any) -> str:
    place = response.headers.get("Location", "") or response.headers.get("HX-Redirect", "")
    if place.startswith(("/accounts/login/", "/admin/login/")):
        return LOGIN
    if place == "/admin/":  # the admin's way of knowing no such row
        return HIDDEN
    if '"tone": "bad"' in response.headers.get("HX-Trigger", ""):
        return REFUSED
    return OUTCOMES.get(response.status_code, IN if response.status_code < 500 else str(response.status_code))


def content_of(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = b"\n".join(archive.read(name) for name in archive.namelist())
    return f"{content.decode(errors='replace')} {response.headers}"


FORM = "application/x-www-form-urlencoded"


def options(name: str, method: str, world: World, who: str) -> dict[str, Any]:
    """A body that would change something, and whoever asks in the header where software asks."""
    body = BODIES.get(name, {}) if method != "GET" else {}
    if name.startswith("api:"):
        return {"data": json.dumps(body), "content_type": "application/json", "headers": world.tokens[who]}
    return {
        "data": urlencode(body),
        "content_type": FORM,
        "headers": {"HX-Request": "true"} if name in TOLD_IN_WORDS else {},
    }


def questions(world: World) -> Iterator[tuple[str, str, str, str]]:
    """Name, place, method, address."""
    for name, answers in TABLE.items():
        RelayTask.objects.update(state=RELAY_STATES.get(name, RelayState.FAILED))
        for place, address in addresses(name, world).items():
            for method in answers:
                yield name, place, method, address


def test_every_address_has_a_row() -> None:
    assert (set(ROUTES) - set(TABLE), set(TABLE) - set(ROUTES)) == (set(), set())


def test_everybody_hears_what_the_table_says_and_reads_nothing_of_others(world: World) -> None:
    wrong, leaked, read_by = [], [], Counter()
    for name, place, method, address in questions(world):
        for who in asked_by(name, place):
            heard, read = ask(world.clients[who], method, address, **options(name, method, world, who))
            wanted = TABLE[name][method](PEOPLE[who], place)
            if heard != wanted:
                wrong.append(f"{method} {name} of {place or 'all'}: {who} hears {heard}, not {wanted}")
            for mark, may_read in world.marks.items():
                if mark in read and name != "invoices:file":
                    read_by[mark] += 1
                    leaked += [] if may_read(PEOPLE[who]) else [f"{name} of {place or 'all'}: {who} reads {mark}"]
    assert "\n".join([*wrong, *leaked]) == ""
    assert {mark for mark in world.marks if not read_by[mark]} == set(world.secrets)
