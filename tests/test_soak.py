"""All platforms at once, misbehaving, with processes killed: all ends in its place, nothing is lost or said twice."""

import os
import random

import pytest

from providers.sandbox.server import SandboxServer
from tests.factories import make_customer, make_user
from tests.processes import Navette, sweep_until
from tests.soak.judge import Judge
from tests.soak.platforms import SANDBOX, Desk
from tests.soak.player import Player

SECONDS = float(os.environ.get("SOAK_SECONDS", "0"))
SEED = int(os.environ.get("SOAK_SEED", random.SystemRandom().randrange(10**6)))

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not SECONDS, reason="takes minutes: `make soak` runs it"),
]


@pytest.fixture
def navette(settings):
    processes = Navette()
    settings.PUBLIC_URL = processes.url
    yield processes
    processes.stop()


@pytest.fixture
def sandbox():
    with SandboxServer(settings=SANDBOX) as running:
        yield running


def test_everything_settles_after_a_run_with_faults(navette, sandbox):
    rng = random.Random(SEED)
    customer = make_customer()
    navette.start_web()
    desk = Desk(sandbox, customer, rng)
    navette.start_worker()
    player = Player(desk, navette, make_user(customer, "approver"), rng)
    judge = Judge(desk, make_user(customer, "administrator"))

    player.play(SECONDS)
    sandbox.control("faults", method="DELETE")

    def told():
        said = "\n".join(judge.found)
        return f"SOAK_SEED={SEED} {dict(player.done)} {dict(judge.answered)}\n{said}"

    sweep_until(judge.settled, 60 + SECONDS, told)
    print(told())  # shown by -s: how much of everything there was
