"""What platforms say and what we tell them: plain data between an adapter and its callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from providers.norm import companies
from providers.norm.codes import Side

# --- what platforms say ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Party:
    """Its numbers are normalised, and its SIREN derived where another of them holds it: see `companies`."""

    name: str = ""
    siren: str = ""
    siret: str = ""
    vat_number: str = ""
    scheme: str = ""
    identifier: str = ""

    def __post_init__(self) -> None:
        known = companies.identify(
            siren=self.siren,
            siret=self.siret,
            vat_number=self.vat_number,
            scheme=self.scheme,
            address=self.identifier,
        )
        vars(self).update(vars(known), identifier=companies.clean_address(self.identifier))


@dataclass(frozen=True, kw_only=True)
class InvoiceKey:
    """How a message names an invoice without the platform's reference: seller, number and year are unique by law (DGFiP
    rule G1.42). `direction` tells the two copies apart where seller and buyer are both ours. `is_quoted`: taken from
    the text of an answer whose own fields hold placeholders (G1.114); part of the name may be missing then.
    """

    seller_siren: str
    number: str
    type_code: str = ""
    issue_date: date | None = None
    direction: str = ""
    is_quoted: bool = False

    def __post_init__(self) -> None:
        vars(self).update(seller_siren=companies.siren_in(self.seller_siren))

    def __str__(self) -> str:
        return f"{self.seller_siren}/{self.number}/{self.issue_date.year if self.issue_date else '-'}"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """`code` is national (MDT-113); `native_code` the platform's own word; `text` free. An answer of the administration
    also names the `rule` that was broken (MDT-125) and the `place` of the fault (MDT-127).
    """

    code: str = ""
    text: str = ""
    native_code: str = ""
    rule: str = field(default="", repr=False)  # not in the fingerprint of a wish, which none has
    place: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Payment:
    """One row per VAT rate (percent). `amount` includes VAT; negative reverses an earlier one."""

    amount: Decimal
    vat_rate: Decimal | None = None
    currency: str = "EUR"


@dataclass(frozen=True, kw_only=True)
class StatusReport:
    """One status as a platform reports it. `status` is None for a word we do not know.

    `invoice_key` names the invoice where the platform gives no reference of its own (`provider_ref` is "" then).
    `key` is the platform's own identity of this fact ("" where it gives none); `occurred_at` is None likewise.
    `message_id`, where what we tell comes back under its own id (`StatusMessage.id`): whose message it is.
    `zone`, where the time was written without one: the zone it was read in. `said_on`: the time as it was written,
    where that is no instant. `is_remark`: `note` is the adapter's own remark, and not what the platform says.
    `emitter`: who put it on record, in the platform's words, where that is another than the issuer.
    `seen_at` places a fact whose time is not told: it was so by then.
    `answers` is the id of the message, file or transmission it speaks of, where that is no invoice (MDT-87 of 501, 601,
    301), and `answers_at` that one's time.
    `files` came with the status: what a supplier sends to complete an invoice.
    `refused`: the platform has not taken the invoice in, so what was handed in goes back to a person.
    `ppf_duty`: the platform says that the administration must hear it within 24 hours.
    `derived`: `status` is the nearest code to a word that does not name it. It never takes an invoice back: where the
    invoice is as far already, only the word is kept.
    """

    provider_ref: str
    status: str | None
    invoice_key: InvoiceKey | None = None
    answers: str = ""
    answers_at: datetime | None = None
    native_status: str = ""
    issuer_role: str = ""
    reasons: tuple[Reason, ...] = ()
    note: str = ""
    payments: tuple[Payment, ...] = ()
    occurred_at: datetime | None = None
    seen_at: datetime | None = None
    key: str = ""
    message_id: str = ""
    zone: str = ""
    said_on: str = ""
    is_remark: bool = False
    emitter: str = ""
    ppf_duty: bool = False
    derived: bool = False
    refused: bool = False
    files: tuple[File, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a platform says later of a message it had taken in: `message_id` is the `StatusMessage.id`; `text` why, for
    people.
    """

    message_id: str
    is_accepted: bool
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class InvoiceReport:
    """What a platform says of an invoice beside the document. `direction` is "received" or "issued"; `processing_rule`
    one of `processing.Rule`, "" where the platform names none.
    """

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
    processing_rule: str = ""
    created_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bell:
    """ "Go and look": the push names an invoice (`provider_ref`) but carries no news to record by itself.

    `hint` is the status report to record should the platform's history not show it within the retries.
    `is_new_invoice` says that the push announces an invoice: an unknown reference is then fetched, not quarantined.
    `account` is the sub-account the push names, where the platform must be told one with each call (`acting_for`).
    """

    provider_ref: str
    is_new_invoice: bool = False
    hint: StatusReport | None = None
    account: str = ""


