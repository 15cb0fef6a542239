"""What can be done in the admin with the subscriptions of addressing lines."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from invoices.models import AddressingLine
from providers.connections import services as platforms
from providers.connections.registry import as_line
from providers.connections.sealing import SealBroken
from providers.contract.base import Adapter, PlatformError
from providers.contract.doors import at_the_door
from providers.contract.kinds import UnknownKind, find_adapter_class
from providers.models import Subscription

from .lines import set_up_line

# Setting a line up takes several calls, one after the other; of lines a person chooses few.
LINE_SECONDS = 20


class LineActions(admin.ModelAdmin):
    """Actions on lines that are joined to the other party one by one; others are named and left alone."""

    actions = ("set_up", "subscribe", "unsubscribe", "suspend", "resume", "make_connection_data")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        own = Subscription.objects.filter(connection=OuterRef("connection"), line_identifier=OuterRef("identifier"))
        return super().get_queryset(request).annotate(state_of_subscription=Subquery(own.values("state")[:1]))

    @admin.display(description=_("subscription"))
    def subscription_state(self, line: Any) -> str:
        state = line.state_of_subscription
        return str(Subscription.State(state).label) if state else "–"

    @admin.display(description=_("subscription"))
    def subscription(self, line: AddressingLine) -> str:
        row = line.connection.subscriptions.filter(line_identifier=line.identifier).first()
        if row is None:
            return "–"
        parts = [row.get_state_display(), row.reference, row.last_error]
        return format_html_join(" – ", "{}", ((part,) for part in parts if part))

    def _each(
        self,
        request: HttpRequest,
        lines: QuerySet[AddressingLine],
        act: Callable[[AddressingLine], str],
        *,
        knows: Callable[[type[Adapter]], Any] = attrgetter("connection_data"),
    ) -> None:
        """`knows` tells the platforms that offer it."""
        for line in lines.select_related("connection"):
            if not self.has_change_permission(request, line):
                self.message_user(request, gettext("%s: you may not change this line.") % line, messages.ERROR)
                continue
            cls = find_adapter_class(line.connection.kind)
            if cls is None or not knows(cls):
                text = gettext("%s: this platform offers no such thing for a single addressing line.")
                self.message_user(request, text % line, messages.WARNING)
                continue
            try:
                with at_the_door(LINE_SECONDS):
                    words = act(line)
            except PlatformError as error:
                self.message_user(request, f"{line}: {error.message}", messages.ERROR)
            except (UnknownKind, SealBroken, ValueError) as error:
                self.message_user(request, f"{line}: {error}", messages.ERROR)
            else:
                self.log_change(request, line, [{"changed": {"fields": [str(_("subscription"))]}}])
                self.message_user(request, words, messages.SUCCESS)

    @admin.action(description=_("Set selected lines up at their platforms"), permissions=["change"])
    def set_up(self, request: HttpRequest, queryset: QuerySet[AddressingLine]) -> None:
        def act(line: AddressingLine) -> str:
            learned = set_up_line(line=line)
            told = ", ".join(f"{name} {value}" for name, value in learned.items())
            return gettext("%(line)s: set up at its platform. %(told)s") % {"line": line, "told": told}

        self._each(request, queryset, act, knows=lambda cls: cls.set_up_line is not Adapter.set_up_line)

    @admin.action(description=_("Subscribe selected lines"), permissions=["change"])
    def subscribe(self, request: HttpRequest, queryset: QuerySet[AddressingLine]) -> None:
        self._each(
            request, queryset, lambda line: platforms.subscribe_line(connection=line.connection, line=as_line(line))
        )

    @admin.action(description=_("End the subscription of selected lines"), permissions=["change"])
    def unsubscribe(self, request: HttpRequest, queryset: QuerySet[AddressingLine]) -> None:
        self._each(
            request,
            queryset,
            lambda line: platforms.unsubscribe_line(connection=line.connection, line=as_line(line)),
            knows=lambda cls: cls.unsubscribe is not Adapter.unsubscribe,
        )

    @admin.action(description=_("Suspend the subscription of selected lines"), permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[AddressingLine]) -> None:
        self._step(
            request, queryset, "suspend", gettext("%s: suspended. Nothing is sent; what is pushed is still taken.")
        )

    @admin.action(description=_("Resume the subscription of selected lines"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[AddressingLine]) -> None:
        self._step(request, queryset, "resume", gettext("%s: active again."))

    def _step(self, request: HttpRequest, queryset: QuerySet[AddressingLine], step: str, text: str) -> None:
        def act(line: AddressingLine) -> str:
            platforms.step_subscription(connection=line.connection, line_identifier=line.identifier, step=step)
            return text % line

        self._each(request, queryset, act)

    @admin.action(description=_("Make connection data for selected lines"), permissions=["change"])
    def make_connection_data(self, request: HttpRequest, queryset: QuerySet[AddressingLine]) -> None:
        self._each(request, queryset, _connection_data_once)


def _connection_data_once(line: AddressingLine) -> Any:
    shown = platforms.make_connection_data(connection=line.connection, line_identifier=line.identifier)
    rows = format_html_join("", '<li>{}: <code class="copyable">{}</code></li>', shown.items())
    text = gettext("Connection data of {line}, shown this once only. What was given before no longer opens anything.")
    return format_html("{}<ul>{}</ul>", format_html(text, line=line), rows)
