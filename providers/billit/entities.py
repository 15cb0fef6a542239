"""Our customers at Billit: one registered company for each, set up for France."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from providers.contract.base import Line, Party, PermanentError, UncertainError

from . import reading, tables
from .session import NAME, Session, objects, registered

# Line setting -> field of a registration (page "Create Entities").
DETAILS = {
    "email": "Email",
    "phone": "Phone",
    "contact_first_name": "ContactFirstName",
    "contact_last_name": "ContactLastName",
    "iban": "IBAN",
    "bic": "BIC",
    "language": "Language",
}
# Page "France PA - send only": the answers to what a company sends come back to this address of it.
REPLY_SUFFIX = "_replyto"


class Entities(Session):
    def set_up_line(self, line: Line, owner: Party) -> Mapping[str, Any]:
        """Finds the company or registers it, and adds the French integration. A person's identity check follows.

        For a company that sends; one that receives is integrated in Billit's portal, by a person.
        """
        address = self.address_of(line)
        company = self.find_company(line, owner)
        registration = registered(line) or _number(company)
        if not registration:
            registration = self._register(line, owner)
        if not _is_integrated(company):
            self._integrate(line, registration, address)
        return {**line.settings, "registration_id": registration}

    def address_of(self, line: Line) -> str:
        address = self.line_setting(line, "ctc") or f"{line.identifier[:9]}{REPLY_SUFFIX}"
        if len(address) > tables.LONGEST_ADDRESS:
            told = {"address": address[:40], "length": len(address), "limit": tables.LONGEST_ADDRESS}
            message = _("The address %(address)s… has %(length)s characters; %(limit)s are allowed.")
            raise PermanentError(message % told)
        return address

    def line_setting(self, line: Line, name: str) -> str:
        default = next(field.default for field in self.line_setting_fields if field.name == name)
        return str(line.settings.get(name) or default or "").strip()

    def find_company(self, line: Line, owner: Party) -> Mapping[str, Any] | None:
        """By its number; by its SIREN where that is not known yet."""
        if registered(line):
            return self.read_company(registered(line))
        siren = owner.siren or line.identifier[:9]
        for company in objects(self.read(self.url("registrations_path")), "Companies", "Items"):
            details = company.get("CompanyDetails")
            details = details if isinstance(details, dict) else {}
            party = reading.parse_party({**details, "VATNumber": details.get("TaxIdentifier")})
            if siren and party.siren == siren:
                return company
        return None

    def read_company(self, registration: str) -> Mapping[str, Any]:
        company = self.read(self.url("registration_path", registration=registration))
        return company if isinstance(company, dict) else {}

    def _register(self, line: Line, owner: Party) -> str:
        body = {
            "TaxIdentifier": owner.vat_number,
            "CompanyName": owner.name,
            "TaxDeductable": True,
            "TaxLiable": True,
            **{field: self.line_setting(line, name) for name, field in DETAILS.items()},
        }
        missing = [field for field in ("TaxIdentifier", "CompanyName", "Email") if not body[field]]
        if missing:
            told = {"line": line.identifier, "fields": ", ".join(missing)}
            raise PermanentError(_("To register line %(line)s, Billit wants: %(fields)s.") % told)
        identifiers = [("SIREN", owner.siren or line.identifier[:9]), ("SIRET", owner.siret)]
        body["Identifiers"] = [
            {"IdentifierType": kind, "Identifier": value}
            for kind, value in (*identifiers, ("CTC", self.address_of(line)))
            if value
        ]
        answer = self.tell(
            "POST", self.url("registrations_path"), {name: value for name, value in body.items() if value}
        )
        number = _number(answer.find_json())
        if not number:
            message = _("Billit registered the company of line %(line)s but did not say under which number.")
            raise UncertainError(message % {"line": line.identifier}, answer=answer.text)
        return number

    def _integrate(self, line: Line, registration: str, address: str) -> None:
        # A CTC is never chosen by Billit itself, and only these two values of DocTypes are taken.
        credentials = {"Identifier": "CTC", "DocTypes": self.line_setting(line, "doc_types")}
        body = {"Externalprovider": "Peppol", "Credentials": credentials}
        self.tell("POST", self.url("integrations_path", registration=registration), body)


def _number(document: Any) -> str:
    if isinstance(document, Mapping):
        lower = {name.lower(): value for name, value in document.items()}
        document = lower.get("registrationid")
    number = reading.text(document)
    return number if NAME.fullmatch(number) else ""


def _is_integrated(company: Mapping[str, Any] | None) -> bool:
    rows = objects(company.get("Integrations")) if company else []
    return any(reading.text(row.get("Integration")) == "Peppol" for row in rows)
