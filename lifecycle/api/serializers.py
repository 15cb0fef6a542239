"""What the API shows and takes. Every change here changes the schema that customers' software is built on."""

from __future__ import annotations

from typing import Any, get_args

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.reverse import reverse

from invoices.models import AddressingLine, Customer, Direction, Invoice, InvoiceDocument, Role
from lifecycle.api.answers import AlertSerializer
from lifecycle.api.event_parts import EventSerializer
from lifecycle.api.invoice_parts import (
    AccountChangeSerializer,
    InstalmentSerializer,
    OriginSerializer,
    PartySerializer,
    ReferenceSerializer,
    VatRowSerializer,
)
from lifecycle.api.verdicts import OUTCOME, ValidationSerializer
from lifecycle.decisions.settlement import RateLeft, settlement_of
from lifecycle.decisions.wishes import Wish
from lifecycle.history import answers
from lifecycle.history.links import RELATIONS, links_of
from lifecycle.models import RelayTask
from lifecycle.outbox.waits import waits_for
from providers.contract.base import Payment, Reason
from providers.models import Connection, WebhookDelivery
from providers.norm import codes

from .serializer_fields import MoneyField, RowSerializer, StrictCharField, StrictSerializer

Read = dict[str, Any]

DEBT = (
    "What it adds to what the buyer owes, VAT included: negative for a credit note, whatever the sign of its totals. "
    "The other amounts are as the document writes them."
)

# --- invoices ---------------------------------------------------------------------------------------------------------


class InvoiceSerializer(RowSerializer):
    customer = serializers.CharField(source="customer.siren", help_text="SIREN of our customer.")
    connection = serializers.CharField(source="connection.name")
    addressing_line = serializers.CharField(source="addressing_line.identifier", default=None, allow_null=True)
    seller = serializers.SerializerMethodField()
    buyer = serializers.SerializerMethodField()
    status = serializers.CharField(allow_null=True, help_text="Code of MDT-105; null before the first status.")
    status_label = serializers.SerializerMethodField(help_text="In the language of Accept-Language; French by default.")
    next_statuses = serializers.SerializerMethodField(
        help_text="Codes that our side may issue now. Whether the caller may depends on their role."
    )
    assigned_to = serializers.CharField(source="assigned_to.username", default=None, allow_null=True)
    debt = serializers.DecimalField(max_digits=18, decimal_places=2, allow_null=True, help_text=DEBT)
    origins = OriginSerializer(
        many=True,
        help_text="The platforms that hold it. The first is told what is decided: the invoice's `connection`.",
    )
    vat_breakdown = VatRowSerializer(many=True)
    instalments = InstalmentSerializer(
        many=True, help_text="Where it is to be paid in parts; `due_date` is then the first that is not paid."
    )
    preceding_numbers = serializers.ListField(child=serializers.CharField())
    preceding_invoices = ReferenceSerializer(source="references", many=True)
    warnings = serializers.ListField(child=serializers.CharField(), source="shown_warnings")
    validation = serializers.SerializerMethodField(help_text="Of its original; null before it was checked.")
    account_change = AccountChangeSerializer(
        default=None,
        allow_null=True,
        help_text="The supplier names another account than on its last invoices. Null: it does not.",
    )

    class Meta:
        model = Invoice
        fields = [
            "id", "number", "direction", "type_code", "process", "processing_rule", "processing_source",
            "issue_date", "due_date", "instalments", "currency",
            "total_without_vat", "total_vat", "total_with_vat", "amount_due", "debt", "vat_breakdown", "seller",
            "buyer", "preceding_numbers", "preceding_invoices", "customer", "addressing_line", "connection",
            "provider_ref", "origins", "status", "status_label", "status_at", "alert", "next_statuses", "version",
            "assigned_to", "document_state", "document_error", "warnings", "validation", "account_change", "created_at",
            "updated_at",
        ]  # fmt: skip

    @extend_schema_field(PartySerializer)
    def get_seller(self, invoice: Invoice) -> Read:
        return _party(invoice, "seller")

    @extend_schema_field(PartySerializer)
    def get_buyer(self, invoice: Invoice) -> Read:
        return _party(invoice, "buyer")

    def get_status_label(self, invoice: Invoice) -> str:
        return codes.status_label(invoice.status) if invoice.status else ""

    @extend_schema_field(OUTCOME)
    def get_validation(self, invoice: Invoice) -> str | None:
        return invoice.validation or None

    def get_next_statuses(self, invoice: Invoice) -> list[str]:
        return list(self.context["next_statuses"][invoice.pk])


def _party(invoice: Invoice, role: str) -> Read:
    return {name: getattr(invoice, f"{role}_{name}") for name in ("name", "siren", "vat_number")}


class CandidateSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="pk")
    number = serializers.CharField()
    issue_date = serializers.DateField(allow_null=True)
    type_code = serializers.CharField()
    status = serializers.CharField(allow_null=True)
    debt = serializers.DecimalField(max_digits=18, decimal_places=2, allow_null=True, help_text=DEBT)
    currency = serializers.CharField()


class LinkSerializer(serializers.Serializer[Any]):
    relation = serializers.ChoiceField(
        choices=sorted(RELATIONS),
        help_text="`perhaps_named_by`: that one's reference fits several, and counts for none. `same_number`: another "
        "of this seller, number and year, with other amounts or through the same platform.",
    )
    number = serializers.CharField()
    id = serializers.UUIDField(
        source="invoice.pk", default=None, allow_null=True, help_text="Null: not here, or one of the `candidates`."
    )
    candidates = CandidateSerializer(many=True, help_text="Where the reference fits several: nothing is linked.")
    issue_date = serializers.DateField(
        source="invoice.issue_date", default=None, allow_null=True, help_text="Of the linked invoice."
    )
    type_code = serializers.CharField(source="invoice.type_code", default="")
    status = serializers.CharField(source="invoice.status", default=None, allow_null=True)
    total_with_vat = serializers.DecimalField(
        source="invoice.total_with_vat", max_digits=18, decimal_places=2, default=None, allow_null=True
    )
    debt = serializers.DecimalField(
        source="invoice.debt", max_digits=18, decimal_places=2, default=None, allow_null=True, help_text=DEBT
    )
    currency = serializers.CharField(source="invoice.currency", default="")


class RateLeftSerializer(serializers.Serializer[Any]):
    """Amounts include VAT; negative ones go back to the buyer, as on a credit note."""

    vat_rate = serializers.SerializerMethodField(help_text="Percent, a decimal string.")
    currency = serializers.CharField(help_text="Another than the invoice's: shown apart, taken off nothing.")
    invoiced = serializers.DecimalField(max_digits=None, decimal_places=2, help_text="Deposits taken off.")
    credited = serializers.DecimalField(
        max_digits=None, decimal_places=2, help_text="By credit notes, or the whole by a corrective invoice."
    )
    settled = serializers.DecimalField(max_digits=None, decimal_places=2, help_text="Declared by 211 or 212.")
    left = serializers.DecimalField(
        max_digits=None,
        decimal_places=2,
        allow_null=True,
        help_text="Another sign than `invoiced`: more was declared than is due. Null in another currency.",
    )

    def get_vat_rate(self, row: RateLeft) -> str:
        return f"{row.vat_rate:.2f}"


class InvoiceDetailSerializer(InvoiceSerializer):
    alerts = serializers.SerializerMethodField(help_text="Answers that a person has to look at.")
    ibans: Any = serializers.SlugRelatedField(
        "iban", source="accounts", many=True, read_only=True, help_text="To pay on; as written, without spaces."
    )
    links = serializers.SerializerMethodField(help_text="What it credits, corrects or settles, and what does so to it.")
    paid = serializers.SerializerMethodField(help_text="What the buyer says was paid (211), by VAT rate.")
    received = serializers.SerializerMethodField(help_text="What the seller says was received (212), by VAT rate.")

    class Meta(InvoiceSerializer.Meta):
        fields = [*InvoiceSerializer.Meta.fields, "alerts", "ibans", "links", "paid", "received"]

    @extend_schema_field(AlertSerializer(many=True))
    def get_alerts(self, invoice: Invoice) -> Any:
        return AlertSerializer(answers.alerts_of(invoice), many=True).data

    @extend_schema_field(LinkSerializer(many=True))
    def get_links(self, invoice: Invoice) -> Any:
        return LinkSerializer(links_of(invoice), many=True).data

    @extend_schema_field(RateLeftSerializer(many=True))
    def get_paid(self, invoice: Invoice) -> Any:
        return RateLeftSerializer(settlement_of(invoice, "211"), many=True).data

    @extend_schema_field(RateLeftSerializer(many=True))
    def get_received(self, invoice: Invoice) -> Any:
        return RateLeftSerializer(settlement_of(invoice, "212"), many=True).data


class DocumentSerializer(RowSerializer):
    url = serializers.SerializerMethodField(help_text="Where the bytes are.")
    validation = serializers.SerializerMethodField(
        help_text="The newest verdict on an original; null for other files, and for files from before validation."
    )

    class Meta:
        model = InvoiceDocument
        fields = ["id", "kind", "sha256", "size", "media_type", "filename", "received_at", "url", "validation"]

    @extend_schema_field(ValidationSerializer(allow_null=True))
    def get_validation(self, document: InvoiceDocument) -> Read | None:
        rows = document.validations.all()  # the newest first, fetched with the page
        return ValidationSerializer(rows[0]).data if rows else None

    @extend_schema_field(serializers.URLField())
    def get_url(self, document: InvoiceDocument) -> str:
        keys = {"invoice_id": document.invoice_id, "document_id": document.pk}
        return reverse("api:document-file", kwargs=keys, request=self.context["request"])


