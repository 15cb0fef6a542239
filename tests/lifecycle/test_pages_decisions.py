"""Deciding through the pages: the dialog, its steps and refusals, bulk, and what is done with a relay."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from invoices.models import Comment, Customer, Invoice
from lifecycle.decisions import services
from lifecycle.decisions.forms import payments_left
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayState, RelayTask, StatusEvent
from providers.contract.base import Payment, Reason
from providers.models import Connection
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_event, make_invoice, make_line, make_user
from tests.pages import parse, texts

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true", "Accept-Language": "en"}
# What a person answers who was asked first.
SURE = {"confirmed": "yes", "why": "Seen there."}
BREAKDOWN = [
    {"category": "S", "rate": "20.00", "base": "100.00", "amount": "20.00"},
    {"category": "S", "rate": "5.50", "base": "200.00", "amount": "11.00"},
    {"category": "E", "rate": None, "base": "50.00", "amount": "0.00"},
]


@pytest.fixture
def customer(monkeypatch: pytest.MonkeyPatch) -> Customer:
    fake_provider.register(monkeypatch)
    return make_customer()


@pytest.fixture
def platform(customer: Customer) -> Connection:
    connection = make_connection()
    make_line(customer, connection)
    return connection


@pytest.fixture
def approver(client: Client, customer: Customer) -> Any:
    user = make_user(customer, "approver")
    client.force_login(user)
    return user


@pytest.fixture
def invoice(customer: Customer, platform: Connection) -> Invoice:
    return make_invoice(customer, platform, statuses=["203"], vat_breakdown=BREAKDOWN)


class Dialog:
    """The decision dialog, filled in as a browser would: what the server drew, with changes."""

    def __init__(self, client: Client, invoice: Invoice, status: str) -> None:
        self.client = client
        self.path = reverse("lifecycle:decide", args=[invoice.pk, status])
        self.response = client.get(self.path, headers=HTMX)

    @property
    def fields(self) -> dict[str, str]:
        form = parse(self.response).xpath("//form[contains(@class, 'decision-form')]")
        return dict(form[0].form_values()) if form else {}

    def press(self, step: str, **changes: str) -> Any:
        data = {key: value or "" for key, value in self.fields.items()} | {"step": step} | _named(changes)
        self.response = self.client.post(self.path, data, headers=HTMX)
        return self.response

    def errors(self) -> dict[str, str]:
        """Message by the id of the field it stands next to."""
        found = parse(self.response).xpath("//*[contains(@class, 'has-error')]//*[@class='error']")
        return {each.get("id").removesuffix("_error"): " ".join(each.text_content().split()) for each in found}


def _named(changes: dict[str, str]) -> dict[str, str]:
    """reasons_0_code stands for the field reasons-0-code."""
    return {re.sub(r"^(reasons|payments)_(\d)_", r"\1-\2-", name): value for name, value in changes.items()}


def test_decision_ends_as_relay(client: Client, approver: Any, invoice: Invoice) -> None:
    dialog = Dialog(client, invoice, "207")
    preview = dialog.press("preview", reasons_0_code="QTE_ERR", reasons_0_text="9 of 10", note="Please credit one.")
    assert (preview.status_code, RelayTask.objects.count()) == (200, 0)
    sent = dialog.press("send")
    relay = RelayTask.objects.get()
    told = (relay.event.status, relay.event.reasons, relay.event.note, relay.event.actor, relay.state)
    assert sent.status_code == 204
    assert told == (
        "207", [{"code": "QTE_ERR", "text": "9 of 10"}], "Please credit one.", approver, RelayState.PENDING
    )  # fmt: skip


def test_preview_shows_what_is_sent(client: Client, approver: Any, invoice: Invoice) -> None:
    dialog = Dialog(client, invoice, "207")
    dialog.press("preview", reasons_0_code="QTE_ERR", reasons_0_text="9 of 10", note="<b>One</b>")
    shown = texts(dialog.response, "//section[@class='preview']//dd")
    assert [shown[2], shown[4], shown[5]] == ["207 Disputed", "Quantity wrong QTE_ERR9 of 10", "<b>One</b>"]


def test_decision_pressed_twice_is_one_relay(client: Client, approver: Any, invoice: Invoice) -> None:
    dialog = Dialog(client, invoice, "204")
    dialog.press("preview")
    data = {**dialog.fields, "step": "send"}
    codes = [client.post(dialog.path, data, headers=HTMX).status_code for _press in range(2)]
    assert (codes, RelayTask.objects.count()) == ([204, 204], 1)


def test_decision_without_script_redirects_with_a_message(client: Client, approver: Any, invoice: Invoice) -> None:
    dialog = Dialog(client, invoice, "204")
    response = client.post(dialog.path, {**dialog.fields, "step": "send"}, headers={"Accept-Language": "en"})
    page = client.get(response.headers["Location"], headers={"Accept-Language": "en"})
    assert texts(page, "//p[contains(@class, 'notice')]") == ["“204 In hand” is recorded and on its way."]


@pytest.mark.parametrize("step", ["preview", "send"])
def test_decision_on_a_stale_page(client: Client, approver: Any, invoice: Invoice, step: str) -> None:
    dialog = Dialog(client, invoice, "205")
    make_event(invoice, "208", issuer_role="BY")
    response = dialog.press(step)
    assert (response.status_code, RelayTask.objects.count()) == (409, 0)
    assert texts(response, "//ul[@class='news']//span[contains(@class, 'badge ')]") == ["208 Suspended"]


def test_decision_no_longer_possible_when_opened(client: Client, approver: Any, invoice: Invoice) -> None:
    make_event(invoice, "210", issuer_role="BY")
    assert Dialog(client, invoice, "205").response.status_code == 409


def test_unknown_status_has_no_dialog(client: Client, approver: Any, invoice: Invoice) -> None:
    assert client.get(reverse("lifecycle:decide", args=[invoice.pk, "999"])).status_code == 404


@pytest.mark.parametrize(
    ("status", "changes", "errors"),
    [
        ("207", {}, {"decision-reasons-0-code": "“207 Disputed” needs at least one reason."}),
        (
            "207",
            {"reasons_0_code": "AUTRE"},
            {"decision-reasons-0-text": "Explain the reason “Other” in your own words."},
        ),
        (
            "207",
            {"reasons_0_code": "JUSTIF_ABS"},
            {
                "decision-reasons-0-code": "Select a valid choice. JUSTIF_ABS is not one of the available choices.",
            },
        ),
        ("211", {"payments_0_amount": "a lot"}, {"decision-payments-0-amount": "This is not an amount of money."}),
        ("211", {"payments_1_amount": "0"}, {"decision-payments-1-amount": "The amount cannot be zero."}),
        ("211", {"payments_0_amount": "1.234"}, {"decision-payments-0-amount": "An amount has at most two decimals."}),
        (
            "211",
            {"payments_0_currency": "€"},
            {"decision-payments-0-currency": "Give the currency as three capital letters, such as EUR."},
        ),
        (
            "211",
            {"payments_1_vat_rate": "20"},
            {"decision-payments-1-vat_rate": "This VAT rate is given twice: add the amounts up in one row."},
        ),
    ],
)
def test_bad_input_is_told_next_to_its_field(
    client: Client, approver: Any, invoice: Invoice, status: str, changes: dict[str, str], errors: dict[str, str]
) -> None:
    dialog = Dialog(client, invoice, status)
    response = dialog.press("preview", **changes)
    assert (response.status_code, dialog.errors()) == (422, errors)


def test_too_long_note_is_told_next_to_it(client: Client, approver: Any, invoice: Invoice) -> None:
    dialog = Dialog(client, invoice, "204")
    dialog.press("preview", note="x" * 1001)
    assert dialog.errors() == {"decision-note": "Ensure this value has at most 1000 characters (it has 1001)."}


def test_final_decision_wants_the_box_ticked(client: Client, approver: Any, invoice: Invoice) -> None:
    dialog = Dialog(client, invoice, "210")
    dialog.press("preview", reasons_0_code="DOUBLON")
    refused = dialog.press("send")
    assert (refused.status_code, RelayTask.objects.count()) == (422, 0)
    assert texts(refused, "//*[@id='decision-confirm_error']") == ["Tick this box first: there is no way back."]
    assert (dialog.press("send", confirm="on").status_code, RelayTask.objects.count()) == (204, 1)


def test_dialog_adds_a_row(client: Client, approver: Any, invoice: Invoice) -> None:
    dialog = Dialog(client, invoice, "207")
    dialog.press("", add="reasons", reasons_0_code="QTE_ERR")
    dialog.press("preview", reasons_1_code="PU_ERR")
    dialog.press("send")
    assert [row["code"] for row in StatusEvent.objects.get(status="207").reasons] == ["QTE_ERR", "PU_ERR"]


def test_payment_is_prefilled_by_rate(client: Client, approver: Any, invoice: Invoice) -> None:
    dialog = Dialog(client, invoice, "211")
    rows = [[dialog.fields[f"payments-{row}-{name}"] for name in ("vat_rate", "amount")] for row in range(3)]
    assert rows == [["20", "120.00"], ["5.5", "211.00"], ["0", "50.00"]]


def test_payment_is_prefilled_with_what_is_left(approver: Any, invoice: Invoice) -> None:
    part = (Payment(amount=Decimal(100), vat_rate=Decimal(20)), Payment(amount=Decimal(211), vat_rate=Decimal("5.5")))
    services.issue_status(user=approver, invoice_id=invoice.pk, wish=Wish(status="211", payments=part))
    left = [(row["vat_rate"], row["amount"]) for row in payments_left(invoice, "211")]
    assert left == [("20", Decimal("20.00")), ("0", Decimal("50.00"))]


def test_receipt_of_a_foreign_invoice_is_not_prefilled(customer: Customer, platform: Connection) -> None:
    invoice = make_invoice(customer, platform, direction="issued", currency="USD", vat_breakdown=BREAKDOWN[:1])
    assert payments_left(invoice, "212") == [{"vat_rate": "20", "amount": None, "currency": "EUR"}]


def test_amount_is_read_as_the_french_write_it(client: Client, approver: Any, invoice: Invoice) -> None:
    dialog = Dialog(client, invoice, "211")
    data = {**dialog.fields, "payments-0-amount": "1 120,50", "payments-1-amount": "", "payments-2-amount": ""}
    french = {"HX-Request": "true", "Accept-Language": "fr"}
    client.post(dialog.path, data | {"step": "send", "sure": "on"}, headers=french)
    event = StatusEvent.objects.get(status="211")
    assert event.payments == [{"vat_rate": "20.00", "amount": "1120.50", "currency": "EUR"}]


def test_status_the_platform_does_not_carry(client: Client, customer: Customer, approver: Any) -> None:
    connection = make_connection("fake_line")
    make_line(customer, connection, f"{customer.siren}_80011223700014")
    invoice = make_invoice(customer, connection, statuses=["203"])
    page = client.get(reverse("lifecycle:invoice", args=[invoice.pk]))
    by_hand = parse(page).xpath("//details[@id='by-hand']//a/@id")
    dialog = Dialog(client, invoice, "204")
    warning = texts(dialog.response, "//p[@class='remark remark--warn']")
    dialog.press("preview")
    dialog.press("send")
    assert by_hand[0] == "decide-204"
    assert len(warning) == 1
    assert RelayTask.objects.get().state == RelayState.UNSUPPORTED


def test_decision_on_an_invoice_of_another_customer(client: Client, approver: Any, customer: Customer) -> None:
    foreign = make_invoice(make_customer("905334413"), make_connection(), statuses=["203"])
    path = reverse("lifecycle:decide", args=[foreign.pk, "204"])
    data = {"version": foreign.version, "seen": 1, "key": str(uuid4()), "step": "send"}
    assert (client.post(path, data).status_code, RelayTask.objects.count()) == (404, 0)


# --- many at once -----------------------------------------------------------------------------------------------------


def test_bulk_says_before_what_stays_to_be_done_by_hand(
    client: Client, approver: Any, invoice: Invoice, customer: Customer
) -> None:
    connection = make_connection("fake_line")
    make_line(customer, connection, f"{customer.siren}_80011223700014")
    lacking = make_invoice(customer, connection, statuses=["203"])
    ticked = {"invoice": [str(invoice.pk), str(lacking.pk)]}
    asked = client.post(reverse("lifecycle:take_in_hand"), ticked, headers=HTMX)
    assert RelayTask.objects.count() == 0
    assert len(texts(asked, "//div[@class='dialog-body']/p")) == 2
    kept = parse(asked).xpath("//input[@name='invoice']/@value")
    response = client.post(reverse("lifecycle:take_in_hand"), {"invoice": kept, **SURE}, headers=HTMX)
    assert sorted(texts(response, "//ul[@class='results']//span[contains(@class, 'chip')]")) == ["by hand", "done"]


def test_bulk_tells_each_result(client: Client, approver: Any, invoice: Invoice, customer: Customer) -> None:
    final = make_invoice(customer, invoice.connection, statuses=["203", "210"])
    foreign = make_invoice(make_customer("905334413"), make_connection(), statuses=["203"])
    ticked = {"invoice": [str(invoice.pk), str(final.pk), str(foreign.pk), "nonsense"]}
    response = client.post(reverse("lifecycle:take_in_hand"), ticked, headers=HTMX)
    results = dict(
        zip(
            texts(response, "//ul[@class='results']//a"),
            texts(response, "//ul[@class='results']//span[contains(@class, 'chip')]"),
            strict=True,
        )
    )
    assert results == {invoice.number: "done", final.number: "no"}
    assert [relay.invoice for relay in RelayTask.objects.all()] == [invoice]


# --- relays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "before", "role", "after"),
    [
        ("retry", RelayState.FAILED, "administrator", RelayState.PENDING),
        ("give-up", RelayState.FAILED, "approver", RelayState.CANCELLED),
        ("arrived", RelayState.UNCERTAIN, "administrator", RelayState.CONFIRMED),
        ("again", RelayState.UNCERTAIN, "administrator", RelayState.PENDING),
        ("arrived", RelayState.UNSUPPORTED, "clerk", RelayState.CONFIRMED),
        ("undo", RelayState.SCHEDULED, "approver", RelayState.CANCELLED),
        ("release", RelayState.AWAITING_APPROVAL, "approver", RelayState.PENDING),
        # not theirs to do, or no longer possible
        ("retry", RelayState.FAILED, "approver", RelayState.FAILED),
        ("give-up", RelayState.FAILED, "clerk", RelayState.FAILED),
        ("again", RelayState.UNCERTAIN, "approver", RelayState.UNCERTAIN),
        ("retry", RelayState.CONFIRMED, "administrator", RelayState.CONFIRMED),
        ("undo", RelayState.SENT, "approver", RelayState.SENT),
    ],
)
def test_relay_action(
    client: Client, customer: Customer, invoice: Invoice, name: str, before: str, role: str, after: str
) -> None:
    decider, user = make_user(customer, "approver"), make_user(customer, role)
    relay, _new = services.issue_status(user=decider, invoice_id=invoice.pk, wish=Wish(status="205"))
    RelayTask.objects.update(state=before)
    client.force_login(user)
    path = reverse("lifecycle:relay_action", args=[relay.pk, name])
    response = client.post(path, SURE, headers=HTMX)
    relay.refresh_from_db()
    assert (response.status_code, relay.state) == (204, after)


@pytest.mark.parametrize(
    ("name", "before", "asks_why"),
    [
        ("release", RelayState.AWAITING_APPROVAL, False),
        ("give-up", RelayState.FAILED, False),
        ("arrived", RelayState.UNCERTAIN, True),
        ("again", RelayState.UNCERTAIN, True),
        ("arrived", RelayState.UNSUPPORTED, False),
    ],
)
def test_what_cannot_be_undone_shows_what_it_does_and_asks(
    client: Client, customer: Customer, invoice: Invoice, name: str, before: str, asks_why: bool
) -> None:
    reason = Reason(code="TX_TVA_ERR", text="Nothing of it was ordered")
    wish = Wish(status="210", reasons=(reason,), note="See the order")
    relay, _new = services.issue_status(user=make_user(customer, "approver"), invoice_id=invoice.pk, wish=wish)
    RelayTask.objects.update(state=before)
    client.force_login(make_user(customer, "administrator"))
    asked = client.post(reverse("lifecycle:relay_action", args=[relay.pk, name]), headers=HTMX)
    relay.refresh_from_db()
    assert (asked.status_code, asked.headers["HX-Retarget"], relay.state) == (200, "#dialog-content", before)
    shown = " ".join(texts(asked, "//dl//dd"))
    assert [words in shown for words in (invoice.number, reason.text, "See the order")] == [True] * 3
    assert bool(parse(asked).xpath("//textarea[@name='why']")) == asks_why
    assert bool(parse(asked).xpath("//*[contains(@class, 'remark--bad')]")) == (name == "release")


def test_why_is_required_and_kept_as_a_comment(client: Client, customer: Customer, invoice: Invoice) -> None:
    decider = make_user(customer, "administrator")
    relay, _new = services.issue_status(user=decider, invoice_id=invoice.pk, wish=Wish(status="205"))
    RelayTask.objects.update(state=RelayState.UNCERTAIN)
    client.force_login(decider)
    path = reverse("lifecycle:relay_action", args=[relay.pk, "arrived"])
    assert client.post(path, {"confirmed": "yes", "why": " "}, headers=HTMX).status_code == 422
    client.post(path, SURE, headers=HTMX)
    assert [SURE["why"] in comment.text for comment in Comment.objects.all()] == [True]


def test_release_leaves_time_to_undo(client: Client, customer: Customer, invoice: Invoice) -> None:
    Customer.objects.update(four_eyes=True, undo_seconds=30)
    relay, _new = services.issue_status(
        user=make_user(customer, "approver"), invoice_id=invoice.pk, wish=Wish(status="205")
    )
    client.force_login(make_user(customer, "approver"))
    client.post(reverse("lifecycle:relay_action", args=[relay.pk, "release"]), SURE, headers=HTMX)
    relay.refresh_from_db()
    assert (relay.state, relay.next_attempt_at is not None) == (RelayState.SCHEDULED, True)
    client.post(reverse("lifecycle:relay_action", args=[relay.pk, "undo"]), headers=HTMX)
    relay.refresh_from_db()
    assert relay.state == RelayState.CANCELLED


def test_buttons_are_what_the_services_accept(client: Client, customer: Customer, invoice: Invoice) -> None:
    """The table of buttons mirrors the services: every button works, and what is not offered is refused."""
    from invoices.people.desk import Desk
    from lifecycle.outbox.actions import ACTIONS

    decider = make_user(customer, "approver")
    relay, _new = services.issue_status(user=decider, invoice_id=invoice.pk, wish=Wish(status="205"))
    differing = []
    people = [decider, *(make_user(customer, role) for role in ("reader", "clerk", "approver", "administrator"))]
    for state in RelayState.values:
        for user in people:
            for action in ACTIONS.values():
                RelayTask.objects.update(state=state, next_attempt_at=None)
                relay = RelayTask.objects.select_related("event", "invoice").get(pk=relay.pk)
                offered = action.allowed(Desk(user), relay)
                client.force_login(user)
                response = client.post(
                    reverse("lifecycle:relay_action", args=[relay.pk, action.name]), SURE, headers=HTMX
                )
                worked = '"tone": "good"' in response.headers["HX-Trigger"]
                if offered and not worked:
                    differing.append((state, user.username, action.name))
    assert differing == []


def test_relay_of_another_customer(client: Client, customer: Customer, invoice: Invoice) -> None:
    decider = make_user(customer, "approver")
    relay, _new = services.issue_status(user=decider, invoice_id=invoice.pk, wish=Wish(status="205"))
    client.force_login(make_user(make_customer("905334413"), "administrator"))
    assert client.post(reverse("lifecycle:relay_action", args=[relay.pk, "undo"])).status_code == 404


# --- talk and assignment ----------------------------------------------------------------------------------------------


def test_comment_is_kept_and_escaped(client: Client, approver: Any, invoice: Invoice) -> None:
    client.post(reverse("lifecycle:comment", args=[invoice.pk]), {"text": "<script>x</script>"})
    page = client.get(reverse("lifecycle:invoice", args=[invoice.pk]))
    assert texts(page, "//ol[@class='comments']//div/p[2]") == ["<script>x</script>"]


@pytest.mark.parametrize("text", ["", "   ", "x" * 4001])
def test_bad_comment_is_refused(client: Client, approver: Any, invoice: Invoice, text: str) -> None:
    response = client.post(reverse("lifecycle:comment", args=[invoice.pk]), {"text": text}, headers=HTMX)
    assert ('"tone": "bad"' in response.headers["HX-Trigger"], Comment.objects.count()) == (True, 0)


@pytest.mark.parametrize(("role", "assigned"), [("clerk", True), ("reader", False)])
def test_assignment_to_a_colleague(
    client: Client, approver: Any, invoice: Invoice, customer: Customer, role: str, assigned: bool
) -> None:
    colleague = make_user(customer, role)
    client.post(reverse("lifecycle:assign", args=[invoice.pk]), {"to": colleague.pk})
    invoice.refresh_from_db()
    assert (invoice.assigned_to == colleague) is assigned


def test_reason_outside_the_platforms_list_is_not_offered(
    client: Client, approver: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried = frozenset({"QTE_ERR"})
    monkeypatch.setattr(fake_provider.FakePlatform, "reasons_for", lambda *_args, **_kwargs: carried)
    dialog = Dialog(client, invoice, "207")
    assert parse(dialog.response).xpath("//select[@name='reasons-0-code']/option/@value") == ["", "QTE_ERR"]
    assert services.problems_with(invoice, Wish(status="207", reasons=(Reason(code="PU_ERR"),))) != []
