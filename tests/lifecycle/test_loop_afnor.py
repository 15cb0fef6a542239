"""The whole loop over real HTTP with a platform of XP Z12-013: each version of its contract, and every fault."""

from decimal import Decimal

import pytest
from django.utils import timezone

from invoices.models import Invoice, Validation
from lifecycle.inbox import polling, queue
from lifecycle.models import RelayState, RelayTask
from lifecycle.outbox import relays, submissions
from lifecycle.outbox.submissions import Submission
from providers.connections.registry import get_adapter
from providers.connections.services import open_hook
from providers.contract.base import File, InvoiceFacts, Party, Payment, Reason
from providers.formats import cdar
from providers.formats.en16931.writer import write_invoice
from providers.models import RefusedRequest, WebhookDelivery
from providers.sandbox.server import SandboxServer
from tests.factories import make_connection, make_customer, make_line, make_user
from tests.invoices.documents.issued import make_document

from .test_loop import SIREN, Desk

pytestmark = pytest.mark.django_db(transaction=True)

STATUS = "POST /afnor/flow-service/v1/flows$"


class AfnorDesk(Desk):
    def __init__(self, sandbox: SandboxServer, *, hooked: bool = True, **settings: object) -> None:
        self.sandbox = sandbox
        self.connection = make_connection(
            kind="afnor",
            settings={
                "flow_base_url": f"{sandbox.url}/afnor/flow-service",
                "directory_base_url": f"{sandbox.url}/afnor/directory-service",
                "token_url": f"{sandbox.url}/afnor/oauth2/token",
                "requests_per_second": 0,
                **settings,
            },
            secrets={"client_id": "navette", "client_secret": "s3cret"},
        )
        self.customer = make_customer(siren=SIREN)
        self.line = make_line(self.customer, self.connection, identifier=SIREN)
        self.approver = make_user(self.customer, "approver")
        open_hook(connection=self.connection)
        if hooked:
            get_adapter(self.connection).register_webhooks()

    def deposit(self, **wish: object) -> str:
        return super().deposit(dialect="afnor", **wish)

    def poll(self) -> int:
        self.connection.refresh_from_db()
        return polling.poll(self.connection)

    def flows(self) -> dict[str, object]:
        return self.sandbox.sandbox.dialect("afnor").state.flows


@pytest.fixture
def make_desk(live_server, settings):
    """A desk at a platform of this contract; `platform` are settings of the sandbox's dialect."""
    settings.PUBLIC_URL = live_server.url
    settings.LANGUAGE_CODE = "en"  # of the worker's threads, whose words are compared
    servers = []

    def make(contract="1.3", *, hooked=True, platform=None, general=None, **ours):
        quick = {"echo_delay": 0.1, "auto_react": True, "retry_scale": 0.0005, **(general or {})}
        wish = {"contract": contract, "ack_delay": 0.05, **(platform or {})}
        server = SandboxServer(settings={**quick, "afnor": wish}).__enter__()
        servers.append(server)
        return AfnorDesk(server, hooked=hooked, contract=contract, **ours)

    yield make
    for server in servers:
        server.__exit__()


@pytest.fixture
def desk(make_desk):
    return make_desk()


def settled(desk):
    """Nothing under way there, nothing undone here."""
    waiting = WebhookDelivery.objects.filter(state="received").exists()
    return not waiting and not desk.sandbox.sandbox.pending


def codes(invoice):
    return [event.status for event in invoice.status_events.order_by("occurred_at", "sequence")]


# --- the loop ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("contract", ["1.2", "1.3"])
def test_invoice_arrives_and_decisions_are_told_once_and_confirmed(make_desk, contract):
    desk = make_desk(contract)
    invoice = desk.receive()
    sent = [
        desk.decide(invoice, "204"),
        desk.decide(invoice, "207", reasons=(Reason(code="QTE_ERR", text="9 reçus sur 10"),), note="Voir le bon"),
        desk.decide(invoice, "205"),
        desk.decide(invoice, "211", payments=(Payment(amount=invoice.total_with_vat, vat_rate=Decimal(20)),)),
    ]
    desk.work(lambda: all(desk.state(relay) == RelayState.CONFIRMED for relay in sent))
    desk.work(lambda: settled(desk))

    ref = invoice.provider_ref
    assert desk.accepted() == {(ref, "204"): 1, (ref, "207"): 1, (ref, "205"): 1, (ref, "211"): 1}
    invoice.refresh_from_db()
    assert (invoice.status, invoice.document_state) == ("211", "read")
    assert codes(invoice) == ["202", "203", "204", "207", "205", "211"]
    assert not invoice.status_events.filter(unexpected=True).exists()
    assert sorted(invoice.documents.values_list("kind", flat=True)) == ["original", "readable"]


