"""What tests of the outbox ask of relays."""

from django.utils import timezone

from lifecycle.models import RelayAttempt, RelayTask
from lifecycle.outbox import claims, relays, states
from providers.connections import health
from providers.contract.base import UncertainError
from providers.models import Connection

CUT = UncertainError("The connection broke off after the request was sent.")


def fresh(relay):
    return RelayTask.objects.select_related("event").get(pk=relay.pk)


def state_of(relay):
    return fresh(relay).state


def make_due():
    """As if the time had passed, and the platform had answered others meanwhile."""
    RelayTask.objects.exclude(next_attempt_at=None).update(next_attempt_at=timezone.now())
    for connection in Connection.objects.all():
        health.reset(connection.pk)


def wait_of(relay):
    return (fresh(relay).next_attempt_at - timezone.now()).total_seconds()


def outcomes(relay):
    return list(RelayAttempt.objects.filter(relay=relay).order_by("id").values_list("kind", "outcome"))


def begin(relay):
    """As a worker does that tells it now and has no answer yet: the claim, and the mark that it spoke."""
    (claim,) = [each for each in claims.claim_to_tell() if each.relay.pk == relay.pk]
    return claim, states.speak([claim])[relay.pk]


def ended(claim, spoke_at, **outcome):
    """What a worker writes when the call has ended."""
    relays.record([relays.Try(claim, "send", timezone.now(), 0.1, spoke_at=spoke_at, **outcome)])
