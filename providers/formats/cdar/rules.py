"""What the official validators let through and a message must not say all the same.

Tried with BR-FR-CDV 1.4.0.03: rules that are written as "the element itself" never fail, others look at the wrong
place or at nothing. What DGFiP's external specifications 3.2 or FNFE-MPE's guides of 30 June 2026 want beyond them is
checked here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from stdnum.fr import siren

from providers.norm.codes import CREDIT_NOTE_TYPES, STATUSES, VAT_RATES, DataType, Reported, StatusInfo, StatusObject
from providers.norm.companies import SIREN_SCHEME

from .finding import LONGEST_VALUE, Finding
from .model import (
    DAY,
    INVOICE_PROFILES,
    PLATFORM_SCHEME,
    PPF_ID,
    SECOND,
    TO_PPF,
    Actor,
    Cdar,
    Characteristic,
    Moment,
    same_words,
)
from .official import status_in_words, with_program

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

Faults = Callable[[Cdar], Iterable[str]]
INADMISSIBLE = "501"
INVOICE_OBJECTS = frozenset({StatusObject.INVOICE, StatusObject.FILE})
# Whom somebody speaks for (roles of BR-FR-CDV-CL-03).
PRINCIPALS = {"AB": "BY", "PR": "BY", "IV": "BY", "SR": "SE", "PE": "SE", "II": "SE", "DL": "SE"}
MONEY = frozenset(set(DataType.values) - {DataType.CBB, DataType.DIV, DataType.DVA, DataType.MAJ})
# ISO 4217, funds and testing codes left out.
_ISO_4217 = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY
COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS
INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP
MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR
SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND
VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
"""
CURRENCIES = frozenset(_ISO_4217.split())
# 19 digits, two of them behind the point (BR-FR-DEC-01).
MOST_DIGITS, MOST_DECIMALS = 19, 2


@dataclass(frozen=True)
class Rule:
    """`faults` gives the values at fault, "" for one that is missing."""

    id: str
    field: str
    advice: StrOrPromise
    faults: Faults
    is_fatal: bool = True


def findings(messages: Iterable[Cdar]) -> Iterator[Finding]:
    for message in messages:
        for rule in RULES:
            for value in rule.faults(message):
                yield Finding(
                    rule=rule.id,
                    field=rule.field,
                    value=value[:LONGEST_VALUE],
                    is_fatal=rule.is_fatal,
                    advice=format_lazy(rule.advice, status=status_in_words(message.status)),
                )


def _info(message: Cdar) -> StatusInfo | None:
    return STATUSES.get(message.status)


def _official(faults: Callable[[Cdar, StatusInfo], Iterable[str]]) -> Faults:
    """A rule about what the status says of itself; the official rules warn of a status nobody published."""

    def check(message: Cdar) -> Iterable[str]:
        info = _info(message)
        return faults(message, info) if info else ()

    return check


def _missing(value: object) -> Iterable[str]:
    return () if value else ("",)


# --- times ------------------------------------------------------------------------------------------------------------


def _impossible(moment: Moment | None, *formats: str) -> Iterable[str]:
    if moment is None or (moment.naive is not None and moment.format in formats):
        return ()
    return (f"{moment.text or '-'} [{moment.format or '-'}]",)


# --- parties ----------------------------------------------------------------------------------------------------------


def _sirens(actors: Iterable[Actor | None]) -> Iterator[str]:
    for actor in actors:
        yield from (value for scheme, value in (actor.ids if actor else ()) if scheme == SIREN_SCHEME)


def _bad_form(actors: Iterable[Actor | None]) -> Iterable[str]:
    return (value for value in _sirens(actors) if not _has_form(value))


def _bad_sum(actors: Iterable[Actor | None]) -> Iterable[str]:
    return (value for value in _sirens(actors) if _has_form(value) and not siren.is_valid(value))


def _has_form(value: str) -> bool:
    return len(value) == 9 and value.isascii() and value.isdigit()


def _named_platform(message: Cdar) -> Iterable[str]:
    if message.phase != "305" or message.issuer is None or any(actor.role == "DFH" for actor in message.recipients):
        return ()
    return (value for _scheme, value in message.issuer.ids)


