"""The health of a connection: shared by all machines, one discovers an outage, one probe ends it."""

from datetime import timedelta
from functools import partial

import pytest
from django.utils import timezone

from providers.connections import health
from providers.connections.sealing import SealBroken
from providers.contract.base import LoginRefused, PermanentError, TemporaryError, UncertainError
from providers.models import Connection, WebhookDelivery
from tests.factories import make_connection
from tests.scripted import together

pytestmark = pytest.mark.django_db
DOWN = TemporaryError("Nobody answers.")


@pytest.fixture
def connection(platform):
    return make_connection("scripted")


def fresh(connection):
    return Connection.objects.get(pk=connection.pk)


def fall_ill(connection, error=DOWN):
    for _time in range(health.OUTAGE_AFTER):
        health.note(connection.pk, error)


def let_probe_be_due():
    Connection.objects.exclude(probe_at=None).update(probe_at=timezone.now())


def is_free(connection):
    return Connection.objects.filter(health.callable_now(), pk=connection.pk).exists()


def wait_for(connection):
    return WebhookDelivery.objects.create(connection=connection, key="d", url="", body=b"")


def seconds(moment):
    return round((moment - timezone.now()).total_seconds())


def test_success_of_a_well_connection_writes_nothing(connection, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert health.note(connection.pk, None) is False
    assert (fresh(connection).health, is_free(connection)) == ("well", True)


def test_failures_in_a_row_are_an_outage_with_since_when_and_why(connection):
    for _time in range(health.OUTAGE_AFTER - 1):
        assert health.note(connection.pk, DOWN)
        assert is_free(connection)
    health.note(connection.pk, DOWN)

    ill = fresh(connection)
    assert (ill.health, ill.ill_reason, is_free(connection)) == ("outage", "Nobody answers.", False)
    assert (seconds(ill.ill_since), seconds(ill.probe_at)) == (0, health.OUTAGE_PROBES[0])
    assert 0 < health.rest_of_pause(ill).total_seconds() <= health.OUTAGE_PROBES[0]


def test_failure_between_successes_is_no_outage(connection):
    for _time in range(2 * health.OUTAGE_AFTER):
        health.note(connection.pk, UncertainError("Cut."))
        health.note(connection.pk, None)
    assert (fresh(connection).health, fresh(connection).failures) == ("well", 0)


def test_refusal_of_one_thing_shows_that_the_platform_answers(connection):
    fall_ill(connection)

    assert health.note(connection.pk, PermanentError("No such invoice.", status_code=404)) is False
    assert fresh(connection).health == "well"


def test_what_never_left_shows_nothing(connection):
    fall_ill(connection)

    assert health.note(connection.pk, PermanentError("No number of this platform's.")) is False
    assert fresh(connection).health == "outage"


def test_probes_are_made_one_at_a_time_after_growing_pauses(connection):
    wait_for(connection)
    fall_ill(connection)
    waiting = WebhookDelivery.objects.all()
    assert health.claim_probes(waiting) == []

    for pause in (*health.OUTAGE_PROBES[1:], health.OUTAGE_PROBES[-1]):
        let_probe_be_due()
        assert health.claim_probes(waiting) == [connection.pk]
        assert health.claim_probes(waiting) == []
        health.note(connection.pk, DOWN)
        assert seconds(fresh(connection).probe_at) == pause

    let_probe_be_due()
    assert health.claim_probes(waiting) == [connection.pk]
    assert health.note_success(connection.pk)
    well = fresh(connection)
    assert (well.health, well.ill_since, well.ill_reason, well.probe_at, well.failures) == ("well", None, "", None, 0)


def test_calls_under_way_when_it_fell_ill_make_no_pause_longer(connection):
    fall_ill(connection)
    for _time in range(16):
        health.note(connection.pk, DOWN)

    assert (seconds(fresh(connection).probe_at), fresh(connection).failures) == (health.OUTAGE_PROBES[0], 0)


def test_probe_of_a_killed_worker_is_made_again_after_its_lease(connection, settings):
    wait_for(connection)
    fall_ill(connection)
    let_probe_be_due()
    health.claim_probes(WebhookDelivery.objects.all())
    assert seconds(fresh(connection).probe_at) == settings.LEASE_SECONDS

    let_probe_be_due()
    assert health.claim_probe(connection.pk)
    health.give_probe_back(connection.pk)
    assert health.claim_probe(connection.pk)


def test_nobody_probes_for_nothing(connection):
    wait_for(make_connection("scripted"))
    fall_ill(connection)
    let_probe_be_due()

    assert health.claim_probes(WebhookDelivery.objects.all()) == []


@pytest.mark.parametrize(
    "error", [LoginRefused("Wrong password."), PermanentError("No.", status_code=401), SealBroken("The key is lost.")]
)
def test_refused_login_is_the_connection_s_at_once_and_tried_rarely(connection, error):
    assert health.note(connection.pk, error)

    ill = fresh(connection)
    assert (ill.health, seconds(ill.probe_at), bool(health.what_to_do(ill))) == (
        "refused",
        health.REFUSED_PROBES[0],
        True,
    )
    health.reset(connection.pk)  # as when it is saved
    assert is_free(connection)


@pytest.mark.parametrize(
    "error", [LoginRefused("Wrong key.", line="a", status_code=401), TemporaryError("Down.", line="a", retry_after=60)]
)
def test_what_concerns_one_line_does_not_stop_the_others(connection, error):
    for _time in range(10):
        assert health.note(connection.pk, error) is False
    assert is_free(connection)


def test_quiet_time_is_kept_and_never_shortened(connection):
    health.note(connection.pk, TemporaryError("Slowly.", status_code=429, retry_after=600))
    health.note(connection.pk, TemporaryError("Slowly.", status_code=429, retry_after=5))

    quiet = fresh(connection)
    assert (quiet.health, seconds(quiet.quiet_until), is_free(connection)) == ("well", 600, False)
    assert not health.is_callable(quiet)


def test_platform_that_asks_for_patience_is_no_longer_ill(connection):
    fall_ill(connection)
    health.note(connection.pk, TemporaryError("Slowly.", status_code=503, retry_after=25))

    assert (fresh(connection).health, is_free(connection)) == ("well", False)


def test_paused_connection_is_neither_called_nor_probed(connection):
    wait_for(connection)
    fall_ill(connection)
    let_probe_be_due()
    Connection.objects.update(state="paused")

    assert (is_free(connection), health.claim_probes(WebhookDelivery.objects.all())) == (False, [])


@pytest.mark.django_db(transaction=True)
def test_of_many_machines_one_probes(connection):
    wait_for(connection)
    fall_ill(connection)
    let_probe_be_due()
    claimed = together(*[partial(health.claim_probes, WebhookDelivery.objects.all())] * 6)

    assert sorted(map(len, claimed)) == [0, 0, 0, 0, 0, 1]


@pytest.mark.django_db(transaction=True)
def test_failures_of_many_machines_are_all_counted(connection):
    together(*[partial(health.note, connection.pk, DOWN)] * health.OUTAGE_AFTER)

    assert fresh(connection).health == "outage"
    assert fresh(connection).ill_since < timezone.now() + timedelta(seconds=1)
