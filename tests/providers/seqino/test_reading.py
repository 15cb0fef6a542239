from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import httpx
import pytest

from providers.contract.base import Line, PermanentError, TemporaryError
from providers.formats.json_terms import company_of
from providers.seqino import tables

from .samples import (
    CLIENT,
    DATA,
    EVENTS,
    LINE,
    NOT_FOUND,
    OTHER_CLIENT,
    OTHER_LINE,
    OURS,
    RECEIVED,
    THEIRS,
    Lines,
    make_data,
    make_item,
    make_party,
    make_seqino,
    make_vat_number,
)

WORD = "InvoiceLifecycleStatus."


def read(*items):
    return make_seqino({EVENTS: (200, list(items))})[0].fetch_statuses(RECEIVED)


# --- statuses ---------------------------------------------------------------------------------------------------------


def test_every_word_of_an_invoice_is_the_code_of_its_place():
    names = ["DEPOSITED", "TRANSMITTED_BY_PLATFORM", "RECEIVED_BY_PLATFORM", "MADE_AVAILABLE", "ACKNOWLEDGED",
             "APPROVED", "PARTIALLY_APPROVED", "IN_DISPUTE", "SUSPENDED", "COMPLETED", "REFUSED",
             "PAYMENT_TRANSMITTED", "COLLECTED", "REJECTED"]  # fmt: skip
    assert [tables.find_status(WORD + name) for name in names] == [str(code) for code in range(200, 214)]


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("InvoiceLifecycleStatus.REJECTED", "213"),
        ("REJECTED", "213"),
        ("213", "213"),
        ("RegulatoryDataStatus.REJECTED", None),
        ("RegulatoryDataStatus.DEPOSITED", None),
        ("LifecycleStatusReporting.REJECTED", None),
        ("TransactionDataStatus.DEPOSITED", None),
        ("MandateLifecycleStatus.CREATED", None),
        ("FlowStatus.RECEIVABLE", None),
        ("invoicelifecyclestatus.rejected", None),
        ("InvoiceLifecycleStatus.REJECTED ", "213"),
        ("InvoiceLifecycleStatus", None),
        ("InvoiceLifecycleStatus.", None),
        ("999", None),
        ("300", None),
    ],
)
def test_word_is_matched_as_a_whole(word, code):
    (report,) = read(make_item(word))
    assert (report.status, report.native_status) == (code, word.strip())


def test_words_of_other_classes_say_what_they_are_about():
    notes = [report.note for report in read(make_item("RegulatoryDataStatus.REJECTED"), make_item("Unheard.OF"))]
    assert notes == [
        "About the invoice data for the administration (flow 1), not about the invoice itself.",
        "",
    ]


def test_events_are_told_oldest_first_and_untimed_ones_last():
    times = ["2026-10-06T14:03:00Z", None, "2026-10-06T14:03:00+02:00", "2026-10-05T00:00:00.5Z"]
    reports = read(*(make_item(timestamp=time) for time in times))
    assert [report.occurred_at for report in reports] == [
        datetime(2026, 10, 5, 0, 0, 0, 500000, tzinfo=UTC),
        datetime(2026, 10, 6, 12, 3, tzinfo=UTC),
        datetime(2026, 10, 6, 14, 3, tzinfo=UTC),
        None,
    ]


@pytest.mark.parametrize("written", ["2026-10-06", "yesterday", "", 17, "2026-13-45T99:00:00Z"])
def test_time_that_is_none(written):
    assert read(make_item(timestamp=written))[0].occurred_at is None


def test_time_without_a_zone_is_utc():
    assert read(make_item(timestamp="2026-10-06T14:03:00"))[0].occurred_at == datetime(2026, 10, 6, 14, 3, tzinfo=UTC)


def test_identity_is_code_time_and_emitter():
    same = [
        make_item(),
        make_item(timestamp="2026-10-06T16:03:00+02:00"),
        make_item("APPROVED", reason="said otherwise"),
    ]
    others = [make_item(emitter="PDPE"), make_item(timestamp="2026-10-06T14:03:01Z"), make_item(f"{WORD}REFUSED")]
    keys = {report.key for report in read(*same)}
    assert (len(keys), len(keys | {report.key for report in read(*others)})) == (1, 4)