# --- events and decisions ---------------------------------------------------------------------------------------------


class ReceiptSerializer(serializers.Serializer[Any]):
    reference = serializers.CharField(required=False)
    text = serializers.CharField(required=False)
    at = serializers.CharField(required=False, help_text="RFC 3339, UTC.")
    resolved_by = serializers.CharField(required=False, help_text="Who looked at the platform and said so.")


class RelaySerializer(RowSerializer):
    invoice = serializers.UUIDField(source="invoice_id")
    event = serializers.UUIDField(source="event_id", allow_null=True, help_text="Null where an invoice is handed in.")
    status = serializers.CharField(
        source="event.status", default=None, allow_null=True, help_text="Null where an invoice is handed in."
    )
    connection = serializers.CharField(source="connection.name")
    receipt = serializers.SerializerMethodField(help_text="The platform's answer, null until there is one.")
    released_by = serializers.CharField(source="released_by.username", default=None, allow_null=True)
    waits_for = serializers.SerializerMethodField(
        help_text="What it waits for, in words; empty: its turn, or a person."
    )
    refused_by = serializers.UUIDField(
        source="refused_by_id", allow_null=True, help_text="The event (601, 501) that turned it down after it was told."
    )

    class Meta:
        model = RelayTask
        fields = [
            "id", "kind", "invoice", "event", "status", "connection", "state", "attempts", "next_attempt_at",
            "last_error", "receipt", "created_at", "sent_at", "confirmed_at", "deadline_at", "released_by",
            "refused_by", "waits_for",
        ]  # fmt: skip

    def get_waits_for(self, relay: RelayTask) -> str:
        return waits_for(relay, getattr(self.context.get("view"), "desk", None))

    @extend_schema_field(ReceiptSerializer(allow_null=True))
    def get_receipt(self, relay: RelayTask) -> Read | None:
        return relay.receipt


class ReasonSerializer(StrictSerializer):
    code = StrictCharField(help_text="Code of MDT-113.")
    text = StrictCharField(default="", allow_blank=True, help_text="In your own words; needed with AUTRE.")


class PaymentSerializer(StrictSerializer):
    amount = MoneyField(help_text="VAT included; negative takes an earlier one back.")
    vat_rate = MoneyField(default=None, allow_null=True, help_text="Percent; needed with 212.")
    currency = StrictCharField(default="EUR")


class DecisionSerializer(StrictSerializer):
    """A wish to issue a status. Which statuses, reasons and amounts go together is asked of the official table."""

    status = StrictCharField(help_text="One of the invoice's `next_statuses`.")
    reasons = ReasonSerializer(many=True, default=list, max_length=50)  # type: ignore[call-arg]
    note = StrictCharField(default="", allow_blank=True, trim_whitespace=False, help_text="Goes to the other party.")
    payments = PaymentSerializer(many=True, default=list, max_length=50)  # type: ignore[call-arg]
    version = serializers.IntegerField(
        default=None,
        allow_null=True,
        help_text="The invoice's version you looked at; another one by now is answered 409.",
    )

    sure = serializers.BooleanField(
        default=False, help_text="True: you were answered 422 with `unlikely`, looked at it, and mean what you say."
    )

    def wish(self) -> Wish:
        given = self.validated_data
        return Wish(
            status=given["status"],
            reasons=tuple(Reason(**row) for row in given["reasons"]),
            note=given["note"],
            payments=tuple(Payment(**row) for row in given["payments"]),
            version=given["version"],
            sure=given["sure"],
        )


class DecidedSerializer(serializers.Serializer[Any]):
    event = EventSerializer()
    relay = RelaySerializer()
    remarks = serializers.ListField(
        child=serializers.CharField(), help_text="What was filled in, and what the administration will probably say."
    )


class ResolutionSerializer(StrictSerializer):
    arrived = serializers.BooleanField(
        help_text="True: the platform shows the status. False: it does not, send it again."
    )
    why = StrictCharField(default="", allow_blank=True, max_length=1000, help_text="What was seen; kept as a comment.")


class SubmissionSerializer(StrictSerializer):
    """A file of a customer's own, to be handed in to its platform."""

    no_customer = _("You have no customer of this SIREN.")
    no_line = _("Name one of the customer's addressing lines: it has several, or not this one.")

    file = serializers.FileField(help_text="UBL, CII or Factur-X; up to 20 MB.", allow_empty_file=True)
    customer = serializers.CharField(help_text="SIREN of our customer, the seller (the buyer where it self-bills).")
    addressing_line = serializers.CharField(
        default="", allow_blank=True, help_text="Its identifier; may be left out where the customer has only one."
    )
    submit = serializers.BooleanField(default=False, help_text="True: send it. False: an approver will release it.")
    direction = serializers.ChoiceField(
        choices=Direction.choices,
        default=Direction.ISSUED,
        help_text="received: an invoice for our customer, handed to it where we are its platform (Cegid).",
    )


