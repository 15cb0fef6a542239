"""Who and what there is: customers, their lines and connections, the official codes, the schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from invoices.models import AddressingLine, Customer
from lifecycle.api.filters import LineFilters, ReasonFilters
from lifecycle.api.pagination import OnePage
from lifecycle.api.serializers import (
    AddressingLineSerializer,
    ConnectionSerializer,
    CustomerSerializer,
    ReasonCodeSerializer,
    StatusSerializer,
)
from providers.models import Connection
from providers.norm import codes

from .base import ApiView, DetailView, ListView


class CustomerView(ApiView):
    serializer_class = CustomerSerializer
    queryset = Customer.objects.none()
    keyset = ("siren",)
    lookup_field = "siren"

    def get_queryset(self) -> QuerySet[Customer]:
        return Customer.objects.filter(pk__in=self.desk.customer_ids())

    def get_serializer_context(self) -> dict[str, Any]:
        # The schema is made without a caller.
        known = {} if getattr(self, "swagger_fake_view", False) else {"desk": self.desk}
        return {**super().get_serializer_context(), **known}


class CustomerList(CustomerView, ListView):
    """The companies whose invoices the caller sees."""


class CustomerDetail(CustomerView, DetailView):
    """One customer, by SIREN."""


class LineView(ApiView):
    serializer_class = AddressingLineSerializer
    queryset = AddressingLine.objects.none()
    keyset = ("identifier",)
    lookup_field = "identifier"

    def get_queryset(self) -> QuerySet[AddressingLine]:
        rows = AddressingLine.objects.filter(customer__in=self.desk.customer_ids())
        return rows.select_related("customer", "connection")


class LineList(LineView, ListView):
    """Where the caller's customers receive and send."""

    filters = LineFilters


class LineDetail(LineView, DetailView):
    """One addressing line, by its identifier."""


class ConnectionView(ApiView):
    serializer_class = ConnectionSerializer
    queryset = Connection.objects.none()
    keyset = ("name",)
    lookup_field = "name"

    def get_queryset(self) -> QuerySet[Connection]:
        return Connection.objects.filter(pk__in=[connection.pk for connection in self.desk.connections])


class ConnectionList(ConnectionView, ListView):
    """Our accounts at platforms that serve the caller's customers."""


class ConnectionDetail(ConnectionView, DetailView):
    """One connection, by name."""


class CodeList(ApiView):
    pagination_class = OnePage

    def answer(self, rows: Iterable[Any]) -> Response:
        page = self.paginate_queryset(rows)  # type: ignore[arg-type]
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class StatusList(CodeList):
    serializer_class = StatusSerializer

    @extend_schema(operation_id="codes_statuses_list", responses=StatusSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The official statuses and what the law says of each, on one page."""
        return self.answer(codes.STATUSES.values())


class ReasonList(CodeList):
    serializer_class = ReasonCodeSerializer
    filters = ReasonFilters

    @extend_schema(operation_id="codes_reasons_list", responses=ReasonCodeSerializer(many=True))
    def get(self, request: Request) -> Response:
        """The official reasons, on one page."""
        status = self.filtering.validated_data.get("status") if self.filtering else None
        listed = codes.reasons_for(status) if status else codes.REASONS
        return self.answer(codes.REASONS[code] for code in listed)


class Schema(SpectacularAPIView):
    """This description, as JSON or YAML."""

    permission_classes = [IsAuthenticated]
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer, OpenApiYamlRenderer2]
