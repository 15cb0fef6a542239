"""Deliveries."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from invoices.people.access import deliveries_of
from lifecycle.api.filters import DeliveryFilters
from lifecycle.api.serializers import DeliverySerializer
from lifecycle.inbox import deliveries
from providers.models import WebhookDelivery

from .base import ApiView, DetailView, ListView


class DeliveryView(ApiView):
    """For administrators: `access.deliveries_of`."""

    serializer_class = DeliverySerializer
    queryset = WebhookDelivery.objects.none()
    keyset = ("-received_at", "-id")
    lookup_url_kwarg = "delivery_id"

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        if not self.desk.is_administrator:
            raise PermissionDenied(_("Only administrators see what the platforms delivered."))
        return deliveries_of(self.request.user).select_related("connection").defer("body", "headers")


class DeliveryList(DeliveryView, ListView):
    """What the platforms pushed to us, newest first, of the lines and connections the caller administers."""

    filters = DeliveryFilters


class DeliveryDetail(DeliveryView, DetailView):
    """One delivery."""


class DeliveryReplay(DeliveryView):
    @extend_schema(request=None, responses=DeliverySerializer)
    def post(self, request: Request, delivery_id: Any) -> Response:
        """Work through a delivery again from the start; what it told before is recognised and not recorded twice."""
        delivery = self.get_object()
        deliveries.replay(user=request.user, delivery_id=delivery.pk)
        return Response(self.get_serializer(self.get_object()).data)
