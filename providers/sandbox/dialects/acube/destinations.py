"""Calls about event destinations: who is rung for which kind of event."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from werkzeug import Request, Response

from ...records import Destination
from .answers import ProblemError, as_json, collection, read_object
from .tables import AUTH_TYPES, EVENTS

if TYPE_CHECKING:
    from . import ACube


class DestinationCalls:
    def __init__(self, acube: "ACube") -> None:
        self._acube = acube

    def routes(self) -> tuple:
        return (
            ("POST", "/event-destinations", self.add_destination),
            ("GET", "/event-destinations", self.list_destinations),
            ("GET", "/event-destinations/<uuid>", self.show_destination),
            ("PATCH", "/event-destinations/<uuid>", self.change_destination),
            ("PUT", "/event-destinations/<uuid>", self.change_destination),
            ("DELETE", "/event-destinations/<uuid>", self.drop_destination),
        )

    def _destination(self, uuid: str) -> Destination:
        destination = self._acube.state.destinations.get(uuid)
        if destination is None:
            raise ProblemError(404, "Not Found")
        return destination

    def _read_destination(self, request: Request, known: Destination | None = None) -> Destination:
        body = read_object(request)
        base = known or Destination(event="", target="")
        changed = replace(
            base,
            event=body.get("event", base.event),
            target=body.get("target", base.target),
            auth_type=body.get("authType", base.auth_type),
            auth_key=body.get("authKey", base.auth_key),
            auth_token=body.get("authToken", base.auth_token),
            active=body.get("status", "active" if base.active else "inactive") == "active",
        )
        wrong = {
            "event": changed.event not in EVENTS,
            "target": urlsplit(str(changed.target)).scheme not in ("http", "https"),
            "delivery": body.get("delivery", "webhook") != "webhook",
            "authType": changed.auth_type not in AUTH_TYPES,
            "authKey": changed.auth_type != "none" and not (changed.auth_key and changed.auth_token),
        }
        violations = {path: "This value is not valid." for path, is_wrong in wrong.items() if is_wrong}
        if violations:
            raise ProblemError(422, **violations)
        return changed

    def add_destination(self, request: Request) -> Response:
        destination = self._read_destination(request)
        with self._acube.sandbox.lock:
            self._acube.state.destinations[destination.id] = destination
        if destination.event == "invoice.inbound":
            self._acube.sandbox.seed(self._acube)
        return as_json(_shown_destination(destination), 201)

    def list_destinations(self, request: Request) -> Response:
        with self._acube.sandbox.lock:
            destinations = list(self._acube.state.destinations.values())
        return collection(request, destinations, _shown_destination)

    def show_destination(self, request: Request, uuid: str) -> Response:
        return as_json(_shown_destination(self._destination(uuid)))

    def change_destination(self, request: Request, uuid: str) -> Response:
        destination = self._read_destination(request, self._destination(uuid))
        with self._acube.sandbox.lock:
            self._acube.state.destinations[uuid] = destination
        return as_json(_shown_destination(destination))

    def drop_destination(self, request: Request, uuid: str) -> Response:
        self._destination(uuid)
        with self._acube.sandbox.lock:
            self._acube.state.destinations.pop(uuid, None)
        return Response(status=204)


def _shown_destination(destination: Destination) -> dict[str, Any]:
    return {
        "uuid": destination.id,
        "event": destination.event,
        "target": destination.target,
        "delivery": "webhook",
        "status": "active" if destination.active else "inactive",
        "authType": destination.auth_type,
        "authKey": destination.auth_key,
    }
