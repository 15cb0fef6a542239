"""The adapter against the sandbox platform, over real HTTP: two readings of Seqino's pages that share no code."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from providers.contract.base import (
    Account,
    Delivery,
    File,
    HookError,
    HookRequest,
    Line,
    Malformed,
    NotGenuine,
    Party,
    PermanentError,
    Reason,
    TemporaryError,
    UncertainError,
    Unsupported,
)
from providers.sandbox.server import SandboxServer
from providers.seqino.adapter import Seqino
from tests.providers.fakes import Memory, Tokens

from .samples import Lines, Subscriptions, make_data, make_facts, make_message

OURS = "800112237"
OTHERS = "812700557"
HOOK_URL = "https://navette.example.test/hooks/seqino/c1/"
KEY = "sk-sandbox-1"
UBL = (Path(settings.BASE_DIR) / "tests/samples/invoices/invoice.ubl.xml").read_bytes()


class Door:
    """Our webhook view without its database: verifies, reads, answers."""

    def __init__(self) -> None:
        self.adapter: Seqino
        self.deliveries: list[Delivery] = []
        self.refused: list[HookError] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        pushed = HookRequest(
            method=request.method,
            url=str(request.url),
            headers=dict(request.headers),
            body=request.content,
            received_at=datetime.now(UTC),
        )
        try:
            self.adapter.verify_webhook(pushed)
            self.deliveries.append(self.adapter.parse_webhook(pushed))
        except HookError as error:
            self.refused.append(error)
            return httpx.Response(error.status_code)
        return httpx.Response(204)

    @property
    def bells(self):
        return [bell for delivery in self.deliveries for bell in delivery.bells]


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def sandbox(door: Door) -> Iterator[SandboxServer]:
    wishes = {"echo_delay": 0, "retry_scale": 0.0001, "auto_react": False, "seqino": {"onboarding_delay": 0}}
    with SandboxServer(settings=wishes, transport=httpx.MockTransport(door)) as server:
        server.control("settings", seqino={"api_key": KEY, "strict_clients": True})
        yield server


def make_line(identifier: str) -> Line:
    return Line(identifier=identifier, settings={"contact_email": "compta@example.test"})


@pytest.fixture
def adapter(sandbox: SandboxServer, door: Door) -> Iterator[Seqino]:
    """Two customers of ours are set up, and the webhook registered."""
    lines = Lines([make_line(OURS), make_line(OTHERS)])
    account = Account(
        id="sandbox",
        name="sandbox",
        environment="sandbox",
        settings={"api_url": f"{sandbox.url}/seqino/api", "requests_per_second": 0, "observe_mode": False},
        secrets={"api_key": KEY},
        hook_url=HOOK_URL,
        lines=lines,
        subscriptions=Subscriptions(),
    )
    with httpx.Client(trust_env=False) as client:
        door.adapter = adapter = Seqino(account, client=client, tokens=Tokens(), memory=Memory())
        for place, line in enumerate(lines.rows):
            kept = adapter.set_up_line(line, Party(name=f"Client {line.identifier}", siren=line.identifier))
            lines.rows[place] = replace(line, settings=kept)
        sandbox.wait_idle()  # the mandates come into force before anybody is rung
        adapter.register_webhooks()
        yield adapter


def deposit(sandbox: SandboxServer, door: Door, **wish) -> str:
    sandbox.control("deposit", **({"dialect": "seqino", "buyer_siren": OURS, "sample": "stationery"} | wish))
    sandbox.wait_idle()
    return sandbox.control("invoices")["invoices"][-1]["uuid"]


def accepted(sandbox: SandboxServer) -> list[int]:
    return [item["count"] for item in sandbox.control("calls")["accepted"]]


def with_endpoint(adapter: Seqino, sandbox: SandboxServer) -> Seqino:
    sandbox.control("settings", seqino={"take_statuses": True})
    adapter.account = replace(
        adapter.account, settings={**adapter.account.settings, "status_endpoint": "lifecycle-events"}
    )
    return adapter


# --- set-up -----------------------------------------------------------------------------------------------------------


def test_connection_is_good(sandbox, door, adapter):
    sandbox.control("ring", dialect="seqino", event_type="webhook.test")
    assert [(result.name, result.message) for result in adapter.check() if not result.ok] == []
    assert adapter.register_webhooks() == ()
    assert [delivery.ignored for delivery in door.deliveries] == ["Seqino tried our address: it works."]


def test_set_up_again_finds_what_is_there(sandbox, adapter):
    for line in adapter.account.lines.rows:
        bare = make_line(line.identifier)
        assert adapter.set_up_line(bare, Party(name="x", siren=line.identifier)) == line.settings
    states = [adapter.account.subscriptions.find(line.identifier).state for line in adapter.account.lines.rows]
    assert states == ["active", "active"]


@pytest.mark.parametrize("shape", ["bare", "wrapped", "id"])
def test_client_is_made_whatever_the_shape_of_the_answer(sandbox, adapter, shape):
    sandbox.control("settings", seqino={"client_shape": shape, "lone_client": True})
    line, owner = make_line("905334413"), Party(name="Papeterie", siren="905334413")
    kept = adapter.set_up_line(line, owner)
    assert adapter.set_up_line(line, owner) == kept


@pytest.mark.parametrize("identifier", [f"{OURS}_80011223700014", f"{OURS}_DEPOT", f"{OURS}_80011223700014_ACHATS"])
def test_every_kind_of_line_is_taken(adapter, identifier):
    kept = adapter.set_up_line(make_line(identifier), Party(name="Client", siren=OURS))
    assert kept["client_id"] == adapter.account.lines.rows[0].settings["client_id"]
    assert [entry.identifier for entry in adapter.search_directory(identifier)] == [identifier]


@pytest.mark.parametrize(
    ("outcome", "state"), [("error", "failed"), ("pending_kyc", "subscribing"), ("expired", "closed")]
)
def test_mandate_that_does_not_come_into_force(sandbox, door, adapter, outcome, state):
    sandbox.control("settings", seqino={"mandate_outcome": outcome})
    line = make_line(f"{OURS}_LATE")
    kept = adapter.set_up_line(line, Party(name="Client", siren=OURS))
    adapter.account.lines.rows.append(replace(line, settings=kept))
    sandbox.wait_idle()
    adapter.refresh_lines()
    assert adapter.account.subscriptions.find(line.identifier).state == state
    (result,) = [result for result in adapter.check() if result.name == "mandates"]
    assert (result.ok, line.identifier in result.message) == (False, True)
    assert {delivery.poll_soon for delivery in door.deliveries} == {True}


def test_revoked_mandate_is_gone(sandbox, adapter):
    line = adapter.account.lines.rows[0]
    adapter.unsubscribe(line)
    with pytest.raises(PermanentError, match="Mandate not found"):
        adapter.read_mandate(line)


def test_webhook_whose_secret_is_lost(sandbox, door, adapter):
    adapter.account.vault.change("webhook", id="", secret="")
    with pytest.raises(PermanentError, match="replace_webhook"):
        adapter.register_webhooks()
    adapter.account = replace(adapter.account, settings={**adapter.account.settings, "replace_webhook": True})
    assert len(adapter.register_webhooks()) == 2
    deposit(sandbox, door)
    assert (len(door.bells), door.refused) == (1, [])


def test_wrong_key(sandbox, adapter):
    sandbox.control("settings", seqino={"api_key": "another"})
    failed = {result.name: result.message for result in adapter.check() if not result.ok}
    assert list(failed) == ["API key", "webhook signature"]
    assert failed["API key"].startswith("Seqino refuses (401). Invalid API key [")


def test_limits_of_use(sandbox, adapter):
    assert adapter.calls_per_minute() is None
    limits = {"per_minute": 100, "per_hour": None, "per_day": 1440, "per_month": None}
    sandbox.control("settings", seqino={"limits": limits})
    adapter.memory.facts.clear()
    assert (adapter.calls_per_minute(), adapter.pace) == (0.5, 100 / 60)
    sandbox.control("settings", seqino={"limits": limits | {"per_minute": 0}})
    with pytest.raises(TemporaryError, match="Limit reached"):
        adapter.read_limits()


# --- invoices arrive --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False])
def test_invoice_arrives_for_the_right_client(sandbox, door, adapter, named):
    sandbox.control("settings", seqino={"names_client": named})
    reference = deposit(sandbox, door, buyer_siren=OTHERS)
    (bell,) = door.bells
    assert (bell.provider_ref, bell.is_new_invoice, bool(bell.account)) == (reference, True, named)
    asked = adapter.acting_for(bell.account)
    report = asked.fetch_invoice(reference)
    assert (report.direction, report.buyer.identifier, report.seller.siren != "") == ("received", OTHERS, True)
    assert report.total_with_vat > 0
    (file,) = asked.fetch_files(reference)
    assert json.loads(file.content)["invoice_number"] == report.number
    statuses = asked.fetch_statuses(reference)
    assert [(each.status, each.emitter, each.ppf_duty) for each in statuses] == [
        ("200", "PDPE", True), ("202", "PDPR", False), ("203", "PDPR", False),
    ]  # fmt: skip


def test_invoice_of_another_client_is_not_shown(sandbox, door, adapter):
    reference = deposit(sandbox, door)
    of_other = adapter.acting_for(adapter.account.lines.rows[1].settings["client_id"])
    with pytest.raises(PermanentError, match="Invoice not found"):
        of_other.fetch_invoice(reference)


def test_status_rings_and_stands_in_the_history(sandbox, door, adapter):
    reference = deposit(sandbox, door)
    sandbox.control("status", invoice=reference, status="210", reason="Trop cher", rejection_reason="TX_TVA_ERR")
    sandbox.wait_idle()
    assert [bell.provider_ref for bell in door.bells] == [reference] * 2
    last = adapter.fetch_statuses(reference)[-1]
    assert (last.status, last.reasons, last.ppf_duty) == (
        "210", (Reason(code="TX_TVA_ERR", text="Trop cher", native_code="TX_TVA_ERR"),), True,
    )  # fmt: skip


@pytest.mark.parametrize("word", ["XYZ", "RegulatoryDataStatus.REJECTED", "FlowStatus.UNACCEPTABLE"])
def test_word_that_is_no_status_of_an_invoice_is_kept(sandbox, door, adapter, word):
    reference = deposit(sandbox, door)
    sandbox.control("status", invoice=reference, status=word)
    sandbox.wait_idle()
    last = adapter.fetch_statuses(reference)[-1]
    assert (last.status, last.native_status) == (None, word)


# --- misbehaviours ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trick", ["unsigned", "wrong_signature", "wrong_token"])
def test_spoiled_webhook_is_refused_and_its_retry_taken(sandbox, door, adapter, trick):
    sandbox.control("faults", kind=trick)
    deposit(sandbox, door)
    assert ([type(error) for error in door.refused], len(door.bells)) == ([NotGenuine], 1)


def test_stale_webhook_is_refused_where_a_limit_is_set(sandbox, door, adapter):
    adapter.account = replace(adapter.account, settings={**adapter.account.settings, "max_event_age": 60})
    sandbox.control("faults", kind="stale_signature")
    deposit(sandbox, door)
    assert ([type(error) for error in door.refused], len(door.bells)) == ([NotGenuine], 1)


def test_malformed_webhook_is_refused_and_its_retry_taken(sandbox, door, adapter):
    sandbox.control("faults", kind="malformed_body")
    deposit(sandbox, door)
    assert ([type(error) for error in door.refused], len(door.bells)) == ([Malformed], 1)


@pytest.mark.parametrize("fault", ["twice", "late", "out_of_order"])
def test_webhook_twice_late_or_out_of_order_is_one_news(sandbox, door, adapter, fault):
    reference = deposit(sandbox, door)
    sandbox.control("faults", kind=fault, delay=0.1)
    sandbox.control("status", invoice=reference, status="205")
    sandbox.wait_idle()
    keys = [delivery.key for delivery in door.deliveries]
    assert (len(set(keys)), len(keys)) == (2, 3 if fault == "twice" else 2)


def test_unknown_status_and_unknown_invoice(sandbox, door, adapter):
    reference = deposit(sandbox, door)
    for fault in ("unknown_status", "unknown_invoice"):
        sandbox.control("faults", kind=fault)
        sandbox.control("status", invoice=reference, status="204")
        sandbox.wait_idle()
    assert [each.native_status for each in adapter.fetch_statuses(reference) if each.status is None] == ["XYZ"]
    (stranger,) = {bell.provider_ref for bell in door.bells} - {reference}
    with pytest.raises(PermanentError) as caught:
        adapter.fetch_invoice(stranger)
    assert caught.value.status_code == 404


@pytest.mark.parametrize("fault", ["server_error", "server_error_after", "cut_before", "cut_after", "rate_limited"])
def test_failed_read_will_pass(sandbox, door, adapter, fault):
    reference = deposit(sandbox, door)
    sandbox.control("faults", kind=fault, path="lifecycle-events", delay=7)
    with pytest.raises(TemporaryError) as caught:
        adapter.fetch_statuses(reference)
    assert caught.value.retry_after == (7 if fault == "rate_limited" else None)
    assert len(adapter.fetch_statuses(reference)) == 3


@pytest.mark.parametrize("fault", ["unauthorized_once", "slow"])
def test_read_that_stumbles_succeeds(sandbox, door, adapter, fault):
    reference = deposit(sandbox, door)
    sandbox.control("faults", kind=fault, path="lifecycle-events", delay=0.1)
    assert len(adapter.fetch_statuses(reference)) == 3


def test_broken_invoice_data_will_pass(sandbox, door, adapter):
    reference = deposit(sandbox, door)
    sandbox.control("faults", kind="broken_document")
    with pytest.raises(TemporaryError):
        adapter.fetch_invoice(reference)
    assert adapter.fetch_invoice(reference).direction == "received"


# --- submitting -------------------------------------------------------------------------------------------------------


def submit(adapter: Seqino, content: bytes = UBL):
    facts = make_facts("", direction="issued", line_identifier=OURS)
    return adapter.submit_invoice(File(kind="original", content=content, filename="F-1.xml"), facts)


def test_submitted_invoice_is_ours_and_issued(sandbox, door, adapter):
    reference = submit(adapter).reference
    sandbox.wait_idle()
    lines = adapter.account.lines
    lines.known[reference] = lines.rows[0]
    assert adapter.fetch_statuses(reference)[0].status == "200"
    assert door.bells[0].provider_ref == reference


def test_invoice_submitted_twice_is_rejected_as_a_duplicate(sandbox, door, adapter):
    first, second = submit(adapter).reference, submit(adapter).reference
    last = adapter.fetch_statuses(second)[-1]
    assert (first != second, last.status, last.reasons[0].code) == (True, "213", "DOUBLON")


@pytest.mark.parametrize(
    ("fault", "error", "counts"),
    [
        ("cut_after", UncertainError, [1]),
        ("server_error_after", UncertainError, [1]),
        ("cut_before", UncertainError, []),
        ("server_error", UncertainError, []),
        ("rate_limited", TemporaryError, []),
        ("unauthorized_once", PermanentError, []),
    ],
)
def test_submission_in_trouble(sandbox, adapter, fault, error, counts):
    sandbox.control("faults", kind=fault, path="POST .*submit")
    with pytest.raises(error) as caught:
        submit(adapter)
    assert (type(caught.value), accepted(sandbox)) == (error, counts)


def test_file_that_is_no_invoice(adapter):
    with pytest.raises(Unsupported, match="does not take this kind of file"):
        submit(adapter, b'<a xmlns="urn:oasis:names:specification:ubl:schema:xsd:Other"/>')
    with pytest.raises(PermanentError, match="rejected the file at once"):
        submit(adapter, b'<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"/>')


def test_pdf_is_taken(adapter):
    assert submit(adapter, b"%PDF-1.7 ...").reference.startswith("inv_")


def test_draft_becomes_an_invoice(sandbox, door, adapter):
    adapter.account = replace(adapter.account, settings={**adapter.account.settings, "enable_drafts": True})
    data = make_data(seller=OURS, buyer=OTHERS)
    with pytest.raises(PermanentError, match="invoice_lines: Field required"):
        submit(adapter, json.dumps(data | {"invoice_lines": []}).encode())
    reference = submit(adapter, json.dumps(data).encode()).reference
    sandbox.wait_idle()
    report = adapter.fetch_invoice(reference)
    assert (report.direction, report.number) == ("issued", "F-2026-0042")
    assert accepted(sandbox) == [1]


# --- the experimental endpoint ----------------------------------------------------------------------------------------


def test_status_told_comes_back(sandbox, door, adapter):
    reference = deposit(sandbox, door)
    message = make_message("207", occurred_at=datetime.now(UTC), reasons=(Reason(code="QTE_ERR", text="9 sur 10"),))
    message = replace(message, invoice=replace(message.invoice, provider_ref=reference))
    with_endpoint(adapter, sandbox).send_status(message)
    sandbox.wait_idle()
    assert (adapter.find_status(message).confirmed, accepted(sandbox)) == (True, [1])


def test_endpoint_that_is_not_there(sandbox, door, adapter):
    reference = deposit(sandbox, door)
    message = make_message()
    message = replace(message, invoice=replace(message.invoice, provider_ref=reference))
    with_endpoint(adapter, sandbox)
    sandbox.control("settings", seqino={"take_statuses": False})
    with pytest.raises(PermanentError, match="Method Not Allowed"):
        adapter.send_status(message)


@pytest.mark.parametrize(
    ("fault", "error", "is_shown"),
    [
        ("cut_after", UncertainError, True),
        ("server_error_after", UncertainError, True),
        ("cut_before", UncertainError, False),
        ("server_error", UncertainError, False),
        ("rate_limited", TemporaryError, False),
        ("no_echo", None, True),
    ],
)
def test_status_in_trouble_is_looked_up(sandbox, door, adapter, fault, error, is_shown):
    reference = deposit(sandbox, door)
    message = make_message(occurred_at=datetime.now(UTC))
    message = replace(message, invoice=replace(message.invoice, provider_ref=reference))
    with_endpoint(adapter, sandbox)
    sandbox.control("faults", kind=fault, path="" if error is None else "POST .*lifecycle-events")
    if error is None:
        adapter.send_status(message)
    else:
        with pytest.raises(error):
            adapter.send_status(message)
    sandbox.wait_idle()
    assert (adapter.find_status(message) is not None, accepted(sandbox)) == (is_shown, [1] if is_shown else [])
