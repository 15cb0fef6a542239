"""The adapter against the sandbox platform, over real HTTP: two readings of Billit's pages that share no code."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import httpx
import pytest

from providers.base import (
    Account,
    Bell,
    Delivery,
    File,
    HookError,
    HookRequest,
    InvoiceFacts,
    Line,
    Party,
    Payment,
    PermanentError,
    Reason,
    Reply,
    ShortVault,
    StatusMessage,
    TemporaryError,
    UncertainError,
)
from providers.billit import oauth, tables
from providers.billit.adapter import Billit
from providers.billit.hooks import vault_name
from providers.sandbox.server import SandboxServer
from tests.providers.fakes import Memory, Tokens

from .samples import Lines

OURS, THEIRS = "800112237", "905334413"
HOOK_URL = "https://navette.example.test/hooks/billit/{}/"
URLS = {OURS: HOOK_URL.format("l1"), THEIRS: HOOK_URL.format("l2")}
LINES = {
    OURS: Line(identifier=OURS, settings={"registration_id": "8001"}),
    THEIRS: Line(identifier=THEIRS, settings={"registration_id": "8002"}),
}


class Door:
    """Our webhook view without its database: serves, verifies, reads, answers."""

    def __init__(self) -> None:
        self.adapter: Billit
        self.deliveries: list[Delivery] = []
        self.served: list[Reply] = []
        self.refused: list[int] = []
        self.bodies: list[bytes] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        identifier = next(line for line, url in URLS.items() if str(request.url).startswith(url))
        pushed = HookRequest(
            method=request.method,
            url=str(request.url),
            headers=dict(request.headers),
            body=request.content,
            received_at=datetime.now(UTC),
            line=LINES[identifier],
            rest=str(request.url).removeprefix(URLS[identifier]).strip("/"),
        )
        try:
            if (reply := self.adapter.serve(pushed)) is not None:
                self.served.append(reply)
                return httpx.Response(reply.status_code)
            self.adapter.verify_webhook(pushed)
            self.deliveries.append(self.adapter.parse_webhook(pushed))
            self.bodies.append(pushed.body)
        except HookError as error:
            self.refused.append(error.status_code)
            return httpx.Response(error.status_code)
        return httpx.Response(204)

    @property
    def bells(self) -> list[Bell]:
        return [bell for delivery in self.deliveries for bell in delivery.bells]

    @property
    def words(self) -> list[str]:
        return [bell.hint.native_status for bell in self.bells if bell.hint]


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def sandbox(door: Door) -> Iterator[SandboxServer]:
    settings = {"echo_delay": 0, "retry_scale": 0.0001, "auto_react": False}
    with SandboxServer(settings=settings, transport=httpx.MockTransport(door)) as server:
        yield server


def make(sandbox: SandboxServer, client: httpx.Client, **settings) -> Billit:
    account = Account(
        id=f"sandbox {time.monotonic()}",
        name="sandbox",
        environment="sandbox",
        settings={"api_url": f"{sandbox.url}/billit", "portal_url": sandbox.url, "requests_per_second": 0} | settings,
        secrets={"api_key": "k3y", "client_secret": "cl1ent", "authorization_code": "c0de"},
        lines=Lines(*LINES.values(), of={}, urls=URLS),
        vault=ShortVault(),
    )
    return Billit(account, client=client, tokens=Tokens(), memory=Memory())


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.fixture
def adapter(sandbox: SandboxServer, door: Door, client: httpx.Client) -> Billit:
    door.adapter = make(sandbox, client)
    door.adapter.register_webhooks()
    sandbox.wait_idle()
    return door.adapter


def deposit(sandbox: SandboxServer, **wish) -> str:
    wish = {"dialect": "billit", "buyer_siren": OURS, "sample": "stationery"} | wish
    made = sandbox.control("deposit", **wish)
    sandbox.wait_idle()
    return str(made["invoices"][0]["uuid"])


def issue(sandbox: SandboxServer, **wish) -> str:
    return deposit(sandbox, **({"direction": "OUTBOUND", "seller_siren": OURS} | wish))


def report(sandbox: SandboxServer, reference: str, status: str, **details) -> None:
    sandbox.control("status", invoice=reference, status=status, **details)
    sandbox.wait_idle()


def make_message(adapter: Billit, reference: str, status: str = "210", **changes) -> StatusMessage:
    found = adapter.fetch_invoice(reference)
    facts = InvoiceFacts(
        provider_ref=reference,
        direction=found.direction,
        number=found.number,
        type_code=found.type_code,
        issue_date=found.issue_date,
        seller=found.seller,
        buyer=found.buyer,
        line_identifier=OURS,
    )
    role = "BY" if status == "210" else "SE"
    reasons = (Reason(code="DOUBLON", text="é"),) if status == "210" else ()
    changes = {"issuer_role": role, "reasons": reasons} | changes
    return StatusMessage(id="m1", invoice=facts, status=status, occurred_at=datetime.now(UTC), **changes)


def accepted(sandbox: SandboxServer) -> list[int]:
    return [item["count"] for item in sandbox.control("calls")["accepted"]]


def codes(adapter: Billit, reference: str) -> list[str | None]:
    return [each.status for each in adapter.fetch_statuses(reference)]


# --- the connection ---


def test_connection_is_good(adapter):
    assert [(result.name, result.message) for result in adapter.check() if not result.ok] == []
    assert adapter.register_webhooks() == ()


def test_every_webhook_is_confirmed_and_has_its_own_secret(adapter, door):
    kept = [adapter.account.vault.get(vault_name(line, slug)) for line in LINES for slug in tables.HOOKS]
    assert (len(door.served), door.refused, {each["state"] for each in kept}) == (6, [], {"active"})
    assert len({each["secret"] for each in kept}) == 6


def test_secret_that_only_the_confirmation_tells(sandbox, door, client):
    sandbox.control("settings", billit={"secret_in_answer": False})
    door.adapter = make(sandbox, client)
    door.adapter.register_webhooks()
    sandbox.wait_idle()
    assert (len(door.served), door.adapter.register_webhooks()) == (6, ())
    assert deposit(sandbox) in [bell.provider_ref for bell in door.bells]


def test_lost_registration_is_put_right(sandbox, door, client):
    sandbox.control("settings", billit={"confirm_webhooks": False})
    sandbox.control("faults", kind="cut_after", path="POST .*registrations/8001/webhooks")
    door.adapter = make(sandbox, client)
    with pytest.raises(UncertainError):
        door.adapter.register_webhooks()
    assert door.adapter.register_webhooks()[0] == f"{OURS} message-i: put right."
    deposit(sandbox)
    assert (door.refused, len(door.bells)) == ([], 1)


def test_webhooks_ended_by_somebody_are_registered_again(sandbox, adapter):
    assert adapter.unsubscribe(LINES[OURS]).count(",") == 2
    assert len([result for result in adapter.check() if not result.ok]) == 1
    assert len(adapter.register_webhooks()) == 3


def test_company_is_registered_and_integrated(sandbox, adapter):
    line = Line(identifier="999000037", settings={"email": "a@example.test"})
    owner = Party(name="Atelier Neuf", siren="999000037", vat_number="FR00999000037")
    settings = adapter.set_up_line(line, owner)
    assert adapter.set_up_line(Line(identifier="999000037", settings=settings), owner) == settings
    integrations = [call for call in sandbox.control("calls")["calls"] if call["path"].endswith("/integrations")]
    assert len(integrations) == 1
    assert adapter.set_up_line(LINES[OURS], owner) == {"registration_id": "8001"}


# --- receiving ---


def test_invoice_arrives(sandbox, adapter, door):
    reference = deposit(sandbox)
    (bell,) = door.bells
    assert (door.refused, bell.provider_ref, bell.is_new_invoice, bell.account) == ([], reference, True, OURS)
    speaking = adapter.acting_for(bell.account)
    found = speaking.fetch_invoice(reference)
    assert (found.direction, found.buyer.siren, found.type_code) == ("received", OURS, "380")
    original, readable = speaking.fetch_files(reference)
    assert (original.kind, original.content[:5], readable.content[:5]) == ("original", b"<?xml", b"%PDF-")
    assert codes(speaking, reference) == ["203"]


def test_invoice_of_another_company_comes_to_its_own_address(sandbox, adapter, door):
    reference = deposit(sandbox, buyer_siren=THEIRS)
    assert [(bell.provider_ref, bell.account) for bell in door.bells] == [(reference, THEIRS)]
    assert adapter.fetch_invoice(reference).buyer.identifier == THEIRS


def test_plain_files_are_read_too(sandbox, adapter):
    sandbox.control("settings", billit={"plain_files": True})
    assert adapter.fetch_files(deposit(sandbox))[0].content.startswith(b"<?xml")


def test_broken_file_is_asked_for_again(sandbox, adapter):
    reference = deposit(sandbox)
    sandbox.control("faults", kind="broken_document")
    with pytest.raises(TemporaryError):
        adapter.fetch_files(reference)
    assert adapter.fetch_files(reference)[0].kind == "original"


def test_poll_finds_what_no_webhook_told(sandbox, client):
    adapter = make(sandbox, client)
    first, second = deposit(sandbox), deposit(sandbox, buyer_siren=THEIRS)
    page = adapter.poll({})
    assert [(bell.provider_ref, bell.account) for bell in page.bells] == [(first, OURS), (second, THEIRS)]
    third = issue(sandbox)
    assert third in [bell.provider_ref for bell in adapter.poll(page.cursor).bells]


def test_poll_reads_long_lists(sandbox, client):
    adapter = make(sandbox, client)
    deposit(sandbox, count=250)
    assert len({bell.provider_ref for bell in adapter.poll({}).bells}) == 250


# --- what becomes of an issued invoice ---


@pytest.mark.parametrize("shape", ["A", "B"])
def test_network_tells_its_way(sandbox, adapter, door, shape):
    sandbox.control("settings", billit={"shape": shape})
    reference = issue(sandbox)
    for status in ("201", "202", "203"):
        report(sandbox, reference, status)
    assert door.words == ["Sent", "Accepted", "Delivered"]
    reports = adapter.fetch_statuses(reference)
    assert [(each.status, each.derived) for each in reports] == [("202", False), ("201", True), ("203", True)]


@pytest.mark.parametrize("shape", ["A", "B"])
@pytest.mark.parametrize(("status", "role"), [("210", "BY"), ("213", "WK"), ("501", "DFH")])
def test_refusal_after_delivery_is_resolved_by_its_file(sandbox, adapter, door, shape, status, role):
    sandbox.control("settings", billit={"shape": shape})
    reference = issue(sandbox)
    report(sandbox, reference, "203")
    report(sandbox, reference, status, reason="DOUBLON", note="reçue deux fois")
    assert door.words == ["Delivered", "Refused"]
    first, *_others = adapter.fetch_statuses(reference)
    assert (first.status, first.native_status, first.issuer_role) == (status, "Refused", role)
    assert first.reasons == (Reason(code="DOUBLON", text="reçue deux fois"),)
    assert abs((first.occurred_at - datetime.now(UTC)).total_seconds()) < 10


def test_refusal_without_a_lifecycle_file_is_resolved_by_the_order_or_not_at_all(sandbox, adapter):
    sandbox.control("settings", billit={"lifecycle_files": False})
    explained, unexplained, reported = issue(sandbox), issue(sandbox), issue(sandbox)
    report(sandbox, explained, "210", RefusalReasonCode="OrderError", RefusalReasonDescription="BC 12")
    report(sandbox, unexplained, "213")
    report(sandbox, reported, "501")
    first = [adapter.fetch_statuses(reference)[0] for reference in (explained, unexplained, reported)]
    assert [each.status for each in first] == ["210", None, "501"]
    assert first[0].reasons == (Reason(code="CMD_ERR", text="BC 12", native_code="OrderError"),)
    assert first[1].native_status == "Refused"


@pytest.mark.parametrize("status", ["204", "205", "206", "207", "208", "211"])
def test_answers_of_the_buyer_are_read_from_their_files(sandbox, adapter, door, status):
    reference = issue(sandbox)
    amounts = [{"rate": "20", "amount": "120.00", "currency": "EUR"}]
    report(sandbox, reference, status, **({"amounts": amounts} if status == "211" else {}))
    (found,) = adapter.fetch_statuses(reference)
    assert (found.status, found.issuer_role, [bell.hint for bell in door.bells[1:]]) == (status, "BY", [None])
    assert bool(found.payments) == (status == "211")


def test_unknown_state_is_kept(sandbox, adapter, door):
    reference = issue(sandbox)
    report(sandbox, reference, "XYZ")
    assert door.bells[-1].hint.status is None
    assert door.words == ["XYZ"]
    assert codes(adapter, reference) == [None]


# --- telling ---


def test_every_offered_reason_is_taken_by_the_platform(sandbox, adapter):
    for code in sorted(adapter.reasons_for("210", side="buyer")):
        reference = deposit(sandbox)
        adapter.send_status(make_message(adapter, reference, reasons=(Reason(code=code, text="é"),), note="note"))
        sandbox.wait_idle()
        told = adapter.fetch_statuses(reference)[0]
        assert (told.status, told.reasons[0].code) == ("210", code)


def test_refusal_comes_back(sandbox, adapter, door):
    message = make_message(adapter, deposit(sandbox))
    assert adapter.find_status(message) is None
    adapter.send_status(message)
    sandbox.wait_idle()
    assert adapter.find_status(message).confirmed
    assert (door.words, accepted(sandbox)) == (["Sent"], [1])
    with pytest.raises(PermanentError, match="OrderAlreadyRefused"):
        adapter.send_status(message)


def test_payment_in_full_is_seen_and_a_part_of_it_is_not(sandbox, adapter):
    reference = issue(sandbox)
    total = adapter.fetch_invoice(reference).total_with_vat
    message = make_message(adapter, reference, "212", payments=(Payment(amount=total, vat_rate=Decimal(20)),))
    adapter.send_status(message)
    sandbox.wait_idle()
    assert adapter.find_status(message).confirmed
    assert ("212", True) in [(each.status, each.derived) for each in adapter.fetch_statuses(reference)]


def test_payment_told_twice_is_taken_once(sandbox, adapter):
    message = make_message(adapter, issue(sandbox), "212", payments=(Payment(amount=Decimal(5)),))
    sandbox.control("faults", kind="cut_after", path="POST .*payments")
    with pytest.raises(UncertainError):
        adapter.send_status(message)
    adapter.send_status(message)
    assert accepted(sandbox) == [1]


@pytest.mark.parametrize(
    ("fault", "error", "is_shown"),
    [
        ("cut_after", UncertainError, True),
        ("server_error_after", UncertainError, True),
        ("cut_before", UncertainError, False),
        ("server_error", UncertainError, False),
        ("rate_limited", TemporaryError, False),
        ("unauthorized_once", PermanentError, False),
    ],
)
def test_refusal_in_trouble_is_looked_up(sandbox, adapter, fault, error, is_shown):
    message = make_message(adapter, deposit(sandbox))
    sandbox.control("faults", kind=fault, path="POST .*refuse")
    with pytest.raises(error) as caught:
        adapter.send_status(message)
    sandbox.wait_idle()
    assert (type(caught.value), adapter.find_status(message) is not None) == (error, is_shown)
    assert accepted(sandbox) == ([1] if is_shown else [])


def test_slow_platform_is_waited_for(sandbox, adapter):
    reference = deposit(sandbox)
    sandbox.control("faults", kind="slow", delay=0.2, path="GET .*orders")
    assert adapter.fetch_invoice(reference).provider_ref == reference


# --- handing in ---


def submission(adapter: Billit, sandbox: SandboxServer, **wish) -> tuple[File, InvoiceFacts]:
    """A sample of which our company is the seller, as bytes and facts; the order it came from is another's."""
    source = issue(sandbox, seller_siren=THEIRS, **wish)
    found, content = adapter.fetch_invoice(source), sandbox.sandbox.dialect("billit").invoices[source].content
    buyer = Party(siren=found.buyer.siren)
    facts = InvoiceFacts(
        provider_ref="",
        direction="issued",
        number=found.number,
        type_code="380",
        issue_date=found.issue_date,
        seller=Party(siren=OURS),
        buyer=buyer,
        line_identifier=OURS,
    )
    return File(kind="original", content=content), facts


