"""An invoice that is paid in parts is due on the day of the next one."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from invoices.models import Invoice
from invoices.register.services import receive_invoice, reread
from lifecycle.history import events
from lifecycle.history.instalments import parts_of
from lifecycle.inbox import deliveries
from providers.contract.base import File, InvoiceReport, Party, Payment, Reason, StatusReport
from providers.formats.en16931.model import Reference
from providers.formats.en16931.writer import write_invoice
from tests import fake_provider
from tests.factories import SIREN, make_connection, make_customer, make_event, make_invoice, make_line, make_user
from tests.invoices.documents.issued import BUYER, SELLER, make_document
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


def test_money_taken_back_first_pays_nothing(invoice: Invoice) -> None:
    assert [pay(invoice, amount) for amount in ("-400.00", "400.00", "401.00")] == [
        date(2026, 10, 4), date(2026, 10, 4), date(2026, 11, 4),
    ]  # fmt: skip
    assert [row["left"] for row in invoice.instalments] == ["0.00", "399.00", "400.00"]


def test_refund_in_parts_is_declared_with_either_sign() -> None:
    parts = [row | {"amount": "-400.00"} for row in PARTS]
    note = make_invoice(direction="issued", type_code="381", instalments=parts, total_with_vat=Decimal("-1200.00"))
    assert [pay(note, "-400.00"), pay(note, "400.00", status="211")] == [date(2026, 11, 4)] * 2


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


def credit(invoice: Invoice, amount: str, **values: Any) -> Invoice:
    """A credit note of 20 % VAT that names the invoice."""
    base = Decimal(amount) / Decimal("1.2")
    values = {"type_code": "381", "direction": invoice.direction} | values
    return make_invoice(
        invoice.customer,
        invoice.connection,
        preceding_numbers=[invoice.number],
        currency="EUR",
        total_with_vat=Decimal(amount),
        vat_breakdown=[{"category": "S", "rate": "20.00", "base": f"{base:.2f}", "amount": f"{base / 5:.2f}"}],
        **values,
    )


def lefts(invoice: Invoice) -> tuple[list[str], date | None]:
    invoice.refresh_from_db()
    return [row["left"] for row in invoice.instalments], invoice.due_date


@pytest.mark.parametrize("amount", ["600.00", "-600.00"])
def test_credit_note_pays_the_earliest_parts(invoice: Invoice, amount: str) -> None:
    note = credit(invoice, amount)
    make_event(note, "203")
    assert lefts(invoice) == (["0.00", "200.00", "400.00"], date(2026, 11, 4))
    pay(invoice, "300.00")
    assert lefts(invoice) == (["0.00", "0.00", "300.00"], date(2026, 12, 4))


def test_credit_note_refused_gives_the_parts_back(invoice: Invoice) -> None:
    note = credit(invoice, "600.00")
    make_event(note, "203")
    make_event(note, "210", reasons=[Reason(code="TX_TVA_ERR")])
    assert lefts(invoice) == (["400.00", "400.00", "400.00"], date(2026, 10, 4))


def test_credit_note_received_without_any_status_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_provider.register(monkeypatch)
    connection = make_connection()
    customer = make_customer(SIREN)
    make_line(customer, connection)
    invoice = make_invoice(
        customer, connection, statuses=["203"], instalments=PARTS, number="F-1", seller_siren="905334413"
    )
    assert lefts(invoice) == (["400.00", "400.00", "400.00"], date(2026, 10, 4))
    document = make_document(
        seller=BUYER, buyer=SELLER, type_code="381", number="A-1", preceding_invoices=(Reference(number="F-1"),)
    )
    file = File(kind="original", content=write_invoice(document, "ubl"), media_type="application/xml")
    deliveries.save_invoice(
        connection, InvoiceReport(provider_ref="a-1", direction="received", buyer=Party(siren=SIREN)), (file,)
    )
    note = Invoice.objects.get(number="A-1")
    taken = 1200 - sum(Decimal(left) for left in lefts(invoice)[0])
    assert (note.seller_siren, taken) == ("905334413", min(-(note.debt or 0), Decimal(1200)))


def test_corrective_that_asks_anew_leaves_nothing(invoice: Invoice) -> None:
    make_event(credit(invoice, "900.00", type_code="384"), "203")
    assert lefts(invoice) == (["0.00", "0.00", "0.00"], date(2026, 12, 4))


def test_page_and_api_tell_what_is_left(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_provider.register(monkeypatch)
    customer = make_customer()
    client.force_login(make_user(customer))
    invoice = make_invoice(
        customer, make_connection(), direction="issued", instalments=PARTS, number="F-1", statuses=["203"]
    )
    make_event(credit(invoice, "600.00"), "203")
    facts = texts(client.get(reverse("lifecycle:invoice", args=[invoice.pk])), "//dl[@class='facts']//dd")
    shown = "4 octobre 2026 400,00 € reste : 0,00 €4 novembre 2026 400,00 € reste : 200,00 €4 décembre 2026 400,00 €"
    assert shown in [" ".join(fact.split()) for fact in facts]
    row = client.get(f"/api/v1/invoices/{invoice.pk}/").json()
    assert [part["left"] for part in row["instalments"]] == ["0.00", "200.00", "400.00"]


DISCOUNT = (
    "<cac:PaymentTerms><cbc:SettlementDiscountPercent>3</cbc:SettlementDiscountPercent>"
    "<cac:SettlementPeriod><cbc:EndDate>2026-10-14</cbc:EndDate></cac:SettlementPeriod></cac:PaymentTerms>"
)


def test_reading_again_drops_the_last_day_of_a_discount_taken_for_the_due_date() -> None:
    connection = make_connection("scripted")
    make_line(make_customer(SIREN), connection)
    content = re.sub(r"<cbc:DueDate>.*?</cbc:DueDate>", "", UBL).replace(
        "<cac:TaxTotal>", f"{DISCOUNT}<cac:TaxTotal>", 1
    )
    report = InvoiceReport(provider_ref="inv-1", direction="received", number="F-1", buyer=Party(siren=SIREN))
    file = File(kind="original", content=content.encode())
    invoice, _created = receive_invoice(connection=connection, report=report, files=[file])
    for before, after in ((date(2026, 10, 14), None), (date(2026, 11, 3), date(2026, 11, 3))):
        Invoice.objects.filter(pk=invoice.pk).update(due_date=before)
        assert reread(invoice.pk)
        invoice.refresh_from_db()
        assert invoice.due_date == after
