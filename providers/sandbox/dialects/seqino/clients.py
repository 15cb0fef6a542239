"""Calls about clients, their mandates and the directory."""

import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from ...records import Event, now
from ...samples import COMPANIES
from .answers import ApiError, InvalidError, as_json, read_object, require
from .tables import MANDATE_STATUSES, ROUTING_TYPES

if TYPE_CHECKING:
    from . import Seqino

PLACE = ("siren", "siret", "suffix", "routing_identifier")


class ClientCalls:
    def __init__(self, seqino: "Seqino") -> None:
        self._seqino = seqino

    def routes(self) -> tuple:
        return (
            ("GET", "/api/clients", self.list_clients),
            ("POST", "/api/clients", self.add_client),
            ("GET", "/api/clients/<client_id>", self.show_client),
            ("DELETE", "/api/clients/<client_id>", self.drop_client),
        )

    @property
    def _clients(self) -> dict[str, dict[str, Any]]:
        return self._seqino.state.clients

    def list_clients(self, request: Request) -> Response:
        wanted = request.args.get("external_ref")
        if wanted is None:
            return as_json(list(self._clients.values()))
        found = [client for client in self._clients.values() if client["external_ref"] == wanted]
        if found and self._seqino.setting("lone_client"):
            return as_json(found[0])
        return as_json(found)

    def add_client(self, request: Request) -> Response:
        body = read_object(request)
        require(body, ("body",), "organization_name", "contact_email", "external_ref")
        client = {
            "client_id": f"client_{secrets.token_hex(6)}",
            **{name: body[name] for name in ("organization_name", "contact_email", "external_ref")},
            "sponsor_id": self._seqino.setting("sponsor_id"),
            "status": "active",
            "created_at": self._seqino.time(now()),
            "updated_at": None,
        }
        with self._seqino.sandbox.lock:
            self._clients[client["client_id"]] = client
        shapes = {
            "bare": client,
            "wrapped": {"client": client, "message": "Client created."},
            "id": {"id": client["client_id"], "organization_name": client["organization_name"]},
        }
        return as_json(shapes[self._seqino.setting("client_shape")], 201)

    def _client(self, client_id: str) -> dict[str, Any]:
        if client_id not in self._clients:
            raise ApiError(404, "Client not found")
        return self._clients[client_id]

    def show_client(self, request: Request, client_id: str) -> Response:
        return as_json(self._client(client_id))

    def drop_client(self, request: Request, client_id: str) -> Response:
        self._client(client_id)
        if any(mandate["client_id"] == client_id for mandate in self._seqino.state.mandates.values()):
            raise ApiError(409, "Client still has mandates")
        self._clients.pop(client_id)
        return Response(status=204)


