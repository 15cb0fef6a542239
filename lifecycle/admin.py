"""History, relays and deliveries in the admin. All of it is read-only; the actions go through the same services as the
pages and the API, which check the user's role for the customer once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from invoices.admin import CommentInline, DocumentInline, InvoiceAdmin, OfConnection, OfCustomer
from invoices.models import Invoice
from providers.admin import ConnectionFilter, LargeTable, ReadOnly, WebhookDeliveryAdmin
from providers.models import WebhookDelivery

from . import inbox, services
from .codes import INVOICE_STATUSES, Status, status_label
from .models import PurgedInvoice, RelayAttempt, RelayState, RelayTask, StatusEvent
from .queries import NEEDS_PERSON, prefix_search
from .services import DecisionRefused, StaleInvoice, Wish, WrongRelayState

REFUSALS = (PermissionDenied, DecisionRefused, StaleInvoice, WrongRelayState)


def act_on_each(
    model_admin: admin.ModelAdmin, request: HttpRequest, rows: QuerySet[Any], act: Callable[[Any], Any], done: str
) -> None:
    """Ask a service for each row, and say of each what became of it. One refusal does not stop the others."""
    for row in rows:
        try:
            act(row)
        except REFUSALS as refusal:
            model_admin.message_user(request, f"{row}: {refusal}", messages.ERROR)
        else:
            model_admin.log_change(request, row, done)
            model_admin.message_user(request, f"{row}: {done}", messages.SUCCESS)


def invoices_found(term: str) -> QuerySet[Invoice]:
    query = prefix_search(term)
    return Invoice.objects.filter(search=query) if query else Invoice.objects.none()


# --- invoices ---------------------------------------------------------------------------------------------------------


class StatusFilter(admin.SimpleListFilter):
    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(code, f"{code} {status_label(code)}") for code in INVOICE_STATUSES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status=self.value()) if self.value() else queryset


class EventInline(ReadOnly, admin.TabularInline):
    model = StatusEvent
    fields = readonly_fields = (
        "sequence", "label", "issuer_role", "origin", "reasons", "note", "payments", "occurred_at", "surprise",
    )  # fmt: skip
    show_change_link = True
    ordering = ("sequence",)

    @admin.display(description=_("status"))
    def label(self, event: StatusEvent) -> str:
        return event_label(event)

    @admin.display(description=_("unexpected"))
    def surprise(self, event: StatusEvent) -> str:
        return surprise(event)


def event_label(event: StatusEvent) -> str:
    return f"{event.status} {event.label}" if event.status else event.label


def surprise(event: StatusEvent) -> str:
    """In words: the admin's green tick would praise what breaks the table."""
    return gettext("against the table") if event.unexpected else ""


