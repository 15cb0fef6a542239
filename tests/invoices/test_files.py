"""Files of invoices over HTTP: foreign content that must not run in our name."""

from __future__ import annotations

import base64
import os
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pypdf import PdfReader

from invoices.models import Invoice
from invoices.register import files, prepared, services
from providers.contract.base import File
from tests import fake_provider
from tests.factories import OTHER_SIREN, make_connection, make_customer, make_invoice, make_user

pytestmark = pytest.mark.django_db

SAMPLES = Path(__file__).parent.parent / "samples" / "invoices"
UBL = (SAMPLES / "invoice.ubl.xml").read_bytes()
PNG = b"\x89PNG\r\n\x1a\n...."


@pytest.fixture
def invoice(client: Client, monkeypatch: pytest.MonkeyPatch) -> Invoice:
    fake_provider.register(monkeypatch)
    customer = make_customer()
    client.force_login(make_user(customer))
    return make_invoice(customer, make_connection())


def store(invoice: Invoice, content: bytes, media_type: str, filename: str = "a.bin") -> Any:
    file = File(kind="original", content=content, media_type=media_type, filename=filename)
    return services.store_document(invoice=invoice, file=file)


def address(name: str, document: Any) -> str:
    return reverse(f"invoices:{name}", args=[document.invoice_id, document.pk])


def followed(client: Client, path: str) -> Any:
    """The file behind a link, asked for without any cookie as another site's frame would."""
    sent_on = client.get(path)
    assert (sent_on.status_code, sent_on.headers["Cache-Control"]) == (302, "private, no-store")
    return Client().get(sent_on.headers["Location"])


def reader_of(invoice: Invoice) -> Any:
    return invoice.customer.memberships.get().user


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


@pytest.mark.parametrize(
    ("told", "content", "served"),
    [
        ("application/xml", b"<a/>", "application/xml"),
        ("text/xml; charset=utf-8", b"<a/>", "application/xml"),
        ("Application/PDF", b"%PDF-1.7", "application/pdf"),
        ("image/png", PNG, "image/png"),
        ("text/csv", b"a;b", "text/csv"),
        ("application/pdf", b"<html><script>", "application/octet-stream"),
        ("image/png", b"<svg onload=alert(1)>", "application/octet-stream"),
        ("text/html", b"<script>alert(1)</script>", "application/octet-stream"),
        ("image/svg+xml", b"<svg/>", "application/octet-stream"),
        ("application/xhtml+xml", b"<html/>", "application/octet-stream"),
        ("", b"?", "application/octet-stream"),
    ],
)
def test_file_is_byte_for_byte_and_harmless(
    client: Client, invoice: Invoice, told: str, content: bytes, served: str
) -> None:
    response = followed(client, address("download", store(invoice, content, told)))
    assert body(response) == content
    assert {name: response.headers[name] for name in ("Content-Type", "X-Content-Type-Options", "Referrer-Policy")} == {
        "Content-Type": served, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"
    }  # fmt: skip
    assert response.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert response.headers["Content-Disposition"].split(";")[0] == "attachment"


def test_file_needs_and_sets_no_cookie(client: Client, invoice: Invoice) -> None:
    path = files.address_of(store(invoice, b"<a/>", "application/xml"), user=reader_of(invoice))
    responses = [reader.get(path) for reader in (client, Client())]
    assert [(each.status_code, body(each)) for each in responses] == [(200, b"<a/>")] * 2
    assert [(each.cookies.output(), "Cookie" in each.headers.get("Vary", "")) for each in responses] == [
        ("", False)
    ] * 2


@pytest.mark.parametrize(
    ("name", "media_type", "safe"),
    [
        ("facture.pdf", "application/pdf", "facture.pdf"),
        ("FACTURE.PDF", "application/pdf", "FACTURE.PDF"),
        ("photo.jpeg", "image/jpeg", "photo.jpeg"),
        ("facture.pdf.exe", "application/octet-stream", "facture.pdf.exe.bin"),
        ("page.html", "application/octet-stream", "page.html.bin"),
        ("page.html", "application/xml", "page.html.xml"),
        ("sans extension", "text/csv", "sans extension.csv"),
        ("../../etc/passwd", "text/csv", "_.._etc_passwd.csv"),
        ("cod\u202efdp.exe", "application/pdf", "codfdp.exe.pdf"),
        ("a\r\nSet-Cookie: x=1.pdf", "application/pdf", "aSet-Cookie_ x=1.pdf"),
        (".htaccess", "text/csv", "htaccess.csv"),
        ("...", "application/pdf", "document.pdf"),
        ("", "application/octet-stream", "document.bin"),
        ("é" * 300 + ".pdf", "application/pdf", "é" * 146 + ".pdf"),
    ],
)
def test_name_says_what_the_file_is(name: str, media_type: str, safe: str) -> None:
    assert files.served_name(name, media_type) == safe


def test_address_changed_by_hand_opens_nothing(client: Client, invoice: Invoice) -> None:
    path = files.address_of(store(invoice, b"<a/>", "application/xml"), user=reader_of(invoice))
    changed = [path.replace("/files/", "/files/A"), path[:-2] + ("A/" if path[-2] != "A" else "B/"), "/files/x/"]
    assert [Client().get(each).status_code for each in changed] == [404, 404, 404]


