"""A platform that exists only in tests: it carries every status and pushes nothing by itself."""

from __future__ import annotations

from typing import Any

from providers.contract import kinds
from providers.contract.base import Adapter, Capabilities, Field, Receipt, StatusMessage, StatusReport
from providers.norm.codes import INVOICE_STATUSES

EVERY_STATUS = frozenset(INVOICE_STATUSES)


class FakePlatform(Adapter):
    kind = "fake"
    label = "Fake platform"
    settings_fields = (
        Field(name="api_url", type="url", required=True, help="Where it answers."),
        Field(name="page_size", type="int", default=50),
        Field(name="strict", type="bool", default=False),
        Field(name="mode", type="choice", default="slow", choices=("slow", "fast")),
        Field(name="tags", type="list"),
    )
    secret_fields = (Field(name="password", required=True), Field(name="pin"))
    line_setting_fields = (Field(name="mandate"),)
    line_secret_fields = (Field(name="line_key"),)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(buyer_statuses=EVERY_STATUS, seller_statuses=EVERY_STATUS, look_up=True, history=True)

    def fetch_statuses(self, provider_ref: str) -> tuple[StatusReport, ...]:
        return ()

    def send_status(self, message: StatusMessage) -> Receipt:
        return Receipt(reference=f"fake-{message.id}")

    def find_status(self, message: StatusMessage) -> Receipt | None:
        return None


class FakeLinePlatform(FakePlatform):
    """Wants one hook per addressing line, and carries nothing."""

    kind = "fake_line"
    label = "Fake platform by line"
    settings_fields = ()
    secret_fields = ()
    hook_per_line = True

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()


def register(monkeypatch: Any) -> None:
    """Make both kinds known for one test."""
    for cls in (FakePlatform, FakeLinePlatform):
        monkeypatch.setitem(kinds.ADAPTERS, cls.kind, f"{cls.__module__}.{cls.__name__}")
