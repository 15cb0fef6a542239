"""The contract of a dialect. A new one is a module beside `dialects/acube.py` and a line in `dialects/__init__.py`.

It owns its routes, authentication, error bodies and words (`rules`, `answer`, `refuse`, `events_*`, `envelope`). The
flow is shared: deposit, report, accept, echo and the other party's play stand here and know only national status codes.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response
from werkzeug.routing import Rule

from .documents import Document, NotAnInvoiceError, read_document
from .records import Destination, Event, Invoice, StatusEntry, now

if TYPE_CHECKING:
    from .app import Sandbox


View = Callable[..., Response]


class Dialect:
    name = ""
    at_root = False  # its routes answer without the prefix too
    secret_paths: frozenset[str] = frozenset()  # calls whose bodies are not kept
    settings: dict[str, Any] = {}  # defaults, changed by POST /control/settings {"<name>": {...}}

    def __init__(self, sandbox: "Sandbox") -> None:
        self.sandbox = sandbox

    # -- what each dialect says for itself

    def rules(self) -> Iterator[Rule]:
        """Routes without prefix; the endpoint is the view: view(request, **values) -> Response."""
        raise NotImplementedError

    def new_state(self) -> Any:
        """Whatever the dialect itself remembers until the next reset."""
        return None

    def answer(self, request: Request, view: View, values: dict[str, Any]) -> Response:
        """Authenticates, calls the view, and turns its own exceptions into error bodies."""
        raise NotImplementedError

    def refuse(self, request: Request, kind: str, detail: str = "") -> Response:
        """The error body for `unauthorized_once`, `rate_limited`, `server_error`, `not_found`, `too_large`."""
        raise NotImplementedError

    def is_document(self, path: str) -> bool:
        """Whether this call downloads an original (for the fault `broken_document`)."""
        return False

    def events_for_deposit(self, invoice: Invoice) -> list[Event]:
        raise NotImplementedError

    def events_for_status(self, invoice: Invoice, entry: StatusEntry, *, echo: bool) -> list[Event]:
        raise NotImplementedError

    def stranger(self, event: Event) -> Event | None:
        """The same news about an invoice that does not exist; None when the event is not about an invoice."""
        raise NotImplementedError

    def destinations(self, event: Event) -> list[Destination]:
        raise NotImplementedError

    def body(self, event: Event) -> bytes:
        raise NotImplementedError

    def envelope(self, body: bytes, destination: Destination, trick: str) -> tuple[str, dict[str, str], bytes]:
        """Target, headers and body of one attempt; `trick` is the misbehaviour it must show, or ''."""
        raise NotImplementedError

    # -- shared flow

    @property
    def state(self) -> Any:
        return self.sandbox.state.of_dialect[self.name]

    @property
    def invoices(self) -> dict[str, Invoice]:
        return self.sandbox.state.invoices[self.name]

    def setting(self, name: str) -> Any:
        return self.sandbox.settings[self.name][name]

    def deposit(self, content: bytes, *, direction: str, uuid: str = "", document: Document | None = None) -> Invoice:
        """Takes an invoice in and rings. INBOUND: it is already available; OUTBOUND: its transmission follows."""
        if document is None:
            try:
                document = read_document(content)
            except NotAnInvoiceError:
                document = Document(number="?")
        invoice = Invoice(direction, content, document)
        if uuid:
            invoice.id = uuid
        codes = ("200", "202", "203") if direction == "INBOUND" else ("200",)
        invoice.history = [StatusEntry(code, invoice.created_at) for code in codes]
        with self.sandbox.lock:
            self.invoices[invoice.id] = invoice
        self.sandbox.ring(self.events_for_deposit(invoice))
        if direction == "OUTBOUND":
            self._play(invoice, self.sandbox.settings["outbound_script"])
        return invoice

    def report(
        self, invoice: Invoice, code: str, details: dict[str, Any] | None = None, *, echo: bool = False
    ) -> StatusEntry:
        """The platform learns a status, from anybody: history first, then the bell."""
        entry = StatusEntry(code, now(), details or {})
        with self.sandbox.lock:
            invoice.history.append(entry)
        self.sandbox.ring(self.events_for_status(invoice, entry, echo=echo))
        return entry

    def accept(self, invoice: Invoice, code: str, details: dict[str, Any]) -> None:
        """A status of ours is accepted: it counts from now, and comes back after the echo delay."""
        with self.sandbox.lock:
            self.sandbox.state.accepted[self.name, invoice.id, code] += 1
        self.sandbox.clock.later(self.sandbox.settings["echo_delay"], self._echo, invoice, code, details)

    def _echo(self, invoice: Invoice, code: str, details: dict[str, Any]) -> None:
        self.report(invoice, code, details, echo=True)
        self._play(invoice, self.sandbox.settings["reactions"][invoice.direction].get(code, []))

    def _play(self, invoice: Invoice, script: list[list]) -> None:
        if self.sandbox.settings["auto_react"]:
            for code, delay in script:
                self.sandbox.clock.later(delay, self._act, invoice, code)

    def _act(self, invoice: Invoice, code: str) -> None:
        """The other party's turn; after a refusal or a rejection nobody plays on."""
        if not invoice.closed and self.invoices.get(invoice.id) is invoice:
            self.report(invoice, code, self.payment_details(invoice) if code == "211" else {})

    def payment_details(self, invoice: Invoice) -> dict[str, Any]:
        """What a full payment of the invoice looks like in the words of the dialect."""
        return {}