def test_submitted_invoice_is_sent_with_its_own_amounts(sandbox, adapter):
    file, facts = submission(adapter, sandbox)
    receipt = adapter.submit_invoice(file, facts)
    sandbox.wait_idle()
    found = adapter.fetch_invoice(receipt.reference)
    assert (found.direction, found.number, found.seller.identifier) == ("issued", facts.number, OURS)
    report(sandbox, receipt.reference, "201")
    sent = adapter.fetch_files(receipt.reference)[0].content
    total = b"<cbc:PayableAmount"
    assert sent[sent.index(total) :][:60] == file.content[file.content.index(total) :][:60]


def test_submitted_invoice_lost_and_adopted(sandbox, adapter):
    file, facts = submission(adapter, sandbox)
    assert adapter.find_invoice(facts) is None
    sandbox.control("faults", kind="cut_after", path="POST .*commands/send")
    with pytest.raises(UncertainError):
        adapter.submit_invoice(file, facts)
    found = adapter.find_invoice(facts)
    again = adapter.submit_invoice(file, facts)  # 409: the key was used
    assert (again.reference, accepted(sandbox)) == (found.reference, [1])


def test_number_in_use_is_uncertain(sandbox, adapter):
    file, facts = submission(adapter, sandbox)
    adapter.submit_invoice(file, facts)
    other = File(kind="original", content=file.content.replace(b"Cartouches", b"Rouleaux"))
    with pytest.raises(UncertainError, match="DuplicateOrderNumber"):
        adapter.submit_invoice(other, facts)


