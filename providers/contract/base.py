"""The contract between Navette and a platform: what an adapter is given, what it answers, how it fails.

An adapter translates. It decides nothing, saves nothing but tokens, subscriptions and learned facts, and never loops by
itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import httpx

from providers.network.callbacks import Policy
from providers.norm.codes import Side

from .errors import (
    HookError,
    LoginRefused,
    Malformed,
    NotGenuine,
    NotSpoken,
    NotYet,
    Nowhere,
    PermanentError,
    PlatformError,
    Refusal,
    TemporaryError,
    UncertainError,
    Unsupported,
    WrongLine,
)
from .fields import Field
from .shapes import (
    Bell,
    Capabilities,
    CheckResult,
    Delivery,
    DirectoryEntry,
    File,
    InvoiceFacts,
    InvoiceKey,
    InvoiceReport,
    Party,
    Payment,
    PollPage,
    Push,
    Reason,
    Receipt,
    Spoken,
    StatusMessage,
    StatusReport,
    Verdict,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = [
    "MIB",
    "Account",
    "Adapter",
    "Bell",
    "Capabilities",
    "CheckResult",
    "ConnectionData",
    "Delivery",
    "DirectoryEntry",
    "Field",
    "File",
    "HookError",
    "HookRequest",
    "InvoiceFacts",
    "InvoiceKey",
    "InvoiceReport",
    "Line",
    "Lines",
    "LoginRefused",
    "Malformed",
    "Memory",
    "NoLines",
    "NoSubscriptions",
    "NotGenuine",
    "NotSpoken",
    "NotYet",
    "Nowhere",
    "Party",
    "Payment",
    "PermanentError",
    "PlatformError",
    "Policy",
    "PollPage",
    "Push",
    "Reason",
    "Receipt",
    "Refusal",
    "Reply",
    "ShortVault",
    "Spoken",
    "StatusMessage",
    "StatusReport",
    "Subscription",
    "Subscriptions",
    "TemporaryError",
    "Tokens",
    "UncertainError",
    "Unsupported",
    "Vault",
    "Verdict",
    "WrongLine",
]

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Line:
    """An addressing line as an adapter sees it."""

    identifier: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class HookRequest:
    """A pushed request as it came. `url` is built from PUBLIC_URL, never from the request's host; `rest` is what of its
    path stands below our address.
    """

    method: str
    url: str = field(repr=False)  # with the hook's token
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: datetime
    line: Line | None = None
    rest: str = ""

    def header(self, name: str) -> str:
        """The header's value whatever its case, or ""."""
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), "")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What we answer to a call that is no push: JSON, or nothing."""

    status_code: int = 200
    document: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class ConnectionData:
    """`secrets` are kept, sealed, with the line; `shown` is for a person to hand on, by name, once."""

    secrets: Mapping[str, str] = field(repr=False)
    shown: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """What joins an addressing line to the other party: ours at a platform, or a platform's with us.

    `state` is one of models.Subscription.State; `callback_url` is where the subscriber wants to be called.
    """

    line_identifier: str
    state: str = "draft"
    reference: str = ""
    callback_url: str = field(default="", repr=False)
    error: str = ""


class Subscriptions(Protocol):
    """The subscriptions of a connection's lines."""

    def find(self, line_identifier: str) -> Subscription | None: ...
    def save(self, subscription: Subscription) -> None: ...


class NoSubscriptions:
    """For an adapter that is asked what it can do before anybody subscribed."""

    def find(self, line_identifier: str) -> Subscription | None:
        return None

    def save(self, subscription: Subscription) -> None:
        pass


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
    def of_invoice(self, provider_ref: str) -> Line | None:
        """The line of an invoice we have, so that it is asked for in the right name."""

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

    def of_invoice(self, provider_ref: str) -> Line | None:
        return None


