"""Refusals and payments: one call each, and what is done about a lost answer."""

import json
import logging
from decimal import Decimal

import httpx
import pytest

from providers.billit import tables
from providers.contract.base import Payment, PermanentError, Reason, TemporaryError, UncertainError, Unsupported
from providers.norm.codes import REASONS
from providers.norm.codes import reasons_for as national_reasons_for

from .samples import (
    HOOK_SECRETS,
    ISSUED,
    ISSUED_ORDER,
    LIST,
    NOT_FOUND,
    ORDER,
    OTHER_LINE,
    OTHER_REGISTRATION,
    PAY,
    RECEIVED,
    REFUSE,
    SECRETS,
    delivery,
    make_account,
    make_billit,
    make_facts,
    make_line,
    make_message,
    make_order,
)

DOUBLON = (Reason(code="DOUBLON", text="déjà reçue le 2"),)
PAID = (
    Payment(amount=Decimal("1200.00"), vat_rate=Decimal("20.00")),
    Payment(amount=Decimal("105.50"), vat_rate=Decimal("5.50")),
)


def refusal(**changes):
    return make_message("210", **({"reasons": DOUBLON} | changes))


def receipt_of_money(**changes):
    return make_message("212", reference=ISSUED, role="SE", **({"payments": PAID} | changes))


def sent_body(far_end, name):
    (request,) = far_end.asked(name)
    return json.loads(request.content, parse_float=Decimal)


# --- refusing ---


def test_refuse():
    adapter, far_end = make_billit()
    receipt = adapter.send_status(refusal(note="Merci d'annuler"))
    assert (receipt.confirmed, receipt.text) == (False, "")
    assert sent_body(far_end, REFUSE) == {
        "RefusalReasonCode": "Duplicate",
        "RefusalReasonDescription": "déjà reçue le 2\nMerci d'annuler",
        "OrderIDs": [9002],
    }
    headers = far_end.requests[0].headers
    assert (headers["apikey"], headers["partyid"]) == ("k3y-of-the-master", "8001")
    assert (headers["content-type"], "authorization" in headers) == ("application/json", False)


@pytest.mark.parametrize(("code", "word"), tables.REASONS.items())
def test_every_reason_of_a_refusal(code, word):
    adapter, far_end = make_billit()
    adapter.send_status(refusal(reasons=(Reason(code=code),)))
    body = sent_body(far_end, REFUSE)
    assert (body["RefusalReasonCode"], body["RefusalReasonDescription"]) == (word, REASONS[code].label_fr)


def test_the_thirteen_reasons_are_the_lawful_ones():
    assert sorted(make_billit()[0].reasons_for("210", side="buyer")) == sorted(national_reasons_for("210"))
    assert len(set(tables.REASONS.values())) == 13


def test_second_reason_stands_in_the_text():
    adapter, far_end = make_billit()
    adapter.send_status(refusal(reasons=(*DOUBLON, Reason(code="CMD_ERR", text="BC 12"), Reason(code="ADR_ERR"))))
    assert sent_body(far_end, REFUSE)["RefusalReasonDescription"] == (
        f"déjà reçue le 2\n{REASONS['CMD_ERR'].label_fr} (CMD_ERR) : BC 12\n{REASONS['ADR_ERR'].label_fr} (ADR_ERR)"
    )


def test_refusal_goes_where_the_settings_say():
    name = "POST /v1/einvoices/orders/commands/refuse"
    adapter, far_end = make_billit({name: (200, b"1")}, refuse_path="/v1/einvoices/orders/commands/refuse")
    adapter.send_status(refusal())
    assert far_end.calls == [name]


def test_party_of_the_invoices_own_line():
    account = make_account(make_line(), make_line(OTHER_LINE, OTHER_REGISTRATION, party_id="777"))
    adapter, far_end = make_billit(account=account)
    adapter.send_status(refusal(invoice=make_facts(line_identifier=OTHER_LINE)))
    assert far_end.requests[0].headers["partyid"] == "777"


@pytest.mark.parametrize("body", [b"0", b"2", b"", b"{}", b"null", b"<html>"])
def test_refusal_answered_otherwise_is_uncertain(body):
    with pytest.raises(UncertainError):
        make_billit({REFUSE: (200, body)})[0].send_status(refusal())


# --- being paid ---


