"""Billit, through its Access Point API. Facts and assumptions: docs/platforms.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from providers.contract.base import Capabilities, CheckResult, Delivery, HookRequest, PermanentError, PlatformError

from . import fields, reading, telling, webhooks
from .entities import Entities
from .hooks import Hooks
from .session import Entity, objects, registered
from .submitting import Submitting
from .telling import Telling

INTEGRATION = ("Integration", "IntegrationStatus", "IntegrationStatusDescription")


class Billit(Entities, Hooks, Telling, Submitting):
    kind = "billit"
    label = "Billit"
    settings_fields = fields.SETTINGS
    secret_fields = fields.SECRETS
    line_setting_fields = fields.LINE_SETTINGS
    max_hook_body = webhooks.MAX_BODY
    hook_per_line = True

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            buyer_statuses=telling.BY_SIDE["buyer"],
            seller_statuses=telling.BY_SIDE["seller"],
            submit_formats=frozenset({"ubl"}),
            webhooks=True,
            polling=True,
            look_up=True,
            history=True,
        )

    def parse_webhook(self, request: HookRequest) -> Delivery:
        return webhooks.parse(request, self.zone)

    # --- the connection ---

    def check(self) -> Iterable[CheckResult]:
        """In order of dependence: where we cannot log in, the rest is not tried."""
        yield self._check_hosts()
        login = self._try("login", self._check_login, _("Billit accepts the login."))
        yield login
        if not login.ok:
            return
        yield from self._check_lines()
        for entity in self.entities():
            yield from self._check_entity(entity)
        yield self._try("webhooks", self._check_webhooks, _("All events are sent to us."))

    def _try(self, name: str, attempt: Callable[[], Any], good: str) -> CheckResult:
        try:
            more = attempt()
        except PlatformError as error:
            return CheckResult(name=name, ok=False, message=error.message)
        return CheckResult(name=name, ok=True, message=f"{good} {more}" if isinstance(more, str) and more else good)

    def _check_hosts(self) -> CheckResult:
        hosts = [urlsplit(url).hostname or "" for url in (self.api_url, self.portal_url)]
        wanted = self.account.environment == "sandbox"
        billits = [host for host in hosts if host.endswith((".billit.be", ".billit.eu"))]
        mixed = [host for host in billits if (".sandbox." in host) != wanted]
        message = _("%(hosts)s is not of the environment of this connection.") % {"hosts": ", ".join(mixed)}
        return CheckResult(name="environment", ok=not mixed, message=message if mixed else "")

    def _check_login(self) -> None:
        self.read(self.url("registrations_path"))

    def _check_lines(self) -> Iterator[CheckResult]:
        for line in self.account.lines.all():
            if not registered(line):
                message = _("No registration_id: set the line up at Billit, or enter its number.")
                yield CheckResult(name=line.identifier, ok=False, message=message)

    def _check_entity(self, entity: Entity) -> Iterator[CheckResult]:
        name = entity.line.identifier
        yield self._try(name, lambda: self._integrations(entity), _("The company is registered."))
        orders = self.url("orders_path", registration=entity.registration)
        yield self._try(f"{name} orders", lambda: self.read(orders, params={"$top": 1}), _("The orders can be read."))

    def _integrations(self, entity: Entity) -> str:
        """As Billit words them: what the values may be is not documented."""
        rows = objects(self.read_company(entity.registration).get("Integrations"))
        shown = [" ".join(filter(None, (reading.text(row.get(name)) for name in INTEGRATION))) for row in rows]
        return "; ".join(filter(None, shown))

    def _check_webhooks(self) -> None:
        if faulty := list(self.faulty_webhooks()):
            message = _("Not registered, or not as they should be: %(hooks)s. Register the webhooks again.")
            raise PermanentError(message % {"hooks": ", ".join(faulty)})