def test_emitter_and_duty_are_kept():
    (report,) = read(make_item(f"{WORD}REFUSED", emitter="PDPR", is_mandatory=True))
    assert (report.emitter, report.ppf_duty, report.issuer_role) == ("PDPR", True, "BY")


@pytest.mark.parametrize("said", [False, None, "true", 1, 0])
def test_duty_is_true_or_none(said):
    assert not read(make_item(is_mandatory=said))[0].ppf_duty


def test_the_administration_speaks_for_itself():
    (report,) = read(make_item("RegulatoryDataStatus.ACCEPTED_BY_ADMINISTRATION", emitter="PPF"))
    assert (report.status, report.issuer_role) == ("250", "DFH")


@pytest.mark.parametrize(
    ("said", "reasons", "note"),
    [
        ({"rejection_reason": "DOUBLON", "reason": "déjà reçue"}, [("DOUBLON", "déjà reçue", "DOUBLON")], ""),
        ({"rejection_reason": "NEW_REASON"}, [("", "", "NEW_REASON")], ""),
        ({"reason": "Bon de livraison ?"}, [], "Bon de livraison ?"),
        ({}, [], ""),
    ],
)
def test_reasons(said, reasons, note):
    (report,) = read(make_item(f"{WORD}IN_DISPUTE", **said))
    assert [(each.code, each.text, each.native_code) for each in report.reasons] == reasons
    assert report.note == note


def test_items_without_a_word_are_left_out():
    assert read({"timestamp": "2026-10-06T14:03:00Z"}, "text", 7, None, {"status_code": None}) == ()


@pytest.mark.parametrize("answer", [{}, {"error": "x"}, None, "text", 7])
def test_answer_that_is_no_list_will_pass(answer):
    with pytest.raises(TemporaryError):
        make_seqino({EVENTS: (200, answer)})[0].fetch_statuses(RECEIVED)


def test_statuses_are_asked_for_by_both_parameters():
    seqino, far_end = make_seqino()
    seqino.fetch_statuses(RECEIVED)
    assert dict(far_end.requests[0].url.params) == {"object_type": "invoice", "object_id": RECEIVED}


# --- whose invoice it is ----------------------------------------------------------------------------------------------


def asked_clients(far_end):
    return [request.headers.get("x-pdp-client-id") for request in far_end.requests]


def test_client_of_the_invoices_line_is_named():
    lines = Lines([LINE, OTHER_LINE], **{RECEIVED: OTHER_LINE})
    seqino, far_end = make_seqino(lines=lines)
    seqino.fetch_statuses(RECEIVED)
    assert asked_clients(far_end) == [OTHER_CLIENT]


def test_client_that_the_push_names_comes_first():
    lines = Lines([LINE, OTHER_LINE], **{RECEIVED: LINE})
    seqino, far_end = make_seqino(lines=lines)
    seqino.acting_for(OTHER_CLIENT).fetch_statuses(RECEIVED)
    assert asked_clients(far_end) == [OTHER_CLIENT]
    assert seqino.acting == ""


@pytest.mark.parametrize("refused", [403, 404])
def test_unknown_invoice_is_asked_for_in_every_clients_name(refused):
    def answer(request):
        own = request.headers["x-pdp-client-id"] == OTHER_CLIENT
        return (200, make_data(buyer="812700557")) if own else (refused, {"error": "no", "code": refused})

    lines = Lines([LINE, OTHER_LINE])
    seqino, far_end = make_seqino({DATA: answer}, lines=lines)
    report = seqino.fetch_invoice(RECEIVED)
    seqino.fetch_statuses(RECEIVED)
    assert asked_clients(far_end) == [CLIENT, OTHER_CLIENT, OTHER_CLIENT]
    assert (report.direction, report.buyer.identifier) == ("received", "812700557")


def test_invoice_of_nobody_is_refused_after_all_were_tried():
    seqino, far_end = make_seqino({DATA: NOT_FOUND}, lines=Lines([LINE, OTHER_LINE]))
    with pytest.raises(PermanentError, match="t404"):
        seqino.fetch_invoice(RECEIVED)
    assert asked_clients(far_end) == [CLIENT, OTHER_CLIENT]


