"""What tests of the outbox ask of relays."""

from django.utils import timezone

from lifecycle.models import RelayAttempt, RelayTask
from providers.base import UncertainError

CUT = UncertainError("The connection broke off after the request was sent.")


def fresh(relay):
    return RelayTask.objects.select_related("event").get(pk=relay.pk)


def state_of(relay):
    return fresh(relay).state


def make_due():
    """As if the time had passed."""
    RelayTask.objects.exclude(next_attempt_at=None).update(next_attempt_at=timezone.now())


def wait_of(relay):
    return (fresh(relay).next_attempt_at - timezone.now()).total_seconds()


def outcomes(relay):
    return list(RelayAttempt.objects.filter(relay=relay).order_by("id").values_list("kind", "outcome"))
