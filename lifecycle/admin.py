"""Invoices, their history, relays and deliveries in the admin.

All rows are read-only. Decisions and actions go through the same services as the pages and the API, which ask for the
user's role for the customer once more. Whoever works for a customer sees here what the desk shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast
from uuid import uuid4

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import display_for_value, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from invoices.admin import CommentInline, DocumentInline, InvoiceAdmin, OfConnection, OfCustomer
from invoices.models import Invoice
from invoices.models import Role as UserRole
from invoices.people.access import connections_of, deliveries_of, highest_role
from invoices.people.scoped_admin import PlainNames, name_of
from lifecycle.decisions import bulk, services, steps
from lifecycle.decisions.forms import BulkDecisionForm, DecisionForm
from lifecycle.decisions.services import DecisionRefused, StaleInvoice, WrongRelayState
from lifecycle.decisions.steps import Step
from lifecycle.decisions.wishes import Wish
from lifecycle.history.recognition import whole
from lifecycle.inbox import deliveries
from lifecycle.lists.queries import NEEDS_PERSON, prefix_search
from lifecycle.outbox.actions import ACTIONS
from providers.admin import ConnectionFilter, LargeTable, ReadOnly, ReadOnlyRows, WebhookDeliveryAdmin
from providers.models import Connection, WebhookDelivery
from providers.norm import transitions
from providers.norm.codes import INVOICE_STATUSES, STATUSES, Status, status_label

from . import admin_words
from .admin_words import event_label, surprise
from .models import ADDITIONS, PurgedInvoice, RelayAttempt, RelayState, RelayTask, StatusEvent
from .templatetags.navette import decision_verb

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


class EventWords:
    """An event's codes and JSON in words."""

    @admin.display(description=_("status"))
    def status_text(self, event: StatusEvent) -> str:
        return event_label(event)

    @admin.display(description=_("issuer"))
    def issuer(self, event: StatusEvent) -> str:
        return admin_words.role_words(whole(event))

    @admin.display(description=_("reasons"))
    def reason_words(self, event: StatusEvent) -> str:
        return admin_words.reason_words(whole(event))

    @admin.display(description=_("payments"))
    def payment_words(self, event: StatusEvent) -> str:
        return admin_words.payment_words(whole(event))

    @admin.display(description=_("note"))
    def note_words(self, event: StatusEvent) -> str:
        return whole(event).note

    @admin.display(description=_("occurred at"))
    def moment(self, event: StatusEvent) -> str:
        return display_for_value(whole(event).occurred_at, "–")

    @admin.display(description=_("unexpected"))
    def surprise(self, event: StatusEvent) -> str:
        return surprise(event)


