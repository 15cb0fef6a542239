"""The history, the outbox, and what goes with them."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from invoices.models import Customer, Direction, Invoice, InvoiceDocument
from providers.models import Connection
from providers.norm.codes import ppf_deadline, status_label


class Origin(models.TextChoices):
    PLATFORM = "platform", _("Platform")
    US = "us", _("Us")


class TimeSource(models.TextChoices):
    TOLD = "told", _("as told")
    ARRIVAL = "arrival", _("when it was heard: no time was told")
    IMPOSSIBLE = "impossible", _("when it was heard: the time told is impossible")
    ZONE = "zone", _("as told, in the zone that its arrival shows")


class StatusEventManager(models.Manager["StatusEvent"]):
    """The statuses, without the links that only add to one."""

    def get_queryset(self) -> models.QuerySet[StatusEvent]:
        return super().get_queryset().filter(completes=None)


class StatusEvent(models.Model):
    """One status of one invoice. Append-only by database trigger; each hash covers the one before it.

    What a later report adds to an event is a link of its own, without a status: `completes` names the event, and both
    are shown and counted as one (`ordering.completed`). `links` has all of the chain, `objects` each status once.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    invoice = models.ForeignKey(
        Invoice, on_delete=models.PROTECT, related_name="status_events", verbose_name=_("invoice")
    )
    sequence = models.PositiveIntegerField(_("sequence"))
    status = models.CharField(_("status"), max_length=3, null=True)
    native_status = models.CharField(_("platform's word"), max_length=100, blank=True)
    issuer_role = models.CharField(_("issuer"), max_length=3, blank=True)
    origin = models.CharField(_("origin"), max_length=8, choices=Origin.choices)
    reasons = models.JSONField(_("reasons"), default=list)
    note = models.TextField(_("note"), blank=True)
    payments = models.JSONField(_("payments"), default=list)
    occurred_at = models.DateTimeField(_("occurred at"))
    time_source = models.CharField(
        _("time"), max_length=10, choices=TimeSource.choices, default=TimeSource.TOLD, help_text=_("Where it is from.")
    )
    told_time = models.CharField(_("time told"), max_length=40, blank=True, help_text=_("Where it is not believed."))
    derived = models.BooleanField(
        _("derived"), default=False, help_text=_("The nearest code to a word or fact that names none.")
    )
    # The database keeps what is completed; an expired history goes as a whole.
    completes = models.ForeignKey("self", on_delete=models.DO_NOTHING, null=True, related_name="completions")
    recorded_at = models.DateTimeField(_("recorded at"), default=timezone.now)
    unexpected = models.BooleanField(_("unexpected"), default=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("decided by")
    )
    source_key = models.CharField(_("platform's key"), max_length=200, blank=True)
    emitter = models.CharField(
        _("put on record by"), max_length=100, blank=True, help_text=_("In the platform's words.")
    )
    ppf_duty = models.BooleanField(
        _("24-hour duty"), default=False, help_text=_("The platform says that the administration must hear it in time.")
    )
    previous_hash = models.CharField(max_length=64, blank=True, verbose_name=_("hash before"))
    hash = models.CharField(max_length=64, verbose_name=_("hash"))

    objects = StatusEventManager()
    links = models.Manager["StatusEvent"]()

    class Meta:
        verbose_name = _("status event")
        verbose_name_plural = _("status events")
        ordering = ["occurred_at", "sequence"]
        constraints = [
            models.UniqueConstraint(fields=["invoice", "sequence"], name="one_event_per_sequence"),
        ]
        # What was recorded since the last anchor; small, for rows are only ever added, in the order of time.
        indexes = [BrinIndex(fields=["recorded_at"], name="event_recorded")]

    def __str__(self) -> str:
        return f"{self.invoice} {self.label}"

    @property
    def label(self) -> str:
        return status_label(self.status) if self.status else self.native_status

    @property
    def additions(self) -> list[StatusEvent]:
        """What later reports added, oldest first. Prefetch ADDITIONS where several are read."""
        fetched: list[StatusEvent] | None = getattr(self, "fetched_additions", None)
        return list(StatusEvent.links.filter(completes=self).order_by("sequence")) if fetched is None else fetched

    @property
    def replays(self) -> list[SeenReport]:
        """The same told again under other identities. Prefetch `sightings` where several are read."""
        return [sighting for sighting in self.sightings.all() if sighting.is_replay]

    @property
    def told_by(self) -> Connection | None:
        """The connection that told it first; None for ours, and for what was heard before that was kept."""
        first = min(self.sightings.all(), key=lambda sighting: sighting.pk, default=None)
        return first.connection if first and self.origin != Origin.US else None

    @property
    def is_by_quote(self) -> bool:
        """Nothing but the number that its text quotes says that it speaks of this invoice."""
        sightings = list(self.sightings.all())
        return bool(sightings) and all(sighting.is_quoted for sighting in sightings)

    @property
    def told_moment(self) -> datetime | None:
        """The time as it was told, even an impossible one; None where none was."""
        if self.told_time:
            return datetime.fromisoformat(self.told_time)
        return self.occurred_at if self.time_source == TimeSource.TOLD else None

    def facts(self) -> dict[str, Any]:
        """Everything the hash covers, in JSON types."""
        # Events older than these columns keep the hash they were written with.
        later: dict[str, Any] = {"emitter": self.emitter} if self.emitter else {}
        later |= {"ppf_duty": True} if self.ppf_duty else {}
        later |= {"derived": True} if self.derived else {}
        later |= {"completes": str(self.completes_id)} if self.completes_id else {}
        later |= {"time_source": self.time_source} if self.time_source != TimeSource.TOLD else {}
        later |= {"told_time": self.told_time} if self.told_time else {}
        return later | {
            "id": str(self.id),
            "invoice": str(self.invoice_id),
            "sequence": self.sequence,
            "status": self.status,
            "native_status": self.native_status,
            "issuer_role": self.issuer_role,
            "origin": self.origin,
            "reasons": self.reasons,
            "note": self.note,
            "payments": self.payments,
            "occurred_at": self.occurred_at.astimezone(UTC).isoformat(),
            "recorded_at": self.recorded_at.astimezone(UTC).isoformat(),
            "unexpected": self.unexpected,
            "actor": self.actor_id,
            "source_key": self.source_key,
            "previous_hash": self.previous_hash,
        }

    @property
    def ppf_deadline(self) -> datetime | None:
        """Until when the platform has to tell the administration, where it says that it must."""
        return ppf_deadline(self.occurred_at) if self.ppf_duty else None

    def compute_hash(self) -> str:
        return hash_of(self.facts())


