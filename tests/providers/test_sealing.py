"""Secrets at rest: sealed in the column, opened when needed, never shown."""

import copy
import json
import logging
import pickle
import traceback

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.serializers import serialize
from django.db import connection as database

from providers.connections.registry import get_adapter
from providers.connections.sealing import SealBroken, Secrets, reseal, seal, unseal
from providers.connections.services import check_connection, save_connection
from providers.models import Connection
from tests.factories import make_connection

SECRET = "correct horse battery staple"
OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture(autouse=True)
def _known_platform(platform):
    """Connections here are of the kind "scripted"."""


@pytest.fixture
def connection(db):
    return make_connection("scripted", secrets={"secret": SECRET})


def column(connection):
    with database.cursor() as cursor:
        cursor.execute("SELECT secrets FROM providers_connection WHERE id = %s", [connection.pk])
        return cursor.fetchone()[0]


def stored(connection):
    return Connection.objects.get(pk=connection.pk)


def test_column_holds_no_secret(connection):
    assert SECRET not in column(connection)
    assert stored(connection).secrets == {"secret": SECRET}


def test_no_secrets_leave_the_column_empty(db):
    connection = make_connection("scripted")

    assert (column(connection), len(stored(connection).secrets)) == ("", 0)


@pytest.mark.parametrize("opened", [False, True])
def test_secrets_do_not_show(connection, opened, caplog):
    row = stored(connection)
    assert not opened or row.secrets["secret"] == SECRET
    account = get_adapter(row).account
    logging.getLogger("test").warning("%s %r %s", row.secrets, row.secrets, account)
    try:
        raise ValueError(row.secrets, account)
    except ValueError as error:
        shown = [repr(row.secrets), str(row.secrets), f"{row.secrets}", repr(account), repr(vars(row)), caplog.text]
        shown += ["".join(traceback.format_exception(error)), serialize("json", [row])]
        shown += [repr(pickle.dumps(row)), repr(pickle.dumps(row.secrets)), repr(copy.deepcopy(row.secrets))]

    assert [text for text in shown if SECRET in text] == []


def test_secrets_are_no_json(connection):
    with pytest.raises(TypeError):
        json.dumps(stored(connection).secrets)


def test_pickled_secrets_open_again(connection):
    assert pickle.loads(pickle.dumps(stored(connection))).secrets == {"secret": SECRET}  # noqa: S301 - our own


def test_old_key_still_opens_and_the_newest_seals(settings):
    settings.SECRETS_KEYS = [OLD]
    sealed = seal(SECRET)
    settings.SECRETS_KEYS = [NEW, OLD]
    assert unseal(sealed) == SECRET

    rotated = reseal(sealed)
    settings.SECRETS_KEYS = [NEW]
    assert unseal(rotated) == SECRET
    with pytest.raises(SealBroken):
        unseal(sealed)


def test_lost_key_is_told_clearly(connection, settings):
    settings.SECRETS_KEYS = [NEW]
    row = stored(connection)

    with pytest.raises(SealBroken, match="SECRETS_KEYS"):
        row.secrets["secret"]
    assert repr(row.secrets) == "<Secrets: hidden>"


def test_lost_key_leaves_the_row_usable_and_the_secret_in_place(connection, settings):
    before = column(connection)
    kept = settings.SECRETS_KEYS
    settings.SECRETS_KEYS = [NEW]
    row = stored(connection)
    row.state = "paused"
    row.save()
    assert column(connection) == before

    settings.SECRETS_KEYS = kept
    assert (stored(connection).state, stored(connection).secrets) == ("paused", {"secret": SECRET})


def test_lost_key_is_the_result_of_a_check(connection, settings, monkeypatch):
    monkeypatch.setattr("tests.scripted.Scripted.check", lambda self: [self.account.secrets["secret"]])
    settings.SECRETS_KEYS = [NEW]

    assert [(result.ok, "SECRETS_KEYS" in result.message) for result in check_connection(stored(connection))] == [
        (False, True)
    ]


def test_no_keys_at_all_is_a_fault_of_the_set_up(settings):
    settings.SECRETS_KEYS = []

    with pytest.raises(ImproperlyConfigured):
        seal(SECRET)


def test_new_secrets_are_merged_into_the_old(connection):
    made, is_new = save_connection(
        name=connection.name, kind="scripted", environment="sandbox", settings={}, secrets={"secret": "new"}
    )

    assert (is_new, made.pk, stored(connection).secrets) == (False, connection.pk, {"secret": "new"})
    with pytest.raises(ValueError, match="Unknown secrets") as refused:
        save_connection(
            name=connection.name, kind="scripted", environment="sandbox", settings={}, secrets={"pasword": SECRET}
        )
    assert SECRET not in str(refused.value)


def test_empty_secrets_are_equal_to_none():
    assert not Secrets()
    assert Secrets({"a": "b"}) == {"a": "b"}
