import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.core.management import get_commands, load_command_class

from providers.sandbox.server import SandboxServer

from .conftest import OURS, TARGET
from .test_acube import codes, own_invoice, submit


def test_page_is_served_and_home_leads_to_it(sandbox):
    page = httpx.get(sandbox.url, follow_redirects=True)
    assert (page.url.path, page.headers["content-type"]) == ("/control/", "text/html; charset=utf-8")


def test_acube_answers_at_the_root_too(client, sandbox, invoice):
    root = httpx.get(f"{sandbox.url}/invoices/{invoice}", headers=client.headers)
    assert root.json() == client.get(f"/invoices/{invoice}").json()


def test_unknown_path_and_wrong_method_are_problems(client):
    answers = [client.get("/nowhere"), client.delete("/invoices")]
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(404, 404), (405, 405)]


def test_deposit_takes_a_given_document_and_identifier(client, sandbox):
    ref = "01990000-0000-7000-8000-00000000a001"
    sandbox.control("deposit", xml="not an invoice", uuid=ref)
    assert client.get(f"/invoices/{ref}/original").content == b"not an invoice"
    assert client.get(f"/invoices/{ref}").json()["direction"] == "INBOUND"


def test_deposit_outbound_makes_our_company_the_seller(client, sandbox):
    made = sandbox.control("deposit", direction="OUTBOUND", seller_siren=OURS, sample="printing")["invoices"][0]
    assert (made["seller_siren"], made["buyer"], made["statuses"]) == (OURS, "Imprimerie Quatrevents SA", ["200"])


def test_credit_note_refers_to_the_sellers_invoice(client, sandbox, invoice):
    made = sandbox.control("deposit", buyer_siren=OURS, sample="credit")["invoices"][0]
    content = client.get(f"/invoices/{made['uuid']}/original").text
    assert content.count("<cbc:ID>F-1</cbc:ID>") == 1


@pytest.mark.parametrize(
    ("path", "wish", "said"),
    [
        ("deposit", {"buyer_siren": "12"}, "buyer_siren"),
        ("deposit", {"buyer_siren": OURS, "sample": "cake"}, "Unknown sample"),
        ("deposit", {"buyer_siren": OURS, "count": 0}, "count"),
        ("deposit", {"buyer_siren": OURS, "dialect": "latin"}, "Unknown dialect"),
        ("status", {"invoice": "nothing", "status": "205"}, "no invoice"),
        ("settings", {"colour": "red"}, "no setting colour"),
        ("settings", {"acube": {"colour": "red"}}, "no setting acube.colour"),
        ("ring", {"event": {"eventType": "invoice.status"}}, "Nobody registered"),
        ("ring", {"trick": "card"}, "Unknown trick"),
    ],
)
def test_wish_that_cannot_be_granted_is_explained(sandbox, path, wish, said):
    with pytest.raises(ValueError, match=said):
        sandbox.control(path, **wish)


def test_control_takes_json_only(sandbox):
    answer = httpx.post(f"{sandbox.url}/control/reset", content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400


def test_reported_status_may_be_any_word(client, sandbox, hook, invoice):
    sandbox.control("status", invoice="F-1", status="XYZ")
    sandbox.wait_idle()
    assert (hook.statuses[-1], codes(client, invoice)[-1]) == ("XYZ", "XYZ")
    assert client.get(f"/invoices/{invoice}").json()["status"] == "XYZ"


def test_ring_sends_a_raw_body_and_tells_the_answer(client, sandbox, hook):
    hook.answers = [401]
    said = sandbox.control("ring", body="{not json", trick="unsigned")
    assert said == {"target": TARGET, "status": 401, "answer": ""}
    assert (hook.requests[0].content, "signature" in hook.requests[0].headers) == (b"{not json", False)


def test_ring_at_a_target_of_ours_reports_that_nobody_answers(client, sandbox, hook):
    said = sandbox.control("ring", target="https://elsewhere.example.test/x", body="{}", headers={"X-Odd": "1"})
    assert (said["status"], hook.requests[0].headers["x-odd"]) == (204, "1")


def test_reset_forgets_all_but_what_it_is_asked_to_keep(client, sandbox, hook, invoice):
    sandbox.control("settings", latency=0.5)
    sandbox.control("faults", kind="slow")
    sandbox.control("reset", keep_destinations=True)
    assert sandbox.control("invoices")["invoices"] == []
    assert (sandbox.control("settings")["latency"], sandbox.control("faults")["armed"]) == (0, [])
    assert (sandbox.control("calls"), sandbox.control("webhooks")["webhooks"]) == ({"calls": [], "accepted": []}, [])
    assert client.get("/invoices").status_code == 401
    sandbox.control("deposit", buyer_siren=OURS)
    sandbox.wait_idle()
    assert len(hook.requests) == 2


def test_reset_drops_what_was_planned(client, sandbox, hook, invoice):
    sandbox.control("settings", echo_delay=0.1)
    client.post(f"/invoices/{invoice}/lifecycle", json={"afnorStatusCode": 205})
    sandbox.control("reset", keep_destinations=True)
    time.sleep(0.15)
    assert hook.statuses == ["RECEIVED"]


# -- the server


def test_connection_is_kept_alive(client, sandbox):
    with httpx.Client(base_url=sandbox.url, headers=client.headers) as one:
        for _ in range(5):
            assert one.get("/invoices").headers.get("connection") is None
        assert len(sandbox._server.connections) == 2


def test_chunked_body_is_read_whole(client, invoice):
    answer = client.post(f"/invoices/{invoice}/lifecycle", content=iter([b'{"afnorStatus', b'Code": 205}']))
    assert answer.status_code == 202


def test_body_that_is_too_large_is_413(client):
    answer = client.post("/invoices", content=b"x" * (25 * 1024 * 1024 + 1))
    assert answer.status_code == 413


def test_many_callers_wait_for_the_latency_together(client, sandbox, hook):
    made = sandbox.control("deposit", buyer_siren=OURS, count=32)["invoices"]
    sandbox.control("settings", latency=0.2)
    barrier = threading.Barrier(32)

    def approve(invoice: dict) -> int:
        barrier.wait()
        return client.post(f"/invoices/{invoice['uuid']}/lifecycle", json={"afnorStatusCode": 205}).status_code

    started = time.monotonic()
    with ThreadPoolExecutor(32) as callers:
        answers = list(callers.map(approve, made))
    elapsed = time.monotonic() - started
    sandbox.wait_idle()
    assert answers == [202] * 32
    assert elapsed < 32 * 0.2 / 2  # one after the other it would be 6.4 s
    assert [item["count"] for item in sandbox.control("calls")["accepted"]] == [1] * 32
    assert len({event["eventId"] for event in hook.events}) == 64


def test_same_number_at_the_same_moment_is_taken_once(client):
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: submit(client, own_invoice()).status_code, range(8)))
    assert sorted(answers) == [201, *[422] * 7]


def test_webhook_over_the_network_reports_that_nobody_answers():
    settings = {"retry_scale": 100, "ring_timeout": 2}
    with SandboxServer(settings=settings) as sandbox:
        said = sandbox.control("ring", target="http://127.0.0.1:9/hooks/", body="{}")
        assert (said["status"], said["answer"].partition(":")[0]) == (None, "ConnectError")


def test_command_exists_and_explains_itself():
    command = load_command_class(get_commands()["sandbox"], "sandbox")
    parser = command.create_parser("manage.py", "sandbox")
    options = parser.parse_args(["--seed", "--port", "0"])
    assert (options.seed, options.port, options.host, options.quiet) == (OURS, 0, "127.0.0.1", False)