class EventInline(EventWords, ReadOnlyRows):
    model = StatusEvent
    fields = readonly_fields = (
        "sequence", "status_text", "issuer", "origin", "reason_words", "note_words", "payment_words",
        "moment", "surprise",
    )  # fmt: skip
    show_change_link = True
    ordering = ("sequence",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[StatusEvent]:
        return super().get_queryset(request).prefetch_related(ADDITIONS)


@admin.register(Invoice)
class InvoiceWithHistoryAdmin(InvoiceAdmin):
    """The change page and the list offer every status this person may issue (the list: with one common reason)."""

    list_filter = ("direction", StatusFilter, "document_state", ConnectionFilter)
    search_fields = ("search",)
    search_help_text = _("Number, SIREN or names; beginnings of words are enough")
    inlines = (EventInline, DocumentInline, CommentInline)
    actions = ("take_in_hand",)
    change_form_template = "admin/invoices/invoice/change_form.html"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        query = prefix_search(search_term)
        return (queryset.filter(search=query) if query else queryset), False

    def view_on_site(self, obj: Invoice) -> str:
        """The desk's own page, with the document and the decisions."""
        return reverse("lifecycle:invoice", args=[obj.pk])

    @admin.display(description=_("VAT breakdown"))
    def vat_words(self, invoice: Invoice) -> str:
        return admin_words.vat_words(invoice)

    # --- one invoice --------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.decide_view)
        own = path("<path:object_id>/decide/<str:status>/", view, name="invoices_invoice_decide")
        return [own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        invoice = self.get_object(request, unquote(object_id))
        codes = services.statuses_for(request.user, invoice) if invoice else ()
        decisions = [(code, decision_verb(code), STATUSES[code].final) for code in codes]
        remarks = admin_words.remarks_on(invoice) if invoice else []
        context = {**(extra_context or {}), "decisions": decisions, "remarks": remarks}
        return super().change_view(request, object_id, form_url, context)

    def decide_view(self, request: HttpRequest, object_id: str, status: str) -> HttpResponse:
        """Choose, preview, send, as in the desk's dialog."""
        invoice = self.get_object(request, unquote(object_id))
        if invoice is None or status not in STATUSES:
            raise Http404
        if not self.has_view_permission(request, invoice) or not services.may_issue(request.user, invoice, status):
            raise PermissionDenied
        if request.method == "POST":
            step = steps.take_step(request.user, invoice, status, request.POST)
        else:
            step = steps.open_step(invoice, status)
        if step.relay:
            self.log_change(request, invoice, step.relay.label)
            self.message_user(request, steps.words_for(step.relay), messages.SUCCESS)
        elif step.is_stale:
            words = gettext("“%(status)s” was not recorded: %(invoice)s changed meanwhile. Its history is below.")
            shown = {"status": f"{status} {status_label(status)}", "invoice": invoice}
            self.message_user(request, words % shown, messages.ERROR)
        else:
            return self._decision_page(request, invoice, step)
        return HttpResponseRedirect(reverse("admin:invoices_invoice_change", args=[invoice.pk]))

    def _decision_page(self, request: HttpRequest, invoice: Invoice, step: Step) -> HttpResponse:
        form = cast("DecisionForm", step.form)
        context = {
            **self.admin_site.each_context(request),
            **steps.shown_facts(invoice, form),
            "title": f"{decision_verb(form.info.code)} – {invoice}",
            "invoice": invoice,
            "form": form,
            "wish": step.wish,
            "remarks": admin_words.remarks_on(invoice),
            "doubts": step.doubts,
            "opts": self.opts,
        }
        template = "admin/invoices/invoice/decide.html"
        return TemplateResponse(request, template, context, status=step.code)

    # --- many ---------------------------------------------------------------------------------------------------------

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """One for each status that somebody may issue here; whether it fits an invoice is asked of each."""
        actions: dict[str, Any] = super().get_actions(request)
        if not self.has_decide_permission(request):
            return actions
        held = highest_role(request.user)
        for code, least in transitions.MINIMUM_ROLE.items():
            if held and held.rank >= UserRole(least).rank and code != Status.IN_HAND:
                name = f"decide_{code}"
                words = gettext("%(decision)s selected invoices (%(status)s)…")
                title = words % {"decision": decision_verb(code), "status": code}
                actions[name] = (partial(_decide_selected, status=code), name, title)
        return actions

    @admin.action(description=_("Take selected invoices in hand (204)"), permissions=["decide"])
    def take_in_hand(self, request: HttpRequest, queryset: QuerySet[Invoice]) -> HttpResponse | None:
        """At once, unless a platform does not take it: that is said before."""
        planned = bulk.plan(request.user, queryset, Wish(status=Status.IN_HAND.value))
        if "step" in request.POST or any(row.by_hand for row in planned):
            return self.decide_selected(request, queryset, Status.IN_HAND.value)
        self.report(request, bulk.decide(request.user, planned))
        return None

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("lifecycle.add_statusevent")

    def decide_selected(self, request: HttpRequest, queryset: QuerySet[Invoice], status: str) -> HttpResponse | None:
        """The intermediate page: one reason and one note for all, what would be said of each, what became of it."""
        step = request.POST.get("step", "")
        form = BulkDecisionForm(request.POST if step else None, status=status, initial={"key": uuid4()})
        wish = form.wish() if step and form.is_valid() else None
        seen = {key: int(value) for key, value in self._versions(request) if value.isdecimal()} if step else {}
        rows = bulk.plan(request.user, queryset[: bulk.LIMIT], wish or Wish(status=status), seen)
        if wish and step == "send" and form.check_confirmed():
            self.report(request, bulk.decide(request.user, rows, key=str(form.cleaned_data["key"])))
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": f"{decision_verb(status)} – {status} {status_label(status)}",
            "form": form,
            "info": form.info,
            "wish": wish,
            "rows": rows if wish or form.info.reason != "required" else [],
            "invoices": [row.invoice for row in rows],
            "possible": sum(not row.problem for row in rows),
            "left_out": max(0, len(request.POST.getlist(ACTION_CHECKBOX_NAME)) - bulk.LIMIT),
            "action": request.POST["action"],
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/invoices/invoice/decide_selected.html", context)

    def _versions(self, request: HttpRequest) -> list[tuple[str, str]]:
        pairs = [text.partition(":") for text in request.POST.getlist("version")]
        return [(key, value) for key, _colon, value in pairs]

    def report(self, request: HttpRequest, rows: list[bulk.Row]) -> None:
        """What became of each; those that were refused first."""
        for row in sorted(rows, key=lambda row: not row.problem):
            if row.relay:
                self.log_change(request, row.invoice, row.relay.label)
            level = messages.ERROR if row.problem else messages.SUCCESS
            self.message_user(request, f"{row.invoice}: {row.words}", level)


def _decide_selected(
    model_admin: InvoiceWithHistoryAdmin, request: HttpRequest, queryset: QuerySet[Invoice], *, status: str
) -> HttpResponse | None:
    return model_admin.decide_selected(request, queryset, status)


# --- history ----------------------------------------------------------------------------------------------------------


@admin.register(StatusEvent)
class StatusEventAdmin(EventWords, PlainNames, OfCustomer, ReadOnly, LargeTable):
    """The history grows without bound and is read by invoice: nothing is listed before a search."""

    customer_path = "invoice__customer"
    role = UserRole.READER
    list_display = (
        "invoice", "sequence", "status_text", "issuer", "origin", "surprise", "actor", "occurred_at", "recorded_at",
    )  # fmt: skip
    list_filter = ("origin", "unexpected")
    search_fields = ("invoice",)
    search_help_text = _("Search an invoice by number, SIREN or name to see its history")
    fields = (
        "id", "invoice", "sequence", "status_text", "native_status", "issuer", "origin", "reason_words", "note_words",
        "payment_words", "moment", "time_source", "told_time", "derived", "recorded_at", "surprise", "emitter",
        "ppf_duty", "actor", "source_key", "previous_hash", "hash",
    )  # fmt: skip
    plain_names = ("actor",)
    actor_name = name_of(StatusEvent, "actor")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StatusEvent]:
        return (
            super()
            .get_queryset(request)
            .select_related("invoice", "actor")
            .prefetch_related(ADDITIONS)
            .defer("invoice__search")
        )

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return queryset.filter(invoice__in=invoices_found(search_term).values("pk")), False


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


class AttemptInline(ReadOnlyRows):
    model = RelayAttempt
    fields = readonly_fields = (
        "started_at", "kind", "outcome", "status_code", "duration_ms", "message", "shown_answer",
    )  # fmt: skip

    @admin.display(description=_("answer"))
    def shown_answer(self, attempt: RelayAttempt) -> str:
        return format_html('<pre class="raw">{}</pre>', attempt.answer) if attempt.answer else "–"


@admin.register(RelayTask)
class RelayTaskAdmin(PlainNames, OfCustomer, ReadOnly, LargeTable):
    customer_path = "invoice__customer"
    role = UserRole.READER
    list_display = (
        "invoice", "status_text", "connection", "state", "attempts", "next_attempt_at", "deadline_at", "short_error",
        "created_at",
    )  # fmt: skip
    list_filter = (RelayStateFilter, ConnectionFilter)
    search_fields = ("invoice",)
    search_help_text = _("The invoice's number, SIREN or names, whatever the relay's state")
    inlines = (AttemptInline,)
    actions = ("release", "retry", "cancel", "say_arrived", "say_not_arrived")
    fields = (
        "id", "invoice", "status_text", "prepared_by", "connection", "state", "attempts", "look_ups", "next_attempt_at",
        "leased_until", "last_error", "receipt_words", "created_at", "sent_at", "confirmed_at", "deadline_at",
        "released_by",
    )  # fmt: skip
    plain_names = ("connection", "prepared_by", "released_by")
    connection_name = name_of(RelayTask, "connection")
    prepared_by_name = name_of(RelayTask, "prepared_by")
    released_by_name = name_of(RelayTask, "released_by")

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

    @admin.display(description=_("receipt"))
    def receipt_words(self, relay: RelayTask) -> str:
        return admin_words.receipt_words(relay)

    @admin.display(description=_("last error"))
    def short_error(self, relay: RelayTask) -> str:
        return relay.last_error[:120]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("lifecycle.change_relaytask")

    @admin.action(description=_("Release selected decisions, as the second person"), permissions=["operate"])
    def release(self, request: HttpRequest, queryset: QuerySet[RelayTask]) -> HttpResponse | None:
        return self._asked(request, queryset, "release", gettext("released."))

    @admin.action(description=_("Send selected failed relays again"), permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet[RelayTask]) -> None:
        done = gettext("sent again now.")
        act_on_each(self, request, queryset, lambda row: services.retry(user=request.user, relay_id=row.pk), done)

    @admin.action(description=_("Cancel selected relays"), permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[RelayTask]) -> HttpResponse | None:
        return self._asked(request, queryset, "give-up", gettext("cancelled; the decision does not count any more."))

    @admin.action(description=_("I looked: the platform shows it"), permissions=["operate"])
    def say_arrived(self, request: HttpRequest, queryset: QuerySet[RelayTask]) -> HttpResponse | None:
        return self._asked(request, queryset, "arrived", gettext("confirmed."))

    @admin.action(description=_("I looked: the platform does not show it, send it again"), permissions=["operate"])
    def say_not_arrived(self, request: HttpRequest, queryset: QuerySet[RelayTask]) -> HttpResponse | None:
        return self._asked(request, queryset, "again", gettext("sent again now."))

    def _asked(self, request: HttpRequest, queryset: QuerySet[RelayTask], name: str, done: str) -> HttpResponse | None:
        """What cannot be undone shows what it does and asks, before the services are."""
        action, why = ACTIONS[name], request.POST.get("why", "").strip()
        if "confirmed" not in request.POST or (action.asks_why and not why):
            context = {
                **self.admin_site.each_context(request),
                "title": action.label,
                "asked": action,
                "relays": queryset,
                "name": request.POST["action"],
                "is_incomplete": "confirmed" in request.POST,
                "opts": self.opts,
            }
            return TemplateResponse(request, "admin/lifecycle/relaytask/ask.html", context)
        given = {"why": why} if action.asks_why else {}
        act_on_each(self, request, queryset, lambda row: action.run(user=request.user, relay_id=row.pk, **given), done)
        return None


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

    def scope(self, user: Any) -> Q:
        return Q(pk__in=deliveries_of(user).values("pk"))

    def connections_seen(self, user: Any) -> QuerySet[Connection]:
        return connections_of(user)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("providers.change_webhookdelivery")

    @admin.action(description=_("Replay selected deliveries"), permissions=["operate"])
    def replay(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        done = gettext("replayed; the worker takes it up now.")
        act_on_each(self, request, queryset, lambda row: deliveries.replay(user=request.user, delivery_id=row.pk), done)
