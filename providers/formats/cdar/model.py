"""A CDAR message (UN/CEFACT D22B, French profile) as plain data. MDT and MDG numbers are the fields of XP Z12-012."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import TextChoices
from django.utils.translation import override

from providers.contract.shapes import File, InvoiceKey, Payment, Reason, StatusReport
from providers.norm.codes import REASONS, STATUSES, Action, DataType, Role, StatusObject
from providers.norm.companies import identify

# Sources, 30 June 2026: FNFE-MPE Schematron 1.4.0.03 and its examples.
BETWEEN_PLATFORMS = "urn.cpro.gouv.fr:1p0:CDV:invoice"
TO_PPF = "urn.cpro.gouv.fr:1p0:CDV:einvoicingF2"
INVOICE_PROFILES = frozenset({BETWEEN_PLATFORMS, TO_PPF})
PPF_ID = "0000"  # 9998 up to version 1.3.1 of the rules
# The messages name no zone; those that FNFE-MPE published look local.
PARIS = ZoneInfo("Europe/Paris")

PLATFORM_SCHEME = "0238"

# What an amount of ours means, by status (MDT-207). For 206 it is what the buyer approves, VAT included.
AMOUNT_TYPES: Mapping[str, str] = {
    "206": DataType.MAPTTC.value,
    "211": DataType.MPA.value,
    "212": DataType.MEN.value,
}

# What the administration writes where a number, a date or a SIREN cannot be repeated (DGFiP rule G1.114, annex 7 v1.9).
# The true values then stand between quotation marks in the text, in this order (the order is our assumption).
NO_NUMBER, NO_DAY, NO_SIREN = "X" * 20, "19000101", "000000000"
QUOTED = re.compile('"([^"]*)"|“([^”]*)”|«([^»]*)»')
# Statuses whose MDT-87 names no invoice: a flow or file, a transmission, a directory line, a message (G7.23).
OF_NO_INVOICE = frozenset(StatusObject) - {StatusObject.INVOICE, StatusObject.REGULATORY_DATA}

DAY, SECOND = "102", "204"
FORMATS = {DAY: "%Y%m%d", SECOND: "%Y%m%d%H%M%S"}
LENGTHS = {DAY: 8, SECOND: 14}


@dataclass(frozen=True)
class Moment:
    """A date or time as it stands in the message; the format attribute says which."""

    text: str
    format: str

    @property
    def naive(self) -> datetime | None:
        """None where it is no date of that format."""
        if len(self.text) != LENGTHS.get(self.format) or not (self.text.isascii() and self.text.isdigit()):
            return None
        try:
            return datetime.strptime(self.text, FORMATS[self.format])
        except ValueError:
            return None

    def at(self, zone: ZoneInfo) -> datetime | None:
        """In UTC; None for a bare day, which as midnight would order wrongly. Messages carry no time zone; of the hour
        that autumn repeats, the first one is meant.
        """
        try:
            return self.naive.replace(tzinfo=zone).astimezone(UTC) if self.naive and self.format == SECOND else None
        except OverflowError:  # the first hours of the year 1
            return None

    @property
    def day(self) -> date | None:
        return self.naive.date() if self.naive else None

    @classmethod
    def of(cls, moment: datetime, zone: ZoneInfo) -> Moment:
        local = moment.astimezone(zone)
        return cls(f"{local.year:04}{local:%m%d%H%M%S}", SECOND)

    @classmethod
    def of_day(cls, day: date) -> Moment:
        return cls(f"{day.year:04}{day:%m%d}", DAY)


@dataclass(frozen=True, kw_only=True)
class Actor:
    """MDG-9, MDG-16 or MDG-23. `ids` are (scheme, value)."""

    role: str = ""
    name: str = ""
    ids: tuple[tuple[str, str], ...] = ()
    address: str = ""
    address_scheme: str = ""

    def id_of(self, scheme: str) -> str:
        return next((value for known, value in self.ids if known == scheme), "")

    @property
    def siren(self) -> str:
        return identify(identifiers=self.ids, scheme=self.address_scheme, address=self.address).siren


@dataclass(frozen=True, kw_only=True)
class Characteristic:
    """MDG-43: an amount, a rate, or the field of the invoice that a reason is about."""

    type_code: str = ""
    field_id: str = ""
    is_changed: bool | None = None
    name: str = ""
    location: str = ""
    value: str = ""
    amount: Decimal | None = None
    currency: str = ""
    moment: Moment | None = None
    percent: Decimal | None = None

    @property
    def shown(self) -> str:
        """The value for people, whatever its kind."""
        amount = f"{self.amount} {self.currency}".strip() if self.amount is not None else ""
        percent = f"{self.percent} %" if self.percent is not None else ""
        return " ".join(filter(None, [self.value, amount, percent, self.moment.text if self.moment else ""]))

    @property
    def line(self) -> str:
        kind = _french(DataType, self.type_code)
        name = " ".join(filter(None, [self.name, f"({self.field_id})" if self.field_id else ""]))
        return " : ".join(filter(None, [kind, name, self.shown]))


@dataclass(frozen=True, kw_only=True)
class Detail:
    """MDG-37: a reason with what goes with it, or what goes with no reason. `rules` and `places` (MDT-125, 127) are
    read in answers of the administration, and never written.
    """

    reason: str = ""
    reason_text: str = ""
    action: str = ""
    action_text: str = ""
    sequence: str = ""
    notes: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    characteristics: tuple[Characteristic, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """MDT-96."""

    content: bytes = field(repr=False)
    media_type: str = ""
    filename: str = ""


@dataclass(frozen=True, kw_only=True)
class Cdar:
    """One status of one document. Everything may be missing in what is read; `rules.py` says what must not."""

    process: str = ""  # MDT-2
    profile: str = ""  # MDT-3
    id: str = ""  # MDT-4
    name: str = ""  # MDT-5
    made_at: Moment | None = None  # MDT-8
    sender: Actor | None = None  # MDG-9
    issuer: Actor | None = None  # MDG-16
    recipients: tuple[Actor, ...] = ()  # MDG-23
    is_multiple: bool = False  # MDT-74
    phase: str = ""  # MDT-77
    status_at: Moment | None = None  # MDT-78
    number: str = ""  # MDT-87
    un_status: str = ""  # MDT-88
    type_code: str = ""  # MDT-91
    received_at: Moment | None = None  # MDT-95
    attachments: tuple[Attachment, ...] = ()  # MDT-96
    reference_type: str = ""  # MDT-97
    issued_on: Moment | None = None  # MDT-100
    status: str = ""  # MDT-105
    label: str = ""  # MDT-106
    seller: Actor | None = None  # MDT-129 to 132
    details: tuple[Detail, ...] = ()  # MDG-37

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(detail.reason for detail in self.details if detail.reason)

    @property
    def characteristics(self) -> Iterator[Characteristic]:
        for detail in self.details:
            yield from detail.characteristics

    @property
    def is_to_ppf(self) -> bool:
        return [actor.role for actor in self.recipients] == ["DFH"]

    @property
    def is_of_invoice(self) -> bool:
        """Whether MDT-87 is the number of an invoice."""
        return self.status not in STATUSES or STATUSES[self.status].object not in OF_NO_INVOICE

    @property
    def invoice_key(self) -> InvoiceKey:
        """What stands in the fields, or for placeholders in the text."""
        siren = self.seller.siren if self.seller else ""
        day = self.issued_on.text[:8] if self.issued_on else ""  # of the 14 digits that it may have too (G7.06)
        is_nobody = self.seller is not None and not siren and NO_SIREN in dict(self.seller.ids).values()
        blank = (self.number == NO_NUMBER, day == NO_DAY, is_nobody)
        number, written, quoted_siren = self._quoted if any(blank) else ("", "", "")
        return InvoiceKey(
            seller_siren=quoted_siren if blank[2] else siren,
            number=number if blank[0] else self.number,
            type_code=self.type_code,
            issue_date=Moment(written[:8] if blank[1] else day, DAY).day,
            is_quoted=any(blank),
        )

    @property
    def _quoted(self) -> tuple[str, str, str]:
        """Number, date and SIREN as the text quotes them."""
        text = "\n".join(note for detail in self.details for note in detail.notes)
        found = ["".join(parts).strip() for parts in QUOTED.findall(text)]
        number, day, siren = (*found, "", "", "")[:3]
        return number, day, siren

    @property
    def files(self) -> tuple[File, ...]:
        return tuple(
            File(kind="attachment", content=each.content, media_type=each.media_type, filename=each.filename)
            for each in self.attachments
        )

    def report(self, *, provider_ref: str = "", direction: str = "", zone: ZoneInfo = PARIS) -> StatusReport:
        """The status as the inbox takes it. The invoice is known by the platform's `provider_ref`, or else by its own
        name; `direction`, where the platform tells it, is that of our copy. Half a name would fit another invoice, and
        is none.

        What our shapes have no place for (the field concerned, the action asked for, a bank account) stands in French
        in the texts, where people read it.
        """
        key = self.invoice_key
        # Of what the text quotes, the number alone may have to do: whoever looks accepts it only where one fits.
        is_whole = key.number and (key.seller_siren or key.is_quoted)
        is_named = self.is_of_invoice and not provider_ref and is_whole
        moments = (moment.at(zone) for moment in (self.status_at, self.made_at) if moment)
        official = self.status in STATUSES
        return StatusReport(
            provider_ref=provider_ref,
            status=self.status if official else None,
            invoice_key=replace(key, direction=direction) if is_named else None,
            answers="" if self.is_of_invoice else self.number,
            answers_at=self.issued_on.at(zone) if self.issued_on and not self.is_of_invoice else None,
            native_status=self.status if official else f"{self.status} {self.label}".strip(),
            issuer_role=self.issuer.role if self.issuer and self.issuer.role in Role.values else "",
            reasons=tuple(
                Reason(
                    code=each.reason,
                    text=self._text(each, label=_other_label(each)),
                    rule=" ".join(each.rules),
                    place=" ".join(each.places),
                )
                for each in self.details
                if each.reason
            ),
            note="\n".join(filter(None, (self._text(each, label="") for each in self.details if not each.reason))),
            payments=tuple(
                Payment(amount=each.amount, vat_rate=each.percent, currency=each.currency or "EUR")
                for each in self.characteristics
                if self._is_payment(each) and each.amount is not None
            ),
            occurred_at=(occurred_at := next(filter(None, moments), None)),
            zone=zone.key if occurred_at else "",
            said_on=self.status_at.text if self.status_at and not occurred_at else "",
            message_id=self.id,
            key=self._key,
            files=self.files,
            raw=self._raw(),
        )

    @property
    def _key(self) -> str:
        """A message is known by its id (MDT-4); the rest guards against senders that number carelessly."""
        return "#".join((self.id, self.status, self.status_at.text if self.status_at else "")) if self.id else ""

    def _is_payment(self, each: Characteristic) -> bool:
        return each.amount is not None and each.type_code == AMOUNT_TYPES.get(self.status)

    def _text(self, detail: Detail, *, label: str) -> str:
        more = [each.line for each in detail.characteristics if not self._is_payment(each)]
        lines = [label, *detail.notes, _asked(detail), *more]
        return "\n".join(dict.fromkeys(filter(None, lines)))

    def _raw(self) -> dict[str, Any]:
        facts = asdict(self, dict_factory=_said)
        facts["attachments"] = [each.filename for each in self.attachments]
        return facts


def _said(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """What a message says, as JSON takes it."""
    return {
        name: str(value) if isinstance(value, Decimal) else value
        for name, value in items
        if value not in ("", None, (), b"")
    }


def _other_label(detail: Detail) -> str:
    """The words beside a reason, where they are not its official ones."""
    known = REASONS.get(detail.reason)
    official = known is not None and same_words(detail.reason_text, known.label_fr)
    return "" if official else detail.reason_text


def _asked(detail: Detail) -> str:
    if not (detail.action or detail.action_text):
        return ""
    return f"Action attendue : {detail.action_text or _french(Action, detail.action)} ({detail.action or '-'})"


def _french(codes: type[TextChoices], code: str) -> str:
    with override("fr"):
        return str(codes(code).label) if code in codes.values else code


def same_words(one: str, other: str) -> bool:
    """Whatever the case, the accents and what stands for a space (the norm's own examples write "En_litige")."""
    return _bare(one) == _bare(other)


def _bare(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in letters if letter.isalnum())
