"""Foreign files on their way out: the type a browser is told, the name it saves, and the short-lived address.

The address carries its own proof, so that no cookie has to travel with content that others wrote.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core import signing
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from invoices.models import InvoiceDocument

# How long an address works: the time a browser takes to follow it.
SECONDS = 300
SALT = "invoices.register.files.2"  # counts with the shape of what is signed
LONGEST_NAME = 150
BYTES = "application/octet-stream"
PDF, XML = "application/pdf", "application/xml"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# What a browser may be told, with the names such a file may have and how it begins (EN 16931, BT-125-1, and our own).
# None of them runs script of its own; anything else is a stream of bytes.
EXTENSIONS = {
    PDF: (".pdf",),
    XML: (".xml",),
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "text/csv": (".csv", ".txt"),
    XLSX: (".xlsx",),
    ODS: (".ods",),
    BYTES: (".bin",),
}
BEGINNINGS = {
    PDF: b"%PDF-",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    XLSX: b"PK\x03\x04",
    ODS: b"PK\x03\x04",
}
OTHER_NAMES = {"text/xml": XML, "image/jpg": "image/jpeg", "application/csv": "text/csv", "application/x-pdf": PDF}
CANNOT_BE_OPENED = _("The stored file cannot be opened now. An administrator looks at the file storage.")
# What may be shown within our page instead of being saved.
SHOWN = frozenset({PDF, "image/png", "image/jpeg"})


class Expired(Exception):
    """The address was right once."""


@dataclass(frozen=True)
class Address:
    """A stored document, or with `part` one of the files embedded in it, for as long as this user may read it."""

    user: int
    document: UUID
    part: int | None = None
    shown: bool = False


def plain_type(told: str) -> str:
    """`text/xml; charset=utf-8` → `application/xml`"""
    plain = told.partition(";")[0].strip().lower()
    return OTHER_NAMES.get(plain, plain)


def served_type(told: str, beginning: bytes) -> str:
    """The told type if it is harmless and the bytes do not belie it."""
    plain = plain_type(told)
    if plain not in EXTENSIONS or not beginning.startswith(BEGINNINGS.get(plain, b"")):
        return BYTES
    return plain


def served_name(name: str, media_type: str) -> str:
    """A plain name whose ending says what the file is: `invoice.pdf.exe` is saved as `invoice.pdf.exe.bin`."""
    plain = plain_name(name) or "document"
    endings = EXTENSIONS[media_type]
    if not plain.lower().endswith(endings):
        plain += endings[0]
    stem, _dot, ending = plain.rpartition(".")
    return f"{stem[: LONGEST_NAME - len(ending) - 1]}.{ending}"


def plain_name(name: str) -> str:
    """Without folders, controls, reversed writing, and what some system does not allow in a name."""
    characters = (c for c in name if unicodedata.category(c)[0] != "C")
    return re.sub(r'[/\\:*?"<>|]', "_", "".join(characters)).strip(" .")


def address_of(document: InvoiceDocument, *, user: Any, part: int | None = None, shown: bool = False) -> str:
    """A path that opens one file for a few minutes, whoever holds it, while `user` may read the invoice."""
    token = signing.dumps([user.pk, document.pk.hex, part, shown], salt=SALT)
    return reverse("invoices:file", args=[token])


def read_address(token: str) -> Address:
    """Raises signing.BadSignature, or Expired."""
    try:
        facts: Any = signing.loads(token, salt=SALT, max_age=SECONDS)
    except signing.SignatureExpired as error:
        raise Expired from error
    return Address(facts[0], UUID(facts[1]), facts[2], facts[3])