def test_pay():
    adapter, far_end = make_billit()
    receipt = adapter.send_status(receipt_of_money(note="virement 118"))
    assert sent_body(far_end, PAY) == {
        "Amount": Decimal("1305.5"),
        "Description": "TVA 20.00 % : 1200.00 ; 5.50 % : 105.50\nvirement 118",
        "Date": "2026-10-07",  # in France, although it is still the day before in UTC
    }
    assert receipt.text == "Billit has no field for VAT rates: they stand in the payment's description."


def test_payment_carries_one_key_however_often_it_is_tried():
    adapter, far_end = make_billit({PAY: [(500, {}), (200, {})]})
    with pytest.raises(UncertainError):
        adapter.send_status(receipt_of_money())
    adapter.send_status(receipt_of_money())
    adapter.send_status(receipt_of_money(id="another"))
    first, second, other = (request.headers["idempotency-key"] for request in far_end.asked(PAY))
    assert (first == second, first != other, first.isalnum(), len(first)) == (True, True, True, 32)


def test_payment_that_was_taken_before_is_done():
    assert make_billit({PAY: (409, {"errors": [{"Code": "IdempotentTokenAlreadyExists"}]})})[0].send_status(
        receipt_of_money()
    )


@pytest.mark.parametrize("amount", ["90071992547409.93", "0.1", "1200", "1200.10"])
def test_amounts_are_written_exactly(amount):
    adapter, far_end = make_billit()
    adapter.send_status(receipt_of_money(payments=(Payment(amount=Decimal(amount)),)))
    assert sent_body(far_end, PAY)["Amount"] == Decimal(amount)


# --- what it does not carry ---


@pytest.mark.parametrize("status", ["204", "205", "206", "207", "208", "209", "211", "220", "224", "228"])
@pytest.mark.parametrize("role", ["BY", "SE"])
def test_what_stays_with_us_makes_no_call(status, role):
    adapter, far_end = make_billit()
    with pytest.raises(Unsupported):
        adapter.send_status(make_message(status, role=role))
    assert far_end.calls == []


@pytest.mark.parametrize(
    "message",
    [
        refusal(reasons=()),
        refusal(reasons=(Reason(code="AUTRE", text="voilà"),)),
        refusal(reasons=(*DOUBLON, Reason(code="AUTRE", text="voilà"))),
        refusal(issuer_role="SE"),
        receipt_of_money(issuer_role="BY"),
        receipt_of_money(payments=()),
        receipt_of_money(payments=(Payment(amount=Decimal(-5)),)),
        receipt_of_money(payments=(*PAID, Payment(amount=Decimal(-5)))),
        receipt_of_money(payments=(Payment(amount=Decimal("NaN")),)),
        receipt_of_money(payments=(Payment(amount=Decimal("1.005")),)),
        receipt_of_money(payments=(*PAID, Payment(amount=Decimal(5), currency="USD"))),
    ],
    ids=lambda message: f"{message.status}-{message.issuer_role}-{message.reasons}-{message.payments}"[:80],
)
def test_what_cannot_be_said_makes_no_call(message):
    adapter, far_end = make_billit()
    with pytest.raises(Unsupported):
        adapter.send_status(message)
    assert far_end.calls == []


@pytest.mark.parametrize("reference", ["", "abc", "9002/../9003", "٩٠٠٢"])
def test_foreign_reference_makes_no_call(reference):
    adapter, far_end = make_billit()
    for message in (refusal(), receipt_of_money()):
        with pytest.raises(PermanentError):
            adapter.send_status(make_message(**{**vars(message), "invoice": make_facts(provider_ref=reference)}))
    assert far_end.calls == []


def test_invoice_without_a_known_company_makes_no_call():
    adapter, far_end = make_billit(account=make_account(make_line(registration="")))
    with pytest.raises(PermanentError, match="registration_id"):
        adapter.send_status(refusal())
    adapter, far_end = make_billit(account=make_account(of={}))
    with pytest.raises(PermanentError, match="addressing line of order 9002"):
        adapter.send_status(refusal(invoice=make_facts(line_identifier="")))
    assert far_end.calls == []


