"""What we ask and what the sandbox answers, held against the annex contracts 1.3.0 of XP Z12-013."""

import contextlib
import json
import ssl
from pathlib import Path

import httpx
import pytest
from django.conf import settings as project

from providers.contract.base import Account, File, Party, PlatformError
from providers.contract.kinds import adapter_class
from providers.formats.en16931.writer import write_invoice
from providers.sandbox.server import SandboxServer
from tests.invoices.documents.issued import make_document
from tests.providers.fakes import Memory, Tokens

from .openapi import Contract
from .samples import HOOK_URL, SECRETS, KnownVault, make_facts, make_message

OURS, THEIRS = "800112237", "905334413"
FOLDER = Path(project.BASE_DIR).parent / "shared" / "providers" / "openapi"


@pytest.fixture(scope="module")
def contracts():
    if not FOLDER.is_dir():
        pytest.skip("the published contracts (../shared/providers/openapi) are not on this machine")
    return [
        Contract(FOLDER / "xp-z12-013-flow-service-1.3.0.json", "/afnor/flow-service"),
        Contract(FOLDER / "xp-z12-013-directory-service-1.3.0.json", "/afnor/directory-service"),
    ]


class Recorder(httpx.HTTPTransport):
    """Every exchange, as it went over the wire."""

    def __init__(self) -> None:
        super().__init__(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self.exchanges = []

    def handle_request(self, request):
        request.read()
        response = super().handle_request(request)
        response.read()
        self.exchanges.append((request, response))
        return response


class Talk:
    """An adapter of ours, the sandbox, and what they said to each other."""

    def __init__(self, sandbox, contracts):
        self.sandbox, self.contracts = sandbox, contracts
        self.recorder = Recorder()
        base = f"{sandbox.url}/afnor"
        account = Account(
            id="c7",
            name="pa-main",
            environment="sandbox",
            settings={
                "flow_base_url": f"{base}/flow-service",
                "directory_base_url": f"{base}/directory-service",
                "token_url": f"{base}/oauth2/token",
                "contract": "1.3",
                "requests_per_second": 0,
            },
            secrets=SECRETS,
            hook_url=HOOK_URL,
            vault=KnownVault(),
        )
        self.client = httpx.Client(transport=self.recorder)
        self.afnor = adapter_class("afnor")(account, client=self.client, tokens=Tokens(), memory=Memory())

    @property
    def exchanges(self):
        return [each for each in self.recorder.exchanges if not each[0].url.path.endswith("/oauth2/token")]

    def faults(self):
        found = []
        for request, response in self.exchanges:
            (contract,) = [each for each in self.contracts if each.serves(request.url)]
            found += contract.faults(request, response)
        return found

    def deposit(self, **wish):
        wish = {"buyer_siren": OURS, "buyer_address": OURS} | wish
        answer = self.sandbox.control("deposit", dialect="afnor", **wish)
        return answer["invoices"][0]["uuid"]


@pytest.fixture
def rung():
    """The callbacks the sandbox made."""
    return []


@pytest.fixture
def talk(contracts, rung):
    quick = {"echo_delay": 0, "auto_react": False, "afnor": {"ack_delay": 0, "has_converted": True}}
    ring = httpx.MockTransport(lambda request: rung.append(request) or httpx.Response(200))
    with SandboxServer(settings=quick, transport=ring) as sandbox:
        talk = Talk(sandbox, contracts)
        yield talk
        talk.client.close()


def test_webhooks_follow_the_contract(talk):
    talk.afnor.register_webhooks()
    talk.afnor.register_webhooks()
    talk.afnor._drop({"webhookId": next(iter(talk.afnor.account.vault.get("webhooks")))})

    calls = [f"{request.method} {response.status_code}" for request, response in talk.exchanges]
    assert (calls, talk.faults()) == (["GET 200", "POST 201", "GET 200", "DELETE 204"], [])


def test_flows_follow_the_contract(talk):
    ref = talk.deposit()
    facts = make_facts("", number="V-1")
    file = File(kind="original", content=write_invoice(make_document(number="V-1"), "ubl"), filename="V-1.xml")
    assert talk.afnor.submit_invoice(file, facts).reference != ref
    invoice = talk.sandbox.sandbox.dialect("afnor").invoices[ref].document
    told = make_facts(ref, number=invoice.number, seller=Party(name="Eux", siren=invoice.seller.siren))
    talk.afnor.send_status(make_message("207", invoice=told))
    talk.sandbox.wait_idle()
    for push in talk.afnor.poll({}).pushes:
        talk.afnor.fetch_delivery(json.loads(push.body)["flowId"])
    talk.afnor.fetch_invoice(ref)
    talk.afnor.fetch_files(ref)
    talk.afnor.find_invoice(facts)
    assert [result.name for result in talk.afnor.check() if not result.ok] == ["webhooks"]

    assert talk.sandbox.control("calls")["accepted"] != []
    assert (len(talk.exchanges) > 15, talk.faults()) == (True, [])


@pytest.mark.parametrize("setting", [{"cap": 3}, {"ack": "Error", "ack_reason": "InvoiceLCRuleError"}], ids=str)
def test_long_searches_and_refusals_follow_the_contract(talk, setting):
    talk.sandbox.control("settings", afnor=setting)
    for number in range(3):
        talk.deposit(number=f"F-{number}")
    talk.afnor.send_status(make_message())
    talk.sandbox.wait_idle()
    talk.afnor.poll({})
    assert talk.faults() == []


def test_directory_follows_the_contract(talk):
    siret = f"{OURS}00014"
    for wanted in (OURS, siret, f"{OURS}_{siret}_COMPTA", f"{OURS}_nowhere", "000000000"):
        talk.afnor.search_directory(wanted)
    talk.sandbox.control("settings", afnor={"follows_include": False})
    assert len(talk.afnor.search_directory(OURS)) == 3
    talk.afnor.find_routing_codes(siret)
    talk.afnor.check_directory()

    assert (len(talk.exchanges) > 8, talk.faults()) == (True, [])


@pytest.mark.parametrize("fault", ["server_error", "rate_limited", "unauthorized_once"])
def test_errors_follow_the_contract(talk, fault):
    talk.sandbox.control("faults", kind=fault)
    with contextlib.suppress(PlatformError):
        talk.afnor.poll({})
    for wrong in ("no-such-flow", "x" * 65):
        with pytest.raises(PlatformError):
            talk.afnor.fetch_flow(wrong)

    answered = {response.status_code for _request, response in talk.exchanges}
    wanted = {"server_error": 500, "rate_limited": 429, "unauthorized_once": 401}[fault]
    assert (answered >= {wanted, 404}, [each for each in talk.faults() if "x" * 65 not in each]) == (True, [])


def test_callbacks_follow_the_contract(talk, contracts, rung):
    talk.afnor.register_webhooks()
    talk.deposit()
    talk.sandbox.wait_idle()

    bodies = [json.loads(request.content) for request in rung]
    assert {body["flowType"] for body in bodies} == {"SupplierInvoice", "SupplierInvoiceLC"}
    assert [contracts[0].faults_of("Flow", body) for body in bodies] == [[]] * len(bodies)
    assert all(request.headers["afnor-signature-timestamp"].isdecimal() for request in rung)


def test_contract_is_not_merely_nodded_through(contracts):
    flow = {"flowId": "x" * 65, "flowType": "Pigeon", "extra": 1, "submittedAt": "yesterday", "name": "n"}
    said = "\n".join(contracts[0].faults_of("Flow", flow))
    for part in ("is too long", "is not one of", "$.extra is not in the contract", "is a required property"):
        assert said.count(part) >= 1
