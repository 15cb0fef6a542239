"""Relays."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from invoices.models.tokens import Scope
from lifecycle.api.filters import RelayFilters
from lifecycle.api.limits import ExportLimit
from lifecycle.api.serializers import RelaySerializer, ResolutionSerializer
from lifecycle.decisions import services
from lifecycle.history import export
from lifecycle.models import RelayTask

from .base import ApiView, DetailView, ListView, refusals_as_problems
from .invoices import AS_ZIP, AsItIs


class RelayView(ApiView):
    serializer_class = RelaySerializer
    queryset = RelayTask.objects.none()
    lookup_url_kwarg = "relay_id"

    def get_queryset(self) -> QuerySet[RelayTask]:
        rows = RelayTask.objects.filter(invoice__customer__in=self.desk.customer_ids())
        return rows.select_related("event", "connection", "released_by", "invoice")


class RelayList(RelayView, ListView):
    """What the platforms are to be told, newest first, each with its fate."""

    filters = RelayFilters


class RelayDetail(RelayView, DetailView):
    """One relay."""


class RelayProof(RelayView):
    throttle_classes = (ExportLimit,)
    content_negotiation_class = AsItIs

    @extend_schema(operation_id="relays_proof_retrieve", responses=AS_ZIP)
    def get(self, request: Request, relay_id: Any) -> StreamingHttpResponse:
        """What was sent, byte for byte, when, to whom, and what came back: a signed ZIP, checked without a database."""
        return export.proof(get_object_or_404(export.relays(), pk=self.get_object().pk), user=request.user)


class RelayAction(RelayView):
    """One thing a person does with a relay; the service says who may and when."""

    verb: ClassVar[Any]

    @extend_schema(request=None, responses=RelaySerializer)
    def post(self, request: Request, relay_id: Any) -> Response:
        return self.do(request)

    def do(self, request: Request, **given: Any) -> Response:
        relay = self.get_object()
        with refusals_as_problems(relay.invoice):
            self.verb(user=request.user, relay_id=relay.pk, **given)
        return Response(self.get_serializer(self.get_object()).data)


class RelayRetry(RelayAction):
    """Send a failed relay again, now. For administrators."""

    verb = staticmethod(services.retry)


class RelayCancel(RelayAction):
    """Take a decision back before it is sent, or give up a failed one."""

    scope = Scope.DECIDE
    verb = staticmethod(services.cancel)


class RelayRelease(RelayAction):
    """Agree to a colleague's decision, as the second pair of eyes."""

    scope = Scope.DECIDE
    verb = staticmethod(services.release)


class RelayResolve(RelayAction):
    verb = staticmethod(services.resolve)

    @extend_schema(request=ResolutionSerializer, responses=RelaySerializer)
    def post(self, request: Request, relay_id: Any) -> Response:
        """Say what the platform shows of a relay whose fate is uncertain, or that cannot be sent from here."""
        self.get_object()
        resolution = ResolutionSerializer(data=request.data)
        resolution.is_valid(raise_exception=True)
        return self.do(request, **resolution.validated_data)
