"""Status messages to write, plain and generated. Every company is invented; SIRENs have valid check digits."""

from __future__ import annotations

import string
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from providers.contract.base import InvoiceFacts, Party, Payment, Reason, StatusMessage
from providers.formats import cdar
from providers.formats.cdar.writer import clean
from providers.norm.codes import CREDIT_NOTE_TYPES, STATUSES, VAT_RATES, Role, reasons_for

SELLER = Party(name="Imprimerie des Quais SAS", siren="905334413", scheme="0225", identifier="905334413_COMPTA")
BUYER = Party(name="Atelier Dupont", siren="800112237", scheme="0225", identifier="800112237_FOURNISSEURS")
OTHERS = {
    "WK": Party(name="Plateforme d'essai", scheme="0238", identifier="0147"),
    "DL": Party(name="Affacturage du Val SA", siren="662077130"),
    "AB": Party(name="Cabinet Lenoir", siren="403112071"),
    "SR": Party(name="Cabinet Blanc", siren="518209465"),
}
FORMS = {
    cdar.Form.BETWEEN_PLATFORMS: cdar.Envelope(others=OTHERS),
    cdar.Form.TO_PPF: cdar.Envelope(form=cdar.Form.TO_PPF, others=OTHERS),
}
# 204 may also be set by the buyer's platform, but a message then says that the buyer did.
ISSUERS = {
    code: sorted(role.value for role in info.issuers if info.mdt77 == "305" or role != Role.PLATFORM)
    for code, info in STATUSES.items()
}
AMOUNTS = ("206", "211", "212")


def make_facts(**values: Any) -> InvoiceFacts:
    defaults = {
        "provider_ref": "ref-1",
        "direction": "received",
        "number": "F-2026-0042",
        "type_code": "380",
        "issue_date": date(2026, 10, 4),
        "seller": SELLER,
        "buyer": BUYER,
        "received_at": datetime(2026, 10, 4, 15, 10, tzinfo=UTC),
    }
    return InvoiceFacts(**{**defaults, **values})


def make_message(status: str, **values: Any) -> StatusMessage:
    """The least that a status must say."""
    invoice = values.pop("invoice", None) or make_facts()
    reasons = (
        tuple(Reason(code=code) for code in reasons_for(status)[:1]) if STATUSES[status].reason == "required" else ()
    )
    payments = (Payment(amount=Decimal("1200.00"), vat_rate=Decimal(20)),) if status in ("211", "212") else ()
    defaults = {
        "id": "0a5b9c0e-5b0e-4c8e-9a55-7f6d1f3c2b1a",
        "invoice": invoice,
        "status": status,
        "issuer_role": ISSUERS[status][0],
        "occurred_at": datetime(2026, 10, 12, 8, 30, tzinfo=UTC),
        "reasons": reasons,
        "payments": payments,
    }
    return StatusMessage(**{**defaults, **values})


def read_back(content: bytes, like: StatusMessage) -> StatusMessage:
    """The message as its reader understands it; what no message says of an invoice is taken from `like`."""
    (told,) = cdar.read(content)
    report = told.report()
    key = report.invoice_key
    assert key is not None
    invoice = make_facts(
        **{
            **vars(like.invoice),
            "number": key.number,
            "type_code": key.type_code,
            "issue_date": key.issue_date,
            "seller": Party(**{**vars(like.invoice.seller), "siren": key.seller_siren}),
            "received_at": told.received_at.at(cdar.PARIS) if told.received_at else None,
        }
    )
    return StatusMessage(
        id=told.id.removesuffix("-PPF"),
        invoice=invoice,
        status=report.status or "",
        issuer_role=report.issuer_role,
        occurred_at=report.occurred_at or like.occurred_at,
        reasons=report.reasons,
        note=report.note,
        payments=report.payments,
    )


# --- generated --------------------------------------------------------------------------------------------------------

texts = st.text(max_size=80).map(lambda text: clean(text).strip())
numbers = (
    st.text(string.ascii_letters + string.digits + "-_/+.éà ", min_size=1, max_size=35).map(str.strip).filter(bool)
)
amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=2, allow_nan=False, allow_infinity=False)
rates = st.none() | st.sampled_from(VAT_RATES)


def _is_clear(moment: datetime) -> bool:
    """Not in the hour that autumn repeats, which a message without a zone cannot tell apart."""
    local = moment.astimezone(cdar.PARIS)
    return local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset()


moments = (
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 30), timezones=st.just(UTC))
    .map(lambda moment: moment.replace(microsecond=0))
    .filter(_is_clear)
)
facts = st.builds(
    make_facts,
    direction=st.sampled_from(["received", "issued"]),
    number=numbers,
    type_code=st.sampled_from(["380", "389", "384", "381"]),
    issue_date=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    received_at=st.none() | moments,
)


@st.composite
def messages(draw: st.DrawFn, status: str) -> StatusMessage:
    """Whatever can be said, sensible or not."""
    codes = st.sampled_from([*reasons_for("212"), "NOUVEAU_MOTIF"])
    payments = st.builds(
        Payment, amount=amounts | st.just(Decimal("1E+3")), vat_rate=rates, currency=st.sampled_from(["EUR", "USD"])
    )
    return make_message(
        status,
        id=str(draw(st.uuids())),
        invoice=draw(facts),
        issuer_role=draw(st.sampled_from(ISSUERS[status])),
        occurred_at=draw(moments),
        reasons=tuple(draw(st.lists(st.builds(Reason, code=codes, text=texts), max_size=3))),
        note=draw(texts),
        payments=tuple(draw(st.lists(payments, max_size=3))) if status in AMOUNTS else (),
    )


@st.composite
def lawful_messages(draw: st.DrawFn, status: str) -> StatusMessage:
    """What the table of statuses and reasons allows."""
    info = STATUSES[status]
    codes = reasons_for(status)
    fewest = 1 if info.reason == "required" else 0
    reasons = st.lists(st.builds(Reason, code=st.sampled_from(codes), text=texts), min_size=fewest, max_size=3)
    payments = st.builds(Payment, amount=amounts.filter(bool), vat_rate=st.sampled_from(VAT_RATES))
    message = draw(messages(status))
    values = {
        **vars(message),
        "reasons": tuple(draw(reasons)) if info.reason != "none" else (),
        "payments": tuple(draw(st.lists(payments, min_size=1, max_size=3))) if status in AMOUNTS else (),
    }
    if status == "211" and message.issuer_role == "SE":
        values["invoice"] = make_facts(**{**vars(message.invoice), "type_code": min(CREDIT_NOTE_TYPES)})
    return StatusMessage(**values)