def test_loop_without_webhooks_goes_by_polling(make_desk):
    desk = make_desk("1.1", hooked=False)
    ref = desk.deposit()
    assert desk.poll() == 3
    desk.work(lambda: Invoice.objects.filter(provider_ref=ref, status="203").exists())
    relay = desk.decide(desk.invoice(ref), "205")
    desk.work(lambda: desk.state(relay) == RelayState.SENT)
    desk.sandbox.wait_idle()
    assert (desk.poll(), desk.poll()) == (1, 0)
    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)

    assert desk.accepted() == {(ref, "205"): 1}


def test_what_a_platform_says_is_a_valid_message(desk):
    desk.receive()
    desk.sandbox.wait_idle()

    messages = [flow.content for flow in desk.flows().values() if flow.syntax == "CDAR"]
    assert [str(cdar.check(content)) for content in messages] == ["", ""]


def test_supplier_completes_a_suspended_invoice(make_desk):
    desk = make_desk(general={"reactions": {"INBOUND": {"208": [["209", 0.2]]}, "OUTBOUND": {}}})
    invoice = desk.receive()
    desk.decide(invoice, "208", reasons=(Reason(code="JUSTIF_ABS", text="Bon de livraison ?"),))

    desk.work(lambda: desk.invoice(invoice.provider_ref).status == "209")
    assert invoice.status_events.get(status="209").issuer_role == "SE"


def test_status_set_elsewhere_by_our_own_side_is_recorded(desk):
    invoice = desk.receive()
    desk.sandbox.control("status", invoice=invoice.provider_ref, status="204")
    desk.work(lambda: desk.invoice(invoice.provider_ref).status == "204")

    event = invoice.status_events.get(status="204")
    assert (event.origin, event.issuer_role) == ("platform", "BY")


# --- what the checks of the platform say ------------------------------------------------------------------------------


def test_status_the_platform_turns_down_goes_to_a_person(desk):
    invoice = desk.receive()
    desk.sandbox.control("settings", afnor={"ack": "Error", "ack_reason": "InvoiceLCRuleError"})
    relay = desk.decide(invoice, "205")
    desk.work(lambda: desk.state(relay) == RelayState.FAILED)

    assert relay.last_error == "".join(
        [
            f"{desk.connection.name} did not take it: The status message breaks a rule of the platform. ",
            f"The check gave InvoiceLCRuleError (CDAR-205-{relay.pk.hex}.xml)",
        ]
    )
    assert desk.accepted() == {}


@pytest.fixture
def hand_in():
    """Hand an invoice of ours in, its file already checked."""

    def hand_in(desk, number):
        document = make_document(number=number)
        file = File(kind="original", content=write_invoice(document, "ubl"), filename=f"{number}.xml")
        relay, _new = submissions.hand_in(
            user=desk.approver, submission=Submission(line=desk.line, file=file, submit=True)
        )
        Validation.objects.filter(document=relay.document).update(state="done", outcome="valid")
        return relay

    return hand_in


def test_submitted_invoice_shows_its_acknowledgement_apart_from_its_statuses(make_desk, hand_in):
    desk = make_desk(general={"outbound_script": [["201", 0.1], ["205", 0.2], ["211", 0.3]]})
    relay = hand_in(desk, "V-1")
    desk.work(lambda: Invoice.objects.filter(number="V-1", status_events__status="211").exists())

    invoice = Invoice.objects.get()
    (ack,) = invoice.status_events.filter(status=None)
    assert (invoice.direction, ack.native_status) == ("issued", "Acknowledgement Ok")
    # Pushed a tenth of a second apart, they may overtake each other.
    assert sorted(event.status for event in invoice.status_events.filter(status__isnull=False)) == [
        "200",
        "201",
        "205",
        "211",
    ]
    assert invoice.status_events.get(status="211").payments != []
    assert desk.accepted() == {(f"{SIREN}|V-1|380", "submit"): 1}
    assert desk.state(relay) in (RelayState.SENT, RelayState.CONFIRMED)


