"""Invoices that customers' software hands in."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from einvoice_project.problems import Conflict, ProblemError, Unprocessable
from invoices.drafting.issuing import MAX_ISSUED_BYTES, CannotIssue
from invoices.models import AddressingLine, Direction
from invoices.models.tokens import Scope
from invoices.people.desk import Desk
from lifecycle.api.schema import IDEMPOTENCY_KEY
from lifecycle.api.serializers import InvoiceSerializer, RelaySerializer, SubmissionSerializer, SubmittedSerializer
from lifecycle.decisions import services
from lifecycle.decisions.services import KeyReused
from lifecycle.models import RelayTask
from lifecycle.outbox import submissions
from lifecycle.outbox.submissions import Submission
from providers.contract.base import MIB, File
from providers.norm import transitions
from providers.norm.companies import siren_in

from .invoices import InvoiceList, idempotency_key

# The parts around the file.
ENVELOPE = MIB


class InvoiceCollection(InvoiceList):
    """The same address lists invoices and takes new ones."""

    scope = Scope.SUBMIT
    parser_classes = (MultiPartParser,)
    max_body = MAX_ISSUED_BYTES + ENVELOPE

    @extend_schema(
        operation_id="invoices_submit",
        parameters=[IDEMPOTENCY_KEY],
        request={"multipart/form-data": SubmissionSerializer},
        responses={201: OpenApiResponse(SubmittedSerializer, "Recorded; the relay carries it to the platform.")},
    )
    def post(self, request: Request) -> Response:
        """Hand in an invoice of a customer: UBL, CII or Factur-X. With `submit` it is sent, without it is prepared and
        an approver releases its relay. The worker checks the official rules before anything is sent."""
        key = idempotency_key(request)
        given = SubmissionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        submission = submission_of(self.desk, given.validated_data)
        try:
            relay, is_new = submissions.hand_in(user=request.user, submission=submission, idempotency_key=key)
        except KeyReused as error:
            raise Conflict(str(error), code="key_reused") from error
        except CannotIssue as error:
            raise self.as_problem(error) from error
        headers = {} if is_new else {"Idempotent-Replayed": "true"}
        return Response(self.answer(relay), status=201, headers=headers)

    def as_problem(self, error: CannotIssue) -> ProblemError:
        if error.duplicate_of is not None:
            visible = error.duplicate_of.customer_id in self.desk.customer_ids()
            return Conflict(
                str(error), code="duplicate_invoice", invoice=str(error.duplicate_of.pk) if visible else None
            )
        rows = [{"field": each.field, "code": each.code, "message": each.message} for each in error.faults]
        return Unprocessable(str(error), errors=rows, code="cannot_issue")

    def answer(self, relay: RelayTask) -> dict[str, Any]:
        invoice = self.get_queryset().get(pk=relay.invoice_id)
        possible = {invoice.pk: transitions.issuable(services.facts_of(invoice))}
        context = {**self.get_serializer_context(), "next_statuses": possible}
        return {
            "invoice": InvoiceSerializer(invoice, context=context).data,
            "relay": RelaySerializer(relay, context=context).data,
        }


def submission_of(desk: Desk, given: dict[str, Any]) -> Submission:
    upload = given["file"]
    file = File(
        kind="original", content=upload.read(), media_type=upload.content_type or "", filename=upload.name or ""
    )
    received = given["direction"] == Direction.RECEIVED
    return Submission(line=line_of(desk, given), file=file, submit=given["submit"], received=received)


def line_of(desk: Desk, given: dict[str, Any]) -> AddressingLine:
    """The customer's addressing line; it need not be named where there is only one."""
    customer = next((each for each in desk.customers if each.siren == siren_in(given["customer"])), None)
    if customer is None:
        raise serializers.ValidationError({"customer": SubmissionSerializer.no_customer}, code="unknown")
    lines = AddressingLine.objects.filter(customer=customer).select_related("customer", "connection")
    if given["addressing_line"]:
        lines = lines.filter(identifier=given["addressing_line"])
    found = list(lines[:2])
    if len(found) != 1:
        raise serializers.ValidationError({"addressing_line": SubmissionSerializer.no_line}, code="unknown")
    return found[0]
