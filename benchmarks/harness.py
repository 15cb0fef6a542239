"""Interleaved rounds, medians, ratios. A figure alone says little: machines differ by the hour, ratios do not."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

ROUNDS = 5
Measure = Callable[[], float]


@dataclass
class Figures:
    """What each subject showed, round by round."""

    title: str
    unit: str
    rows: dict[str, list[float]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def add(self, name: str, figure: float) -> None:
        self.rows.setdefault(name, []).append(figure)

    def median(self, name: str) -> float:
        return statistics.median(self.rows[name])

    def ratio(self, name: str, to: str) -> float:
        """The median of the rounds' own ratios: what disturbed a whole round disturbs it less."""
        return statistics.median(mine / other for mine, other in zip(self.rows[name], self.rows[to], strict=True))

    def aim(self, words: str, ratio: float, *, least: float | None = None, most: float | None = None) -> None:
        met = (least is None or ratio >= least) and (most is None or ratio <= most)
        wanted = f"at least {least:g}" if least is not None else f"at most {most:g}"
        self.lines.append(f"  {words}: {ratio:.3g} (aim: {wanted}) {'met' if met else 'NOT MET'}")

    def note(self, words: str) -> None:
        self.lines.append(f"  {words}")

    def show(self) -> None:
        print(f"\n{self.title}\n")
        width = max(len(name) for name in self.rows)
        print(f"  {'':<{width}}  {'median':>10} {'lowest':>10} {'highest':>10}  {self.unit}")
        for name, figures in self.rows.items():
            numbers = (statistics.median(figures), min(figures), max(figures))
            print(f"  {name:<{width}}  " + " ".join(f"{number:>10.4g}" for number in numbers))
        print()
        print("\n".join(self.lines), flush=True)


def interleave(figures: Figures, subjects: dict[str, Measure], rounds: int) -> None:
    """Every subject once per round, each round starting with another one."""
    names = list(subjects)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            figures.add(name, subjects[name]())


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def parser(words: str | None) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=words, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    made.add_argument("--rounds", type=int, default=ROUNDS, help="interleaved rounds")
    return made
