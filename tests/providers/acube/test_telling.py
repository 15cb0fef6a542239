import json
import logging
from decimal import Decimal

import httpx
import pytest

from providers.acube import tables
from providers.contract.base import File, Payment, PermanentError, Reason, TemporaryError, UncertainError, Unsupported
from providers.norm.codes import REASONS

from .samples import (
    DETAIL,
    HISTORY,
    ISSUED,
    LIFECYCLE,
    NOT_FOUND,
    RECEIVED,
    SECRETS,
    make_acube,
    make_facts,
    make_message,
    make_token,
)


def sent_body(far_end, name=LIFECYCLE):
    (request,) = far_end.asked(name)
    return json.loads(request.content, parse_float=Decimal)


def test_send_plain_status():
    adapter, far_end = make_acube()
    receipt = adapter.send_status(make_message("205"))
    (request,) = far_end.asked(LIFECYCLE)
    assert request.content == b'{"afnorStatusCode": 205}'
    assert (request.headers["content-type"], receipt.confirmed, receipt.text) == ("application/json", False, "")


@pytest.mark.parametrize(
    ("settings", "method", "body"),
    [
        ({"lifecycle_method": "PUT"}, "PUT", {"afnorStatusCode": 205}),
        ({"lifecycle_status_field": "invoiceStatus"}, "POST", {"invoiceStatus": 205}),
        ({"lifecycle_status_value": "name"}, "POST", {"afnorStatusCode": "APPROVED"}),
    ],
)
def test_send_as_the_settings_say(settings, method, body):
    name = f"{method} /invoices/{RECEIVED}/lifecycle"
    adapter, far_end = make_acube({name: (202, {})}, **settings)
    adapter.send_status(make_message("205"))
    assert sent_body(far_end, name) == body


def test_send_reason_with_its_text_and_note():
    adapter, far_end = make_acube()
    reasons = (Reason(code="QTE_ERR", text="9 reçus sur 10"),)
    adapter.send_status(make_message("207", reasons=reasons, note="Merci d'envoyer un avoir"))
    assert sent_body(far_end) == {
        "afnorStatusCode": 207,
        "rejectionDetails": {
            "rejectionReason": "QUANTITY_INCORRECT",
            "message": "9 reçus sur 10\nMerci d'envoyer un avoir",
        },
    }


def test_send_several_reasons_keeps_the_others_in_words():
    adapter, far_end = make_acube()
    reasons = (Reason(code="QTE_ERR"), Reason(code="PU_ERR", text="12 €"), Reason(code="ART_ERR"))
    adapter.send_status(make_message("207", reasons=reasons))
    assert sent_body(far_end)["rejectionDetails"] == {
        "rejectionReason": "QUANTITY_INCORRECT",
        "message": f"{REASONS['PU_ERR'].label_fr} (PU_ERR) : 12 €\n{REASONS['ART_ERR'].label_fr} (ART_ERR)",
    }


@pytest.mark.parametrize(
    ("status", "message"),
    [("207", {}), ("208", {"message": "N° de commande incorrect ou manquant"}),
     ("210", {"message": "N° de commande incorrect ou manquant"})],
)  # fmt: skip
def test_send_reason_alone_has_the_official_message_where_one_is_needed(status, message):
    adapter, far_end = make_acube()
    adapter.send_status(make_message(status, reasons=(Reason(code="CMD_ERR"),)))
    details = {"rejectionReason": "PO_REFERENCE_INCORRECT_OR_MISSING"}
    assert sent_body(far_end)["rejectionDetails"] == details | message


def test_send_payments_as_numbers_with_two_decimals():
    name = f"POST /invoices/{ISSUED}/lifecycle"
    adapter, far_end = make_acube()
    payments = (
        Payment(amount=Decimal(1200), vat_rate=Decimal(20)),
        Payment(amount=Decimal("0.10"), vat_rate=Decimal("5.5")),
        Payment(amount=Decimal("90071992547409.93"), vat_rate=None),
    )
    adapter.send_status(make_message("212", reference=ISSUED, role="SE", payments=payments))
    (request,) = far_end.asked(name)
    assert request.content == (
        b'{"afnorStatusCode": 212, "paymentDetails": [{"vatRate": 20.00, "amount": 1200.00, "currency": "EUR"}, '
        b'{"vatRate": 5.50, "amount": 0.10, "currency": "EUR"}, {"amount": 90071992547409.93, "currency": "EUR"}]}'
    )


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            make_message("205", note="Merci"),
            "A-Cube has no room for a note with this status: the note was not passed on.",
        ),
        (
            make_message("206", reasons=(Reason(code="ART_ERR"),), payments=(Payment(amount=Decimal(1)),)),
            "A-Cube takes no amounts with this status: they were not passed on.",
        ),
    ],
)
def test_send_says_what_it_left_out(message, text):
    assert make_acube()[0].send_status(message).text == text


