"""The far end: one model of a platform, which speaks in one of several dialects and has accidents of its own.

What it holds is the truth that the judge compares with: each message of ours that took effect, how often and in which
order, and every status it shows.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from providers.contract.base import (
    Adapter,
    Bell,
    Capabilities,
    Delivery,
    Field,
    HookRequest,
    InvoiceFacts,
    InvoiceReport,
    LoginRefused,
    Party,
    Payment,
    PermanentError,
    PollPage,
    Reason,
    Receipt,
    StatusMessage,
    StatusReport,
    TemporaryError,
    UncertainError,
    Unsupported,
    Verdict,
)
from providers.norm.codes import INVOICE_STATUSES
from tests.factories import OTHER_SIREN, SIREN

from .kernel import Crash, Kernel

EVERY_STATUS = frozenset(INVOICE_STATUSES)


@dataclass(frozen=True)
class Dialect:
    """What a kind of platform does. Named after the kind whose ways it has; the real wire formats have their own tests.

    `keys`: each fact has an id. `own_ids`: ours comes back under our id. `times`: facts are dated. `pushes`: what a
    webhook carries. `shown_after`: seconds until it shows what it took in. `verdicts`: it says later that it did.
    """

    name: str
    keys: bool = True
    own_ids: bool = False
    times: bool = True
    pushes: str = "reports"
    history: bool = True
    look_up: bool = True
    polling: bool = True
    ask_each: bool = False
    confirms: bool = False
    verdicts: bool = False
    shown_after: int = 0


DIALECTS = (
    Dialect("acube"),
    Dialect("seqino", pushes="bells", polling=False, ask_each=True, confirms=True),
    Dialect("billit", keys=False, pushes="hints"),
    Dialect("cegid", history=False, look_up=False, polling=False, own_ids=True, verdicts=True),
    Dialect("cegid_od", history=False, look_up=False, polling=False, own_ids=True, confirms=True),
    Dialect("afnor", own_ids=True, shown_after=120, pushes="bells"),
)


@dataclass
class Item:
    """One status that the platform shows."""

    number: int
    status: str
    role: str
    at: datetime
    visible_at: datetime
    reasons: tuple[Reason, ...] = ()
    note: str = ""
    payments: tuple[Payment, ...] = ()
    message_id: str = ""


@dataclass
class FarInvoice:
    ref: str
    direction: str
    number: str
    total: Decimal
    items: list[Item] = field(default_factory=list)


@dataclass
class Rates:
    """How often what goes wrong, of a hundred calls; all zero once the world heals."""

    cut_before: int = 8
    cut_after: int = 22
    failed_before: int = 5
    failed_after: int = 5
    nonsense: int = 3
    unreachable: int = 5
    busy: int = 4
    refused: int = 3
    slow: int = 8
    killed: int = 18
    lost_push: int = 8
    twice: int = 15

    def heal(self) -> None:
        for name in vars(self):
            setattr(self, name, 0)


class Far:
    def __init__(self, kernel: Kernel, dialect: Dialect, rates: Rates) -> None:
        self.kernel, self.dialect, self.rates = kernel, dialect, rates
        self.rng = random.Random(kernel.rng.random())
        self.skew = timedelta(seconds=self.rng.randint(-150, 150))
        self.invoices: dict[str, FarInvoice] = {}
        # How often each message of ours took effect, in the order in which they did; what it surely did not take.
        self.effects: Counter[str] = Counter()
        self.order: list[str] = []
        self.taken_at: dict[str, datetime] = {}
        self.refused: set[str] = set()
        self.down_until = kernel.now
        self.refuses_login_until = kernel.now
        self.numbers = itertools.count(1)
        self.pushes: list[dict[str, Any]] = []
        self.faults: Counter[str] = Counter()

    # --- what happens there

    def deposit(self, direction: str, total: Decimal) -> FarInvoice:
        number = next(self.numbers)
        invoice = FarInvoice(f"{self.dialect.name}-{number}", direction, f"N-{self.dialect.name}-{number}", total)
        self.invoices[invoice.ref] = invoice
        self.announce(invoice)
        for status in ("200", "202", "203") if direction == "received" else ("200", "202"):
            self.add(invoice, status, "WK")
        return invoice

    def add(self, invoice: FarInvoice, status: str, role: str, **values: Any) -> Item:
        now = self.kernel.now
        visible_at = now + timedelta(seconds=self.dialect.shown_after)
        item = Item(next(self.numbers), status, role, now, visible_at, **values)
        invoice.items.append(item)
        self.tell(invoice, item)
        return item

    def take(self, message: StatusMessage) -> None:
        """A message of ours takes effect."""
        self.effects[message.id] += 1
        self.order.append(message.id)
        self.taken_at.setdefault(message.id, self.kernel.now)
        invoice = self.invoices[message.invoice.provider_ref]
        self.add(
            invoice, message.status, message.issuer_role, reasons=message.reasons, note=message.note,
            payments=message.payments, message_id=message.id,
        )  # fmt: skip
        if self.dialect.verdicts:
            self.push({"verdicts": [{"id": message.id, "accepted": True}]}, delay=self.rng.uniform(0, 40))

    # --- what it pushes

    def announce(self, invoice: FarInvoice) -> None:
        if self.dialect.history:
            self.push({"bells": [{"ref": invoice.ref, "new": True}]})
        else:
            self.push({"invoices": [invoice.ref]})

    def tell(self, invoice: FarInvoice, item: Item) -> None:
        delay = self.rng.choice((0, 0, 1, 5, 60, 400))
        if self.dialect.pushes == "reports":
            self.push({"statuses": [[invoice.ref, item.number]]}, delay)
        else:
            hint = item.number if self.dialect.pushes == "hints" else None
            self.push({"bells": [{"ref": invoice.ref, "hint": hint}]}, delay)

    def push(self, body: dict[str, Any], delay: float = 0) -> None:
        """Lost only where a poll would tell it all the same; another platform goes on until it is heard."""
        lost = self.dialect.polling and self.chance(self.rates.lost_push)
        copies = 0 if lost else 1 + self.chance(self.rates.twice)
        body = body | {"key": f"{self.dialect.name}-push-{next(self.numbers)}"}
        for _copy in range(copies):
            at = self.kernel.now + timedelta(seconds=delay + self.rng.uniform(0, 3))
            self.pushes.append({"at": at, "body": json.dumps(body)})

    # --- how it is reached

    def chance(self, percent: int) -> bool:
        return bool(percent) and self.rng.randrange(100) < percent

    def call(self) -> None:
        """What any call may meet before it arrives."""
        self.kernel.sleep(self.rng.choice((0.02, 0.05, 0.2)))
        if self.kernel.now < self.refuses_login_until:
            self.faults["login"] += 1
            raise LoginRefused("The login is refused.", status_code=401)
        if self.kernel.now < self.down_until or self.chance(self.rates.unreachable):
            self.faults["unreachable"] += 1
            raise TemporaryError("It cannot be reached.")
        if self.chance(self.rates.busy):
            self.faults["busy"] += 1
            raise TemporaryError("Wait.", retry_after=self.rng.choice((2.0, 25.0, 300.0)), status_code=429)
        if self.chance(self.rates.slow):
            self.faults["slow"] += 1
            self.kernel.sleep(self.rng.choice((5.0, 20.0, 55.0)))

    def die(self) -> None:
        """Our process may be killed while it talks to us."""
        task = self.kernel.current
        if task is not None and self.chance(self.rates.killed):
            self.faults["killed while speaking"] += 1
            self.kernel.kill(task.process)
            raise Crash

    def find(self, message: StatusMessage) -> Item | None:
        """Among what it shows by now: by our id where it keeps that, else by what was said."""
        for item in self.invoices[message.invoice.provider_ref].items:
            if item.visible_at > self.kernel.now or item.status != message.status:
                continue
            if self.dialect.own_ids:
                if item.message_id == message.id:
                    return item
            elif str(item.number) not in message.others and says(item, message):
                return item
        return None

    def report(self, invoice: FarInvoice, item: Item, *, bare: bool = False) -> StatusReport:
        """`bare`: a hint tells the word and nothing else."""
        dialect = self.dialect
        told = {} if bare else {"reasons": item.reasons, "note": item.note, "payments": item.payments}
        return StatusReport(
            provider_ref=invoice.ref,
            status=item.status,
            issuer_role="" if bare else item.role,
            occurred_at=item.at.replace(microsecond=0) + self.skew if dialect.times and not bare else None,
            key=str(item.number) if dialect.keys and not bare else "",
            message_id=item.message_id if dialect.own_ids else "",
            **told,
        )

    def item(self, ref: str, number: int) -> tuple[FarInvoice, Item]:
        invoice = self.invoices[ref]
        return invoice, next(item for item in invoice.items if item.number == number)


def says(item: Item, message: StatusMessage) -> bool:
    same = (item.reasons, item.note, item.payments) == (message.reasons, message.note, message.payments)
    return same and item.role == message.issuer_role and item.at >= message.occurred_at - timedelta(seconds=1)


class Simulated(Adapter):
    """Our side of every dialect."""

    kind = "simulated"
    label = "Simulated platform"
    marks_speaking = True
    settings_fields = (Field(name="shown_after", type="int", default=0),)
    fars: ClassVar[dict[str, Far]] = {}

    @property
    def far(self) -> Far:
        return self.fars[self.account.id]

    @classmethod
    def shown_after(cls, settings: Mapping[str, Any]) -> float:
        return float(settings.get("shown_after", 0))

    @property
    def capabilities(self) -> Capabilities:
        dialect = self.far.dialect
        return Capabilities(
            buyer_statuses=EVERY_STATUS, seller_statuses=EVERY_STATUS, webhooks=True, polling=dialect.polling,
            ask_each=dialect.ask_each, originals=False, look_up=dialect.look_up, history=dialect.history,
        )  # fmt: skip

    # --- pushed

    def verify_webhook(self, request: HookRequest) -> None:
        """It is always genuine here: forgeries have their own tests."""

    def parse_webhook(self, request: HookRequest) -> Delivery:
        body, far = json.loads(request.body), self.far
        bells = [
            Bell(
                provider_ref=bell["ref"],
                is_new_invoice=bell.get("new", False),
                hint=far.report(*far.item(bell["ref"], bell["hint"]), bare=True) if bell.get("hint") else None,
            )
            for bell in body.get("bells", ())
        ]
        return Delivery(
            key=body["key"],
            bells=tuple(bells),
            statuses=tuple(far.report(*far.item(ref, number)) for ref, number in body.get("statuses", ())),
            verdicts=tuple(Verdict(message_id=each["id"], is_accepted=True) for each in body.get("verdicts", ())),
            invoices=tuple(self._invoice(ref) for ref in body.get("invoices", ())),
        )

    # --- asked

    def _invoice(self, ref: str) -> InvoiceReport:
        invoice = self.far.invoices[ref]
        ours, others = Party(siren=SIREN, name="Atelier Dupont"), Party(siren=OTHER_SIREN, name="Papeterie du Pont")
        seller, buyer = (others, ours) if invoice.direction == "received" else (ours, others)
        return InvoiceReport(
            provider_ref=ref, direction=invoice.direction, number=invoice.number, type_code="380",
            issue_date=date(2026, 10, 1), currency="EUR", total_with_vat=invoice.total, seller=seller, buyer=buyer,
        )  # fmt: skip

    def fetch_invoice(self, provider_ref: str) -> InvoiceReport:
        self.far.call()
        return self._invoice(provider_ref)

    def fetch_files(self, provider_ref: str) -> tuple[Any, ...]:
        return ()

    def fetch_statuses(self, provider_ref: str) -> tuple[StatusReport, ...]:
        self.far.call()
        if not self.far.dialect.history:
            raise Unsupported("It shows no history.")
        invoice = self.far.invoices[provider_ref]
        return tuple(self.far.report(invoice, item) for item in invoice.items if item.visible_at <= self.far.kernel.now)

    def poll(self, cursor: Mapping[str, Any]) -> PollPage:
        self.far.call()
        far, since = self.far, cursor.get("since", 0)
        now = far.kernel.now
        rows = [
            (invoice, item)
            for invoice in far.invoices.values()
            for item in invoice.items
            if item.number > since and item.visible_at <= now
        ]
        hidden = [item.number for each in far.invoices.values() for item in each.items if item.visible_at > now]
        shown = [item.number for _invoice, item in rows if not hidden or item.number < min(hidden)]
        return PollPage(
            invoices=tuple(self._invoice(ref) for ref in {invoice.ref: None for invoice, _item in rows}),
            statuses=tuple(far.report(*row) for row in rows),
            cursor={"since": max(shown, default=since)},
        )

    # --- told

    def send_status(self, message: StatusMessage) -> Receipt:
        far, rates = self.far, self.far.rates
        self.before_speaking()
        far.call()
        far.die()
        far.kernel.sleep(0.02)
        for name in ("cut_before", "failed_before", "nonsense", "refused"):
            if far.chance(getattr(rates, name)):
                far.faults[name] += 1
                if name == "refused":
                    far.refused.add(message.id)
                    raise PermanentError("Refused.", status_code=422)
                raise UncertainError(f"It may have arrived ({name}).")
        far.take(message)
        far.die()
        far.kernel.sleep(0.02)
        for name in ("cut_after", "failed_after"):
            if far.chance(getattr(rates, name)):
                far.faults[name] += 1
                raise UncertainError(f"It may have arrived ({name}).")
        return Receipt(reference="", confirmed=far.dialect.confirms)

    def find_status(self, message: StatusMessage) -> Receipt | None:
        if not self.far.dialect.look_up:
            raise Unsupported("It cannot be asked.")
        self.far.call()
        item = self.far.find(message)
        reference = str(item.number) if item and self.far.dialect.keys else ""
        return Receipt(reference=reference, confirmed=True) if item else None

    def find_invoice(self, invoice: InvoiceFacts) -> Receipt | None:
        return None
