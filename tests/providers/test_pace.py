"""The pace of a connection, kept by all processes together."""

import httpx
import pytest

from providers.connections import registry
from providers.connections.pace import next_turn
from providers.models import Connection
from tests.factories import make_connection
from tests.scripted import together

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_workers_share_the_turns_of_a_connection():
    connection = make_connection()

    taken = together(*[lambda: [next_turn(connection.pk, 2) for _call in range(4)]] * 2)

    # Two at once, then two a second, each turn to one of them; the test itself takes less than half a second.
    assert sorted(round(2 * wait + 0.4) for each in taken for wait in each) == [0, 0, 1, 2, 3, 4, 5, 6]


def test_turns_of_one_connection_delay_no_other():
    busy, other = make_connection(), make_connection(name="other")
    for _call in range(9):
        next_turn(busy.pk, 1)

    assert (next_turn(other.pk, 1), next_turn(busy.pk, 1) > 8) == (0, True)


@pytest.mark.parametrize(("per_second", "is_written"), [(0, False), (50, True)])
def test_pace_is_written_only_where_the_platform_has_one(per_second, is_written):
    account = make_connection(
        kind="acube", settings={"api_url": "https://platform.example.test", "requests_per_second": per_second}
    )
    client = httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(204)))

    registry.get_adapter(account, client=client).wire.exchange("GET", "https://platform.example.test", repeatable=True)

    assert (Connection.objects.get(pk=account.pk).paced_until is not None) == is_written
