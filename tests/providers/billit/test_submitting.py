"""An invoice handed in: its order, one key for one document, and what a 409 means."""

import base64
import datetime as dt
import json
import os
import re
from decimal import Decimal

import httpx
import pytest

from providers.billit.submitting import find_created
from providers.billit.ubl import write_order
from providers.contract.base import File, PermanentError, TemporaryError, UncertainError, Unsupported
from providers.sandbox.samples import BY_KEY, Company, build

from .samples import ISSUED, LIST, SEND, make_billit, make_facts, make_order

SELLER = Company("NOTRE SOCIETE", "999000011")
BUYER = Company("ATELIER DUPONT", "999000029", address="999000029_COMPTA")


def document(key="stationery", **changes):
    return build(
        BY_KEY[key],
        **({"number": "F-2026-0042", "issued": dt.date(2026, 10, 4), "seller": SELLER, "buyer": BUYER} | changes),
    )


def file_of(content=None):
    return File(kind="original", content=document() if content is None else content, filename="a.xml")


def written(content):
    return write_order(content, business_type_field="BusinessProcessType")


def changed(old, new, content=None):
    content = document() if content is None else content
    assert old.encode() in content
    return content.replace(old.encode(), new.encode())


FACTS = make_facts(ISSUED, provider_ref="")


# --- the order ---


def test_order_of_an_invoice():
    order = written(document()).order
    lines, attachments = order.pop("OrderLines"), order.pop("Attachments")
    comments = order.pop("Comments")
    assert order == {
        "OrderType": "Invoice", "OrderDirection": "Income", "OrderNumber": "F-2026-0042", "OrderDate": "2026-10-04",
        "ExpiryDate": "2026-11-03", "Currency": "EUR", "BusinessProcessType": "B1", "Reference": "BC-2026-118",
        "Customer": {
            "Name": "ATELIER DUPONT", "PartyType": "Customer", "VATNumber": "FR23999000029",
            "Identifiers": [
                {"IdentifierType": "SIREN", "Identifier": "999000029"},
                {"IdentifierType": "SIRET", "Identifier": BUYER.siret},
                {"IdentifierType": "CTC", "Identifier": "999000029_COMPTA"},
            ],
            "Addresses": [{
                "AddressType": "InvoiceAddress", "Street": "1 place du Marché", "Zipcode": "75001", "City": "Paris",
                "CountryCode": "FR",
            }],
        },
    }  # fmt: skip
    assert lines[2] == {
        "Quantity": Decimal(3), "Unit": "C62", "UnitPriceExcl": Decimal("28.00"),
        "Description": "Guide pratique de la facture électronique (livre)", "VATPercentage": Decimal("5.50"),
    }  # fmt: skip
    assert (len(lines), comments.splitlines()[3]) == (3, "#BAR#B2B")
    assert (attachments[0]["FileName"], base64.b64decode(attachments[0]["FileContent"])[:5]) == (
        "bon-livraison-1187.pdf", b"%PDF-",
    )  # fmt: skip


def test_what_an_order_has_no_place_for_is_named():
    assert written(document("consulting")).left_out == ("InvoicePeriod", "Delivery", "PaymentTerms")


def test_order_of_a_credit_note():
    key = next(sample.key for sample in BY_KEY.values() if sample.type_code == "381")
    content = document(key, original="F-2026-0007")
    order = written(content).order
    assert (order["OrderType"], order["AboutInvoiceNumber"]) == ("CreditNote", "F-2026-0007")
    start, end = content.index(b"<cac:BillingReference>"), content.index(b"</cac:BillingReference>")
    with pytest.raises(PermanentError, match="name its invoice"):
        written(content[:start] + content[end + len(b"</cac:BillingReference>") :])


