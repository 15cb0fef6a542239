"""All platforms at once, misbehaving, with processes killed: all ends in its place, nothing is lost or said twice."""

import logging
import os
import random

import pytest

from providers.sandbox.server import SandboxServer
from tests.factories import make_customer, make_user
from tests.processes import Navette, sweep_until
from tests.soak import leaks
from tests.soak.judge import Judge
from tests.soak.platforms import SANDBOX, Desk
from tests.soak.player import Player, keep_commits

SECONDS = float(os.environ.get("SOAK_SECONDS", "0"))
SEED = int(os.environ.get("SOAK_SEED", random.SystemRandom().randrange(10**6)))

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not SECONDS, reason="takes minutes: `make soak` runs it"),
]


@pytest.fixture
def navette(settings, tmp_path):
    processes = Navette(log=tmp_path / "log", LOG_LEVEL="DEBUG")
    settings.PUBLIC_URL = processes.url
    yield processes
    processes.stop()


@pytest.fixture
def sandbox():
    with SandboxServer(settings=SANDBOX) as running:
        yield running


@pytest.fixture
def player(navette, sandbox):
    rng = random.Random(SEED)
    customer = make_customer()
    keep_commits()
    navette.start_web()
    desk = Desk(sandbox, customer, rng)
    navette.start_worker()
    player = Player(desk, navette, make_user(customer, "approver"), rng)
    player.warm_up()
    return player


def test_everything_settles_after_a_run_with_faults(player, sandbox):
    judge = Judge(player.desk, make_user(player.desk.customer, "administrator"))
    player.play(SECONDS)
    sandbox.control("faults", method="DELETE")

    def told():
        said = "\n".join(judge.found)
        return f"SOAK_SEED={SEED} {dict(player.done)} {dict(judge.answered)}\n{said}"

    sweep_until(judge.settled, 60 + SECONDS, told)
    print(told())  # shown by -s: how much of everything there was


def test_no_secret_is_shown_after_a_run_with_faults(player, sandbox, navette, admin_client, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    for kind in ("unauthorized_once", "server_error", "cut_after", "cut_before", "rate_limited"):
        sandbox.control("faults", kind=kind, path="login|token|/acube/|/seqino/|/billit/|/cegid|/afnor/", times=3)
    player.play(5)
    navette.stop()
    told = "".join([*leaks.shown_to_people(admin_client), *leaks.stored()])
    printed = capsys.readouterr()
    logs = f"{caplog.text}{printed.out}{printed.err}{navette.log.read_text()}"
    secrets = leaks.secrets_of(player.desk)

    assert [secret for secret in secrets if secret in told + logs] == []
    assert [token for token in leaks.hook_tokens() if token in logs] == []
    assert (len(secrets) > 20, len(told) > 100_000, "hooks/acube/***" in logs) == (True, True, True)