def test_other_refusals_are_not_tried_in_another_name():
    seqino, far_end = make_seqino({DATA: (500, {})}, lines=Lines([LINE, OTHER_LINE]))
    with pytest.raises(TemporaryError):
        seqino.fetch_invoice(RECEIVED)
    assert len(far_end.requests) == 1


def test_without_any_client_a_person_is_told():
    seqino, far_end = make_seqino(lines=Lines([Line(identifier=OURS)]))
    with pytest.raises(PermanentError, match="set one up"):
        seqino.fetch_statuses(RECEIVED)
    assert far_end.requests == []


# --- invoices ---------------------------------------------------------------------------------------------------------


def fetch(data, *lines):
    return make_seqino({DATA: (200, data)}, lines=Lines(lines or (LINE,)))[0].fetch_invoice(RECEIVED)


def test_received_invoice():
    report = fetch(make_data())
    assert (report.direction, report.number, report.type_code, report.currency) == (
        "received", "F-2026-0042", "380", "EUR",
    )  # fmt: skip
    assert (report.issue_date, report.due_date) == (date(2026, 10, 4), date(2026, 11, 3))
    assert report.total_with_vat == Decimal("1200.0")
    assert (report.seller.name, report.seller.siren, report.seller.vat_number) == (
        "Papeterie du Pont", THEIRS, make_vat_number(THEIRS),
    )  # fmt: skip


def test_our_party_is_put_on_the_line_of_the_client():
    assert fetch(make_data()).buyer.identifier == LINE.identifier


def test_line_of_the_exact_address_wins():
    other = Line(identifier=OURS, settings={"client_id": CLIENT})
    data = make_data(buyer=OURS)
    assert fetch(data, LINE, other).buyer.identifier == OURS


def test_two_clients_of_one_siren_keep_their_own_lines():
    of_other = Line(identifier=f"{OURS}_80011223700022", settings={"client_id": OTHER_CLIENT})
    seqino = make_seqino(lines=Lines([LINE, of_other]))[0].acting_for(OTHER_CLIENT)
    assert seqino.fetch_invoice(RECEIVED).buyer.identifier == of_other.identifier


@pytest.mark.parametrize(
    ("seller", "buyer", "direction"),
    [(THEIRS, OURS, "received"), (OURS, THEIRS, "issued"), (THEIRS, "812700557", "received"), (OURS, OURS, "received")],
)
def test_direction_follows_from_our_side(seller, buyer, direction):
    assert fetch(make_data(seller, buyer)).direction == direction


def test_exact_address_beats_the_same_company():
    data = make_data(OURS, OURS) | {"seller": make_party(OURS, "Dépôt", LINE.identifier)}
    assert fetch(data).direction == "issued"


@pytest.mark.parametrize("data", [{}, {"seller": None, "buyer": "text"}, {"seller": [], "invoice_lines": 7}])
def test_poor_data_is_still_an_invoice(data):
    report = fetch(data)
    assert (report.provider_ref, report.number, report.total_with_vat) == (RECEIVED, "", None)


@pytest.mark.parametrize("answer", [[], None, "text"])
def test_answer_that_is_no_invoice_will_pass(answer):
    with pytest.raises(TemporaryError):
        make_seqino({DATA: (200, answer)})[0].fetch_invoice(RECEIVED)


def test_totals_may_stand_in_a_group():
    data = make_data(tax_inclusive_amount=None, legal_monetary_total={"tax_inclusive_amount": "1200.00"})
    assert fetch(data).total_with_vat == Decimal("1200.00")


@pytest.mark.parametrize(
    ("party", "siren"),
    [
        ({"siren": OURS}, OURS),
        ({"electronic_address": {"scheme_id": "0225", "value": f"{OURS}_80011223700014"}}, OURS),
        ({"legal_registration": {"scheme_id": "0002", "value": "800 112 237"}}, OURS),
        ({"identifier": "80011223700014", "identifier_scheme": "0009"}, OURS),
        ({"tax_registrations": [{"scheme_id": "VAT", "company_id": f"FR13{OURS}"}]}, OURS),
        ({"vat_identifier": f"FR 13 {OURS}"}, OURS),
        ({"electronic_address": {"scheme_id": "0088", "value": "8001122370001"}}, ""),
        ({"tax_registrations": [{"scheme_id": "VAT", "value": "DE123456789"}]}, ""),
        ({"name": "800112237"}, ""),
    ],
)
def test_siren_of_a_party(party, siren):
    assert company_of(party).siren == siren