class Memory(Protocol):
    """Small facts learned about the platform (which path worked, a pinned key), kept with the connection."""

    def get(self, name: str) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...
    def fresh(self, name: str) -> Any:
        """As it stands now, whatever another process has learned meanwhile."""

    def claim(self, name: str, seconds: float) -> bool:
        """Whether what only one of all processes is to do is ours, for so long or until the name is set to None."""


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
    subscriptions: Subscriptions = field(default_factory=NoSubscriptions)
    # Seconds until the next call, where so many a second are allowed: whoever asks has that turn.
    next_turn: Callable[[float], float] = field(default=lambda per_second: 0.0, repr=False)


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
    # Line secrets that join a line to the other party (subscribe, unsubscribe); none: lines are not subscribed.
    connection_data: ClassVar[tuple[str, ...]] = ()
    # It is us who make them and hand them out (new_connection_data).
    gives_connection_data: ClassVar[bool] = False
    wants_addresses: ClassVar[bool] = False  # of both parties, and `received_at`, with each status told
    requests_per_second: ClassVar[float] = 5.0
    # It calls `before_speaking` by itself, as late as can be; for another one the caller does so before the call.
    marks_speaking: ClassVar[bool] = False

    def __init__(self, account: Account, *, client: httpx.Client, tokens: Tokens, memory: Memory) -> None:
        self.account = account
        self.client = client
        self.tokens = tokens
        self.memory = memory
        self.before_speaking: Callable[[], None] = lambda: None
        self.on_spoken: Callable[[Spoken], None] = lambda spoken: None

    def speaking(
        self, before_speaking: Callable[[], None], on_spoken: Callable[[Spoken], None] = lambda spoken: None
    ) -> Self:
        """This adapter for one message. `before_speaking` is called right before the first byte of what must not be
        said twice may leave: after login, locks and waits. It raises NotSpoken where it must not be said now.
        `on_spoken` is given each request that was let out so.
        """
        speaking = copy.copy(self)
        speaking.before_speaking, speaking.on_spoken = before_speaking, on_spoken
        return speaking

    @classmethod
    def shown_after(cls, settings: Mapping[str, Any]) -> float:
        """Seconds within which the platform shows what it has taken in: not shown before, it may still be there."""
        return 0.0

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

    @classmethod
    def objection(cls, invoice: InvoiceFacts, status: str) -> StrOrPromise:
        """Why nobody can be told this status of this invoice here, as far as that is known beforehand; "" where nothing
        speaks against it. Asked for every invoice shown: nothing but a look at the facts.
        """
        return ""

    @classmethod
    def new_line_secrets(cls) -> Mapping[str, str]:
        """What a new addressing line begins with where nobody gives it: shown once to whoever makes the line."""
        return {}

    @classmethod
    def callback_policy(cls, settings: Mapping[str, Any]) -> Policy | None:
        """For a platform whose addresses others choose: which of them may be called. None: our people chose them."""
        return None

    def acting_for(self, account: str) -> Self:
        """This adapter, speaking in the name of a sub-account that a push named ("" for none)."""
        return self

    def search_directory(self, identifier: str) -> tuple[DirectoryEntry, ...]:
        """Who can be reached under a SIREN, SIRET or addressing line, and where; empty where nobody is."""
        raise Unsupported("This platform offers no directory.")

    def set_up_line(self, line: Line, owner: Party) -> Mapping[str, Any]:
        """Make the platform serve a line of ours; idempotent. Returns the line's settings as they are to be kept."""
        raise Unsupported("Addressing lines are set up by hand on this platform.")

    def refresh_lines(self) -> None:
        """Before each poll: note in `account.subscriptions` how the lines stand, where the platform keeps that."""

    # pushed to us
    def serve(self, request: HookRequest) -> Reply | None:
        """Answer a call at or below our address that is no push; None for a push, to be verified and stored. HookError.

        Nothing of such a call is stored or logged: it may hand us a secret, or ask for one.
        """
        if request.rest:
            raise Nowhere("There is nothing below this address.")
        return None

    def verify_webhook(self, request: HookRequest) -> None:
        """Return if the raw request is genuine, else raise NotGenuine or WrongLine."""
        raise NotGenuine("This platform pushes nothing.")

    def line_of(self, request: HookRequest) -> Line | None:
        """The addressing line a genuine request speaks for, where it is not the address that tells."""
        return request.line

    def parse_webhook(self, request: HookRequest) -> Delivery:
        """Read a genuine request; raise Malformed. Pure: no network, no database."""
        raise Malformed("This platform pushes nothing.")

    def acknowledge(self, key: str) -> Reply:
        """What a stored push is answered, the same when it comes again."""
        return Reply(status_code=self.hook_success_status)

    def register_webhooks(self) -> tuple[str, ...]:
        """Make the platform push to `account.hook_url`; idempotent. Says what it changed, for people."""
        raise Unsupported("Webhooks are registered by hand on this platform.")

    def new_connection_data(self, line: Line) -> ConnectionData:
        """Make what the other party needs to subscribe to a line of ours; what it was given before ends."""
        raise Unsupported("This platform gives the connection data; it is pasted here.")

    def subscribe(self, line: Line) -> str:
        """Make the other party push to the line's own address, anew if need be. Says what was done, for people."""
        raise Unsupported("This platform knows no subscription of a single addressing line.")

    def unsubscribe(self, line: Line) -> str:
        raise Unsupported("This platform knows no subscription of a single addressing line.")

    # asked by us
    def fetch_delivery(self, reference: str) -> Delivery:
        """What a push only pointed to, as if the push had said it (its `key` is the push's own)."""
        raise Unsupported("This platform's pushes point to nothing.")

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

    def calls_per_minute(self) -> float | None:
        """How many calls a minute, in the long run, we may spend on asking for each open invoice; None for no limit."""
        return None

    # told by us
    def reasons_for(self, status: str, *, side: str) -> frozenset[str] | None:
        """National reason codes the platform can carry with this status; None where it sets no limit of its own."""
        return None

    def require_sayable(self, message: StatusMessage) -> None:
        """Raises what `send_status` would raise without a call, where this very message cannot be said. Asked before
        anything is decided, when it has no `id` yet.
        """

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
