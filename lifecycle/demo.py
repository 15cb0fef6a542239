"""What `manage.py demo` seeds: two companies with an account at every kind of platform, and three people."""

from collections.abc import Iterator
from typing import Any, NamedTuple

PASSWORD = "trame-et-chaine"  # noqa: S105 - of the demo only, which listens on this machine alone

PEOPLE = (("clerk", "clerk"), ("approver", "approver"), ("administrator", "administrator"))

# Invented companies; their SIRENs have a valid check digit.
COMPANIES = {
    "800112237": {"name": "Atelier Dupont", "vat_number": "FR13800112237"},
    "905334413": {"name": "Menuiserie du Vieux Port", "vat_number": "FR50905334413"},
}


class Account(NamedTuple):
    """An account at a sandbox platform with the line it serves, and how many invoices come and go through it.

    `{url}` stands for the sandbox.
    """

    kind: str
    settings: dict[str, Any]
    secrets: dict[str, str]
    line: str
    received: int
    issued: int
    line_settings: dict[str, Any] = {}
    line_secrets: dict[str, str] = {}

    @property
    def name(self) -> str:
        return f"{self.kind.replace('_', '-')}-demo"

    @property
    def siren(self) -> str:
        return self.line[:9]


ACCOUNTS = (
    Account(
        "acube",
        {"api_url": "{url}/acube", "login_url": "{url}/acube"},
        {"email": "demo@example.test", "password": PASSWORD, "webhook_token": "demo-webhook-token"},
        line="800112237_80011223700014",
        received=8,
        issued=2,
    ),
    Account(
        "afnor",
        {
            "flow_base_url": "{url}/afnor/flow-service",
            "directory_base_url": "{url}/afnor/directory-service",
            "token_url": "{url}/afnor/oauth2/token",
            "contract": "1.3",
        },
        {"client_id": "navette-demo", "client_secret": PASSWORD},
        line="800112237_COMPTA",
        received=3,
        issued=1,
    ),
    Account(
        "seqino",
        {"api_url": "{url}/seqino/api", "contact_email": "demo@example.test"},
        {"api_key": "demo-key"},
        line="905334413",
        received=2,
        issued=1,
    ),
    Account(
        "billit",
        {"api_url": "{url}/billit", "portal_url": "{url}"},
        {"api_key": "demo-key"},
        line="905334413_NEGOCE",
        received=2,
        issued=1,
        line_settings={"registration_id": "8002"},
    ),
    Account(
        "cegid",
        {"od_url": "{url}/cegid"},
        {"subscription_key": "demo-key"},
        line="905334413_OD",
        received=0,
        issued=2,
        line_secrets={"api_key": f"demo:{PASSWORD}"},
    ),
    Account(
        "cegid_od",
        {"callback_private": True, "callback_plain": True},
        {"subscription_key": "demo-key"},
        line="800112237_FILIALE",
        received=2,
        issued=0,
    ),
)


def wish(sandbox_url: str) -> dict[str, Any]:
    """A file as `manage.py provision` takes it."""
    return {
        "connections": [
            {
                "name": account.name,
                "kind": account.kind,
                "environment": "sandbox",
                "settings": {name: _placed(value, sandbox_url) for name, value in account.settings.items()},
                "secrets": account.secrets,
            }
            for account in ACCOUNTS
        ],
        "customers": [
            {"siren": siren, **company, "addressing_lines": list(_lines(siren))} for siren, company in COMPANIES.items()
        ],
        "users": [
            {"username": username, "password": PASSWORD, "customers": dict.fromkeys(COMPANIES, role)}
            for username, role in PEOPLE
        ],
    }


def _placed(value: Any, sandbox_url: str) -> Any:
    return value.replace("{url}", sandbox_url) if isinstance(value, str) else value


def _lines(siren: str) -> Iterator[dict[str, Any]]:
    for account in ACCOUNTS:
        if account.siren == siren:
            line = {"identifier": account.line, "connection": account.name}
            yield line | {"settings": account.line_settings, "secrets": account.line_secrets}


def deposits() -> Iterator[dict[str, Any]]:
    """What the sandbox is asked to deliver, once."""
    for account in ACCOUNTS:
        company = COMPANIES[account.siren]["name"]
        for direction, ours, count in (("INBOUND", "buyer", account.received), ("OUTBOUND", "seller", account.issued)):
            if count:
                yield {
                    "dialect": account.kind,
                    "direction": direction,
                    f"{ours}_siren": account.siren,
                    f"{ours}_address": account.line,
                    f"{ours}_name": company,
                    "count": count,
                }
