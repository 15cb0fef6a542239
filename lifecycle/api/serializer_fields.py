"""What the API's serializers have in common: strict values in, UTC and strings out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from decimal import Decimal
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers


class StrictCharField(serializers.CharField):
    """A JSON string: a number is not silently taken for one, because codes travel as strings."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class MoneyField(serializers.DecimalField):
    """A decimal number in a JSON string: a binary float may have lost cents on its way."""

    default_error_messages = {"not_a_string": _('Send amounts and rates as strings, such as "120.00".')}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_digits": None, "decimal_places": None, **kwargs})

    def to_internal_value(self, data: Any) -> Decimal:
        if not isinstance(data, str):
            self.fail("not_a_string")
        return super().to_internal_value(data)


class UtcDateTimeField(serializers.DateTimeField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(default_timezone=UTC, **kwargs)


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses keys it does not know: a misspelt one must not be dropped in silence."""

    unknown_key = _("There is no such field. Fields: %(known)s.")

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = [str(key) for key in data if key not in self.fields]
            if unknown:
                message = self.unknown_key % {"known": ", ".join(self.fields)}
                raise serializers.ValidationError(dict.fromkeys(unknown, message), code="unknown_field")
        return super().to_internal_value(data)


class RowSerializer(serializers.ModelSerializer[Any]):
    """A read-only picture of one row."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.DateTimeField: UtcDateTimeField,
    }

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for field in fields.values():
            field.read_only = True
        return fields
