"""Customers, people, connections and invoices in the admin.

Whoever works for a customer sees its invoices here; who administers it, also what is set up for it.
"""

from __future__ import annotations

from typing import Any

# From their admin, so that they are registered by the time they are replaced here.
from allauth.mfa.admin import Authenticator
from allauth.socialaccount.admin import SocialApp, SocialToken
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_q.admin import Failure, OrmQ, Schedule, Success

from providers import services as platforms
from providers.admin import AccountAdmin, ConnectionAdmin, LargeTable, ReadOnly, ReadOnlyRows, RefusedRequestAdmin
from providers.base import Field
from providers.models import Connection, RefusedRequest
from providers.registry import as_line, find_adapter_class

from .access import customers_of
from .addressing import parse_address
from .directory import DirectoryLookUp
from .documents.labels import DOCUMENT_TYPES, frame_label, label
from .documents.wording import as_money
from .forms import AddressingLineForm, CustomerForm, NewAddressingLineForm
from .line_actions import LineActions
from .models import AddressingLine, ApiToken, Comment, Customer, Invoice, InvoiceDocument, Membership, Role
from .staff import match_memberships


def administered(user: Any) -> QuerySet[Customer]:
    return customers_of(user, Role.ADMINISTRATOR)


def connections_of(user: Any, role: str = Role.ADMINISTRATOR) -> QuerySet[Connection]:
    """The connections that serve a customer for whom this user has the role."""
    if user.is_superuser:
        return Connection.objects.all()
    lines = AddressingLine.objects.filter(customer__in=customers_of(user, role).values("pk"))
    return Connection.objects.filter(pk__in=lines.values("connection"))


class ScopedChoices:
    """A choice of another row offers what that row's own admin shows this user."""

    admin_site: Any

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        model = db_field.remote_field.model
        if self.admin_site.is_registered(model):
            kwargs["queryset"] = self.admin_site.get_model_admin(model).get_queryset(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]


class Scoped(ScopedChoices):
    """Superusers see every row; other staff those of `scope`."""

    def scope(self, user: Any) -> Q:
        raise NotImplementedError

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)  # type: ignore[misc]
        return rows if request.user.is_superuser else rows.filter(self.scope(request.user))


class OfCustomer(Scoped):
    """Rows with a `customer`, or one at `customer_path`, for whoever has `role` there."""

    customer_path = "customer"
    role = Role.ADMINISTRATOR

    def scope(self, user: Any) -> Q:
        return Q(**{f"{self.customer_path}__in": customers_of(user, self.role).values("pk")})

    def connections_seen(self, user: Any) -> QuerySet[Connection]:
        return connections_of(user, self.role)


class OfConnection(Scoped):
    """Rows with a `connection`."""

    def scope(self, user: Any) -> Q:
        return Q(connection__in=connections_of(user).values("pk"))

    def connections_seen(self, user: Any) -> QuerySet[Connection]:
        return connections_of(user)


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

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        if formset.model is AddressingLine:
            for line in formset.new_objects:
                open_line_hook(line)
        elif formset.model is Membership:
            touched = [*formset.new_objects, *(each for each, _fields in formset.changed_objects)]
            for membership in [*touched, *formset.deleted_objects]:
                match_memberships(membership.user)


