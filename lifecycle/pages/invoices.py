"""The list of invoices and the page of one."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from invoices.drafting import prefill
from invoices.models import Direction, Invoice, Role
from invoices.models.money import gives_back
from invoices.people.access import invoices_of
from invoices.register.origins import with_twins
from lifecycle.decisions import carrying, services
from lifecycle.decisions.forms import AssignForm, CommentForm, InvoiceFilterForm
from lifecycle.decisions.settlement import RateLeft, settlement_of
from lifecycle.history import answers, rejections
from lifecycle.history.events import shown_events
from lifecycle.history.links import Link, links_of
from lifecycle.lists import queries
from lifecycle.models import RelayTask
from lifecycle.outbox.actions import with_actions
from lifecycle.outbox.submissions import submission_of
from providers.norm import transitions
from providers.norm.codes import STATUSES, VOID_STATUSES, Status, status_label

from .documents import document_key, document_piece
from .page import DeskRequest, digest, done, page, piece
from .questions import Question, ask, is_confirmed


@page
@require_GET
def invoice_list(request: DeskRequest) -> HttpResponse:
    form = InvoiceFilterForm(request.GET, desk=request.desk)
    found = queries.KeysetPage([], "")
    if form.is_valid():
        found = queries.keyset_page(filtered(request, form), "created_at", request.GET.get("after", ""))
        queries.with_relay_states(found.rows)
        with_twins(found.rows)
    context = {"form": form, "found": found, "lane": queries.LANES_BY_NAME.get(request.GET.get("lane", ""))}
    return render(request, "lifecycle/invoice_list.html", context)


def filtered(request: DeskRequest, form: InvoiceFilterForm) -> QuerySet[Invoice]:
    """The invoices of the person's customers that a valid form asks for."""
    wanted = form.cleaned_data
    ids = [each.pk for each in request.desk.customers if wanted["customer"] in ("", each.siren)]
    return queries.filter_invoices(queries.of_customers(ids), wanted, request.user)


def visible_invoice(request: DeskRequest, invoice_id: UUID) -> Invoice:
    related = ("customer", "connection", "addressing_line", "assigned_to", "account_change__acknowledged_by")
    return get_object_or_404(invoices_of(request.user).select_related(*related), pk=invoice_id)


@page
@require_GET
def invoice(request: DeskRequest, invoice_id: UUID) -> HttpResponse:
    shown = visible_invoice(request, invoice_id)
    context = {
        "invoice": shown,
        "live": live_marker(shown, oob=False),
        "comment_form": CommentForm() if request.desk.may(shown.customer_id, Role.CLERK) else None,
        **pieces(request, shown),
        "document": document_piece(request, shown),
    }
    return render(request, "lifecycle/invoice.html", context)


@page
@require_GET
def invoice_document(request: DeskRequest, invoice_id: UUID) -> HttpResponse:
    """Another tab of the document, alone."""
    return HttpResponse(document_piece(request, visible_invoice(request, invoice_id)))


@page
@require_GET
def invoice_live(request: DeskRequest, invoice_id: UUID) -> HttpResponse:
    """What changed on an invoice's page since it was drawn; 204 if nothing did."""
    shown = visible_invoice(request, invoice_id)
    has_document = request.GET.get("document") == document_key(shown)
    if has_document and request.GET.get("seen") == fingerprint(shown):
        return HttpResponse(status=204)
    parts = [live_marker(shown, oob=True), *pieces(request, shown).values()]
    if not has_document:
        parts.append(document_piece(request, shown))  # in the tab the page says it shows
    return HttpResponse(SafeString("").join(parts))


def fingerprint(shown: Invoice) -> str:
    """Changes with everything the page shows; three cheap queries."""
    relays = RelayTask.objects.filter(invoice=shown).order_by("sequence")
    states = list(relays.values_list("state", "attempts", "look_ups", "next_attempt_at", "last_error"))
    talk = shown.comments.aggregate(count=Count("pk"), last=Max("pk"))
    return digest(shown.version, shown.updated_at, states, talk)


def live_marker(shown: Invoice, *, oob: bool) -> SafeString:
    """The element that asks again every two seconds; each answer brings its successor."""
    address = reverse("lifecycle:invoice_live", args=[shown.pk])
    return format_html(
        '<div id="live" hx-get="{}?seen={}&amp;document={}" hx-trigger="every 2s, refresh from:body"'
        ' hx-include="#document-tab, #document-lines" hx-swap="none"{}></div>',
        address,
        fingerprint(shown),
        document_key(shown),
        SafeString(' hx-swap-oob="true"') if oob else "",
    )


@dataclass(frozen=True)
class DecisionButton:
    code: str
    carried: bool
    is_final: bool
    tone: str
    title: str


def decision_buttons(request: DeskRequest, shown: Invoice) -> dict[str, list[DecisionButton]]:
    """What this person may say now: what the platform carries, and what stays to be done there by hand."""
    codes = services.statuses_for(request.user, shown)
    buttons = [
        DecisionButton(
            code=code,
            carried=carrying.can_carry(shown, code),
            is_final=STATUSES[code].final,
            tone=STATUSES[code].tone,
            title=str(STATUSES[code].definition),
        )
        for code in codes
    ]
    groups = {
        "carried": [button for button in buttons if button.carried],
        "by_hand": [button for button in buttons if not button.carried],
    }
    return groups if buttons else {}


