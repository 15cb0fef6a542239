"""The sandbox as a WSGI application: finds the dialect, misbehaves when told to, and writes every call down."""

import copy
import logging
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule, Submount

from . import control
from .clock import Clock
from .dialect import Dialect
from .dialects import DIALECTS
from .faults import Fault, Faults
from .records import Call, Event, State, now
from .ringer import Ringer
from .samples import SAMPLES

logger = logging.getLogger(__name__)

MAX_BODY = 25 * 1024 * 1024
KEPT_BODY = 20_000
CODES_211_AFTER_APPROVAL = [["204", 5.0], ["205", 9.0], ["211", 15.0]]

# seconds everywhere; the scripts are [status code, seconds after the deposit or after our status]
SETTINGS: dict[str, Any] = {
    "latency": 0.0,
    "echo_delay": 1.0,
    "auto_react": True,
    "retry_scale": 1 / 300,
    "resign_retries": True,
    "ring_timeout": 10.0,
    "outbound_script": [["201", 0.5], ["202", 1.5], ["203", 2.0], *CODES_211_AFTER_APPROVAL],
    "reactions": {"INBOUND": {"208": [["209", 4.0]]}, "OUTBOUND": {}},
}


class ConnectionCutError(Exception):
    """The server must close the connection without a word."""


