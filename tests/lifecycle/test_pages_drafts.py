"""The form on which invoices are written: saved as it is typed, looked up, issued, and by whom."""

from __future__ import annotations

from typing import Any

import pytest

from invoices.drafting import prefill
from invoices.models import Invoice, InvoiceDraft, Validation
from lifecycle.decisions import services
from lifecycle.models import RelayTask
from lifecycle.outbox import relays
from providers.contract.base import DirectoryEntry, TemporaryError
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_event, make_line, make_user
from tests.invoices.drafting.test_drafts import TYPED
from tests.pages import inline_code, parse, texts

pytestmark = pytest.mark.django_db


@pytest.fixture
def line(platform):
    customer = make_customer(name="Atelier Dupont", vat_number="FR13800112237")
    return make_line(customer, make_connection("scripted"))


@pytest.fixture
def approver(client, line):
    client.force_login(make_user(line.customer, "approver"))
    return client


@pytest.fixture
def draft(approver, line) -> InvoiceDraft:
    response = approver.post("/issuing/drafts/", {"line": SIREN})
    draft = InvoiceDraft.objects.get()
    assert response.headers["Location"] == address(draft)
    return draft


def address(draft: InvoiceDraft) -> str:
    return f"/issuing/drafts/{draft.pk}/"


def type_in(client: Any, draft: InvoiceDraft, *, htmx: bool = False, **values: str) -> Any:
    draft.refresh_from_db()
    data = draft.data | TYPED | {"version": str(draft.version), "tab": "one"} | values
    return client.post(address(draft), data, headers={"HX-Request": "true"} if htmx else {})


def lacking(response: Any) -> list[str]:
    return [link.get("href") for link in parse(response).xpath("//ul[@class='lacks']//a")]


def test_new_draft_is_prefilled_with_what_the_law_wants(approver, draft):
    response = approver.get(address(draft))
    assert inline_code(response) == []
    notes = parse(response).xpath("//textarea[starts-with(@name, 'note_')]")
    assert [bool((note.text or "").strip()) for note in notes] == [True, True, True]
    assert "#draft-number" in lacking(response)


def test_typing_is_saved_and_answered_with_the_totals_alone(approver, draft):
    response = type_in(approver, draft, htmx=True)
    draft.refresh_from_db()
    assert (draft.number, draft.party_name, str(draft.total_with_vat)) == (
        "F-2026-0042",
        "Papeterie du Pont",
        "120.01",
    )
    assert (texts(response, "//input[@name='number']"), lacking(response)) == ([], [])
    assert parse(response).xpath("//input[@id='draft-version']/@value") == [str(draft.version)]


def test_what_is_half_typed_is_kept_as_it_is(approver, draft):
    type_in(approver, draft, htmx=True, issue_date="2026-1", **{"lines-0-price": "12,"})
    response = approver.get(address(draft))
    assert parse(response).xpath("//input[@name='issue_date']/@value") == ["2026-1"]
    assert parse(response).xpath("//input[@name='lines-0-price']/@value") == ["12,"]


def test_another_window_is_told_and_overwrites_nothing(approver, draft):
    first = draft.version
    type_in(approver, draft, htmx=True)
    response = type_in(approver, draft, htmx=True, number="OTHER", tab="two", version=str(first))
    draft.refresh_from_db()
    assert (response.status_code, draft.number) == (409, "F-2026-0042")
    assert len(texts(response, "//*[@role='alert']")) == 1


def test_saving_while_typing_presses_no_button(approver, draft):
    type_in(approver, draft, htmx=True, do="add:lines")
    draft.refresh_from_db()
    assert draft.data["lines-count"] == "1"


def test_what_was_sent_before_a_button_does_not_overtake_it(approver, draft):
    seen = str(draft.version)
    type_in(approver, draft, do="add:lines")
    late = type_in(approver, draft, htmx=True, version=seen, **{"lines-count": "1"})
    draft.refresh_from_db()
    assert (late.status_code, draft.data["lines-count"]) == (409, "2")