@pytest.mark.parametrize(("fault", "error"), [("server_error", UncertainError), ("rate_limited", TemporaryError)])
def test_submission_in_trouble_is_made_again(sandbox, adapter, fault, error):
    file, facts = submission(adapter, sandbox)
    sandbox.control("faults", kind=fault, path="POST .*commands/send")
    with pytest.raises(error):
        adapter.submit_invoice(file, facts)
    assert adapter.find_invoice(facts) is None
    assert adapter.submit_invoice(file, facts).reference
    assert accepted(sandbox) == [1]


# --- pushes that misbehave ---


@pytest.mark.parametrize("trick", ["unsigned", "wrong_signature", "stale_signature", "wrong_token"])
def test_spoiled_webhook_is_refused_and_its_retry_taken(sandbox, adapter, door, trick):
    sandbox.control("faults", kind=trick)
    reference = deposit(sandbox)
    assert (door.refused, [bell.provider_ref for bell in door.bells]) == ([401], [reference])


def test_malformed_webhook_is_refused_and_its_retry_taken(sandbox, adapter, door):
    sandbox.control("faults", kind="malformed_body")
    reference = deposit(sandbox)
    assert (door.refused, [bell.provider_ref for bell in door.bells]) == ([400], [reference])


def test_webhook_that_comes_twice_has_one_key(sandbox, adapter, door):
    sandbox.control("faults", kind="twice")
    deposit(sandbox)
    assert len(door.deliveries) == 2
    assert len({delivery.key for delivery in door.deliveries}) == 1


