"""The query parameters of the lists. A misspelt one is refused: the caller must not take everything for something."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework import serializers

from invoices.models import Customer, Direction
from invoices.register.origins import known_as, through
from lifecycle.lists.queries import prefix_search
from lifecycle.models import RelayState
from providers.models import WebhookDelivery
from providers.norm import codes
from providers.norm.companies import siren_in

from .serializer_fields import StrictSerializer, UtcDateTimeField

# Read elsewhere: by the paginator and by content negotiation.
OTHER_PARAMETERS = {"cursor", "page_size", "format"}


class Filters(StrictSerializer):
    """`lookups`: parameter to the ORM's look-up."""

    lookups: ClassVar[dict[str, str]] = {}

    def apply(self, rows: QuerySet[Any], user: Any) -> QuerySet[Any]:
        wanted = self.validated_data
        return rows.filter(**{lookup: wanted[name] for name, lookup in self.lookups.items() if name in wanted})


class InvoiceFilters(Filters):
    lookups = {
        "number": "number",
        "status": "status",
        "direction": "direction",
        "type_code": "type_code",
        "issue_date_from": "issue_date__gte",
        "issue_date_to": "issue_date__lte",
        "updated_since": "updated_at__gte",
    }

    number = serializers.CharField(required=False)
    customer = serializers.CharField(required=False, help_text="SIREN, SIRET or French VAT number.")
    status = serializers.ChoiceField(required=False, choices=codes.INVOICE_STATUSES, help_text="The present status.")
    direction = serializers.ChoiceField(required=False, choices=Direction.choices)
    connection = serializers.CharField(required=False, help_text="Name of a connection.")
    provider_ref = serializers.CharField(required=False, help_text="The platform's id of the invoice.")
    type_code = serializers.CharField(required=False, help_text="UNTDID 1001 code, such as 380.")
    issue_date_from = serializers.DateField(required=False)
    issue_date_to = serializers.DateField(required=False)
    q = serializers.CharField(required=False, help_text="Beginnings of words of number, names and SIRENs.")
    assigned = serializers.CharField(required=False, help_text="`me`, `none` or a user name.")
    updated_since = UtcDateTimeField(
        required=False,
        help_text="Changes the list into a feed, oldest change first, that skips nothing: ask again from the last "
        "`updated_at` you saw. A row may come twice.",
    )

    def apply(self, rows: QuerySet[Any], user: Any) -> QuerySet[Any]:
        rows, wanted = super().apply(rows, user), self.validated_data
        if "customer" in wanted:
            # By id, not by a join: the index of a customer's invoices then gives the order too.
            found = Customer.numbered(wanted["customer"]).values_list("pk", flat=True).first()
            rows = rows.filter(customer_id=found) if found else rows.none()
        for name, held in (("connection", through), ("provider_ref", known_as)):
            if name in wanted:
                rows = rows.filter(held(wanted[name]))
        if "assigned" in wanted:
            rows = rows.filter(**_assigned(wanted["assigned"], user))
        if query := prefix_search(wanted.get("q", "")):
            rows = rows.filter(search=query)
        return rows


def _assigned(word: str, user: Any) -> dict[str, Any]:
    if word == "me":
        return {"assigned_to": user}
    return {"assigned_to": None} if word == "none" else {"assigned_to__username": word}


class RelayFilters(Filters):
    lookups = {"invoice": "invoice", "state": "state", "connection": "connection__name"}

    invoice = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(required=False, choices=RelayState.choices)
    connection = serializers.CharField(required=False, help_text="Name of a connection.")


class DeliveryFilters(Filters):
    lookups = {"state": "state", "connection": "connection__name"}

    state = serializers.ChoiceField(required=False, choices=WebhookDelivery.State.choices)
    connection = serializers.CharField(required=False, help_text="Name of a connection.")


class LineFilters(Filters):
    lookups = {"customer": "customer__siren", "connection": "connection__name"}

    customer = serializers.CharField(required=False, help_text="SIREN, SIRET or French VAT number.")
    connection = serializers.CharField(required=False, help_text="Name of a connection.")

    def validate_customer(self, value: str) -> str:
        return siren_in(value) or value


class ReasonFilters(Filters):
    status = serializers.ChoiceField(
        required=False, choices=list(codes.STATUSES), help_text="Only the reasons this status may carry."
    )
