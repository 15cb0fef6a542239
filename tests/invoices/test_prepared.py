"""A long document is read and drawn in the worker, kept, and shown a page of lines at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.utils.translation import override

from invoices.models import Prepared
from invoices.register import prepared
from invoices.register.services import reread, store_document
from providers.contract.base import File
from providers.formats.en16931.kept import read_kept, write_kept
from providers.formats.en16931.pdf import render_pdf
from providers.formats.en16931.reader import read_invoice
from providers.formats.xml import UnreadableDocument
from tests.factories import make_connection, make_customer, make_invoice, make_line, make_user
from tests.fake_provider import register
from tests.invoices.documents.pdfs import Inner, make_pdf

from .odd_files import CII, UBL, with_lines

pytestmark = pytest.mark.django_db
LONG = with_lines(450)
FACTURX = make_pdf(Inner("factur-x.xml", CII.encode()), Inner("more.csv", b"a;b"))


@pytest.fixture
def invoice(monkeypatch):
    register(monkeypatch)
    customer, connection = make_customer(), make_connection()
    make_line(customer, connection)
    return make_invoice(customer, connection, statuses=["203"])


def store(invoice, content):
    return store_document(invoice=invoice, file=File(kind="original", content=content))


def drain():
    while prepared.drain():
        pass


def test_short_file_is_read_at_once(invoice):
    document = store(invoice, UBL.encode())
    assert prepared.whole(document) == read_invoice(UBL.encode())
    assert Prepared.objects.count() == 0


@pytest.mark.parametrize("content", [LONG, FACTURX], ids=["lines", "factur-x"])
def test_kept_reading_is_what_the_file_says(invoice, content):
    document = store(invoice, content)
    drain()
    shown, read = prepared.whole(document), read_invoice(content)
    sizes = [each.size for each in shown.attachments]
    assert replace(shown, attachments=()) == replace(told_plainly(read), attachments=())
    assert sizes == [each.size for each in read.attachments]


def told_plainly(invoice):
    return replace(invoice, warnings=tuple(map(str, invoice.warnings)))


def test_kept_warnings_are_told_in_the_language_of_the_reader():
    read = read_invoice(UBL.encode(), media_type="application/pdf")
    kept = write_kept(read)
    for language in ("fr", "en"):
        with override(language):
            assert read_kept(kept).warnings == tuple(map(str, read.warnings))
    assert read_kept(kept).warnings == ("Le fichier était annoncé comme PDF mais contient XML.",)


def test_lines_are_shown_a_page_at_a_time(invoice):
    document = store(invoice, LONG)
    drain()
    third = prepared.excerpt(document, 3)
    assert (third.page, list(third.pages), third.line_count) == (3, [1, 2, 3], 450)
    assert third.invoice.lines == read_invoice(LONG).lines[400:]
    assert prepared.excerpt(document, 4).page == 1


def test_pdf_and_file_are_made_when_asked_for_and_kept(invoice):
    document = store(invoice, FACTURX)
    for ask in (lambda: prepared.pdf(document, "fr"), lambda: prepared.embedded(document, 0)):
        with pytest.raises(prepared.BeingPrepared):
            ask()
    drain()
    assert prepared.pdf(document, "fr")[:5] == render_pdf(read_invoice(FACTURX), "fr")[:5] == b"%PDF-"
    found = prepared.embedded(document, 0)
    assert (bytes(found.content), found.filename) == (b"a;b", "more.csv")


def test_what_an_older_version_made_is_made_anew(invoice):
    document = store(invoice, LONG)
    drain()
    Prepared.objects.update(version=prepared.VERSION - 1, content=b"", line_count=0)
    with pytest.raises(prepared.BeingPrepared):
        prepared.whole(document)
    drain()
    assert prepared.excerpt(document).line_count == 450


def test_file_that_ends_its_worker_is_given_up(invoice):
    document = store(invoice, LONG)
    Prepared.objects.update(attempts=prepared.MAX_ATTEMPTS)
    assert prepared.drain() == 0
    with override("en"), pytest.raises(UnreadableDocument, match=r"^The file took the worker too long"):
        prepared.whole(document)


def test_rereading_has_it_prepared_again(invoice):
    document = store(invoice, LONG)
    drain()
    reread(invoice.pk)
    assert Prepared.objects.get(document=document).state == Prepared.State.WAITING


def test_unreadable_file_is_told_in_the_language_of_the_reader(invoice):
    document = store(invoice, make_pdf())
    drain()
    words = []
    for language in ("en", "fr"):
        with override(language), pytest.raises(UnreadableDocument) as caught:
            prepared.whole(document)
        words.append(str(caught.value.message))
    assert len(set(words)) == 2


def test_page_shows_the_wanted_lines_and_says_while_it_waits(client, invoice):
    store(invoice, LONG)
    client.force_login(make_user(invoice.customer, "clerk"))
    address = f"/invoices/{invoice.pk}/?lines=2"
    waiting = client.get(address).content.decode()
    drain()
    page = client.get(address).content.decode()
    assert ["doc-line-name" in waiting, page.count("doc-line-name")] == [False, 200]
    assert ["?tab=readable&amp;lines=1" in page, "?tab=readable&amp;lines=3" in page] == [True, True]
