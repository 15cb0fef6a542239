"""Connections, hooks, and what is pushed to them."""

import secrets
import uuid
from datetime import date, timedelta
from urllib.parse import urljoin

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from providers.connections.sealing import SealedField
from providers.contract.kinds import find_adapter_class

from .limit_models import RateWindow as RateWindow


def new_token() -> str:
    """32 random bytes, URL-safe."""
    return secrets.token_urlsafe(32)


class Connection(models.Model):
    """Our account at a platform."""

    class Environment(models.TextChoices):
        SANDBOX = "sandbox", _("Sandbox")
        PRODUCTION = "production", _("Production")

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        PAUSED = "paused", _("Paused")

    class Health(models.TextChoices):
        WELL = "well", _("Well")
        OUTAGE = "outage", _("Does not answer")
        REFUSED = "refused", _("Login refused")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(_("name"), max_length=60, unique=True)
    kind = models.CharField(_("platform"), max_length=20)
    environment = models.CharField(
        _("environment"), max_length=10, choices=Environment.choices, default=Environment.SANDBOX
    )
    settings = models.JSONField(_("settings"), default=dict, blank=True)
    secrets = SealedField(_("secrets"), default=dict, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.ACTIVE)
    leaving_on = models.DateField(
        _("left for another platform on"),
        null=True,
        blank=True,
        help_text=_("From that day on no new invoice goes through it; statuses of earlier ones still go and come."),
    )
    memory = models.JSONField(_("learned facts"), default=dict, blank=True, editable=False)
    poll_cursor = models.JSONField(_("poll cursor"), default=dict, blank=True, editable=False)
    polled_at = models.DateTimeField(_("last polled"), null=True, editable=False)
    poll_leased_until = models.DateTimeField(_("being polled until"), null=True, editable=False)
    checked_at = models.DateTimeField(_("last checked"), null=True, editable=False)
    check_results = models.JSONField(_("check results"), default=list, blank=True, editable=False)
    # Written by providers.connections.checks alone.
    asked_at = models.DateTimeField(_("check asked for"), null=True, editable=False)
    asked_to_register = models.BooleanField(default=False, editable=False)
    check_leased_until = models.DateTimeField(null=True, editable=False)
    quiet_until = models.DateTimeField(_("no calls before"), null=True, editable=False)
    # The turns given out so far end here (providers.connections.pace).
    paced_until = models.DateTimeField(null=True, editable=False)
    # Written by providers.connections.health alone.
    health = models.CharField(_("health"), max_length=8, choices=Health.choices, default=Health.WELL, editable=False)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    ill_since = models.DateTimeField(_("ill since"), null=True, editable=False)
    ill_reason = models.TextField(_("reason"), blank=True, editable=False)
    probe_at = models.DateTimeField(_("next try"), null=True, editable=False)
    # Set by whoever finds that an illness has ended; whoever tells what waited for that takes it back.
    has_recovered = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.state == self.State.ACTIVE

    @property
    def is_leaving(self) -> bool:
        return self.leaving_on is not None and self.leaving_on <= timezone.localdate()

    @property
    def served_until(self) -> date | None:
        """The platform that is left owes its services for a year at least (CGI art. 289 bis III, DGFiP 3.5.5.5)."""
        if self.leaving_on is None:
            return None
        year = timedelta(days=365)
        return self.leaving_on + year if self.leaving_on < date.max - year else date.max  # whatever somebody typed

    @property
    def is_healthy(self) -> bool | None:
        """None when never checked and nothing is known to be wrong."""
        if self.health != self.Health.WELL:
            return False
        return all(result["ok"] for result in self.check_results) if self.checked_at else None

    @property
    def platform_label(self) -> str:
        adapter_class = find_adapter_class(self.kind)
        return adapter_class.label if adapter_class else self.kind


class Hook(models.Model):
    """An address of ours that a platform pushes to. A closed one answers 410 for ever."""

    token = models.CharField(_("token"), max_length=64, unique=True, default=new_token)
    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, related_name="hooks", verbose_name=_("connection")
    )
    line_identifier = models.CharField(_("addressing line"), max_length=125, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)

    class Meta:
        verbose_name = _("hook")
        verbose_name_plural = _("hooks")
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "line_identifier"], condition=Q(closed_at=None), name="one_open_hook_per_line"
            )
        ]

    def __str__(self) -> str:
        return f"{self.connection} …{self.token[-4:]}"

    @property
    def url(self) -> str:
        path = reverse("providers:hook", kwargs={"kind": self.connection.kind, "token": self.token})
        return urljoin(settings.PUBLIC_URL, path)


