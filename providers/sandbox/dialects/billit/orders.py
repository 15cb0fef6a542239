"""Calls about orders: sent, listed, read, refused, paid, and their files."""

import base64
import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from ...documents import Party, read_document, render_readable
from ...records import Invoice, StatusEntry
from ...samples import Company, Line, Sample, build
from .answers import BusinessError, RefusedError, as_json, lifecycle_file, local, read_object, select
from .tables import FRAMES, MESSAGES, PAGE, REASONS

if TYPE_CHECKING:
    from . import Billit

ORIGINAL, PICTURE = "original", "pdf"
TYPES = {"380": "Invoice", "381": "CreditNote"}


class OrderCalls:
    def __init__(self, billit: "Billit") -> None:
        self._billit = billit

    def routes(self) -> tuple:
        one = "/v1/einvoices/registrations/<registration>"
        return (
            ("POST", f"{one}/commands/send", self.send),
            ("GET", f"{one}/orders", self.list_orders),
            ("GET", f"{one}/orders/<number>", self.show_order),
            ("GET", "/v1/files/<file>", self.show_file),
            ("POST", "/v1/orders/commands/refuse", self.refuse),
            ("POST", "/v1/orders/<number>/payments", self.pay),
        )

    # -- reading

    def _orders(self, registration: str) -> list[Invoice]:
        with self._billit.sandbox.lock:
            invoices = list(self._billit.invoices.values())
        return [invoice for invoice in invoices if self._billit.registration_of(invoice) == registration]

    def order(self, registration: str, number: str) -> Invoice:
        invoice = self._billit.invoices.get(number)
        if invoice is None or self._billit.registration_of(invoice) != registration:
            raise RefusedError(404, "Not Found")
        return invoice

    def list_orders(self, request: Request, registration: str) -> Response:
        self._billit.company(registration)
        rows = [self.shown(invoice) for invoice in self._orders(registration)]
        return as_json(select(request, rows, PAGE))

    def show_order(self, request: Request, registration: str, number: str) -> Response:
        return as_json(self.shown(self.order(registration, number)))

    def shown(self, invoice: Invoice) -> dict[str, Any]:
        document, issued = invoice.document, invoice.direction == "OUTBOUND"
        with self._billit.sandbox.lock:
            history = list(invoice.history)
        codes = [entry.code for entry in history]
        total = sum((amount for _rate, amount in document.vat), Decimal(0))
        return {
            "OrderID": int(invoice.id) if invoice.id.isdecimal() else invoice.id,
            "OrderNumber": document.number,
            "OrderType": TYPES.get(document.type_code, "Invoice"),
            "OrderDirection": "Income" if issued else "Cost",
            "OrderDate": f"{document.issue_date}T00:00:00" if document.issue_date else None,
            "ExpiryDate": f"{document.due_date}T00:00:00" if document.due_date else None,
            "Currency": document.currency,
            "TotalIncl": float(total),
            "Supplier": _party(document.seller),
            "Customer": _party(document.buyer),
            "Created": local(invoice.created_at),
            "LastModified": local(invoice.updated_at),
            "IsSent": issued and "201" in codes,
            "Paid": self._is_paid(history, total),
            "OrderStatus": "ToPay",
            "OrderPDF": {"FileID": f"{invoice.id}-{PICTURE}", "FileName": f"{document.number}.pdf"},
            "Attachments": []
            if issued
            else [{"FileID": f"{invoice.id}-{ORIGINAL}", "FileName": f"{document.number}.xml"}],
            "CurrentDocumentDeliveryDetails": _delivery(history),
            "TaxReportingStatusTC": "Failed" if "501" in codes else "Done" if issued and "201" in codes else None,
            "Messages": [row for entry in history if (row := self.message(invoice, entry))],
        }

    def _is_paid(self, history: list[StatusEntry], total: Decimal) -> bool:
        paid = sum(
            (Decimal(str(entry.details.get("Amount", 0))) for entry in history if entry.code == "212"), Decimal(0)
        )
        return bool(paid) and paid >= total

    def message(self, invoice: Invoice, entry: StatusEntry) -> dict[str, Any] | None:
        """The row of a status among an order's messages; none for what Billit does not exchange a message about."""
        if entry.code == "200" or (invoice.direction == "INBOUND" and entry.code in ("202", "203")):
            return None
        direction, _state, description = MESSAGES.get(entry.code, ("Incoming", "", entry.code))
        ours = invoice.direction == "INBOUND" or entry.code == "212"
        file = ORIGINAL if entry.code in ("201", "203") else entry.id
        return {
            "Description": description,
            "FileID": f"{invoice.id}-{file}",
            "CreationDate": local(entry.at),
            "TransportType": "FrenchTaxAuthority" if entry.code == "501" else "Peppol",
            "Success": True,
            "Trials": 0,
            "Destination": f"0225:{invoice.document.buyer.address}",
            "MessageDirection": "Outgoing" if ours else direction,
        }

    def show_file(self, request: Request, file: str) -> Response:
        self._billit.party(request)
        number, _, name = file.partition("-")
        invoice = self._billit.invoices.get(number)
        content = self._content(invoice, name) if invoice else None
        if content is None:
            raise RefusedError(404, "Not Found")
        media_type, data = content
        if self._billit.setting("plain_files"):
            return Response(data, content_type=media_type)
        encoded = base64.b64encode(data).decode()
        return as_json({"FileID": file, "FileName": f"{name}.xml", "MimeType": media_type, "FileContent": encoded})

    def _content(self, invoice: Invoice, name: str) -> tuple[str, bytes] | None:
        if name == ORIGINAL:
            return "text/xml", invoice.content
        if name == PICTURE:
            return "application/pdf", render_readable(invoice.document)
        entry = next((each for each in invoice.history if each.id == name), None)
        if entry is None:
            return None
        if not self._billit.setting("lifecycle_files"):
            return "text/xml", b"<ApplicationResponse/>"
        return "text/xml", lifecycle_file(invoice, entry)

    # -- telling

    def send(self, request: Request, registration: str) -> Response:
        company, body = self._billit.company(registration), read_object(request)
        key = request.headers.get("Idempotency-Key", "")
        if key and not key.isalnum():
            raise BusinessError(IdempotencyKeyInvalid="The key must be alphanumeric.")
        self._refuse_used(key)
        order: dict[str, Any] = body["Order"] if isinstance(body.get("Order"), dict) else {}
        self._check(body, order)
        content = _network_file(order, company)
        document = read_document(content)
        with self._billit.state.numbering:
            if (registration, document.number) in self._billit.state.numbers:
                raise BusinessError(DuplicateOrderNumber="This invoice number was used before.")
            self._refuse_used(key)
            self._billit.state.numbers.add((registration, document.number))
            self._billit.state.keys.add(key)
        invoice = self._billit.deposit(content, direction="OUTBOUND", document=document)
        with self._billit.sandbox.lock:
            self._billit.sandbox.state.accepted[self._billit.name, f"{registration}|{document.number}", "submit"] += 1
        return as_json({"OrderID": int(invoice.id), "TransportMessages": []})

    def _refuse_used(self, key: str) -> None:
        if key and key in self._billit.state.keys:
            raise RefusedError(409, "Idempotent token already exists")

    def _check(self, body: dict[str, Any], order: dict[str, Any]) -> None:
        if body.get("TransportType") != "Peppol":
            raise BusinessError(TransportTypeUnknown="Unknown TransportType.")
        needed = ("OrderNumber", "OrderDate", "Customer", "OrderLines")
        missing = {f"{name}Required": f"{name} is required." for name in needed if not order.get(name)}
        if missing:
            raise BusinessError(**missing)
        if order.get("BusinessProcessType") not in FRAMES:
            raise BusinessError(BusinessProcessTypeRequired="BusinessProcessType is required.")
        if order.get("OrderType") == "CreditNote" and not order.get("AboutInvoiceNumber"):
            raise BusinessError(AboutInvoiceNumberRequired="A credit note must name its invoice.")
        if not any(row.get("IdentifierType") == "CTC" for row in order["Customer"].get("Identifiers", [])):
            raise BusinessError(TheCustomerIsNotActiveOnPeppol="The customer cannot be reached.")

    def refuse(self, request: Request) -> Response:
        party, body = self._billit.party(request), read_object(request)
        numbers = body.get("OrderIDs")
        if body.get("RefusalReasonCode") not in REASONS:
            raise BusinessError(RefusalReasonCodeInvalid="Unknown RefusalReasonCode.")
        if not isinstance(numbers, list) or not numbers:
            raise BusinessError(OrderIDsRequired="OrderIDs is required.")
        invoices = [self.order(party, str(number)) for number in numbers]
        for invoice in invoices:
            if invoice.direction != "INBOUND":
                raise BusinessError(OrderNotReceived="Only a received invoice can be refused.")
            if self._is_refused(invoice):
                raise BusinessError(OrderAlreadyRefused="The invoice was refused before.")
        details = {name: body.get(name, "") for name in ("RefusalReasonCode", "RefusalReasonDescription")}
        for invoice in invoices:
            self._billit.accept(invoice, "210", details)
        return as_json(1)

    def _is_refused(self, invoice: Invoice) -> bool:
        """The page does not say what becomes of a second refusal."""
        return self._billit.setting("refuse_once") and any(entry.code == "210" for entry in invoice.history)

    def pay(self, request: Request, number: str) -> Response:
        invoice = self.order(self._billit.party(request), number)
        key, body = request.headers.get("Idempotency-Key", ""), read_object(request)
        try:
            amount = Decimal(str(body.get("Amount")))
        except InvalidOperation:
            amount = Decimal(0)
        if not amount > 0:
            raise BusinessError(AmountInvalid="Amount must be positive.")
        with self._billit.state.numbering:
            self._refuse_used(key)
            self._billit.state.keys.add(key)
        self._billit.accept(invoice, "212", {"Amount": str(amount), "note": str(body.get("Description", ""))})
        return as_json({})


