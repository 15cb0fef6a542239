import hashlib
import json
import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from django.utils import translation

from providers.contract import http
from providers.contract.base import NotSpoken, PermanentError, TemporaryError, UncertainError
from tests.providers.fakes import FarEnd

URL = "https://api.example.test/thing"


@pytest.fixture(autouse=True)
def in_english():
    with translation.override("en"):
        yield


def make_wire(answer, **options) -> http.Wire:
    far_end = FarEnd({"POST /thing": answer, "GET /thing": answer})
    client = httpx.Client(transport=httpx.MockTransport(far_end))
    return http.Wire(client, platform="Nimbus", **options)


def call(answer, *, repeatable, **options):
    wire = make_wire(answer)
    return wire.require_success(wire.exchange("POST", URL, repeatable=repeatable, **options), repeatable=repeatable)


def failure(answer, *, repeatable, **options):
    with pytest.raises((TemporaryError, UncertainError, PermanentError)) as caught:
        call(answer, repeatable=repeatable, **options)
    return caught.value


NEVER_SENT = [httpx.ConnectError("no"), httpx.ConnectTimeout("no"), httpx.PoolTimeout("no"), httpx.ProxyError("no")]
LOST = [
    httpx.ReadTimeout("no"),
    httpx.WriteTimeout("no"),
    httpx.WriteError("no"),
    httpx.ReadError("no"),
    httpx.CloseError("no"),
    httpx.RemoteProtocolError("Server disconnected without sending a response."),
    httpx.DecodingError("no"),
]


@pytest.mark.parametrize("error", NEVER_SENT, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("repeatable", [True, False])
def test_connection_never_opened_is_temporary(error, repeatable):
    found = failure(error, repeatable=repeatable)
    assert (type(found), found.message) == (
        TemporaryError,
        f"Nimbus cannot be reached. ({type(error).__name__})",
    )


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("repeatable", "kind"), [(True, TemporaryError), (False, UncertainError)])
def test_answer_lost(error, repeatable, kind):
    assert type(failure(error, repeatable=repeatable)) is kind


@pytest.mark.parametrize("error", [httpx.UnsupportedProtocol("no"), httpx.InvalidURL("no")])
def test_unusable_address_is_permanent(error):
    assert type(failure(error, repeatable=False)) is PermanentError


@pytest.mark.parametrize(
    ("status_code", "headers", "for_read", "for_statement"),
    [
        (301, {"location": "https://evil.example.test/"}, PermanentError, UncertainError),
        (400, {}, PermanentError, PermanentError),
        (403, {}, PermanentError, PermanentError),
        (404, {}, PermanentError, PermanentError),
        (408, {}, TemporaryError, TemporaryError),
        (409, {}, PermanentError, PermanentError),
        (422, {}, PermanentError, PermanentError),
        (425, {}, TemporaryError, TemporaryError),
        (429, {}, TemporaryError, TemporaryError),
        (429, {"retry-after": "7"}, TemporaryError, TemporaryError),
        (500, {}, TemporaryError, UncertainError),
        (500, {"retry-after": "7"}, TemporaryError, UncertainError),
        (502, {}, TemporaryError, UncertainError),
        (503, {}, TemporaryError, UncertainError),
        (503, {"retry-after": "7"}, TemporaryError, TemporaryError),
        (504, {}, TemporaryError, UncertainError),
    ],
)
def test_status_codes(status_code, headers, for_read, for_statement):
    answer = (status_code, {"detail": "Sorry."}, headers)
    read, statement = failure(answer, repeatable=True), failure(answer, repeatable=False)
    assert (type(read), type(statement)) == (for_read, for_statement)
    assert (read.status_code, json.loads(read.answer)) == (status_code, {"detail": "Sorry."})


def test_redirect_is_never_followed():
    wire = make_wire((302, b"", {"location": URL}))
    assert wire.exchange("GET", URL, repeatable=True).status_code == 302
    assert len(wire.client._transport.handler.requests) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("7", 7), (" 7 ", 7), ("999999999", 86400), ("-1", None), ("1e9", None), ("nan", None), ("", None),
     ("soon", None), ("Mon, 21 Sep 1998 14:13:20 GMT", 0)],
)  # fmt: skip
def test_retry_after(value, seconds):
    found = http.find_retry_after({"retry-after": value})
    assert found == (None if seconds is None else pytest.approx(seconds, abs=60))


