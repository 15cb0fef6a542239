"""Amounts bounded by the invoice: the impossible is refused on every door, the unlikely is asked again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from invoices.models import Invoice
from invoices.people.staff import match_memberships
from lifecycle.decisions import plausibility, services
from lifecycle.decisions.services import DecisionRefused
from lifecycle.decisions.wishes import Wish
from lifecycle.models import StatusEvent
from providers.contract.base import Payment
from tests import fake_provider
from tests.factories import make_customer, make_event, make_invoice, make_user
from tests.pages import parse

pytestmark = pytest.mark.django_db

RATES = [{"category": "S", "rate": "20.00", "base": "1000.00", "amount": "200.00"}]


@pytest.fixture(autouse=True)
def _platforms(monkeypatch):
    fake_provider.register(monkeypatch)


def invoice_of(direction: str = "received", **values: Any) -> Invoice:
    total = {"total_with_vat": Decimal("1200.00"), "amount_due": Decimal("1200.00"), "vat_breakdown": RATES}
    return make_invoice(make_customer(), None, ("200", "203"), direction=direction, **(total | values))


def wish(status: str, amount: str, rate: str | None = "20", currency: str = "EUR", **values: Any) -> Wish:
    payment = Payment(amount=Decimal(amount), vat_rate=Decimal(rate) if rate else None, currency=currency)
    return Wish(status=status, payments=(payment,), **values)


def codes(problems: Any) -> list[tuple[str, str]]:
    return [(each.field, each.code) for each in problems]


AMOUNT = "payments[0].amount"


@pytest.mark.parametrize(
    ("direction", "status", "amount", "expected"),
    [
        ("received", "211", "1000000000", [(AMOUNT, "beyond_invoice")]),
        ("issued", "212", "100000", [(AMOUNT, "beyond_invoice")]),
        ("issued", "212", "2400", []),
        ("received", "211", "-1", [(AMOUNT, "beyond_declared")]),
        ("received", "206", "-5", [(AMOUNT, "beyond_invoice")]),
        ("received", "206", "1200.01", [(AMOUNT, "beyond_invoice")]),
        ("received", "206", "1200", []),
    ],
)
def test_amount_that_cannot_be_is_refused(direction, status, amount, expected):
    assert codes(plausibility.impossible(invoice_of(direction), wish(status, amount))) == expected


@pytest.mark.parametrize(
    ("status", "amount", "rate", "currency", "expected"),
    [
        ("211", "1200.00", "20", "EUR", []),
        ("211", "1200.00", None, "EUR", []),
        ("211", "1200.01", "20", "EUR", []),
        ("211", "1200.02", "20", "EUR", [(AMOUNT, "unlikely")]),
        ("211", "10.00", "5.5", "EUR", []),
        ("211", "10.00", "20", "USD", [("payments[0].currency", "unlikely")]),
        ("206", "10.00", "20", "USD", [("payments[0].currency", "unlikely")]),
    ],
)
def test_amount_that_is_unlikely_is_asked_again(status, amount, rate, currency, expected):
    assert codes(plausibility.doubts(invoice_of(), wish(status, amount, rate, currency))) == expected


def test_receipt_is_bounded_by_rate():
    invoice = invoice_of("issued")
    assert codes(plausibility.doubts(invoice, wish("212", "10.00", "5.5"))) == [(AMOUNT, "unlikely")]


def test_what_was_declared_counts():
    invoice = invoice_of("issued")
    make_event(invoice, "212", payments=(Payment(amount=Decimal(1200), vat_rate=Decimal(20)),))
    assert codes(plausibility.doubts(invoice, wish("212", "1200"))) == [(AMOUNT, "unlikely")]
    assert codes(plausibility.impossible(invoice, wish("212", "-1200"))) == []
    assert codes(plausibility.impossible(invoice, wish("212", "-1200.01"))) == [(AMOUNT, "beyond_declared")]


def test_money_that_goes_back_is_bounded_too():
    note = invoice_of("issued", type_code="381")
    assert codes(plausibility.doubts(note, wish("212", "-1200"))) == []
    assert codes(plausibility.doubts(note, wish("212", "-1300"))) == [(AMOUNT, "unlikely")]
    assert codes(plausibility.impossible(note, wish("212", "-2400.01"))) == [(AMOUNT, "beyond_invoice")]


def test_payment_of_an_invoice_of_tomorrow_is_asked_again():
    invoice = invoice_of(issue_date=timezone.localdate() + timedelta(days=1))
    assert codes(plausibility.doubts(invoice, wish("211", "1200"))) == [("payments", "unlikely")]


def test_invoice_without_readable_amounts_bounds_nothing():
    invoice = invoice_of(total_with_vat=None, amount_due=None, vat_breakdown=[])
    make_event(invoice, "211", payments=(Payment(amount=Decimal(1200)),))
    payment = wish("211", "1000000")
    assert codes([*plausibility.impossible(invoice, payment), *plausibility.doubts(invoice, payment)]) == []


def test_service_asks_again_and_takes_it_from_whoever_is_sure():
    invoice = invoice_of()
    user = make_user(invoice.customer, "approver")
    with pytest.raises(DecisionRefused) as refused:
        services.issue_status(user=user, invoice_id=invoice.pk, wish=wish("211", "1300"))
    assert codes(refused.value.problems) == [(AMOUNT, "unlikely")]
    services.issue_status(user=user, invoice_id=invoice.pk, wish=wish("211", "1300", sure=True))
    with pytest.raises(DecisionRefused):
        services.issue_status(user=user, invoice_id=invoice.pk, wish=wish("211", "1000000000", sure=True))


def test_api_asks_again(client):
    invoice = invoice_of()
    client.force_login(make_user(invoice.customer, "approver"))
    path = f"/api/v1/invoices/{invoice.pk}/decisions/"
    body: dict[str, Any] = {"status": "211", "payments": [{"amount": "1300.00", "vat_rate": "20"}]}
    asked = client.post(path, body, content_type="application/json")
    assert (asked.status_code, asked.json()["errors"][0]["code"]) == (422, "unlikely")
    assert client.post(path, body | {"sure": True}, content_type="application/json").status_code == 201


@pytest.mark.parametrize("door", ["/invoices/{}/decide/211/", "/admin/invoices/invoice/{}/decide/211/"])
def test_people_are_asked_again_before_it_is_sent(client, door):
    invoice = invoice_of()
    approver = make_user(invoice.customer, "approver")
    match_memberships(approver)
    client.force_login(approver)
    path = door.format(invoice.pk)
    fields = {each.get("name"): each.get("value") or "" for each in parse(client.get(path)).xpath("//form//input")}
    fields |= {"payments-0-amount": "1300", "payments-0-vat_rate": "20"}
    preview = client.post(path, fields | {"step": "preview"})
    assert (preview.status_code, len(parse(preview).xpath("//input[@name='sure']"))) == (200, 1)
    assert client.post(path, fields | {"step": "send"}).status_code == 422
    assert client.post(path, fields | {"step": "send", "sure": "on"}).status_code == 302
    assert StatusEvent.objects.get(status="211").payments[0]["amount"] == "1300.00"