def test_what_was_typed_in_a_stale_window_is_shown_and_kept_on_demand(approver, draft):
    seen = str(draft.version)
    type_in(approver, draft, htmx=True, number="FIRST")
    stale = type_in(approver, draft, number="SECOND", tab="two", version=seen, do="prepare")
    draft.refresh_from_db()
    assert (stale.status_code, draft.number) == (409, "FIRST")
    assert parse(stale).xpath("//input[@name='number']/@value") == ["SECOND"]
    assert parse(stale).xpath("//input[@name='version']/@value") == [seen]
    type_in(approver, draft, number="SECOND", tab="two", version=seen, do="keep")
    draft.refresh_from_db()
    assert draft.number == "SECOND"


def test_lines_are_added_and_removed_without_script(approver, draft):
    response = type_in(approver, draft, do="add:lines")
    assert response.headers["Location"] == f"{address(draft)}#lines"
    draft.refresh_from_db()
    assert (draft.data["lines-count"], draft.data["lines-1-vat"]) == ("2", "S:20")
    type_in(approver, draft, do="remove:lines:0", **{"lines-count": "2", "lines-1-name": "Second"})
    draft.refresh_from_db()
    assert (draft.data["lines-count"], draft.data["lines-0-name"]) == ("1", "Second")


def test_directory_is_asked_and_an_address_chosen(approver, draft, platform):
    entry = DirectoryEntry(
        identifier=f"{OTHER_SIREN}_COMPTA", siren=OTHER_SIREN, name="Papeterie du Pont", platform="P"
    )
    closed = DirectoryEntry(identifier=f"{OTHER_SIREN}_OLD", siren=OTHER_SIREN, active=False)
    platform.answer("directory", (entry, closed))
    response = type_in(approver, draft, do="look-up")
    (button,) = parse(response).xpath("//ul[@class='directory']//button")
    type_in(approver, draft, do=button.get("value"))
    draft.refresh_from_db()
    assert draft.data["other_address"] == f"{OTHER_SIREN}_COMPTA"
    assert ("directory", OTHER_SIREN) in platform.asked


@pytest.mark.parametrize("answer", [(), TemporaryError("The directory is down.")])
def test_directory_without_an_answer_is_said(approver, draft, platform, answer):
    platform.answer("directory", answer)
    assert len(texts(type_in(approver, draft, do="look-up"), "//*[@role='alert']")) == 1


def test_draft_is_issued_and_sent(approver, draft, platform):
    response = type_in(approver, draft, do="send", syntax="ubl")
    invoice = Invoice.objects.get()
    assert response.headers["Location"] == f"/invoices/{invoice.pk}/"
    Validation.objects.update(state="done", outcome="valid")
    relays.drain()
    invoice.refresh_from_db()
    assert (invoice.number, invoice.provider_ref) == ("F-2026-0042", "p-F-2026-0042")
    assert approver.get(address(draft)).headers["Location"] == f"/invoices/{invoice.pk}/"


def test_incomplete_draft_is_not_issued(approver, draft):
    response = type_in(approver, draft, do="send", number="")
    assert (response.status_code, lacking(response), Invoice.objects.count()) == (422, ["#draft-number"], 0)


def test_number_given_before_is_told_while_typing(approver, draft, line):
    type_in(approver, draft, do="prepare", syntax="ubl")
    approver.post("/issuing/drafts/", {"line": SIREN})
    second = InvoiceDraft.objects.get(invoice=None)
    assert lacking(type_in(approver, second, htmx=True)) == ["#draft-number"]


def test_clerk_prepares_and_does_not_send(client, line):
    clerk = make_user(line.customer, "clerk")
    client.force_login(clerk)
    client.post("/issuing/drafts/", {"line": SIREN})
    draft = InvoiceDraft.objects.get()
    assert texts(client.get(address(draft)), "//button[@value='send']") == []
    assert type_in(client, draft, do="send", syntax="ubl").status_code == 403
    type_in(client, draft, do="prepare", syntax="ubl")
    assert RelayTask.objects.get().state == "awaiting_approval"