@pytest.mark.parametrize("key", sorted(BY_KEY))
def test_no_sample_is_told_with_another_amount(key):
    """Each is either refused, or its order comes to the invoice's own total."""
    content = document(key, original="F-1")
    try:
        order = written(content).order
    except Unsupported:
        return
    total = Decimal(0)
    for rate in {line["VATPercentage"] for line in order["OrderLines"]}:
        base = sum(
            round(line["Quantity"] * line["UnitPriceExcl"], 2)
            for line in order["OrderLines"]
            if line["VATPercentage"] == rate
        )
        total += base + round(base * rate / 100, 2)
    assert f">{total}</cbc:PayableAmount>".encode() in content


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"", PermanentError, "empty"),
        (b"<a>", PermanentError, "XML"),
        (b"<a/>", Unsupported, "UBL"),
        (b"%PDF-1.7", PermanentError, "XML"),
        (b'<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>', PermanentError, "document type"),
        (changed(">380<", ">386<"), Unsupported, "not 386"),
        (changed(">380<", ">384<"), Unsupported, "not 384"),
        (document("printing"), Unsupported, "allowances or charges"),
        (document("design"), Unsupported, "category E"),
        (document("framing"), Unsupported, "category AE"),
        (changed("<cbc:ID>F-2026-0042</cbc:ID>", ""), PermanentError, "lacks ID"),
        (changed("<cbc:ProfileID>B1</cbc:ProfileID>", ""), PermanentError, "lacks ProfileID"),
        (changed('schemeID="0225">999000029_COMPTA', 'schemeID="0088">123'), Unsupported, "0088"),
        (changed("999000029_COMPTA", "9" * 126), PermanentError, "126 characters; 125 are allowed"),
        (changed(">21.90<", ">21.91<"), Unsupported, "quantity times its price"),
        (changed(">21.90<", ">21,90<"), PermanentError, "no number"),
        (changed(">12</cbc:InvoicedQuantity>", ">NaN</cbc:InvoicedQuantity>"), PermanentError, "no number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_invoice_that_an_order_cannot_say(content, kind, words):
    adapter, far_end = make_billit()
    with pytest.raises(kind, match=words) as caught:
        adapter.submit_invoice(file_of(content), FACTS)
    assert (type(caught.value), far_end.calls) == (kind, [])


@pytest.mark.parametrize("name", ["TaxExclusiveAmount", "TaxInclusiveAmount", "PayableAmount"])
def test_invoice_whose_sums_billit_would_not_come_to(name):
    content = document()
    start = content.index(f"<cbc:{name}".encode())
    with pytest.raises(Unsupported):
        written(content[:start] + content[start:].replace(b">", b">1", 1))


def test_address_of_125_characters():
    longest = "9" * 125
    identifiers = written(changed("999000029_COMPTA", longest)).order["Customer"]["Identifiers"]
    assert identifiers[-1]["Identifier"] == longest


def test_attachment_of_nine_megabytes():
    file = base64.b64encode(os.urandom(9 * 1024 * 1024)).decode()
    content = re.sub(rb'(?<=filename="bon-livraison-1187.pdf">)[^<]*', file.encode(), document())
    order = written(content).order
    assert order["Attachments"][0]["FileContent"] == file


def test_attachment_that_is_damaged():
    with pytest.raises(PermanentError, match="damaged"):
        written(changed('filename="bon-livraison-1187.pdf">', 'filename="bon-livraison-1187.pdf">%'))


# --- the call ---


def test_submit():
    adapter, far_end = make_billit(transport_type="Peppol")
    receipt = adapter.submit_invoice(file_of(), FACTS)
    (request,) = far_end.asked(SEND)
    body = json.loads(request.content)
    assert (receipt.reference, receipt.confirmed) == (ISSUED, False)
    assert receipt.text == ("Billit's orders have no place for: Delivery, PaymentTerms. It was not passed on.")
    assert (body["TransportType"], body["Order"]["OrderNumber"]) == ("Peppol", "F-2026-0042")
    assert (request.headers["idempotency-key"].isalnum(), request.headers["partyid"]) == (True, "8001")


def test_one_document_has_one_key():
    adapter, far_end = make_billit()
    for content in (document(), document(), document(number="F-2026-0043")):
        adapter.submit_invoice(file_of(content), FACTS)
    first, second, other = (request.headers["idempotency-key"] for request in far_end.asked(SEND))
    assert (first == second, first != other) == (True, True)


def test_warnings_are_passed_on():
    answer = (200, {"OrderID": 9001, "TransportMessages": [{"ErrorMessage": "Sent tomorrow"}, {"DefaultText": "Bye"}]})
    assert make_billit({SEND: answer})[0].submit_invoice(file_of(), FACTS).text.startswith("Sent tomorrow Bye Billit's")


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ({"OrderID": 9001}, "9001"),
        ({"registrationID": 9001}, "9001"),
        ({"orderId": "9001", "registrationID": 8001}, "9001"),
        (9001, "9001"),
        ("9001", "9001"),
        ({}, ""),
        ([], ""),
        (None, ""),
        ({"OrderID": "x"}, ""),
        (0, ""),
    ],
)
def test_number_of_what_was_created(answer, number):
    assert find_created(answer) == number


