"""Calls about companies: the directory of everybody, and our own legal entities."""

from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from ...documents import Party
from ...records import Event, uuid7
from ...samples import COMPANIES
from .answers import ProblemError, as_json, collection, read_object
from .tables import ONBOARDING

if TYPE_CHECKING:
    from . import ACube


class CompanyCalls:
    def __init__(self, acube: "ACube") -> None:
        self._acube = acube

    def routes(self) -> tuple:
        return (
            ("GET", "/french-directory", self.directory),
            ("POST", "/legal-entities", self.add_legal_entity),
            ("GET", "/legal-entities", self.list_legal_entities),
            ("GET", "/legal-entities/<uuid>", self.show_legal_entity),
            ("POST", "/legal-entities/<uuid>/onboarding", self.start_onboarding),
        )

    def directory(self, request: Request) -> Response:
        wanted = {name: request.args.get(name, "") for name in ("siren", "siret", "name")}
        if not any(wanted.values()):
            raise ProblemError(400, "At least one of siren, siret, name is required.")
        with self._acube.sandbox.lock:
            invoices = list(self._acube.invoices.values())
        parties = list(COMPANIES) + [p for i in invoices for p in (i.document.seller, i.document.buyer) if p.siren]
        found = {
            party.siren: party
            for party in parties
            if wanted["siren"] in ("", party.siren)
            and wanted["siret"] in ("", party.siret)
            and wanted["name"].casefold() in party.name.casefold()
        }
        return collection(request, list(found.values()), _shown_directory)

    def add_legal_entity(self, request: Request) -> Response:
        siren = read_object(request).get("siren")
        if not (isinstance(siren, str) and siren.isdecimal() and len(siren) == 9):
            raise ProblemError(422, siren="This value is not a valid SIREN.")
        entity = {
            "uuid": uuid7(),
            "parentLegalEntityUuid": None,
            "mailleType": "SIREN",
            "siren": siren,
            "status": "TO_BE_ONBOARDED",
        }
        with self._acube.sandbox.lock:
            if siren in {known["siren"] for known in self._acube.state.legal_entities.values()}:
                raise ProblemError(422, siren="This value is already used.")
            self._acube.state.legal_entities[entity["uuid"]] = entity
        return as_json(entity, 201)

    def list_legal_entities(self, request: Request) -> Response:
        with self._acube.sandbox.lock:
            entities = list(self._acube.state.legal_entities.values())
        return collection(request, entities, dict)

    def show_legal_entity(self, request: Request, uuid: str) -> Response:
        entity = self._acube.state.legal_entities.get(uuid)
        if entity is None:
            raise ProblemError(404, "Not Found")
        return as_json(entity)

    def start_onboarding(self, request: Request, uuid: str) -> Response:
        """The human's identity check goes well after a while."""
        if uuid not in self._acube.state.legal_entities:
            raise ProblemError(404, "Not Found")
        for step, status in enumerate(ONBOARDING):
            self._acube.sandbox.clock.later(step * self._acube.setting("onboarding_delay"), self._onboard, uuid, status)
        return as_json({"uuid": uuid, "url": f"https://onboarding.example.test/sessions/{uuid}"}, 201)

    def _onboard(self, uuid: str, status: str) -> None:
        entity = self._acube.state.legal_entities.get(uuid)
        if entity is not None:
            entity["status"] = status
            body = {"status": status, "legalEntityUuid": uuid}
            self._acube.sandbox.ring([Event(self._acube.name, "legal_entity.onboarding", body)])


def _shown_directory(party: Party) -> dict[str, Any]:
    address = {"identifierScheme": "0225", "identifierValue": party.address or party.siren}
    return {
        "displayName": party.name,
        "countryCode": "FR",
        "type": "LEGAL_UNIT",
        "siren": party.siren,
        "siret": party.siret,
        "networkIdentifiers": [address],
    }
