"""Answers that speak of no invoice: of a file (501), of a status (601), of the data for the administration (251)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.translation import override

from lifecycle.decisions import services
from lifecycle.decisions.services import AlreadySettled
from lifecycle.decisions.wishes import Wish
from lifecycle.history import answers, events
from lifecycle.inbox import deliveries
from lifecycle.models import RelayState, RelayTask
from lifecycle.outbox import relays
from providers.contract.base import Delivery, InvoiceKey, Payment, Reason, Receipt, StatusReport
from providers.models import WebhookDelivery
from tests.factories import (
    OTHER_SIREN,
    make_connection,
    make_customer,
    make_event,
    make_invoice,
    make_token,
    make_user,
)

pytestmark = pytest.mark.django_db

UNSPLIT = Reason(code="REJ_ENCAISSEMENT", text="Montant non réparti.", rule="G7.45", place="MDT-215")
DOUBLED = Reason(code="DOUBLON")
PAID = (Payment(amount=Decimal(1200), vat_rate=Decimal(20)),)


@pytest.fixture(autouse=True)
def far_end(platform):
    platform.answer("send", Receipt(confirmed=True))
    return platform


@pytest.fixture
def connection():
    return make_connection("scripted")


@pytest.fixture
def approver():
    return make_user(make_customer(), "approver")


@pytest.fixture
def issued(connection):
    return make_invoice(
        direction="issued", connection=connection, number="FA-1", seller_siren=OTHER_SIREN, statuses=["200", "205"]
    )


def tell(invoice, user, status="212"):
    payments = PAID if status == "212" else ()
    reasons = (Reason(code="TX_TVA_ERR"),) if status == "210" else ()
    wish = Wish(status=status, payments=payments, reasons=reasons, sure=True)
    relay, _is_new = services.issue_status(user=user, invoice_id=invoice.pk, wish=wish)
    relays.drain()
    relay.refresh_from_db()
    return relay


def hear(connection, far_end, **report):
    """A push that brings this answer; the delivery it became."""
    told = StatusReport(**{"provider_ref": "", "key": f"{timezone.now()}", "issuer_role": "DFH"} | report)
    far_end.answer("fetch_delivery", Delivery(key="", statuses=(told,)))
    row = WebhookDelivery.objects.create(
        connection=connection, key=f"n{timezone.now()}", url="", body=b'{"key": "n", "at": "n"}'
    )
    deliveries.drain()
    row.refresh_from_db()
    return row


def their_name(relay, *, hyphens=True, suffix="", name="{}"):
    text = str(relay.pk) if hyphens else relay.pk.hex
    return name.format(text) + suffix


# --- 601: a status ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "named",
    [{}, {"suffix": "-PPF"}, {"hyphens": False}, {"hyphens": False, "name": "CDAR-212-{}.xml"}],
    ids=["id", "copy", "tracking", "file"],
)
def test_status_turned_down_goes_back_to_a_person(connection, far_end, issued, approver, named):
    relay = tell(issued, approver)
    assert relay.state == RelayState.CONFIRMED
    row = hear(connection, far_end, status="601", answers=their_name(relay, **named), reasons=(UNSPLIT,))
    relay.refresh_from_db()
    issued.refresh_from_db()

    assert (row.state, relay.state, issued.status, issued.alert) == ("processed", RelayState.FAILED, "212", "")
    assert relay.refused_by == issued.status_events.get(status="601")
    assert (relay.sent_at, relay.confirmed_at) == (None, None)


def test_what_is_wrong_and_what_to_do_is_said(connection, far_end, issued, approver):
    relay = tell(issued, approver)
    with override("fr"):
        hear(connection, far_end, status="601", answers=str(relay.pk), reasons=(UNSPLIT,))
    relay.refresh_from_db()

    assert relay.last_error == (
        "Encaissement non réparti par taux de TVA – Montant non réparti. (règle G7.45, champ MDT-215)\n"
        "Abandonnez-la, puis déclarez de nouveau l’encaissement avec un montant par taux de TVA de la facture."
    )


def test_clock_of_a_status_turned_down_runs_again(connection, far_end, issued, approver):
    relay = tell(issued, approver)
    RelayTask.objects.update(deadline_at=timezone.now() - timedelta(days=3))
    moment = timezone.now().replace(microsecond=0) - timedelta(hours=2)
    hear(connection, far_end, status="601", answers=str(relay.pk), occurred_at=moment)
    relay.refresh_from_db()

    assert relay.deadline_at == moment + timedelta(hours=24)


def test_receipt_turned_down_is_given_up_and_told_again(connection, far_end, issued, approver):
    relay = tell(issued, approver)
    hear(connection, far_end, status="601", answers=str(relay.pk), reasons=(UNSPLIT,))
    services.cancel(user=approver, relay_id=relay.pk)
    issued.refresh_from_db()
    assert issued.status == "205"
    again = tell(issued, approver)

    assert (again.state, again.refused_by) == (RelayState.CONFIRMED, None)
    assert [message.status for message in far_end.told] == ["212", "212"]


def test_same_answer_again_changes_nothing(connection, far_end, issued, approver):
    relay = tell(issued, approver)
    for _time in range(2):
        hear(connection, far_end, status="601", answers=str(relay.pk), key="PPF-F6-1")
    assert issued.status_events.filter(status="601").count() == 1
    services.cancel(user=approver, relay_id=relay.pk)
    hear(connection, far_end, status="601", answers=str(relay.pk), key="PPF-F6-1")
    relay.refresh_from_db()

    assert relay.state == RelayState.CANCELLED


def test_platform_that_still_shows_the_status_does_not_confirm_it_again(connection, far_end, issued, approver):
    relay = tell(issued, approver)
    hear(connection, far_end, status="601", answers=str(relay.pk))
    make_event(issued, "212", issuer_role="SE", occurred_at=timezone.now())
    relay.refresh_from_db()

    assert relay.state == RelayState.FAILED


def test_message_the_platform_named_itself_is_found(connection, far_end, issued, approver):
    relay = tell(issued, approver)
    moment = relay.event.occurred_at.astimezone(answers.PARIS)
    name = f"FA-1_212_{moment:%Y%m%d%H%M%S}#380_20260908"
    hear(connection, far_end, status="601", answers=name)
    relay.refresh_from_db()

    assert relay.state == RelayState.FAILED


@pytest.mark.parametrize("status", ["210", "212"])
def test_platform_that_names_the_invoice_means_its_one_status(connection, far_end, approver, status):
    issued = status == "212"
    invoice = make_invoice(direction="issued" if issued else "received", connection=connection, statuses=["203", "204"])
    relay = tell(invoice, approver, status)
    hear(connection, far_end, status="601", provider_ref=invoice.provider_ref)
    relay.refresh_from_db()

    assert relay.state == RelayState.FAILED


def test_of_two_receipts_a_person_says_which(connection, far_end, issued, approver):
    told = [tell(issued, approver), tell(issued, approver)]
    hear(connection, far_end, status="601", provider_ref=issued.provider_ref, reasons=(UNSPLIT,))
    issued.refresh_from_db()

    assert {RelayTask.objects.get(pk=relay.pk).state for relay in told} == {RelayState.CONFIRMED}
    assert issued.alert == "601"


def test_answer_to_nothing_of_ours_waits_for_a_person_with_its_reasons(connection, far_end, issued):
    with override("fr"):
        row = hear(connection, far_end, status="601", answers="somebody's own", reasons=(UNSPLIT,))

    assert (row.state, issued.status_events.filter(status="601").count()) == ("quarantined", 0)
    assert "“somebody's own”" in row.error or "« somebody's own »" in row.error
    assert "Encaissement non réparti par taux de TVA" in row.error


# --- 501: a file ------------------------------------------------------------------------------------------------------


def submission(invoice, user, **values):
    document = invoice.documents.create(kind="original", sha256="1" * 64, size=1, filename="FA-1.xml")
    return RelayTask.objects.create(
        kind="invoice", invoice=invoice, connection=invoice.connection, document=document, prepared_by=user,
        sequence=0, **{"state": "sent", "receipt": {"reference": "flow-7"}} | values,
    )  # fmt: skip


@pytest.mark.parametrize("named", ["flow-7", "FA-1.xml", "FA-1"])
def test_file_of_ours_that_could_not_be_read_goes_back_to_a_person(connection, far_end, approver, named):
    invoice = make_invoice(direction="issued", connection=connection, number="FA-1", provider_ref="flow-7")
    relay = submission(invoice, approver)
    hear(connection, far_end, status="501", answers=named, reasons=(Reason(code="IRR_SYNTAX"),))
    relay.refresh_from_db()
    invoice.refresh_from_db()

    assert (relay.state, invoice.status, invoice.provider_ref, invoice.alert) == ("failed", None, "", "")


def test_file_that_was_sent_twice_leaves_the_invoice_and_its_submission(connection, far_end, issued, approver):
    relay = submission(issued, approver, state="confirmed")
    hear(connection, far_end, status="501", answers="FA-1", reasons=(Reason(code="IRR_UNICITE"),))
    relay.refresh_from_db()
    issued.refresh_from_db()

    assert (relay.state, issued.status, issued.alert) == ("confirmed", "205", "501")


def test_status_message_that_could_not_be_read_was_not_told(connection, far_end, issued, approver):
    relay = tell(issued, approver)
    hear(connection, far_end, status="501", answers=f"CDAR-212-{relay.pk.hex}.xml")
    relay.refresh_from_db()

    assert relay.state == RelayState.FAILED


# --- 251, 250: the data for the administration ------------------------------------------------------------------------


def test_data_turned_down_is_an_alert_until_they_are_taken(connection, far_end, issued):
    key = InvoiceKey(seller_siren=OTHER_SIREN, number="FA-1", issue_date=date(2026, 10, 5))
    hear(connection, far_end, status="251", invoice_key=key, reasons=(Reason(code="REJ_SEMAN", rule="G1.05"),))
    issued.refresh_from_db()
    assert (issued.status, issued.alert) == ("205", "251")

    hear(connection, far_end, status="250", invoice_key=key, occurred_at=timezone.now() + timedelta(minutes=1))
    issued.refresh_from_db()
    assert (issued.status, issued.alert) == ("205", "")


def test_invoice_is_found_by_the_number_alone_where_the_answer_quotes_it(connection, far_end, issued):
    key = InvoiceKey(seller_siren="", number="FA-1", is_quoted=True)
    hear(connection, far_end, status="251", invoice_key=key)
    issued.refresh_from_db()

    assert issued.alert == "251"


def test_page_says_what_was_found_by_a_quoted_number_alone(connection, far_end, issued, client):
    client.force_login(make_user(issued.customer, "reader"))
    hear(connection, far_end, status="251", invoice_key=InvoiceKey(seller_siren=OTHER_SIREN, number="FA-1"))
    assert "trouvée par le numéro" not in client.get(f"/invoices/{issued.pk}/").content.decode()
    key = InvoiceKey(seller_siren="", number="FA-1", is_quoted=True)
    hear(connection, far_end, status="250", invoice_key=key)
    assert client.get(f"/invoices/{issued.pk}/").content.decode().count("trouvée par le numéro que cite son texte") == 1
    rows = client.get(f"/api/v1/invoices/{issued.pk}/events/").json()["results"]
    assert [row["status"] for row in rows if row["is_by_quote"]] == ["250"]


def test_number_quoted_of_two_sellers_finds_neither(connection, far_end, issued):
    make_invoice(connection=connection, number="FA-1", seller_siren="403112071")
    row = hear(
        connection, far_end, status="251", invoice_key=InvoiceKey(seller_siren="", number="FA-1", is_quoted=True)
    )

    assert row.state == "quarantined"


def test_number_given_again_after_a_rejection_means_the_new_invoice(connection, far_end):
    name = {"connection": connection, "number": "FA-9", "seller_siren": OTHER_SIREN, "direction": "issued"}
    make_invoice(statuses=["213"], **name)
    again = make_invoice(statuses=["200"], **name)
    key = InvoiceKey(seller_siren=OTHER_SIREN, number="FA-9")
    hear(connection, far_end, status="203", invoice_key=key, issuer_role="WK")
    again.refresh_from_db()

    assert again.status == "203"


# --- what a person settles --------------------------------------------------------------------------------------------


@pytest.fixture
def rejected(issued):
    event = make_event(issued, "213", issuer_role="WK", reasons=[DOUBLED], occurred_at=timezone.now())
    issued.refresh_from_db()
    return event


def test_rejection_of_another_transmission_is_settled_by_who_looked(issued, rejected):
    clerk = make_user(issued.customer, "clerk")
    assert issued.alert == "213"
    services.settle_answer(user=clerk, event_id=rejected.pk)
    issued.refresh_from_db()

    assert (issued.status, issued.alert) == ("205", "")
    assert issued.status_events.get(status=None).actor == clerk
    with pytest.raises(AlreadySettled):
        services.settle_answer(user=clerk, event_id=rejected.pk)


def test_approver_says_that_it_is_this_invoice_that_was_rejected(issued, rejected, approver):
    issued.holds_number = True
    issued.save()
    with pytest.raises(PermissionDenied):
        services.settle_answer(user=make_user(issued.customer, "clerk"), event_id=rejected.pk, is_rejected=True)
    services.settle_answer(user=approver, event_id=rejected.pk, is_rejected=True)
    issued.refresh_from_db()

    assert (issued.status, issued.alert, issued.holds_number) == ("213", "", False)
    assert events.find_break(issued) == ""


def test_other_answers_say_nothing_of_the_invoice_itself(issued, approver):
    event = make_event(issued, "251", occurred_at=timezone.now())
    with pytest.raises(AlreadySettled):
        services.settle_answer(user=approver, event_id=event.pk, is_rejected=True)


def test_words_of_an_alert(issued, rejected):
    late = replace(StatusReport(provider_ref="", status="213"), reasons=(Reason(code="REJ_SEMAN"),), key="x")
    unclear = events.record_report(issued.pk, replace(late, occurred_at=datetime(2027, 1, 1, tzinfo=UTC)))
    with override("en"):
        doubled, other = map(answers.alert_text, (rejected, unclear))

    assert doubled.startswith("A platform rejected another transmission of this invoice.")
    assert doubled.endswith("Duplicate invoice")
    assert other.startswith(
        "A platform rejected a transmission of this invoice although the parties are at work on it."
    )


# --- where it is seen -------------------------------------------------------------------------------------------------


@pytest.fixture
def api(approver, client):
    headers = {"Authorization": f"Token {make_token(approver)}"}

    def api(path, body=None):
        if body is None:
            return client.get(f"/api/v1/{path}", headers=headers)
        return client.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)

    return api


def test_api_shows_what_an_event_speaks_of_and_what_waits_for_a_person(issued, rejected, api):
    make_event(
        issued, "251", occurred_at=timezone.now(), reasons=[Reason(code="REJ_SEMAN", rule="G1.05", place="BT-1")]
    )
    shown = api(f"invoices/{issued.pk}/").json()
    rows = api(f"invoices/{issued.pk}/events/").json()["results"]

    assert (shown["status"], shown["alert"], "205" in shown["next_statuses"]) == ("205", "251", False)
    assert [row["status"] for row in shown["alerts"]] == ["213", "251"]
    assert [(row["status"], row["about"]) for row in rows] == [
        ("200", "invoice"), ("205", "invoice"), ("213", "another transmission"), ("251", "regulatory data"),
    ]  # fmt: skip
    assert rows[-1]["reasons"] == [{"code": "REJ_SEMAN", "text": "", "rule": "G1.05", "place": "BT-1"}]


def test_api_settles_an_answer_once(issued, rejected, api):
    where = f"invoices/{issued.pk}/events/{rejected.pk}/settle/"
    answer = api(where, {"is_rejected": True})
    assert (answer.status_code, answer.json()["status"]) == (200, "213")
    assert api(where, {}).status_code == 409
    assert api(f"invoices/{issued.pk}/").json()["status"] == "213"


def test_page_tells_what_happened_and_lets_a_person_settle_it(issued, rejected, approver, client):
    client.force_login(approver)
    here = f"/invoices/{issued.pk}/"
    page = client.get(here).content.decode()
    assert "Une plateforme a rejeté un autre envoi de cette facture." in page
    assert "concerne : un autre envoi de la facture" in page
    assert "Réponses à examiner" in client.get("/").content.decode()
    client.post(f"{here}answers/{rejected.pk}/")

    page = client.get(here).content.decode()
    assert "Une plateforme a rejeté un autre envoi" not in page
    assert "Réponses à examiner" not in client.get("/").content.decode()


def test_stranger_settles_nothing(issued, rejected, client):
    client.force_login(make_user())
    assert client.post(f"/invoices/{issued.pk}/answers/{rejected.pk}/").status_code == 404


def test_relay_turned_down_says_so_on_the_page_and_in_the_api(connection, far_end, issued, approver, client, api):
    relay = tell(issued, approver)
    hear(connection, far_end, status="601", answers=str(relay.pk), reasons=(UNSPLIT,))
    client.force_login(approver)
    page = client.get(f"/invoices/{issued.pk}/").content.decode()

    assert "pour l’administration, il n’a jamais été dit" in page
    assert "(règle G7.45, champ MDT-215)" in page
    shown = api(f"relays/{relay.pk}/").json()
    assert (shown["state"], shown["refused_by"]) == ("failed", str(issued.status_events.get(status="601").pk))
