"""Webhooks and companies at Billit, the lists of orders, and the check of it all."""

import contextlib
import json
from datetime import datetime, timedelta

import httpx
import pytest

from providers.billit.hooks import vault_name
from providers.contract.base import (
    Line,
    Party,
    PermanentError,
    ShortVault,
    TemporaryError,
    UncertainError,
    Unsupported,
)

from .samples import (
    AP,
    HOOK_SECRETS,
    HOOK_URLS,
    ISSUED,
    LINE,
    LIST,
    OTHER_LINE,
    OTHER_REGISTRATION,
    RECEIVED,
    make_account,
    make_billit,
    make_hook,
    make_line,
    make_order,
    make_vault,
    sign,
)

HOOKS, CREATE = "GET /v1/webhooks", f"POST {AP}/webhooks"
SLUGS = ("message-i", "message-u", "order-i")
NONE = {HOOKS: (200, {"Items": []})}
COMPANIES, REGISTER = "GET /v1/einvoices/registrations", "POST /v1/einvoices/registrations"
INTEGRATE = f"POST {AP}/integrations"
OWNER = Party(name="NOTRE SOCIETE", siren="999000011", vat_number="FR07999000011")


def created(number, secret="a-new-s3cret"):
    return 200, {"WebhookID": number, "Secret": secret}


def make_empty(routes=None, *lines, **settings):
    """A connection that registered nothing yet."""
    return make_billit(NONE | (routes or {}), make_account(*lines, vault=ShortVault(), **settings))


def kept(adapter, slug, line=LINE):
    return adapter.account.vault.get(vault_name(line, slug))


# --- registering webhooks ---


def test_register_three_webhooks_with_addresses_and_secrets_of_their_own():
    answers = [created(number, f"s3cret-{number}") for number in (1, 2, 3)]
    adapter, far_end = make_empty({CREATE: answers})
    assert adapter.register_webhooks() == tuple(f"{LINE} {slug}: registered." for slug in SLUGS)
    bodies = [json.loads(request.content) for request in far_end.asked(CREATE)]
    assert bodies == [
        {"EntityType": entity, "EntityUpdateType": update, "WebhookURL": f"{HOOK_URLS[LINE]}{slug}/"}
        for slug, entity, update in zip(SLUGS, ("Message", "Message", "Order"), ("I", "U", "I"), strict=True)
    ]
    assert [kept(adapter, slug)["secret"] for slug in SLUGS] == ["s3cret-1", "s3cret-2", "s3cret-3"]
    assert {kept(adapter, slug)["state"] for slug in SLUGS} == {"awaiting_confirmation"}
    adapter.verify_webhook(sign(b"{}", slug="order-i", secret="s3cret-3"))


def test_register_again_changes_nothing():
    adapter, far_end = make_billit()
    assert adapter.register_webhooks() == ()
    assert {request.method for request in far_end.requests} == {"GET"}


def test_register_for_each_company_once():
    lines = (
        make_line(),
        make_line("999000011_B"),
        make_line(OTHER_LINE, OTHER_REGISTRATION),
        make_line("999000037", ""),
    )
    other = f"POST /v1/einvoices/registrations/{OTHER_REGISTRATION}/webhooks"
    adapter, far_end = make_empty({CREATE: created(1), other: created(2)}, *lines)
    assert len(adapter.register_webhooks()) == 6
    assert (len(far_end.asked(CREATE)), len(far_end.asked(other))) == (3, 3)


def test_register_awaits_the_confirmation_before_it_calls():
    seen = []

    def confirm(request):
        seen.append(adapter.serve(sign(b'{"Secret": "of-the-call"}', slug=SLUGS[len(seen)], header="none")))
        return created(len(seen), "of-the-answer")

    adapter, _far_end = make_empty({CREATE: confirm})
    adapter.register_webhooks()
    assert len(seen) == 3
    assert [kept(adapter, slug)["secret"] for slug in SLUGS] == ["of-the-answer"] * 3
    assert {kept(adapter, slug)["state"] for slug in SLUGS} == {"active"}


