"""Customers, people, connections and invoices in the admin.

Whoever works for a customer sees its invoices here; who administers it, also what is set up for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# From their admin, so that they are registered by the time they are replaced here.
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from invoices.customers import policies
from invoices.customers.directory import DirectoryLookUp
from invoices.customers.forms import AddressingLineForm, CustomerForm, NewAddressingLineForm
from invoices.customers.line_actions import LineActions
from invoices.people import audit
from invoices.people.access import connections_of, wholly_administered_connections
from invoices.people.admin import record_roles
from invoices.people.audited import Audited
from invoices.people.scoped_admin import OfConnection, OfCustomer, Scoped, ScopedChoices, name_of
from invoices.people.staff import match_memberships
from providers.admin import AccountAdmin, ConnectionAdmin, LargeTable, ReadOnly, ReadOnlyRows, RefusedRequestAdmin
from providers.connections import services as platforms
from providers.connections.registry import as_line
from providers.connections.sealing import Secrets
from providers.contract.base import Field
from providers.contract.kinds import find_adapter_class
from providers.formats.en16931.labels import DOCUMENT_TYPES, frame_label, label
from providers.formats.en16931.wording import as_money
from providers.models import Connection, RefusedRequest
from providers.norm.addressing import parse_address

from .models import AddressingLine, Comment, Customer, Invoice, InvoiceDocument, Membership, PolicyChange, Role

# --- customers --------------------------------------------------------------------------------------------------------


class MembershipInline(OfCustomer, admin.StackedInline):
    model = Membership
    extra = 0
    fields = ("user", "customer", "role")


class LineInline(ScopedChoices, admin.StackedInline):
    model = AddressingLine
    extra = 0
    fields = ("identifier", "connection")
    show_change_link = True
    can_delete = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # on the line's own page, with what its platform needs


@admin.register(Customer)
class CustomerAdmin(OfCustomer, admin.ModelAdmin):
    form = CustomerForm
    customer_path = "pk"
    list_display = ("name", "siren", "vat_number", "four_eyes", "undo_seconds", "vat_on_debits", "retention_years")
    list_filter = ("four_eyes",)
    search_fields = ("name", "siren", "vat_number")
    search_help_text = _("Name, SIREN or VAT number")
    readonly_fields = ("created_at",)
    inlines = (LineInline, MembershipInline)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The SIREN is what rights and addressing lines hang on: only a superuser corrects it."""
        return self.readonly_fields if request.user.is_superuser else (*self.readonly_fields, "siren")

    def save_model(self, request: HttpRequest, obj: Customer, form: Any, change: bool) -> None:
        if policies.save_customer(obj, user=request.user):
            text = gettext("%(customer)s: the rules are as before until a second administrator confirms their change.")
            self.message_user(request, text % {"customer": obj}, messages.WARNING)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        if formset.model is AddressingLine:
            for line in formset.new_objects:
                open_line_hook(line)
                show_new_secrets(self, request, line)
                audit.record_names(audit.Action.LINE_CHANGED, [line.customer], line, ["+"])
        elif formset.model is Membership:
            for membership in record_roles(formset):
                match_memberships(membership.user)