@dataclass(frozen=True, kw_only=True)
class File:
    """`kind`: original, readable, converted or attachment. `media_type` and `filename` as the platform says."""

    kind: str
    content: bytes = field(repr=False)
    media_type: str = ""
    filename: str = ""


# What the column of a delivery's key holds.
LONGEST_KEY = 200


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One push, read. `key` is unique per connection for one news (the duplicate guard).

    `invoices` come with their `files` (by provider_ref) where the push carries the document itself. `unclear` says what
    of a genuine push could not be understood: it is put aside for a person. `poll_soon`: something changed that only a
    poll or a refresh of the lines shows, so the next one is due at once. `points_to` names what the push only says
    there is news of: `Adapter.fetch_delivery` brings it.
    """

    key: str
    points_to: str = ""
    bells: tuple[Bell, ...] = ()
    statuses: tuple[StatusReport, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    invoices: tuple[InvoiceReport, ...] = ()
    files: Mapping[str, tuple[File, ...]] = field(default_factory=dict)
    ignored: str = ""
    unproven: bool = False  # nobody vouches for it: kept for a look, and not without bound
    unclear: str = ""
    poll_soon: bool = False


@dataclass(frozen=True, kw_only=True)
class Push:
    """News found by asking, in the words of a push: stored like one, under its `key`, and read by `parse_webhook`."""

    key: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class PollPage:
    """`cursor` is kept by the caller and handed back on the next poll (JSON). `pushes` go to the inbox, each once."""

    invoices: tuple[InvoiceReport, ...] = ()
    statuses: tuple[StatusReport, ...] = ()
    bells: tuple[Bell, ...] = ()
    pushes: tuple[Push, ...] = ()
    cursor: Mapping[str, Any] = field(default_factory=dict)


# --- what we tell ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class InvoiceFacts:
    """The invoice a message is about, as far as any dialect needs it. `told_at`: when it was last submitted, known
    while that is looked up. `gives_back`: its seller owes its buyer, so that a receipt is negative.
    """

    provider_ref: str
    direction: str
    number: str
    type_code: str
    issue_date: date | None
    seller: Party
    buyer: Party
    line_identifier: str = ""
    processing_rule: str = ""
    gives_back: bool = False
    received_at: datetime | None = None
    told_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StatusMessage:
    """One status we tell. `id` is stable over retries (our relay's id); `occurred_at` is when our user decided;
    `reaches_ppf`: where the status is one that may go to the administration, this one does.

    Known while it is looked up: `told_at`, when it was last sent (a platform may take a while to show what it has);
    `others`, keys of items of the platform's history that are other messages of ours; `unseen`, how many earlier ones
    of the same status have no item there that we know of.
    """

    id: str
    invoice: InvoiceFacts
    status: str
    issuer_role: str
    occurred_at: datetime
    reasons: tuple[Reason, ...] = ()
    note: str = ""
    payments: tuple[Payment, ...] = ()
    reaches_ppf: bool = True
    told_at: datetime | None = None
    others: frozenset[str] = frozenset()
    unseen: int = 0


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """A request by which a platform was told something, as it left us. `headers` hold no secret.

    `body` is byte for byte what was sent, but where it holds a secret or is long; `sha256` and `size` are always those
    of the bytes sent.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The platform's answer. `confirmed`: it shows the status as set, not only as taken in. `refused`, when looked up:
    it has turned down what it had taken in, and `text` says why.
    """

    reference: str = ""
    confirmed: bool = False
    refused: bool = False
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class DirectoryEntry:
    """One way to reach a company: `identifier` is an addressing line (scheme 0225). `active` today."""

    identifier: str
    siren: str
    siret: str = ""
    name: str = ""
    routing_name: str = ""
    platform: str = ""
    valid_from: date | None = None
    valid_to: date | None = None
    active: bool = True


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One line of a connection check: `name` of the thing checked, `ok`, and `message` saying what to do if not."""

    name: str
    ok: bool
    message: str = ""


# --- what an adapter declares -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What the platform can carry. Statuses we may tell are given per side of our customer.

    `polling`: it lists what is new. `ask_each`: it does not, so each open invoice is asked for by itself, ever more
    rarely. `originals`: the file the supplier sent can be had; without it, nobody waits for it. `handover_formats`: it
    is us who are the customers' platform, and hand them what they receive.
    """

    buyer_statuses: frozenset[str] = frozenset()
    seller_statuses: frozenset[str] = frozenset()
    submit_formats: frozenset[str] = frozenset()
    handover_formats: frozenset[str] = frozenset()
    webhooks: bool = False
    polling: bool = False
    ask_each: bool = False
    originals: bool = True
    look_up: bool = False
    history: bool = False
    directory: bool = False
    e_reporting: bool = False

    def of_side(self, side: str | None) -> frozenset[str]:
        """The statuses we may tell in the name of a side."""
        return {Side.BUYER.value: self.buyer_statuses, Side.SELLER.value: self.seller_statuses}.get(
            side or "", frozenset()
        )