ADDITIONS = models.Prefetch("completions", StatusEvent.links.order_by("sequence"), to_attr="fetched_additions")


def hash_of(facts: dict[str, Any]) -> str:
    """SHA-256 over the canonical JSON of an event's facts."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


class HistoryAnchor(models.Model):
    """The ends of the histories that changed, as they were written down outside the database (`anchors`)."""

    number = models.PositiveIntegerField(_("number"), primary_key=True)
    made_at = models.DateTimeField(_("made at"))
    heads = models.PositiveIntegerField(_("histories"))
    sha256 = models.CharField("SHA-256", max_length=64)
    file = models.CharField(_("file"), max_length=200)

    class Meta:
        verbose_name = _("history anchor")
        verbose_name_plural = _("history anchors")
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"{self.number} {self.made_at:%Y-%m-%d %H:%M}"


class ToldFinding(models.Model):
    """Something wrong that people were mailed about, kept while it lasts (`watch_mail`)."""

    name = models.CharField(max_length=300, primary_key=True)
    what = models.CharField(max_length=500)
    told_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.name


class SeenReport(models.Model):
    """A platform's report already taken in, as an event of its own, as the echo of one of ours, or as what says again
    or completes what another said.

    `digest` covers all it states; `is_replay`: the same was stated before, under another identity; `is_quoted`: its
    invoice was found by the number that its text quotes alone. `connection`: whose platform it is, of several that hold
    the invoice; null before that was kept. `lesser`: what an echo said, where that is less than we said.
    """

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="+")
    identity = models.CharField(max_length=200)
    digest = models.CharField(max_length=64, blank=True)
    event = models.ForeignKey(StatusEvent, on_delete=models.PROTECT, related_name="sightings")
    is_timed = models.BooleanField()
    is_replay = models.BooleanField(default=False)
    is_quoted = models.BooleanField(default=False)
    # Asked from the event alone; what deletes a connection is stopped by its invoices before.
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, null=True, db_index=False, related_name="+")
    seen_at = models.DateTimeField(null=True)
    lesser = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["invoice", "identity"], name="one_sighting_per_report")]

    def __str__(self) -> str:
        return self.identity

    @property
    def told_key(self) -> str:
        """The platform's own key, where it gave one."""
        return self.identity.removeprefix("key:")


class PlannedLook(models.Model):
    """An open invoice of a platform that lists nothing: when it is to be asked for next, by itself."""

    invoice = models.OneToOneField(Invoice, on_delete=models.CASCADE, primary_key=True, related_name="planned_look")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="planned_looks")
    due_at = models.DateTimeField(_("due"))
    looked_at = models.DateTimeField(_("last asked"), null=True)

    class Meta:
        verbose_name = _("planned look")
        verbose_name_plural = _("planned looks")
        indexes = [models.Index(fields=["connection", "due_at"], name="look_due")]

    def __str__(self) -> str:
        return f"{self.invoice} {self.due_at:%Y-%m-%d %H:%M}"

    @property
    def reference(self) -> str:
        """What the platform that is asked knows the invoice by."""
        return self.invoice.origin_at(self.connection_id).provider_ref


