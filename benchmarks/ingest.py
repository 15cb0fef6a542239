"""How many deliveries a second our webhook door takes in, beside a bare view and beside all work inside the request."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle, islice

from . import harness, load, stage

OURS, BARE, CLAD, INSIDE = "our door", "bare view", "bare view, our middleware", "all work inside"
PROJECT, NAKED, COMPARED = "einvoice_project.wsgi", "benchmarks.bare_wsgi", "benchmarks.doors"
# Path, WSGI application, URLconf ("" is the project's own).
DOORS = {
    OURS: ("hooks/acube", PROJECT, ""),
    BARE: ("bare", NAKED, COMPARED),
    CLAD: ("bare", PROJECT, COMPARED),
    INSIDE: ("inside", PROJECT, COMPARED),
}


def main(arguments: list[str] | None = None) -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--requests", type=int, default=1200, help="deliveries a round, for the quick doors")
    parser.add_argument("--slow-requests", type=int, default=100, help="deliveries a round, all work inside")
    parser.add_argument("--connections", type=int, default=4, help="connections of the client")
    options = parser.parse_args(arguments)
    stage.open_database("ingest")
    with ExitStack() as stack:
        figures = measure(stack, options)
    figures.aim(f"{OURS} ÷ {BARE}", figures.ratio(OURS, BARE), least=0.9)
    figures.aim(f"{OURS} ÷ {INSIDE}", figures.ratio(OURS, INSIDE), least=4.5)
    figures.note(f"{OURS} ÷ {CLAD}: {figures.ratio(OURS, CLAD):.3g}")
    figures.show()


def measure(stack: ExitStack, options: Namespace) -> harness.Figures:
    platform = stack.enter_context(stage.sandbox())
    account = stage.make_connection(platform.url)
    token = stage.open_door(account).token
    # All work inside: each delivery tells a status its invoice does not have yet, in the warm-up too.
    refs = platform.deposit(options.slow_requests * (options.rounds + 1))
    stage.make_invoices(stage.make_customer(), account, refs)
    platform.news(refs, "204")
    subjects = {}
    for number, (name, (path, application, urlconf)) in enumerate(DOORS.items()):
        port = stage.free_port()
        # A database each: what the quick doors stored must not wait for the one that works.
        environment = {"NAVETTE_BENCHMARK_DATABASE": f"ingest_{number}"}
        stage.copy_database("ingest", f"ingest_{number}")
        environment |= {"NAVETTE_BENCHMARK_URLCONF": urlconf} if urlconf else {}
        url = stack.enter_context(stage.web_server(port, application, **environment))
        named = iter(refs) if name == INSIDE else cycle(refs)
        count = options.slow_requests if name == INSIDE else options.requests
        subjects[name] = _subject(f"{url}/{path}/{token}/", port, named, count, options.connections)
    for subject in subjects.values():
        subject()  # imports, connections to the database, the platform's token
    figures = harness.Figures("Webhook ingest", "deliveries a second")
    harness.interleave(figures, subjects, options.rounds)
    return figures


def _subject(target: str, port: int, named: Iterator[str], count: int, connections: int) -> harness.Measure:
    def ask() -> float:
        pushes = (stage.push(target, ref) for ref in islice(named, count))
        requests = [load.request(target, body, headers) for body, headers in pushes]
        return load.rate(port, requests, connections)

    return ask


if __name__ == "__main__":
    main()
