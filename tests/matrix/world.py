"""One of everything in every place, and everybody's door to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.models import Authenticator
from django.test import Client

from invoices.models import AccountChange, ApiToken, Comment, InvoiceDraft, Membership, PolicyChange
from invoices.people.staff import match_memberships
from invoices.register import files
from invoices.register import services as invoices
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from providers.connections.services import open_hook
from providers.contract.base import File
from providers.models import RefusedRequest
from tests.factories import (
    make_connection,
    make_customer,
    make_delivery,
    make_event,
    make_invoice,
    make_line,
    make_token,
    make_user,
)
from tests.invoices.odd_files import UBL

from .rules import ADMINISTRATOR, CLERK, CUSTOMERS, PEOPLE, PLACES, RANKS, READER, SUPERUSER, Person


@dataclass
class World:
    """`parts`: by place and part of an address, or by model. `marks`: words that only some may ever read."""

    parts: dict[str, dict[str, Any]] = field(default_factory=lambda: {place: {} for place in PLACES})
    marks: dict[str, Callable[[Person], bool]] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    users: dict[str, Any] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)
    tokens: dict[str, dict[str, str]] = field(default_factory=dict)

    def mark(self, text: str, place: str, rank: int) -> str:
        self.marks[text] = lambda person: person.rank(place) >= rank
        return text


def make_world() -> World:
    world = World()
    for name, person in PEOPLE.items():
        if not person.is_anonymous:
            world.users[name] = _user(name, person)
    shared, own = _connection(world, "shared"), _connection(world, "own")
    make_line(make_customer(CUSTOMERS["A"]), own)
    for place in CUSTOMERS:
        _rows(world, place, shared)
    for name in PEOPLE:
        world.clients[name] = client_of(world.users.get(name))
        world.tokens[name] = token_of(world.users.get(name))
    return world


def _user(name: str, person: Person) -> Any:
    is_superuser = person.rank() == SUPERUSER
    user = make_user(
        username=name.replace(" ", "-").replace(",", ""), is_staff=person.is_staff, is_superuser=is_superuser
    )
    for siren, rank in zip(CUSTOMERS.values(), person.ranks, strict=True):
        if rank and not is_superuser:
            Membership.objects.create(user=user, customer=make_customer(siren), role=RANKS[rank])
    match_memberships(user)
    return user


def client_of(user: Any) -> Client:
    client = Client(raise_request_exception=False)
    if user:
        client.force_login(user)
    return client


def token_of(user: Any) -> dict[str, str]:
    return {"Authorization": f"Token {make_token(user)}"} if user else {}


def _connection(world: World, place: str) -> Any:
    secret, path = f"secret-of-{place}", f"path-of-{place}"
    world.marks[secret] = lambda person: False
    world.mark(path, place, ADMINISTRATOR)  # to see; only superusers change it
    world.secrets.append(secret)
    settings = {"api_url": f"https://p.example.test/{path}"}
    connection = make_connection(name=f"at-{place.lower()}", secrets={"password": secret}, settings=settings)
    refused = RefusedRequest.objects.create(
        connection=connection, status_code=401, reason=world.mark(f"refused-at-{place}", place, ADMINISTRATOR)
    )
    world.parts[place] |= {
        "connection_id": connection.pk, "name": connection.name, "kind": "credit-note",
        "providers_connection": connection.pk, "providers_refusedrequest": refused.pk,
    }  # fmt: skip
    _pushes(world, place, connection, "")
    return connection


def _pushes(world: World, place: str, connection: Any, line: str) -> None:
    hook, _new = open_hook(connection=connection, line_identifier=line)
    world.mark(hook.token, place, ADMINISTRATOR)
    told = world.mark(f"told-to-{line or place}", place, ADMINISTRATOR)
    delivery = make_delivery(connection, key=told, line_identifier=line)
    type(delivery).objects.filter(pk=delivery.pk).update(body=f'{{"told": "{told}"}}'.encode())
    world.parts[place] |= {"delivery_id": delivery.pk, "providers_webhookdelivery": delivery.pk}


def _rows(world: World, place: str, connection: Any) -> None:
    """An invoice with all that hangs on it, and the people of its customer."""
    customer, boss = make_customer(CUSTOMERS[place]), world.users[f"administrator of {place}"]
    line = make_line(customer, connection, world.mark(f"{customer.siren}_LINE{place}", place, READER))
    _pushes(world, place, connection, line.identifier)
    number = world.mark(f"NUMBER-{place}", place, READER)
    invoice = make_invoice(customer, connection, ["203"], number=number, addressing_line=line)
    answer = make_event(invoice, "251", issuer_role="DFH", note=world.mark(f"note-of-{place}", place, READER))
    document = invoices.store_document(invoice=invoice, file=File(kind="original", content=UBL.encode()))
    AccountChange.objects.create(invoice=invoice, new=[{"iban": "FR76", "holder": ""}])
    Comment.objects.create(invoice=invoice, author=boss, text=world.mark(f"comment-of-{place}", place, READER))
    relay, _new = services.issue_status(
        user=make_user(customer, "approver"), invoice_id=invoice.pk, wish=Wish(status="204")
    )
    draft = InvoiceDraft.objects.create(line=line, author=boss, number=world.mark(f"DRAFT-{place}", place, CLERK))
    issued = make_invoice(customer, connection, ["200"], direction="issued", addressing_line=line, number=f"S{number}")
    invoices.store_document(invoice=issued, file=File(kind="original", content=UBL.encode()))
    make_token(boss)
    change = PolicyChange.objects.create(customer=customer, rules={"four_eyes": [True, False]}, asked_by=boss)
    colleague = make_user(
        customer, "clerk", email=world.mark(f"colleague@{place.lower()}.example.test", place, ADMINISTRATOR)
    )
    factor = Authenticator.objects.create(user=colleague, type="totp", data={})
    world.parts[place] |= {
        "invoice_id": invoice.pk, "issued_id": issued.pk, "event_id": answer.pk, "document_id": document.pk,
        "relay_id": relay.pk, "draft_id": draft.pk, "status": "207", "index": 0, "kind": "credit-note",
        "siren": customer.siren, "identifier": line.identifier,
        "token_id": ApiToken.objects.get(user=boss).pk,
        "token": files.address_of(document, user=boss).split("/")[-2],
        "invoices_customer": customer.pk, "invoices_policychange": change.pk,
        "invoices_addressingline": line.pk, "invoices_invoice": invoice.pk,
        "lifecycle_statusevent": answer.pk, "lifecycle_relaytask": relay.pk, "auth_user": colleague.pk,
        "id": colleague.pk,
        "mfa_authenticator": factor.pk,
    }  # fmt: skip