def test_withdrawn_invoice_leads_back_to_its_draft(approver, draft):
    type_in(approver, draft, do="prepare", syntax="ubl")
    relay = RelayTask.objects.get()
    reopen = f"{address(draft)}reopen/"
    approver.post(reopen)
    draft.refresh_from_db()
    assert draft.invoice == relay.invoice
    services.cancel(user=make_user(draft.line.customer, "approver"), relay_id=relay.pk)
    page = approver.get(f"/invoices/{relay.invoice_id}/")
    assert parse(page).xpath(f"//form[@action='{reopen}']") != []
    approver.post(reopen)
    assert type_in(approver, draft, do="prepare", syntax="ubl", number="F-2026-0042").status_code == 302
    assert Invoice.objects.filter(holds_number=True).count() == 1


def test_preview_shows_the_invoice(approver, draft):
    type_in(approver, draft, htmx=True)
    for headers in ({}, {"HX-Request": "true"}):
        response = approver.get(f"{address(draft)}preview/", headers=headers)
        assert "Réglage d&#x27;établi" in response.content.decode()
        assert inline_code(response) == []


def test_draft_is_deleted(approver, draft):
    asked = type_in(approver, draft, do="delete")
    assert (InvoiceDraft.objects.count(), parse(asked).xpath("//input[@name='do']/@value")) == (1, ["delete"])
    approver.post(address(draft), {"do": "delete", "confirmed": "yes"})
    assert InvoiceDraft.objects.count() == 0


@pytest.mark.parametrize(("role", "status"), [("reader", 404), ("clerk", 200)])
def test_draft_is_seen_by_those_who_may_write(client, draft, role, status):
    client.force_login(make_user(draft.line.customer, role))
    assert client.get(address(draft)).status_code == status


def test_stranger_has_no_draft_and_no_line(client, draft):
    client.force_login(make_user(make_customer(OTHER_SIREN), "administrator"))
    for where in (address(draft), f"{address(draft)}preview/"):
        assert client.get(where).status_code == 404
    assert client.post("/issuing/drafts/", {"line": SIREN}).status_code == 404
    assert client.post(f"{address(draft)}reopen/").status_code == 404


# --- what follows an invoice ------------------------------------------------------------------------------------------


@pytest.fixture
def issued(approver, draft) -> Invoice:
    type_in(approver, draft, do="prepare", syntax="cii")
    invoice = Invoice.objects.get()
    for status in ("200", "203"):
        make_event(invoice, status)
    return invoice


@pytest.mark.parametrize(("kind", "type_code"), [("credit-note", "381"), ("corrective", "384")])
def test_credit_note_and_corrective_are_begun_from_the_invoice(approver, issued, kind, type_code):
    page = approver.get(f"/invoices/{issued.pk}/")
    follow = f"/invoices/{issued.pk}/follow/{kind}/"
    assert parse(page).xpath(f"//form[@action='{follow}']") != []
    approver.post(follow)
    draft = InvoiceDraft.objects.get(invoice=None)
    assert (draft.data["type_code"], draft.data["references-0-number"]) == (type_code, "F-2026-0042")
    assert draft.party_name == "Papeterie du Pont"


def test_only_a_deposit_has_a_final_invoice(approver, issued):
    assert approver.post(f"/invoices/{issued.pk}/follow/final/").status_code == 403
    assert approver.post(f"/invoices/{issued.pk}/follow/nothing/").status_code == 404
    assert prefill.following_type("386", "final") == "380"


def test_reader_begins_nothing(client, issued):
    client.force_login(make_user(issued.customer, "reader"))
    assert client.post(f"/invoices/{issued.pk}/follow/credit-note/").status_code == 403
