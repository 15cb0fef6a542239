"""An invoice that is paid in parts is due on the day of the next one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from invoices.models import Invoice
from invoices.services import receive_invoice
from lifecycle import events
from lifecycle.instalments import parts_of
from providers.base import File, InvoiceReport, Party, Payment, StatusReport
from tests import fake_provider
from tests.factories import SIREN, make_connection, make_customer, make_invoice, make_line, make_user
from tests.pages import texts

pytestmark = pytest.mark.django_db

UBL = (Path(__file__).parent.parent / "samples" / "invoices" / "invoice.ubl.xml").read_text(encoding="utf-8")
PARTS = [{"due_on": f"2026-{month}-04", "amount": "400.00"} for month in ("10", "11", "12")]


@pytest.fixture
def invoice() -> Invoice:
    return make_invoice(direction="issued", instalments=PARTS, due_date=date(2026, 10, 4), currency="EUR")


def pay(invoice: Invoice, amount: str, *, status: str = "212", currency: str = "EUR") -> date | None:
    payment = Payment(amount=Decimal(amount), vat_rate=Decimal(20), currency=currency)
    key = f"{status} {amount} {currency}"
    events.record_report(
        invoice.pk, StatusReport(provider_ref=invoice.provider_ref, status=status, payments=(payment,), key=key)
    )
    invoice.refresh_from_db()
    return invoice.due_date


def test_each_payment_moves_the_due_date_on(invoice: Invoice) -> None:
    paid = [pay(invoice, amount) for amount in ("399.00", "1.00", "500.00", "300.00")]
    assert paid == [date(2026, 10, 4), date(2026, 11, 4), date(2026, 12, 4), date(2026, 12, 4)]


def test_money_given_back_moves_it_back(invoice: Invoice) -> None:
    assert [pay(invoice, "400.00"), pay(invoice, "-50.00")] == [date(2026, 11, 4), date(2026, 10, 4)]


def test_sent_and_received_are_the_same_money(invoice: Invoice) -> None:
    assert [pay(invoice, "400.00", status="211"), pay(invoice, "400.00")] == [date(2026, 11, 4)] * 2


def test_another_currency_pays_nothing(invoice: Invoice) -> None:
    assert pay(invoice, "400.00", currency="USD") == date(2026, 10, 4)


def test_invoice_paid_at_once_keeps_its_due_date() -> None:
    invoice = make_invoice(direction="issued", due_date=date(2026, 10, 4))
    assert pay(invoice, "400.00") == date(2026, 10, 4)


def test_document_brings_its_instalments() -> None:
    connection = make_connection("scripted")
    make_line(make_customer(SIREN), connection)
    terms = "".join(
        f'<cac:PaymentTerms><cbc:Amount currencyID="EUR">{amount}</cbc:Amount>'
        f"<cbc:InstallmentDueDate>{day}</cbc:InstallmentDueDate></cac:PaymentTerms>"
        for day, amount in (("2026-12-03", "740.70"), ("2026-10-20", "740.70"))
    )
    content = UBL.replace("<cac:TaxTotal>", f"{terms}<cac:TaxTotal>", 1).encode()
    report = InvoiceReport(provider_ref="inv-1", direction="received", number="F-1", buyer=Party(siren=SIREN))
    receive_invoice(connection=connection, report=report, files=[File(kind="original", content=content)])

    stored = Invoice.objects.get()
    pay(stored, "800.00")
    receive_invoice(connection=connection, report=report, files=[File(kind="original", content=content + b" ")])
    stored = Invoice.objects.get()
    assert parts_of(stored) == [(date(2026, 10, 20), Decimal("740.70")), (date(2026, 12, 3), Decimal("740.70"))]
    assert stored.due_date == date(2026, 12, 3)


def test_page_lists_them(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_provider.register(monkeypatch)
    customer = make_customer()
    client.force_login(make_user(customer))
    invoice = make_invoice(customer, make_connection(), instalments=PARTS, currency="EUR")
    facts = texts(client.get(reverse("lifecycle:invoice", args=[invoice.pk])), "//dl[@class='facts']//dd")
    assert "4 octobre 2026 400,00 €4 novembre 2026 400,00 €4 décembre 2026 400,00 €" in facts