def pieces(request: DeskRequest, shown: Invoice) -> dict[str, SafeString]:
    """The live regions of an invoice's page."""
    rows = shown.status_events.select_related("actor", "relay__released_by", "relay__event", "relay__connection")
    events = shown_events(shown, rows.prefetch_related("relay__tries", "sightings__connection"))[::-1]
    relays = [event.relay for event in events if hasattr(event, "relay")]
    submission = submission_of(shown) if shown.direction == Direction.ISSUED else None
    relays += [submission] if submission else []
    for relay in relays:
        relay.invoice = shown
    with_actions(request.desk, relays)
    others = rejections.of_others(rejections.said_events(shown))
    for event in events:
        event.about = rejections.subject_of(event, others)  # type: ignore[attr-defined]
    is_clerk = request.desk.may(shown.customer_id, Role.CLERK)
    links = links_of(shown)
    context = {
        "invoice": shown,
        "events": events,
        "submission": submission,
        "links": links,
        "settlement": settled(shown, links),
        "draft": shown.drafts.first() if submission and is_clerk else None,
        "followers": followers(shown) if is_clerk else [],
        "buttons": decision_buttons(request, shown),
        "kept_back": transitions.kept_back(services.facts_of(shown)),
        "has_seat": carrying.seat_of(shown) is not None,
        "is_clerk": is_clerk,
        "alerts": answers.alerts_of(shown),
        "may_reject": request.desk.may(shown.customer_id, Role.APPROVER),
        "role": request.desk.role_for(shown.customer_id),
        "assign_form": AssignForm(invoice=shown) if is_clerk else None,
        "comments": shown.comments.select_related("author"),
    }
    names = ("invoice_head", "invoice_decisions", "invoice_facts", "invoice_timeline", "invoice_comments")
    return {name: piece(request, name, context) for name in names}


def settled(shown: Invoice, links: list[Link]) -> list[RateLeft]:
    """What is left to receive or to pay, once anything was credited or declared."""
    if shown.status in (None, *VOID_STATUSES):
        return []
    rows = settlement_of(shown, Status.PAYMENT_RECEIVED.value, links)
    # A refund is the seller's word in both statuses: what it says it received, else what it says it sent.
    heard = any(row.settled for row in rows) if gives_back(shown) else shown.side == "seller"
    if not heard:
        rows = settlement_of(shown, Status.PAYMENT_SENT.value, links)
    return rows if any(row.credited or row.settled for row in rows) else []


def followers(shown: Invoice) -> list[tuple[str, str]]:
    """What can be issued after one of our invoices that its platform has taken: kind and label."""
    if shown.direction != Direction.ISSUED or not shown.addressing_line or shown.status in (None, Status.REJECTED):
        return []
    labels = {
        "credit-note": _("Write a credit note"),
        "corrective": _("Write a corrective invoice"),
        "final": _("Write the final invoice"),
    }
    wanted = ["credit-note", *([] if shown.is_credit_note else ["corrective"]), "final"]
    kinds = [kind for kind in wanted if prefill.following_type(shown.type_code, kind)]
    return [(kind, labels[kind]) for kind in kinds if not (shown.is_credit_note and kind == "credit-note")]


# --- what is done on the page -----------------------------------------------------------------------------------------


@page
@require_POST
def comment(request: DeskRequest, invoice_id: UUID) -> HttpResponse:
    shown = visible_invoice(request, invoice_id)
    form = CommentForm(request.POST)
    here = reverse("lifecycle:invoice", args=[shown.pk])
    if not form.is_valid():
        return done(request, str(form.errors["text"][0]), to=here, tone="bad")
    services.add_comment(user=request.user, invoice=shown, text=form.cleaned_data["text"])
    return done(request, _("Comment added."), to=here)


@page
@require_POST
def acknowledge_account(request: DeskRequest, invoice_id: UUID) -> HttpResponse:
    shown = visible_invoice(request, invoice_id)
    services.acknowledge_account(user=request.user, invoice=shown)
    return done(request, _("The account is confirmed."), to=reverse("lifecycle:invoice", args=[shown.pk]))


@page
@require_POST
def assign(request: DeskRequest, invoice_id: UUID) -> HttpResponse:
    shown = visible_invoice(request, invoice_id)
    form = AssignForm(request.POST, invoice=shown)
    here = reverse("lifecycle:invoice", args=[shown.pk])
    if not form.is_valid():
        return done(request, str(form.errors["to"][0]), to=here, tone="bad")
    services.assign(user=request.user, invoice=shown, to=form.cleaned_data["to"])
    return done(request, _("Assignment saved."), to=here)


@page
@require_POST
def settle_answer(request: DeskRequest, invoice_id: UUID, event_id: UUID) -> HttpResponse:
    """An answer that needed a person: looked at, or a rejection said to be this invoice's."""
    shown = visible_invoice(request, invoice_id)
    event = get_object_or_404(shown.status_events, pk=event_id)
    here = reverse("lifecycle:invoice", args=[shown.pk])
    is_rejected = request.POST.get("is_rejected") == "yes"
    if is_rejected and not is_confirmed(request):
        return ask(request, _rejected_question(shown, here))
    try:
        settled = services.settle_answer(user=request.user, event_id=event.pk, is_rejected=is_rejected)
    except (services.AlreadySettled, PermissionDenied) as refused:
        return done(request, str(refused), to=here, tone="bad")
    return done(request, settled.note, to=here)


def _rejected_question(shown: Invoice, here: str) -> Question:
    label = _("It is this invoice that was rejected")
    words = _("Invoice %(invoice)s becomes “%(status)s”, and its number is free for a corrected one.")
    named = {"invoice": shown, "status": f"{Status.REJECTED.value} {status_label(Status.REJECTED)}"}
    return Question(title=label, answer=label, effects=[words % named], back=here, is_final=True)
