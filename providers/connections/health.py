"""The health of each connection, in the database so that all machines share it.

A platform that fails several times in a row, or turns our login down, is left alone: what waits for it goes on waiting,
and no try of its own is counted. Then one caller at a time probes, after a pause that grows; one answer ends it. A
platform that asks for patience (Retry-After) is simply quiet until then.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, DateTimeField, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from providers.contract.errors import LoginRefused, PermanentError, PlatformError, TemporaryError, UncertainError
from providers.contract.kinds import UnknownKind
from providers.models import Connection

from .sealing import SealBroken

Health = Connection.Health

# Failures in a row, over all machines, after which the connection is held to be out of service.
OUTAGE_AFTER = 3
# Seconds before each probe. Small and bounded where nobody answers, so that the backlog starts soon after the end; slow
# where the login is refused, for a platform may lock an account that tries again and again.
OUTAGE_PROBES = (5, 10, 20, 40, 60)
REFUSED_PROBES = (60, 300, 900, 3600)
UNAUTHENTICATED = 401
LONGEST_REASON = 1000


# --- may it be called? ------------------------------------------------------------------------------------------------


def callable_now(prefix: str = "") -> Q:
    """For a claim: rows whose connection (reached by `prefix`, as "connection__") may be called now."""
    return _open(prefix) & Q(**{f"{prefix}health": Health.WELL})


def is_callable(connection: Connection) -> bool:
    """As it was when the row was read."""
    return connection.is_active and connection.health == Health.WELL and not rest_of_pause(connection)


def claim_probes(waiting: QuerySet[Any]) -> list[Any]:
    """Ill connections that `waiting` rows want to call and that it is now up to the caller to try, with one of these
    rows. What comes of it is told by `note`, or `give_probe_back` where no call was made.
    """
    wanted = Exists(waiting.filter(connection=OuterRef("pk")))
    due = Connection.objects.filter(probe_due(), wanted).values_list("pk", flat=True)
    return [connection_id for connection_id in due if claim_probe(connection_id)]


def claim_probe(connection_id: Any) -> bool:
    """One conditional update: of all who want to try an ill connection, one may."""
    lease = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS)
    mine = Connection.objects.filter(probe_due(), pk=connection_id)
    return bool(mine.update(probe_at=lease, failures=F("failures") + 1))


def give_probe_back(connection_id: Any) -> None:
    Connection.objects.filter(pk=connection_id).exclude(health=Health.WELL).update(probe_at=timezone.now())


def _open(prefix: str = "") -> Q:
    now = timezone.now()
    quiet = Q(**{f"{prefix}quiet_until": None}) | Q(**{f"{prefix}quiet_until__lte": now})
    return quiet & Q(**{f"{prefix}state": Connection.State.ACTIVE})


def probe_due() -> Q:
    """Ill connections whose turn to be tried has come; `claim_probe` says who may."""
    return _open() & ~Q(health=Health.WELL) & Q(probe_at__lte=timezone.now())


# --- what came of a call ----------------------------------------------------------------------------------------------


def note(connection_id: Any, error: Exception | None) -> bool:
    """What came of a call: None where it went well. Returns whether the fault is the connection's (`note_failure`)."""
    if is_of_connection(error):
        return note_failure(connection_id, error)
    if error is None or (isinstance(error, PlatformError) and error.status_code is not None):
        note_success(connection_id)  # it answered, if only to refuse this one thing
    return False


def note_success(connection_id: Any) -> bool:
    """It answers. Returns whether that ended an illness or a row of failures; where all was well nothing is written."""
    unwell = ~Q(health=Health.WELL) | Q(failures__gt=0)
    return bool(Connection.objects.filter(unwell, pk=connection_id).update(**_WELL))


def note_failure(connection_id: Any, error: Exception | None) -> bool:
    """Returns whether the fault is the connection's: then whatever called waits for it, with no try counted."""
    row = Connection.objects.filter(pk=connection_id)
    if isinstance(error, TemporaryError) and error.retry_after and not error.line:
        until = timezone.now() + timedelta(seconds=error.retry_after)
        row.update(quiet_until=Greatest("quiet_until", Value(until, DateTimeField())))
        row.exclude(health=Health.WELL).update(**_WELL)  # it answers: it is quiet, not ill
    elif needs_person(error):
        _fall_ill(row, Health.REFUSED, REFUSED_PROBES, error)
    elif _is_outage(error):
        _count(row, error)
    return is_of_connection(error)


