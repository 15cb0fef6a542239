"""Files of invoices over HTTP: foreign content that must not run in our name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from invoices import services
from invoices.models import Invoice
from providers.base import File
from tests import fake_provider
from tests.factories import OTHER_SIREN, make_connection, make_customer, make_invoice, make_user

pytestmark = pytest.mark.django_db

SAMPLES = Path(__file__).parent.parent / "samples" / "invoices"


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


@pytest.mark.parametrize(
    ("told", "served"),
    [
        ("application/xml", "application/xml"),
        ("text/xml; charset=utf-8", "application/xml"),
        ("application/pdf", "application/pdf"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_download_is_byte_for_byte_and_harmless(client: Client, invoice: Invoice, told: str, served: str) -> None:
    document = store(invoice, b"<script>alert(1)</script>", told, 'né "x".xml')
    response = client.get(address("download", document))
    assert b"".join(response.streaming_content) == b"<script>alert(1)</script>"
    response.close()
    assert {name: response.headers[name] for name in ("Content-Type", "X-Content-Type-Options", "X-Frame-Options")} == {
        "Content-Type": served, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"
    }  # fmt: skip
    assert response.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert response.headers["Content-Disposition"].split(";")[0] == "attachment"


def test_pdf_may_be_framed_by_us_alone(client: Client, invoice: Invoice) -> None:
    response = client.get(address("view_pdf", store(invoice, b"%PDF-1.7", "application/pdf")))
    response.close()
    assert (response.status_code, response.headers["X-Frame-Options"]) == (200, "SAMEORIGIN")
    assert response.headers["Content-Security-Policy"].endswith("frame-ancestors 'self'")


@pytest.mark.parametrize(("content", "media_type"), [(b"<html>", "application/pdf"), (b"%PDF-1.7", "text/html")])
def test_what_is_no_pdf_is_not_framed(client: Client, invoice: Invoice, content: bytes, media_type: str) -> None:
    assert client.get(address("view_pdf", store(invoice, content, media_type))).status_code == 404


def test_file_of_another_customer(client: Client, invoice: Invoice) -> None:
    document = store(make_invoice(make_customer(OTHER_SIREN), make_connection()), b"x", "application/pdf")
    assert [client.get(address(name, document)).status_code for name in ("download", "view_pdf")] == [404, 404]


def test_file_under_another_invoice(client: Client, invoice: Invoice) -> None:
    document = store(make_invoice(invoice.customer, invoice.connection), b"x", "application/pdf")
    path = reverse("invoices:download", args=[invoice.pk, document.pk])
    assert client.get(path).status_code == 404


def test_embedded_attachment(client: Client, invoice: Invoice) -> None:
    store(invoice, (SAMPLES / "invoice.ubl.xml").read_bytes(), "application/xml")
    found = services.read_stored_original(invoice).attachments
    codes = [client.get(reverse("invoices:attachment", args=[invoice.pk, index])).status_code for index in (0, 99)]
    assert codes == [200 if found and found[0].content is not None else 404, 404]


def test_attachment_of_an_unreadable_original(client: Client, invoice: Invoice) -> None:
    store(invoice, b"<broken", "application/xml")
    assert client.get(reverse("invoices:attachment", args=[invoice.pk, 0])).status_code == 404
