"""Invoices, their events, documents and decisions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from einvoice_project.problems import BadQuery, Unprocessable
from invoices.models import Invoice, InvoiceDocument, Role
from invoices.models.tokens import Scope
from invoices.people import audit
from invoices.people.access import has_role
from invoices.register.origins import with_twins
from lifecycle.api.answers import SettlementSerializer
from lifecycle.api.event_parts import EventSerializer
from lifecycle.api.filters import InvoiceFilters
from lifecycle.api.invoice_parts import AccountChangeSerializer
from lifecycle.api.limits import ExportLimit
from lifecycle.api.pagination import settled_before
from lifecycle.api.schema import IDEMPOTENCY_KEY
from lifecycle.api.serializers import (
    DecidedSerializer,
    DecisionSerializer,
    DocumentSerializer,
    InvoiceDetailSerializer,
    InvoiceSerializer,
)
from lifecycle.decisions import administration, services
from lifecycle.history import ordering, rejections
from lifecycle.history.export import TooMany, as_download, at_most
from lifecycle.lists.queries import of_customers
from lifecycle.models import ADDITIONS, StatusEvent
from providers.norm import transitions

from .base import ApiView, DetailView, ListView, refusals_as_problems

KEY_MAX_LENGTH = 200


class InvoiceView(ApiView):
    """The invoices of the caller's customers, each with what may be said about it next."""

    serializer_class = InvoiceSerializer
    queryset = Invoice.objects.none()  # for the schema; the real one needs the caller
    lookup_url_kwarg = "invoice_id"

    def get_queryset(self) -> QuerySet[Invoice]:
        return of_customers(self.desk.customer_ids()).select_related("addressing_line")

    def get_serializer(self, *args: Any, **kwargs: Any) -> InvoiceSerializer:
        rows = args[0] if kwargs.get("many") and args else args
        with_twins(rows)
        facts = services.facts_for(rows)
        possible = {invoice_id: transitions.issuable(each) for invoice_id, each in facts.items()}
        kwargs["context"] = {**self.get_serializer_context(), "next_statuses": possible}
        return self.serializer_class(*args, **kwargs)


class InvoiceList(InvoiceView, ListView):
    """Invoices, newest first; with `updated_since` a feed of changes, oldest change first."""

    filters = InvoiceFilters

    @property
    def is_feed(self) -> bool:
        return self.filtering is not None and "updated_since" in self.filtering.validated_data

    def get_keyset(self) -> Sequence[str]:
        return ("updated_at", "id") if self.is_feed else self.keyset

    def filter_queryset(self, queryset: Any) -> Any:
        queryset = super().filter_queryset(queryset)
        return queryset.filter(updated_at__lt=settled_before()) if self.is_feed else queryset


class InvoiceDetail(InvoiceView, DetailView):
    """One invoice, with those it has to do with and what is left of it."""

    serializer_class = InvoiceDetailSerializer


class OfOneInvoice(ApiView):
    """What hangs on an invoice; the invoice of a stranger does not exist."""

    @cached_property
    def invoice(self) -> Invoice:
        return get_object_or_404(of_customers(self.desk.customer_ids()), pk=self.kwargs["invoice_id"])


class EventList(OfOneInvoice, ListView):
    """The invoice's history by the time of the fact as first told, then by arrival. What later reports added to an
    event stands in it, and is named in `completed_by`.
    """

    serializer_class = EventSerializer
    queryset = StatusEvent.objects.none()
    keyset = ("occurred_at", "sequence")

    def get_queryset(self) -> QuerySet[StatusEvent]:
        return self.invoice.status_events.select_related("actor", "relay").prefetch_related(
            ADDITIONS, "sightings__connection"
        )

    def paginate_queryset(self, queryset: Any) -> Any:
        rows = super().paginate_queryset(queryset)
        return [ordering.completed(event, event.additions) for event in rows or ()]

    def get_serializer_context(self) -> dict[str, Any]:
        others = rejections.of_others(rejections.said_events(self.invoice)) if "invoice_id" in self.kwargs else ()
        return {**super().get_serializer_context(), "others": others}


class EventSettle(OfOneInvoice):
    scope = Scope.DECIDE
    serializer_class = SettlementSerializer

    @extend_schema(operation_id="invoices_events_settle", responses=EventSerializer)
    def post(self, request: Request, invoice_id: Any, event_id: Any) -> Response:
        """Say that you looked at an answer of the invoice's `alerts`, or that the rejection is this invoice's."""
        event = get_object_or_404(self.invoice.status_events, pk=event_id)
        settlement = SettlementSerializer(data=request.data)
        settlement.is_valid(raise_exception=True)
        with refusals_as_problems(self.invoice):
            settled = services.settle_answer(user=request.user, event_id=event.pk, **settlement.validated_data)
        return Response(EventSerializer(settled).data)


