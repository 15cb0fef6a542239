"""What the pages list: keyset pages without OFFSET or totals, capped counts, few queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.postgres.search import SearchQuery
from django.db.models import CharField, F, Model, Q, QuerySet, Value
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from invoices.models import Direction, Invoice, Role
from invoices.models.money import ZERO, giving_back
from invoices.people.desk import Desk
from invoices.register.origins import through, with_twins
from lifecycle.models import RelayState, RelayTask
from providers.norm.codes import VOID_STATUSES, Status
from providers.norm.companies import siren_in

Row = TypeVar("Row", bound=Model)

PAGE_SIZE = 50
COUNT_LIMIT = 100
LANE_SIZE = 25
# How long before its legal deadline an untold status shows up on the worklist.
CLOCK_WARNING = timedelta(hours=12)
DUE_SOON = timedelta(days=7)
# States in which only a person can move a relay on.
NEEDS_PERSON = (RelayState.FAILED, RelayState.UNCERTAIN, RelayState.UNSUPPORTED)
UNTOLD = (RelayState.AWAITING_APPROVAL, RelayState.SCHEDULED, RelayState.PENDING, RelayState.SENDING, *NEEDS_PERSON)


# --- keyset pages -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeysetPage:
    """One page of rows, newest first; `next` is the cursor of the following one, "" on the last."""

    rows: Sequence[Any]
    next: str


def keyset_page(queryset: QuerySet[Row], column: str, after: str, size: int = PAGE_SIZE) -> KeysetPage:
    if cursor := parse_cursor(after):
        moment, key = cursor
        # The first condition walks the index, the second drops the rows of the same instant that were shown.
        queryset = queryset.filter(**{f"{column}__lte": moment}).exclude(**{column: moment, "pk__gte": key})
    rows = list(queryset.order_by(f"-{column}", "-pk")[: size + 1])
    more = len(rows) > size
    rows = rows[:size]
    return KeysetPage(rows, f"{getattr(rows[-1], column).isoformat()}~{rows[-1].pk}" if more else "")


def parse_cursor(text: str) -> tuple[datetime, UUID] | None:
    """A cursor from the URL; a broken one is the first page."""
    moment, _separator, key = text.partition("~")
    try:
        parsed = parse_datetime(moment.replace(" ", "+"))
        return (parsed, UUID(key)) if parsed and parsed.tzinfo else None
    except ValueError:
        return None


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


# --- invoices ---------------------------------------------------------------------------------------------------------


def prefix_search(text: str) -> SearchQuery | None:
    """Every word must start a word of the invoice; or the text is the number of a company, however it is written, and
    stands for its SIREN. Quoted, so that nothing in it is an operator.
    """
    words = " & ".join(_term(word) for word in text.replace("\0", "").split()[:8])
    company = siren_in(text)
    raw = f"({words}) | {_term(company)}" if company else words
    return SearchQuery(raw, config="simple", search_type="raw") if words else None


def _term(word: str) -> str:
    quoted = word.replace("\\", "\\\\").replace("'", "''")
    if word[0].isdigit():
        # PostgreSQL reads the 2026 of F-2026-0042 as the number -2026.
        return f"('{quoted}':* | '-{quoted}':*)"
    return f"'{quoted}':*"


def filter_invoices(invoices: QuerySet[Invoice], wanted: dict[str, Any], user: Any) -> QuerySet[Invoice]:
    """Apply the cleaned filters of the list."""
    plain = {name: wanted[name] for name in ("direction", "status", "number") if wanted.get(name)}
    invoices = invoices.filter(**plain)
    if wanted.get("connection"):
        invoices = invoices.filter(through(wanted["connection"]))
    if wanted.get("since"):
        invoices = invoices.filter(issue_date__gte=wanted["since"])
    if wanted.get("until"):
        invoices = invoices.filter(issue_date__lte=wanted["until"])
    if wanted.get("mine"):
        invoices = invoices.filter(assigned_to=user)
    if wanted.get("lane"):
        invoices = invoices.filter(LANES_BY_NAME[wanted["lane"]].condition())
    if query := prefix_search(wanted.get("q") or ""):
        invoices = invoices.filter(search=query)
    return invoices


def of_customers(ids: list[int]) -> QuerySet[Invoice]:
    """One customer by equality: then the index gives the order too."""
    rows = Invoice.objects.filter(customer_id=ids[0]) if len(ids) == 1 else Invoice.objects.filter(customer_id__in=ids)
    related = ("customer", "connection", "assigned_to", "account_change__acknowledged_by")
    return rows.select_related(*related).prefetch_related("other_origins__connection")


def with_relay_states(invoices: Sequence[Invoice]) -> None:
    """Put the state of the last open relay on each row, in one query."""
    wanted = {invoice.pk for invoice in invoices}
    open_relays = RelayTask.objects.filter(invoice__in=wanted, state__in=[*UNTOLD, RelayState.SENT])
    states = dict(open_relays.order_by("sequence").values_list("invoice_id", "state"))
    for invoice in invoices:
        invoice.relay_state = states.get(invoice.pk)  # type: ignore[attr-defined]


# --- the worklist -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lane:
    """One reason why an invoice needs somebody."""

    name: str
    title: str | Promise
    hint: str | Promise
    role: str
    direction: str
    statuses: tuple[str, ...]
    due_soon: bool = False
    within: timedelta | None = None
    alerted: bool = False
    new_account: bool = False
    # Which way the money goes: from the buyer, or back to it.
    gives_back: bool | None = None

    def condition(self) -> Q:
        if self.alerted:
            return ~Q(alert="")
        if self.new_account:
            unchecked = Q(account_change__isnull=False, account_change__acknowledged_at=None)
            settled = Q(status__in=[*VOID_STATUSES, Status.PAYMENT_RECEIVED])
            return unchecked & (~settled | Q(status=None))
        condition = Q(direction=self.direction, status__in=self.statuses)
        if self.due_soon:
            condition &= Q(due_date__lte=timezone.localdate() + DUE_SOON)
        if self.gives_back is not None:
            condition &= giving_back() if self.gives_back else ~giving_back()
        if self.within:
            condition &= Q(status_at__gte=timezone.now() - self.within)
        return condition


LANES = (
    Lane(
        "alerts",
        _("Answers to look at"),
        _("Turned down by a platform or the administration: the invoice keeps its status, somebody has to look."),
        Role.CLERK,
        direction="",
        statuses=(),
        alerted=True,
    ),
    Lane(
        "account",
        _("New account of a supplier"),
        _("Another IBAN than on its last invoices: ask the supplier on a way you knew before."),
        Role.CLERK,
        Direction.RECEIVED,
        (),
        new_account=True,
    ),
    Lane(
        "answered",
        _("Suspension answered"),
        _("The seller has sent the missing documents: decide again."),
        Role.CLERK,
        Direction.RECEIVED,
        (Status.COMPLETED.value,),
    ),
    Lane(
        "in-hand",
        _("To take in hand"),
        _("New invoices that nobody has looked at."),
        Role.CLERK,
        Direction.RECEIVED,
        (Status.MADE_AVAILABLE.value,),
    ),
    Lane(
        "decide",
        _("To decide"),
        _("In hand: approve, dispute, suspend or refuse."),
        Role.CLERK,
        Direction.RECEIVED,
        (Status.IN_HAND.value,),
    ),
    Lane(
        "pay",
        _("Approved, due soon"),
        _("Due within a week and no payment reported yet."),
        Role.APPROVER,
        Direction.RECEIVED,
        (Status.APPROVED.value, Status.PARTIALLY_APPROVED.value),
        due_soon=True,
        gives_back=False,
    ),
    Lane(
        "complete",
        _("The buyer waits for documents"),
        _("Suspended by the buyer: send what is missing, then complete."),
        Role.CLERK,
        Direction.ISSUED,
        (Status.SUSPENDED.value,),
    ),
    Lane(
        "contested",
        _("Contested by the buyer"),
        _("Disputed or partly approved: talk to the buyer."),
        Role.CLERK,
        Direction.ISSUED,
        (Status.DISPUTED.value, Status.PARTIALLY_APPROVED.value),
    ),
    Lane(
        "cash",
        _("Payment announced"),
        _("The buyer has paid: declare the receipt once the money is there."),
        Role.APPROVER,
        Direction.ISSUED,
        (Status.PAYMENT_SENT.value,),
        gives_back=False,
    ),
    Lane(
        "refund",
        _("Refund sent"),
        _("You have paid the buyer back: declare it as a negative receipt."),
        Role.APPROVER,
        Direction.ISSUED,
        (Status.PAYMENT_SENT.value,),
        gives_back=True,
    ),
    Lane(
        "lost",
        _("Refused or rejected lately"),
        _("Final in the last two weeks: a new invoice or a credit note is needed."),
        Role.CLERK,
        Direction.ISSUED,
        (Status.REFUSED.value, Status.REJECTED.value, Status.ROUTING_ERROR.value),
        within=timedelta(days=14),
    ),
)
LANES_BY_NAME = {lane.name: lane for lane in LANES}


@dataclass
class FilledLane:
    lane: Lane
    count: int = 0
    rows: list[Invoice] = field(default_factory=list)
    # What the lane adds to what is owed, by currency; nothing where it holds more than we count.
    totals: dict[str, Decimal] = field(default_factory=dict)

    @property
    def count_text(self) -> str:
        return capped(self.count)

    @property
    def has_more(self) -> bool:
        return self.count > len(self.rows)


def capped(count: int) -> str:
    return f"{COUNT_LIMIT - 1}+" if count >= COUNT_LIMIT else str(count)


def fill_lanes(desk: Desk) -> list[FilledLane]:
    """The lanes that hold something, mine first then oldest first: as many queries whatever is in them."""
    lanes = [FilledLane(lane) for lane in LANES if desk.customer_ids(lane.role)]
    if not lanes:
        return []
    keys: dict[str, list[UUID]] = {filled.lane.name: [] for filled in lanes}
    for name, _place, _since, key in sorted(_union([part for filled in lanes for part in _parts(desk, filled.lane)])):
        keys[name].append(key)
    first = [key for found in keys.values() for key in found[:LANE_SIZE]]
    rows = of_customers(desk.customer_ids()).in_bulk(first) if first else {}
    counted = [key for found in keys.values() for key in found if len(found) < COUNT_LIMIT]
    owed = Invoice.objects.only("type_code", "total_with_vat", "currency").in_bulk(counted)
    with_twins(list(rows.values()))
    for filled in lanes:
        found = keys[filled.lane.name]
        filled.count = len(found)
        filled.totals = _totals([owed[key] for key in found if key in owed])
        filled.rows = [rows[key] for key in found[:LANE_SIZE] if key in rows]
    return [filled for filled in lanes if filled.count]


def _totals(invoices: Iterable[Invoice]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for invoice in invoices:
        if (debt := invoice.debt) is not None:
            found[invoice.currency] = found.get(invoice.currency, ZERO) + debt
    return dict(sorted(found.items()))


def _parts(desk: Desk, lane: Lane) -> Iterable[QuerySet[Any]]:
    """A lane's first keys: those of this person, and all others."""
    rows = Invoice.objects.filter(lane.condition(), customer_id__in=desk.customer_ids(lane.role))
    mine = Q(assigned_to=desk.user)
    for place, part in enumerate((rows.filter(mine), rows.filter(~mine | Q(assigned_to=None)))):
        marked = part.annotate(lane=Value(lane.name, output_field=CharField()), place=Value(place))
        yield marked.order_by("created_at").values_list("lane", "place", "created_at", "pk")[:COUNT_LIMIT]


