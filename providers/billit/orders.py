"""Reading Billit's orders and files: the invoice, its documents, what happened to it."""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils.translation import gettext as _

from providers.contract.base import MIB, File, InvoiceReport, PermanentError, StatusReport, TemporaryError
from providers.contract.http import Answer, find_filename, safe_filename
from providers.formats.files import INVOICE_ROOTS
from providers.formats.xml import UnreadableDocument, parse_xml, root_name

from . import lifecycle_files, reading, tables
from .session import Entity, Session

# Files never change, and each look at an order would fetch all of them again: what they say is kept, per process.
KEPT_FILES = 2000
_told_by_file: OrderedDict[tuple[str, str, str], tuple[StatusReport, ...]] = OrderedDict()

GONE = frozenset({403, 404})


class Orders(Session):
    @property
    def zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.setting("timezone"))
        except (ZoneInfoNotFoundError, ValueError):
            message = _("“%(zone)s” is no time zone: correct the setting timezone.")
            raise PermanentError(message % {"zone": self.setting("timezone")}) from None

    def fetch_order(self, provider_ref: str) -> tuple[dict[str, Any], Entity]:
        """The order, and the company under which it was found."""
        candidates = self.candidates(provider_ref)
        for place, entity in enumerate(candidates, start=1):
            url = self.url("order_path", registration=entity.registration, order=provider_ref)
            try:
                order = self.read(url)
            except PermanentError as error:
                if error.status_code not in GONE or place == len(candidates):
                    raise
                continue
            if not isinstance(order, dict) or reading.find_number(order) != provider_ref:
                raise TemporaryError(_("Billit's answer is not order %(order)s.") % {"order": provider_ref})
            return order, entity
        raise PermanentError(_("No addressing line of this connection has a registration_id at Billit."))

    def fetch_invoice(self, provider_ref: str) -> InvoiceReport:
        order, entity = self.fetch_order(provider_ref)
        report = reading.parse_order(order, entity.line, self.zone)
        if report is None:
            told = {"order": provider_ref, "type": reading.text(order.get("OrderType")) or "?"}
            raise PermanentError(_("Order %(order)s at Billit is no invoice (%(type)s): it is left out.") % told)
        return report

    # --- what happened ---

    def fetch_statuses(self, provider_ref: str) -> tuple[StatusReport, ...]:
        """What its files say first: what is only derived must not stand before it."""
        order, entity = self.fetch_order(provider_ref)
        written = list(self._written(order, entity, provider_ref))
        if not any(report.native_status == tables.REFUSED for report in written):
            written += filter(None, [reading.parse_refusal(order)])
        return (*written, *reading.parse_milestones(order, self.setting("received_status")))

    def _written(self, order: Mapping[str, Any], entity: Entity, provider_ref: str) -> Iterator[StatusReport]:
        number = reading.text(order.get("OrderNumber"))
        for file in reading.answers(order):
            key = (self.account.id, provider_ref, file)
            if key not in _told_by_file:
                content = self._find_content(file, entity)
                if content is None:
                    continue
                _told_by_file[key] = tuple(lifecycle_files.reports_of(provider_ref, number, file, content))
                while len(_told_by_file) > KEPT_FILES:
                    _told_by_file.popitem(last=False)
            yield from _told_by_file[key]

    def _find_content(self, file: str, entity: Entity) -> bytes | None:
        """None for a file that is gone: the order still has something to tell."""
        try:
            return self.download(file, entity).content
        except PermanentError:
            return None

    # --- files ---

    def fetch_files(self, provider_ref: str) -> tuple[File, ...]:
        """Billit keeps the file of the network among the messages or the attachments; its PDF is its own rendering."""
        order, entity = self.fetch_order(provider_ref)
        issued = order.get("OrderDirection") == "Income"
        attached = [self.download(file, entity, name=name) for file, name in reading.attachments(order)]
        original = next((file for file in attached if is_invoice(file.content)), None)
        original = original or self._sent_or_received(order, entity, issued=issued)
        pdf = reading.readable(order)
        readable = self.download(pdf[0], entity, name=pdf[1]) if pdf else None
        if original is None and not issued:
            # Perhaps a Factur-X; kept byte for byte in any case.
            original, readable = readable, None
        if original is None and not issued:
            raise PermanentError(_("Billit holds no file of order %(order)s.") % {"order": provider_ref})
        others = [_as(file, "attachment") for file in attached if file is not original]
        files = [_as(original, "original") if original else None, _as(readable, "readable") if readable else None]
        return tuple(file for file in [*files, *others] if file)

    def _sent_or_received(self, order: Mapping[str, Any], entity: Entity, *, issued: bool) -> File | None:
        for file in reading.sent_files(order) if issued else reading.answers(order):
            found = self.download(file, entity)
            if is_invoice(found.content):
                return found
        return None

    def download(self, file: str, entity: Entity, *, name: str = "") -> File:
        limit = self.setting("max_file_mb") * MIB
        answer = self.exchange(
            "GET", self.url("file_path", file=file), repeatable=True, party=entity.party, upload=True,
            max_bytes=limit * 4 // 3 + MIB,
        )  # fmt: skip
        self.require_success(answer, repeatable=True)
        found = _read_file(answer)
        if found is None or not found.content:
            message = _("Billit sent no content for file %(file)s.") % {"file": file}
            raise TemporaryError(message, status_code=answer.status_code, answer=answer.text)
        if len(found.content) > limit:
            told = {"file": file, "limit": self.setting("max_file_mb")}
            raise PermanentError(_("File %(file)s at Billit is larger than the %(limit)s MB allowed.") % told)
        return File(
            kind="attachment",
            content=found.content,
            media_type=found.media_type,
            filename=found.filename or safe_filename(name),
        )


def _read_file(answer: Answer) -> File | None:
    """JSON with the content in base64, or the content itself."""
    document = answer.find_json() if answer.media_type == "application/json" else None
    if document is None:
        if answer.media_type in ("application/json", "text/html"):
            return None
        return File(
            kind="", content=answer.content, media_type=answer.media_type, filename=find_filename(answer.headers)
        )
    if not isinstance(document, dict):
        return None
    try:
        content = base64.b64decode("".join(reading.text(document.get("FileContent")).split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return File(
        kind="",
        content=content,
        media_type=reading.text(document.get("MimeType")),
        filename=safe_filename(reading.text(document.get("FileName"))),
    )


def is_invoice(content: bytes) -> bool:
    """By its first element."""
    if root_name(content) not in INVOICE_ROOTS:
        return False
    try:
        parse_xml(content)
    except UnreadableDocument:
        return False
    return True


def forget_files() -> None:
    """Drop what this process keeps."""
    _told_by_file.clear()


def _as(file: File, kind: str) -> File:
    return File(kind=kind, content=file.content, media_type=file.media_type, filename=file.filename)