class Subscription(models.Model):
    """What joins an addressing line to the other party: ours at a platform, or a platform's with us."""

    class State(models.TextChoices):
        DRAFT = "draft", _("Waiting for the connection data")
        CONNECTION_DATA_RECEIVED = "connection_data_received", _("Connection data received")
        SUBSCRIBING = "subscribing", _("Subscribing")
        ACTIVE = "active", _("Active")
        FAILED = "failed", _("Failed")
        SUSPENDED = "suspended", _("Suspended")
        CLOSED = "closed", _("Closed")

    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, related_name="subscriptions", verbose_name=_("connection")
    )
    line_identifier = models.CharField(_("addressing line"), max_length=125)
    state = models.CharField(_("state"), max_length=30, choices=State.choices, default=State.DRAFT)
    reference = models.CharField(_("reference"), max_length=200, blank=True)
    callback = SealedField(default=dict, blank=True)
    last_error = models.TextField(_("last error"), blank=True)
    changed_at = models.DateTimeField(_("changed at"), default=timezone.now)

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        ordering = ["line_identifier"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "line_identifier"], name="one_subscription_per_line")
        ]

    def __str__(self) -> str:
        return f"{self.line_identifier} {self.get_state_display()}"


class CachedToken(models.Model):
    """A platform's access token, shared by all our processes."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="cached_tokens")
    scope = models.CharField(max_length=125)
    value = SealedField(default=dict)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "scope"], name="one_token_per_scope")]

    def __str__(self) -> str:
        return f"{self.connection} {self.scope}"


class WebhookDelivery(models.Model):
    """One genuine pushed request, raw: our inbox. The row is the truth, the queue only a hint."""

    class State(models.TextChoices):
        RECEIVED = "received", _("Received")
        PROCESSED = "processed", _("Processed")
        IGNORED = "ignored", _("Ignored")
        QUARANTINED = "quarantined", _("Quarantined")

    class Lane(models.TextChoices):
        INGEST = "ingest", _("Only read")
        FETCH = "fetch", _("Platform asked")

    # Begins `waits_for` where it is not an invoice that is waited for.
    WAITS_FOR_LINE = "line:"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(
        Connection, on_delete=models.PROTECT, related_name="deliveries", verbose_name=_("connection")
    )
    line_identifier = models.CharField(_("addressing line"), max_length=125, blank=True)
    key = models.CharField(_("key"), max_length=200)
    received_at = models.DateTimeField(_("received at"), default=timezone.now, db_index=True)
    url = models.CharField(max_length=300)
    headers = models.JSONField(_("headers"), default=dict)
    body = models.BinaryField(_("body"))
    # What a poll of ours found, in our own words (providers.contract.found); the body is empty then.
    found = models.JSONField(_("found by asking"), null=True, editable=False)
    lane = models.CharField(_("lane"), max_length=6, choices=Lane.choices, default=Lane.INGEST, db_default="ingest")
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.RECEIVED)
    error = models.TextField(_("error"), blank=True)
    waits_for = models.CharField(_("waits for the invoice"), max_length=200, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now)
    leased_until = models.DateTimeField(_("leased until"), null=True)
    processed_at = models.DateTimeField(_("processed at"), null=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["-received_at"]
        constraints = [models.UniqueConstraint(fields=["connection", "key"], name="one_delivery_per_key")]
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(state="received"), name="delivery_due"),
            models.Index(
                fields=["connection", "lane", "next_attempt_at", "received_at"],
                condition=Q(state="received"),
                name="delivery_turn",
            ),
            models.Index(fields=["connection", "waits_for"], condition=Q(state="quarantined"), name="delivery_waiting"),
            models.Index(fields=["state", "-received_at", "-id"], name="delivery_list"),
        ]

    def __str__(self) -> str:
        return f"{self.connection} {self.received_at:%Y-%m-%d %H:%M:%S} {self.key[:36]}"

    @classmethod
    def name_of_line(cls, siren: str) -> str:
        """What waits for an addressing line of a company instead of an invoice; "" waits for a person."""
        return f"{cls.WAITS_FOR_LINE}{siren}" if siren else ""

    @property
    def line_waited_for(self) -> str:
        return (
            self.waits_for.removeprefix(self.WAITS_FOR_LINE) if self.waits_for.startswith(self.WAITS_FOR_LINE) else ""
        )

    @property
    def body_text(self) -> str:
        return bytes(self.body).decode("utf-8", "replace")


class RefusedRequest(models.Model):
    """A small, capped diagnosis of requests we answered 4xx: what to look at when "nothing arrives"."""

    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, null=True, related_name="refused_requests", verbose_name=_("connection")
    )
    received_at = models.DateTimeField(_("received at"), default=timezone.now)
    status_code = models.PositiveSmallIntegerField(_("answer"))
    reason = models.CharField(_("reason"), max_length=300)
    size = models.PositiveIntegerField(_("size"), default=0)

    class Meta:
        verbose_name = _("refused request")
        verbose_name_plural = _("refused requests")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.status_code} {self.reason}"
