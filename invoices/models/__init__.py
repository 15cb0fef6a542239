"""Customers, addressing lines, invoices and their documents."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import ExtractYear
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from invoices.validation.verdict import Outcome
from providers.connections.sealing import SealedField
from providers.formats.en16931.model import Reference
from providers.models import Connection
from providers.norm.addressing import parse_address, validate_addressing, validate_siren
from providers.norm.codes import CORRECTIVE_TYPES, CREDIT_NOTE_TYPES, SELF_BILLED_TYPES, status_label
from providers.norm.companies import siren_in
from providers.norm.numbers import number_warning
from providers.norm.processing import Rule, Source, reaches_administration

from . import money
from .accounts import AccountChange as AccountChange
from .accounts import PaymentAccount as PaymentAccount
from .audit import AuditEntry as AuditEntry
from .cache import CacheEntry as CacheEntry
from .drafts import InvoiceDraft as InvoiceDraft
from .identity import SellerKey
from .origins import InvoiceOrigin as InvoiceOrigin
from .policies import PolicyChange as PolicyChange
from .prepared import Prepared as Prepared
from .prepared import PreparedLines as PreparedLines
from .tokens import ApiToken as ApiToken
from .twins import find_twins, warning_of

# Years: 6 for the tax office (Livre des procédures fiscales, art. L102 B). The default is the 10 of vouchers of the
# accounts (Code de commerce, art. L123-22).
SHORTEST_RETENTION = 6


class Customer(models.Model):
    """A company whose invoices we handle."""

    siren = models.CharField("SIREN", max_length=9, unique=True, validators=[validate_siren])
    name = models.CharField(_("name"), max_length=200)
    vat_number = models.CharField(_("VAT number"), max_length=20, blank=True)
    four_eyes = models.BooleanField(
        _("four eyes"), default=False, help_text=_("A second person releases every final or payment decision.")
    )
    undo_seconds = models.PositiveSmallIntegerField(
        _("undo seconds"), default=0, help_text=_("How long a decision can be taken back before it is sent.")
    )
    retention_years = models.PositiveSmallIntegerField(
        _("years to keep"),
        default=10,
        validators=[MinValueValidator(SHORTEST_RETENTION)],
        help_text=_("Full calendar years an invoice is kept after the last thing that happened to it."),
    )
    vat_on_debits = models.BooleanField(
        _("VAT on debits"), default=False, help_text=_("212 then stays between parties.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(siren__regex=r"^[0-9]{9}$"), name="customer_siren_is_9_digits"),
            models.CheckConstraint(
                condition=Q(retention_years__gte=SHORTEST_RETENTION), name="customer_keeps_as_long_as_the_law_wants"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def numbered(cls, number: str) -> models.QuerySet[Customer]:
        """The one a SIREN, SIRET or French VAT number is of, however it is written."""
        return cls.objects.filter(siren=siren_in(number))


class Role(models.TextChoices):
    """Cumulative: each may do what the ones before it may."""

    READER = "reader", _("Reader")
    CLERK = "clerk", _("Clerk")
    APPROVER = "approver", _("Approver")
    ADMINISTRATOR = "administrator", _("Administrator")

    @property
    def rank(self) -> int:
        return list(type(self)).index(self)

    @classmethod
    def at_least(cls, role: str) -> list[str]:
        """The roles that include `role`."""
        return [each.value for each in cls if each.rank >= cls(role).rank]


class Membership(models.Model):
    """What a user may do for a customer."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("user")
    )
    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("customer")
    )
    role = models.CharField(_("role"), max_length=15, choices=Role.choices, default=Role.READER)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["user", "customer"], name="one_membership_per_customer")]

    def __str__(self) -> str:
        return f"{self.user} – {self.customer}: {self.get_role_display()}"


class AddressingLine(models.Model):
    """Where a customer receives and sends."""

    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="addressing_lines", verbose_name=_("customer")
    )
    identifier = models.CharField(_("identifier"), max_length=125, unique=True, validators=[validate_addressing])
    connection = models.ForeignKey(
        Connection, on_delete=models.PROTECT, related_name="addressing_lines", verbose_name=_("connection")
    )
    settings = models.JSONField(_("settings"), default=dict, blank=True)
    secrets = SealedField(_("secrets"), default=dict, blank=True)

    class Meta:
        verbose_name = _("addressing line")
        verbose_name_plural = _("addressing lines")
        ordering = ["identifier"]

    def __str__(self) -> str:
        return self.identifier

    def clean(self) -> None:
        if self.customer_id and not self.identifier.startswith(self.customer.siren):
            raise ValidationError({"identifier": _("An addressing line starts with its customer's SIREN.")})

    @property
    def level(self) -> str:
        address = parse_address(self.identifier)
        return address.level if address else ""