class MandateCalls:
    def __init__(self, seqino: "Seqino") -> None:
        self._seqino = seqino

    def routes(self) -> tuple:
        return (
            ("GET", "/api/mandates", self.list_mandates),
            ("POST", "/api/mandates", self.add_mandate),
            ("POST", "/api/mandates/batch", self.add_mandates),
            ("GET", "/api/mandates/<mandate_id>", self.show_mandate),
            ("DELETE", "/api/mandates/<mandate_id>", self.drop_mandate),
            ("GET", "/api/mandates/directory/<siren>", self.entries_of_company),
            ("GET", "/api/directory/<siren>", self.directory),
        )

    @property
    def _mandates(self) -> dict[str, dict[str, Any]]:
        return self._seqino.state.mandates

    def list_mandates(self, request: Request) -> Response:
        client, wanted = self._seqino.client_of(request), request.args.get("status_filter")
        mine = [mandate for mandate in self._mandates.values() if mandate["client_id"] == client]
        return as_json([mandate for mandate in mine if wanted in (None, mandate["status"])])

    def add_mandate(self, request: Request) -> Response:
        client = self._seqino.client_of(request)
        mandate = self._read(read_object(request), client, ("body",))
        self._keep(mandate)
        return as_json(mandate, 201)

    def add_mandates(self, request: Request) -> Response:
        """All or nothing."""
        client, body = self._seqino.client_of(request), read_object(request)
        wishes = body.get("mandates")
        if not isinstance(wishes, list):
            raise InvalidError((("body", "mandates"), "Field required"))
        made = [self._read(wish, client, ("body", "mandates", place)) for place, wish in enumerate(wishes)]
        for mandate in made:
            self._keep(mandate)
        return as_json(made, 201)

    def _read(self, body: dict[str, Any], client: str, place: tuple[str | int, ...]) -> dict[str, Any]:
        require(body, place, "start_date", "directory_entry")
        entry, where = body["directory_entry"], (*place, "directory_entry")
        require(entry, where, "siren", "name")
        try:
            datetime.fromisoformat(body["start_date"])
        except (TypeError, ValueError):
            raise InvalidError(((*place, "start_date"), "Input should be a valid datetime")) from None
        wrong = {
            "siren": not (str(entry["siren"]).isdecimal() and len(str(entry["siren"])) == 9),
            "siret": not str(entry.get("siret") or entry["siren"]).startswith(str(entry["siren"])),
            "suffix": bool(entry.get("suffix") and entry.get("siret")),
            "routing_identifier": bool(entry.get("routing_identifier") and not entry.get("siret")),
            "routing_identifier_type": entry.get("routing_identifier_type", "0224") not in ROUTING_TYPES,
        }
        faults = [((*where, name), "Value error") for name, is_wrong in wrong.items() if is_wrong]
        if faults:
            raise InvalidError(*faults)
        return {
            "id": f"mandate_{secrets.token_hex(6)}",
            "client_id": client,
            "start_date": body["start_date"],
            "end_date": body.get("end_date"),
            "status": "created",
            "directory_entry": {**entry, "addressable": False, "created_at": self._seqino.time(now())},
            "error_message": None,
            "created_at": self._seqino.time(now()),
            "updated_at": None,
        }

    def _keep(self, mandate: dict[str, Any]) -> None:
        with self._seqino.sandbox.lock:
            self._mandates[mandate["id"]] = mandate
        self._ring("mandate.created", mandate)
        delay = self._seqino.setting("onboarding_delay")
        for step, status in enumerate(("processing", self._seqino.setting("mandate_outcome"))):
            self._seqino.sandbox.clock.later(step * delay, self.change, mandate["id"], status)

    def change(self, mandate_id: str, status: str) -> None:
        """The mandate enters a state, as its page lists them."""
        mandate = self._mandates.get(mandate_id)
        if mandate is None or status not in MANDATE_STATUSES:
            return
        mandate |= {"status": status, "updated_at": self._seqino.time(now())}
        mandate["directory_entry"]["addressable"] = status == "active"
        mandate["error_message"] = "The SMP refused the recipient." if status == "error" else None
        event = {"active": "mandate.activated", "expired": "mandate.expired", "error": "mandate.failed"}.get(status)
        if event:
            self._ring(event, mandate)

    def _ring(self, event_type: str, mandate: dict[str, Any]) -> None:
        data = {"mandate_id": mandate["id"], "status": mandate["status"]}
        body = self._seqino.common(mandate["client_id"]) | {"data": data}
        self._seqino.sandbox.ring([Event(self._seqino.name, event_type, body)])

    def _mandate(self, request: Request, mandate_id: str) -> dict[str, Any]:
        # The header is optional here, says the page.
        client, mandate = request.headers.get("X-PDP-Client-Id"), self._mandates.get(mandate_id)
        if mandate is None or client not in (None, mandate["client_id"]):
            raise ApiError(404, "Mandate not found")
        return mandate

    def show_mandate(self, request: Request, mandate_id: str) -> Response:
        return as_json(self._mandate(request, mandate_id))

    def drop_mandate(self, request: Request, mandate_id: str) -> Response:
        self._seqino.client_of(request)
        self._mandate(request, mandate_id)
        self._mandates.pop(mandate_id)
        return Response(status=204)

    # -- directory

    def entries_of_company(self, request: Request, siren: str) -> Response:
        self._seqino.client_of(request)
        return as_json(self._own_entries(siren))

    def _own_entries(self, siren: str) -> list[dict[str, Any]]:
        return [m["directory_entry"] for m in self._mandates.values() if m["directory_entry"]["siren"] == siren]

    def directory(self, request: Request, siren: str) -> Response:
        self._seqino.client_of(request)
        with self._seqino.sandbox.lock:
            invoices = list(self._seqino.invoices.values())
        parties = [*COMPANIES, *(party for each in invoices for party in (each.document.seller, each.document.buyer))]
        name = next((party.name for party in parties if party.siren == siren), "")
        own = self._own_entries(siren)
        if not own and not name:
            raise ApiError(404, "Company not found")
        entries = own or [{"siren": siren, "name": name, "addressable": True}]
        return as_json({"siren": siren, "name": name or own[0]["name"], "directory_entries": entries})

    def client_serving(self, siren: str, address: str) -> str:
        """The client whose mandate has this address, or else this company; "" for nobody's."""
        with self._seqino.sandbox.lock:
            known = list(self._mandates.values())
        of_company = [mandate for mandate in known if mandate["directory_entry"]["siren"] == siren]
        exact = [mandate for mandate in of_company if _address(mandate["directory_entry"]) == address]
        return next((mandate["client_id"] for mandate in [*exact, *of_company]), "")


def _address(entry: dict[str, Any]) -> str:
    parts = (entry["siren"], entry.get("siret"), entry.get("suffix"), entry.get("routing_identifier"))
    return "_".join(part for part in parts if part)
