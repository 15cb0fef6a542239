"""What is wrong with a message, field by field, in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The fields of XP Z12-012 that a rule speaks of, and where the message has them.
FIELDS: dict[str, tuple[StrOrPromise, str]] = {
    "MDT-2": (_("Business process"), "BusinessProcessSpecifiedDocumentContextParameter/ID"),
    "MDG-3": (_("Profile of the message"), "ExchangedDocumentContext/GuidelineSpecifiedDocumentContextParameter"),
    "MDT-3": (_("Profile of the message"), "GuidelineSpecifiedDocumentContextParameter/ID"),
    "MDT-4": (_("Number of the message"), "ExchangedDocument/ID"),
    "MDG-4": (_("Time of the message"), "ExchangedDocument/IssueDateTime"),
    "MDT-8": (_("Time of the message"), "ExchangedDocument/IssueDateTime/DateTimeString"),
    "MDG-9": (_("Sender"), "ExchangedDocument/SenderTradeParty"),
    "MDT-19": (_("Sender's identifier"), "SenderTradeParty/GlobalID"),
    "MDT-21": (_("Sender's role"), "SenderTradeParty/RoleCode"),
    "MDT-38": (_("Identifier of who sets the status"), "ExchangedDocument/IssuerTradeParty/GlobalID"),
    "MDT-40": (_("Role of who sets the status"), "ExchangedDocument/IssuerTradeParty/RoleCode"),
    "MDG-23": (_("Recipient"), "ExchangedDocument/RecipientTradeParty"),
    "MDT-57": (_("Recipient's identifier"), "ExchangedDocument/RecipientTradeParty/GlobalID"),
    "MDT-59": (_("Recipient's role"), "ExchangedDocument/RecipientTradeParty/RoleCode"),
    "MDT-73": (_("Recipient's electronic address"), "URIUniversalCommunication/URIID"),
    "MDT-74": (_("Several documents in one message"), "MultipleReferencesIndicator/Indicator"),
    "MDT-77": (_("Phase"), "AcknowledgementDocument/TypeCode"),
    "MDT-78": (_("Time of the status"), "AcknowledgementDocument/IssueDateTime/DateTimeString"),
    "MDT-87": (_("Invoice number"), "ReferenceReferencedDocument/IssuerAssignedID"),
    "MDT-88": (_("United Nations code of the status"), "ReferenceReferencedDocument/StatusCode"),
    "MDT-91": (_("Invoice type"), "ReferenceReferencedDocument/TypeCode"),
    "MDT-95": (_("Time of receipt of the invoice"), "ReceiptDateTime/DateTimeString"),
    "MDT-97": (_("Family of the document"), "ReferenceReferencedDocument/ReferenceTypeCode"),
    "MDG-35": (_("Invoice date"), "ReferenceReferencedDocument/FormattedIssueDateTime"),
    "MDT-100": (_("Invoice date"), "FormattedIssueDateTime/DateTimeString"),
    "MDT-105": (_("Status"), "ReferenceReferencedDocument/ProcessConditionCode"),
    "MDT-106": (_("Label of the status"), "ReferenceReferencedDocument/ProcessCondition"),
    "MDT-113": (_("Reason"), "SpecifiedDocumentStatus/ReasonCode"),
    "MDT-115": (_("Status of the reason"), "SpecifiedDocumentStatus/ProcessConditionCode"),
    "MDT-121": (_("Action asked for"), "SpecifiedDocumentStatus/RequestedActionCode"),
    "MDT-124-2": (_("Position of the reason"), "SpecifiedDocumentStatus/SequenceNumeric"),
    "MDT-126": (_("Text"), "SpecifiedDocumentStatus/IncludedNote/Content"),
    "MDT-129": (_("Seller's SIREN"), "ReferenceReferencedDocument/IssuerTradeParty/GlobalID"),
    "MDT-132": (_("Seller's role"), "ReferenceReferencedDocument/IssuerTradeParty/RoleCode"),
    "MDT-158": (_("Role of the invoice's recipient"), "ReferenceReferencedDocument/RecipientTradeParty/RoleCode"),
    "MDT-207": (_("Kind of value"), "SpecifiedDocumentCharacteristic/TypeCode"),
    "MDT-215": (_("Amount"), "SpecifiedDocumentCharacteristic/ValueAmount"),
    "MDT-219": (_("Date"), "ValueDateTime/DateTimeString"),
    "MDT-224": (_("VAT rate"), "SpecifiedDocumentCharacteristic/ValuePercent"),
}
LONGEST_VALUE = 100


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`rule` is the official id, "XML", "XSD", or ours (NV-…). `value` is what stands there, cut short, "" if nothing;
    `advice` says what is wrong with it and what to do.
    """

    rule: str
    advice: StrOrPromise
    field: str = ""
    value: str = ""
    is_fatal: bool = True

    @property
    def message(self) -> str:
        """Which field, which value, what to do."""
        name = str(FIELDS[self.field][0]) if self.field in FIELDS else ""
        field = f"{name} ({self.field})" if name else self.field
        value = pgettext("value of a field", "“%(value)s”") % {"value": self.value} if self.value else ""
        where = " ".join(filter(None, [field, value]))
        if not where:
            return str(self.advice)
        return pgettext("field, then advice", "%(field)s: %(advice)s") % {"field": where, "advice": self.advice}

    def __str__(self) -> str:
        return self.message


def field_at(path: str) -> str:
    """The field whose place ends a path of element names; "" where none does."""
    places = sorted(((place, field) for field, (_name, place) in FIELDS.items()), key=lambda each: -len(each[0]))
    return next((field for place, field in places if f"/{path}".endswith(f"/{place}")), "")
