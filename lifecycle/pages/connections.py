"""Our accounts at the platforms: are they well, and what can they carry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from invoices.models import AddressingLine
from invoices.people.access import hooks_of
from providers.connections import checks, health
from providers.connections.registry import get_adapter
from providers.contract.base import Capabilities
from providers.contract.kinds import find_adapter_class
from providers.models import Connection, Hook, RefusedRequest, WebhookDelivery
from providers.norm.codes import INVOICE_STATUSES
from providers.norm.transitions import MINIMUM_ROLE

from .page import DeskRequest, done, page

ISSUABLE = tuple(code for code in INVOICE_STATUSES if code in MINIMUM_ROLE)


@dataclass(frozen=True)
class ConnectionCard:
    connection: Connection
    capabilities: Capabilities
    lines: list[AddressingLine]
    hooks: list[Hook]
    refused: int
    waiting: int
    is_administered: bool
    why_ill: str

    @property
    def what_to_do(self) -> str:
        return health.what_to_do(self.connection)

    @property
    def tried_at(self) -> datetime | None:
        is_paused = self.connection.is_active and health.rest_of_pause(self.connection)
        return health.end_of_pause(self.connection) if is_paused else None

    @property
    def statuses(self) -> list[tuple[str, bool, bool]]:
        """Code, carried for a buyer, carried for a seller."""
        can = self.capabilities
        return [(code, code in can.buyer_statuses, code in can.seller_statuses) for code in ISSUABLE]

    @property
    def abilities(self) -> list[tuple[str, bool]]:
        can = self.capabilities
        return [
            (_("Pushes news to us"), can.webhooks),
            (_("Can be polled"), can.polling),
            (_("Is asked about each open invoice"), can.ask_each),
            (_("Shows the history of an invoice"), can.history),
            (_("Can be asked whether a status arrived"), can.look_up),
            (_("Takes invoices from us"), bool(can.submit_formats)),
            (_("Is handed our customers' received invoices"), bool(can.handover_formats)),
            (_("Directory"), can.directory),
            (_("E-reporting"), can.e_reporting),
        ]


@page
@require_GET
def connection_list(request: DeskRequest) -> HttpResponse:
    return render(request, "lifecycle/connection_list.html", {"cards": _cards(request)})


def _cards(request: DeskRequest) -> list[ConnectionCard]:
    desk = request.desk
    connections = desk.connections
    lines = AddressingLine.objects.filter(connection__in=connections, customer_id__in=desk.customer_ids())
    hooks = hooks_of(request.user).filter(closed_at=None)
    counted = RefusedRequest.objects.filter(connection__in=desk.wholly_administered_ids).values_list("connection")
    refused = dict(counted.annotate(count=Count("pk")))
    undone = WebhookDelivery.objects.filter(
        connection__in=desk.wholly_administered_ids, state=WebhookDelivery.State.RECEIVED
    )
    waiting = dict(undone.values_list("connection").annotate(count=Count("pk")))
    all_lines, all_hooks = list(lines.select_related("customer")), list(hooks.select_related("connection"))
    return [
        ConnectionCard(
            connection=each,
            capabilities=_capabilities(each),
            lines=[line for line in all_lines if line.connection_id == each.pk],
            hooks=[hook for hook in all_hooks if hook.connection_id == each.pk],
            refused=refused.get(each.pk, 0),
            waiting=waiting.get(each.pk, 0),
            is_administered=each.pk in desk.wholly_administered_ids,
            why_ill=desk.why_ill(each),
        )
        for each in connections
    ]


def _capabilities(connection: Connection) -> Capabilities:
    known = find_adapter_class(connection.kind)
    return get_adapter(connection).capabilities if known else Capabilities()


@page
@require_POST
def check(request: DeskRequest, connection_id: UUID) -> HttpResponse:
    connection = get_object_or_404(Connection, pk=connection_id, pk__in=[each.pk for each in request.desk.connections])
    if connection.pk not in request.desk.wholly_administered_ids:
        raise PermissionDenied(_("Only who administers every customer of a connection can check it."))
    checks.ask(connection)
    words = _("%(connection)s is being checked: its card shows what comes of it.") % {"connection": connection.name}
    return done(request, words, to=reverse("lifecycle:connections"))