class RelayState(models.TextChoices):
    AWAITING_APPROVAL = "awaiting_approval", _("Awaiting a second person")
    SCHEDULED = "scheduled", _("Can be undone")
    PENDING = "pending", _("Pending")
    SENDING = "sending", _("Sending")
    SENT = "sent", _("Sent")
    CONFIRMED = "confirmed", _("Confirmed")
    UNCERTAIN = "uncertain", _("Uncertain")
    FAILED = "failed", _("Failed")
    UNSUPPORTED = "unsupported", _("To be done on the platform")
    CANCELLED = "cancelled", _("Cancelled")


# States in which our decision does not count for the invoice's status.
WITHOUT_EFFECT = (RelayState.AWAITING_APPROVAL, RelayState.CANCELLED)
# States in which the platform surely has not heard it from us.
NOT_TOLD = (RelayState.SCHEDULED, RelayState.PENDING, RelayState.FAILED, RelayState.UNSUPPORTED)
# States in which it may have.
SPOKEN = (RelayState.SENDING, RelayState.SENT, RelayState.CONFIRMED, RelayState.UNCERTAIN)
# States that hold back later messages about the same invoice, so that the platform hears them in order.
UNSETTLED = (RelayState.SCHEDULED, RelayState.PENDING, RelayState.SENDING, RelayState.UNCERTAIN)


class RelayTask(models.Model):
    """The job of telling the platform one event of ours, or of handing an invoice in to it: our outbox.

    The row is the truth, the queue only a hint. What hands an invoice in has no event: its first is the platform's.
    """

    class Kind(models.TextChoices):
        STATUS = "status", _("Status")
        INVOICE = "invoice", _("Invoice handed in")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=7, choices=Kind.choices, default=Kind.STATUS)
    event = models.OneToOneField(StatusEvent, on_delete=models.PROTECT, related_name="relay", null=True)
    document = models.ForeignKey(InvoiceDocument, on_delete=models.PROTECT, related_name="+", null=True)
    prepared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("prepared by")
    )
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="relays", verbose_name=_("invoice"))
    connection = models.ForeignKey(
        Connection, on_delete=models.PROTECT, related_name="relays", verbose_name=_("connection")
    )
    sequence = models.PositiveIntegerField(_("sequence"), help_text=_("The event's place in its invoice's history."))
    state = models.CharField(_("state"), max_length=20, choices=RelayState.choices, default=RelayState.PENDING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    look_ups = models.PositiveSmallIntegerField(_("look-ups"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True)
    leased_until = models.DateTimeField(_("leased until"), null=True)
    last_error = models.TextField(_("last error"), blank=True)
    receipt = models.JSONField(_("receipt"), null=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    spoke_at = models.DateTimeField(
        _("told"), null=True, help_text=_("When its first byte may have left, last; empty while nothing of it has.")
    )
    sent_at = models.DateTimeField(_("sent"), null=True)
    confirmed_at = models.DateTimeField(_("confirmed"), null=True)
    deadline_at = models.DateTimeField(_("legal deadline"), null=True)
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("released by")
    )
    # Where its chain of tries ends, under a key that is not in the database (`exchanges`).
    tries_made = models.PositiveIntegerField(default=0, editable=False)
    tries_hash = models.CharField(max_length=64, blank=True, editable=False)
    tries_seal = models.CharField(max_length=80, blank=True, editable=False)
    refused_by = models.ForeignKey(
        StatusEvent, on_delete=models.PROTECT, null=True, related_name="refuses", verbose_name=_("turned down by")
    )

    class Meta:
        verbose_name = _("relay")
        verbose_name_plural = _("relays")
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state__in=["scheduled", "pending", "sending", "uncertain", "sent"]),
                name="relay_due",
            ),
            models.Index(
                fields=["invoice", "sequence"],
                condition=Q(state__in=["scheduled", "pending", "sending", "uncertain"]),
                name="relay_unsettled",
            ),
            models.Index(fields=["state", "-created_at", "-id"], name="relay_list"),
            # Claims go by connection, the nearest legal deadline first.
            models.Index(
                fields=["connection", "deadline_at", "next_attempt_at"],
                condition=Q(state__in=["scheduled", "pending"]),
                name="relay_to_tell",
            ),
            models.Index(
                fields=["connection", "next_attempt_at"],
                condition=Q(state__in=["uncertain", "sent"], next_attempt_at__isnull=False),
                name="relay_to_look_up",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="status", event__isnull=False, document__isnull=True)
                | Q(kind="invoice", event__isnull=True, document__isnull=False, prepared_by__isnull=False),
                name="relay_tells_a_status_or_hands_in_a_file",
            ),
            models.UniqueConstraint(fields=["invoice"], condition=Q(kind="invoice"), name="one_submission_per_invoice"),
        ]

    def __str__(self) -> str:
        return f"{self.event or self.invoice} → {self.connection}"

    @property
    def has_spoken(self) -> bool:
        """Whether the platform may have heard it from us: only then can what it shows be the echo of this."""
        return bool(self.spoke_at or self.sent_at) or self.state in SPOKEN

    @property
    def spoke_between(self) -> tuple[datetime, datetime | None]:
        """From when to when the platform may have heard it; no end while that is open."""
        sent = self.tries.filter(kind=RelayAttempt.Kind.SEND).exclude(outcome__in=RelayAttempt.SURELY_NOT_TAKEN)
        told_at = [moment for moment in (*sent.values_list("started_at", flat=True), self.spoke_at) if moment]
        first = min(told_at, default=self.get_event().occurred_at)
        is_open = self.state in (RelayState.SENDING, RelayState.UNSUPPORTED)
        return first, None if is_open else max([*told_at, self.sent_at or self.created_at])

    @property
    def is_submission(self) -> bool:
        return self.kind == self.Kind.INVOICE

    def get_event(self) -> StatusEvent:
        if self.event is None:
            raise ValueError(f"Relay {self.pk} tells no status.")
        return self.event

    def get_document(self) -> InvoiceDocument:
        if self.document is None:
            raise ValueError(f"Relay {self.pk} hands in no file.")
        return self.document

    @property
    def status(self) -> str:
        """The code that is told; "" where an invoice is handed in."""
        return self.event.status or "" if self.event else ""

    @property
    def actor(self) -> Any:
        """Who decided, or prepared the invoice."""
        return self.event.actor if self.event else self.prepared_by

    @property
    def actor_id(self) -> Any:
        return self.event.actor_id if self.event else self.prepared_by_id

    @property
    def label(self) -> str:
        """What the platform is told, in words."""
        return f"{self.event.status} {self.event.label}" if self.event else self.get_kind_display()