class Sandbox:
    def __init__(
        self,
        *,
        settings: dict[str, Any] | None = None,
        transport: httpx.BaseTransport | None = None,
        seed: str = "",
        dialects: tuple[type[Dialect], ...] = DIALECTS,
    ) -> None:
        self.lock = threading.RLock()
        self.seed_siren = seed
        self._dialects = {kind.name: kind(self) for kind in dialects}
        dialects_at_root = [dialect for dialect in self._dialects.values() if dialect.at_root]
        self._at_root = [*dialects_at_root, *self._dialects.values()][0]
        self._started_with = copy.deepcopy(SETTINGS) | {d.name: dict(d.settings) for d in self._dialects.values()}
        self.settings = self._started_with
        self.change_settings(settings or {})
        self._started_with = copy.deepcopy(self.settings)
        self.state = self._new_state()
        self.faults = Faults()
        self.clock = Clock()
        self.ringer = Ringer(self, transport)
        self.map = self._routes()

    def _new_state(self) -> State:
        state = State()
        for name, dialect in self._dialects.items():
            state.invoices[name] = {}
            state.of_dialect[name] = dialect.new_state()
        return state

    def _routes(self) -> Map:
        rules: list = [Rule(path, endpoint=(None, view), methods=[method]) for method, path, view in control.ROUTES]
        for dialect in self._dialects.values():
            routes = [
                Rule(rule.rule, endpoint=(dialect, rule.endpoint), methods=rule.methods) for rule in dialect.rules()
            ]
            rules.append(Submount(f"/{dialect.name}", routes))
            if dialect.at_root:
                rules.extend(rule.empty() for rule in routes)
        return Map(rules, strict_slashes=False, redirect_defaults=False)

    # -- what dialects and the control API use

    def dialect(self, name: str) -> Dialect:
        return self._dialects[name]

    @property
    def dialect_names(self) -> list[str]:
        return list(self._dialects)

    def ring(self, events: list[Event]) -> None:
        for event in events:
            self.ringer.ring(event)

    @property
    def pending(self) -> int:
        """Jobs and webhooks that are under way or planned."""
        return self.clock.pending + self.ringer.pending

    def change_settings(self, changes: dict[str, Any]) -> None:
        """Refuses an unknown name with KeyError; a dialect's own settings stand under its name."""
        settings = copy.deepcopy(self.settings)
        for name, value in changes.items():
            if name in self._dialects:
                unknown = set(value) - set(settings[name])
                if unknown:
                    raise KeyError(f"{name}.{min(unknown)}")
                settings[name].update(value)
            elif name in settings:
                settings[name] = value
            else:
                raise KeyError(name)
        self.settings = settings

    def next_serial(self) -> int:
        with self.lock:
            self.state.serial += 1
            return self.state.serial

    def last_number(self, seller_siren: str) -> str:
        """The newest invoice of this seller, for a credit note to refer to; '' when there is none."""
        with self.lock:
            known = [i.document for invoices in self.state.invoices.values() for i in invoices.values()]
        return next((d.number for d in reversed(known) if d.seller.siren == seller_siren), "")

    def seed(self, dialect: Dialect) -> None:
        """Deposits every sample for the company of `--seed`, once; asked when somebody starts to listen."""
        with self.lock:
            if not self.seed_siren or self.state.seeded:
                return
            self.state.seeded = True
        for sample in SAMPLES:
            wish = {"buyer_siren": self.seed_siren, "sample": sample.key}
            dialect.deposit(control.make_document(self, wish, "INBOUND"), direction="INBOUND")

    def reset(self, *, keep_destinations: bool = False) -> None:
        with self.lock:
            old, self.state = self.state, self._new_state()
            if keep_destinations:
                for name, remembered in old.of_dialect.items():
                    self.state.of_dialect[name].destinations = remembered.destinations
            self.settings = copy.deepcopy(self._started_with)
        self.faults.clear()
        self.clock.clear()
        self.ringer.clear()

    def keep(self, path: Path) -> None:
        """Write what the platforms know into a file of our own."""
        with self.lock:
            content = pickle.dumps(self.state)
        part = path.with_suffix(".part")
        part.write_bytes(content)
        part.replace(path)

    def recall(self, path: Path) -> None:
        """Go on from a kept file; one of another version is left alone, and everything begins anew."""
        try:
            kept = pickle.loads(path.read_bytes())  # noqa: S301 - our own file
        except FileNotFoundError:
            return
        except (pickle.UnpicklingError, AttributeError, ImportError, EOFError, TypeError):
            logger.warning("%s was written by another version of the sandbox: it begins anew.", path)
            return
        with self.lock:
            self.state.__setstate__(vars(self.state) | vars(kept))

    def stop(self) -> None:
        self.clock.stop()
        self.ringer.stop()

    # -- calls

    def handle(self, request: Request) -> Response:
        """Raises ConnectionCutError. The body is already complete and in memory."""
        dialect = self._dialects.get(request.path.split("/")[1], self._at_root)
        try:
            (owner, view), values = self.map.bind_to_environ(request.environ).match()
        except HTTPException as error:
            if request.path.startswith("/control"):
                return error.get_response(request.environ)
            kind = "not_allowed" if error.code == 405 else "not_found"
            return self._logged(request, dialect, lambda: (dialect.refuse(request, kind), ""))
        if owner is None:
            return control.answer(self, request, view, dict(values))
        return self._logged(request, owner, lambda: self._play(request, owner, view, dict(values)))

    def _play(
        self, request: Request, dialect: Dialect, view: Any, values: dict[str, Any]
    ) -> tuple[Response | None, str]:
        """The answer (None: cut the connection) and the fault that was taken."""
        place = f"{request.method} {request.path}"
        is_login = any(request.path.endswith(path) for path in dialect.secret_paths)
        fault = self.faults.take(("before",), place, only_named=is_login)  # logging in goes well unless named
        if fault is not None:
            if fault.kind == "cut_before":
                return None, fault.kind
            if fault.kind == "slow":
                time.sleep(fault.delay)
            else:
                return self._refusal(request, dialect, fault), fault.kind
        response = dialect.answer(request, view, values)
        if response.status_code >= 400:
            return response, fault.kind if fault else ""
        if dialect.is_document(request.path) and self.faults.take(("document",), place):
            response.set_data(b"<html><body>502 Bad Gateway</body></html>")
            return response, "broken_document"
        after = self.faults.take(("after",), place, only_named=is_login)
        if after is None:
            return response, fault.kind if fault else ""
        return (None if after.kind == "cut_after" else dialect.refuse(request, "server_error")), after.kind

    def _refusal(self, request: Request, dialect: Dialect, fault: Fault) -> Response:
        response = dialect.refuse(request, fault.kind)
        if fault.kind == "rate_limited":
            response.headers["Retry-After"] = str(max(1, round(fault.delay)))
        return response

    def _logged(self, request: Request, dialect: Dialect, act: Any) -> Response:
        started, at = time.monotonic(), now()
        latency = self.settings["latency"]
        if latency:
            time.sleep(latency)
        state = self.state
        response, fault = act()
        secret = any(request.path.endswith(path) for path in dialect.secret_paths)
        call = Call(
            dialect=dialect.name,
            method=request.method,
            path=request.path,
            query=request.query_string.decode("latin-1"),
            body="(not kept)" if secret else request.get_data(as_text=True)[:KEPT_BODY],
            at=at,
            status=response.status_code if response is not None else None,
            answer="(not kept)" if secret or response is None else _shown(response),
            seconds=round(time.monotonic() - started, 4),
            fault=fault,
        )
        with self.lock:
            state.calls.append(call)
        if response is None:
            raise ConnectionCutError
        return response


def _shown(response: Response) -> str:
    if response.is_json or response.mimetype == "application/xml":
        return response.get_data(as_text=True)[:KEPT_BODY]
    return f"({response.mimetype}, {response.content_length} bytes)"