@pytest.mark.parametrize("fault", ["cut_after", "server_error_after", "cut_before"])
def test_lost_answer_to_a_submission_is_looked_up(make_desk, hand_in, impatient, fault):
    desk = make_desk(shown_after=0, general={"auto_react": False})
    desk.sandbox.control("faults", kind=fault, path=STATUS)
    relay = hand_in(desk, "V-1")
    desk.work(lambda: desk.state(relay) in (RelayState.SENT, RelayState.CONFIRMED))
    desk.work(lambda: Invoice.objects.filter(status="200").exists())

    assert (desk.accepted(), Invoice.objects.count()) == ({(f"{SIREN}|V-1|380", "submit"): 1}, 1)


@pytest.mark.parametrize("hooked", [True, False], ids=["pushed", "looked up"])
def test_refused_submission_goes_to_a_person_who_may_try_again(make_desk, hand_in, monkeypatch, hooked):
    monkeypatch.setattr(relays, "CONFIRM_DELAYS", (100 if hooked else 0.3,) * 5)
    desk = make_desk(
        hooked=hooked, platform={"ack": "Error", "ack_reason": "VirusFound"}, general={"auto_react": False}
    )
    relay = hand_in(desk, "V-1")
    desk.work(lambda: desk.state(relay) == RelayState.FAILED)
    desk.work(lambda: settled(desk))
    why = "The antivirus found a virus in the file. The check gave VirusFound (V-1.xml)"
    short = "did not take the file." if hooked else "did not take it:"
    assert relay.last_error == f"{desk.connection.name} {short} {why}"

    desk.sandbox.control("settings", afnor={"ack": "Ok"})
    desk.sandbox.sandbox.dialect("afnor").state.seen.clear()  # what was refused may come again
    RelayTask.objects.update(state=RelayState.PENDING, next_attempt_at=timezone.now(), attempts=0)
    desk.work(lambda: desk.state(relay) == RelayState.SENT)
    desk.sandbox.wait_idle()
    desk.poll()
    desk.work(lambda: Invoice.objects.filter(status="200").exists())
    assert (desk.state(relay), Invoice.objects.count()) == (RelayState.CONFIRMED, 1)


def test_refused_file_of_other_software_is_noted_with_the_reasons(desk):
    desk.sandbox.control("settings", afnor={"ack": "Error", "ack_reason": "VirusFound"})
    facts = InvoiceFacts(
        provider_ref="", direction="issued", number="V-1", type_code="380", issue_date=None,
        seller=Party(siren=SIREN), buyer=Party(siren="905334413"),
    )  # fmt: skip
    file = File(kind="original", content=write_invoice(make_document(number="V-1"), "ubl"), filename="V-1.xml")
    receipt = get_adapter(desk.connection).submit_invoice(file, facts)
    desk.work(lambda: WebhookDelivery.objects.filter(state="ignored", key__contains=receipt.reference).exists())

    row = WebhookDelivery.objects.get(state="ignored", key__contains=receipt.reference)
    assert row.error == (
        f"{desk.connection.name} refused file V-1.xml, which is no invoice of ours: "
        "The antivirus found a virus in the file. The check gave VirusFound (V-1.xml)"
    )
    assert Invoice.objects.count() == 0


# --- misbehaviours: calls ---------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(relays, "LOOK_UP_DELAYS", (0.1, 0.1, 0.1))
    monkeypatch.setattr(relays, "RETRY_DELAYS", (0.1,) * 5)
    monkeypatch.setattr(queue, "RETRY_DELAYS", (0.1,) * 8)


@pytest.mark.parametrize(("fault", "hidden"), [("cut_after", 0), ("server_error_after", 2)])
def test_lost_answer_is_looked_up_by_tracking_id_not_repeated(make_desk, impatient, fault, hidden):
    desk = make_desk(general={"echo_delay": 0.5}, platform={"hide_after_post": hidden})
    invoice = desk.receive()
    desk.sandbox.control("faults", kind=fault, path=STATUS)
    relay = desk.decide(invoice, "205")
    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)

    assert desk.accepted() == {(invoice.provider_ref, "205"): 1}
    assert relay.tries.filter(kind="send").count() == 1


@pytest.mark.parametrize("fault", ["cut_before", "server_error", "unauthorized_once", "rate_limited"])
def test_call_that_was_not_accepted_is_made_again(make_desk, impatient, fault):
    desk = make_desk(shown_after=0, read_timeout=1, upload_timeout=1)
    invoice = desk.receive()
    desk.sandbox.control("faults", kind=fault, path=STATUS, delay=0.2)
    relay = desk.decide(invoice, "205")
    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)

    assert desk.accepted() == {(invoice.provider_ref, "205"): 1}


