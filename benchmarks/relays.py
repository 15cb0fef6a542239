"""How many decisions a second reach a platform that takes 50 ms, beside what its latency and itself allow."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone

from invoices.models import Invoice, Membership
from lifecycle.decisions import messages, services
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayState, RelayTask
from lifecycle.outbox import relays
from lifecycle.outbox.claims import claim_to_tell
from providers.connections.registry import get_adapter

from . import harness, stage

OURS, POOL, ALONE = "our drain", "bare pool of threads", "one by one, a fresh client each"
THEORY = "threads ÷ latency"


def main(arguments: list[str] | None = None) -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--relays", type=int, default=640, help="decisions a round, each of another invoice")
    parser.add_argument("--alone", type=int, default=40, help="decisions a round, one by one")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds the platform takes for any call")
    options = parser.parse_args(arguments)
    stage.open_database("relays")
    with ExitStack() as stack:
        figures = measure(stack, options)
    figures.aim(f"{OURS} ÷ {THEORY}", figures.ratio(OURS, THEORY), least=0.75)
    figures.aim(f"{OURS} ÷ {ALONE}", figures.ratio(OURS, ALONE), least=15)
    figures.note(f"{OURS} ÷ {POOL}: {figures.ratio(OURS, POOL):.3g}")
    figures.note(f"{POOL} ÷ {THEORY}: {figures.ratio(POOL, THEORY):.3g}")
    figures.show()


def measure(stack: ExitStack, options: Namespace) -> harness.Figures:
    platform = stack.enter_context(stage.sandbox())
    customer, account = stage.make_customer(), stage.make_connection(platform.url)
    invoices = stage.make_invoices(customer, account, platform.deposit(options.relays))
    decide(customer, invoices)
    platform.control("settings", latency=options.latency)
    threads = settings.RELAY_THREADS
    calls = stack.enter_context(BarePool(platform.url, [invoice.provider_ref for invoice in invoices], threads))
    subjects = {
        OURS: lambda: drain(options.relays),
        POOL: calls.rate,
        ALONE: lambda: one_by_one(options.alone),
        THEORY: lambda: threads / options.latency,
    }
    drain(min(threads, options.relays))  # imports, connections, the platform's token
    figures = harness.Figures(f"Relays, {threads} threads, {options.latency * 1000:g} ms", "decisions a second")
    harness.interleave(figures, subjects, options.rounds)
    return figures


def decide(customer: object, invoices: Sequence[Invoice]) -> None:
    clerk = get_user_model().objects.create_user("clerk")
    Membership.objects.create(user=clerk, customer=customer, role="clerk")
    for invoice in invoices:
        services.issue_status(user=clerk, invoice_id=invoice.pk, wish=Wish(status="204"))


def make_due(count: int) -> None:
    """As if they had just been decided: the sandbox accepts a status as often as it is told."""
    RelayTask.objects.update(state=RelayState.CONFIRMED, next_attempt_at=None, leased_until=None)
    chosen = RelayTask.objects.values("pk")[:count]
    RelayTask.objects.filter(pk__in=chosen).update(state=RelayState.PENDING, next_attempt_at=timezone.now())


def require_sent(count: int) -> None:
    if RelayTask.objects.filter(state=RelayState.SENT).count() != count:
        states = list(RelayTask.objects.values_list("state", "last_error").distinct()[:5])
        raise RuntimeError(f"Not all {count} relays were sent: {states}")


def drain(count: int) -> float:
    make_due(count)
    taken = harness.seconds(relays.drain)
    require_sent(count)
    return count / taken


def one_by_one(count: int) -> float:
    """As a task per decision does it: a client of its own, nothing shared but the login, its own transactions."""
    make_due(count)
    started = time.perf_counter()
    for _each in range(count):
        relay = claim_to_tell(1)[0].relay
        with httpx.Client() as client:
            receipt = get_adapter(relay.connection, client=client).send_status(messages.message_of(relay))
        relay.state, relay.sent_at = RelayState.SENT, timezone.now()
        relay.receipt, relay.next_attempt_at, relay.leased_until = {"text": receipt.text}, None, None
        relay.save()
    taken = time.perf_counter() - started
    require_sent(count)
    return count / taken


class BarePool:
    """The same calls with nothing of ours around them."""

    def __init__(self, url: str, refs: Sequence[str], threads: int) -> None:
        self.refs, self.threads = refs, threads
        self.client = httpx.Client(base_url=url, timeout=30, limits=httpx.Limits(max_connections=threads))
        token = self.client.post("/login", json={"email": "bare@example.test", "password": "x"}).json()["token"]
        self.client.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> BarePool:
        return self

    def __exit__(self, *failure: object) -> None:
        self.client.close()

    def tell(self, ref: str) -> None:
        self.client.post(f"/invoices/{ref}/lifecycle", json={"afnorStatusCode": 204}).raise_for_status()

    def rate(self) -> float:
        with ThreadPoolExecutor(self.threads) as pool:
            return len(self.refs) / harness.seconds(lambda: list(pool.map(self.tell, self.refs)))


if __name__ == "__main__":
    main()
