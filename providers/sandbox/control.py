"""The sandbox's own door: deposits, statuses, faults, and what was seen. For tests, the demo and curious people."""

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from .dialect import Dialect
from .faults import KINDS, UnknownFaultError
from .records import Destination, Event, Invoice
from .samples import BY_KEY, SAMPLES, Company, build

if TYPE_CHECKING:
    from .app import Sandbox

PAGE = Path(__file__).with_name("control.html")
MAX_COUNT = 10_000
TRICKS = ("", "unsigned", "wrong_signature", "stale_signature", "wrong_token")


class BadWishError(ValueError):
    """The control API was asked something it cannot do; the text says what."""


def _as_json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, ensure_ascii=False, default=str), status=status, mimetype="application/json")


def _body(request: Request) -> dict[str, Any]:
    """JSON only: a web page of somebody else cannot send that here without being asked first (CORS)."""
    if request.mimetype != "application/json":
        raise BadWishError("Send JSON, with Content-Type: application/json.")
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise BadWishError(f"The body is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise BadWishError("The body must be a JSON object.")
    return body


def _dialect(sandbox: "Sandbox", name: str) -> Dialect:
    try:
        return sandbox.dialect(name)
    except KeyError:
        raise BadWishError(f"Unknown dialect {name!r}. Known: {', '.join(sandbox.dialect_names)}.") from None


def _invoice(sandbox: "Sandbox", body: dict[str, Any]) -> tuple[Dialect, Invoice]:
    """By the platform's id or by the invoice's number, on any dialect."""
    wanted = str(body.get("invoice", ""))
    with sandbox.lock:
        for name in sandbox.dialect_names:
            for invoice in sandbox.state.invoices[name].values():
                if wanted in (invoice.id, invoice.document.number):
                    return sandbox.dialect(name), invoice
    raise BadWishError(f"There is no invoice {wanted!r}.")


def page(sandbox: "Sandbox", request: Request) -> Response:
    return Response(PAGE.read_text(encoding="utf-8"), mimetype="text/html")


def home(sandbox: "Sandbox", request: Request) -> Response:
    return Response(status=302, headers={"Location": "/control/"})


def make_document(sandbox: "Sandbox", body: dict[str, Any], direction: str) -> bytes:
    """A sample in which our company is the buyer (INBOUND) or the seller (OUTBOUND)."""
    ours = "buyer" if direction == "INBOUND" else "seller"
    siren = str(body.get(f"{ours}_siren", ""))
    if not (siren.isdecimal() and len(siren) == 9):
        raise BadWishError(f"{ours}_siren must be the SIREN of the company whose invoice this is: 9 digits.")
    serial = sandbox.next_serial()
    key = body.get("sample") or SAMPLES[(serial - 1) % len(SAMPLES)].key
    if key not in BY_KEY:
        raise BadWishError(f"Unknown sample {key!r}. Known: {', '.join(BY_KEY)}.")
    sample, today = BY_KEY[key], dt.date.today()
    company = Company(
        str(body.get(f"{ours}_name") or f"Société {siren}"), siren, address=str(body.get(f"{ours}_address") or siren)
    )
    number = str(body.get("number") or f"F-{today.year}-{serial:05d}")
    original = sandbox.last_number(sample.seller.siren) if sample.type_code == "381" else ""
    if direction == "INBOUND":
        return build(sample, number=number, issued=today, buyer=company, original=original)
    return build(sample, number=number, issued=today, seller=company, buyer=sample.seller, original=original)


def deposit(sandbox: "Sandbox", request: Request) -> Response:
    body = _body(request)
    dialect = _dialect(sandbox, body.get("dialect", "acube"))
    direction = str(body.get("direction", "INBOUND")).upper()
    if direction not in ("INBOUND", "OUTBOUND"):
        raise BadWishError("direction must be INBOUND or OUTBOUND.")
    count = body.get("count", 1)
    if not isinstance(count, int) or not 1 <= count <= MAX_COUNT:
        raise BadWishError(f"count must be a number from 1 to {MAX_COUNT}.")
    if count > 1 and ("xml" in body or "number" in body or "uuid" in body):
        raise BadWishError("count cannot go with xml, number or uuid: each names one invoice.")
    made = []
    for _ in range(count):
        content = body["xml"].encode() if "xml" in body else make_document(sandbox, body, direction)
        made.append(dialect.deposit(content, direction=direction, uuid=str(body.get("uuid") or "")))
    return _as_json({"invoices": [_shown(dialect, invoice) for invoice in made]}, 201)


def report(sandbox: "Sandbox", request: Request) -> Response:
    body = _body(request)
    dialect, invoice = _invoice(sandbox, body)
    if not body.get("status"):
        raise BadWishError("status is missing: a code such as 205, or any word.")
    details = {name: value for name, value in body.items() if name not in ("invoice", "status")}
    dialect.report(invoice, str(body["status"]), details)
    return _as_json(_shown(dialect, invoice), 201)


def arm(sandbox: "Sandbox", request: Request) -> Response:
    body = _body(request)
    try:
        sandbox.faults.arm(**body)
    except (UnknownFaultError, TypeError, ValueError) as error:
        raise BadWishError(str(error)) from error
    return faults(sandbox, request, 201)


def faults(sandbox: "Sandbox", request: Request, status: int = 200) -> Response:
    kinds = {kind: meaning for kind, (_, meaning, _) in KINDS.items()}
    return _as_json({"armed": sandbox.faults.armed(), "kinds": kinds}, status)


def disarm(sandbox: "Sandbox", request: Request) -> Response:
    sandbox.faults.clear()
    return faults(sandbox, request)


def calls(sandbox: "Sandbox", request: Request) -> Response:
    """Every call, and how often each status (or submission) was accepted: a count above 1 was said twice."""
    with sandbox.lock:
        seen = [call.as_json() for call in sandbox.state.calls]
        accepted = [
            {"dialect": dialect, "invoice": invoice, "status": status, "count": count}
            for (dialect, invoice, status), count in sandbox.state.accepted.items()
        ]
    return _as_json({"calls": _newest(request, seen), "accepted": accepted})


def webhooks(sandbox: "Sandbox", request: Request) -> Response:
    with sandbox.lock:
        rings = [ring.as_json() for ring in sandbox.state.rings]
    return _as_json({"webhooks": _newest(request, rings), "pending": sandbox.pending})


def _newest(request: Request, items: list) -> list:
    last = request.args.get("last", type=int)
    return items[-last:] if last else items


def invoices(sandbox: "Sandbox", request: Request) -> Response:
    with sandbox.lock:
        shown = [
            _shown(sandbox.dialect(name), invoice)
            for name in sandbox.dialect_names
            for invoice in list(sandbox.state.invoices[name].values())
        ]
    return _as_json({"invoices": _newest(request, shown), "samples": list(BY_KEY), "dialects": sandbox.dialect_names})


def _shown(dialect: Dialect, invoice: Invoice) -> dict[str, Any]:
    document = invoice.document
    return {
        "dialect": dialect.name,
        "uuid": invoice.id,
        "direction": invoice.direction,
        "number": document.number,
        "seller": document.seller.name,
        "seller_siren": document.seller.siren,
        "buyer": document.buyer.name,
        "buyer_siren": document.buyer.siren,
        "created_at": invoice.created_at.isoformat(),
        "statuses": [entry.code for entry in invoice.history],
    }


def reset(sandbox: "Sandbox", request: Request) -> Response:
    sandbox.reset(keep_destinations=bool(_body(request).get("keep_destinations")))
    return _as_json({"settings": sandbox.settings})


def settings(sandbox: "Sandbox", request: Request) -> Response:
    return _as_json(sandbox.settings)


def change_settings(sandbox: "Sandbox", request: Request) -> Response:
    try:
        sandbox.change_settings(_body(request))
    except KeyError as error:
        raise BadWishError(f"There is no setting {error.args[0]}.") from error
    return settings(sandbox, request)


def ring(sandbox: "Sandbox", request: Request) -> Response:
    """Rings once, at once, whatever is asked: `body` (raw text) or `event` (JSON), with the `trick` wanted."""
    body = _body(request)
    dialect = _dialect(sandbox, body.get("dialect", "acube"))
    trick = str(body.get("trick", ""))
    if trick not in TRICKS:
        raise BadWishError(f"Unknown trick {trick!r}. Known: {', '.join(TRICKS[1:])}.")
    news = body.get("event") or {}
    event = Event(dialect.name, str(news.get("eventType", body.get("event_type", "invoice.status"))), news)
    destination = next(iter(dialect.destinations(event)), None)
    if body.get("target"):
        known = destination or Destination(event.type, "")
        destination = Destination(event.type, body["target"], known.auth_type, known.auth_key, known.auth_token)
    if destination is None:
        raise BadWishError(f"Nobody registered for {event.type}; name a target.")
    content = body["body"].encode() if "body" in body else dialect.body(event)
    target, headers, content = dialect.envelope(content, destination, trick)
    status, answer = sandbox.ringer.post(target, {**headers, **body.get("headers", {})}, content)
    return _as_json({"target": target, "status": status, "answer": answer})


ROUTES = (
    ("GET", "/", home),
    ("GET", "/control/", page),
    ("GET", "/control/invoices", invoices),
    ("POST", "/control/deposit", deposit),
    ("POST", "/control/status", report),
    ("GET", "/control/faults", faults),
    ("POST", "/control/faults", arm),
    ("DELETE", "/control/faults", disarm),
    ("GET", "/control/calls", calls),
    ("GET", "/control/webhooks", webhooks),
    ("GET", "/control/settings", settings),
    ("POST", "/control/settings", change_settings),
    ("POST", "/control/reset", reset),
    ("POST", "/control/ring", ring),
)


def answer(sandbox: "Sandbox", request: Request, view: Any, values: dict[str, Any]) -> Response:
    try:
        return view(sandbox, request, **values)
    except BadWishError as error:
        return _as_json({"error": str(error)}, 400)
