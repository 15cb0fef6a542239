"""From the form to a file that every rule lets pass, for each type and frame; and what a draft still lacks."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoices.drafting import prefill, services
from invoices.drafting.checks import lacks
from invoices.drafting.compose import compose
from invoices.drafting.forms import DraftForm, NumberField, with_row, without_row
from invoices.drafting.services import EditedElsewhere
from invoices.drafting.tables import CREDIT_NOTE_OF, FRAMES, PAID_FRAMES, vat_choices
from invoices.models import AddressingLine, Customer
from invoices.validation import validate
from providers.formats.en16931.labels import CREDIT_NOTE_TYPES, DOCUMENT_TYPES
from providers.formats.en16931.reader import read_invoice
from providers.formats.en16931.writer import write_invoice
from providers.norm.codes import CORRECTIVE_TYPES
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_line, make_user
from tests.invoices.documents.issued import make_document

pytestmark = pytest.mark.django_db

# What a person adds to the blank form.
TYPED = {
    "number": "F-2026-0042",
    "own_street": "1 rue de la Paix",
    "own_post_code": "75002",
    "own_city": "Paris",
    "other_siren": OTHER_SIREN,
    "other_name": "Papeterie du Pont",
    "other_vat_number": "FR60905334413",
    "other_street": "3 quai Nord",
    "other_post_code": "44000",
    "other_city": "Nantes",
    "iban": "FR76 3000 6000 0112 3456 7890 189",
    "lines-0-name": "Réglage d'établi",
    "lines-0-quantity": "3",
    "lines-0-price": "33,335",
}
EARLIER = {"references-count": "1", "references-0-number": "F-1", "references-0-issue_date": "2026-09-01"}


@pytest.fixture
def line(db):
    customer = make_customer(name="Atelier Dupont", vat_number="FR13800112237")
    return make_line(customer, make_connection("fake"))


def data(line: Any, **values: str) -> dict[str, str]:
    return prefill.blank(line) | TYPED | values


def composed(line: Any, **values: str) -> Any:
    return compose(DraftForm(data(line, **values)), line)


def fields_lacking(line: Any, **values: str) -> list[str]:
    return [lack.field for lack in lacks(composed(line, **values))]


def values_of_type(type_code: str) -> dict[str, str]:
    values = {"type_code": type_code, "payee_name": "Affactureur SA", "payee_siren": "552100554"}
    if type_code == "262":
        return values | {"contract_reference": "CT-7", "period_start": "2026-01-01", "period_end": "2026-10-31"}
    return values | (EARLIER if type_code in CREDIT_NOTE_TYPES | CORRECTIVE_TYPES else {})


# --- what is made of the form -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", ["ubl", "cii"])
@pytest.mark.parametrize("type_code", sorted(DOCUMENT_TYPES))
def test_form_of_every_type_makes_a_file_that_follows_the_rules(line, type_code, syntax):
    values = values_of_type(type_code)
    assert fields_lacking(line, **values) == []
    verdict = validate(write_invoice(composed(line, **values), syntax))
    assert [(finding.rule, finding.places) for finding in verdict.findings] == []


@pytest.mark.parametrize("frame", FRAMES)
def test_form_of_every_frame_makes_a_file_that_follows_the_rules(line, frame):
    assert fields_lacking(line, process=frame) == []
    verdict = validate(write_invoice(composed(line, process=frame), "ubl"))
    assert [(finding.rule, finding.places) for finding in verdict.findings] == []


VARIED = {
    "extras and discount": {
        "lines-0-discount": "10", "extras-count": "2", "extras-0-kind": "allowance", "extras-0-percentage": "5",
        "extras-0-vat": "S:20", "extras-1-kind": "charge", "extras-1-amount": "7,50", "extras-1-vat": "S:20",
    },
    "franchise": {"lines-0-vat": "E", "exemption_reason": "Franchise", "exemption_code": "VATEX-FR-FRANCHISE"},
    "reverse charge": {"lines-0-vat": "AE"},
    "zero rate": {"lines-0-vat": "Z"},
    "dollars": {"currency": "USD", "vat_in_euro": "18,40"},
    "prepaid": {"prepaid": "20", "rounding": "-0,01"},
    "SIRET": {"own_siret": "80011223700014", "other_siret": "90533441300002"},
    "cheque": {"means": "20"},
    "delivery, period, references": {
        "delivered_on": "2026-11-20", "period_start": "2026-11-01", "period_end": "2026-11-30", "note": "Merci",
        "order_reference": "PO-1", "contract_reference": "CT", "buyer_reference": "SRV", "tax_point_code": "432",
    },
    "contact": {"own_contact": "Comptabilité", "own_phone": "0102030405", "own_email": "compta@example.test"},
}  # fmt: skip


@pytest.mark.parametrize("syntax", ["ubl", "cii"])
@pytest.mark.parametrize("values", [pytest.param(values, id=name) for name, values in VARIED.items()])
def test_varied_form_makes_a_file_that_follows_the_rules(line, values, syntax):
    assert fields_lacking(line, **values) == []
    verdict = validate(write_invoice(composed(line, **values), syntax))
    assert [(finding.rule, finding.places) for finding in verdict.findings] == []


def test_totals_follow_what_is_typed(line):
    document = composed(line)
    assert (document.total_without_vat, document.total_vat, document.amount_due) == (
        Decimal("100.01"),
        Decimal("20.00"),
        Decimal("120.01"),
    )


def test_invoice_already_paid_has_nothing_left_to_pay(line):
    for frame in PAID_FRAMES:
        document = composed(line, process=frame)
        assert (document.prepaid, document.amount_due) == (Decimal("120.01"), Decimal("0.00"))


def test_self_billing_swaps_the_parties(line):
    document = composed(line, type_code="389")
    assert (document.seller.siren, document.buyer.siren) == (OTHER_SIREN, SIREN)


def test_every_vat_of_the_list_can_be_chosen(line):
    for choice, _label in vat_choices():
        document = composed(line, **{"lines-0-vat": choice})
        assert prefill.vat_choice(document.lines[0].vat_category, document.lines[0].vat_rate) == choice


def test_facturx_is_made_too(line):
    author = make_user(line.customer, "clerk")
    draft = services.begin(user=author, line=line, data=data(line, syntax="factur-x"))
    file = services.file_of(draft, "fr")
    assert (file.filename, file.media_type) == ("F-2026-0042.pdf", "application/pdf")
    assert read_invoice(file.content).number == "F-2026-0042"


# --- what is lacking --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"number": ""}, "number"),
        ({"number": "F 42"}, "number"),
        ({"issue_date": ""}, "issue_date"),
        ({"due_date": "2020-01-01"}, "due_date"),
        ({"own_city": ""}, "own_street"),
        ({"other_siren": "905334410"}, "other_siren"),
        ({"other_siret": "80011223700014"}, "other_siret"),
        ({"other_name": ""}, "other_name"),
        ({"other_address": "800112237"}, "other_address"),
        ({"iban": "FR76 3000 6000 0112 3456 7890 188"}, "iban"),
        ({"type_code": "381"}, "references-0-number"),
        ({"type_code": "384"}, "references-0-number"),
        ({"type_code": "381"} | EARLIER | {"references-0-issue_date": ""}, "references-0-number"),
        ({"type_code": "262"}, "contract_reference"),
        ({"type_code": "393"}, "payee_name"),
        ({"type_code": "386", "process": "S4"}, "process"),
        ({"currency": "USD"}, "vat_in_euro"),
        ({"lines-0-vat": "E"}, "exemption_reason"),
        ({"note_PMD": ""}, "note_PMD"),
        ({"lines-0-name": ""}, "lines-0-name"),
        ({"lines-0-price": "-1", "lines-0-quantity": "-3"}, "lines-0-price"),
        ({"lines-0-quantity": ""}, "lines-0-quantity"),
        ({"lines-0-quantity": "0"}, "lines-0-quantity"),
        ({"lines-0-quantity": "-3"}, "type_code"),
        ({"issue_date": "0206-11-03"}, "issue_date"),
        ({"issue_date": "2926-11-03", "due_date": "2926-12-03"}, "issue_date"),
        ({"lines-count": "0"}, "lines-0-name"),
    ],
)
def test_what_is_lacking_is_told_with_its_field(line, values, field):
    assert fields_lacking(line, **values) == [field]


def test_what_cannot_be_understood_is_told_and_left_out(line):
    form = DraftForm(data(line, issue_date="tomorrow", **{"lines-0-quantity": "three"}))
    assert [field for field, _message in form.field_faults()] == ["issue_date", "lines-0-quantity"]
    assert compose(form, line).issue_date is None


OWN_LINE = AddressingLine(identifier=SIREN, customer=Customer(siren=SIREN))
FIELDS = [*DraftForm.base_fields, "lines-count", "lines-0-price", "lines-0-quantity", "extras-count", "extras-0-amount"]


@given(st.dictionaries(st.sampled_from(FIELDS), st.one_of(st.text(), st.integers().map(str)), max_size=8))
def test_nothing_typed_breaks_the_form(typed):
    form = DraftForm({"lines-count": "1", "extras-count": "1"} | TYPED | typed)
    document = compose(form, OWN_LINE)
    assert len(list(lacks(document))) + len(form.field_faults()) > 0
    write_invoice(document, "ubl")


@pytest.mark.parametrize(
    ("typed", "number"),
    [("1 120,50", "1120.50"), ("1\u202f120,50", "1120.50"), ("1,120.50", "1120.50"), ("0.5", "0.5"), ("-3", "-3")],
)
def test_numbers_are_read_as_people_write_them(typed, number):
    assert NumberField("", 2).clean(typed) == Decimal(number)


# --- rows -------------------------------------------------------------------------------------------------------------


def test_row_added_takes_over_unit_and_vat():
    changed = with_row({"lines-count": "1", "lines-0-unit": "HUR", "lines-0-vat": "S:10"}, "lines")
    assert changed == {
        "lines-count": "2", "lines-0-unit": "HUR", "lines-0-vat": "S:10", "lines-1-unit": "HUR", "lines-1-vat": "S:10",
    }  # fmt: skip


def test_row_removed_closes_the_gap():
    rows = {"lines-count": "3", "lines-0-name": "a", "lines-1-name": "b", "lines-2-name": "c", "number": "1"}
    assert without_row(rows, "lines", 1) == {
        "lines-count": "2", "lines-0-name": "a", "lines-1-name": "c", "number": "1",
    }  # fmt: skip


# --- keeping ----------------------------------------------------------------------------------------------------------


def test_two_windows_do_not_overwrite_each_other(line):
    draft = services.begin(user=make_user(line.customer, "clerk"), line=line, data=data(line))
    saved = services.save(draft_id=draft.pk, data=data(line, number="A"), version=1, tab="one")
    with pytest.raises(EditedElsewhere):
        services.save(draft_id=draft.pk, data=data(line, number="B"), version=1, tab="two")
    # The same window goes on even where an answer was lost.
    services.save(draft_id=draft.pk, data=data(line, number="C"), version=1, tab="one")
    draft.refresh_from_db()
    assert (saved.version, draft.number, draft.version) == (2, "C", 3)


def test_next_draft_remembers_what_the_customer_always_writes(line):
    services.begin(user=make_user(line.customer, "clerk"), line=line, data=data(line, note_AAB="2 % sous 8 jours"))
    again = prefill.blank(line)
    assert (again["own_city"], again["iban"], again["note_AAB"]) == ("Paris", TYPED["iban"], "2 % sous 8 jours")
    assert {"number", "other_name", "lines-0-name"} & set(again) == set()


@pytest.mark.parametrize("kind", ["credit-note", "corrective"])
def test_draft_that_follows_an_invoice_is_ready_but_for_its_number(line, kind):
    document = make_document()
    prefilled = prefill.following(line, document, kind) | {"number": "AV-1"}
    found = compose(DraftForm(prefilled), line)
    assert list(lacks(found)) == []
    assert found.type_code == {"credit-note": "381", "corrective": "384"}[kind]
    assert [(row.number, row.issue_date) for row in found.preceding_invoices] == [("F-2026-0042", date(2026, 11, 21))]
    assert (found.total_with_vat, found.vat_breakdown) == (document.total_with_vat, document.vat_breakdown)
    assert validate(write_invoice(found, "ubl")).is_sendable


def test_final_invoice_takes_the_deposit_off(line):
    deposit = make_document(type_code="386")
    prefilled = prefill.following(line, deposit, "final")
    typed = {"number": "F-9", "lines-0-name": "Tout", "lines-0-quantity": "1", "lines-0-price": "500"}
    found = compose(DraftForm(prefilled | typed), line)
    assert (found.process, found.type_code, found.prepaid, found.amount_due) == (
        "S4",
        "380",
        Decimal("120.01"),
        Decimal("479.99"),
    )
    assert validate(write_invoice(found, "cii")).is_sendable


def test_credit_note_of_each_type_is_a_credit_note():
    assert set(CREDIT_NOTE_OF.values()) <= CREDIT_NOTE_TYPES