def test_success_without_a_number_is_uncertain():
    with pytest.raises(UncertainError):
        make_billit({SEND: (200, {})})[0].submit_invoice(file_of(), FACTS)


def test_done_already_is_adopted_from_the_list():
    adapter, far_end = make_billit({SEND: (409, {"errors": [{"Description": "Idempotent token already exists"}]})})
    receipt = adapter.submit_invoice(file_of(), FACTS)
    assert (receipt.reference, receipt.confirmed, far_end.calls) == (ISSUED, True, [SEND, LIST])
    assert far_end.requests[1].url.params["$filter"] == "OrderNumber eq 'F-2026-0042' and OrderDirection eq 'Income'"


def test_done_already_and_not_in_the_list_is_uncertain():
    with pytest.raises(UncertainError):
        make_billit({SEND: (409, {}), LIST: (200, {"Items": []})})[0].submit_invoice(file_of(), FACTS)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((400, {"errors": [{"Code": "DuplicateOrderNumber", "Description": "x"}]}), UncertainError),
        ((400, {"errors": [{"Code": "TheCustomerIsNotActiveOnPeppol"}]}), PermanentError),
        ((403, {}), PermanentError),
        ((500, {}), UncertainError),
        ((429, {}), TemporaryError),
        (httpx.ReadTimeout("x"), UncertainError),
        (httpx.ConnectTimeout("x"), TemporaryError),
    ],
    ids=str,
)
def test_submitting_fails_in_our_terms(answer, kind):
    adapter, far_end = make_billit({SEND: answer})
    with pytest.raises(kind) as caught:
        adapter.submit_invoice(file_of(), FACTS)
    assert (type(caught.value), far_end.calls) == (kind, [SEND])


def test_file_too_large():
    with pytest.raises(PermanentError, match="larger than the 1 MB"):
        make_billit(max_file_mb=1)[0].submit_invoice(file_of(b"<" * (1024 * 1024 + 1)), FACTS)


# --- looking for it ---


@pytest.mark.parametrize(
    "changes",
    [
        {"OrderNumber": "F-2026-0043"},
        {"OrderDirection": "Cost"},
        {"OrderType": "CreditNote"},
        {"OrderDate": "2025-10-04T00:00:00"},
    ],
    ids=str,
)
def test_another_invoice_is_not_taken_for_ours(changes):
    adapter, _far_end = make_billit({LIST: (200, {"Items": [make_order(ISSUED, **changes)]})})
    assert adapter.find_invoice(FACTS) is None


def test_number_cannot_leave_its_place_in_the_filter():
    adapter, far_end = make_billit()
    adapter.find_invoice(make_facts(ISSUED, number="F' or 'a' eq 'a"))
    assert far_end.requests[0].url.params["$filter"].startswith("OrderNumber eq 'F'' or ''a'' eq ''a' and")


def test_invoice_without_a_number_is_not_looked_for():
    with pytest.raises(UncertainError):
        make_billit()[0].find_invoice(make_facts(ISSUED, number=""))


def test_list_without_an_end_is_not_taken_for_absence():
    numbers = iter(range(1, 10**6))

    def page(request):
        items = [make_order(ISSUED, OrderID=next(numbers), OrderNumber="X") for _ in range(120)]
        return 200, {"Items": items, "NextPageLink": "x"}

    with pytest.raises(UncertainError, match="too long"):
        make_billit({LIST: page})[0].find_invoice(FACTS)