def test_retry_after_a_date():
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert http.find_retry_after({"retry-after": in_an_hour}) == pytest.approx(3600, abs=60)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"code": 401, "message": "Expired JWT Token"}, "Expired JWT Token"),
        ({"title": "An error occurred", "status": 422, "detail": "siren: not onboarded."}, "siren: not onboarded."),
        ({"title": "An error", "violations": [{"propertyPath": "a", "message": "b"}, {"message": "c"}]}, "a: b; c"),
        ({"title": "An error", "violations": ["odd"]}, "odd"),
        ({"title": "An error", "detail": None, "violations": 7}, "An error"),
        ({"error": "invalid_client", "error_description": "Unknown client"}, "Unknown client"),
        ({"hydra:description": "no"}, "no"),
        ({"error": "Not an invoice", "code": 400, "trace_id": "b2f0c8a7"}, "Not an invoice [b2f0c8a7]"),
        ("just text", "just text"),
        (["what"], ""),
        ({}, ""),
        ({"detail": "two\n lines\u202e"}, "two lines"),
        ({"detail": "x" * 600}, "x" * 499 + "…"),
    ],
)
def test_explanations(body, told):
    error = failure((422, body), repeatable=False)
    assert error.message == f"Nimbus refuses (422). {told}".strip()


def test_explanation_of_html_is_none():
    error = failure((502, b"<html><h1>Bad gateway</h1>", {"content-type": "text/html"}), repeatable=True)
    assert error.message == "Nimbus has a problem of its own (502)."


def test_explanation_of_plain_text():
    error = failure((400, "Où ?".encode(), {"content-type": "text/plain; charset=utf-8"}), repeatable=True)
    assert error.message == "Nimbus refuses (400). Où ?"


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff\xfe", b"[" * 100_000])
def test_garbage_in_place_of_json_is_temporary(body):
    wire = make_wire((200, body))
    with pytest.raises(TemporaryError):
        wire.require_json(wire.exchange("GET", URL, repeatable=True))


def test_json_keeps_only_what_a_database_holds():
    content = b'{"a\\u0000": ["b\\ud800c", NaN, Infinity, 1.5, "\xc3\xa9 \\ud83d\\ude00"]}'
    assert http.load_json(content) == {"a": ["bc", None, None, 1.5, "é 😀"]}


@pytest.mark.parametrize(("repeatable", "kind"), [(True, PermanentError), (False, UncertainError)])
def test_body_too_long(repeatable, kind):
    error = failure((200, b"x" * 1025), repeatable=repeatable, max_bytes=1024)
    assert type(error) is kind
    assert call((200, b"x" * 1024), repeatable=repeatable, max_bytes=1024).content == b"x" * 1024


def test_compressed_bomb_is_cut_off():
    import gzip

    bomb = gzip.compress(b"0" * 50_000_000)
    error = failure((200, bomb, {"content-encoding": "gzip"}), repeatable=True, max_bytes=1024)
    assert error.message == "Nimbus sends more than the 0.0 MB allowed."


def test_secrets_echoed_by_the_platform_are_hidden(caplog):
    caplog.set_level(logging.DEBUG)

    def echo(request):
        return 400, {"detail": f"bad {request.headers['authorization']} {request.content.decode()}"}

    wire = make_wire(echo, secrets=['pa"ss', ""])
    answer = wire.exchange("POST", URL, repeatable=False, bearer="t0ken", content=json.dumps('pa"ss'))
    with pytest.raises(PermanentError) as caught:
        wire.require_success(answer, repeatable=False)
    assert caught.value.message == 'Nimbus refuses (400). bad Bearer ••• "•••"'
    shown = f"{answer!r} {caught.value!r} {caught.value.answer} {caplog.text}"
    assert [secret for secret in ("t0ken", "pa\\", 'pa"ss') if secret in shown] == []


def test_error_text_holds_no_address():
    error = failure(httpx.ConnectError(f"cannot connect to {URL}?token=s3cret"), repeatable=True)
    assert error.message == "Nimbus cannot be reached. (ConnectError)"
    assert (error.__cause__, error.__suppress_context__) == (None, True)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="F-1.xml"', "F-1.xml"),
        ("attachment; filename*=UTF-8''%C3%A9t%C3%A9.pdf", "été.pdf"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\temp\\\\a.pdf"', "a.pdf"),
        ('attachment; filename=".htaccess"', "htaccess"),
        ('attachment; filename="a\u202efdp.exe"', "afdp.exe"),
        ('attachment; filename="a|b?.pdf"', "ab.pdf"),
        ("attachment; filename*=nonsense''%41.xml", "A.xml"),
        ("attachment", ""),
        ("", ""),
        (f'attachment; filename="{"x" * 300}.xml"', "x" * 146 + ".xml"),
    ],
)
def test_filenames(header, name):
    assert http.find_filename({"content-disposition": header}) == name