@admin.register(AddressingLine)
class AddressingLineAdmin(OfCustomer, DirectoryLookUp, LineActions, AccountAdmin):
    new_form, account_form = NewAddressingLineForm, AddressingLineForm
    list_display = ("identifier", "customer", "connection", "level", "subscription_state")
    list_select_related = ("customer", "connection")
    search_fields = ("identifier", "customer__name", "connection__name")
    search_help_text = _("Identifier, customer or connection")
    readonly_fields = ("hook_address", "subscription")

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
        return (*self.readonly_fields, "customer", "connection") if obj else self.readonly_fields

    @admin.display(description=_("level"))
    def level(self, line: AddressingLine) -> str:
        return line.level

    @admin.display(description=_("address the platform pushes to"))
    def hook_address(self, line: AddressingLine) -> str:
        hooks = line.connection.hooks.filter(closed_at=None, line_identifier__in=("", line.identifier))
        hook = hooks.order_by("-line_identifier").first()
        return format_html('<code class="copyable">{}</code>', hook.url) if hook else "–"

    def save_model(self, request: HttpRequest, obj: AddressingLine, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        platforms.forget_hooks()
        if not change:
            open_line_hook(obj)
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


def open_line_hook(line: AddressingLine) -> None:
    """The address of a line, where the platform pushes to one per line."""
    cls = find_adapter_class(line.connection.kind)
    if cls and cls.hook_per_line:
        platforms.open_hook(connection=line.connection, line_identifier=line.identifier)


# --- connections ------------------------------------------------------------------------------------------------------


@admin.register(Connection)
class ScopedConnectionAdmin(Scoped, ConnectionAdmin):
    def scope(self, user: Any) -> Q:
        return Q(pk__in=connections_of(user).values("pk"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A connection shared with customers of others is theirs too: a superuser changes it."""
        if not super().has_change_permission(request, obj):
            return False
        if obj is None or request.user.is_superuser:
            return True
        own = administered(request.user).values("pk")
        return not obj.addressing_lines.exclude(customer__in=own).exists()


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


# --- people -----------------------------------------------------------------------------------------------------------


class NeedsMembership(BaseInlineFormSet):
    """Whoever is no superuser makes users of the own customers only."""

    request_user: Any

    def clean(self) -> None:
        super().clean()
        if not self.is_bound or self.request_user.is_superuser or any(self.errors):
            return
        kept = [form for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        if not kept:
            self._non_form_errors.append(gettext("Give the user a role for one of your customers."))  # type: ignore[attr-defined]


class UserMembershipInline(OfCustomer, admin.StackedInline):
    model = Membership
    extra = 0
    fields = ("customer", "role")
    formset = NeedsMembership

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset: Any = super().get_formset(request, obj, **kwargs)
        formset.request_user = request.user
        return formset


class ApiTokenInline(admin.StackedInline):
    model = ApiToken
    extra = 0
    fields = readonly_fields = ("ends_with", "created_at", "last_used_at")
    verbose_name_plural = _("API tokens (delete one to revoke it)")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # by the action, which shows it once

    @admin.display(description=_("ends with"))
    def ends_with(self, token: ApiToken) -> str:
        return f"…{token.hint}"


admin.site.unregister(User)


@admin.register(User)
class UserAdmin(Scoped, DjangoUserAdmin):
    list_display = ("username", "first_name", "last_name", "email", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    filter_horizontal = ()  # its script marks up help that no screen reader is told
    inlines = (UserMembershipInline, ApiTokenInline)
    actions = ("create_token",)
    # Without the fields that would let an administrator of a customer become one of all.
    staff_fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Personal info"), {"fields": ("first_name", "last_name", "email")}),
        (_("Permissions"), {"fields": ("is_active",)}),
        (_("Important dates"), {"fields": ("last_login", "date_joined")}),
    )

    def scope(self, user: Any) -> Q:
        own = Membership.objects.filter(customer__in=administered(user).values("pk"))
        return Q(pk__in=own.values("user")) | Q(pk=user.pk)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not superusers, nor people who also work for customers of others: a new password opens those too."""
        if not super().has_change_permission(request, obj):
            return False
        if obj is None or request.user.is_superuser:
            return True
        own = administered(request.user).values("pk")
        return not obj.is_superuser and not obj.memberships.exclude(customer__in=own).exists()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or request.user.is_superuser:
            return super().get_fieldsets(request, obj)
        return self.staff_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("last_login", "date_joined")

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj else (UserMembershipInline,)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        match_memberships(form.instance)

    @admin.action(description=_("Create an API token for each selected user"), permissions=["create_token"])
    def create_token(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            if not self.has_change_permission(request, user):
                words = gettext("%(user)s: you may not change this user.") % {"user": user}
                self.message_user(request, words, messages.ERROR)
                continue
            secret = ApiToken.new_token()
            ApiToken.objects.create(user=user, digest=ApiToken.digest_of(secret), hint=secret[-4:])
            self.log_change(request, user, [{"added": {"name": gettext("API token"), "object": f"…{secret[-4:]}"}}])
            text = gettext("API token of {user}, shown this once only: {token}")
            shown = format_html('<code class="copyable">{}</code>', secret)
            self.message_user(request, format_html(text, user=user, token=shown), messages.SUCCESS)

    def has_create_token_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("invoices.add_apitoken")


# The worker's own tables: what a person does there would run as code.
for queued in (Failure, OrmQ, Schedule, Success):
    if admin.site.is_registered(queued):
        admin.site.unregister(queued)

# Single sign-on is set up by the environment; these pages would show its secret and tokens.
admin.site.unregister([SocialApp, SocialToken])
admin.site.unregister(Authenticator)


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnly, admin.ModelAdmin):
    """A lost second factor is deleted here; what it holds is never shown."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    fields = list_display

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("mfa.delete_authenticator")