@pytest.mark.parametrize(("name", "message"), [(REFUSE, refusal()), (PAY, receipt_of_money())], ids=["210", "212"])
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((500, {}), UncertainError),
        ((429, {}, {"retry-after": "30"}), TemporaryError),
        ((408, {}), TemporaryError),
        ((400, {"errors": [{"Code": "OrderAlreadyRefused", "Description": "Refused before"}]}), PermanentError),
        ((401, {}), PermanentError),
        (NOT_FOUND, PermanentError),
        (httpx.ConnectError("no"), TemporaryError),
        (httpx.ReadTimeout("no"), UncertainError),
    ],
    ids=str,
)
def test_failing_is_never_repeated_by_itself(name, message, answer, kind):
    adapter, far_end = make_billit({name: answer})
    with pytest.raises(kind) as caught:
        adapter.send_status(message)
    assert (type(caught.value), far_end.calls) == (kind, [name])


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"retry-after": "7"}, 7), ({}, 90), ({"retry-after": "soon"}, 90)], ids=str
)
def test_patience_asked_for_without_a_time(headers, seconds):
    with pytest.raises(TemporaryError) as caught:
        make_billit({REFUSE: (429, {}, headers)}, rate_limit_pause=90)[0].send_status(refusal())
    assert caught.value.retry_after == seconds


def test_all_business_errors_are_told():
    errors = [{"Code": "A", "Description": "Le motif"}, {"code": "B", "description": "La commande"}]
    with pytest.raises(PermanentError) as caught:
        make_billit({REFUSE: (400, {"errors": errors})})[0].send_status(refusal())
    assert caught.value.message == "Billit refuses (400). A: Le motif; B: La commande"


# --- after a lost answer ---


def test_refusal_that_arrived_is_shown_by_the_order():
    details = delivery(DocumentRefusedDate="2026-10-06T23:31:00")
    receipt = make_billit({ORDER: (200, make_order(**details))})[0].find_status(refusal())
    assert (receipt.reference, receipt.confirmed) == (RECEIVED, True)


def test_refusal_that_did_not_arrive():
    assert make_billit()[0].find_status(refusal()) is None


def test_full_payment_is_shown_by_the_order():
    order = make_order(ISSUED, Paid=True, TotalIncl=1305.5)
    assert make_billit({ISSUED_ORDER: (200, order)})[0].find_status(receipt_of_money()).confirmed


@pytest.mark.parametrize("changes", [{}, {"Paid": True}, {"Paid": True, "TotalIncl": None}])
def test_payment_that_is_not_shown_is_for_a_person(changes):
    with pytest.raises(Unsupported, match="does not show the payments"):
        make_billit({ISSUED_ORDER: (200, make_order(ISSUED, **changes))})[0].find_status(receipt_of_money())


# --- secrets ---


def test_secrets_show_nowhere(caplog):
    caplog.set_level(logging.DEBUG)

    def echo(request):
        return 422, {"errors": [{"Description": f"{dict(request.headers)} {request.content.decode('latin-1')}"}]}

    names = (ORDER, ISSUED_ORDER, LIST, REFUSE, PAY, "GET /v1/webhooks", "GET /v1/einvoices/registrations")
    adapter, _far_end = make_billit(dict.fromkeys(names, echo))
    oauth, _far_end = make_billit(
        dict.fromkeys((*names, "POST /OAuth2/token"), echo), auth_mode="oauth2", client_id="c"
    )
    after_login, _far_end = make_billit(dict.fromkeys(names, echo), auth_mode="oauth2", client_id="c")
    shown = []
    for each in (adapter, oauth, after_login):
        calls = [
            lambda each=each: each.fetch_statuses(RECEIVED),
            lambda each=each: each.send_status(refusal()),
            lambda each=each: each.send_status(receipt_of_money()),
            lambda each=each: each.poll({}),
            lambda each=each: each.find_invoice(make_facts(ISSUED)),
            each.register_webhooks,
        ]
        for call in calls:
            with pytest.raises(PermanentError) as caught:
                call()
            shown += [repr(caught.value), str(caught.value), caught.value.answer]
        shown += [repr(each.account), repr(vars(each)), *(result.message for result in each.check())]
    everything = "\n".join([*shown, caplog.text])
    assert "•••" in everything  # something could have leaked
    secrets = [*SECRETS.values(), *HOOK_SECRETS.values(), "t0ken-1", "refr3sh-1"]
    assert [secret for secret in secrets if secret in everything] == []