def test_lost_answer_is_made_good_by_the_confirmation():
    adapter, far_end = make_empty({CREATE: httpx.ReadTimeout("x")})
    with pytest.raises(UncertainError):
        adapter.register_webhooks()
    adapter.serve(sign(b'{"Secret": "of-the-call"}', slug="message-i", header="none"))
    far_end.routes |= {CREATE: created(72), HOOKS: (200, [make_hook("message-i", 71)])}
    changes = adapter.register_webhooks()
    assert changes[0] == f"{LINE} message-i: put right."
    assert (kept(adapter, "message-i")["secret"], kept(adapter, "message-i")["id"]) == ("of-the-call", "71")
    assert len(far_end.asked(CREATE)) == 3


@pytest.mark.parametrize("answer", [{"Secret": "renewed"}, {"secret": "renewed", "WebhookID": 71}, "renewed"], ids=str)
def test_webhook_without_a_known_secret_gets_a_new_one(answer):
    routes = {f"POST /v1/webhooks/refresh/{number}": (200, answer) for number in (71, 72, 73)}
    adapter, far_end = make_billit(routes, make_account(vault=ShortVault()))
    assert adapter.register_webhooks() == tuple(f"{LINE} {slug}: put right." for slug in SLUGS)
    assert [kept(adapter, slug)["secret"] for slug in SLUGS] == ["renewed"] * 3
    assert far_end.asked(CREATE) == []


def test_webhook_whose_secret_cannot_be_renewed_is_replaced():
    deleted = {f"DELETE /v1/webhooks/{number}": (200, {}) for number in (71, 72, 73)}
    adapter, far_end = make_billit(deleted | {CREATE: created(99)}, make_account(vault=ShortVault()))
    adapter.register_webhooks()
    assert (len(far_end.asked("DELETE /v1/webhooks/71")), len(far_end.asked(CREATE))) == (1, 3)


def test_webhook_at_an_address_that_moved_is_replaced():
    rows = [make_hook(slug, n) | {"WebhookURL": f"https://old.example.test/{slug}"} for n, slug in enumerate(SLUGS, 71)]
    deleted = {f"DELETE /v1/webhooks/{number}": (404, {}) for number in (71, 72, 73)}
    adapter, far_end = make_billit(deleted | {HOOKS: (200, rows), CREATE: created(99)})
    assert len(adapter.register_webhooks()) == 3
    assert len([call for call in far_end.calls if call.startswith("DELETE")]) == 3


def test_webhooks_of_a_line_that_served_before_are_replaced():
    """A line of the same company that comes first by its name takes them over."""
    first = "999000011_A"
    urls = HOOK_URLS | {first: "https://hooks.example.test/hooks/billit/l0/"}
    deleted = {f"DELETE /v1/webhooks/{number}": (200, {}) for number in (71, 72, 73)}
    account = make_account(make_line(first), make_line("999000011_B"))
    account.lines.urls = urls
    adapter, far_end = make_billit(deleted | {CREATE: created(99)}, account)
    assert len(adapter.register_webhooks()) == 3
    assert len([call for call in far_end.calls if call.startswith("DELETE")]) == 3
    assert kept(adapter, "order-i", first)["id"] == "99"


def test_webhooks_of_others_are_left_alone():
    foreign = make_hook("message-i", 5) | {"WebhookURL": "https://elsewhere.example.test/"}
    adapter, far_end = make_empty({HOOKS: (200, [foreign]), CREATE: created(1)})
    adapter.register_webhooks()
    assert [call for call in far_end.calls if call.startswith("DELETE")] == []


def test_registration_without_a_secret_says_so():
    adapter, _far_end = make_empty({CREATE: (200, {"WebhookID": 1})})
    assert adapter.register_webhooks()[0] == (
        f"{LINE} message-i: registered; its secret is to come by Billit's confirmation call."
    )


def test_refused_registration_awaits_nothing():
    adapter, _far_end = make_empty({CREATE: (400, {"errors": [{"Code": "TooMany"}]})})
    with pytest.raises(PermanentError, match="TooMany"):
        adapter.register_webhooks()
    assert kept(adapter, "message-i")["state"] == "deleted"


def test_line_without_an_address_of_ours():
    account = make_account(vault=ShortVault())
    account.lines.urls = {}
    with pytest.raises(Unsupported, match="no webhook address"):
        make_billit(NONE, account)[0].register_webhooks()


