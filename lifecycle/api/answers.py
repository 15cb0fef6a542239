"""Answers that a person has to look at, as the API shows and takes them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from .serializer_fields import StrictSerializer


class AlertSerializer(serializers.Serializer[Any]):
    event = serializers.UUIDField(source="pk")
    status = serializers.CharField()
    text = serializers.CharField(source="alert_text", help_text="What happened, why, and what to do.")


class SettlementSerializer(StrictSerializer):
    is_rejected = serializers.BooleanField(
        default=False, help_text="True: it is this invoice that was rejected (213). False: seen, it changes nothing."
    )
