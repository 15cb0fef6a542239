"""A customer with people, the web, two workers and some platforms, and the moves that make a history."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import connection as database
from django.test import Client
from django.utils.module_loading import import_string
from django_q.models import Schedule

from invoices.models import Invoice
from lifecycle.decisions import services
from lifecycle.decisions.services import DecisionRefused, KeyReused, StaleInvoice, WrongRelayState
from lifecycle.decisions.wishes import Wish
from lifecycle.inbox import deliveries
from lifecycle.models import RelayState, RelayTask, ToldFinding
from providers.connections.services import forget_hooks, open_hook
from providers.contract.base import Payment, Reason
from providers.models import Connection, WebhookDelivery
from providers.norm.codes import STATUSES
from tests.factories import SIREN, make_connection, make_customer, make_line, make_user

from .far import DIALECTS, Far, FarInvoice, Rates, Simulated
from .kernel import Kernel, Process

REFUSALS = (PermissionDenied, DecisionRefused, StaleInvoice, KeyReused, WrongRelayState)
# After the last move everything is in order, and time goes on for so long: retries and look-ups come to their end.
HEALING = (5, 90, 700, 4000, 15_000, 45_000, 100_000)
# The rest of it is played only while something is still to come.
SURELY_HEALED = 2
LOST_NUDGES = 10  # of a hundred
BETWEEN_SWEEPS = (60, 60, 300)  # seconds; a busy worker comes to it late


@dataclass(frozen=True)
class Push:
    far: Far
    body: str

    @property
    def key(self) -> str:
        return str(json.loads(self.body)["key"])


class World:
    def __init__(self, kernel: Kernel) -> None:
        # What happens is drawn apart from whose turn it is: a statement more in the code makes no other history.
        self.kernel, self.rng = kernel, random.Random(kernel.rng.random())
        self.rates = Rates()
        self.web = Process("web")
        self.workers = [Process("worker 1"), Process("worker 2")]
        self.forever = Process("the world")
        self.restart_at: dict[str, datetime] = {}
        self.next_sweep = kernel.now
        self.acknowledged: list[Push] = []
        self.moves: Counter[str] = Counter()
        # Relays that were with a person and came back: later ones may have been told meanwhile.
        self.retried: set[str] = set()
        self.warned: set[str] = set()
        self.doubted_mute: set[str] = set()
        self.is_healing = False
        self.customer = make_customer(SIREN, name="Atelier Dupont", undo_seconds=self.rng.choice((0, 0, 0, 30)))
        self.person = make_user(is_superuser=True)
        self.fars: dict[Any, Far] = {}
        Simulated.fars.clear()
        self.hooks: dict[str, str] = {}
        for dialect in self.rng.sample(DIALECTS, 2):
            self._add_platform(dialect)

    def _add_platform(self, dialect: Any) -> None:
        connection = make_connection(
            "simulated", name=f"{dialect.name}-main", polled_at=self.kernel.now,
            settings={"shown_after": 2 * dialect.shown_after},
        )  # fmt: skip
        make_line(self.customer, connection, f"{SIREN}_{dialect.name.replace('_', '').upper()}")
        far = Far(self.kernel, dialect, self.rates)
        self.fars[connection.pk] = Simulated.fars[str(connection.pk)] = far
        hook, _new = open_hook(connection=connection)
        self.hooks[dialect.name] = urlsplit(hook.url).path

    # --- the history

    def live(self, moves: int, all_is_well: Callable[[World], bool]) -> None:
        forget_hooks()
        for _move in range(moves):
            self.rng.choice(MOVES)(self)
            self.go_on(self.rng.choice((0.05, 0.3, 1, 4, 15, 70)))
            self.note_doubts()
        self.heal(all_is_well)

    def go_on(self, seconds: float) -> None:
        """Time passes: pushes arrive, sweeps come round, dead processes are started again."""
        until = self.kernel.now + timedelta(seconds=seconds)
        while self.kernel.now < until:
            due = [push["at"] for far in self.fars.values() for push in far.pushes]
            stops = [self.next_sweep, *due, *self.restart_at.values(), until]
            self.kernel.run(max(self.kernel.now, min(min(stops), until)))
            self._restart()
            self._deliver()
            if self.kernel.now >= self.next_sweep:
                self.next_sweep = self.kernel.now + timedelta(seconds=self.rng.choice(BETWEEN_SWEEPS))
                self._start_task("lifecycle.tasks.sweep")
        self.kernel.run(self.kernel.now)

    def heal(self, all_is_well: Callable[[World], bool]) -> None:
        """No more accidents: whatever is still to come, comes."""
        self.is_healing = True
        self.rates.heal()
        for far in self.fars.values():
            far.down_until = far.refuses_login_until = self.kernel.now
        for process in (self.web, *self.workers):
            process.statements = None
        Connection.objects.update(state=Connection.State.ACTIVE)
        for place, seconds in enumerate(HEALING):
            self.next_sweep = self.kernel.now + timedelta(seconds=seconds)
            self.go_on(seconds + 1)
            self.note_warnings()
            if place >= SURELY_HEALED and all_is_well(self):
                return

    # --- processes

    @property
    def came_back(self) -> set[str]:
        return self.retried.union(*(far.refused for far in self.fars.values()))

    def nudged(self, task: str, delay: float) -> None:
        if self.is_healing or self.rng.randrange(100) >= LOST_NUDGES:
            self._start_task(task, delay)

    def _start_task(self, task: str, delay: float = 0) -> None:
        """At most one waiting of a name: the nudges of a moment are one task."""
        alive = [worker for worker in self.workers if worker.is_alive]
        name = task.rpartition(".")[2]
        waiting = any(each.name == name and each.until is not None and each.ready is None for each in self.kernel.tasks)
        if not alive or (waiting and name != "sweep"):
            return

        def run() -> Any:
            self.kernel.sleep(delay)
            return import_string(task)()

        self.kernel.spawn(self.rng.choice(alive), run, name)

    def _restart(self) -> None:
        processes = [self.web, *self.workers]
        for place, process in enumerate(processes):
            if process.is_alive:
                continue
            due = self.restart_at.setdefault(
                process.name, self.kernel.now + timedelta(seconds=self.rng.choice((2, 30)))
            )
            if due <= self.kernel.now:
                del self.restart_at[process.name]
                fresh = Process(process.name)
                if place == 0:
                    self.web = fresh
                else:
                    self.workers[place - 1] = fresh

    # --- pushes

    def _deliver(self) -> None:
        for far in self.fars.values():
            for push in [each for each in far.pushes if each["at"] <= self.kernel.now]:
                far.pushes.remove(push)
                self.kernel.spawn(self.forever, lambda far=far, push=push: self._push(far, push["body"]), "push")

    def _push(self, far: Far, body: str) -> None:
        """A platform goes on until it is answered 2xx."""
        for attempt in range(12):
            answered = self.in_web(lambda: self._post(far, body))
            if answered and 200 <= answered < 300:
                self.acknowledged.append(Push(far, body))
                return
            self.kernel.sleep(5 * 2**attempt)

    def _post(self, far: Far, body: str) -> int:
        response = Client().post(self.hooks[far.dialect.name], body, content_type="application/json")
        return response.status_code

    def in_web(self, call: Any) -> Any:
        """A request: what it answers, or None where the web died under it or is not there."""
        if not self.web.is_alive:
            return None
        task = self.kernel.spawn(self.web, call, "request")
        self.kernel.wait(lambda: task.is_done)
        if task.error is not None and isinstance(task.error, Exception):
            raise task.error
        return task.result

    def request(self, call: Any) -> None:
        """A person's request; refusals are answers."""

        def run() -> None:
            try:
                call()
            except REFUSALS:
                self.moves["refused"] += 1

        if self.web.is_alive:
            self.kernel.spawn(self.web, run, "request")

    # --- what people and platforms do

    def deposit(self) -> None:
        far = self._far()
        far.deposit(self.rng.choice(("received", "received", "issued")), Decimal(self.rng.choice((120, 1200, 1305))))

    def other_party_acts(self) -> None:
        """Somebody says something on the platform: the other side, or a colleague of ours in its own console."""
        far = self._far()
        if not far.invoices:
            return self.deposit()
        invoice = self.rng.choice(list(far.invoices.values()))
        side = "BY" if invoice.direction == "received" else "SE"
        other = {"BY": "SE", "SE": "BY"}[side]
        status = self.rng.choice(SAID_BY[side] + SAID_BY[other])
        role = side if status in SAID_BY[side] else other
        payments = (self._payment(invoice),) if status in ("211", "212") else ()
        far.add(invoice, status, role, reasons=self._reasons(status), payments=payments, note=self._note())
        return None

    def two_in_one_second(self) -> None:
        """Two receipts or payments that only their amounts and ids tell apart."""
        far = self._far()
        if not far.invoices:
            return self.deposit()
        invoice = self.rng.choice(list(far.invoices.values()))
        status, role = self.rng.choice((("211", "BY"), ("212", "SE")))
        for amount in ("10.00", "20.00"):
            payment = Payment(amount=Decimal(amount), vat_rate=Decimal(20), currency="EUR")
            far.add(invoice, status, role, payments=(payment,))
        return None

    def colleague_says_the_same_word(self) -> None:
        """In the platform's own console, for another reason or with another text than ours."""
        rows = list(RelayTask.objects.select_related("event", "invoice").order_by("created_at", "sequence"))
        if not rows:
            return self.decide()
        relay = self.rng.choice(rows[-3:])
        event, far = relay.get_event(), self.fars[relay.connection_id]
        reasons = (Reason(code="ART_ERR", text="autre article"),) if event.reasons else ()
        values = {"reasons": reasons, "note": "dit sur la plateforme"}
        if event.payments:
            values["payments"] = (Payment(amount=Decimal("7.00"), vat_rate=Decimal(20), currency="EUR"),)
        far.add(far.invoices[relay.invoice.provider_ref], relay.status, event.issuer_role, **values)
        return None

    def decide(self) -> None:
        rows = list(Invoice.objects.exclude(status=None).order_by("number").values_list("pk", flat=True))
        if not rows:
            return self.deposit()
        key = self.rng.choice(rows)
        self.request(lambda: self._decide(key))
        return None

    def _decide(self, key: Any) -> None:
        invoice = Invoice.objects.select_related("customer", "connection", "addressing_line").get(pk=key)
        codes = services.next_statuses(invoice)
        if not codes:
            return
        code = self.rng.choice([each for each in codes if each not in ("210", "220")] or codes)
        wish = Wish(status=code, reasons=self._reasons(code), note=self._note())
        if STATUSES[code].payment != "none":
            wish = replace(
                wish, payments=(Payment(amount=self._amount(), vat_rate=Decimal(20), currency="EUR"),), sure=True
            )
        services.issue_status(user=self.person, invoice_id=key, wish=wish)
        self.moves[f"said {code}"] += 1

    def take_back(self) -> None:
        self._with_relay((RelayState.SCHEDULED, RelayState.FAILED, RelayState.UNSUPPORTED), services.cancel)

    def try_again(self) -> None:
        self._with_relay((RelayState.FAILED,), services.retry)

    def note_warnings(self) -> None:
        clocks = ToldFinding.objects.filter(name__startswith="clock:").values_list("name", flat=True)
        self.warned |= {name.rpartition(":")[2] for name in clocks}

    def note_doubts(self) -> None:
        """Relays that are uncertain without having spoken, at any time."""
        mute = RelayTask.objects.filter(state=RelayState.UNCERTAIN, spoke_at=None)
        self.doubted_mute |= {str(key) for key in mute.values_list("pk", flat=True)}

    def look_and_say(self) -> None:
        """A person looks at the platform, and says what is true."""
        relay = self._relay((RelayState.UNCERTAIN,))
        if relay is not None:
            arrived = bool(self.fars[relay.connection_id].effects[str(relay.pk)])
            self.retried.add(str(relay.pk))
            self.request(lambda: services.resolve(user=self.person, relay_id=relay.pk, arrived=arrived))

    def _relay(self, states: Any) -> RelayTask | None:
        rows = list(RelayTask.objects.filter(state__in=states).order_by("created_at", "sequence"))
        return self.rng.choice(rows) if rows else None

    def _with_relay(self, states: Any, act: Any) -> None:
        relay = self._relay(states)
        if relay is not None:
            self.retried.add(str(relay.pk))
            self.request(lambda: act(user=self.person, relay_id=relay.pk))

    def replay(self) -> None:
        rows = list(WebhookDelivery.objects.order_by("received_at", "key").values_list("pk", flat=True))
        if rows:
            key = self.rng.choice(rows)
            self.request(lambda: deliveries.replay(user=self.person, delivery_id=key))

    def outage(self) -> None:
        far = self._far()
        far.down_until = self.kernel.now + timedelta(seconds=self.rng.choice((20, 120, 700)))
        far.faults["outage"] += 1

    def expired_password(self) -> None:
        far = self._far()
        far.refuses_login_until = self.kernel.now + timedelta(seconds=self.rng.choice((30, 300)))
        far.faults["expired password"] += 1

    def pause(self) -> None:
        connection = self.rng.choice(list(Connection.objects.order_by("name")))
        other = {"active": "paused", "paused": "active"}[connection.state]
        Connection.objects.filter(pk=connection.pk).update(state=other)

    def kill(self) -> None:
        self.kernel.kill_soon(self.rng.choice([self.web, *self.workers]))

    def wait(self) -> None:
        self.go_on(self.rng.choice((90, 600)))

    # --- details

    def _far(self) -> Far:
        return self.rng.choice(list(self.fars.values()))

    def _reasons(self, status: str) -> tuple[Reason, ...]:
        code = self.rng.choice(REASONS.get(status, ("",)))
        text = self.rng.choice(("", "9 reçus", "10 reçus"))
        return (Reason(code=code, text=text),) if code else ()

    def _note(self) -> str:
        return self.rng.choice(("", "", "voir le bon 12"))

    def _amount(self) -> Decimal:
        return Decimal(self.rng.choice(("10.00", "20.00", "60.00")))

    def _payment(self, invoice: FarInvoice) -> Payment:
        return Payment(amount=self._amount(), vat_rate=Decimal(20), currency="EUR")