@pytest.mark.parametrize(
    "message",
    [
        make_message("200"),
        make_message("213"),
        make_message("251"),
        make_message("220", role="SE"),
        make_message("212"),
        make_message("205", role="SE"),
        make_message("209"),
        make_message("208", reasons=(Reason(code="QTE_ERR"),)),
        make_message("207", reasons=(Reason(code="JUSTIF_ABS"),)),
        make_message("210", reasons=(Reason(code="MODPAI_ERR"),)),
        make_message("207", reasons=(Reason(code="QTE_ERR"), Reason(code="REJ_SEMAN"))),
        make_message("205", reasons=(Reason(code="AUTRE"),)),
        make_message("211", payments=(Payment(amount=Decimal(-1)),)),
        make_message("211", payments=(Payment(amount=Decimal("1.001")),)),
        make_message("211", payments=(Payment(amount=Decimal("NaN")),)),
    ],
    ids=lambda message: f"{message.status}-{message.issuer_role}-{message.reasons}-{message.payments}",
)
def test_send_what_cannot_be_expressed(message):
    adapter, far_end = make_acube()
    with pytest.raises(Unsupported):
        adapter.send_status(message)
    assert far_end.calls == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((500, {}), UncertainError),
        ((503, {}), UncertainError),
        ((503, {}, {"retry-after": "30"}), TemporaryError),
        ((429, {}, {"retry-after": "30"}), TemporaryError),
        ((400, {}), PermanentError),
        (NOT_FOUND, PermanentError),
        ((422, {"detail": "Unknown status"}), PermanentError),
        (httpx.ConnectError("no"), TemporaryError),
        (httpx.ReadTimeout("no"), UncertainError),
        (httpx.RemoteProtocolError("no"), UncertainError),
    ],
)
def test_send_failing_is_never_repeated_by_itself(answer, kind):
    adapter, far_end = make_acube({LIFECYCLE: answer})
    with pytest.raises(kind) as caught:
        adapter.send_status(make_message())
    assert (type(caught.value), len(far_end.asked(LIFECYCLE))) == (kind, 1)
    assert getattr(caught.value, "retry_after", None) == (30 if isinstance(answer, tuple) and answer[2:] else None)


@pytest.mark.parametrize("body", [b"", b"[]"])
def test_send_accepted_with_an_odd_body(body):
    assert make_acube({LIFECYCLE: (202, body)})[0].send_status(make_message()).reference == ""


@pytest.mark.parametrize("answer", [(202, b"<html>"), (200, b""), (200, b"\x00")])
def test_send_answered_by_no_receipt_is_uncertain(answer):
    with pytest.raises(UncertainError):
        make_acube({LIFECYCLE: answer})[0].send_status(make_message())


@pytest.mark.parametrize("missing_documents_on_208", [True, False])
def test_every_offered_reason_is_sent_by_a_word_of_its_own(missing_documents_on_208):
    adapter, far_end = make_acube(missing_documents_on_208=missing_documents_on_208)
    for status in ("206", "207", "208", "210"):
        codes = adapter.reasons_for(status, side="buyer")
        for code in codes:
            adapter.send_status(make_message(status, reasons=(Reason(code=code),)))
        words = [
            json.loads(request.content)["rejectionDetails"]["rejectionReason"] for request in far_end.asked(LIFECYCLE)
        ]
        assert sorted(map(tables.find_reason, words)) == sorted(codes)
        far_end.requests.clear()


def test_reasons_offered():
    adapter, _far_end = make_acube()
    assert adapter.reasons_for("206", side="buyer") == {
        "ART_ERR", "QUALITE_ERR", "LIVR_INCOMP", "MODPAI_ERR", "AUTRE", "PU_ERR", "REM_ERR",
    }  # fmt: skip
    assert adapter.reasons_for("208", side="buyer") == {
        "CMD_ERR", "REF_CT_ABSENT", "SIRET_ERR", "CODE_ROUTAGE_ERR", "REF_ERR", "COORD_BANC_ERR", "JUSTIF_ABS",
    }  # fmt: skip
    assert adapter.reasons_for("210", side="buyer") == {
        "NON_CONFORME", "DEST_ERR", "ADR_ERR", "TRANSAC_INC", "CMD_ERR", "REF_CT_ABSENT", "TX_TVA_ERR",
        "MONTANTTOTAL_ERR", "CALCUL_ERR", "DOUBLON", "DOUBLE_FACT", "CONTRAT_TERM", "EMMET_INC",
    }  # fmt: skip
    assert len(adapter.reasons_for("207", side="buyer")) == 25
    assert adapter.reasons_for("207", side="seller") == adapter.reasons_for("205", side="buyer") == frozenset()
    assert "JUSTIF_ABS" not in make_acube(missing_documents_on_208=False)[0].reasons_for("208", side="buyer")


def test_secrets_show_nowhere(caplog):
    caplog.set_level(logging.DEBUG)

    def echo(request):
        return 422, {"detail": f"{request.headers} {dict(request.headers)} {request.content.decode('latin-1')}"}

    token = make_token()
    invoice = File(
        kind="original", content=b'<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"/>'
    )
    names = (
        "GET /invoices",
        "POST /invoices",
        LIFECYCLE,
        DETAIL,
        HISTORY,
        "GET /event-destinations",
        "POST /event-destinations",
    )
    routes = {"POST /login": (200, {"token": token}), **dict.fromkeys(names, echo)}
    adapter, _far_end = make_acube(routes)
    shown = [repr(adapter.account), repr(adapter.__dict__)]
    calls = [
        lambda: adapter.fetch_invoice(RECEIVED),
        lambda: adapter.fetch_statuses(RECEIVED),
        lambda: adapter.send_status(make_message()),
        lambda: adapter.submit_invoice(
            invoice,
            make_facts(ISSUED),
        ),
        lambda: adapter.poll({}),
        adapter.register_webhooks,
        lambda: make_acube({"GET /event-destinations": (200, []), "POST /event-destinations": echo})[
            0
        ].register_webhooks(),
        lambda: make_acube({"POST /login": echo})[0].fetch_invoice(RECEIVED),
    ]
    for call in calls:
        with pytest.raises(PermanentError) as caught:
            call()
        shown += [repr(caught.value), str(caught.value), caught.value.answer]
    shown += [result.message for result in adapter.check()] + [caplog.text]
    everything = "\n".join(shown)
    assert "•••" in everything  # something could have leaked
    assert [secret for secret in (*SECRETS.values(), token) if secret in everything] == []
