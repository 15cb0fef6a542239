"""An event of an invoice's history, as the API tells it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from lifecycle.history.rejections import subject_of
from lifecycle.models import RelayTask, StatusEvent
from providers.norm import codes

from .serializer_fields import RowSerializer

Read = dict[str, Any]


class ReasonShownSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Code of MDT-113; empty for a platform's word that no code stands for.")
    text = serializers.CharField()
    rule = serializers.CharField(
        required=False, help_text="The rule broken (MDT-125), in the administration's answers."
    )
    place = serializers.CharField(required=False, help_text="The field at fault (MDT-127), likewise.")


class PaymentShownSerializer(serializers.Serializer[Any]):
    vat_rate = serializers.CharField(allow_null=True, help_text="Percent, a decimal string.")
    amount = serializers.CharField(help_text="Decimal string, VAT included.")
    currency = serializers.CharField()


class RelayBriefSerializer(RowSerializer):
    class Meta:
        model = RelayTask
        fields = ["id", "state"]


class AdditionSerializer(RowSerializer):
    class Meta:
        model = StatusEvent
        fields = ["sequence", "recorded_at", "hash"]


class EventSerializer(RowSerializer):
    status = serializers.CharField(allow_null=True, help_text="Null for a word of the platform that we do not know.")
    status_label = serializers.CharField(source="label")
    about = serializers.SerializerMethodField(
        help_text="What it speaks of. Only what is about the invoice moves its status. Null: not known."
    )
    reasons = serializers.SerializerMethodField()
    payments = PaymentShownSerializer(many=True)
    decided_by = serializers.CharField(source="actor.username", default=None, allow_null=True)
    relay = serializers.SerializerMethodField(help_text="The job of telling the platform; null for what it told us.")
    completed_by = serializers.SerializerMethodField(
        help_text="The links of the history that added to this event after it was recorded."
    )
    repeated = serializers.SerializerMethodField(
        help_text="How often the same was told again under another identity. It counts once."
    )

    connection = serializers.CharField(
        source="told_by.name",
        default=None,
        allow_null=True,
        help_text="Whose platform told it, of several that hold the invoice. Null: ours, or not kept then.",
    )
    is_by_quote = serializers.BooleanField(
        help_text="Its message names no invoice: this one was found by the number that its text quotes."
    )

    class Meta:
        model = StatusEvent
        fields = [
            "id", "sequence", "status", "status_label", "native_status", "about", "issuer_role", "origin", "reasons",
            "note", "payments", "occurred_at", "recorded_at", "unexpected", "emitter", "ppf_duty", "decided_by",
            "relay", "time_source", "told_time", "derived", "completed_by", "repeated",
            "is_by_quote", "connection", "hash",
        ]  # fmt: skip

    @extend_schema_field(ReasonShownSerializer(many=True))
    def get_reasons(self, event: StatusEvent) -> list[Read]:
        return [
            {"code": row["code"], "text": row["text"] or ("" if row["code"] else row.get("native_code", ""))}
            | {name: row[name] for name in ("rule", "place") if row.get(name)}
            for row in event.reasons
        ]

    @extend_schema_field(serializers.ChoiceField(choices=codes.StatusObject.choices, allow_null=True))
    def get_about(self, event: StatusEvent) -> str | None:
        about = subject_of(event, self.context.get("others", ()))
        return about.value if about else None

    @extend_schema_field(AdditionSerializer(many=True))
    def get_completed_by(self, event: StatusEvent) -> list[Read]:
        return [dict(AdditionSerializer(link).data) for link in event.additions]

    @extend_schema_field(serializers.IntegerField())
    def get_repeated(self, event: StatusEvent) -> int:
        return len(event.replays)

    @extend_schema_field(RelayBriefSerializer(allow_null=True))
    def get_relay(self, event: StatusEvent) -> Read | None:
        relay = getattr(event, "relay", None)
        return RelayBriefSerializer(relay).data if relay else None
