"""Webhooks at Billit: three for each company, each with an address and a secret of its own.

Page "Use webhooks to catch E-Invoice statuses": the answer to the registration holds the secret, and so does one call
that Billit then makes to the new address. That call cannot be verified: it is taken while it is awaited, at an
unguessable address, and nothing of it is kept but the secret, should the answer have been lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import (
    HookRequest,
    Line,
    Malformed,
    NotGenuine,
    NotYet,
    Nowhere,
    PermanentError,
    PlatformError,
    Reply,
    Subscription,
    Unsupported,
)

from . import reading, tables, webhooks
from .session import NUMBER, Entity, Session, entity_of, objects, registered

AWAITING, ACTIVE, DELETED = "awaiting_confirmation", "active", "deleted"
NOT_THERE = frozenset({404, 405})


@dataclass(frozen=True)
class Remote:
    """A webhook as Billit lists it; the secret is not in the list."""

    number: str
    kind: tuple[str, str]
    url: str


class Hooks(Session):
    # --- their calls ---

    def serve(self, request: HookRequest) -> Reply | None:
        """The confirmation that carries a secret; anything else at one of our three addresses is a push."""
        slug = _slug(request)
        if slug not in tables.HOOKS:
            raise Nowhere("There is nothing at this address.")
        if request.method != "POST":
            raise Malformed("Only POST is taken here.")
        secret = webhooks.find_secret(request.body) if len(request.body) <= webhooks.MAX_BODY else ""
        if not secret:
            return None
        self._confirm(request, slug, secret)
        return Reply(status_code=204)

    def _confirm(self, request: HookRequest, slug: str, secret: str) -> None:
        name = vault_name(request.line.identifier if request.line else "", slug)
        kept = self.account.vault.get(name)
        since = reading.parse_time(kept.get("since"), UTC)  # type: ignore[arg-type]
        waits = timedelta(minutes=self.setting("confirmation_minutes"))
        if kept.get("state") != AWAITING or since is None or request.received_at - since > waits:
            raise NotGenuine("A call with a webhook's secret came, and none was awaited.")
        # The registration's own answer comes first: it travelled over a connection that we opened.
        self.account.vault.change(name, state=ACTIVE, secret=kept.get("secret") or secret)

    def verify_webhook(self, request: HookRequest) -> None:
        if len(request.body) > webhooks.MAX_BODY:
            raise Malformed("The body is larger than any event of Billit's.")
        max_age = self.setting("signature_max_age")
        name = vault_name(request.line.identifier if request.line else "", _slug(request))
        known = self._secrets.get(name, "")
        if known:
            try:
                return webhooks.check_signature(request, secret=known, max_age=max_age)
            except NotGenuine:
                pass  # a new secret may have been given meanwhile
        kept = self.account.vault.get(name)
        self._secrets[name] = kept.get("secret", "")
        if kept.get("state") == AWAITING and not self._secrets[name]:
            raise NotYet("The secret of this webhook is still to come.")
        return webhooks.check_signature(request, secret=self._secrets[name], max_age=max_age)

    @property
    def _secrets(self) -> dict[str, str]:
        """Read once for each webhook; a door keeps its adapter for seconds."""
        return self.__dict__.setdefault("_kept_secrets", Kept())

    # --- ours ---

    def register_webhooks(self) -> tuple[str, ...]:
        entities = self.entities()
        if not entities:
            raise Unsupported(_("No addressing line of this connection has a registration_id at Billit."))
        changes: list[str] = []
        failed: PlatformError | None = None
        for entity in entities:
            try:
                changes += self._settle_and_note(entity)
            except PlatformError as error:
                failed = failed or error
        if failed:
            raise failed
        return tuple(changes)

    def subscribe(self, line: Line) -> str:
        home = self._home_of(line)
        if home.line.identifier != line.identifier:
            told = {"line": line.identifier, "home": home.line.identifier}
            return _("%(line)s is of the same company as %(home)s, whose webhooks serve both.") % told
        return " ".join(self._settle_and_note(home)) or _("nothing had to be changed.")

    def unsubscribe(self, line: Line) -> str:
        entity = entity_of(line)
        ended = []
        for slug in tables.HOOKS:
            name = vault_name(line.identifier, slug)
            kept = self.account.vault.get(name)
            if kept.get("id"):
                self._delete(kept["id"], entity)
                ended.append(slug)
            if kept:
                self.account.vault.change(name, state=DELETED, secret="", id="", url="")
        self._note(entity, "closed")
        return _("Webhooks ended: %(names)s.") % {"names": ", ".join(ended) or "–"}

    def faulty_webhooks(self) -> Iterator[str]:
        """What would not reach us as it should."""
        for entity in self.entities():
            remotes = self.list_webhooks(entity)
            for slug in tables.HOOKS:
                kept = self.account.vault.get(vault_name(entity.line.identifier, slug))
                if not self._is_good(kept, self._address_of(entity, slug), remotes):
                    yield f"{entity.line.identifier} {slug}"

    def _home_of(self, line: Line) -> Entity:
        return next((each for each in self.entities() if each.registration == registered(line)), None) or entity_of(
            line
        )

    def _settle_and_note(self, entity: Entity) -> list[str]:
        """What was changed; how the line stands now is shown to people."""
        try:
            changes = list(self._settle(entity))
        except PlatformError as error:
            self._note(entity, "failed", error.message)
            raise
        names = [vault_name(entity.line.identifier, slug) for slug in tables.HOOKS]
        is_complete = all(self.account.vault.get(name).get("secret") for name in names)
        self._note(entity, "active" if is_complete else "subscribing")
        return changes

    def _note(self, entity: Entity, state: str, error: str = "") -> None:
        line, reference = entity.line.identifier, entity.registration
        noted = Subscription(line_identifier=line, state=state, reference=reference, error=error)
        self.account.subscriptions.save(noted)

    def _settle(self, entity: Entity) -> Iterator[str]:
        remotes = self.list_webhooks(entity)
        for slug in tables.HOOKS:
            url, name = self._address_of(entity, slug), vault_name(entity.line.identifier, slug)
            kept = self.account.vault.get(name)
            if self._is_good(kept, url, remotes):
                continue
            told = {"line": entity.line.identifier, "hook": slug}
            there = next((each for each in remotes if each.url == url and each.kind == tables.HOOKS[slug]), None)
            if there and self._adopt(name, kept, there, entity):
                yield _("%(line)s %(hook)s: put right.") % told
                continue
            for old in self._replaced(kept, url, tables.HOOKS[slug], remotes):
                self._delete(old, entity)
            if self._create(name, slug, url, entity):
                yield _("%(line)s %(hook)s: registered.") % told
            else:
                yield _("%(line)s %(hook)s: registered; its secret is to come by Billit's confirmation call.") % told

    def _address_of(self, entity: Entity, slug: str) -> str:
        base = self.account.lines.hook_url(entity.line.identifier)
        if not base:
            told = {"line": entity.line.identifier}
            raise Unsupported(_("Addressing line %(line)s has no webhook address yet.") % told)
        return f"{base.rstrip('/')}/{slug}/"

    @staticmethod
    def _is_good(kept: Mapping[str, str], url: str, remotes: list[Remote]) -> bool:
        number = kept.get("id")
        return bool(kept.get("secret")) and any(each.number == number and each.url == url for each in remotes)

    @staticmethod
    def _replaced(kept: Mapping[str, str], url: str, kind: tuple[str, str], remotes: list[Remote]) -> list[str]:
        """Ours at an address that is none any more, of a line that is gone, or without a secret to be had: Billit takes
        one of a kind. Those of others are left alone.
        """
        prefix = url.rsplit("/", 3)[0] + "/"
        return [
            each.number
            for each in remotes
            if each.number == kept.get("id") or (each.kind == kind and each.url.startswith(prefix))
        ]

    def _adopt(self, name: str, kept: Mapping[str, str], there: Remote, entity: Entity) -> bool:
        """A webhook whose registration was never answered: its secret came by its confirmation, or is made anew."""
        if kept.get("secret") and kept.get("url") == there.url and not kept.get("id"):
            self.account.vault.change(name, id=there.number)
            return True
        url = self.url("refresh_path", webhook=there.number)
        try:
            answer = self.tell("POST", url, party=entity.party)
        except PermanentError as error:
            if error.status_code not in NOT_THERE:
                raise
            return False
        secret = _secret_of(answer.find_json())
        if secret:
            state = {"state": ACTIVE, "url": there.url, "id": there.number}
            self.account.vault.change(name, secret=secret, **state)
        return bool(secret)

    def _create(self, name: str, slug: str, url: str, entity: Entity) -> bool:
        """Whether its secret is known by now."""
        entity_type, update_type = tables.HOOKS[slug]
        now = datetime.now(UTC).isoformat()
        # Before the call: the confirmation may be quicker than the answer.
        self.account.vault.change(name, state=AWAITING, since=now, url=url, id="", secret="")
        body = {"EntityType": entity_type, "EntityUpdateType": update_type, "WebhookURL": url}
        path = self.url("webhooks_path", registration=entity.registration)
        try:
            answer = self.tell("POST", path, body, party=entity.party)
        except PermanentError:
            self.account.vault.change(name, state=DELETED)
            raise
        document = answer.find_json()
        told = {"id": _number_of(document), "secret": _secret_of(document)}
        kept = self.account.vault.change(name, **{key: value for key, value in told.items() if value})
        return bool(kept.get("secret"))

    def list_webhooks(self, entity: Entity) -> list[Remote]:
        document = self.read(self.url("webhook_list_path"), party=entity.party)
        return [
            Remote(number, (reading.text(row.get("EntityType")), reading.text(row.get("EntityUpdateType"))), url)
            for row in objects(document, "Items", "Webhooks")
            if (number := _number_of(row)) and (url := reading.text(row.get("WebhookURL")))
        ]

    def _delete(self, number: str, entity: Entity) -> None:
        answer = self.exchange("DELETE", self.url("webhook_path", webhook=number), repeatable=True, party=entity.party)
        if answer.status_code != 404:
            self.require_success(answer, repeatable=True)


class Kept(dict[str, str]):
    """Secrets that do not show when somebody looks at what holds them."""

    def __repr__(self) -> str:
        return f"<{len(self)} secrets>"


def vault_name(line_identifier: str, slug: str) -> str:
    """An addressing line may be longer than the vault's names."""
    return f"webhook {hashlib.sha256(line_identifier.encode()).hexdigest()[:40]} {slug}"


def _slug(request: HookRequest) -> str:
    return request.rest.strip("/")


def _number_of(document: Any) -> str:
    rows = {name.lower(): value for name, value in document.items()} if isinstance(document, dict) else {}
    number = reading.text(rows.get("webhookid") or rows.get("id"))
    return number if NUMBER.fullmatch(number) else ""


def _secret_of(document: Any) -> str:
    """Under its name; a renewed one may come bare."""
    if isinstance(document, dict):
        rows = {name.lower(): value for name, value in document.items()}
        document = rows.get("secret")
    return document.strip() if isinstance(document, str) else ""
