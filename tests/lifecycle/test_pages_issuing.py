"""The page on which files are handed in, with and without script."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from invoices.models import Invoice, Validation
from lifecycle.decisions import services
from lifecycle.history import events
from lifecycle.models import RelayTask
from lifecycle.outbox import relays
from providers.contract.base import Capabilities
from providers.formats.en16931.writer import write_invoice
from tests.factories import OTHER_SIREN, SIREN, make_connection, make_customer, make_line, make_user
from tests.invoices.documents.issued import make_document
from tests.pages import inline_code, parse, texts

pytestmark = pytest.mark.django_db
ADDRESS = "/issuing/"


@pytest.fixture
def line(platform):
    return make_line(make_customer(name="Atelier Dupont"), make_connection("scripted"))


@pytest.fixture
def approver(client, line):
    client.force_login(make_user(line.customer, "approver"))
    return client


def upload(name: str = "facture.xml", content: bytes | None = None, **values: Any) -> SimpleUploadedFile:
    content = write_invoice(make_document(**values), "ubl") if content is None else content
    return SimpleUploadedFile(name, content, "text/xml")


def post(client: Any, *files: SimpleUploadedFile, **given: Any) -> Any:
    headers = given.pop("headers", {})
    return client.post(ADDRESS, {"files": list(files), "line": SIREN} | given, headers=headers)


def faults(response: Any) -> list[str]:
    return texts(response, "//*[@class='upload-fault']")


def test_page_offers_the_lines_that_take_invoices(approver, line, platform):
    response = approver.get(ADDRESS)
    assert texts(response, "//form[@data-upload]//select/option") == [f"Atelier Dupont – {SIREN} (Scripted platform)"]
    assert inline_code(response) == []


def test_platform_that_takes_nothing_is_not_offered(approver, line, platform):
    platform.capabilities = Capabilities()
    response = approver.get(ADDRESS)
    assert texts(response, "//form[@data-upload]") == []


def test_many_files_have_a_result_each(approver, line):
    response = post(approver, upload(), upload("b.xml", number="F-2"), upload("c.xml", b"{}"), submit="on")
    assert texts(response, "//*[@class='upload-name']") == ["facture.xml", "b.xml", "c.xml"]
    assert texts(response, "//*[@class='upload-what']/a") == ["F-2026-0042", "F-2"]
    assert len(faults(response)) == 1
    assert set(RelayTask.objects.values_list("state", flat=True)) == {"pending"}


def test_same_file_twice_in_one_go_is_taken_once_and_names_the_first(approver, line):
    response = post(approver, upload(), upload("copy.xml"))
    assert Invoice.objects.count() == 1
    (link,) = texts(response, "//*[@class='upload-fault']/a")
    assert link


def test_one_file_by_script_is_answered_by_its_row_alone(approver, line):
    response = post(approver, upload(), headers={"X-One-File": "1"})
    relay = RelayTask.objects.get()
    assert (response.status_code, relay.state) == (200, "awaiting_approval")
    assert response.content.decode().strip().startswith("<li")
    assert texts(response, "//*[@class='upload-name']") == ["facture.xml"]


def test_row_is_asked_again_until_all_is_known(approver, line, platform):
    post(approver, upload(), submit="on")
    relay = RelayTask.objects.get()
    address = f"/issuing/files/{relay.pk}/"
    assert "hx-get" in approver.get(address).content.decode()
    Validation.objects.update(state="done", outcome="valid")
    Invoice.objects.update(validation="valid")
    relays.drain()
    relay.refresh_from_db()
    assert (relay.state, "hx-get" in approver.get(address).content.decode()) == ("sent", True)
    events.confirm_submission(relay.invoice)
    assert "hx-get" not in approver.get(address).content.decode()


def test_nothing_chosen_is_said(approver, line):
    response = post(approver)
    assert (response.status_code, len(texts(response, "//*[@role='alert']"))) == (422, 1)


def test_line_of_somebody_else_is_refused(approver, line):
    make_line(make_customer(OTHER_SIREN), line.connection)
    assert post(approver, upload(), line=OTHER_SIREN).status_code == 422
    assert Invoice.objects.count() == 0


def test_clerk_prepares_and_is_not_offered_to_send(client, line):
    client.force_login(make_user(line.customer, "clerk"))
    assert texts(client.get(ADDRESS), "//input[@name='submit']") == []
    post(client, upload(), submit="on")
    assert RelayTask.objects.get().state == "awaiting_approval"


def test_approver_of_another_customer_sends_nothing_here(client, line):
    user = make_user(line.customer, "clerk")
    other = make_line(make_customer(OTHER_SIREN), line.connection)
    other.customer.memberships.create(user=user, role="approver")
    client.force_login(user)
    response = post(client, upload(), submit="on")
    assert (len(faults(response)), Invoice.objects.count()) == (1, 0)


def test_reader_and_nobody_have_no_such_page(client, line):
    assert client.get(ADDRESS).status_code == 302
    client.force_login(make_user(line.customer, "reader"))
    assert client.get(ADDRESS).status_code == 403


def test_row_of_a_stranger_does_not_exist(client, approver, line):
    post(approver, upload())
    client.force_login(make_user(make_customer(OTHER_SIREN), "administrator"))
    assert client.get(f"/issuing/files/{RelayTask.objects.get().pk}/").status_code == 404


def test_invoice_page_shows_the_submission_and_its_buttons(approver, line):
    post(approver, upload())
    invoice = Invoice.objects.get()
    response = approver.get(f"/invoices/{invoice.pk}/")
    relay = RelayTask.objects.get()
    assert texts(response, f"//button[@id='relay-{relay.pk}-release']") != []
    assert texts(response, f"//button[@id='relay-{relay.pk}-undo']") != []


def section_of(client: Any, relay: RelayTask) -> tuple[list[str], list[str]]:
    """Where the worklist shows it, and with which buttons."""
    page = client.get("/", headers={"Accept-Language": "en"})
    row = f"//tr[th/a[@href='/invoices/{relay.invoice_id}/']]"
    titles = [each.text.strip() for each in parse(page).xpath(f"//section[.{row}]/h2")]
    return titles, texts(page, f"{row}//button")


@pytest.mark.parametrize(
    ("role", "four_eyes", "shown"),
    [
        ("approver", False, (["To release"], ["Send to the platform", "Withdraw"])),
        ("approver", True, (["With colleagues"], ["Withdraw"])),
        ("clerk", False, (["With colleagues"], ["Withdraw"])),
    ],
)
def test_own_prepared_invoice_waits_for_who_may_send_it(client, line, role, four_eyes, shown):
    type(line.customer).objects.update(four_eyes=four_eyes)
    client.force_login(make_user(line.customer, role))
    post(client, upload())
    assert section_of(client, RelayTask.objects.get()) == shown


@pytest.mark.parametrize("outcome", ["invalid", "unreadable"])
def test_file_that_breaks_the_rules_is_withdrawn_and_never_offered_to_be_sent(approver, line, outcome):
    post(approver, upload())
    Invoice.objects.update(validation=outcome)
    relay = RelayTask.objects.get()
    assert section_of(approver, relay) == (["Stuck on the way"], ["Withdraw"])
    help_text = texts(approver.get("/", headers={"Accept-Language": "en"}), "//*[contains(@class, 'relay-help')]")
    assert help_text == [
        "It cannot be sent like this. Withdraw it, correct the file, and issue it under the same number."
    ]

    services.cancel(user=relay.prepared_by, relay_id=relay.pk)
    assert section_of(approver, relay) == ([], [])
    assert texts(approver.get(f"/invoices/{relay.invoice_id}/"), "//button[contains(@id, 'relay-')]") == []
