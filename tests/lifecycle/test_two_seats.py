"""Our two seats of Cegid's protocol talking to each other over real HTTP, each in turn as a whole Navette.

The one is this installation, with its doors, inbox, outbox and database; the other is its adapter behind a small HTTP
server, as another installation would answer.
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from django.utils import translation

from invoices.models import Invoice
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.inbox import deliveries
from lifecycle.models import RelayState
from lifecycle.outbox import relays
from providers.cegid.adapter import Cegid
from providers.cegid_od.adapter import CegidOD
from providers.connections import services as platforms
from providers.connections.registry import as_line, get_adapter
from providers.connections.sealing import Secrets
from providers.contract.base import (
    Account,
    File,
    InvoiceFacts,
    Line,
    Party,
    Payment,
    PermanentError,
    Reason,
    StatusMessage,
)
from providers.models import RefusedRequest, Subscription, WebhookDelivery
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_line, make_user
from tests.processes import wait_until
from tests.providers.doors import Door, DoorServer
from tests.providers.fakes import Memory, Tokens
from tests.providers.lines import Lines, Subscriptions

pytestmark = pytest.mark.django_db(transaction=True)

LINE, SECOND = f"{SIREN}_80011223700014", f"{SIREN}_COMPTA"
NUMBER = "PH-2026-102"
# Our customer buys in it.
SAMPLE = (Path(__file__).parents[1] / "samples" / "invoices" / "invoice.cii.xml").read_bytes()


@pytest.fixture(autouse=True)
def _in_english():
    with translation.override("en"):
        yield


@pytest.fixture
def here(live_server, settings):
    """This installation, with one customer and somebody who decides."""
    settings.PUBLIC_URL = live_server.url
    customer = make_customer(siren=SIREN)
    return customer, make_user(customer, "approver")


@pytest.fixture
def client():
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client


def drain_until(condition) -> None:
    def step():
        deliveries.drain()
        relays.drain()
        return condition()

    rows = lambda: list(WebhookDelivery.objects.values_list("state", "error"))  # noqa: E731
    wait_until(step, 20, rows)


def facts_of(invoice: Invoice) -> InvoiceFacts:
    return InvoiceFacts(
        provider_ref="",
        direction=invoice.direction,
        number=invoice.number,
        type_code=invoice.type_code,
        issue_date=invoice.issue_date,
        seller=Party(siren=invoice.seller_siren),
        buyer=Party(siren=invoice.buyer_siren),
        line_identifier=invoice.addressing_line.identifier,
    )


def say(status: str, facts: InvoiceFacts, role: str, **rest) -> StatusMessage:
    return StatusMessage(
        id=f"m-{status}", invoice=facts, status=status, issuer_role=role, occurred_at=datetime.now(UTC), **rest
    )


def decide(user, invoice: Invoice, status: str, **rest):
    return services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status=status, **rest))[0]


def test_platform_there_and_concentrator_here(here, client, caplog):
    caplog.set_level(logging.DEBUG)
    customer, approver = here
    connection = make_connection(
        "cegid_od",
        settings={"callback_private": True, "callback_plain": True, "requests_per_second": 0},
        secrets={"subscription_key": "k3y-of-our-concentrator"},
    )
    platforms.open_hook(connection=connection)
    for identifier in (LINE, SECOND):
        make_line(customer, connection, identifier)
    make = platforms.make_connection_data
    given = {each: make(connection=connection, line_identifier=each) for each in (LINE, SECOND)}

    # The other installation gets the connection data of both lines, and subscribes one after the other.
    lines = Lines(*(Line(identifier=each, secrets={"api_key": given[each]["apiKey"]}) for each in (LINE, SECOND)))
    door = Door(line=lambda path: lines.find(path.strip("/").removeprefix("hooks/")))
    with DoorServer(door) as there:
        account = Account(
            id="there",
            name="there",
            environment="sandbox",
            settings={"od_url": given[LINE]["odUrl"], "requests_per_second": 0},
            secrets={"subscription_key": given[LINE]["subscriptionKey"]},
            lines=_HooksByLine(lines, there.url),
            subscriptions=Subscriptions(),
        )
        platform = door.adapter = Cegid(account, client=client, tokens=Tokens(), memory=Memory())
        assert platform.register_webhooks() == (
            f"Addressing line {LINE} is subscribed.",
            f"Addressing line {SECOND} is subscribed.",
        )
        rows = Subscription.objects.order_by("line_identifier")
        assert [row.state for row in rows] == ["active", "active"]
        assert len({row.callback["url"] for row in rows}) == 2
        assert [result.message for result in platform.check() if not result.ok] == []
        assert [result.message for result in get_adapter(connection).check() if not result.ok] == []

        # An invoice for our customer, and the platform's next word about it.
        facts = InvoiceFacts(
            provider_ref="", direction="received", number=NUMBER, type_code="380",
            issue_date=date(2026, 10, 4), seller=Party(siren=OTHER_SIREN), buyer=Party(siren=SIREN),
            line_identifier=LINE,
        )  # fmt: skip
        file = File(kind="original", content=SAMPLE, filename="invoice.xml")
        receipts = [platform.submit_invoice(file, facts).reference for _time in range(2)]
        platform.send_status(say("203", facts, "WK"))
        drain_until(lambda: Invoice.objects.filter(status="203").exists())
        invoice = Invoice.objects.get()
        assert (invoice.provider_ref, invoice.document_state) == (receipts[0], "read")
        assert invoice.addressing_line.identifier == LINE
        facts = facts_of(invoice)

        # What our people decide is heard over there, once, in order.
        sent = [
            decide(approver, invoice, "204"),
            decide(approver, invoice, "208", reasons=(Reason(code="JUSTIF_ABS", text="Bon de livraison ?"),)),
        ]
        drain_until(lambda: {_state(relay) for relay in sent} == {RelayState.SENT})
        platform.send_status(say("209", facts, "SE", note="Joint."))
        drain_until(lambda: Invoice.objects.filter(status="209").exists())
        sent = [decide(approver, invoice, "205")]
        drain_until(lambda: _state(sent[0]) == RelayState.SENT)
        assert door.statuses == [("204", "BY"), ("208", "BY"), ("205", "BY")]
        (suspension,) = door.deliveries[1].statuses
        assert suspension.reasons == (Reason(code="JUSTIF_ABS", text="Bon de livraison ?"),)
        assert (suspension.invoice_key.number, suspension.invoice_key.direction) == (invoice.number, "received")

        # Another line's token, and a line that ended, get nowhere.
        lines.change(LINE, secrets={"api_key": given[SECOND]["apiKey"]})
        with pytest.raises(PermanentError) as caught:
            platform.send_status(say("212", facts, "SE"))
        assert (caught.value.status_code, account.subscriptions.find(LINE).state) == (403, "suspended")
        platform.unsubscribe(lines.find(SECOND))
        assert Subscription.objects.get(line_identifier=SECOND).state == "closed"
        deliveries.drain()
        assert [event.status for event in invoice.status_events.order_by("sequence")][-1] == "205"

    hidden = [given[each]["apiKey"].partition(":")[2] for each in (LINE, SECOND)] + ["k3y-of-our-concentrator"]
    models = (WebhookDelivery, RefusedRequest, Subscription)
    stored = [repr(vars(row)) for model in models for row in model.objects.all()]
    assert [secret for secret in hidden if secret in "\n".join([caplog.text, *stored])] == []


class _HooksByLine:
    """The lines of the other installation, each with an address on its server."""

    def __init__(self, lines: Lines, url: str) -> None:
        self.lines = lines
        self.url = url

    def hook_url(self, identifier: str) -> str:
        return f"{self.url}/hooks/{identifier}/" if self.lines.find(identifier) else ""

    def __getattr__(self, name: str):
        return getattr(self.lines, name)


def _state(relay) -> str:
    relay.refresh_from_db()
    return relay.state


def test_concentrator_there_and_platform_here(here, client):
    customer, approver = here
    lines = Lines(Line(identifier=LINE))
    door = Door(below="/od/")
    with DoorServer(door) as there:
        account = Account(
            id="there",
            name="there",
            environment="sandbox",
            settings={"callback_private": True, "callback_plain": True, "requests_per_second": 0},
            secrets={"subscription_key": "k"},
            hook_url=f"{there.url}/od/",
            lines=lines,
            subscriptions=Subscriptions(),
        )
        concentrator = door.adapter = CegidOD(account, client=client, tokens=Tokens(), memory=Memory())
        given = concentrator.new_connection_data(lines.find(LINE))
        lines.change(LINE, secrets=dict(given.secrets))

        # Here: the API key is pasted, the line subscribed.
        connection = make_connection(
            "cegid",
            settings={"od_url": given.shown["odUrl"], "requests_per_second": 0},
            secrets={"subscription_key": given.shown["subscriptionKey"]},
        )
        line = make_line(customer, connection, given.shown["addressingLine"])
        line.secrets = Secrets({"api_key": given.shown["apiKey"]})
        line.save()
        platforms.subscribe_line(connection=connection, line=as_line(line))
        assert account.subscriptions.find(LINE).callback_url == connection.hooks.get(line_identifier=LINE).url
        assert [result.message for result in get_adapter(connection).check() if not result.ok] == []

        # The customer over there makes an invoice; it is ours to send, and ours to tell what the buyer says.
        content = SAMPLE.replace(SIREN.encode(), b"#").replace(OTHER_SIREN.encode(), SIREN.encode())
        content = content.replace(b"#", OTHER_SIREN.encode())
        facts = InvoiceFacts(
            provider_ref="", direction="issued", number=NUMBER, type_code="380", issue_date=date(2026, 10, 4),
            seller=Party(siren=SIREN), buyer=Party(siren=OTHER_SIREN), line_identifier=LINE,
        )  # fmt: skip
        concentrator.submit_invoice(File(kind="original", content=content, filename="invoice.xml"), facts)
        drain_until(lambda: Invoice.objects.filter(status="200").exists())
        invoice = Invoice.objects.get()
        assert (invoice.direction, invoice.addressing_line, invoice.document_state) == ("issued", line, "read")
        for status in ("201", "202", "203"):
            deliveries.events.record_report(
                invoice.pk, deliveries.StatusReport(provider_ref="", status=status, key=status)
            )
        invoice.refresh_from_db()
        relay = decide(approver, invoice, "207", reasons=(Reason(code="QTE_ERR", text="9 reçus sur 10"),))
        drain_until(lambda: _state(relay) == RelayState.SENT)
        assert door.statuses == [("207", "BY")]
        assert door.deliveries[0].statuses[0].invoice_key.direction == "issued"

        # The customer is paid, and says so to us.
        payments = (Payment(amount=Decimal("1200.00"), vat_rate=Decimal("20.00")),)
        concentrator.send_status(say("212", facts_of(invoice), "SE", payments=payments))
        drain_until(lambda: Invoice.objects.filter(status="212").exists())
        event = invoice.status_events.get(status="212")
        assert (event.issuer_role, event.payments[0]["amount"], event.unexpected) == ("SE", "1200.00", False)

        # Its decisions on what it buys are its own: here nothing is offered.
        bought = Invoice(direction="received", connection=connection, addressing_line=line, customer=customer)
        assert services.next_statuses(bought) == ()
        platforms.unsubscribe_line(connection=connection, line=as_line(line))
        open_hooks = connection.hooks.filter(closed_at=None).count()
        assert (account.subscriptions.find(LINE).state, open_hooks) == ("closed", 0)