def test_no_line_with_a_company():
    with pytest.raises(Unsupported, match="registration_id"):
        make_billit(account=make_account(make_line(registration="")))[0].register_webhooks()


def test_subscribe_one_line():
    adapter, far_end = make_empty({CREATE: created(1)}, make_line(), make_line(OTHER_LINE, OTHER_REGISTRATION))
    assert adapter.subscribe(make_line()).count("registered") == 3
    assert len(far_end.asked(CREATE)) == 3


def test_subscribe_a_line_of_a_company_that_is_served():
    adapter, far_end = make_billit(account=make_account(make_line(), make_line("999000011_B")))
    assert adapter.subscribe(make_line("999000011_B")) == (
        f"999000011_B is of the same company as {LINE}, whose webhooks serve both."
    )
    assert far_end.calls == []
    assert adapter.subscribe(make_line()) == "nothing had to be changed."


def test_unsubscribe_forgets_the_secrets():
    adapter, _far_end = make_billit({f"DELETE /v1/webhooks/{number}": (200, {}) for number in (71, 72, 73)})
    assert adapter.unsubscribe(make_line()) == "Webhooks ended: message-i, message-u, order-i."
    assert [kept(adapter, slug)["secret"] for slug in SLUGS] == [""] * 3


@pytest.mark.parametrize(
    ("answer", "state", "error"),
    [
        (created(1), "active", ""),
        ((200, {"WebhookID": 1}), "subscribing", ""),
        ((400, {"errors": [{"Code": "TooMany"}]}), "failed", "Billit refuses (400). TooMany"),
    ],
    ids=["active", "subscribing", "failed"],
)
def test_state_of_the_line_is_noted(answer, state, error):
    adapter, _far_end = make_empty({CREATE: answer})
    with contextlib.suppress(PermanentError):
        adapter.register_webhooks()
    noted = adapter.account.subscriptions.find(LINE)
    assert (noted.state, noted.reference, noted.error) == (state, "8001", error)


def test_end_of_the_webhooks_is_noted():
    adapter, _far_end = make_billit({f"DELETE /v1/webhooks/{number}": (404, {}) for number in (71, 72, 73)})
    adapter.unsubscribe(make_line())
    assert adapter.account.subscriptions.find(LINE).state == "closed"


def test_one_company_that_fails_does_not_stop_the_others():
    other = f"POST /v1/einvoices/registrations/{OTHER_REGISTRATION}/webhooks"
    lines = (make_line(), make_line(OTHER_LINE, OTHER_REGISTRATION))
    adapter, far_end = make_empty({CREATE: (403, {}), other: created(2)}, *lines)
    with pytest.raises(PermanentError):
        adapter.register_webhooks()
    states = {line: adapter.account.subscriptions.find(line).state for line in (LINE, OTHER_LINE)}
    assert (states, len(far_end.asked(other))) == ({LINE: "failed", OTHER_LINE: "active"}, 3)


def test_names_of_the_vault_fit_its_column():
    assert max(len("vault " + vault_name("9" * 125, slug)) for slug in SLUGS) <= 125


# --- companies ---


def set_up(routes=None, line=None, owner=OWNER):
    adapter, far_end = make_billit(routes)
    line = line or Line(identifier=LINE, settings={"email": "factures@example.test", "party_id": "7"})
    return adapter.set_up_line(line, owner), far_end


def test_set_up_registers_the_company_for_sending():
    settings, far_end = set_up(
        {COMPANIES: (200, {"Companies": []}), REGISTER: (200, {"RegistrationID": 8001}), INTEGRATE: (200, {})}
    )
    assert settings == {"email": "factures@example.test", "party_id": "7", "registration_id": "8001"}
    assert far_end.calls == [COMPANIES, REGISTER, INTEGRATE]
    assert json.loads(far_end.requests[1].content) == {
        "TaxIdentifier": "FR07999000011", "CompanyName": "NOTRE SOCIETE", "TaxDeductable": True, "TaxLiable": True,
        "Email": "factures@example.test", "Language": "FR",
        "Identifiers": [
            {"IdentifierType": "SIREN", "Identifier": "999000011"},
            {"IdentifierType": "CTC", "Identifier": "999000011_replyto"},
        ],
    }  # fmt: skip
    assert json.loads(far_end.requests[2].content) == {
        "Externalprovider": "Peppol",
        "Credentials": {"Identifier": "CTC", "DocTypes": "CDAR;MLR"},
    }


