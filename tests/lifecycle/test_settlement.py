"""What is left of an invoice by VAT rate, and which invoices have to do with each other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from invoices.models import Invoice
from lifecycle.decisions import services
from lifecycle.decisions.forms import payments_left
from lifecycle.decisions.settlement import settlement_of, spread
from lifecycle.decisions.wishes import Wish
from lifecycle.history.links import links_of
from providers.contract.base import Payment
from tests import fake_provider
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_event, make_invoice, make_user

pytestmark = pytest.mark.django_db

TWO_RATES = [
    {"category": "S", "rate": "20.00", "base": "100.00", "amount": "20.00"},
    {"category": "S", "rate": "5.50", "base": "200.00", "amount": "11.00"},
]
REFUND = [{"category": "S", "rate": "20.00", "base": "10.00", "amount": "2.00"}]
ONE_RATE = [{"category": "S", "rate": "20.00", "base": "50.00", "amount": "10.00"}]


@pytest.fixture(autouse=True)
def _platforms(monkeypatch):
    fake_provider.register(monkeypatch)


def issued(rows: Any = TWO_RATES, *, statuses: Any = ("200", "203"), **values: Any) -> Invoice:
    total = sum(Decimal(row["base"]) + Decimal(row["amount"]) for row in rows)
    defaults = {
        "direction": "issued",
        "seller_siren": SIREN,
        "buyer_siren": OTHER_SIREN,
        "vat_breakdown": rows,
        "total_with_vat": total,
        "amount_due": total,
        "issue_date": "2026-11-01",
    }
    return make_invoice(make_customer(), values.pop("connection", None), statuses, **(defaults | values))


def received(invoice: Invoice, *amounts: tuple[str | None, str], status: str = "212") -> None:
    payments = tuple(
        Payment(amount=Decimal(amount), vat_rate=Decimal(rate) if rate else None) for rate, amount in amounts
    )
    make_event(invoice, status, payments=payments)


def left(invoice: Invoice, status: str = "212") -> dict[str, str]:
    return {f"{row.vat_rate:f}": f"{row.left:.2f}" for row in settlement_of(invoice, status)}


def relations(invoice: Invoice) -> list[tuple[str, str]]:
    return [(link.relation, link.number) for link in links_of(invoice)]


# --- what is left -----------------------------------------------------------------------------------------------------


def test_nothing_declared_leaves_the_whole_by_rate():
    assert left(issued()) == {"20": "120.00", "5.5": "211.00"}


def test_receipts_are_taken_off_their_rate():
    invoice = issued()
    received(invoice, ("20", "100.00"), ("5.50", "11.00"))
    received(invoice, ("20.00", "20.00"))
    assert left(invoice) == {"20": "0.00", "5.5": "200.00"}
    assert [(row["vat_rate"], row["amount"]) for row in payments_left(invoice, "212")] == [("5.5", Decimal("200.00"))]


def test_negative_receipt_gives_back():
    invoice = issued()
    received(invoice, ("20", "120.00"))
    received(invoice, ("20", "-20.00"))
    assert left(invoice)["20"] == "20.00"


def test_more_than_is_due_is_proposed_as_a_negative_receipt():
    invoice = issued(ONE_RATE)
    received(invoice, ("20", "65.00"))
    assert [row["amount"] for row in payments_left(invoice, "212")] == [Decimal("-5.00")]


def test_payment_without_a_rate_is_spread_over_the_rates():
    invoice = issued(direction="received")
    received(invoice, (None, "331.00"), status="211")
    assert left(invoice, "211") == {"20": "0.00", "5.5": "0.00"}


def test_credit_note_lowers_its_rates():
    invoice = issued(number="F-1")
    issued(ONE_RATE, type_code="381", preceding_numbers=["F-1"])
    assert left(invoice) == {"20": "60.00", "5.5": "211.00"}


@pytest.mark.parametrize("status", ["210", "213"])
def test_credit_note_that_does_not_count_lowers_nothing(status):
    invoice = issued(number="F-1")
    issued(ONE_RATE, type_code="381", preceding_numbers=["F-1"], statuses=[status])
    assert left(invoice)["20"] == "120.00"


def test_credit_note_for_several_invoices_is_linked_and_lowers_none():
    invoice = issued(number="F-1")
    issued(ONE_RATE, type_code="381", number="AV-1", preceding_numbers=["F-1", "F-2"])
    assert (relations(invoice), left(invoice)["20"]) == ([("credited_by", "AV-1")], "120.00")


def test_credit_after_full_receipt_is_to_be_given_back():
    invoice = issued(ONE_RATE, number="F-1")
    received(invoice, ("20", "60.00"))
    issued(
        REFUND,
        type_code="381",
        preceding_numbers=["F-1"],
    )
    assert left(invoice) == {"20": "-12.00"}


def test_deposit_is_taken_off_by_its_own_rates():
    issued(ONE_RATE, type_code="386", number="AC-1")
    final = issued(process="S4", preceding_numbers=["AC-1"], amount_due=Decimal("271.00"))
    assert left(final) == {"20": "60.00", "5.5": "211.00"}


def test_prepayment_of_unknown_rates_is_taken_off_in_proportion():
    assert left(issued(amount_due=Decimal("231.00"))) == {"20": "83.75", "5.5": "147.25"}


def test_invoice_already_paid_has_nothing_left():
    invoice = issued(process="S2", amount_due=Decimal("0.00"))
    assert (set(left(invoice).values()), payments_left(invoice, "212")) == ({"0.00"}, [])


def test_decision_taken_back_does_not_count():
    invoice = issued(ONE_RATE)
    user = make_user(invoice.customer, "approver")
    invoice.customer.undo_seconds = 60
    invoice.customer.save()
    wish = Wish(status="212", payments=(Payment(amount=Decimal("60.00"), vat_rate=Decimal(20)),))
    relay, _new = services.issue_status(user=user, invoice_id=invoice.pk, wish=wish)
    assert left(invoice) == {"20": "0.00"}
    services.cancel(user=user, relay_id=relay.pk)
    assert left(invoice) == {"20": "60.00"}


def mirrored(rows: Any) -> Any:
    return [row | {name: str(-Decimal(row[name])) for name in ("base", "amount")} for row in rows]


@pytest.mark.parametrize("type_code", ["381", "261", "262", "396", "502", "503"])
def test_credit_note_with_negative_totals_lowers_what_is_left(type_code):
    invoice = issued(number="F-1", direction="received")
    note = issued(mirrored(ONE_RATE), type_code=type_code, preceding_numbers=["F-1"], direction="received")
    assert (note.total_with_vat, left(invoice, "211")["20"]) == (Decimal("-60.00"), "60.00")
    assert [row["amount"] for row in payments_left(invoice, "211")] == [Decimal("60.00"), Decimal("211.00")]


def test_invoice_with_a_negative_total_credits_what_it_names():
    invoice = issued(number="F-1")
    issued(mirrored(ONE_RATE), type_code="380", number="F-2", preceding_numbers=["F-1"])
    assert (relations(invoice), left(invoice)["20"]) == ([("credited_by", "F-2")], "60.00")


def test_credit_note_without_a_breakdown_is_spread_over_the_rates():
    invoice = issued(number="F-1")
    note = {"total_with_vat": Decimal("-33.10"), "amount_due": Decimal("-33.10")}
    issued([], type_code="381", preceding_numbers=["F-1"], **note)
    assert left(invoice) == {"20": "108.00", "5.5": "189.90"}


def test_corrective_invoice_replaces_what_it_corrects():
    invoice = issued(number="F-1")
    received(invoice, ("20", "20.00"))
    issued(REFUND, type_code="381", preceding_numbers=["F-1"])
    new = issued(ONE_RATE, type_code="384", preceding_numbers=["F-1"])
    assert (left(invoice), left(new)) == ({"20": "-20.00", "5.5": "0.00"}, {"20": "60.00"})


def test_corrective_invoice_that_gives_back_lowers_what_it_corrects_and_replaces_nothing():
    invoice = issued(number="F-1")
    issued(mirrored(ONE_RATE), type_code="384", preceding_numbers=["F-1"])
    assert (left(invoice), "220" in services.next_statuses(invoice)) == ({"20": "60.00", "5.5": "211.00"}, False)


def test_note_in_another_currency_is_shown_apart_and_taken_off_nothing():
    invoice = issued(ONE_RATE, number="F-1")
    issued(REFUND, type_code="381", preceding_numbers=["F-1"], currency="USD")
    rows = [(row.currency, row.credited, row.left) for row in settlement_of(invoice, "212")]
    assert rows == [("EUR", Decimal("0.00"), Decimal("60.00")), ("USD", Decimal("12.00"), None)]
    assert [row["currency"] for row in payments_left(invoice, "212")] == ["EUR"]


def test_receipt_in_euro_is_not_taken_off_another_currency():
    invoice = issued(ONE_RATE, currency="USD")
    received(invoice, ("20", "55.00"))
    rows = [(row.currency, row.settled, row.left) for row in settlement_of(invoice, "212")]
    assert rows == [("USD", Decimal("0.00"), Decimal("60.00")), ("EUR", Decimal("55.00"), None)]
    assert payments_left(invoice, "212") == [{"vat_rate": "20", "amount": None, "currency": "EUR"}]


# --- refunds ----------------------------------------------------------------------------------------------------------


def refund(rows: Any, **values: Any) -> Invoice:
    return issued(rows, type_code="381", **values)


@pytest.mark.parametrize("rows", [ONE_RATE, mirrored(ONE_RATE)], ids=["positive", "negative"])
def test_refund_is_a_negative_receipt_and_a_positive_payment(rows):
    note = refund(rows)
    assert left(note) == {"20": "-60.00"}
    assert [row["amount"] for row in payments_left(note, "212")] == [Decimal("-60.00")]
    assert [row["amount"] for row in payments_left(note, "211")] == [Decimal("60.00")]


@pytest.mark.parametrize(
    ("status", "amount"), [("212", "-60.00"), ("212", "60.00"), ("211", "60.00"), ("211", "-60.00")]
)
def test_reported_refund_settles_the_note_whatever_its_sign(status, amount):
    note = refund(mirrored(ONE_RATE))
    received(note, ("20", amount), status=status)
    assert (left(note, status), payments_left(note, status)) == ({"20": "0.00"}, [])


@pytest.mark.parametrize("rows", [ONE_RATE, mirrored(ONE_RATE)], ids=["positive", "negative"])
@pytest.mark.parametrize(
    ("status", "amount", "codes"),
    [("212", "60.00", ["wrong_direction"]), ("212", "-60.00", []), ("211", "-60.00", ["wrong_direction"]),
     ("211", "60.00", [])],
)  # fmt: skip
def test_refund_of_the_wrong_sign_is_refused(rows, status, amount, codes):
    note = refund(rows)
    wish = Wish(status=status, payments=(Payment(amount=Decimal(amount), vat_rate=Decimal(20)),))
    problems = services.problems_with(note, wish)
    assert [problem.code for problem in problems] == codes
    assert all(f"{-Decimal(amount):f}" in str(problem.message) for problem in problems)


def test_refund_that_bounced_is_taken_back_with_its_reason():
    note = refund(ONE_RATE)
    received(note, ("20", "-60.00"))
    back = (Payment(amount=Decimal("60.00"), vat_rate=Decimal(20)),)
    assert [each.field for each in services.problems_with(note, Wish(status="212", payments=back))] == ["note"]
    assert services.problems_with(note, Wish(status="212", payments=back, note="Virement rejeté")) == []


def test_final_invoice_that_asks_for_less_than_its_deposits_gives_back():
    final = issued(ONE_RATE, process="S4", amount_due=Decimal("-10.00"))
    assert (left(final), "211" in services.next_statuses(final)) == ({"20": "-10.00"}, True)


shares = st.dictionaries(st.sampled_from(["20.00", "10.00"]), st.decimals("0.01", 500, places=2), min_size=1)


def as_rows(amounts: dict[str, Decimal]) -> list[dict[str, str]]:
    return [{"category": "S", "rate": rate, "base": f"{each:.2f}", "amount": "0.00"} for rate, each in amounts.items()]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shares, st.lists(shares, max_size=3), st.lists(shares, max_size=2))
def test_settlement_is_the_same_however_notes_are_written(asked, notes, receipts):
    def settle(write: Any) -> list[Any]:
        invoice = issued(as_rows(asked), number=f"F-{uuid4()}")
        for note in notes:
            issued(write(as_rows(note)), type_code="381", preceding_numbers=[invoice.number])
        for receipt in receipts:
            received(invoice, *((rate, str(amount)) for rate, amount in receipt.items()))
        return settlement_of(invoice, "212")

    assert settle(list) == settle(mirrored)


@given(
    st.decimals(-(10**6), 10**6, places=2),
    st.dictionaries(st.integers(0, 20).map(Decimal), st.decimals(0, 10**6, places=2), max_size=4),
)
def test_spread_loses_no_cent(amount, over):
    assert sum(spread(amount, over).values()) == amount


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("earlier", "later", "forth", "back"),
    [
        ({}, {"type_code": "381"}, "credits", "credited_by"),
        ({}, {"type_code": "384"}, "corrects", "corrected_by"),
        ({"type_code": "386"}, {"process": "S4"}, "settles_deposit", "deposit_of"),
        ({"type_code": "386"}, {"type_code": "503"}, "credits", "credited_by"),
        ({}, {}, "follows", "followed_by"),
    ],
)
def test_invoices_are_linked_both_ways(earlier, later, forth, back):
    first = issued(number="F-1", **earlier)
    second = issued(number="F-2", preceding_numbers=["F-1"], **later)
    assert (relations(second), relations(first)) == ([(forth, "F-1")], [(back, "F-2")])


def test_number_we_do_not_have_is_still_named():
    (link,) = links_of(issued(type_code="381", preceding_numbers=["OLD-1"]))
    assert (link.relation, link.number, link.invoice) == ("credits", "OLD-1", None)


def test_same_number_of_another_seller_or_customer_is_not_linked():
    invoice = issued(number="F-1")
    issued(type_code="381", preceding_numbers=["F-1"], seller_siren=OTHER_SIREN)
    make_invoice(
        make_customer(OTHER_SIREN), make_connection(), direction="issued", seller_siren=SIREN, type_code="381",
        preceding_numbers=["F-1"],
    )  # fmt: skip
    assert relations(invoice) == []


def test_number_of_two_years_is_linked_by_the_date_of_the_reference():
    old = issued(number="F-1", issue_date="2025-03-01")
    new = issued(number="F-1", issue_date="2026-03-01")
    note = issued(ONE_RATE, type_code="381", number="AV-1", preceding_numbers=["F-1"], preceding_dates=["2025-03-02"])
    assert (relations(old), relations(new)) == ([("credited_by", "AV-1")], [])
    assert ([link.invoice for link in links_of(note)], left(old)["20"], left(new)["20"]) == ([old], "60.00", "120.00")


def test_reference_without_a_date_never_means_a_later_invoice():
    old = issued(number="F-1", issue_date="2025-03-01")
    new = issued(number="F-1", issue_date="2026-03-01")
    note = issued(type_code="381", preceding_numbers=["F-1"], issue_date="2025-06-01")
    assert ([link.invoice for link in links_of(note)], relations(new), len(relations(old))) == ([old], [], 1)


def test_reference_that_fits_two_years_links_nothing_and_names_both(client):
    old = issued(number="F-1", issue_date="2025-03-01")
    new = issued(number="F-1", issue_date="2026-03-01")
    note = issued(ONE_RATE, type_code="381", number="AV-1", preceding_numbers=["F-1"])
    (link,) = links_of(note)
    assert (link.relation, link.invoice, set(link.candidates)) == ("credits", None, {old, new})
    assert relations(old) == relations(new) == [("perhaps_named_by", "AV-1")]
    assert left(old)["20"] == left(new)["20"] == "120.00"

    client.force_login(make_user(note.customer, "reader"))
    (told,) = client.get(f"/api/v1/invoices/{note.pk}/").json()["links"]
    assert (told["id"], {row["issue_date"] for row in told["candidates"]}) == (None, {"2025-03-01", "2026-03-01"})
    page = client.get(f"/invoices/{note.pk}/").content.decode()
    assert "Plusieurs factures possibles" in page
    assert (f"/invoices/{old.pk}/" in page, f"/invoices/{new.pk}/" in page) == (True, True)


def test_reference_to_a_year_that_is_not_here_links_nothing():
    invoice = issued(number="F-1", issue_date="2026-03-01")
    note = issued(type_code="381", preceding_numbers=["F-1"], preceding_dates=["2024-03-01"])
    (link,) = links_of(note)
    assert (link.invoice, link.candidates, relations(invoice)) == (None, (), [])


def test_rejected_invoice_gives_its_number_to_the_next_one():
    issued(number="F-1", issue_date="2026-03-01", statuses=["213"])
    good = issued(number="F-1", issue_date="2026-03-09")
    note = issued(type_code="381", preceding_numbers=["F-1"], preceding_dates=["2026-03-01"])
    assert [link.invoice for link in links_of(note)] == [good]


@pytest.mark.parametrize(
    ("one", "other", "linked"),
    [
        ({"seller_name": "Müller GmbH"}, {"seller_name": "Brasserie Dubois SA"}, False),
        ({"seller_name": ""}, {"seller_name": ""}, False),
        ({"seller_name": "Müller GmbH"}, {"seller_name": "MULLER  GmbH."}, True),
        ({"seller_vat_number": "DE811569869"}, {"seller_vat_number": "BE0403170701"}, False),
        ({"seller_vat_number": "DE811569869", "seller_name": "Müller"}, {"seller_vat_number": "DE 811 569 869"}, True),
    ],
)
def test_sellers_without_a_siren_are_told_apart(one, other, linked):
    invoice = issued(number="F-1", seller_siren="", direction="received", **one)
    issued(type_code="381", preceding_numbers=["F-1"], seller_siren="", direction="received", **other)
    assert (bool(relations(invoice)), left(invoice, "211")["20"]) == (linked, "0.00" if linked else "120.00")


def test_cancellation_is_offered_on_the_year_that_was_corrected():
    old = issued(number="F-1", issue_date="2025-03-01")
    new = issued(number="F-1", issue_date="2026-03-01")
    corrective = issued(type_code="384", preceding_numbers=["F-1"], preceding_dates=["2025-03-01"])
    assert ["220" in services.next_statuses(each) for each in (old, new)] == [True, False]
    make_event(corrective, "213")
    assert "220" not in services.next_statuses(old)


def test_cancellation_is_not_offered_where_the_reference_is_open():
    both = [issued(number="F-1", issue_date=f"{year}-03-01") for year in (2025, 2026)]
    issued(type_code="384", preceding_numbers=["F-1"])
    assert ["220" in services.next_statuses(each) for each in both] == [False, False]


def test_second_invoice_of_a_number_and_year_is_shown():
    first, second = (issued(number="F-1") for _each in range(2))
    assert (relations(first), relations(second)) == ([("same_number", "F-1")], [("same_number", "F-1")])


# --- page and API -----------------------------------------------------------------------------------------------------


def test_page_shows_links_and_what_is_left(client):
    invoice = issued(number="F-1")
    issued(ONE_RATE, type_code="381", number="AV-1", preceding_numbers=["F-1"])
    client.force_login(make_user(invoice.customer, "reader"))
    page = client.get(f"/invoices/{invoice.pk}/", headers={"Accept-Language": "en"}).content.decode()
    assert ("AV-1" in page, "60.00" in page or "60,00" in page) == (True, True)


def test_api_tells_links_and_what_is_left(client):
    invoice = issued(number="F-1")
    note = issued(ONE_RATE, type_code="381", number="AV-1", preceding_numbers=["F-1"])
    received(invoice, ("5.50", "11.00"))
    client.force_login(make_user(invoice.customer, "reader"))
    body = client.get(f"/api/v1/invoices/{invoice.pk}/").json()
    (link,) = body["links"]
    assert {name: link[name] for name in ("relation", "number", "id", "type_code", "status", "total_with_vat")} == {
        "relation": "credited_by",
        "number": "AV-1",
        "id": str(note.pk),
        "type_code": "381",
        "status": "203",
        "total_with_vat": "60.00",
    }
    assert body["received"] == [
        {
            "vat_rate": "20.00",
            "currency": "EUR",
            "invoiced": "120.00",
            "credited": "60.00",
            "settled": "0.00",
            "left": "60.00",
        },
        {
            "vat_rate": "5.50",
            "currency": "EUR",
            "invoiced": "211.00",
            "credited": "0.00",
            "settled": "11.00",
            "left": "200.00",
        },
    ]
    assert [row["left"] for row in body["paid"]] == ["60.00", "211.00"]