def _wrong_issuer(message: Cdar, info: StatusInfo) -> Iterable[str]:
    role = message.issuer.role if message.issuer else ""
    may = info.object not in INVOICE_OBJECTS or {role, PRINCIPALS.get(role)} & set(info.issuers)
    return () if may else (role,)


def _unnamed_to_ppf(message: Cdar) -> Iterable[str]:
    return _missing(not message.is_to_ppf or (message.sender and message.sender.id_of(PLATFORM_SCHEME)))


def _old_ppf(message: Cdar) -> Iterable[str]:
    ids = [actor.id_of(PLATFORM_SCHEME) for actor in message.recipients if actor.role == "DFH"]
    return (value for value in ids if value != PPF_ID)


# --- the status -------------------------------------------------------------------------------------------------------


def _wrong_phase(message: Cdar) -> Iterable[str]:
    info = _info(message)
    right = not info or not info.mdt77 or message.phase == info.mdt77
    return () if message.phase and right else (message.phase,)


def _wrong_un_status(message: Cdar, info: StatusInfo) -> Iterable[str]:
    return () if message.un_status in ("", info.mdt88) else (message.un_status,)


def _label_of_another(message: Cdar, info: StatusInfo) -> Iterable[str]:
    return (message.label,) if not _is_label(message.label, info) and _is_any_label(message.label) else ()


def _unofficial_label(message: Cdar, info: StatusInfo) -> Iterable[str]:
    return (message.label,) if not _is_label(message.label, info) and not _is_any_label(message.label) else ()


def _is_label(label: str, info: StatusInfo) -> bool:
    return not label or same_words(label, info.label_fr)


def _is_any_label(label: str) -> bool:
    return any(same_words(label, info.label_fr) for info in STATUSES.values())


def _not_of_an_invoice(message: Cdar, info: StatusInfo) -> Iterable[str]:
    about_invoice = message.profile in INVOICE_PROFILES or not message.profile
    return (message.status,) if about_invoice and info.object not in INVOICE_OBJECTS else ()


def _not_for_ppf(message: Cdar, info: StatusInfo) -> Iterable[str]:
    return (message.status,) if message.is_to_ppf and info.reported_to_ppf == Reported.NO else ()


def _family(message: Cdar) -> Iterable[str]:
    return (message.reference_type,) if message.is_to_ppf and message.reference_type != TO_PPF else ()


def _needless_reasons(message: Cdar, info: StatusInfo) -> Iterable[str]:
    return message.reasons if info.reason == "none" else ()


def _positions(message: Cdar) -> Iterable[str]:
    told = [each.sequence for each in message.details if each.sequence]
    return (", ".join(told),) if told != [str(place) for place in range(1, len(told) + 1)] else ()


# --- amounts ----------------------------------------------------------------------------------------------------------


def _money(message: Cdar) -> Iterator[Characteristic]:
    return (each for each in message.characteristics if each.type_code in MONEY)


def _received(message: Cdar) -> Iterator[Characteristic]:
    return (each for each in message.characteristics if each.type_code == DataType.MEN and message.status == "212")


def _needless_amounts(message: Cdar, info: StatusInfo) -> Iterable[str]:
    return (each.shown or each.type_code for each in _money(message)) if info.payment == "none" else ()


def _no_amount_sent(message: Cdar) -> Iterable[str]:
    amounts = [each.amount for each in message.characteristics if each.type_code == DataType.MPA]
    return _missing(message.status != "211" or any(amount is not None for amount in amounts))


def _is_too_long(number: Decimal) -> bool:
    _sign, digits, exponent = number.normalize().as_tuple()
    places = int(exponent)
    return -places > MOST_DECIMALS or len(digits) + max(places, 0) > MOST_DIGITS


def _long_numbers(message: Cdar) -> Iterable[str]:
    return (f"{each.amount:f}" for each in message.characteristics if each.amount and _is_too_long(each.amount))


