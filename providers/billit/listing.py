"""Reading the lists of orders: what changed since, company by company."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import Bell, InvoiceFacts, PermanentError, PollPage, Receipt, UncertainError

from . import reading, tables
from .orders import Orders
from .session import Entity, objects

# Page "Odata" of the Access Point site: 120 a page, and a link where there are more.
PAGE_SIZE = 120
PAGES_PER_POLL = 50
# Times without a zone may be two hours off what we take them for, and an hour of autumn comes twice.
OVERLAP = timedelta(hours=3)


@dataclass(frozen=True)
class OrderPage:
    items: list[dict[str, Any]]
    more: bool


class Listing(Orders):
    def poll(self, cursor: Mapping[str, Any]) -> PollPage:
        """A bell for each order that changed, in the name of the company whose list shows it."""
        bells: list[Bell] = []
        changed: dict[str, str] = dict(cursor.get("changed", {}))
        for entity in self.entities():
            since = reading.parse_time(changed.get(entity.registration), self.zone)
            items = list(self._read_since(entity, since))
            bells += [self._bell(item, entity) for item in items if self._is_wanted(item, entity, since)]
            times = [moment for item in items if (moment := self._changed_at(item))]
            if latest := max([*times, *([since] if since else [])], default=None):
                changed[entity.registration] = latest.astimezone(UTC).isoformat()
        return PollPage(bells=tuple(bells), cursor={"changed": changed} if changed else {})

    def _read_since(self, entity: Entity, since: datetime | None) -> Iterator[dict[str, Any]]:
        parameters = {"$orderby": "LastModified asc"}
        if since and (template := self.setting("list_filter")):
            local = (since - OVERLAP).astimezone(self.zone).replace(tzinfo=None)
            parameters["$filter"] = template.replace("{since}", local.isoformat(timespec="seconds"))
        for page in self.order_pages(entity, parameters, PAGES_PER_POLL):
            yield from page.items

    def order_pages(self, entity: Entity, parameters: Mapping[str, str], count: int) -> Iterator[OrderPage]:
        """At most `count` pages; ends with the list, even where paging is not understood."""
        url, seen = self.url("orders_path", registration=entity.registration), set[str]()
        for number in range(count):
            document = self.read(url, params={**parameters, "$top": PAGE_SIZE, "$skip": number * PAGE_SIZE})
            if not isinstance(document, list) and not (isinstance(document, dict) and "Items" in document):
                raise PermanentError(_("Billit's answer is no list of orders: check the paths of the connection."))
            items = [item for item in objects(document, "Items") if reading.find_number(item) not in seen]
            seen |= {reading.find_number(item) for item in items}
            link = document.get("NextPageLink") if isinstance(document, dict) else None
            more = bool(items) and (bool(link) or len(items) >= PAGE_SIZE)
            yield OrderPage(items, more)
            if not more:
                return

    def _changed_at(self, item: Mapping[str, Any]) -> datetime | None:
        return reading.parse_time(item.get("LastModified"), self.zone)

    def _is_wanted(self, item: Mapping[str, Any], entity: Entity, since: datetime | None) -> bool:
        """Should the filter be ignored, what is old is left out here."""
        moment = self._changed_at(item)
        is_new = since is None or moment is None or moment >= since - OVERLAP
        return is_new and reading.parse_order(item, entity.line, self.zone) is not None

    def _bell(self, item: Mapping[str, Any], entity: Entity) -> Bell:
        return Bell(provider_ref=reading.find_number(item), is_new_invoice=True, account=entity.line.identifier)

    # --- one invoice in the list ---

    def find_invoice(self, invoice: InvoiceFacts) -> Receipt | None:
        """An invoice handed in, by its number, which is unique for a seller."""
        if not invoice.number:
            raise UncertainError(_("An invoice without a number cannot be looked for at Billit."))
        entity = self.entity_for(invoice.line_identifier, invoice.provider_ref)
        quoted = invoice.number.replace("'", "''")
        parameters = {
            "$filter": f"OrderNumber eq '{quoted}' and OrderDirection eq 'Income'",
            "$orderby": "OrderID desc",
        }
        last = OrderPage([], more=False)
        for last in self.order_pages(entity, parameters, PAGES_PER_POLL):
            for item in last.items:
                if _is_same(item, invoice):
                    return Receipt(reference=reading.find_number(item), confirmed=True)
        if last.more:
            raise UncertainError(_("Billit's list is too long to be sure that the invoice is not in it."))
        return None


def _is_same(item: Mapping[str, Any], invoice: InvoiceFacts) -> bool:
    type_code, day = (
        tables.ORDER_TYPES.get(reading.text(item.get("OrderType"))),
        reading.parse_day(item.get("OrderDate")),
    )
    return (
        reading.text(item.get("OrderDirection")) == "Income"
        and reading.text(item.get("OrderNumber")) == invoice.number
        and type_code in (None, invoice.type_code or type_code)
        and (not day or not invoice.issue_date or day == invoice.issue_date)
    )