@pytest.mark.parametrize(
    "shown", ['my pa"ss', '"my pa\\"ss"', '"{\\"a\\": \\"my pa\\\\\\"ss\\"}"', "a=my+pa%22ss", "a=my%20pa%22ss"]
)
def test_secret_is_hidden_in_every_shape(shown):
    hidden = http.hide(shown, ['my pa"ss', ""])
    assert (http.HIDDEN in hidden, "ss" in hidden) == (True, False)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"errors": [{"Code": "NotUnique", "Description": "Number in use"}]}, "NotUnique: Number in use"),
        ({"Errors": [{"code": "A", "description": "b"}, {"Code": "C"}]}, "A: b; C"),
        ({"errors": [{"Code": 7, "Description": None}, "plain", {}]}, "plain"),
        ({"errors": []}, ""),
        ({"errors": {"a": "b"}}, ""),
    ],
)
def test_coded_errors_are_told(document, told):
    assert failure((400, document), repeatable=True).message == f"Nimbus refuses (400). {told}".strip()


# --- what left us -----------------------------------------------------------------------------------------------------


def heard(answer=None, *, repeatable=False, secrets=(), **options):
    """What a wire says that it has sent."""
    noted = []
    wire = make_wire(answer or (204, b""), secrets=secrets, on_spoken=noted.append)
    wire.exchange("POST", URL, repeatable=repeatable, **options)
    return noted


def test_request_is_noted_byte_for_byte():
    (spoken,) = heard(json={"status": "204", "note": "à voir"})

    assert json.loads(spoken.body) == {"status": "204", "note": "à voir"}
    assert [spoken.method, spoken.url, spoken.size] == ["POST", URL, len(spoken.body)]
    assert spoken.sha256 == hashlib.sha256(spoken.body).hexdigest()


def test_noted_request_holds_no_secret():
    (spoken,) = heard(
        secrets=["s3cret-key"], bearer="t0ken", headers={"apiKey": "other", "X-Trace": "of s3cret-key"}, content=b"x"
    )

    text = repr(spoken.headers)
    assert [word in text for word in ("s3cret-key", "t0ken", "other")] == [False] * 3
    assert dict(spoken.headers)["x-trace"] == f"of {http.HIDDEN}"


def test_body_with_a_secret_is_known_by_its_hash_alone():
    (spoken,) = heard(secrets=["s3cret-key"], content=b"key=s3cret-key")

    assert [spoken.body, spoken.size] == [b"", 14]
    assert spoken.sha256 == hashlib.sha256(b"key=s3cret-key").hexdigest()


def test_file_is_known_by_its_hash_alone():
    (spoken,) = heard(content=b"x" * (http.LONGEST_KEPT_BODY + 1))

    assert [spoken.body, spoken.size] == [b"", http.LONGEST_KEPT_BODY + 1]


def test_form_with_a_file_is_sent_as_it_was_noted():
    received = []

    def answer(request):
        received.append(request.content)
        return 204, b""

    (spoken,) = heard(answer, files={"file": ("a.xml", b"<a/>", "application/xml")}, data={"kind": "invoice"})

    assert received == [spoken.body]


def test_credentials_given_with_a_call_are_sent():
    received = []

    def answer(request):
        received.append(request.headers["authorization"])
        return 200, b"{}"

    make_wire(answer).exchange("POST", URL, repeatable=True, auth=("id", "secret"))

    assert received == ["Basic aWQ6c2VjcmV0"]


def test_reads_are_not_noted():
    assert heard(repeatable=True) == []


def test_what_may_not_be_said_is_not_noted():
    noted = []

    def refuse():
        raise NotSpoken("Not now.")

    wire = make_wire((204, b""), before_speaking=refuse, on_spoken=noted.append)
    with pytest.raises(NotSpoken):
        wire.exchange("POST", URL, repeatable=False)

    assert noted == []
