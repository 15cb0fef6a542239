"""The one webhook of our sponsor account. Its secret is shown once, at its creation, and never again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from providers.contract import renewal
from providers.contract.base import PermanentError, UncertainError, Unsupported
from providers.formats.json_terms import text

from .session import Session

ENTERED = "entered"  # the print of the secret that a person had entered when the webhook was made
WEBHOOK = "webhook"  # where the vault keeps the webhook's id and secret


class Registration(Session):
    def register_webhooks(self) -> tuple[str, ...]:
        if not self.account.hook_url:
            raise Unsupported(_("This connection has no webhook address yet."))
        current = self.current_webhook()
        if current is None:
            return (self._create_webhook(),)
        fault = self.fault_of_webhook(current)
        if not fault:
            return ()
        if not self.setting("replace_webhook"):
            message = _(
                "%(fault)s A sponsor has one webhook, and its secret cannot be read again: delete it at Seqino, or set "
                "replace_webhook, then register again."
            )
            raise PermanentError(message % {"fault": fault})
        self.tell("DELETE", self.url("webhooks"), repeatable=True)
        return (_("The former webhook was deleted."), self._create_webhook())

    def current_webhook(self) -> Mapping[str, Any] | None:
        """What Seqino has registered, None for nothing."""
        try:
            answer = self.get(self.url("webhooks"))
        except PermanentError as error:
            if error.status_code != 404:
                raise
            return None
        if answer.content.strip() in (b"", b"null"):
            return None
        document = self.wire.require_json(answer)
        found = document[0] if isinstance(document, list) and document else document
        return found if isinstance(found, dict) and (found.get("webhook_id") or found.get("url")) else None

    def fault_of_webhook(self, current: Mapping[str, Any]) -> str:
        """What keeps the registered webhook from serving us, in words; "" if all is well."""
        if text(current.get("url")) != self.account.hook_url:
            return _("The webhook at Seqino calls another address: %(url)s.") % {"url": text(current.get("url")) or "?"}
        if current.get("is_active") is False:
            return _("The webhook at Seqino is switched off.")
        wanted, events = set(self.setting("webhook_events")), current.get("events")
        if wanted and isinstance(events, list) and not wanted <= set(map(text, events)):
            return _("The webhook at Seqino leaves events out: %(events)s.") % {
                "events": ", ".join(sorted(wanted - set(map(text, events))))
            }
        kept = self.account.vault.get(WEBHOOK)
        known = kept.get("secret") and kept.get("id") == text(current.get("webhook_id"))
        if not known and not self.account.secrets.get("webhook_secret"):
            return _("The webhook at Seqino was not made by this connection, so its secret is not known here.")
        return ""

    def webhook_secrets(self) -> tuple[str, ...]:
        """Those a genuine push may be signed with: of the webhook we made, or of one made by hand after it."""
        made = self.account.vault.get(WEBHOOK).get("secret", "")
        entered = self.account.secrets.get("webhook_secret", "")
        if not (made and entered):
            return (made or entered,) if made or entered else ()
        before = renewal.noted(self.account.vault, WEBHOOK, ENTERED)
        if before == renewal.print_of(entered):  # it was there when the webhook was made
            return (made,)
        if before:
            self._retire(made)
            self.account.vault.change(WEBHOOK, id="", secret="")
            return (entered,)
        return (made, entered)  # nobody knows which came last

    def _retire(self, secret: str) -> None:
        renewal.retire(self.account.vault, WEBHOOK, secret, hours=self.setting(renewal.HOURS.name))

    def _create_webhook(self) -> str:
        # Tried before, for a secret that cannot be kept would be lost for ever.
        entered = self.account.secrets.get("webhook_secret", "")
        for former in (self.account.vault.get(WEBHOOK).get("secret", ""), entered):
            self._retire(former)
        self.account.vault.change(WEBHOOK, id="", secret="")
        renewal.begin(self.account.vault, WEBHOOK, **{ENTERED: renewal.print_of(entered)})
        wanted: dict[str, Any] = {"url": self.account.hook_url}
        if events := self.setting("webhook_events"):
            wanted["events"] = list(events)
        try:
            answer = self.tell("POST", self.url("webhooks"), json=wanted)
        except UncertainError as error:
            message = _("%(error)s If the webhook is there now, its secret is lost: delete it at Seqino and try again.")
            raise UncertainError(message % {"error": error.message}, status_code=error.status_code) from None
        made = self.told_object(answer)
        secret, reference = text(made.get("secret")), text(made.get("webhook_id"))
        if not secret:
            message = _("Seqino made the webhook and did not show its secret: delete it there, then register again.")
            raise PermanentError(message, status_code=answer.status_code)
        self.account.vault.change(WEBHOOK, id=reference, secret=secret)
        renewal.end(self.account.vault, WEBHOOK)
        return _("Webhook registered; its secret is kept sealed.")
