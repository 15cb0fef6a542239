"""What the API shows of the verdict on a file."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from invoices.models import Validation
from invoices.validation import Outcome
from invoices.validation.binding import reason_of
from invoices.validation.report import shown_finding
from invoices.validation.verdict import from_json

from .serializer_fields import RowSerializer

OUTCOME = serializers.ChoiceField(choices=Outcome.choices, allow_null=True)


class TermSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="BT-31, BG-23, EXT-FR-FE-163.")
    name = serializers.CharField(help_text="In the language of Accept-Language; French by default.")


class FoundSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="A business term, or the name of an element.")
    found = serializers.CharField(help_text="What stands there; empty where nothing does.")


class PlaceSerializer(serializers.Serializer[Any]):
    path = serializers.CharField()
    source_line = serializers.IntegerField(allow_null=True, help_text="Line of the XML.")
    invoice_line = serializers.CharField(help_text="BT-126 of the invoice line, where the place is inside one.")
    values = FoundSerializer(many=True)
    text = serializers.CharField(help_text="The rule's own words.")


class FindingSerializer(serializers.Serializer[Any]):
    rule = serializers.CharField(help_text="Identifier of the rule, XSD for the schema.")
    rule_set = serializers.CharField()
    is_fatal = serializers.BooleanField(help_text="False for a warning.")
    problem = serializers.CharField()
    remedy = serializers.CharField()
    terms = TermSerializer(many=True)
    places = PlaceSerializer(many=True, help_text="The first places where the rule is broken.")
    more = serializers.IntegerField(help_text="How many places there are beyond these.")
    test = serializers.CharField(help_text="The rule's XPath, or the kind of schema error.")


class ValidationSerializer(RowSerializer):
    outcome = serializers.SerializerMethodField(help_text="Null while the file waits.")
    checked = serializers.ListField(child=serializers.CharField(), help_text="The schema and the rules that were run.")
    why_checked = serializers.SerializerMethodField(help_text="Whether the French rules bind this invoice, and why.")
    findings = serializers.SerializerMethodField(help_text="Fatal ones first.")

    class Meta:
        model = Validation
        fields = [
            "state",
            "outcome",
            "rules_version",
            "syntax",
            "profile",
            "checked",
            "why_checked",
            "checked_at",
            "error",
            "findings",
        ]

    @extend_schema_field(OUTCOME)
    def get_outcome(self, row: Validation) -> str | None:
        return row.outcome or None

    def get_why_checked(self, row: Validation) -> str:
        return str(reason_of(row.basis))

    @extend_schema_field(FindingSerializer(many=True))
    def get_findings(self, row: Validation) -> list[dict[str, Any]]:
        shown = [shown_finding(from_json(finding)) for finding in row.findings]
        return list(FindingSerializer(shown, many=True).data)