class DocumentList(OfOneInvoice, ListView):
    """The invoice's files: the original as it came, and what else the platform has of it."""

    serializer_class = DocumentSerializer
    queryset = InvoiceDocument.objects.none()
    keyset = ("received_at", "id")

    def get_queryset(self) -> QuerySet[InvoiceDocument]:
        return self.invoice.documents.prefetch_related("validations")


class AsItIs(BaseContentNegotiation):
    """A file has the type it has, whatever the caller would like."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class DocumentFile(OfOneInvoice):
    content_negotiation_class = AsItIs

    @extend_schema(
        operation_id="invoices_documents_file_retrieve",
        responses={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY, "The file's bytes.")},
    )
    def get(self, request: Request, invoice_id: Any, document_id: Any) -> FileResponse:
        """The bytes of a file, exactly as they came, with the media type the platform gave."""
        document = get_object_or_404(self.invoice.documents, pk=document_id)
        audit.record(audit.Action.FILE_OPENED, customer=self.invoice.customer, subject=self.invoice)
        # Never shown by a browser as a page of ours: a hostile attachment is saved, not run.
        return FileResponse(
            document.file.open("rb"),
            as_attachment=True,
            filename=document.filename or document.sha256,
            content_type=document.media_type or "application/octet-stream",
            headers={"ETag": f'"{document.sha256}"', "Content-Security-Policy": "sandbox"},
        )


class AccountAcknowledgement(OfOneInvoice):
    scope = Scope.DECIDE

    @extend_schema(operation_id="invoices_account_acknowledge", request=None, responses=AccountChangeSerializer)
    def post(self, request: Request, invoice_id: Any) -> Response:
        """Vouch for the supplier's new account; who did so first, and when, stays."""
        if not hasattr(self.invoice, "account_change"):
            raise NotFound(_("The supplier names no new account on this invoice."))
        services.acknowledge_account(user=request.user, invoice=self.invoice)
        self.invoice.account_change.refresh_from_db()
        return Response(AccountChangeSerializer(self.invoice.account_change).data)


AS_ZIP = {(200, "application/zip"): OpenApiResponse(OpenApiTypes.BINARY, "The ZIP, sent while it is made.")}


class InvoiceExport(OfOneInvoice):
    throttle_classes = (ExportLimit,)
    content_negotiation_class = AsItIs

    @extend_schema(operation_id="invoices_export_retrieve", responses=AS_ZIP)
    def get(self, request: Request, invoice_id: Any) -> StreamingHttpResponse:
        """The invoice with its files, history and proofs as a ZIP, which `verify_history --export` checks."""
        return as_download([self.invoice.pk], user=request.user, invoice=self.invoice)


class InvoicesExport(ApiView):
    """Takes the filters of the list."""

    throttle_classes = (ExportLimit,)
    filters = InvoiceFilters
    content_negotiation_class = AsItIs

    @extend_schema(operation_id="invoices_export_list", responses=AS_ZIP)
    def get(self, request: Request) -> StreamingHttpResponse:
        """Several invoices as one ZIP, at most 500; more are refused with 400."""
        rows = self.filter_queryset(of_customers(self.desk.customer_ids()))
        try:
            ids = at_most(rows)
        except TooMany as refusal:
            raise BadQuery(str(refusal), code="too_many") from refusal
        return as_download(ids, user=request.user)


class DecisionView(OfOneInvoice):
    scope = Scope.DECIDE
    serializer_class = DecisionSerializer

    @extend_schema(
        operation_id="invoices_decide",
        parameters=[IDEMPOTENCY_KEY],
        responses={201: OpenApiResponse(DecidedSerializer, "Recorded, and on its way to the platform.")},
    )
    def post(self, request: Request, invoice_id: Any) -> Response:
        """Issue a status about an invoice. It is recorded at once; follow its relay to see it reach the platform."""
        if not has_role(request.user, self.invoice.customer, Role.CLERK):
            raise PermissionDenied(
                _("Your role for %(customer)s does not allow this.") % {"customer": self.invoice.customer}
            )
        key = idempotency_key(request)
        decision = DecisionSerializer(data=request.data)
        decision.is_valid(raise_exception=True)
        remarks = administration.remarks_on(self.invoice, decision.wish())
        with refusals_as_problems(self.invoice):
            relay, is_new = services.issue_status(
                user=request.user, invoice_id=invoice_id, wish=decision.wish(), idempotency_key=key
            )
        answer = DecidedSerializer({"event": relay.event, "relay": relay, "remarks": remarks}).data
        return Response(answer, status=201, headers={} if is_new else {"Idempotent-Replayed": "true"})


def idempotency_key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if len(key) <= KEY_MAX_LENGTH:
        return key
    message = _("An Idempotency-Key has at most %(limit)d characters.") % {"limit": KEY_MAX_LENGTH}
    raise Unprocessable(errors=[{"field": "Idempotency-Key", "code": "too_long", "message": message}])
