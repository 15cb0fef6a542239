"""From a webhook to the status the API answers with, through web server, worker and platform as real processes."""

from __future__ import annotations

import random
import threading
import time
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
from django.contrib.auth import get_user_model

from invoices.models import ApiToken, Invoice, Membership

from . import harness, load, stage

STATUS = "204"
LONE = "lone events"
LOOK_EVERY = 0.003
PATIENCE = 60


def main(arguments: list[str] | None = None) -> None:
    parser = harness.parser(__doc__)
    parser.set_defaults(rounds=1)
    parser.add_argument("--lone", type=int, default=15, help="events about a second apart, a round")
    parser.add_argument("--seconds", type=float, default=5, help="length of each load, a round")
    parser.add_argument("--rates", type=int, nargs="+", default=[20, 150], help="events a second")
    options = parser.parse_args(arguments)
    stage.open_database("latency")
    with ExitStack() as stack:
        figures, seen = measure(stack, options)
    report(figures, seen, options)


Seen = dict[str, dict[str, list[float]]]


def measure(stack: ExitStack, options: Namespace) -> tuple[harness.Figures, Seen]:
    platform = stack.enter_context(stage.sandbox())
    customer, account = stage.make_customer(), stage.make_connection(platform.url)
    loads = {LONE: options.lone} | {f"{rate} a second": round(rate * options.seconds) for rate in options.rates}
    rows = stage.make_invoices(customer, account, platform.deposit(1 + options.rounds * sum(loads.values())))
    platform.news([row.provider_ref for row in rows], STATUS)
    token = stage.open_door(account).token
    url = stack.enter_context(stage.web_server(stage.free_port()))
    stack.enter_context(stage.worker())
    watch = Watch(url, f"{url}/hooks/acube/{token}/", api_token(customer))
    unused = iter(rows)
    watch.follow([next(unused)], [0.0])  # imports, connections, the platform's token
    figures = harness.Figures("Webhook to visible in the API", "milliseconds")
    seen: Seen = {}
    for number in range(options.rounds):
        names = list(loads)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            chosen = [next(unused) for _each in range(loads[name])]
            api, rows_seen = watch.follow(chosen, _times(name, len(chosen), options))
            for kind, values in (("API", api), ("row", rows_seen)):
                seen.setdefault(name, {}).setdefault(kind, []).extend(values)
    for name, kinds in seen.items():
        for kind, values in kinds.items():
            figures.add(f"{name}, {kind}, half within", 1000 * harness.percentile(values, 0.5))
            figures.add(f"{name}, {kind}, 95 % within", 1000 * harness.percentile(values, 0.95))
    return figures, seen


def _times(name: str, count: int, options: Namespace) -> list[float]:
    """When each event is pushed, from the start on: evenly, or far apart and at any moment of the worker's polling."""
    if name == LONE:
        return [number + random.random() for number in range(count)]
    return [number / int(name.split()[0]) for number in range(count)]


def report(figures: harness.Figures, seen: Seen, options: Namespace) -> None:
    for name in seen:
        most = 250 if name == LONE else 50
        figures.aim(f"{name}: 95 % within, ms", figures.median(f"{name}, API, 95 % within"), most=most)
    figures.note("API: the answer that shows it has come, asked for once the row is committed. row: committed.")
    figures.show()


def api_token(customer: object) -> str:
    user = get_user_model().objects.create_user("erp")
    Membership.objects.create(user=user, customer=customer, role="reader")
    token = ApiToken.new_token()
    ApiToken.objects.create(user=user, digest=ApiToken.digest_of(token), hint=token[-4:])
    return token


@dataclass
class Watch:
    """Pushes events at their times and notes when each is visible."""

    url: str
    hook: str
    token: str
    local: threading.local = field(default_factory=threading.local)

    def follow(self, rows: Sequence[Invoice], times: Sequence[float]) -> tuple[list[float], list[float]]:
        """Seconds to the API's answer (of every invoice, or at high rates of a sample) and to the committed row."""
        by_ref = {row.provider_ref: row for row in rows}
        sampled = set(list(by_ref)[:: max(1, len(rows) // 200)])
        requests = [load.request(self.hook, *stage.push(self.hook, ref, STATUS)) for ref in by_ref]
        pushed: dict[str, float] = {}
        committed: dict[str, float] = {}
        headers = {"Authorization": f"Token {self.token}"}
        start = time.perf_counter() + 0.1
        with (
            httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False) as api,
            ThreadPoolExecutor(8) as pushers,
            ThreadPoolExecutor(2) as askers,
        ):
            sent = [
                pushers.submit(self._push, ref, request, start + at, pushed)
                for ref, request, at in zip(by_ref, requests, times, strict=True)
            ]
            answers = {}
            while len(committed) < len(rows):
                if time.perf_counter() > start + times[-1] + PATIENCE:
                    raise RuntimeError(f"{len(rows) - len(committed)} of {len(rows)} events never became visible.")
                waiting = [ref for ref in pushed if ref not in committed]
                shown = Invoice.objects.filter(provider_ref__in=waiting, status=STATUS) if waiting else []
                for ref in shown and list(shown.values_list("provider_ref", flat=True)):
                    committed[ref] = time.perf_counter()
                    if ref in sampled:
                        answers[ref] = askers.submit(self._ask, api, by_ref[ref])
                time.sleep(LOOK_EVERY)
            for each in sent:
                each.result()
            in_api = {ref: answer.result() for ref, answer in answers.items()}
        return [in_api[ref] - pushed[ref] for ref in in_api], [committed[ref] - pushed[ref] for ref in committed]

    def _push(self, ref: str, request: bytes, at: float, pushed: dict[str, float]) -> None:
        time.sleep(max(0.0, at - time.perf_counter()))
        # A new line each: gunicorn closes one that was silent for two seconds.
        line = load.Line(urlsplit(self.url).port or 80)
        pushed[ref] = time.perf_counter()
        line.ask(request)
        line.socket.close()

    def _ask(self, api: httpx.Client, row: Invoice) -> float:
        answer = api.get(f"/api/v1/invoices/{row.pk}/").raise_for_status().json()
        if answer["status"] != STATUS:
            raise RuntimeError(f"The row is committed, the API still answers {answer['status']}.")
        return time.perf_counter()


if __name__ == "__main__":
    main()
