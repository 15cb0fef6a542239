"""The contract between Navette and a platform: what an adapter is given, what it answers, how it fails.

An adapter translates. It decides nothing, saves nothing but tokens, and never loops by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Protocol

import httpx

from lifecycle.codes import Side

MIB = 1024 * 1024

# --- what goes wrong --------------------------------------------------------------------------------------------------


class PlatformError(Exception):
    """A call failed. `message` is for people and free of secrets; `answer` is what came back, shortened."""

    def __init__(self, message: str, *, status_code: int | None = None, answer: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.answer = answer[:4000]


class TemporaryError(PlatformError):
    """Surely not accepted; try later, not before `retry_after` seconds where the platform says so."""

    def __init__(self, message: str, *, retry_after: float | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.retry_after = retry_after


class UncertainError(PlatformError):
    """May have been accepted: look at the platform before saying it again."""


class PermanentError(PlatformError):
    """Refused, and would be refused again: a person must act."""


class Unsupported(PlatformError):
    """The platform has no way to express this; nothing was sent."""


class HookError(Exception):
    """A pushed request is not accepted. `status_code` is the HTTP answer."""

    status_code: ClassVar[int] = 400


class Malformed(HookError):
    """Not what the protocol carries."""


class NotGenuine(HookError):
    """Signature, secret or age is wrong."""

    status_code = 401


class WrongLine(HookError):
    """Genuine, but meant for another addressing line."""

    status_code = 403


# --- what platforms say -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Party:
    name: str = ""
    siren: str = ""
    siret: str = ""
    vat_number: str = ""
    scheme: str = ""
    identifier: str = ""


@dataclass(frozen=True, kw_only=True)
class Reason:
    """`code` is national (MDT-113); `native_code` the platform's own word; `text` free."""

    code: str = ""
    text: str = ""
    native_code: str = ""


@dataclass(frozen=True, kw_only=True)
class Payment:
    """One row per VAT rate (percent). `amount` includes VAT; negative reverses an earlier one."""

    amount: Decimal
    vat_rate: Decimal | None = None
    currency: str = "EUR"


@dataclass(frozen=True, kw_only=True)
class StatusReport:
    """One status as a platform reports it. `status` is None for a word we do not know.

    `key` is the platform's own identity of this fact ("" where it gives none); `occurred_at` is None likewise.
    """

    provider_ref: str
    status: str | None
    native_status: str = ""
    issuer_role: str = ""
    reasons: tuple[Reason, ...] = ()
    note: str = ""
    payments: tuple[Payment, ...] = ()
    occurred_at: datetime | None = None
    key: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class InvoiceReport:
    """What a platform says of an invoice beside the document. `direction` is "received" or "issued"."""

    provider_ref: str
    direction: str
    number: str = ""
    type_code: str = ""
    issue_date: date | None = None
    due_date: date | None = None
    currency: str = ""
    total_with_vat: Decimal | None = None
    seller: Party = field(default_factory=Party)
    buyer: Party = field(default_factory=Party)
    native_status: str = ""
    created_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bell:
    """ "Go and look": the push names an invoice (`provider_ref`) but carries no news to record by itself.

    `hint` is the status report to record should the platform's history not show it within the retries.
    `is_new_invoice` says that the push announces an invoice: an unknown reference is then fetched, not quarantined.
    """

    provider_ref: str
    is_new_invoice: bool = False
    hint: StatusReport | None = None


