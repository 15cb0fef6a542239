"""One history by its seed, and the search for the shortest one that still fails."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from unittest import mock

from django.core.files.storage import InMemoryStorage
from django.test import override_settings

from lifecycle.history import anchors
from providers.contract import kinds

from . import judge
from .kernel import Kernel, Stuck
from .stand_ins import installed
from .world import World, empty_tables

FIRST_DAY = datetime(2026, 9, 7, 8, tzinfo=UTC)
# The repeated and the missing hour of France, and ordinary days.
STARTS = (
    FIRST_DAY, datetime(2026, 10, 25, 0, 20, tzinfo=UTC), datetime(2027, 3, 28, 0, 20, tzinfo=UTC),
    datetime(2026, 12, 31, 22, 50, tzinfo=UTC),
)  # fmt: skip
MOVES = 12
# Short, so that what a killed process held is taken up before the platform tells of it.
LEASE = 20
WARMING = 1_000_003


@dataclass
class History:
    seed: int
    moves: int
    faults: list[str] = field(default_factory=list)
    accidents: Counter[str] = field(default_factory=Counter)
    turns: int = 0

    def __str__(self) -> str:
        lines = [f"SEED={self.seed} MOVES={self.moves}", *self.faults]
        return "\n  ".join(lines)


_is_warm = False


def live(seed: int, moves: int = MOVES) -> History:
    """Play one history, and judge it. What a process keeps (caches of tables, of classes) is filled by one before the
    first, so that a seed makes the same history wherever it is played.
    """
    global _is_warm
    if not _is_warm:
        _is_warm = True
        _live(WARMING, MOVES)
    return _live(seed, moves)


def _live(seed: int, moves: int) -> History:
    history = History(seed, moves)
    chance = random.Random(seed)
    kernel = Kernel(seed, chance.choice(STARTS) + timedelta(seconds=chance.randrange(3600)))
    world: World | None = None

    def nudged(task: str, delay: float) -> None:
        if world is not None:
            world.nudged(task, delay)

    empty_tables()
    with (
        mock.patch.dict(kinds.ADAPTERS, {"simulated": "tests.simulation.far.Simulated"}),
        mock.patch.object(anchors, "default_storage", InMemoryStorage()),
        override_settings(LEASE_SECONDS=LEASE),
        installed(kernel, nudged),
    ):
        world = World(kernel)
        try:
            world.live(moves, lambda world: rests_well(kernel, world))
            kernel.quiet = True
            history.faults = judge.faults(world)
        except Stuck as stuck:
            history.faults = [str(stuck)]
        except Exception as error:
            history.faults = [f"{type(error).__name__}: {error}"]
            raise
        finally:
            kernel.quiet = True
        history.turns = kernel.turns
        history.accidents = sum((far.faults for far in world.fars.values()), Counter({"crash": kernel.crashes}))
    return history


def rests_well(kernel: Kernel, world: World) -> bool:
    """Nothing is open any more, and every promise holds: more time would change nothing."""
    kernel.quiet = True
    try:
        return not judge.is_open(world) and not judge.faults(world)
    finally:
        kernel.quiet = False


def shortest(failed: History) -> History:
    """The fewest moves with which the same seed still fails."""
    for moves in range(1, failed.moves):
        history = live(failed.seed, moves)
        if history.faults:
            return history
    return failed


def search(seeds: Iterable[int], moves: int = MOVES) -> tuple[Counter[str], int, History | None]:
    """Play histories until one fails: accidents met, histories played, and the failed one at its shortest."""
    accidents: Counter[str] = Counter()
    played = 0
    for seed in seeds:
        history = live(seed, moves)
        played += 1
        accidents += history.accidents
        if history.faults:
            return accidents, played, shortest(history)
    return accidents, played, None