def test_status_sent_twice_all_the_same_counts_once(make_desk, impatient):
    """The platform never shows what it took: sent again, it knows the message by its content."""
    desk = make_desk(shown_after=0, general={"echo_delay": 1.5}, platform={"hide_after_post": 4})
    invoice = desk.receive()
    desk.sandbox.control("faults", kind="cut_after", path=STATUS)
    relay = desk.decide(invoice, "205")
    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)
    desk.work(lambda: settled(desk))

    assert relay.tries.filter(kind="send").count() == 2
    assert (desk.state(relay), desk.accepted()) == (RelayState.CONFIRMED, {(invoice.provider_ref, "205"): 1})


def test_token_that_expires_in_the_middle_is_renewed(make_desk):
    desk = make_desk(platform={"token_seconds": 61})
    invoice = desk.receive()
    desk.sandbox.sandbox.dialect("afnor").state.tokens.clear()
    relay = desk.decide(invoice, "205")
    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)


@pytest.mark.parametrize("fault", ["server_error", "cut_before", "unauthorized_once"])
def test_flow_that_cannot_be_fetched_is_fetched_later(desk, impatient, fault):
    times = 1 if fault == "unauthorized_once" else 2  # twice in one call says that the account is wrong
    desk.sandbox.control("faults", kind=fault, path="GET .*flows/", times=times)
    assert desk.receive().document_state == "read"


def test_broken_document_loses_no_invoice(make_desk):
    desk = make_desk(platform={"transmission_statuses": False})
    desk.sandbox.control("faults", kind="broken_document")
    ref = desk.deposit()
    desk.work(lambda: Invoice.objects.filter(provider_ref=ref).exists())

    assert desk.invoice(ref).document_state == "unreadable"


# --- misbehaviours: pushes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contract", "fault"),
    [
        ("1.2", "unsigned"),
        ("1.2", "wrong_token"),
        ("1.3", "unsigned"),
        ("1.3", "wrong_signature"),
        ("1.3", "stale_signature"),
        ("1.3", "malformed_body"),
    ],
)
def test_spoiled_push_is_refused_and_its_retry_taken(make_desk, contract, fault):
    desk = make_desk(contract)
    desk.sandbox.control("faults", kind=fault, path="SupplierInvoice$")
    desk.receive()

    refused = list(RefusedRequest.objects.values_list("status_code", flat=True))
    assert refused == [400 if fault == "malformed_body" else 401]


@pytest.mark.parametrize("fault", ["late", "twice", "out_of_order"])
def test_push_late_twice_or_out_of_order_changes_nothing(desk, fault):
    desk.sandbox.control("faults", kind=fault, path="SupplierInvoice$", delay=0.3)
    invoice = desk.receive()
    desk.work(lambda: settled(desk))

    assert codes(invoice) == ["202", "203"]
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"processed"}


def test_unknown_status_is_kept_as_the_platform_says_it(desk):
    invoice = desk.receive()
    desk.sandbox.control("faults", kind="unknown_status")
    desk.sandbox.control("status", invoice=invoice.provider_ref, status="209")
    desk.work(lambda: desk.invoice(invoice.provider_ref).status == "209")
    desk.work(lambda: settled(desk))

    assert invoice.status_events.get(status=None).native_status == "XYZ"


def test_status_of_an_unknown_invoice_waits_and_stops_nobody(desk):
    invoice = desk.receive()
    desk.sandbox.control("faults", kind="unknown_invoice")
    desk.sandbox.control("status", invoice=invoice.provider_ref, status="209")
    desk.work(lambda: desk.invoice(invoice.provider_ref).status == "209")
    desk.work(lambda: settled(desk))

    waiting = WebhookDelivery.objects.get(state="quarantined")
    assert waiting.waits_for.startswith(f"{invoice.seller_siren}/INCONNUE-")


def test_missing_echo_is_found_by_the_next_poll(desk):
    invoice = desk.receive()
    desk.sandbox.control("faults", kind="no_echo")
    relay = desk.decide(invoice, "205")
    desk.work(lambda: desk.state(relay) == RelayState.SENT)
    desk.sandbox.wait_idle()
    assert desk.poll() == 1
    desk.work(lambda: desk.state(relay) == RelayState.CONFIRMED)


def test_signature_variant_is_learned_from_the_first_push(make_desk):
    desk = make_desk(platform={"signature_variant": "C"})
    desk.receive()
    desk.connection.refresh_from_db()
    assert desk.connection.memory["signature_variant"] == "C"

    desk.sandbox.control("settings", afnor={"signature_variant": "A"})
    desk.deposit()
    desk.work(lambda: RefusedRequest.objects.exists())
    assert RefusedRequest.objects.first().status_code == 401
