"""The adapter against the sandbox platform, over real HTTP: two readings of Billit's pages that share no code."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from providers.billit import oauth, tables
from providers.billit.adapter import Billit
from providers.billit.hooks import vault_name
from providers.contract.base import (
    File,
    InvoiceFacts,
    Line,
    Party,
    Payment,
    PermanentError,
    Reason,
    TemporaryError,
    UncertainError,
)
from providers.sandbox.server import SandboxServer

from .stage import LINES, OURS, THEIRS, accepted, codes, deposit, issue, make, make_message, report
from .stage import adapter as adapter
from .stage import client as client
from .stage import door as door
from .stage import sandbox as sandbox

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
