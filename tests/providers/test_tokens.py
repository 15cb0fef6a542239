"""Access tokens: one login for all, and nobody drops another's."""

import threading
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection as database
from django.db import transaction
from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils import timezone

from providers.connections.registry import get_adapter
from providers.connections.services import open_hook
from providers.connections.tokens import ConnectionMemory, ConnectionVault, SharedTokens
from providers.contract.base import TemporaryError
from providers.models import CachedToken, Connection
from tests.factories import make_connection
from tests.processes import wait_until
from tests.scripted import together

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection():
    return make_connection("acube")


class Login:
    """Counts its calls and gives a token of its own to each."""

    def __init__(self, *, lasts=3600, takes=0.0):
        self.calls = 0
        self.lasts, self.takes = lasts, takes
        self.lock = threading.Lock()

    def __call__(self):
        with self.lock:
            self.calls += 1
            number = self.calls
        threading.Event().wait(self.takes)
        return f"token-{number}", timezone.now() + timedelta(seconds=self.lasts)


def test_token_is_kept_and_shared_between_processes(connection):
    login = Login()
    told = [SharedTokens(connection.pk).get("main", login) for _worker in range(3)]

    assert (told, login.calls) == (["token-1"] * 3, 1)


def test_token_is_read_once_per_batch(connection, django_assert_num_queries):
    tokens = SharedTokens(connection.pk)
    tokens.get("main", Login())

    with django_assert_num_queries(0):
        assert tokens.get("main", Login()) == "token-1"


def test_expired_token_is_replaced(connection):
    tokens, login = SharedTokens(connection.pk), Login(lasts=-1)

    assert [tokens.get("main", login) for _time in range(2)] == ["token-1", "token-2"]


def test_scopes_and_connections_have_their_own(connection):
    login = Login()
    other = make_connection()
    told = [SharedTokens(pk).get(scope, login) for pk in (connection.pk, other.pk) for scope in ("a", "b")]

    assert len(set(told)) == 4


def test_column_holds_no_token(connection):
    SharedTokens(connection.pk).get("main", Login())
    with database.cursor() as cursor:
        cursor.execute("SELECT value FROM providers_cachedtoken")
        assert "token-1" not in cursor.fetchone()[0]


def test_drop_forgets_only_the_token_it_names(connection):
    tokens, login = SharedTokens(connection.pk), Login()
    first = tokens.get("main", login)
    tokens.drop("main", first)
    second = tokens.get("main", login)
    tokens.drop("main", first)  # by a slower thread that still held the first

    assert (first, second) == ("token-1", "token-2")
    assert (tokens.get("main", login), SharedTokens(connection.pk).get("main", login)) == ("token-2", "token-2")


def test_drop_of_what_is_not_there_does_nothing(connection):
    SharedTokens(connection.pk).drop("main", "token-1")

    assert not CachedToken.objects.exists()


def test_failed_login_leaves_the_next_to_try(connection):
    def refuse():
        raise TemporaryError("Down.")

    tokens = SharedTokens(connection.pk)
    with pytest.raises(TemporaryError):
        tokens.get("main", refuse)

    assert tokens.get("main", Login()) == "token-1"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shared", [True, False], ids=["threads of one adapter", "workers"])
def test_many_at_once_log_in_once(connection, shared):
    login = Login(takes=0.2)
    kept = SharedTokens(connection.pk)
    told = together(*[lambda: (kept if shared else SharedTokens(connection.pk)).get("main", login)] * 8)

    assert (told, login.calls) == (["token-1"] * 8, 1)


@pytest.mark.django_db(transaction=True)
def test_many_that_meet_an_expired_token_log_in_once_more(connection):
    SharedTokens(connection.pk).get("main", Login())
    workers = [SharedTokens(connection.pk) for _worker in range(6)]
    again = Login(takes=0.1)
    again.calls = 1

    def renew(tokens):
        old = tokens.get("main", again)
        tokens.drop("main", old)
        return tokens.get("main", again)

    # All have used the old one and got 401 before any of them drops it.
    for tokens in workers:
        tokens.get("main", again)
    told = together(*[lambda tokens=tokens: renew(tokens) for tokens in workers])

    assert (set(told), again.calls) == ({"token-2"}, 2)


def waits_for_a_row():
    with database.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_token_is_not_kept_again_by_a_neighbour_while_it_is_dropped(connection):
    tokens, login = SharedTokens(connection.pk), Login()
    refused = tokens.get("main", login)
    held, dropping, was_read = (threading.Event() for _step in range(3))

    def hold():
        with transaction.atomic():
            CachedToken.objects.select_for_update().get()
            held.set()
            wait_until(waits_for_a_row)
            dropping.set()
            was_read.wait(0.3)

    def renew():
        held.wait()
        tokens.drop("main", refused)
        return tokens.get("main", login)

    def read():
        dropping.wait()
        token = tokens.get("main", login)
        was_read.set()
        return token

    assert (together(hold, renew, read), login.calls) == ([None, "token-2", "token-2"], 2)


# --- learned facts ----------------------------------------------------------------------------------------------------


def test_memory_keeps_facts_learned_at_the_same_time(connection):
    first, second = (ConnectionMemory(Connection.objects.get(pk=connection.pk)) for _worker in range(2))
    first.set("path", "/v2")
    second.set("key", {"id": 1})
    first.set("path", "/v3")

    connection.refresh_from_db()
    assert connection.memory == {"path": "/v3", "key": {"id": 1}}
    assert (first.get("path"), first.get("nothing")) == ("/v3", None)


# --- secrets learned from the platform ---


def test_learned_secret_is_sealed_and_merged(connection):
    ConnectionVault(connection.pk).change("hook 55", secret="whk-1", state="awaiting")
    kept = ConnectionVault(connection.pk).change("hook 55", state="active")

    sealed = CachedToken.objects.values_list(Cast("value", TextField()), flat=True).get()
    assert (kept, dict(ConnectionVault(connection.pk).get("hook 55"))) == ({"secret": "whk-1", "state": "active"},) * 2
    assert ("whk-1" in sealed, ConnectionVault(connection.pk).get("hook 56")) == (False, {})


def test_adapter_is_given_the_vault_and_its_lines_addresses(connection):
    hook, _opened = open_hook(connection=connection, line_identifier="800112237")
    account = get_adapter(connection).account
    account.vault.change("hook", secret="whk-1")

    assert ConnectionVault(connection.pk).get("hook") == {"secret": "whk-1"}
    assert (account.lines.hook_url("800112237"), account.lines.hook_url("other")) == (hook.url, "")
    assert "whk-1" not in repr(account)


@pytest.mark.django_db(transaction=True)
def test_of_many_processes_one_claims_and_all_see_what_it_learned(connection):
    memories = [ConnectionMemory(Connection.objects.get(pk=connection.pk)) for _process in range(6)]
    claimed = together(*[partial(memory.claim, "fetching", 10) for memory in memories])
    assert sorted(claimed) == [False] * 5 + [True]

    memories[0].set("key", {"print": "ab"})
    assert [memory.fresh("key") for memory in memories] == [{"print": "ab"}] * 6
    assert (memories[1].fresh("nothing"), memories[1].claim("fetching", 0)) == (None, True)
    memories[0].set("fetching", None)
    assert memories[2].claim("fetching", 10)