@admin.register(PolicyChange)
class PolicyChangeAdmin(OfCustomer, ReadOnly, admin.ModelAdmin):
    """What waits for a second administrator, who confirms or withdraws it here."""

    list_display = ("customer", "wanted", "state", "asked_by", "asked_at", "decided_by", "decided_at")
    list_filter = ("state",)
    list_select_related = ("customer", "asked_by", "decided_by")
    fields = ("customer_name", "wanted", "state", "asked_by_name", "asked_at", "decided_by_name", "decided_at")
    customer_name, asked_by_name, decided_by_name = (
        name_of(PolicyChange, name) for name in ("customer", "asked_by", "decided_by")
    )
    actions = ("confirm", "withdraw")

    @admin.display(description=_("rules"))
    def wanted(self, change: PolicyChange) -> str:
        return ", ".join(f"{name_of_rule(name)}: {before} → {after}" for name, (before, after) in change.rules.items())

    @admin.action(description=_("Confirm selected changes"), permissions=["view"])
    def confirm(self, request: HttpRequest, queryset: QuerySet[PolicyChange]) -> None:
        self._each(request, queryset, policies.confirm, gettext("%s: confirmed."))

    @admin.action(description=_("Withdraw selected changes"), permissions=["view"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[PolicyChange]) -> None:
        self._each(request, queryset, policies.withdraw, gettext("%s: withdrawn."))

    def _each(self, request: HttpRequest, queryset: QuerySet[PolicyChange], verb: Any, done: str) -> None:
        for change in queryset:
            try:
                verb(user=request.user, change_id=change.pk)
            except (PermissionDenied, ValidationError) as error:
                words = " ".join(getattr(error, "messages", None) or [str(error)])
                self.message_user(request, f"{change}: {words}", messages.ERROR)
            else:
                self.message_user(request, done % change, messages.SUCCESS)


def name_of_rule(name: str) -> Any:
    return Customer._meta.get_field(name).verbose_name  # type: ignore[union-attr]


@admin.register(AddressingLine)
class AddressingLineAdmin(Audited, OfCustomer, DirectoryLookUp, LineActions, AccountAdmin):
    audit_action = audit.Action.LINE_CHANGED
    new_form, account_form = NewAddressingLineForm, AddressingLineForm
    list_display = ("identifier", "customer", "connection", "level", "subscription_state")
    list_select_related = ("customer", "connection")
    search_fields = ("identifier", "customer__name", "connection__name")
    search_help_text = _("Identifier, customer or connection")
    readonly_fields = ("hook_address", "subscription")

    def audited_customers(self, obj: AddressingLine) -> list[Customer]:
        return [obj.customer]

    def declared(self, obj: AddressingLine) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
        cls = find_adapter_class(obj.connection.kind)
        return (cls.line_setting_fields, cls.line_secret_fields) if cls else ((), ())

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        where = ["customer", "identifier", "connection"]
        if obj is None:
            return [(None, {"fields": where})]
        return [(None, {"fields": [*where, "hook_address", "subscription"]}), *self.account_groups(request, obj)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The fields follow from the connection: another one means another line."""
        shown = super().get_readonly_fields(request, obj)
        return (*shown, "customer", "connection") if obj else shown

    @admin.display(description=_("level"))
    def level(self, line: AddressingLine) -> str:
        return line.level

    @admin.display(description=_("address the platform pushes to"))
    def hook_address(self, line: AddressingLine) -> str:
        hook = line.connection.hooks.filter(closed_at=None, line_identifier=line.identifier).first()
        return format_html('<code class="copyable">{}</code>', hook.url) if hook else "–"

    def save_model(self, request: HttpRequest, obj: AddressingLine, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        platforms.forget_hooks()
        if not change:
            open_line_hook(obj)
            show_new_secrets(self, request, obj)
        platforms.follow_connection_data(connection=obj.connection, line=as_line(obj))
        address = parse_address(obj.identifier)
        if address and address.looks_like_another_siret:
            text = gettext("%(line)s ends in 14 digits that are no SIRET of this SIREN: they are taken for a suffix.")
            self.message_user(request, text % {"line": obj}, messages.WARNING)

    def delete_model(self, request: HttpRequest, obj: AddressingLine) -> None:
        platforms.leave_line(connection=obj.connection, line_identifier=obj.identifier)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[AddressingLine]) -> None:
        for line in queryset:
            self.delete_model(request, line)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        settings, secrets = self.declared(obj)
        if not settings and not secrets:
            return super().response_add(request, obj, post_url_continue)
        text = gettext("Addressing line %(line)s is made. Fill in what its platform needs.") % {"line": obj}
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:invoices_addressingline_change", args=[obj.pk]))


def new_line_secrets(line: AddressingLine) -> Mapping[str, str]:
    """What a new line begins with, kept sealed."""
    cls = find_adapter_class(line.connection.kind)
    if made := cls.new_line_secrets() if cls else {}:
        line.secrets = Secrets({**line.secrets, **made})
        line.save(update_fields=["secrets"])
    return made


def show_new_secrets(model_admin: admin.ModelAdmin, request: HttpRequest, line: AddressingLine) -> None:
    if made := new_line_secrets(line):
        rows = format_html_join("", '<li>{}: <code class="copyable">{}</code></li>', made.items())
        text = gettext("Secrets of {line}, shown this once only. Give them to the platform.")
        model_admin.message_user(request, format_html("{}<ul>{}</ul>", format_html(text, line=line), rows))


def open_line_hook(line: AddressingLine) -> None:
    """The address of a line, where the platform pushes to one per line."""
    cls = find_adapter_class(line.connection.kind)
    if cls and cls.hook_per_line:
        platforms.open_hook(connection=line.connection, line_identifier=line.identifier)


# --- connections ------------------------------------------------------------------------------------------------------


@admin.register(Connection)
class ScopedConnectionAdmin(Audited, Scoped, ConnectionAdmin):
    audit_action = audit.Action.CONNECTION_CHANGED

    def audited_customers(self, obj: Connection) -> QuerySet[Customer]:
        return audit.customers_on(obj)

    def scope(self, user: Any) -> Q:
        """A connection shared with customers of others is theirs too: a superuser sees to it."""
        return Q(pk__in=wholly_administered_connections(user).values("pk"))

    def choices_for(self, request: HttpRequest) -> QuerySet[Connection]:
        """A line can be added to a shared connection, too."""
        return connections_of(request.user)


@admin.register(RefusedRequest)
class ScopedRefusedRequestAdmin(OfConnection, RefusedRequestAdmin):
    pass


# --- invoices ---------------------------------------------------------------------------------------------------------


class DocumentInline(ReadOnlyRows):
    model = InvoiceDocument
    fields = readonly_fields = ("kind", "filename", "media_type", "size", "sha256", "received_at")


class CommentInline(ReadOnlyRows):
    model = Comment
    fields = readonly_fields = ("created_at", "author", "text")


class InvoiceAdmin(OfCustomer, ReadOnly, LargeTable):
    """Registered by `lifecycle.admin`, which adds the history, the search and the decisions."""

    role = Role.READER
    list_display = (
        "number", "direction", "status_text", "seller_name", "buyer_name", "owed", "issue_date", "customer",
        "created_at",
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": (
            "number", "direction", "status_text", "status_at", "type_words", "frame_words", "customer_name",
        )}),
        (_("Dates and amounts"), {"fields": (
            "issue_date", "due_date", "without_vat", "vat", "with_vat", "due", "vat_words",
        )}),
        (_("Parties"), {"fields": (
            "seller_name", "seller_siren", "seller_vat_number", "buyer_name", "buyer_siren", "buyer_vat_number",
        )}),
        (_("Platform"), {"fields": (
            "connection_name", "line_identifier", "provider_ref", "further_origins", "created_at", "updated_at",
        )}),
        (_("Document"), {"fields": ("document_state", "document_error", "warning_words", "preceding_words")}),
        (_("Work"), {"fields": ("assignee", "version")}),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invoice]:
        rows = super().get_queryset(request).select_related("customer", "connection", "addressing_line", "assigned_to")
        return rows.defer("search")

    @admin.display(description=_("status"))
    def status_text(self, invoice: Invoice) -> str:
        return f"{invoice.status} {invoice.status_label}" if invoice.status else "–"

    @admin.display(description=_("type"))
    def type_words(self, invoice: Invoice) -> str:
        return f"{invoice.type_code} {label(DOCUMENT_TYPES, invoice.type_code)}" if invoice.type_code else "–"

    @admin.display(description=_("billing frame"))
    def frame_words(self, invoice: Invoice) -> str:
        return frame_label(invoice.process) or "–"

    @admin.display(description=_("total without VAT"))
    def without_vat(self, invoice: Invoice) -> str:
        return as_money(invoice.total_without_vat, invoice.currency) or "–"

    @admin.display(description=_("total VAT"))
    def vat(self, invoice: Invoice) -> str:
        return as_money(invoice.total_vat, invoice.currency) or "–"

    @admin.display(description=_("total with VAT"))
    def with_vat(self, invoice: Invoice) -> str:
        return as_money(invoice.total_with_vat, invoice.currency) or "–"

    @admin.display(description=_("Amount"))
    def owed(self, invoice: Invoice) -> str:
        """As it counts: negative for a credit note, however it is written."""
        return as_money(invoice.debt, invoice.currency) or "–"

    @admin.display(description=_("Also through"))
    def further_origins(self, invoice: Invoice) -> str:
        rows = invoice.other_origins.select_related("connection")
        return ", ".join(f"{row.connection.name} ({row.provider_ref})" for row in rows) or "–"

    @admin.display(description=_("amount due"))
    def due(self, invoice: Invoice) -> str:
        return as_money(invoice.amount_due, invoice.currency) or "–"

    @admin.display(description=_("warnings"))
    def warning_words(self, invoice: Invoice) -> str:
        rows = format_html_join("", "<li>{}</li>", ((warning,) for warning in invoice.shown_warnings))
        return format_html('<ul class="plain">{}</ul>', rows) if rows else "–"

    @admin.display(description=_("earlier invoices"))
    def preceding_words(self, invoice: Invoice) -> str:
        return ", ".join(map(str, invoice.preceding_numbers)) or "–"

    # As words: a link to what only administrators may open would end in a refusal.

    @admin.display(description=_("customer"))
    def customer_name(self, invoice: Invoice) -> str:
        return str(invoice.customer)

    @admin.display(description=_("connection"))
    def connection_name(self, invoice: Invoice) -> str:
        return f"{invoice.connection.platform_label} – {invoice.connection.name}"

    @admin.display(description=_("addressing line"))
    def line_identifier(self, invoice: Invoice) -> str:
        return str(invoice.addressing_line or "–")

    @admin.display(description=_("assigned to"))
    def assignee(self, invoice: Invoice) -> str:
        return str(invoice.assigned_to or "–")
