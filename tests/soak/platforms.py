"""One customer served by every kind of platform at once, all played by one sandbox."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from invoices.customers.lines import set_up_line
from invoices.models import AddressingLine, Customer
from providers.connections import services
from providers.connections.registry import as_line, get_adapter
from providers.connections.sealing import Secrets
from providers.models import Connection
from providers.sandbox.server import SandboxServer
from tests.factories import SIREN, make_connection, make_line

SANDBOX = {"echo_delay": 0.3, "auto_react": False, "retry_scale": 0.0005, "cegid_od": {"echo": True}}


@dataclass(frozen=True)
class Platform:
    """What the far end of one kind can be asked to play. `reasons`: how it words a reason with a status. `takes`: which
    invoices we hand in there.
    """

    kind: str
    directions: tuple[str, ...]
    reasons: Callable[[str], dict[str, Any]]
    by_number: bool = False  # it has no reference of its own for an invoice
    takes: str = "OUTBOUND"


PLATFORMS = (
    Platform(
        "acube",
        ("INBOUND", "OUTBOUND"),
        lambda code: {"rejectionDetails": {"rejectionReason": "PO_REFERENCE_INCORRECT_OR_MISSING", "message": code}},
    ),
    Platform("seqino", ("INBOUND", "OUTBOUND"), lambda code: {"reason": code, "rejection_reason": "CMD_ERR"}),
    Platform("billit", ("INBOUND", "OUTBOUND"), lambda code: {"reason": "CMD_ERR", "note": code}),
    Platform(
        "cegid",
        ("OUTBOUND",),
        lambda code: {"reasons": [{"code": "CMD_ERR", "text": code}]},
        by_number=True,
        takes="INBOUND",
    ),
    Platform("cegid_od", ("INBOUND",), lambda code: {"reasons": [{"code": "CMD_ERR", "text": code}]}, by_number=True),
    Platform("afnor", ("INBOUND", "OUTBOUND"), lambda code: {"reasons": [{"code": "CMD_ERR", "text": code}]}),
)
BY_KIND = {platform.kind: platform for platform in PLATFORMS}


class Desk:
    """The customer's connections, by kind. The web server runs already: some platforms call back while set up."""

    def __init__(self, sandbox: SandboxServer, customer: Customer, rng: random.Random) -> None:
        self.sandbox = sandbox
        self.customer = customer
        self.rng = rng
        self.connections: dict[str, Connection] = {}
        self.lines: dict[str, AddressingLine] = {}
        for platform in PLATFORMS:
            getattr(self, f"_open_{platform.kind}")()

    def _connect(self, kind: str, settings: dict[str, Any], secret_names: tuple[str, ...]) -> None:
        self.connections[kind] = make_connection(
            kind=kind,
            name=kind.replace("_", "-"),
            settings={"requests_per_second": 0} | settings,
            secrets={name: secrets.token_hex(12) for name in secret_names},
        )
        self.lines[kind] = make_line(self.customer, self.connections[kind], f"{SIREN}_{kind.upper()}")

    def _register(self, kind: str) -> None:
        services.open_hook(connection=self.connections[kind])
        get_adapter(self.connections[kind]).register_webhooks()

    def _open_acube(self) -> None:
        url = f"{self.sandbox.url}/acube"
        self._connect("acube", {"api_url": url, "login_url": url}, ("email", "password", "webhook_token"))
        self._register("acube")

    def _open_seqino(self) -> None:
        takes = self.rng.random() < 0.5
        self.sandbox.control("settings", seqino={"onboarding_delay": 0, "take_statuses": takes})
        settings = {"api_url": f"{self.sandbox.url}/seqino/api", "contact_email": "a@example.test"}
        settings |= {"observe_mode": False} | ({"status_endpoint": "lifecycle-events"} if takes else {})
        self._connect("seqino", settings, ("api_key",))
        set_up_line(line=self.lines["seqino"])
        self.sandbox.wait_idle()
        self._register("seqino")

    def _open_billit(self) -> None:
        self.sandbox.control("settings", billit={"shape": self.rng.choice("AB")})
        url = self.sandbox.url
        self._connect("billit", {"api_url": f"{url}/billit", "portal_url": url}, ("api_key",))
        line = self.lines["billit"]
        line.settings = {"registration_id": "8001"}
        line.save()
        services.open_hook(connection=self.connections["billit"], line_identifier=line.identifier)
        get_adapter(self.connections["billit"]).register_webhooks()
        self.sandbox.wait_idle()

    def _open_cegid(self) -> None:
        knows_again = self.rng.random() < 0.5
        settings = {"od_url": f"{self.sandbox.url}/cegid", "resend_uncertain": knows_again}
        self._connect("cegid", settings, ("subscription_key",))
        line = self.lines["cegid"]
        line.secrets = Secrets({"api_key": f"client-{line.identifier}:{secrets.token_hex(12)}"})
        line.save()
        services.subscribe_line(connection=self.connections["cegid"], line=as_line(line))

    def _open_cegid_od(self) -> None:
        self._connect("cegid_od", {"callback_private": True, "callback_plain": True}, ("subscription_key",))
        connection, line = self.connections["cegid_od"], self.lines["cegid_od"]
        services.open_hook(connection=connection)
        data = services.make_connection_data(connection=connection, line_identifier=line.identifier)
        answer = httpx.post(f"{self.sandbox.url}/cegid_od/connection-data", json=data, trust_env=False, timeout=30)
        assert answer.status_code == 201, answer.text

    def _open_afnor(self) -> None:
        contract = self.rng.choice(["1.2", "1.3"])
        self.sandbox.control("settings", afnor={"contract": contract, "ack_delay": 0.1})
        settings = {
            "contract": contract,
            "shown_after": 1,
            "flow_base_url": f"{self.sandbox.url}/afnor/flow-service",
            "directory_base_url": f"{self.sandbox.url}/afnor/directory-service",
            "token_url": f"{self.sandbox.url}/afnor/oauth2/token",
        }
        self._connect("afnor", settings, ("client_id", "client_secret"))
        self._register("afnor")