def _union(branches: Sequence[QuerySet[Any]]) -> QuerySet[Any]:
    return branches[0].union(*branches[1:], all=True) if len(branches) > 1 else branches[0]


# --- relays -----------------------------------------------------------------------------------------------------------


def relays_of(desk: Desk) -> QuerySet[RelayTask]:
    return RelayTask.objects.filter(invoice__customer_id__in=desk.customer_ids()).select_related(
        "event__actor", "prepared_by", "invoice__customer", "connection", "released_by"
    )


def relays_needing_people(desk: Desk, limit: int = COUNT_LIMIT) -> list[RelayTask]:
    """Failed, uncertain, unsupported and awaiting a second person; the nearest legal deadline first."""
    rows = relays_of(desk).filter(state__in=[*NEEDS_PERSON, RelayState.AWAITING_APPROVAL])
    return list(rows.order_by(F("deadline_at").asc(nulls_last=True), "created_at")[:limit])


def running_clocks(desk: Desk, limit: int = COUNT_LIMIT) -> list[RelayTask]:
    """Statuses the administration must hear, not told to the platform yet, with little time left."""
    rows = relays_of(desk).filter(state__in=UNTOLD, deadline_at__lte=timezone.now() + CLOCK_WARNING)
    return list(rows.order_by("deadline_at")[:limit])