def test_set_up_finds_the_company_by_its_siren():
    details = {"CompanyName": "X", "TaxIdentifier": "FR07999000011"}
    companies = [
        {
            "RegistrationID": 1,
            "CompanyDetails": {"Identifiers": [{"IdentifierType": "SIREN", "Identifier": "999000029"}]},
        },
        {"RegistrationID": 8001, "CompanyDetails": details, "Integrations": []},
    ]
    settings, far_end = set_up({COMPANIES: (200, {"Companies": companies}), INTEGRATE: (200, {})})
    assert (settings["registration_id"], far_end.calls) == ("8001", [COMPANIES, INTEGRATE])


def test_set_up_again_changes_nothing():
    settings, far_end = set_up(line=make_line())
    assert (settings["registration_id"], far_end.calls) == ("8001", [f"GET {AP}"])


@pytest.mark.parametrize(
    ("line", "owner", "words"),
    [
        (Line(identifier=LINE), OWNER, "Email"),
        (Line(identifier=LINE, settings={"email": "a@b"}), Party(), "TaxIdentifier, CompanyName"),
        (Line(identifier=LINE, settings={"email": "a@b", "ctc": "9" * 126}), OWNER, "126 characters; 125 are allowed"),
    ],
)
def test_set_up_without_what_it_takes(line, owner, words):
    adapter, far_end = make_billit({COMPANIES: (200, {"Companies": []})})
    with pytest.raises(PermanentError, match=words):
        adapter.set_up_line(line, owner)
    assert REGISTER not in far_end.calls


def test_set_up_without_a_number_in_the_answer():
    with pytest.raises(UncertainError, match="under which number"):
        set_up({COMPANIES: (200, {"Companies": []}), REGISTER: (200, {})})


# --- the lists ---


def listed(number, day, **changes):
    return make_order(RECEIVED, OrderID=number, LastModified=f"2026-10-{day:02d}T10:00:00", **changes)


def test_poll_rings_for_every_invoice_in_its_companys_name():
    other = f"GET /v1/einvoices/registrations/{OTHER_REGISTRATION}/orders"
    account = make_account(make_line(), make_line(OTHER_LINE, OTHER_REGISTRATION))
    routes = {
        LIST: (200, {"Items": [listed(1, 3), listed(2, 4, OrderType="Offer"), listed(3, 5)]}),
        other: (200, {"Items": [listed(4, 5)]}),
    }
    page = make_billit(routes, account)[0].poll({})
    assert [(bell.provider_ref, bell.account, bell.is_new_invoice) for bell in page.bells] == [
        ("1", LINE, True),
        ("3", LINE, True),
        ("4", OTHER_LINE, True),
    ]
    assert page.cursor == {"changed": {"8001": "2026-10-05T08:00:00+00:00", "8002": "2026-10-05T08:00:00+00:00"}}


def test_poll_asks_for_what_changed_since_with_an_overlap():
    adapter, far_end = make_billit({LIST: (200, {"Items": [listed(3, 5)]})})
    cursor = adapter.poll({}).cursor
    page = adapter.poll(json.loads(json.dumps(cursor)))
    assert far_end.requests[1].url.params["$filter"] == "LastModified ge DateTime'2026-10-05T07:00:00'"
    assert (far_end.requests[1].url.params["$orderby"], page.cursor == cursor) == ("LastModified asc", True)
    assert [bell.provider_ref for bell in page.bells] == ["3"]


def test_filter_that_is_ignored_does_no_harm():
    adapter, far_end = make_billit({LIST: (200, {"Items": [listed(1, 1), listed(3, 5)]})}, list_filter="")
    page = adapter.poll({"changed": {"8001": "2026-10-05T08:00:00+00:00"}})
    assert [bell.provider_ref for bell in page.bells] == ["3"]
    assert "$filter" not in far_end.requests[0].url.params


