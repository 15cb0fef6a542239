"""What an invoice consists of, as the API tells it."""

from typing import Any

from rest_framework import serializers

from .serializer_fields import UtcDateTimeField


class PartySerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="As the document or the platform gives it.")
    siren = serializers.CharField(
        help_text="Derived where only a SIRET, French VAT number or address is written. Its check digit may be wrong, "
        "see the invoice's warnings. Empty: no French company, or not identified."
    )
    vat_number = serializers.CharField()


class VatRowSerializer(serializers.Serializer[Any]):
    category = serializers.CharField(help_text="UNTDID 5305 code.")
    rate = serializers.CharField(allow_null=True, help_text="Percent, a decimal string.")
    base = serializers.CharField(allow_null=True, help_text="Decimal string.")
    amount = serializers.CharField(allow_null=True, help_text="Decimal string.")


class InstalmentSerializer(serializers.Serializer[Any]):
    due_on = serializers.DateField()
    amount = serializers.DecimalField(max_digits=18, decimal_places=2)
    left = serializers.DecimalField(
        max_digits=18,
        decimal_places=2,
        default=None,
        allow_null=True,
        help_text="After credit notes and payments, the earliest first. Null before the first status.",
    )


class ReferenceSerializer(serializers.Serializer[Any]):
    number = serializers.CharField(help_text="BT-25.")
    issue_date = serializers.DateField(allow_null=True, help_text="BT-26; null where the document gives none.")


class NamedAccountSerializer(serializers.Serializer[Any]):
    iban = serializers.CharField()
    holder = serializers.CharField(allow_blank=True)


class KnownAccountSerializer(NamedAccountSerializer):
    invoice = serializers.CharField(help_text="Number of the newest invoice that named it.")
    id = serializers.UUIDField(help_text="Of that invoice.")


class AccountChangeSerializer(serializers.Serializer[Any]):
    new = NamedAccountSerializer(many=True)
    known = KnownAccountSerializer(many=True)
    found_at = serializers.DateTimeField()
    acknowledged_by = serializers.CharField(source="acknowledged_by.username", default=None, allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True, help_text="Null: nobody has checked it.")


class OriginSerializer(serializers.Serializer[Any]):
    connection = serializers.CharField(source="connection.name")
    provider_ref = serializers.CharField()
    arrived_at = UtcDateTimeField()