@dataclass(frozen=True, kw_only=True)
class File:
    """`kind`: original, readable, converted or attachment. `media_type` and `filename` as the platform says."""

    kind: str
    content: bytes = field(repr=False)
    media_type: str = ""
    filename: str = ""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One push, read. `key` is unique per connection for one news (the duplicate guard).

    `invoices` come with their `files` (by provider_ref) where the push carries the document itself.
    """

    key: str
    bells: tuple[Bell, ...] = ()
    statuses: tuple[StatusReport, ...] = ()
    invoices: tuple[InvoiceReport, ...] = ()
    files: Mapping[str, tuple[File, ...]] = field(default_factory=dict)
    ignored: str = ""


@dataclass(frozen=True, kw_only=True)
class PollPage:
    """`cursor` is kept by the caller and handed back on the next poll (JSON)."""

    invoices: tuple[InvoiceReport, ...] = ()
    statuses: tuple[StatusReport, ...] = ()
    bells: tuple[Bell, ...] = ()
    cursor: Mapping[str, Any] = field(default_factory=dict)


# --- what we tell -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class InvoiceFacts:
    """The invoice a message is about, as far as any dialect needs it."""

    provider_ref: str
    direction: str
    number: str
    type_code: str
    issue_date: date | None
    seller: Party
    buyer: Party
    line_identifier: str = ""


@dataclass(frozen=True, kw_only=True)
class StatusMessage:
    """One status we tell. `id` is stable over retries (our relay's id); `occurred_at` is when our user decided."""

    id: str
    invoice: InvoiceFacts
    status: str
    issuer_role: str
    occurred_at: datetime
    reasons: tuple[Reason, ...] = ()
    note: str = ""
    payments: tuple[Payment, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The platform's answer. `confirmed`: it shows the status as set, not only as taken in."""

    reference: str = ""
    confirmed: bool = False
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One line of a connection check: `name` of the thing checked, `ok`, and `message` saying what to do if not."""

    name: str
    ok: bool
    message: str = ""


# --- what an adapter is given -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Field:
    """A setting or secret an adapter declares. `type`: str, int, bool, url, list or choice."""

    name: str
    type: str = "str"
    default: Any = None
    required: bool = False
    help: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What the platform can carry. Statuses we may tell are given per side of our customer."""

    buyer_statuses: frozenset[str] = frozenset()
    seller_statuses: frozenset[str] = frozenset()
    submit_formats: frozenset[str] = frozenset()
    webhooks: bool = False
    polling: bool = False
    look_up: bool = False
    history: bool = False
    directory: bool = False
    e_reporting: bool = False

    def of_side(self, side: str | None) -> frozenset[str]:
        """The statuses we may tell in the name of a side."""
        return {Side.BUYER.value: self.buyer_statuses, Side.SELLER.value: self.seller_statuses}.get(
            side or "", frozenset()
        )


@dataclass(frozen=True, kw_only=True)
class Line:
    """An addressing line as an adapter sees it."""

    identifier: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class HookRequest:
    """A pushed request as it came. `url` is built from PUBLIC_URL, never from the request's host."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    received_at: datetime
    line: Line | None = None

    def header(self, name: str) -> str:
        """The header's value whatever its case, or ""."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), "")


class Tokens(Protocol):
    """Access tokens, sealed, shared between workers. `scope` separates lines or keys of one connection."""

    def get(self, scope: str, login: Callable[[], tuple[str, datetime]]) -> str:
        """The cached token, or the one `login` returns with its expiry; one login at a time over all workers."""

    def drop(self, scope: str, token: str) -> None:
        """Forget `token` if it is still the cached one."""


class Lines(Protocol):
    """The addressing lines a connection serves."""

    def find(self, identifier: str) -> Line | None: ...
    def all(self) -> Iterable[Line]: ...

    def hook_url(self, identifier: str) -> str:
        """The open address of a line's own, for platforms that want one per line; "" where there is none."""


class NoLines:
    """For an adapter that is asked what it can do before any line exists."""

    def find(self, identifier: str) -> Line | None:
        return None

    def all(self) -> Iterable[Line]:
        return ()

    def hook_url(self, identifier: str) -> str:
        return ""


class Memory(Protocol):
    """Small facts learned about the platform (which path worked, a pinned key), kept with the connection."""

    def get(self, name: str) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...


class Vault(Protocol):
    """Secrets the platform gave us (of a registered webhook, a renewed refresh token), sealed; read anew each time."""

    def get(self, name: str) -> Mapping[str, str]:
        """What is kept under this name, {} if nothing."""

    def change(self, name: str, **changes: str) -> Mapping[str, str]:
        """Merge into what is kept, at once for all workers; returns the whole."""


class ShortVault:
    """For an adapter outside any connection: what it learns goes with it."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, str]] = {}

    def get(self, name: str) -> Mapping[str, str]:
        return dict(self._kept.get(name, {}))

    def change(self, name: str, **changes: str) -> Mapping[str, str]:
        self._kept[name] = {**self._kept.get(name, {}), **changes}
        return self.get(name)


@dataclass(frozen=True, kw_only=True)
class Account:
    """Our account at a platform, unsealed for one adapter."""

    id: str
    name: str
    environment: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    hook_url: str = ""
    lines: Lines = field(default_factory=NoLines)
    vault: Vault = field(default_factory=ShortVault, repr=False)


class Adapter:
    """A platform's dialect. Subclasses declare the class attributes and override what the platform offers.

    Every call raises TemporaryError, UncertainError, PermanentError or Unsupported, and nothing else on purpose.
    """

    kind: ClassVar[str]
    label: ClassVar[str]
    settings_fields: ClassVar[tuple[Field, ...]] = ()
    secret_fields: ClassVar[tuple[Field, ...]] = ()
    line_setting_fields: ClassVar[tuple[Field, ...]] = ()
    line_secret_fields: ClassVar[tuple[Field, ...]] = ()
    hook_success_status: ClassVar[int] = 204
    max_hook_body: ClassVar[int] = MIB
    hook_per_line: ClassVar[bool] = False
    requests_per_second: ClassVar[float] = 5.0

    def __init__(self, account: Account, *, client: httpx.Client, tokens: Tokens, memory: Memory) -> None:
        self.account = account
        self.client = client
        self.tokens = tokens
        self.memory = memory

    def setting(self, name: str) -> Any:
        """The connection's setting, or the declared default."""
        if name in self.account.settings:
            return self.account.settings[name]
        return next(field.default for field in self.settings_fields if field.name == name)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    @classmethod
    def seat(cls, direction: str, line_settings: Mapping[str, Any]) -> Side | None:
        """The side our people speak for on an invoice of a line; None where others speak, and we only listen."""
        return Side.BUYER if direction == "received" else Side.SELLER

    # pushed to us
    def take_secret(self, request: HookRequest) -> bool:
        """Take in a push that hands us a secret: True if this was one. Asked first; nothing of it is stored or logged.

        Such a push may come before anything can verify it: accept it only while it is awaited, else raise NotGenuine.
        """
        return False

    def verify_webhook(self, request: HookRequest) -> None:
        """Return if the raw request is genuine, else raise NotGenuine or WrongLine."""
        raise NotGenuine("This platform pushes nothing.")

    def parse_webhook(self, request: HookRequest) -> Delivery:
        """Read a genuine request; raise Malformed. Pure: no network, no database."""
        raise Malformed("This platform pushes nothing.")

    def register_webhooks(self) -> tuple[str, ...]:
        """Make the platform push to `account.hook_url`; idempotent. Says what it changed, for people."""
        raise Unsupported("Webhooks are registered by hand on this platform.")

    # asked by us
    def fetch_invoice(self, provider_ref: str) -> InvoiceReport:
        raise Unsupported("This platform offers no reading of one invoice.")

    def fetch_files(self, provider_ref: str) -> tuple[File, ...]:
        """The original first; also the platform's readable or converted file where there is one."""
        raise Unsupported("This platform offers no download.")

    def fetch_statuses(self, provider_ref: str) -> tuple[StatusReport, ...]:
        """The whole history the platform shows, oldest first."""
        raise Unsupported("This platform shows no history.")

    def poll(self, cursor: Mapping[str, Any]) -> PollPage:
        """What is new since `cursor` ({} at first), overlapping rather than missing."""
        raise Unsupported("This platform cannot be polled.")

    # told by us
    def reasons_for(self, status: str, *, side: str) -> frozenset[str] | None:
        """National reason codes the platform can carry with this status; None where it sets no limit of its own."""
        return None

    def send_status(self, message: StatusMessage) -> Receipt:
        raise Unsupported("This platform takes no statuses.")

    def find_status(self, message: StatusMessage) -> Receipt | None:
        """What the platform shows of a message whose fate is uncertain; None if it does not show it."""
        raise Unsupported("This platform cannot be asked about a status.")

    def submit_invoice(self, file: File, invoice: InvoiceFacts) -> Receipt:
        """Hand in an issued invoice; the receipt's `reference` is the platform's id of it."""
        raise Unsupported("This platform takes no invoices through its API.")

    def find_invoice(self, invoice: InvoiceFacts) -> Receipt | None:
        raise Unsupported("This platform cannot be searched.")

    def check(self) -> Iterable[CheckResult]:
        """Try the credentials and the rights that matter, without changing anything."""
        raise Unsupported("This platform cannot be checked.")