SAID_BY = {"BY": ("204", "205", "207", "208", "211"), "SE": ("209", "212")}
REASONS = {"206": ("QTE_ERR",), "207": ("QTE_ERR", "CMD_ERR"), "208": ("JUSTIF_ABS",), "210": ("CMD_ERR",)}
MOVES = (
    *[World.deposit] * 2, *[World.other_party_acts] * 2, *[World.decide] * 7, World.two_in_one_second,
    *[World.colleague_says_the_same_word] * 2, World.take_back, World.try_again, World.look_and_say, World.replay,
    World.outage, World.expired_password, World.pause, *[World.kill] * 2, World.wait,
)  # fmt: skip

TABLES = (
    "lifecycle_seenreport", "lifecycle_relayattempt", "lifecycle_idempotencykey", "lifecycle_relaytask",
    "lifecycle_plannedlook", "lifecycle_statusevent", "lifecycle_historyanchor", "lifecycle_toldfinding",
    "providers_webhookdelivery", "providers_refusedrequest", "providers_hook", "providers_connection",
    "invoices_auditentry", "invoices_invoice", "invoices_addressingline", "invoices_membership", "invoices_customer",
    "auth_user",
)  # fmt: skip


def empty_tables() -> None:
    """Nothing is left of an earlier history, nor of what migrations put there and other tests may have emptied."""
    ContentType.objects.clear_cache()
    Schedule.objects.all().delete()
    with database.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(TABLES)} RESTART IDENTITY CASCADE")