def _unexplained_return(message: Cdar) -> Iterable[str]:
    # On a credit note a negative receipt is the refund itself (FNFE use case 5).
    if message.type_code in CREDIT_NOTE_TYPES or any(each.notes for each in message.details):
        return ()
    return (each.shown for each in _received(message) if each.amount is not None and each.amount < 0)


def _no_text(message: Cdar) -> Iterable[str]:
    is_needed = message.status in STATUSES and STATUSES[message.status].comment == "required"
    return [""] if is_needed and not any(each.notes for each in message.details) else []


def _foreign_rates(message: Cdar) -> Iterable[str]:
    return (
        f"{each.percent:f}" for each in _money(message) if each.percent is not None and each.percent not in VAT_RATES
    )


_TIME = _("No such time. It has 14 digits: year, month, day, hours, minutes, seconds (format 204). Correct it.")
_RECORD = _("It is missing. Correct the record of the invoice.")
_SIREN_FORM = _("A SIREN has nine digits. Correct it on the record of the company or of the invoice.")
_SIREN_SUM = _("The check digit of this SIREN is wrong. Compare it with the company's papers or the directory.")
_NUMBER = with_program(_("It is missing."))

RULES: tuple[Rule, ...] = (
    Rule("NV-message-number", "MDT-4", _NUMBER, lambda m: _missing(m.id)),
    Rule("NV-message-time", "MDT-8", _NUMBER, lambda m: _missing(m.made_at and m.made_at.text)),
    Rule("NV-message-time-form", "MDT-8", _TIME, lambda m: _impossible(m.made_at, SECOND)),
    Rule("NV-status-time", "MDT-78", _NUMBER, lambda m: _missing(m.status_at and m.status_at.text)),
    Rule("NV-status-time-form", "MDT-78", _TIME, lambda m: _impossible(m.status_at, SECOND)),
    Rule("NV-receipt-time-form", "MDT-95", _TIME, lambda m: _impossible(m.received_at, SECOND)),
    Rule(
        "NV-invoice-date-form",
        "MDT-100",
        _("No such date. It has 8 digits: year, month, day (format 102). Correct the date of the invoice."),
        lambda m: _impossible(m.issued_on, DAY),
    ),
    Rule(
        "NV-value-date-form",
        "MDT-219",
        _("No such date. Correct it."),
        lambda m: (fault for each in m.characteristics for fault in _impossible(each.moment, DAY, SECOND)),
    ),
    Rule("NV-invoice-number", "MDT-87", _RECORD, lambda m: _missing(m.number)),
    Rule(
        "NV-seller",
        "MDT-129",
        _("The seller is not identified. Enter the seller's SIREN on the record of the invoice (BT-30)."),
        lambda m: _missing(m.status == INADMISSIBLE or (m.seller and m.seller.ids)),
    ),
    Rule("NV-seller-siren", "MDT-129", _SIREN_FORM, lambda m: _bad_form([m.seller])),
    Rule("NV-issuer-siren", "MDT-38", _SIREN_FORM, lambda m: _bad_form([m.issuer])),
    Rule("NV-recipient-siren", "MDT-57", _SIREN_FORM, lambda m: _bad_form(m.recipients)),
    Rule("NV-siren-sum", "MDT-129", _SIREN_SUM, lambda m: _bad_sum([m.seller]), is_fatal=False),
    Rule(
        "NV-recipient",
        "MDG-23",
        _("Nobody would be told. Name the recipient of status {status}: a factor, for example."),
        lambda m: _missing(m.recipients),
    ),
    Rule(
        "NV-unnamed-platform",
        "MDT-38",
        _("Between platforms, a platform that reports on the transmission stays unnamed. Take its number out."),
        _named_platform,
    ),
    Rule(
        "NV-issuer",
        "MDT-40",
        _("Whoever has this role may not set status {status}. Choose a status that your side of the invoice may set."),
        _official(_wrong_issuer),
    ),
    Rule(
        "NV-single",
        "MDT-74",
        _("A message speaks of one invoice and one status. Send one message for each."),
        lambda m: ("true",) if m.is_multiple else (),
    ),
    Rule(
        "NV-phase",
        "MDT-77",
        _("Status {status} belongs to the other phase: 305 is transmission, 23 processing. Correct it."),
        _wrong_phase,
    ),
    Rule(
        "NV-un-status",
        "MDT-88",
        _("This code contradicts status {status}. Leave it out or write the one that goes with it."),
        _official(_wrong_un_status),
    ),
    Rule(
        "NV-label",
        "MDT-106",
        _("This is the label of another status than {status}. Check which of the two is meant."),
        _official(_label_of_another),
    ),
    Rule(
        "NV-label-words",
        "MDT-106",
        _("The official label of status {status} reads otherwise."),
        _official(_unofficial_label),
        is_fatal=False,
    ),
    Rule(
        "NV-object",
        "MDT-105",
        _("Status {status} is not one of an invoice. Choose a status of an invoice."),
        _official(_not_of_an_invoice),
    ),
    Rule(
        "NV-needless-reason",
        "MDT-113",
        _("Status {status} takes no reason. Take it out, or choose another status."),
        _official(_needless_reasons),
    ),
    Rule(
        "NV-positions",
        "MDT-124-2",
        _("Reasons, amounts and notes are numbered 1, 2, 3… in this order. Number them anew."),
        _positions,
    ),
    Rule(
        "NV-needless-amount",
        "MDT-215",
        _("Status {status} takes no amounts. Take them out, or choose another status."),
        _official(_needless_amounts),
    ),
    Rule(
        "NV-kind-of-value",
        "MDT-207",
        _("It is missing: nobody can tell what the value means. Say what it is."),
        lambda m: (each.shown for each in m.characteristics if not each.type_code),
    ),
    Rule(
        "NV-no-amount",
        "MDT-215",
        _("The seller cannot match a payment sent (211) without its amount. Enter it."),
        _no_amount_sent,
        is_fatal=False,
    ),
    Rule(
        "NV-zero-receipt",
        "MDT-215",
        _("A payment received (212) is never zero. Enter the amount received, with VAT."),
        lambda m: (each.shown for each in _received(m) if each.amount == 0),
    ),
    Rule(
        "NV-receipt-currency",
        "MDT-215",
        _("Payments received are declared in euros. Enter the amount in EUR."),
        lambda m: (each.shown for each in _received(m) if each.amount is not None and each.currency != "EUR"),
    ),
    Rule(
        "NV-currency",
        "MDT-215",
        _("There is no such currency. Enter its three letters, EUR for example."),
        lambda m: (each.shown for each in _money(m) if each.amount is not None and each.currency not in CURRENCIES),
    ),
    Rule(
        "NV-amount-digits", "MDT-215", _("An amount has two decimals and 19 digits at most. Round it."), _long_numbers
    ),
    Rule(
        "NV-vat-rate",
        "MDT-224",
        _("This is no French VAT rate. Enter the rate of the invoice, 20 for example."),
        _foreign_rates,
    ),
    Rule(
        "NV-unexplained-return",
        "MDT-215",
        _("A negative amount takes a payment back; the administration wants to know why. Say it in the note."),
        _unexplained_return,
        is_fatal=False,
    ),
    Rule(
        "NV-no-text",
        "MDT-126",
        _("The administration turns down a refusal (210) or a suspension (208) without a text. Write why."),
        _no_text,
        is_fatal=False,
    ),
    Rule(
        "NV-platform-to-ppf",
        "MDT-19",
        _("To the administration the platform is named by its number (scheme 0238). Enter it in the settings."),
        _unnamed_to_ppf,
    ),
    Rule(
        "NV-family",
        "MDT-97",
        _("A message to the administration on an invoice bears “einvoicingF2” here. Correct it."),
        _family,
    ),
    Rule(
        "NV-not-for-ppf",
        "MDT-105",
        _("The administration expects 200, 210, 212 and 213 only, not {status}."),
        _official(_not_for_ppf),
        is_fatal=False,
    ),
    Rule(
        "NV-old-ppf",
        "MDT-57",
        _("The number of the administration has been 0000 since version 1.4.0 of the rules."),
        _old_ppf,
        is_fatal=False,
    ),
)