def test_webhooks_out_of_order_tell_the_same(sandbox, adapter, door):
    reference = issue(sandbox)
    sandbox.control("faults", kind="out_of_order", path="Message U")
    sandbox.control("status", invoice=reference, status="201")
    report(sandbox, reference, "203")
    assert (door.words, door.refused) == (["Delivered", "Sent"], [])
    assert codes(adapter, reference) == ["201", "203"]


def test_late_webhook_comes_all_the_same(sandbox, adapter, door):
    sandbox.control("faults", kind="late", delay=0.2)
    assert [bell.provider_ref for bell in door.bells] == []
    reference = deposit(sandbox)
    assert [bell.provider_ref for bell in door.bells] == [reference]


def test_stranger_is_rung_for_beside_the_news(sandbox, adapter, door):
    reference = issue(sandbox)
    sandbox.control("faults", kind="unknown_invoice", path="Message")
    report(sandbox, reference, "203")
    rung = {bell.provider_ref for bell in door.bells if bell.hint}
    assert (len(rung), reference in rung) == (2, True)
    with pytest.raises(PermanentError):
        adapter.fetch_invoice((rung - {reference}).pop())


def test_unknown_state_before_the_news(sandbox, adapter, door):
    reference = issue(sandbox)
    sandbox.control("faults", kind="unknown_status", path="Message")
    report(sandbox, reference, "203")
    assert sorted(door.words) == ["Delivered", "XYZ"]