def test_poll_reads_page_after_page():
    start = datetime(2026, 10, 1, 8)

    def page(request):
        skip = int(request.url.params["$skip"])
        rows = range(skip + 1, min(skip + 121, 300))
        items = [listed(n, 1) | {"LastModified": (start + timedelta(minutes=n)).isoformat()} for n in rows]
        return 200, {"Items": items, "NextPageLink": "x" if skip + 121 < 300 else None}

    adapter, far_end = make_billit({LIST: page})
    found = adapter.poll({})
    assert (len(found.bells), len({bell.provider_ref for bell in found.bells}), len(far_end.calls)) == (299, 299, 3)


def test_paging_that_is_not_understood_ends():
    items = [listed(number, 1) for number in range(1, 121)]
    adapter, far_end = make_billit({LIST: (200, {"Items": items, "NextPageLink": "again"})})
    assert (len(adapter.poll({}).bells), len(far_end.calls)) == (120, 2)


@pytest.mark.parametrize("answer", [(200, {}), (200, 7), (200, {"value": []})])
def test_answer_that_is_no_list(answer):
    with pytest.raises(PermanentError, match="no list of orders"):
        make_billit({LIST: answer})[0].poll({})


def test_one_company_that_fails_moves_no_cursor():
    account = make_account(make_line(), make_line(OTHER_LINE, OTHER_REGISTRATION))
    with pytest.raises(TemporaryError):
        make_billit({f"GET /v1/einvoices/registrations/{OTHER_REGISTRATION}/orders": (500, {})}, account)[0].poll({})


def test_wrong_time_zone_is_named():
    with pytest.raises(PermanentError, match=r"Mars/Olympus.*timezone"):
        make_billit(timezone="Mars/Olympus")[0].fetch_invoice(ISSUED)


# --- the check ---


def checked(routes=None, account=None, **settings):
    return {result.name: result for result in make_billit(routes, account, **settings)[0].check()}


def test_check_of_a_good_connection():
    results = checked()
    assert [result for result in results.values() if not result.ok] == []
    assert list(results) == ["environment", "login", LINE, f"{LINE} orders", "webhooks"]


def test_check_shows_the_integration_in_billits_words():
    row = {"Integration": "Peppol", "IntegrationStatus": "Pending", "IntegrationStatusDescription": "Identity check"}
    result = checked({f"GET {AP}": (200, {"Integrations": [row]})})[LINE]
    assert (result.ok, result.message) == (True, "The company is registered. Peppol Pending Identity check")


def test_check_changes_nothing():
    adapter, far_end = make_billit()
    list(adapter.check())
    assert {request.method for request in far_end.requests} == {"GET"}


def test_check_without_a_login_tries_nothing_else():
    assert list(checked({COMPANIES: (401, {})})) == ["environment", "login"]


@pytest.mark.parametrize("name", ["api_url", "portal_url"])
def test_check_of_mixed_environments(name):
    results = checked(**{name: "https://api.billit.be"})
    assert (results["environment"].ok, results["environment"].message) == (
        False,
        "api.billit.be is not of the environment of this connection.",
    )


def test_check_names_the_line_without_a_company():
    results = checked(account=make_account(make_line(), make_line(OTHER_LINE, "")))
    assert (results[OTHER_LINE].ok, "registration_id" in results[OTHER_LINE].message) == (False, True)


@pytest.mark.parametrize(
    ("routes", "failed"),
    [
        ({f"GET {AP}": (404, {})}, [LINE]),
        ({LIST: (403, {})}, [f"{LINE} orders"]),
        (NONE, ["webhooks"]),
        (
            {HOOKS: (200, [make_hook("message-i", 71), make_hook("message-u", 72), make_hook("order-i", 99)])},
            ["webhooks"],
        ),
    ],
    ids=["company", "orders", "no webhooks", "one replaced"],
)
def test_check_of_what_is_missing(routes, failed):
    assert [name for name, result in checked(routes).items() if not result.ok] == failed


def test_check_of_a_webhook_whose_secret_is_not_known():
    vault = make_vault()
    vault.change(vault_name(LINE, "order-i"), secret="")
    result = checked(account=make_account(vault=vault))["webhooks"]
    assert result.message == (f"Not registered, or not as they should be: {LINE} order-i. Register the webhooks again.")
    assert HOOK_SECRETS["message-i"] not in repr(result)