class Direction(models.TextChoices):
    RECEIVED = "received", _("Received")
    ISSUED = "issued", _("Issued")


class DocumentState(models.TextChoices):
    WAITING = "waiting", _("Waiting for the document")
    READ = "read", _("Read")
    UNREADABLE = "unreadable", _("Unreadable")


class Invoice(models.Model):
    """Received or issued. `status` is a projection of its status events, written by lifecycle alone.

    `alert`: code of an answer that a person has to see. `provider_ref` is "" for an invoice of ours until its platform
    has taken it. `holds_number`: ours, neither withdrawn nor rejected, so that no other may bear its number.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="invoices", verbose_name=_("customer")
    )
    connection = models.ForeignKey(
        Connection, on_delete=models.PROTECT, related_name="invoices", verbose_name=_("connection")
    )
    addressing_line = models.ForeignKey(
        AddressingLine,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="invoices",
        verbose_name=_("addressing line"),
    )
    provider_ref = models.CharField(_("platform's reference"), max_length=200, blank=True)
    direction = models.CharField(_("direction"), max_length=8, choices=Direction.choices)
    number = models.CharField(_("number"), max_length=200, blank=True)
    type_code = models.CharField(_("type"), max_length=3, blank=True)
    process = models.CharField(_("billing frame"), max_length=100, blank=True)
    vat_point = models.CharField(_("VAT due"), max_length=3, blank=True, default="", editable=False)  # BT-8, as written
    processing_rule = models.CharField(_("processing"), max_length=16, choices=Rule.choices, blank=True)
    processing_source = models.CharField(_("told by"), max_length=8, choices=Source.choices, blank=True)
    issue_date = models.DateField(_("issue date"), null=True)
    due_date = models.DateField(_("due date"), null=True)
    # Where it is to be paid in parts: `due_on` and `amount` of each, by day. `due_date` is then the next one unpaid.
    instalments = models.JSONField(_("instalments"), default=list, editable=False)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    total_without_vat = models.DecimalField(_("total without VAT"), max_digits=18, decimal_places=2, null=True)
    total_vat = models.DecimalField(_("total VAT"), max_digits=18, decimal_places=2, null=True)
    total_with_vat = models.DecimalField(_("total with VAT"), max_digits=18, decimal_places=2, null=True)
    amount_due = models.DecimalField(_("amount due"), max_digits=18, decimal_places=2, null=True)
    vat_breakdown = models.JSONField(_("VAT breakdown"), default=list)
    seller_name = models.CharField(_("seller"), max_length=300, blank=True)
    seller_siren = models.CharField(_("seller's SIREN"), max_length=30, blank=True)
    seller_vat_number = models.CharField(_("seller's VAT number"), max_length=30, blank=True)
    buyer_name = models.CharField(_("buyer"), max_length=300, blank=True)
    buyer_siren = models.CharField(_("buyer's SIREN"), max_length=30, blank=True)
    buyer_vat_number = models.CharField(_("buyer's VAT number"), max_length=30, blank=True)
    # Whose invoice it is, in one value: written by itself, see `identity`.
    seller_key = SellerKey(_("seller's key"), max_length=200, blank=True, editable=False)
    preceding_numbers = models.JSONField(_("earlier invoices"), default=list)
    # Of those, in their order and in ISO 8601; null where the document gives none.
    preceding_dates = models.JSONField(_("dates of earlier invoices"), default=list, editable=False)
    document_state = models.CharField(
        max_length=10,
        choices=DocumentState.choices,
        default=DocumentState.WAITING,
        verbose_name=_("state of the document"),
    )
    document_error = models.TextField(_("document error"), blank=True)
    warnings = models.JSONField(_("warnings"), default=list)
    # Of the newest verdict on its original; "" until there is one.
    validation = models.CharField(_("validation"), max_length=10, choices=Outcome.choices, blank=True, editable=False)
    alert = models.CharField(_("alert"), max_length=3, blank=True, default="", editable=False)
    holds_number = models.BooleanField(_("holds its number"), default=False, editable=False)
    status = models.CharField(_("status"), max_length=3, null=True, editable=False)
    status_at = models.DateTimeField(_("status since"), null=True, editable=False)
    # Where its history ends, under a key that is not in the database; written by lifecycle with the status.
    head_sequence = models.PositiveIntegerField(default=0, editable=False)
    head_seal = models.CharField(max_length=80, blank=True, editable=False)
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="assigned_invoices",
        verbose_name=_("assigned to"),
    )
    created_at = models.DateTimeField(_("arrived"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)
    search = models.GeneratedField(
        expression=SearchVector("number", "seller_name", "buyer_name", "seller_siren", "buyer_siren", config="simple"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    found_twins: list[Invoice] | None = None

    class Meta:
        verbose_name = _("invoice")
        verbose_name_plural = _("invoices")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "provider_ref"],
                condition=~Q(provider_ref=""),
                name="one_invoice_per_platform_reference",
            ),
            # The administration's rule of uniqueness (DGFiP G1.42); both ends may be ours.
            models.UniqueConstraint(
                "direction",
                "seller_key",
                "number",
                ExtractYear("issue_date"),
                condition=Q(holds_number=True) & ~Q(seller_key=""),
                name="one_issue_per_seller_number_and_year",
            ),
        ]
        indexes = [
            models.Index(fields=["customer", "-created_at", "-id"], name="invoice_list"),
            models.Index(fields=["customer", "status", "-created_at", "-id"], name="invoice_by_status"),
            models.Index(fields=["customer", "number"], name="invoice_number"),
            models.Index(fields=["-created_at", "-id"], name="invoice_newest"),
            # A message that names its invoice by seller and number.
            models.Index(fields=["seller_key", "number"], name="invoice_identity"),
            models.Index(fields=["customer", "updated_at", "id"], name="invoice_changes"),
            # The few that correct another: asked for each issued invoice shown.
            models.Index(
                fields=["customer", "seller_siren"],
                condition=Q(type_code__in=sorted(CORRECTIVE_TYPES)),
                name="invoice_corrective",
            ),
            models.Index(fields=["customer", "created_at"], condition=~Q(alert=""), name="invoice_alerted"),
            GinIndex(fields=["search"], name="invoice_search"),
            # The invoices that name one: asked for on each invoice's page.
            GinIndex(fields=["preceding_numbers"], name="invoice_preceding", opclasses=["jsonb_path_ops"]),
        ]

    def __str__(self) -> str:
        return self.number or self.provider_ref

    @property
    def status_label(self) -> str:
        return status_label(self.status)

    @property
    def shown_warnings(self) -> list[str]:
        is_reported = reaches_administration(self.processing_rule)
        number = number_warning(self.number) if is_reported else ""
        copies = [each.warning for each in self.other_origins.all() if each.differing_amount]
        return [*self.warnings, *map(warning_of, self.twins), *copies, *filter(None, [number])]

    @property
    def twins(self) -> list[Invoice]:
        """Others that should be this one; of a list of invoices all are found before, by `with_twins`."""
        return self.found_twins if self.found_twins is not None else find_twins(Invoice.objects.all(), [self])[self.pk]

    @property
    def side(self) -> str:
        """The side our customer is on: "buyer" of what it received, "seller" of what it issued; the reverse where the
        buyer does the invoicing."""
        return "buyer" if (self.direction == Direction.RECEIVED) != self.is_self_billed else "seller"

    @property
    def counterparty_name(self) -> str:
        return self.seller_name if self.side == "buyer" else self.buyer_name

    @property
    def is_self_billed(self) -> bool:
        return self.type_code in SELF_BILLED_TYPES

    @property
    def original(self) -> InvoiceDocument | None:
        """The file that counts: of several, the first that came."""
        return self.documents.filter(kind=InvoiceDocument.Kind.ORIGINAL).order_by("received_at").first()

    @property
    def is_credit_note(self) -> bool:
        return self.type_code in CREDIT_NOTE_TYPES

    @property
    def origins(self) -> list[Invoice | InvoiceOrigin]:
        """The platforms that hold it: first the one that is told what we decide. Each has a connection, a
        `provider_ref`, an addressing line and the time it came."""
        return [self, *self.other_origins.all()]

    @property
    def arrived_at(self) -> datetime:
        return self.created_at

    def origin_at(self, connection_id: Any) -> Invoice | InvoiceOrigin:
        """What a platform knows it by; of one that does not hold it, the origin that is told."""
        if connection_id in (None, self.connection_id):
            return self
        return next((each for each in self.other_origins.all() if each.connection_id == connection_id), self)

    @property
    def references(self) -> list[Reference]:
        """The earlier invoices it names, with their dates where it gives them."""
        days = [day and date.fromisoformat(day) for day in self.preceding_dates]
        pairs = zip_longest(self.preceding_numbers, days[: len(self.preceding_numbers)])
        return [Reference(number=number, issue_date=day) for number, day in pairs]

    @property
    def debt(self) -> Decimal | None:
        """The total with VAT as it counts: negative where it lowers what the buyer owes."""
        return money.debt(self)

    @property
    def has_open_account_change(self) -> bool:
        """The account to pay on is new, and nobody has checked it."""
        change = getattr(self, "account_change", None)
        return change is not None and change.acknowledged_at is None

    @property
    def gives_back(self) -> bool:
        """The seller owes the buyer."""
        return money.gives_back(self)

    @property
    def is_corrective(self) -> bool:
        return self.type_code in CORRECTIVE_TYPES


def document_path(document: InvoiceDocument, filename: str) -> str:
    """Content-addressed: the same bytes are the same file, and no file is ever overwritten."""
    return f"{document.sha256[:2]}/{document.sha256[2:4]}/{document.sha256}"


class InvoiceDocument(models.Model):
    """A file of an invoice, kept byte for byte."""

    class Kind(models.TextChoices):
        ORIGINAL = "original", _("Original")
        CONVERTED = "converted", _("Converted")
        READABLE = "readable", _("Readable")
        ATTACHMENT = "attachment", _("Attachment")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="documents")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    sha256 = models.CharField("SHA-256", max_length=64)
    size = models.PositiveBigIntegerField(_("size"))
    media_type = models.CharField(_("media type"), max_length=100, blank=True)
    filename = models.CharField(_("file name"), max_length=200, blank=True)
    file = models.FileField(upload_to=document_path, max_length=100)
    received_at = models.DateTimeField(_("received at"), default=timezone.now)

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["received_at"]
        constraints = [models.UniqueConstraint(fields=["invoice", "kind", "sha256"], name="one_document_per_content")]

    def __str__(self) -> str:
        return self.filename or self.sha256[:12]


class Validation(models.Model):
    """The verdict of one release of the official rules on a document. Rows that wait are the queue."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DONE = "done", _("Done")
        GIVEN_UP = "given_up", _("Given up")

    document = models.ForeignKey(InvoiceDocument, on_delete=models.CASCADE, related_name="validations")
    rules_version = models.CharField(_("version of the rules"), max_length=100)
    state = models.CharField(_("state"), max_length=8, choices=State.choices, default=State.WAITING)
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome.choices, blank=True)
    syntax = models.CharField(_("format"), max_length=10, blank=True)
    profile = models.CharField(_("profile"), max_length=200, blank=True)
    checked = models.JSONField(_("checked against"), default=list)
    basis = models.CharField(_("whose rules"), max_length=20, blank=True)
    findings = models.JSONField(_("findings"), default=list)
    milliseconds = models.PositiveIntegerField(_("milliseconds"), null=True)
    error = models.TextField(_("error"), blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now)
    leased_until = models.DateTimeField(_("leased until"), null=True)
    created_at = models.DateTimeField(_("asked for"), default=timezone.now)
    checked_at = models.DateTimeField(_("checked at"), null=True)

    class Meta:
        verbose_name = _("validation")
        verbose_name_plural = _("validations")
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["document", "rules_version"], name="one_verdict_per_rules")]
        indexes = [models.Index(fields=["next_attempt_at"], condition=Q(state="waiting"), name="validation_due")]

    def __str__(self) -> str:
        return f"{self.document} – {self.rules_version}: {self.get_outcome_display() or self.get_state_display()}"


class Comment(models.Model):
    """Internal; never leaves the house."""

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", verbose_name=_("author")
    )
    text = models.TextField(_("comment"), max_length=4000)
    created_at = models.DateTimeField(default=timezone.now, editable=False, verbose_name=_("written at"))

    class Meta:
        verbose_name = _("comment")
        verbose_name_plural = _("comments")
        ordering = ["created_at"]

    def __str__(self) -> str:
        return self.text[:60]