@admin.register(Invoice)
class InvoiceWithHistoryAdmin(InvoiceAdmin):
    list_filter = ("direction", StatusFilter, "document_state", ConnectionFilter)
    search_fields = ("search",)
    search_help_text = _("Number, SIREN or names; beginnings of words are enough")
    inlines = (EventInline, DocumentInline, CommentInline)
    actions = ("take_in_hand",)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        query = prefix_search(search_term)
        return (queryset.filter(search=query) if query else queryset), False

    def view_on_site(self, obj: Invoice) -> str:
        """The desk's own page, with the document and the decisions."""
        return reverse("lifecycle:invoice", args=[obj.pk])

    @admin.action(description=_("Take selected invoices in hand (204)"), permissions=["decide"])
    def take_in_hand(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> None:
        wish = Wish(status=Status.IN_HAND.value)
        done = gettext("taken in hand; the platform is told.")

        def decide(invoice: Invoice) -> None:
            services.issue_status(user=request.user, invoice_id=invoice.pk, wish=wish)

        act_on_each(self, request, queryset, decide, done)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("lifecycle.add_statusevent")


# --- history ----------------------------------------------------------------------------------------------------------


@admin.register(StatusEvent)
class StatusEventAdmin(OfCustomer, ReadOnly, LargeTable):
    """The history grows without bound and is read by invoice: nothing is listed before a search."""

    customer_path = "invoice__customer"
    list_display = (
        "invoice", "sequence", "status_text", "issuer_role", "origin", "surprise", "actor", "occurred_at",
        "recorded_at",
    )  # fmt: skip
    list_filter = ("origin", "unexpected")
    search_fields = ("invoice",)
    search_help_text = _("Search an invoice by number, SIREN or name to see its history")
    fields = (
        "id", "invoice", "sequence", "status_text", "native_status", "issuer_role", "origin", "reasons", "note",
        "payments", "occurred_at", "recorded_at", "surprise", "emitter", "ppf_duty", "actor", "source_key",
        "previous_hash", "hash",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[StatusEvent]:
        return super().get_queryset(request).select_related("invoice", "actor").defer("invoice__search")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return queryset.filter(invoice__in=invoices_found(search_term).values("pk")), False

    @admin.display(description=_("status"))
    def status_text(self, event: StatusEvent) -> str:
        return event_label(event)

    @admin.display(description=_("unexpected"))
    def surprise(self, event: StatusEvent) -> str:
        return surprise(event)


# --- relays -----------------------------------------------------------------------------------------------------------


class RelayStateFilter(admin.SimpleListFilter):
    """One state at a time, as the index wants; without a choice those that wait for somebody."""

    title = _("state")
    parameter_name = "state"
    waiting = (*NEEDS_PERSON, RelayState.AWAITING_APPROVAL)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in RelayState.choices]

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": _("Waiting for somebody")}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value():
            return queryset.filter(state=self.value())
        return queryset if request.GET.get("q") else queryset.filter(state__in=self.waiting)


class AttemptInline(ReadOnly, admin.TabularInline):
    model = RelayAttempt
    fields = readonly_fields = (
        "started_at", "kind", "outcome", "status_code", "duration_ms", "message", "shown_answer",
    )  # fmt: skip

    @admin.display(description=_("answer"))
    def shown_answer(self, attempt: RelayAttempt) -> str:
        return format_html('<pre class="raw">{}</pre>', attempt.answer) if attempt.answer else "–"


@admin.register(RelayTask)
class RelayTaskAdmin(OfCustomer, ReadOnly, LargeTable):
    customer_path = "invoice__customer"
    list_display = (
        "invoice", "status_text", "connection", "state", "attempts", "next_attempt_at", "deadline_at", "short_error",
        "created_at",
    )  # fmt: skip
    list_filter = (RelayStateFilter, ConnectionFilter)
    search_fields = ("invoice",)
    search_help_text = _("The invoice's number, SIREN or names, whatever the relay's state")
    inlines = (AttemptInline,)
    actions = ("retry", "cancel", "say_arrived", "say_not_arrived")
    fields = (
        "id", "invoice", "status_text", "prepared_by", "connection", "state", "attempts", "look_ups", "next_attempt_at",
        "leased_until", "last_error", "receipt", "created_at", "sent_at", "confirmed_at", "deadline_at", "released_by",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[RelayTask]:
        rows = (
            super().get_queryset(request).select_related("event", "invoice", "connection", "released_by", "prepared_by")
        )
        return rows.defer("invoice__search").prefetch_related("event__invoice")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        if not search_term.strip():
            return queryset, False
        return queryset.filter(invoice__in=invoices_found(search_term).values("pk")), False

    @admin.display(description=_("status"))
    def status_text(self, relay: RelayTask) -> str:
        return relay.label

    @admin.display(description=_("last error"))
    def short_error(self, relay: RelayTask) -> str:
        return relay.last_error[:120]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("lifecycle.change_relaytask")

    @admin.action(description=_("Send selected failed relays again"), permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet[RelayTask]) -> None:
        done = gettext("sent again now.")
        act_on_each(self, request, queryset, lambda row: services.retry(user=request.user, relay_id=row.pk), done)

    @admin.action(description=_("Cancel selected relays"), permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[RelayTask]) -> None:
        done = gettext("cancelled; the decision does not count any more.")
        act_on_each(self, request, queryset, lambda row: services.cancel(user=request.user, relay_id=row.pk), done)

    @admin.action(description=_("I looked: the platform shows it"), permissions=["operate"])
    def say_arrived(self, request: HttpRequest, queryset: QuerySet[RelayTask]) -> None:
        self._resolve(request, queryset, arrived=True, done=gettext("confirmed."))

    @admin.action(description=_("I looked: the platform does not show it, send it again"), permissions=["operate"])
    def say_not_arrived(self, request: HttpRequest, queryset: QuerySet[RelayTask]) -> None:
        self._resolve(request, queryset, arrived=False, done=gettext("sent again now."))

    def _resolve(self, request: HttpRequest, queryset: QuerySet[RelayTask], *, arrived: bool, done: str) -> None:
        def resolve(row: RelayTask) -> None:
            services.resolve(user=request.user, relay_id=row.pk, arrived=arrived)

        act_on_each(self, request, queryset, resolve, done)


# --- what was purged --------------------------------------------------------------------------------------------------


@admin.register(PurgedInvoice)
class PurgedInvoiceAdmin(OfCustomer, ReadOnly, LargeTable):
    list_display = ("number", "customer", "direction", "issue_date", "kept_until", "events", "purged_at")
    list_select_related = ("customer",)
    search_fields = ("number",)
    fields = (
        "id", "customer", "number", "direction", "issue_date", "kept_until", "events", "last_hash", "documents",
        "purged_at",
    )  # fmt: skip


# --- deliveries -------------------------------------------------------------------------------------------------------


@admin.register(WebhookDelivery)
class ReplayableDeliveryAdmin(OfConnection, WebhookDeliveryAdmin):
    actions = ("replay",)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("providers.change_webhookdelivery")

    @admin.action(description=_("Replay selected deliveries"), permissions=["operate"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        done = gettext("replayed; the worker takes it up now.")
        act_on_each(self, request, queryset, lambda row: inbox.replay(user=request.user, delivery_id=row.pk), done)
