"""What a platform says later of a message it had taken in, and what an adapter is told to look it up."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from invoices.register.services import store_document
from lifecycle.decisions import services
from lifecycle.decisions.wishes import Wish
from lifecycle.inbox import deliveries
from lifecycle.models import RelayTask
from lifecycle.outbox import relays
from providers.contract.base import Delivery, File, Receipt, UncertainError, Verdict
from providers.models import WebhookDelivery
from tests.factories import make_connection, make_invoice, make_user
from tests.scripted import Scripted

from .relaying import begin, ended

pytestmark = pytest.mark.django_db

SAMPLE = Path(__file__).parent.parent / "samples" / "invoices" / "invoice.ubl.xml"


@pytest.fixture(autouse=True)
def far_end(platform):
    return platform


@pytest.fixture
def connection():
    return make_connection("scripted")


@pytest.fixture
def decide(connection):
    user = make_user(is_superuser=True)

    def decide(status="204", **values):
        invoice = make_invoice(connection=connection, statuses=["203"], **values)
        return services.issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status=status))[0]

    return decide


@pytest.fixture
def hear(connection, far_end):
    """A push that points to these verdicts."""

    def hear(*verdicts, connection=connection):
        far_end.answer("fetch_delivery", Delivery(key="", verdicts=verdicts))
        body = b'{"key": "n", "at": "n"}'
        WebhookDelivery.objects.create(connection=connection, key=f"n{timezone.now()}", url="", body=body)
        deliveries.drain()

    return hear


def outcome(relay):
    relay = RelayTask.objects.get(pk=relay.pk)
    return relay.state, relay.last_error, relay.next_attempt_at is None


def look_up(relay):
    RelayTask.objects.update(next_attempt_at=timezone.now())
    relays.drain()
    return outcome(relay)


REFUSED = ("failed", "Its amounts do not add up.", True)


def verdict(relay, is_accepted, **values):
    return Verdict(message_id=str(relay.pk), is_accepted=is_accepted, text="Its amounts do not add up.", **values)


@pytest.mark.parametrize("send", [Receipt(), UncertainError("Cut.")], ids=["sent", "uncertain"])
@pytest.mark.parametrize(("is_accepted", "after"), [(True, ("confirmed", "", True)), (False, REFUSED)])
def test_verdict_ends_what_was_told(decide, hear, far_end, send, is_accepted, after):
    far_end.answer("send", send)
    relay = decide()
    relays.drain()
    hear(verdict(relay, is_accepted))

    assert outcome(relay) == after


def test_confirmed_relay_stays_confirmed(decide, hear, far_end):
    far_end.answer("send", Receipt(confirmed=True))
    relay = decide()
    relays.drain()
    hear(verdict(relay, is_accepted=False))

    assert outcome(relay) == ("confirmed", "", True)


def test_what_was_not_told_yet_has_no_verdict(decide, hear):
    relay = decide()
    hear(verdict(relay, is_accepted=False))

    assert outcome(relay)[0] == "pending"


def test_verdict_of_another_connection_or_software_changes_nothing(decide, hear):
    relay = decide()
    relays.drain()
    hear(verdict(relay, is_accepted=False), connection=make_connection("scripted"))
    hear(Verdict(message_id="erp-7", is_accepted=False))

    assert outcome(relay)[0] == "sent"
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"processed"}


def test_verdict_quicker_than_our_own_answer_stays(decide, hear):
    relay = decide()
    claim, spoke_at = begin(relay)
    hear(verdict(relay, is_accepted=False))
    ended(claim, spoke_at, receipt=Receipt(reference="late"))

    assert outcome(relay) == REFUSED


@pytest.mark.parametrize("send", [Receipt(), UncertainError("Cut.")], ids=["sent", "uncertain"])
def test_refusal_found_by_looking_goes_to_a_person(decide, far_end, send):
    far_end.answer("send", send)
    far_end.answer("find", Receipt(refused=True, text="Its amounts do not add up."))
    relay = decide()
    relays.drain()

    assert look_up(relay) == REFUSED


def test_look_up_knows_when_it_was_told_last(decide, far_end):
    asked = []
    far_end.answer("send", lambda message: asked.append(message.told_at) or UncertainError("Cut."))
    far_end.answer("find", lambda message: asked.append(message.told_at))
    relay = decide()
    relays.drain()
    RelayTask.objects.update(spoke_at=timezone.now() - timedelta(minutes=3))
    look_up(relay)

    assert asked == [None, RelayTask.objects.get().spoke_at]


@pytest.mark.parametrize("wanted", [True, False])
def test_addresses_are_read_from_the_document_where_an_adapter_wants_them(
    decide, far_end, monkeypatch, wanted, transactional_db
):
    monkeypatch.setattr(Scripted, "wants_addresses", wanted)
    relay = decide()
    content = SAMPLE.read_bytes()
    store_document(invoice=relay.invoice, file=File(kind="original", content=content, media_type="application/xml"))
    relays.drain()

    (told,) = far_end.told
    arrived = relay.invoice.status_events.get(status="203").occurred_at
    seller, buyer = told.invoice.seller, told.invoice.buyer
    assert (told.invoice.received_at, bool(seller.identifier), bool(buyer.identifier)) == (
        (arrived, True, True) if wanted else (None, False, False)
    )


def test_unreadable_document_keeps_no_status_back(decide, far_end, monkeypatch, transactional_db):
    monkeypatch.setattr(Scripted, "wants_addresses", True)
    relay = decide()
    store_document(invoice=relay.invoice, file=File(kind="original", content=b"no invoice"))
    relays.drain()

    assert (outcome(relay)[0], far_end.told[0].invoice.seller.identifier) == ("sent", "")
