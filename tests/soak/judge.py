"""After a run: time passes quickly, a person answers what is left to people, and both ends must tell the same story."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import OperationalError
from django.utils import timezone

from invoices.models import DocumentState, Invoice
from lifecycle.decisions import carrying, services
from lifecycle.history.events import find_break
from lifecycle.inbox import deliveries
from lifecycle.models import PlannedLook, RelayState, RelayTask
from providers.models import Connection, WebhookDelivery
from providers.norm.codes import FINAL_STATUSES, INVOICE_STATUSES
from providers.sandbox.records import StatusEntry

from .platforms import BY_KIND, Desk

# What a platform has on record and never tells: what went before, at the other platform or on its way in.
UNHEARD = {
    ("billit", "INBOUND"): {"200", "202"},
    ("billit", "OUTBOUND"): {"200"},
    ("cegid_od", "INBOUND"): {"200"},
    ("cegid_od", "OUTBOUND"): {"200"},
    ("afnor", "INBOUND"): {"200"},
}
# Billit shows the file of an invoice of ours with the messages that brought it to the buyer.
SHOWS_FILE_AFTER = {("billit", "OUTBOUND"): {"201", "203"}}
# Billit's words without a code of their own: where the invoice is further already, only the word is kept, or nothing.
DERIVED = {"201", "202", "203", "Sent", "Accepted", "Delivered"}
# A platform of XP Z12-013 acknowledges a file before any status of it.
ACKNOWLEDGED = "ack:"
REFUSED_FOR_ITS_CONTENT = 422
# What the platform cannot carry, or refused for its content, and what was given up.
STAYS_HERE = (RelayState.UNSUPPORTED, RelayState.FAILED, RelayState.CANCELLED)
HANDED_IN = "submit"  # as the sandbox names it
NAMES_STATUSES = ("acube", "afnor", "billit")
SAID = (RelayState.CONFIRMED, RelayState.SENT)
# What was sent stays sent where the platform neither shows it nor, with its echo lost, tells it (Billit no payment).
STAYS_SENT = {("cegid", None), ("cegid_od", None), ("billit", "212")}


class Judge:
    def __init__(self, desk: Desk, administrator: Any) -> None:
        self.desk = desk
        self.sandbox = desk.sandbox
        self.administrator = administrator
        self.answered: Counter[str] = Counter()
        self.found: list[str] = ["not looked yet"]

    def settled(self) -> bool:
        if self.sandbox.sandbox.pending:
            self.found = [f"the sandbox is busy: {self.sandbox.sandbox.pending}"]
            return False
        self.found = list(self.complaints())
        if self.found:
            self._hurry()
            self._answer()
        return not self.found

    def _hurry(self) -> None:
        """What would be due within hours is due now."""
        now = timezone.now()
        later = {"leased_until": None, "next_attempt_at__gt": now}
        arrived = WebhookDelivery.objects.filter(state="received")
        arrived.filter(**later).update(next_attempt_at=now)
        with contextlib.suppress(OperationalError):  # a deadlock with the worker's own updates: the next round does it
            RelayTask.objects.filter(**later).update(next_attempt_at=now)
        PlannedLook.objects.update(due_at=now - timedelta(seconds=1))
        Connection.objects.update(quiet_until=None)
        if not arrived.exists():  # else each poll rings for what the one before rang for
            Connection.objects.update(polled_at=None)
        # After a refused login an hour may pass; a person who put it right has it tried at once.
        Connection.objects.filter(probe_at__gt=now).update(probe_at=now)

    def _answer(self) -> None:
        """What a person would do who has looked at the platform."""
        for relay in RelayTask.objects.filter(state=RelayState.UNCERTAIN, next_attempt_at=None):
            arrived = self._accepted()[self._place(relay)] > self._said()[self._place(relay)]
            services.resolve(user=self.administrator, relay_id=relay.pk, arrived=arrived)
            self.answered[f"uncertain, arrived: {arrived}"] += 1
        for relay in RelayTask.objects.filter(state=RelayState.FAILED):
            if not self._is_refused(relay):
                self._try_again(relay)
        for row in WebhookDelivery.objects.filter(state="quarantined", waits_for=""):
            deliveries.replay(user=self.administrator, delivery_id=row.pk)
            self.answered[f"replayed: {row.error[:60]}"] += 1

    def _try_again(self, relay: RelayTask) -> None:
        """Or give up, where the invoice has moved on."""
        try:
            services.retry(user=self.administrator, relay_id=relay.pk)
        except services.DecisionRefused:
            services.cancel(user=self.administrator, relay_id=relay.pk)
            self.answered[f"given up: {relay.last_error[:60]}"] += 1
        else:
            self.answered[f"retried: {relay.last_error[:60]}"] += 1

    # --- what both ends have ---

    def _shown(self) -> list[dict[str, Any]]:
        return self.sandbox.control("invoices")["invoices"]

    def _accepted(self) -> Counter[tuple[str, str, str]]:
        rows = self.sandbox.control("calls")["accepted"]
        names = {row["uuid"]: row["number"] for row in self._shown()}
        # What was handed in is counted by its owner and its number.
        names |= {row["invoice"]: row["invoice"].split("|")[1] for row in rows if row["status"] == HANDED_IN}
        return Counter({(row["dialect"], names.get(row["invoice"], "?"), row["status"]): row["count"] for row in rows})

    def _place(self, relay: RelayTask) -> tuple[str, str, str]:
        return relay.connection.kind, relay.invoice.number, HANDED_IN if relay.is_submission else relay.status

    def _said(self) -> Counter[tuple[str, str, str]]:
        rows = RelayTask.objects.filter(state__in=SAID).select_related("connection", "invoice", "event")
        return Counter(self._place(row) for row in rows)

    def complaints(self) -> Iterator[str]:
        shown = self._shown()
        for row in shown:
            yield from self._about_invoice(row)
        count = Invoice.objects.count()
        if count != len(shown):
            yield f"{count} invoices here, {len(shown)} there"
        for connection in Connection.objects.exclude(health=Connection.Health.WELL):
            yield f"{connection} is {connection.health}: {connection.ill_reason}"
        yield from self._about_relays()
        yield from self._about_deliveries(shown)

    def _find(self, row: dict[str, Any]) -> list[Invoice]:
        rows = Invoice.objects.filter(connection=self.desk.connections[row["dialect"]])
        if BY_KIND[row["dialect"]].by_number:
            return list(rows.filter(number=row["number"], seller_siren=row["seller_siren"]))
        return list(rows.filter(provider_ref=row["uuid"]))

    def _about_invoice(self, row: dict[str, Any]) -> Iterator[str]:
        name = f"{row['dialect']} {row['direction']} {row['number']} ({row['uuid']})"
        found = self._find(row)
        if len(found) != 1:
            yield f"{name}: {len(found)} times here"
            return
        invoice = found[0]
        shows_file = SHOWS_FILE_AFTER.get((row["dialect"], row["direction"]), set(row["statuses"]))
        if invoice.document_state != DocumentState.READ and shows_file & set(row["statuses"]):
            yield f"{name}: document {invoice.document_state} {invoice.document_error}"
        there = self._told_there(row) - Counter(UNHEARD.get((row["dialect"], row["direction"]), ()))
        told = invoice.status_events.exclude(relay__isnull=False, relay__state__in=STAYS_HERE)
        told = told.exclude(source_key__startswith=ACKNOWLEDGED)
        here = Counter(status or word for status, word in told.values_list("status", "native_status"))
        lost, invented = there - here, here - there
        if row["dialect"] == "billit":
            lost, invented = ({code: n for code, n in each.items() if code not in DERIVED} for each in (lost, invented))
        if lost or invented:
            both = f"there {row['statuses']}, here {history(invoice)}"
            yield f"{name}: lost {dict(lost)}, invented {dict(invented)}; {both}"
        places = self._last_places(row)
        if places and not invoice.relays.exists() and invoice.status not in places:
            yield f"{name}: stands at {invoice.status}, there at {sorted(places)}"
        if broken := find_break(invoice):
            yield f"{name}: {broken}"

    def _told_there(self, row: dict[str, Any]) -> Counter[str]:
        """Where statuses have no name of their own, the same word at the same instant is one fact."""
        entries = self._entries(row)
        if row["dialect"] not in NAMES_STATUSES:
            each_once = {(entry.code, entry.at.isoformat(timespec="milliseconds")): entry for entry in entries}
            entries = list(each_once.values())
        return Counter(entry.code for entry in entries)

    def _last_places(self, row: dict[str, Any]) -> set[str]:
        """Where nobody here decided, an invoice stands where its platform said last; a second has no order."""
        unheard = UNHEARD.get((row["dialect"], row["direction"]), set())
        entries = [each for each in self._entries(row) if each.code in INVOICE_STATUSES and each.code not in unheard]
        if not entries:
            return set()
        final = {each.code for each in entries} & FINAL_STATUSES
        moment = entries[-1].at.replace(microsecond=0) - timedelta(seconds=1)
        return final or {each.code for each in entries if each.at >= moment}

    def _entries(self, row: dict[str, Any]) -> list[StatusEntry]:
        return list(self.sandbox.sandbox.state.invoices[row["dialect"]][row["uuid"]].history)

    def _about_relays(self) -> Iterator[str]:
        for relay in RelayTask.objects.select_related("connection", "invoice", "event"):
            kind = relay.connection.kind
            carried = relay.is_submission or carrying.can_carry(relay.invoice, relay.status)
            good = {RelayState.CONFIRMED if carried else RelayState.UNSUPPORTED, RelayState.CANCELLED}
            if carried and STAYS_SENT & {(kind, None), (kind, relay.status)}:
                good.add(RelayState.SENT)
            if relay.state not in good and not self._is_refused(relay):
                tries = list(relay.tries.values_list("kind", "outcome"))
                yield f"relay {self._place(relay)} is {relay.state}: {relay.last_error} {tries}"
        accepted, said = self._accepted(), self._said()
        for place in sorted(accepted.keys() | said.keys()):
            if accepted[place] != said[place]:
                yield f"{place}: accepted {accepted[place]} times, said {said[place]} times"

    def _is_refused(self, relay: RelayTask) -> bool:
        last = relay.tries.order_by("-id").first()
        return relay.state == RelayState.FAILED and last is not None and last.status_code == REFUSED_FOR_ITS_CONTENT

    def _about_deliveries(self, shown: list[dict[str, Any]]) -> Iterator[str]:
        known = {row["uuid"] for row in shown} | {f"{row['seller_siren']}/{row['number']}" for row in shown}
        for row in WebhookDelivery.objects.filter(state__in=["received", "quarantined"]).select_related("connection"):
            if row.state == "received" or not row.waits_for or row.waits_for in known:
                yield f"delivery {row} {row.state}, tried {row.attempts} times: {row.error}"


def history(invoice: Invoice) -> list[str]:
    rows = invoice.status_events.order_by("sequence").values_list("status", "native_status", "origin", "relay__state")
    return [" ".join(filter(None, row)) for row in rows]