class SubmittedSerializer(serializers.Serializer[Any]):
    invoice = InvoiceSerializer()
    relay = RelaySerializer()


# --- the inbox and the set-up -----------------------------------------------------------------------------------------


class DeliverySerializer(RowSerializer):
    connection = serializers.CharField(source="connection.name")

    class Meta:
        model = WebhookDelivery
        fields = [
            "id", "connection", "line_identifier", "key", "received_at", "state", "error", "waits_for", "attempts",
            "next_attempt_at", "processed_at",
        ]  # fmt: skip


class CustomerSerializer(RowSerializer):
    role = serializers.SerializerMethodField(
        help_text="What the caller may do for this customer; roles are cumulative."
    )

    class Meta:
        model = Customer
        fields = [
            "siren",
            "name",
            "vat_number",
            "four_eyes",
            "undo_seconds",
            "vat_on_debits",
            "retention_years",
            "role",
        ]

    @extend_schema_field(serializers.ChoiceField(choices=Role.choices))
    def get_role(self, customer: Customer) -> str | None:
        return self.context["desk"].role_for(customer.pk)


class AddressingLineSerializer(RowSerializer):
    customer = serializers.CharField(source="customer.siren")
    connection = serializers.CharField(source="connection.name")
    level = serializers.CharField(help_text="SIREN, SIREN_SIRET, SIREN_SIRET_ROUTING or SIREN_SUFFIX.")

    class Meta:
        model = AddressingLine
        fields = ["identifier", "level", "customer", "connection"]


class ConnectionSerializer(RowSerializer):
    """No setting and no secret: what they hold is the administrators' business."""

    platform = serializers.CharField(source="platform_label")
    healthy = serializers.BooleanField(source="is_healthy", allow_null=True, help_text="Null when never checked.")

    class Meta:
        model = Connection
        fields = [
            "name",
            "kind",
            "platform",
            "environment",
            "state",
            "leaving_on",
            "healthy",
            "checked_at",
            "polled_at",
        ]


# --- the official codes -----------------------------------------------------------------------------------------------


RULES = get_args(codes.Rule)


class CodeSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    label = serializers.SerializerMethodField(  # type: ignore[assignment]
        help_text="In the language of Accept-Language; French by default."
    )
    label_fr = serializers.CharField(help_text="The official label.")
    label_en = serializers.CharField()


class StatusSerializer(CodeSerializer):
    definition = serializers.CharField()
    phase = serializers.ChoiceField(choices=codes.Phase.choices)
    object = serializers.ChoiceField(choices=codes.StatusObject.choices, help_text="What the status speaks about.")
    issuers = serializers.SerializerMethodField(help_text="Roles (UNCL 3035) that may set it.")
    obligation = serializers.CharField()
    reported_to_ppf = serializers.ChoiceField(choices=codes.Reported.choices)
    reason = serializers.ChoiceField(choices=RULES)
    payment = serializers.ChoiceField(choices=RULES)
    payment_types = serializers.ListField(child=serializers.CharField(), help_text="Codes of MDT-207.")
    final = serializers.BooleanField(help_text="Nothing that counts may follow.")
    deadline_hours = serializers.IntegerField(allow_null=True, help_text="To reach the administration.")

    def get_label(self, row: codes.StatusInfo) -> str:
        return codes.status_label(row.code)

    def get_issuers(self, row: codes.StatusInfo) -> list[str]:
        return sorted(row.issuers)


class ReasonCodeSerializer(CodeSerializer):
    help = serializers.CharField(allow_blank=True)
    statuses = serializers.SerializerMethodField(help_text="Statuses that may carry it.")
    closed_list = serializers.BooleanField(help_text="False: understood when it comes, refused in what we send.")

    def get_label(self, row: codes.ReasonInfo) -> str:
        return codes.reason_label(row.code)

    def get_statuses(self, row: codes.ReasonInfo) -> list[str]:
        return [status for status in codes.STATUSES if row.code in codes.reasons_for(status)]


# --- problems ---------------------------------------------------------------------------------------------------------


class ErrorRowSerializer(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="Such as `payments[0].amount`; empty for the whole body.")
    code = serializers.CharField()
    message = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457. `type` is stable, the texts follow Accept-Language."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = ErrorRowSerializer(many=True, required=False)  # type: ignore[assignment]
    next_statuses = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="With a refused decision: what may be issued now."
    )