def test_address_works_for_minutes_only(client: Client, invoice: Invoice, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.address_of(store(invoice, b"<a/>", "application/xml"), user=reader_of(invoice))
    monkeypatch.setattr(files, "SECONDS", -1)
    response = Client().get(path)
    assert (response.status_code, response.headers["Content-Type"]) == (410, "text/plain; charset=utf-8")


@pytest.mark.parametrize("loss", ["membership", "account"])
def test_address_dies_with_its_readers_right(client: Client, invoice: Invoice, loss: str) -> None:
    reader = reader_of(invoice)
    path = files.address_of(store(invoice, b"<a/>", "application/xml"), user=reader)
    if loss == "membership":
        reader.memberships.all().delete()
    else:
        reader.is_active = False
        reader.save()
    assert Client().get(path).status_code == 404


def test_lost_file_is_told(client: Client, invoice: Invoice) -> None:
    document = store(invoice, b"<lost/>", "application/xml")
    document.file.storage.delete(document.file.name)
    response = followed(client, address("download", document))
    assert (response.status_code, response.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")


def test_pdf_may_be_framed_by_us_alone(client: Client, invoice: Invoice) -> None:
    path = address("view", store(invoice, b"%PDF-1.7", "application/pdf"))
    assert client.get(path).headers["X-Frame-Options"] == "SAMEORIGIN"
    response = followed(client, path)
    assert body(response) == b"%PDF-1.7"
    assert (response.status_code, response.headers["X-Frame-Options"]) == (200, "SAMEORIGIN")
    assert response.headers["Content-Security-Policy"].endswith("frame-ancestors 'self'")
    assert response.headers["Content-Disposition"].split(";")[0] == "inline"


def test_image_is_shown_in_a_sandbox(client: Client, invoice: Invoice) -> None:
    response = followed(client, address("view", store(invoice, PNG, "image/png", "scan.png")))
    assert body(response) == PNG
    assert response.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize(
    ("content", "media_type"), [(b"<html>", "application/pdf"), (b"%PDF-1.7", "text/html"), (b"<a/>", "text/xml")]
)
def test_only_pictures_are_framed(client: Client, invoice: Invoice, content: bytes, media_type: str) -> None:
    assert followed(client, address("view", store(invoice, content, media_type))).status_code == 404


def test_file_of_another_customer(client: Client, invoice: Invoice) -> None:
    document = store(make_invoice(make_customer(OTHER_SIREN), make_connection()), UBL, "application/xml")
    paths = [address(name, document) for name in ("download", "view")]
    paths += [reverse(f"invoices:{name}", args=[document.invoice_id, 0]) for name in ("attachment", "view_attachment")]
    paths.append(reverse("invoices:readable_pdf", args=[document.invoice_id]))
    assert [client.get(path).status_code for path in paths] == [404] * 5
    assert [Client().get(path).headers["Location"].split("?")[0] for path in paths] == ["/accounts/login/"] * 5


def test_file_under_another_invoice(client: Client, invoice: Invoice) -> None:
    document = store(make_invoice(invoice.customer, invoice.connection), b"x", "application/pdf")
    path = reverse("invoices:download", args=[invoice.pk, document.pk])
    assert client.get(path).status_code == 404


def test_embedded_attachment(client: Client, invoice: Invoice) -> None:
    store(invoice, UBL, "application/xml")
    paths = [reverse("invoices:attachment", args=[invoice.pk, index]) for index in (0, 99)]
    first, beyond = (followed(client, path) for path in paths)
    assert (body(first), first.headers["Content-Type"]) == (b"a;b\n1;2\n", "text/csv")
    assert re.search(r'filename="(.*)"', first.headers["Content-Disposition"])[1] == "bl-12.csv"  # type: ignore[index]
    assert beyond.status_code == 404


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_attachment_of_nine_megabytes_keeps_its_bytes(client: Client, invoice: Invoice, encoding: str) -> None:
    file = os.urandom(9 * 1024 * 1024)
    text = UBL.decode().replace("YTtiCjE7Mgo=", base64.encodebytes(file).decode())
    store(invoice, text.encode(encoding), "application/xml")

    address = reverse("invoices:attachment", args=[invoice.pk, 0])
    waiting = followed(client, address)
    while prepared.drain():
        pass
    assert (waiting.status_code, waiting.headers["Refresh"], body(followed(client, address)) == file) == (
        202,
        "2",
        True,
    )


def test_attachment_of_an_unreadable_original(client: Client, invoice: Invoice) -> None:
    store(invoice, b"<broken", "application/xml")
    assert followed(client, reverse("invoices:attachment", args=[invoice.pk, 0])).status_code == 404


def test_attachment_before_the_original_came(client: Client, invoice: Invoice) -> None:
    assert client.get(reverse("invoices:attachment", args=[invoice.pk, 0])).status_code == 404


def test_readable_pdf_is_in_the_readers_language(client: Client, invoice: Invoice) -> None:
    store(invoice, UBL, "application/xml")
    response = client.get(reverse("invoices:readable_pdf", args=[invoice.pk]), headers={"accept-language": "en"})
    assert PdfReader(BytesIO(response.content)).pages[0].extract_text().splitlines()[0] == "Invoice PH-2026-101"
    assert response.headers["Content-Disposition"] == f'attachment; filename="{invoice.number}.pdf"'
    assert response.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_readable_pdf_of_an_unreadable_original(client: Client, invoice: Invoice) -> None:
    store(invoice, b"<broken", "application/xml")
    assert client.get(reverse("invoices:readable_pdf", args=[invoice.pk])).status_code == 404