def test_what_is_kept_in_place_of_the_original():
    seqino, far_end = make_seqino()
    (file,) = seqino.fetch_files(RECEIVED)
    assert (file.kind, file.media_type, file.filename) == ("converted", "application/json", f"{RECEIVED}.json")
    assert file.content == httpx.Response(200, json=make_data()).content
    assert len(far_end.requests) == 1


def test_invoice_and_its_file_are_one_call():
    seqino, far_end = make_seqino()
    seqino.fetch_invoice(RECEIVED)
    seqino.fetch_files(RECEIVED)
    assert len(far_end.requests) == 1
    seqino.fetch_files(RECEIVED)  # not kept for long: it may have changed
    assert len(far_end.requests) == 2


@pytest.mark.parametrize("reference", ["../../clients", "", "a b", "x/../y"])
def test_reference_cannot_leave_its_place(reference):
    seqino, far_end = make_seqino()
    for call in (seqino.fetch_invoice, seqino.fetch_files, seqino.fetch_statuses):
        with pytest.raises(PermanentError):
            call(reference)
    assert far_end.requests == []


# --- directory --------------------------------------------------------------------------------------------------------

ENTRIES = [
    {"siren": OURS, "name": "Atelier Dupont"},
    {"siren": OURS, "siret": "80011223700014", "name": "Atelier Dupont", "addressable": False},
    {"siren": OURS, "siret": "80011223700014", "routing_identifier": "ACHATS", "routing_code_label": "Achats",
     "suffix": "never with a SIRET"},
    {"siren": OURS, "suffix": "DEPOT", "end_date": "2020-01-01"},
    {"name": "no number"},
]  # fmt: skip
DIRECTORY = f"GET /api/directory/{OURS}"


@pytest.mark.parametrize("shape", [ENTRIES, {"directory_entries": ENTRIES}, {"entries": ENTRIES}])
def test_directory_of_a_company(shape):
    found = make_seqino({DIRECTORY: (200, shape)})[0].search_directory(OURS)
    assert [(entry.identifier, entry.active) for entry in found] == [
        (OURS, True),
        (f"{OURS}_80011223700014", False),
        (f"{OURS}_80011223700014_ACHATS", True),
        (f"{OURS}_DEPOT", False),
    ]


@pytest.mark.parametrize(
    ("identifier", "count"),
    [("800 112 237", 4), ("80011223700014", 2), (f"{OURS}_80011223700014_ACHATS", 1), (f"{OURS}_ELSEWHERE", 0)],
)
def test_directory_is_searched_by_siren_siret_or_line(identifier, count):
    assert len(make_seqino({DIRECTORY: (200, ENTRIES)})[0].search_directory(identifier)) == count


def test_directory_does_not_know_it():
    assert make_seqino({DIRECTORY: NOT_FOUND})[0].search_directory(OURS) == ()


@pytest.mark.parametrize("identifier", ["", "12", "Dupont", "../clients"])
def test_directory_wants_a_siren(identifier):
    seqino, far_end = make_seqino()
    with pytest.raises(PermanentError):
        seqino.search_directory(identifier)
    assert far_end.requests == []


def test_lines_without_client_do_not_hide_the_others():
    bare = replace(LINE, identifier=OURS, settings={})
    seqino, far_end = make_seqino(lines=Lines([bare, LINE]))
    seqino.search_directory(OURS)
    assert asked_clients(far_end) == [CLIENT]


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("RegulatoryDataStatus.DEPOSITED", "250"),
        ("RegulatoryDataStatus.REFUSED_BY_ADMINISTRATION", "251"),
        ("LifecycleStatusReporting.REJECTED", "601"),
        ("FlowStatus.UNACCEPTABLE", "501"),
        ("DirectoryEntryStatus.REJECTED", None),
    ],
)
def test_answer_of_the_administration_has_its_code_and_nobody_elses(word, code):
    (answer,) = read(make_item(word, emitter="PPF"))
    (progress,) = read(make_item(word, emitter="PDPE"))

    assert (answer.status, progress.status) == (code, None)
    assert (answer.native_status, answer.issuer_role) == (word, "DFH")