def test_missing_echo_is_found_by_looking(sandbox, adapter, door):
    message = make_message(adapter, deposit(sandbox))
    sandbox.control("faults", kind="no_echo")
    adapter.send_status(message)
    sandbox.wait_idle()
    assert (door.words, adapter.find_status(message).confirmed) == ([], True)


# --- OAuth ---


def test_login_by_code_then_by_rotating_refresh_tokens(sandbox, client):
    adapter = make(sandbox, client, auth_mode="oauth2", client_id="client-1")
    reference = deposit(sandbox)
    assert adapter.fetch_invoice(reference).provider_ref == reference
    first = adapter.account.vault.get(oauth.VAULT)["refresh_token"]
    sandbox.control("faults", kind="unauthorized_once", path="GET .*orders")
    assert adapter.fetch_invoice(reference).provider_ref == reference
    assert adapter.account.vault.get(oauth.VAULT)["refresh_token"] != first


def test_refresh_token_that_was_used_needs_a_person(sandbox, client):
    adapter = make(sandbox, client, auth_mode="oauth2", client_id="client-1", token_request="json")
    adapter.log_in()
    used = adapter.account.vault.get(oauth.VAULT)
    adapter.log_in()
    adapter.account.vault.change(oauth.VAULT, **used)
    with pytest.raises(PermanentError, match="refuses the login"):
        adapter.log_in()


def test_wrong_key(sandbox, client):
    sandbox.control("settings", billit={"api_key": "another"})
    assert [result.name for result in make(sandbox, client).check() if not result.ok] == ["login"]
