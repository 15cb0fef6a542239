"""What the concentrator calls back with: who may, what it says, and what is kept of what nobody understands."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from providers.contract.base import InvoiceKey, Malformed, NotGenuine, Nowhere, Payment, Reason, WrongLine
from tests.providers.battery import no_network

from .samples import LINE, OTHER, SECOND, SIREN, make_account, make_body, make_cegid, make_line, pushed


def make(**settings):
    return make_cegid(**settings)[0]


def parse(body, line=None, **settings):
    adapter = make(**settings)
    request = pushed(body, line)
    adapter.verify_webhook(request)
    return adapter.parse_webhook(request)


def make_document(content=b"<Invoice/>", **changes):
    document = {
        "syntax": "UBL",
        "fileName": "../../F-1.xml",
        "contentBase64": base64.b64encode(content).decode(),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return {name: value for name, value in (document | changes).items() if value is not None}


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [LINE, None, ""])
def test_callback_for_its_own_line_is_taken(named):
    make().verify_webhook(pushed(make_body(addressingLine=named)))


@pytest.mark.parametrize(
    "named", [SECOND, SIREN, LINE.lower() + "x", f"0225:{LINE}", f" {LINE}", 7, [LINE], {"a": LINE}]
)
def test_callback_for_another_line_is_refused(named):
    with pytest.raises(WrongLine):
        make().verify_webhook(pushed(make_body(addressingLine=named)))


def test_line_is_compared_without_the_agreed_prefix():
    adapter = make(addressing_line_prefix="0225:")
    adapter.verify_webhook(pushed(make_body(addressingLine=f"0225:{LINE}")))
    with pytest.raises(WrongLine):
        adapter.verify_webhook(pushed(make_body(addressingLine=f"0225:{SECOND}")))


def test_case_of_a_line_matters():
    line = make_line(f"{SIREN}_Compta")
    make().verify_webhook(pushed(make_body(addressingLine=f"{SIREN}_Compta"), line))
    with pytest.raises(WrongLine):
        make().verify_webhook(pushed(make_body(addressingLine=f"{SIREN}_COMPTA"), line))


def test_address_of_no_line_is_none():
    with pytest.raises(Nowhere):
        make().verify_webhook(replace(pushed(make_body()), line=None))


@pytest.mark.parametrize(
    ("shown", "kept", "is_taken"), [("s", "s", True), ("", "s", False), ("x", "s", False), ("", "", False)]
)
def test_callback_secret_is_asked_for_where_it_is_set(shown, kept, is_taken):
    line = replace(make_line(), secrets={"callback_secret": kept})
    request = pushed(make_body(), line, headers={"x-callback": shown} if shown else {})
    if is_taken:
        make(callback_secret_header="X-Callback").verify_webhook(request)
        return
    with pytest.raises(NotGenuine):
        make(callback_secret_header="X-Callback").verify_webhook(request)


@pytest.mark.parametrize(
    ("address", "is_taken"),
    [
        ("192.0.2.7", True),
        ("2001:db8::1", True),
        ("192.0.3.7", False),
        ("", False),
        ("x", False),
        ("192.0.2.7, 10.0.0.1", False),
    ],
)
def test_source_is_asked_for_where_it_is_set(address, is_taken):
    adapter = make(callback_sources=["192.0.2.0/24", "2001:db8::/32"], callback_source_header="X-Real-IP")
    request = pushed(make_body(), headers={"X-Real-Ip": address})
    if is_taken:
        adapter.verify_webhook(request)
        return
    with pytest.raises(NotGenuine):
        adapter.verify_webhook(request)


def test_network_that_is_none_lets_nobody_in():
    with pytest.raises(NotGenuine):
        make(callback_sources=["nonsense"]).verify_webhook(pushed(make_body(), headers={"X-Real-IP": "192.0.2.7"}))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"7", b'"x"', b"<a/>", b"\xff\xfe", b"[" * 100_000])
def test_body_that_is_no_object_is_malformed(body):
    with pytest.raises(Malformed):
        make().verify_webhook(pushed(body))


# --- what is acknowledged ---------------------------------------------------------------------------------------------


def test_message_is_acknowledged_alike_each_time():
    adapter = make()
    key = parse(make_body()).key
    first, second = adapter.acknowledge(key), adapter.acknowledge(key)

    assert (first, first.status_code, first.document["received"]) == (second, 202, True)
    assert adapter.acknowledge("other").document["id"] != first.document["id"]


def test_key_is_the_message_id_of_that_line():
    keys = {
        parse(make_body()).key,
        parse(make_body(messageId="other")).key,
        parse(make_body(messageId=None)).key,
        parse(make_body(messageId="x" * 65)).key,
        make().parse_webhook(pushed(make_body(addressingLine=SECOND), make_line(SECOND))).key,
    }
    assert len(keys) == 5
    assert all(len(key) <= 200 for key in keys)
    assert parse(make_body(messageId="m")).key == parse(make_body(messageId="m", occurredAt=None)).key


def test_same_bytes_without_an_id_are_the_same_message():
    body = json.dumps(make_body(messageId=None)).encode()
    assert parse(body).key == parse(body).key != parse(body + b" ").key


# --- statuses ---------------------------------------------------------------------------------------------------------


def test_decision_of_the_customer():
    status = {
        "code": 207,
        "issuer": "CUSTOMER",
        "reasons": [{"code": "QTE_ERR", "text": "9 sur 10"}],
        "note": "Voir BL",
    }
    (report,) = parse(make_body(status=status)).statuses

    assert (report.status, report.native_status, report.issuer_role, report.note) == ("207", "207", "BY", "Voir BL")
    assert report.reasons == (Reason(code="QTE_ERR", text="9 sur 10"),)
    assert report.occurred_at == datetime(2026, 10, 5, 8, 12, 31, tzinfo=UTC)
    assert (report.provider_ref, report.key) == ("", "")  # told apart by invoice, code and time: an echo is the same
    assert report.invoice_key == InvoiceKey(
        seller_siren=OTHER, number="F-2026-0042", type_code="380", issue_date=date(2026, 10, 4), direction="received"
    )


def test_customers_receipt_on_its_sale():
    invoice = {"number": "V-1", "sellerSiren": SIREN}
    payments = [{"type": "MEN", "vatRate": "20.00", "amount": "1200.00"}, {"amount": 5.5, "currency": "USD"}]
    status = {"code": "212", "issuer": "CUSTOMER", "payments": payments}
    (report,) = parse(make_body(kind="outgoing", invoice=invoice, status=status)).statuses

    assert (report.status, report.issuer_role, report.invoice_key.direction) == ("212", "SE", "issued")
    assert report.payments == (
        Payment(amount=Decimal("1200.00"), vat_rate=Decimal("20.00")),
        Payment(amount=Decimal("5.5"), currency="USD"),
    )


@pytest.mark.parametrize(
    ("kind", "code", "issuer", "role"),
    [
        ("incoming", 205, "CUSTOMER", "BY"),
        ("outgoing", 209, "CUSTOMER", "SE"),
        ("outgoing", 205, "CUSTOMER", ""),  # the echo of what a buyer said
        ("incoming", 212, "CUSTOMER", ""),
        ("outgoing", 211, "CUSTOMER", ""),
        ("outgoing", 205, "BUYER", "BY"),
        ("incoming", 202, "PLATFORM", "WK"),
        ("incoming", 205, "SOMEBODY", ""),
        ("incoming", 205, None, ""),
        ("incoming", 205, ["BUYER"], ""),
        ("incoming", 299, "CUSTOMER", "BY"),
    ],
)
def test_issuer_is_the_customers_side_where_it_can_be(kind, code, issuer, role):
    ours, theirs = ("buyerSiren", "sellerSiren") if kind == "incoming" else ("sellerSiren", "buyerSiren")
    body = make_body(
        kind=kind, invoice={"number": "1", ours: SIREN, theirs: OTHER}, status={"code": code, "issuer": issuer}
    )
    assert parse(body).statuses[0].issuer_role == role


def test_payment_of_a_credit_note_is_the_sellers():
    invoice = {"number": "1", "typeCode": "381", "sellerSiren": SIREN}
    body = make_body(kind="outgoing", invoice=invoice, status={"code": 211, "issuer": "CUSTOMER"})
    assert parse(body).statuses[0].issuer_role == "SE"


@pytest.mark.parametrize(
    ("word", "status"),
    [(205, "205"), ("205", "205"), (501, "501"), (250, "250"), (299, None), ("APPROVED", None), (-1, None)],
)
def test_unknown_code_is_kept_as_a_word(word, status):
    delivery = parse(make_body(status={"code": word, "issuer": "CUSTOMER"}))
    assert (delivery.statuses[0].status, delivery.statuses[0].native_status, delivery.unclear) == (
        status,
        str(word),
        "",
    )


def test_words_of_the_other_end_are_settings():
    status = {"code": "DISPUTED", "issuer": "CUSTOMER", "reasons": [{"code": "QUANTITY"}, {"text": "?"}]}
    (report,) = parse(
        make_body(status=status), status_words=["207=DISPUTED"], reason_words=["QTE_ERR=QUANTITY"]
    ).statuses

    assert (report.status, report.native_status) == ("207", "DISPUTED")
    assert report.reasons == (Reason(code="QTE_ERR", native_code="QUANTITY"), Reason(text="?"))


@pytest.mark.parametrize("told", [None, "", "yesterday", "2026-10-05", 7])
def test_time_that_is_none_is_none(told):
    assert parse(make_body(occurredAt=told)).statuses[0].occurred_at is None


def test_amount_that_is_none_leaves_the_status_and_a_doubt():
    rows = [{"amount": "12,50"}, {"amount": "NaN"}, {"amount": "1e400"}, 7, {"amount": "12.50"}]
    delivery = parse(make_body(status={"code": 211, "issuer": "CUSTOMER", "payments": rows}))

    assert [payment.amount for payment in delivery.statuses[0].payments] == [Decimal("12.50")]
    assert delivery.unclear.count("cannot be read") == 4


# --- invoices ---------------------------------------------------------------------------------------------------------


def test_new_invoice_of_the_customer_stands_at_200():
    invoice = {"number": "V-1", "issueDate": "2026-10-01", "typeCode": "380", "sellerSiren": SIREN, "buyerSiren": OTHER}
    delivery = parse(make_body(kind="outgoing", invoice=invoice, status=None, document=make_document()))
    (report,), (status,) = delivery.invoices, delivery.statuses

    assert (report.provider_ref, report.direction, report.number) == (
        f"issued/{LINE}/{SIREN}/V-1/2026",
        "issued",
        "V-1",
    )
    assert (report.seller.identifier, report.seller.siren, report.buyer.siren) == (LINE, SIREN, OTHER)
    (file,) = delivery.files[report.provider_ref]
    assert (file.kind, file.content, file.media_type, file.filename) == (
        "original",
        b"<Invoice/>",
        "application/xml",
        "F-1.xml",
    )
    assert (status.status, status.issuer_role) == ("200", "WK")
    assert "contentBase64" not in repr(report.raw)


def test_invoice_for_the_customer_comes_with_its_status():
    delivery = parse(
        make_body(status={"code": 202, "issuer": "PLATFORM"}, document=make_document(syntax="?", sha256=None))
    )

    assert (delivery.invoices[0].buyer.identifier, delivery.statuses[0].status) == (LINE, "202")
    assert delivery.files[delivery.invoices[0].provider_ref][0].media_type == ""


def test_invoices_of_two_lines_never_have_one_name():
    bodies = [make_body(addressingLine=line, document=make_document()) for line in (LINE, SECOND)]
    names = {
        make().parse_webhook(pushed(body, make_line(line))).invoices[0].provider_ref
        for body, line in zip(bodies, (LINE, SECOND), strict=True)
    }
    assert len(names) == 2


def test_name_too_long_for_its_column_is_replaced_by_its_digest():
    invoice = {"number": "N" * 170, "sellerSiren": OTHER}
    names = {
        parse(make_body(invoice=invoice | {"number": number}, document=make_document())).invoices[0].provider_ref
        for number in ("N" * 170, "N" * 171)
    }
    assert {len(name) for name in names} == {64}
    assert len(names) == 2


# --- what nobody understands ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "sideways"},
        {"kind": None},
        {"kind": ["incoming"]},
        {"invoice": None},
        {"invoice": "F-1"},
        {"invoice": {"number": "F-1"}},
        {"invoice": {"sellerSiren": OTHER}},
        {"invoice": {"number": "F-1", "sellerSiren": "12345678"}},
        {"invoice": {"number": "F-1", "sellerSiren": OTHER, "buyerSiren": "812700557"}},
        {"invoice": {"number": "x" * 201, "sellerSiren": OTHER}},
        {"status": None},
        {"status": 205},
        {"status": {"issuer": "CUSTOMER"}},
        {"document": "PD94"},
        {"document": {"syntax": "UBL"}},
        {"document": {"contentBase64": "not base64!"}},
        {"document": {"contentBase64": 7}},
        {"document": make_document(sha256="0" * 64)},
    ],
    ids=repr,
)
def test_message_that_is_not_understood_is_kept_for_a_person(changes):
    delivery = parse(make_body(**changes))
    assert (bool(delivery.unclear), delivery.statuses, delivery.invoices) == (True, (), ())
    assert delivery.key == parse(make_body()).key


def test_reading_asks_nobody():
    adapter = make_cegid(account=make_account())[0]
    adapter.client._transport.handler = no_network
    adapter.parse_webhook(pushed(make_body(document=make_document())))
