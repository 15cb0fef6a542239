"""What every platform's adapter must keep, whatever its dialect. A platform is described by a `Case`.

To add one: tests/providers/cases/<kind>.py with a CASE, and tests/providers/payloads/<kind>/ with pushed bodies in the
folders genuine, malformed and unknown (genuine, but with a word nobody knows).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from providers.contract.base import (
    Account,
    Adapter,
    Delivery,
    HookRequest,
    InvoiceFacts,
    Payment,
    Reason,
    StatusMessage,
)
from providers.contract.kinds import adapter_class
from providers.norm.codes import REASON_REQUIRED, Role, Side, reasons_for

from .fakes import FarEnd, Memory, make_adapter

PAYLOADS = Path(__file__).parent / "payloads"


@dataclass(frozen=True, kw_only=True)
class Case:
    """`healthy` are the routes of the platform in good health, `facts` an invoice of each side it knows.

    `sign` makes a genuine request of a body, `forgeries` spoil one. `is_login` tells the requests that only fetch a
    token or a key, `is_read` those that change nothing, and `renews_token` that a refused one is replaced; `read` is a
    call that reads one invoice's statuses, or whatever the platform lets read, None for one that only listens. `cls`
    and `docs` are given by a platform outside the registry.
    """

    kind: str
    account: Account
    healthy: Callable[[], Mapping[str, Any]]
    facts: Mapping[str, InvoiceFacts]
    is_login: Callable[[httpx.Request], bool] = lambda request: False
    is_read: Callable[[httpx.Request], bool] = lambda request: request.method == "GET"
    renews_token: bool = True
    sign: Callable[[bytes], HookRequest] | None = None
    forgeries: Mapping[str, Callable[[HookRequest], HookRequest]] = field(default_factory=dict)
    read: Callable[[Any], Any] | None = lambda adapter: adapter.poll({})
    cls: type[Adapter] | None = None
    docs: str = "docs/platforms.md"

    def __str__(self) -> str:
        return self.kind

    @property
    def adapter_class(self) -> type[Adapter]:
        return self.cls or adapter_class(self.kind)

    def payloads(self, folder: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted((PAYLOADS / self.kind / folder).glob("*.*"))}

    def make(self, far_end: Callable[[httpx.Request], httpx.Response] | None = None) -> Any:
        return make_adapter(self.adapter_class, self.account, far_end or self.far_end(), Memory())

    def far_end(self) -> FarEnd:
        return FarEnd(self.healthy())

    def failing(self, answer: Any) -> Failing:
        return Failing(self.far_end(), self.is_login, answer)

    def genuine(self, body: bytes) -> HookRequest:
        assert self.sign is not None
        return self.sign(body)

    def message(self, status: str, side: str) -> StatusMessage:
        """An ordinary message with this status, with a reason and amounts where the platform takes them."""
        offered = self.make().reasons_for(status, side=side)
        if offered is None:  # whatever the law allows
            offered = frozenset(reasons_for(status) if status in REASON_REQUIRED else ())
        reason = sorted(offered)[:1]
        paid = (Payment(amount=Decimal("120.00"), vat_rate=Decimal("20.00")),) if status in ("211", "212") else ()
        return StatusMessage(
            id="00000000-0000-4000-8000-000000000001",
            invoice=self.facts[side],
            status=status,
            issuer_role=(Role.BUYER if side == Side.BUYER else Role.SELLER).value,
            occurred_at=datetime.now(UTC),
            reasons=tuple(Reason(code=code) for code in reason),
            payments=paid,
        )

    def sayable(self) -> list[tuple[str, str]]:
        """Every (status, side) the adapter says it can tell."""
        can = self.make().capabilities
        sides = ((Side.BUYER.value, can.buyer_statuses), (Side.SELLER.value, can.seller_statuses))
        return [(status, side) for side, statuses in sides for status in sorted(statuses)]


class Failing:
    """A platform that lets one log in, and then fails in one way."""

    def __init__(self, healthy: FarEnd, is_login: Callable[[httpx.Request], bool], answer: Any) -> None:
        self.healthy = healthy
        self.is_login = is_login
        self.broken = FarEnd({})
        self.answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.is_login(request):
            return self.healthy(request)
        self.broken.routes = {f"{request.method} {request.url.path}": self.answer}
        return self.broken(request)

    @property
    def requests(self) -> list[httpx.Request]:
        """Those that are no login."""
        return self.broken.requests


def no_network(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"{request.method} {request.url} was called")


def with_body(request: HookRequest, body: bytes) -> HookRequest:
    return replace(request, body=body)


def unknown_words(delivery: Delivery) -> list[str]:
    """Words of a delivery that were kept without being understood."""
    hints = [bell.hint for bell in delivery.bells if bell.hint]
    return [report.native_status for report in (*hints, *delivery.statuses) if report.status is None]


HOSTILE_BODIES = {
    "empty": b"",
    "null": b"null",
    "number": b"7",
    "string": b'"x"',
    "array": b"[]",
    "object": b"{}",
    "not JSON": b"{",
    "not UTF-8": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 50_000,
    "NUL": b'{"a": "\\u0000"}',
    "huge number": b'{"a": ' + b"9" * 10_000 + b"}",
    "XML bomb": b'<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>',
}


def echo_everything(request: httpx.Request) -> tuple[int, dict[str, str]]:
    """A refusal that shows all it was sent."""
    shown = json.dumps(dict(request.headers)) + request.content.decode("latin-1")
    return 422, {"detail": shown, "title": "Refused"}