def _party(party: Party) -> dict[str, Any]:
    rows = [("SIREN", party.siren, "0002"), ("SIRET", party.siret, "0009"), ("CTC", party.address, "0225")]
    return {
        "Name": party.name,
        "Identifiers": [
            {"IdentifierType": kind, "Identifier": value, "SchemeID": scheme} for kind, value, scheme in rows if value
        ],
    }


def _delivery(history: list[StatusEntry]) -> dict[str, Any]:
    delivered = next((entry for entry in history if entry.code == "203"), None)
    details: dict[str, Any] = {
        "IsDocumentDelivered": delivered is not None,
        "DocumentDeliveryStatus": "Delivered" if delivered else "Pending",
        "DocumentDeliveryDate": local(delivered.at) if delivered else None,
    }
    refused = next((entry for entry in history if entry.code in ("210", "213")), None)
    if refused is not None:
        details |= {
            "DocumentRefusedDate": local(refused.at),
            "DocumentRefusedReasonTC": refused.details.get("RefusalReasonCode"),
            "DocumentRefusedInfo": refused.details.get("RefusalReasonDescription"),
        }
    return details


def _network_file(order: dict[str, Any], company: dict[str, Any]) -> bytes:
    """The invoice that Billit writes from an order."""
    details, customer = company["CompanyDetails"], order["Customer"]
    identifiers = {row.get("IdentifierType"): str(row.get("Identifier")) for row in customer.get("Identifiers", [])}
    address = identifiers.get("CTC", "")
    buyer = Company(str(customer.get("Name")), identifiers.get("SIREN") or address[:9], address=address)
    own = {row.get("IdentifierType"): str(row.get("Identifier")) for row in details.get("Identifiers", [])}
    siren = own.get("SIREN", str(details.get("TaxIdentifier", ""))[-9:])
    seller = Company(str(details.get("CompanyName")), siren, address=own.get("CTC", ""))
    lines = tuple(
        Line(
            str(row.get("Description")),
            str(row.get("Quantity")),
            str(row.get("Unit", "C62")),
            str(row.get("UnitPriceExcl")),
            str(row.get("VATPercentage")),
        )
        for row in order["OrderLines"]
    )
    type_code = "381" if order.get("OrderType") == "CreditNote" else "380"
    sample = Sample("order", seller, str(order["BusinessProcessType"]), lines, type_code=type_code)
    issued = dt.date.fromisoformat(str(order["OrderDate"])[:10])
    original = str(order.get("AboutInvoiceNumber", ""))
    return build(sample, number=str(order["OrderNumber"]), issued=issued, buyer=buyer, seller=seller, original=original)
