"""A seeded, random run of everything at once: deposits, decisions, news, misbehaviours, killed processes."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db import connection as database

from invoices.models import Invoice, Validation
from lifecycle.decisions import carrying, services
from lifecycle.decisions.services import DecisionRefused
from lifecycle.decisions.wishes import Wish
from lifecycle.outbox import submissions
from lifecycle.outbox.submissions import Submission
from providers.contract.base import File, Payment, Reason
from providers.formats.en16931.writer import write_invoice
from providers.models import Connection
from providers.norm.codes import FINAL_STATUSES, STATUSES
from providers.sandbox.faults import KINDS as FAULTS
from tests.factories import SIREN
from tests.invoices.documents.issued import BUYER, SELLER, make_document
from tests.processes import Navette, wait_until

from .platforms import BY_KIND, PLATFORMS, Desk, Platform

ACTIONS = {"deposit": 4, "hand_in": 2, "decide": 8, "report": 6, "fault": 5, "poll": 0.5}
FAULT_PATHS = (
    "",
    "",
    "",
    "login|token",
    "/acube/",
    "/seqino/",
    "/billit/",
    "/cegid",
    "/afnor/",
    "[Ii]nvoice",
    "[Ss]tatus",
)
KILL_EVERY = 5.0
PAUSE = 0.05
# What a platform or its network tells of an invoice on its way, in this order; and what the other party may say then.
ON_ITS_WAY = {"INBOUND": (), "OUTBOUND": ("201", "202", "203")}
SAID_BY_OTHERS = {"INBOUND": ("209", "212"), "OUTBOUND": ("204", "205", "206", "207", "208", "210", "211")}
# Where the sandbox plays our own customer, or tells nothing more of what came in.
SAID_BY_OTHERS_AT = {("cegid", "OUTBOUND"): ("209", "212"), ("billit", "INBOUND"): ()}
FINAL_CHANCE = 0.2


class Player:
    def __init__(self, desk: Desk, navette: Navette, user: Any, rng: random.Random) -> None:
        self.desk = desk
        self.sandbox = desk.sandbox
        self.navette = navette
        self.user = user
        self.rng = rng
        self.done: Counter[str] = Counter()

    def play(self, seconds: float) -> None:
        stop_at = time.monotonic() + seconds
        kill_at = time.monotonic() + min(KILL_EVERY, seconds / 2)
        while time.monotonic() < stop_at:
            action = self.rng.choices(list(ACTIONS), list(ACTIONS.values()))[0]
            self.done[action] += getattr(self, action)()
            if time.monotonic() > kill_at:
                self.kill()
                kill_at = time.monotonic() + KILL_EVERY * self.rng.uniform(0.5, 1.5)
            time.sleep(PAUSE)

    def warm_up(self) -> None:
        """One invoice each way through every platform, so that the run begins with all processes at work."""
        ways = [(platform, direction) for platform in PLATFORMS for direction in platform.directions]
        for platform, direction in ways:
            self._deposit(platform, direction)
        wait_until(lambda: Invoice.objects.exclude(status=None).count() >= len(ways) - 1, seconds=60)

    def deposit(self) -> bool:
        platform = self.rng.choice(PLATFORMS)
        self._deposit(platform, self.rng.choice(platform.directions))
        return True

    def _deposit(self, platform: Platform, direction: str) -> None:
        ours = "buyer" if direction == "INBOUND" else "seller"
        line = self.desk.lines[platform.kind].identifier
        wish = {f"{ours}_siren": SIREN, f"{ours}_address": line}
        self.sandbox.control("deposit", dialect=platform.kind, direction=direction, **wish)

    def hand_in(self) -> bool:
        """An invoice that our customer issues, or that we bring to it as its platform."""
        platform = self.rng.choice([each for each in PLATFORMS if each.takes])
        line = self.desk.lines[platform.kind]
        number = f"V-{self.done['hand_in'] + 1:04}"
        ours = replace(SELLER, electronic_address=line.identifier)
        parties = {"seller": BUYER, "buyer": ours} if platform.takes == "INBOUND" else {"seller": ours}
        file = File(kind="original", content=write_invoice(make_document(number=number, **parties), "ubl"))
        submission = Submission(line=line, file=file, submit=True, received=platform.takes == "INBOUND")
        relay, _new = submissions.hand_in(user=self.user, submission=submission)
        # The official rules would take both cores, and have tests of their own.
        Validation.objects.filter(document=relay.document).update(state="done", outcome="valid")
        return True

    def report(self) -> bool:
        """The platform, the network or the other party says something it has not said of this invoice yet."""
        invoices = self.sandbox.control("invoices")["invoices"]
        invoice = self.rng.choice(invoices) if invoices else None
        if invoice is None or set(invoice["statuses"]) & {"210", "213"}:
            return False
        code = self._next_of_others(invoice)
        if code is None:
            return False
        details = BY_KIND[invoice["dialect"]].reasons(code) if STATUSES[code].reason == "required" else {}
        self.sandbox.control("status", invoice=invoice["uuid"], status=code, **details)
        return True

    def _next_of_others(self, invoice: dict[str, Any]) -> str | None:
        kind, direction, told = invoice["dialect"], invoice["direction"], invoice["statuses"]
        if on_its_way := [code for code in ON_ITS_WAY[direction] if code not in told]:
            return on_its_way[0]
        able = SAID_BY_OTHERS_AT.get((kind, direction), SAID_BY_OTHERS[direction])
        wanted = [code for code in able if code not in told and (code not in FINAL_STATUSES or self._is_rare())]
        return self.rng.choice(wanted) if wanted else None

    def _is_rare(self) -> bool:
        return self.rng.random() < FINAL_CHANCE

    def decide(self) -> bool:
        """Whatever our user is offered, with reasons that the law and the platform allow."""
        pks = list(Invoice.objects.order_by("created_at", "pk").values_list("pk", flat=True))
        invoice = Invoice.objects.select_related("connection").get(pk=self.rng.choice(pks)) if pks else None
        offered = services.next_statuses(invoice) if invoice else ()
        offered = tuple(code for code in offered if code not in FINAL_STATUSES or self._is_rare())
        if invoice is None or not offered:
            return False
        wish = self._wish(invoice, self.rng.choice(offered))
        if wish is None:
            return False
        try:
            services.issue_status(user=self.user, invoice_id=invoice.pk, wish=wish)
        except DecisionRefused:  # it moved on since it was looked at
            return False
        return True

    def _wish(self, invoice: Invoice, status: str) -> Wish | None:
        info = STATUSES[status]
        reasons: tuple[Reason, ...] = ()
        payments: tuple[Payment, ...] = ()
        if info.reason == "required" or (info.reason == "optional" and self.rng.random() < 0.3):
            offered = carrying.reasons_offered(invoice, status)
            if not offered and info.reason == "required":
                return None
            reasons = tuple(
                Reason(code=code, text="Voir le bon") for code in self.rng.sample(offered, min(1, len(offered)))
            )
        if info.payment == "required" or (info.payment == "optional" and self.rng.random() < 0.5):
            amount = Decimal(self.rng.randint(100, 99999)) / 100
            payments = (Payment(amount=amount, vat_rate=Decimal(20)),)
        return Wish(
            status=status, reasons=reasons, payments=payments, note=self.rng.choice(["", "Vu ce jour"]), sure=True
        )

    def fault(self) -> bool:
        kind, path = self.rng.choice(list(FAULTS)), self.rng.choice(FAULT_PATHS)
        delay, times = round(self.rng.uniform(0.2, 1.2), 2), self.rng.choice([1, 1, 1, 2])
        self.sandbox.control("faults", kind=kind, path=path, delay=delay, times=times)
        return True

    def poll(self) -> bool:
        Connection.objects.filter(kind=self.rng.choice(PLATFORMS).kind).update(polled_at=None)
        return True

    def kill(self) -> None:
        name = self.rng.choice(["worker", "worker", "sentinel", "web", "database"])
        self.done[f"killed {name}"] += 1
        getattr(self, f"_kill_{name}")()

    def _kill_worker(self) -> None:
        self.navette.kill("worker")
        self.navette.start_worker()

    def _kill_sentinel(self) -> None:
        wait_until(self.navette.has_sentinel)
        self.navette.kill_sentinel()
        self.navette.start_worker()

    def _kill_web(self) -> None:
        self.navette.kill("web")
        self.navette.start_web()

    def _kill_database(self) -> None:
        """SIGKILL of a server process: PostgreSQL ends all others, cuts every connection and recovers from its log."""
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            os.kill(cursor.fetchone()[0], signal.SIGKILL)
        database.close()
        wait_until(_database_answers)


def keep_commits() -> None:
    """What is committed outlives a killed server, as on a real one; tests otherwise do without, for their speed."""
    with database.cursor() as cursor:
        cursor.execute(f'ALTER DATABASE "{database.settings_dict["NAME"]}" SET synchronous_commit TO on')
    database.close()


def _database_answers() -> bool:
    try:
        with database.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (OperationalError, InterfaceError):
        database.close()
        return False
    return True