class RelayAttempt(models.Model):
    """One try: what was asked, what came back, how long it took."""

    class Kind(models.TextChoices):
        SEND = "send", _("Send")
        LOOK_UP = "look_up", _("Look up")

    # Outcomes of a send after which the platform surely has not taken it: the errors of the contract that say so.
    SURELY_NOT_TAKEN = ("TemporaryError", "PermanentError", "Unsupported")

    relay = models.ForeignKey(RelayTask, on_delete=models.PROTECT, related_name="tries")
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices)
    started_at = models.DateTimeField(_("started at"))
    duration_ms = models.PositiveIntegerField(_("duration (ms)"))
    outcome = models.CharField(_("outcome"), max_length=20)
    status_code = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    message = models.TextField(_("message"), blank=True)
    answer = models.TextField(_("answer"), blank=True)
    receipt = models.JSONField(_("receipt"), null=True)
    # The request as it left us (`Spoken`), without secrets, and its bytes where they are not a file's.
    sent = models.JSONField(_("sent"), null=True)
    sent_body = models.BinaryField(_("bytes sent"), null=True)
    # Each covers the one before it, as with events (`exchanges`).
    previous_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name = _("relay attempt")
        verbose_name_plural = _("relay attempts")
        ordering = ["id"]
        indexes = [
            BrinIndex(fields=["started_at"], name="attempt_started"),  # what was said since the last anchor
            models.Index(fields=["hash"], name="attempt_hash"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.started_at:%Y-%m-%d %H:%M:%S}: {self.outcome}"


class IdempotencyKey(models.Model):
    """A POST of the API already answered: the same key and body get the same event again."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    relay = models.ForeignKey(RelayTask, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="one_answer_per_idempotency_key")]

    def __str__(self) -> str:
        return self.key


class PurgedInvoice(models.Model):
    """What is left of an invoice whose time to be kept was over: enough to know that it was not lost."""

    id = models.UUIDField(primary_key=True, editable=False)  # the invoice's own
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="purged_invoices", verbose_name=_("customer")
    )
    number = models.CharField(_("number"), max_length=200, blank=True)
    direction = models.CharField(_("direction"), max_length=8, choices=Direction.choices)
    issue_date = models.DateField(_("issue date"), null=True)
    kept_until = models.DateField(_("kept until"))
    events = models.PositiveIntegerField(_("events"))
    last_hash = models.CharField(_("hash of the last event"), max_length=64, blank=True)
    documents = models.JSONField("SHA-256", default=list)
    purged_at = models.DateTimeField(_("purged at"), default=timezone.now)

    class Meta:
        verbose_name = _("purged invoice")
        verbose_name_plural = _("purged invoices")
        ordering = ["-purged_at", "id"]

    def __str__(self) -> str:
        return self.number or str(self.id)