def is_of_connection(error: Exception | None) -> bool:
    """Another delivery, relay or poll of the same connection would have met the same."""
    return _is_outage(error) or needs_person(error)


def needs_person(error: Exception | None) -> bool:
    """The login is refused, or the connection cannot even be set up: a person must act."""
    if isinstance(error, PermanentError):
        refused = isinstance(error, LoginRefused) or error.status_code == UNAUTHENTICATED
        return refused and not error.line
    return isinstance(error, UnknownKind | SealBroken)


def _is_outage(error: Exception | None) -> bool:
    return isinstance(error, TemporaryError | UncertainError) and not error.line


def reset(connection_id: Any) -> None:
    """Its settings or secrets were changed, or a person wants it tried again: well until it shows otherwise."""
    Connection.objects.filter(pk=connection_id).update(**_WELL)


_WELL: dict[str, Any] = {
    "health": Health.WELL, "failures": 0, "ill_since": None, "ill_reason": "", "probe_at": None,
    "has_recovered": Case(When(~Q(health=Health.WELL), then=True), default=F("has_recovered")),
}  # fmt: skip


def take_recovered() -> list[Any]:
    """Connections whose illness has ended since this was asked last: what waited for that is due."""
    recovered = Connection.objects.filter(has_recovered=True, health=Health.WELL).values_list("pk", flat=True)
    return [each for each in recovered if Connection.objects.filter(pk=each).update(has_recovered=False)]


def _count(row: QuerySet[Connection], error: Exception | None) -> None:
    """One more failure; the last of a row makes the connection ill. A probe was counted when it was claimed."""
    counted = row.filter(health=Health.WELL).update(failures=F("failures") + 1)
    unwell = row.filter(failures__gte=OUTAGE_AFTER) if counted else row.exclude(health=Health.WELL)
    _fall_ill(unwell, Health.OUTAGE, OUTAGE_PROBES, error)


def _fall_ill(row: QuerySet[Connection], health: str, probes: Sequence[int], error: Exception | None) -> None:
    now = timezone.now()
    begins = {"health": health, "failures": 0, "ill_since": now, "probe_at": now + timedelta(seconds=probes[0])}
    reason = (error.message if isinstance(error, PlatformError) else str(error))[:LONGEST_REASON]
    if row.filter(health=Health.WELL).update(**begins, ill_reason=reason):
        return
    # Of what was under way when it fell ill, or a probe in vain.
    row.exclude(health=Health.WELL).update(
        health=health, ill_since=Coalesce("ill_since", now), ill_reason=reason, probe_at=_next_probe(now, probes)
    )


def _next_probe(now: datetime, probes: Sequence[int]) -> Case:
    """`failures` counts the probes made since it fell ill."""
    cases = [When(failures=made, then=Value(now + timedelta(seconds=each))) for made, each in enumerate(probes)]
    return Case(*cases, default=Value(now + timedelta(seconds=probes[-1])), output_field=DateTimeField())


# --- for people -------------------------------------------------------------------------------------------------------


def rest_of_pause(connection: Connection) -> timedelta:
    """How long until it may be called again, or is tried again; zero where it may be called now."""
    until, now = end_of_pause(connection), timezone.now()
    return until - now if until and until > now else timedelta()


def end_of_pause(connection: Connection) -> datetime | None:
    """None where there is none; it may have passed."""
    is_ill = connection.health != Health.WELL
    moments = (connection.quiet_until, connection.probe_at if is_ill else None)
    return max(filter(None, moments), default=None)


def what_to_do(connection: Connection) -> str:
    """One line for whoever sets connections up; "" where all is well."""
    if not connection.is_active:
        return _("It is paused: what is pushed is stored and waits. Resume it when its settings are complete.")
    if connection.health == Health.REFUSED:
        return _(
            "Enter the right credentials and save, or check the account at the platform: the rest follows by itself."
        )
    if connection.health == Health.OUTAGE:
        return _(
            "Nothing to do but to wait: it is tried again by itself, and what waits follows in order. If it lasts, ask "
            "the platform."
        )
    if connection.quiet_until and connection.quiet_until > timezone.now():
        return _("The platform asked us to wait: what is due follows by itself.")
    return ""
