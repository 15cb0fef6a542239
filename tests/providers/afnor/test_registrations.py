"""Our webhooks at the platform, in both forms; doing it again changes nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from providers.contract.base import NotGenuine, NotYet, PermanentError, UncertainError, Unsupported
from tests.providers.fakes import Memory

from .samples import HOOK_URL, SIGNING_KEY, WEBHOOKS, KnownVault, asked, make_afnor, sign

FOLLOWED = ["CustomerInvoice", "SupplierInvoice", "CustomerInvoiceLC", "SupplierInvoiceLC"]
PAIRS = [(kind, way) for kind in FOLLOWED for way in ("In", "Out")]
LIST, ADD = f"GET {WEBHOOKS}", f"POST {WEBHOOKS}"


def flat(uid="w-1", **changes):
    return {"webhookId": uid, "callbackUrl": HOOK_URL, "flowTypes": FOLLOWED, **changes}


def nested(uid, kind, way, url=HOOK_URL):
    return {"webhookId": uid, "callback": {"url": url}, "metadata": {"flowType": kind, "flowDirection": way}}


def listed(*rows):
    return 200, {"count": len(rows), "webhookIds": [], "webhooks": list(rows)}


def drop(uid):
    return f"DELETE {WEBHOOKS}/{uid}"


# --- contract 1.3 ---


def test_one_webhook_for_all_flows_is_registered_and_its_key_kept():
    vault = KnownVault()
    afnor, far_end = make_afnor(vault=vault)

    assert afnor.register_webhooks() == ("A webhook for all flows was registered.",)
    assert asked(far_end.asked(ADD)[0]) == {"callbackUrl": HOOK_URL, "flowTypes": FOLLOWED}
    assert (afnor.signing_keys(), SIGNING_KEY in repr(afnor.account)) == ([SIGNING_KEY], False)


def test_webhook_that_is_there_stays():
    afnor, far_end = make_afnor({LIST: listed(flat(), flat("w-9", callbackUrl="https://erp.example.test/"))})
    assert (afnor.register_webhooks(), afnor.missing_webhooks()) == ((), [])
    assert far_end.asked(ADD) == []


def test_key_that_the_list_shows_is_adopted():
    afnor, far_end = make_afnor({LIST: listed(flat("w-5", signingKey=SIGNING_KEY))}, vault=KnownVault())
    assert afnor.register_webhooks() == ()
    assert (afnor.signing_keys(), far_end.asked(ADD)) == ([SIGNING_KEY], [])


@pytest.mark.parametrize(
    "row",
    [
        flat("w-lost"),  # made by an earlier installation, its key is not known
        flat(flowTypes=["SupplierInvoice"]),
        flat(flowDirection="In"),
        flat(ackStatus="Ok"),
    ],
    ids=["no key", "types", "direction", "ack"],
)
def test_webhook_that_is_of_no_use_is_made_anew(row):
    uid = row["webhookId"]
    vault = KnownVault(webhooks={"w-1": "b2xk"})
    afnor, far_end = make_afnor({LIST: listed(row), drop(uid): (204, b"")}, vault=vault)

    assert afnor.missing_webhooks() == ["all flows"]
    assert afnor.register_webhooks() == (
        "A webhook that could not be used was removed.",
        "A webhook for all flows was registered.",
    )
    assert (len(far_end.asked(drop(uid))), afnor.signing_keys()[-1]) == (1, SIGNING_KEY)


def test_second_webhook_of_ours_is_removed():
    afnor, far_end = make_afnor({LIST: listed(flat(), flat("w-2")), drop("w-2"): (404, {})})
    afnor.register_webhooks()
    assert far_end.asked(drop("w-2")) != []


def test_webhook_without_a_key_is_for_a_person():
    afnor, _far_end = make_afnor({ADD: (201, {"webhookId": "w-1"})}, vault=KnownVault())
    with pytest.raises(PermanentError):
        afnor.register_webhooks()


OLD_KEY = "b2xk"


def renewed(**settings):
    """A webhook that is gone at the platform, replaced by a new one with a key of its own."""
    vault = KnownVault(webhooks={"w-old": OLD_KEY})
    afnor, _far_end = make_afnor({LIST: listed()}, vault=vault, **settings)
    afnor.register_webhooks()
    assert afnor.signing_keys() == [SIGNING_KEY]
    afnor.verify_webhook(sign(b"{}"))
    return afnor, vault


def test_key_of_a_replaced_webhook_is_accepted_for_a_stated_time_only():
    afnor, vault = renewed()
    afnor.verify_webhook(sign(b"{}", key=OLD_KEY))

    over = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    ((name, row),) = ((name, row) for name, row in vault.get("webhooks former").items() if OLD_KEY in row)
    assert 23.9 < (datetime.fromisoformat(row.split()[0]) - datetime.now(UTC)) / timedelta(hours=1) <= 24
    vault.change("webhooks former", **{name: f"{over} {OLD_KEY}"})
    with pytest.raises(NotGenuine) as caught:
        afnor.verify_webhook(sign(b"{}", key=OLD_KEY))
    assert caught.value.status_code == 401


def test_key_of_a_replaced_webhook_is_refused_at_once_where_no_time_is_stated():
    afnor, _vault = renewed(former_secret_hours=0)
    with pytest.raises(NotGenuine):
        afnor.verify_webhook(sign(b"{}", key=OLD_KEY))


def test_key_that_the_platform_renewed_is_followed():
    rows = listed(flat("w-1", signingKey=SIGNING_KEY))
    afnor, far_end = make_afnor({LIST: rows}, vault=KnownVault(webhooks={"w-1": OLD_KEY}))
    assert (afnor.register_webhooks(), far_end.asked(ADD), afnor.signing_keys()) == ((), [], [SIGNING_KEY])
    afnor.verify_webhook(sign(b"{}", key=OLD_KEY))


def test_push_before_the_key_of_a_new_webhook_is_kept_comes_again():
    met = []

    def make(request):
        with pytest.raises(NotYet) as caught:
            afnor.verify_webhook(sign(b"{}"))
        met.append(caught.value.status_code)
        return 201, flat("w-2", signingKey=SIGNING_KEY)

    afnor, _far_end = make_afnor({LIST: listed(), ADD: make}, vault=KnownVault())
    afnor.register_webhooks()
    afnor.verify_webhook(sign(b"{}"))
    assert met == [503]


# --- contract 1.2 ---


def test_one_webhook_for_each_type_and_direction_shows_our_secret():
    vault = KnownVault()
    afnor, far_end = make_afnor({ADD: (201, {"webhookId": "w"})}, vault=vault, contract="1.2")
    changes = afnor.register_webhooks()

    wishes = [asked(request) for request in far_end.asked(ADD)]
    token = vault.get("webhooks")["token"]
    assert (len(changes), len(token) >= 43) == (8, True)
    assert [(wish["metadata"]["flowType"], wish["metadata"]["flowDirection"]) for wish in wishes] == PAIRS
    shown = {"url": HOOK_URL, "headers": [{"headerName": "X-Webhook-Token", "headerValue": token}]}
    assert all(wish["callback"] == shown for wish in wishes)


@pytest.fixture
def registered():
    """An adapter that has registered its secret, and where it can look."""

    def registered(rows, **account):
        vault, memory = KnownVault(), Memory()
        afnor, _far_end = make_afnor({ADD: (201, {"webhookId": "w"})}, memory, vault=vault, contract="1.2")
        afnor.register_webhooks()
        return make_afnor({LIST: rows, ADD: (201, {"webhookId": "w"})}, memory, vault=vault, contract="1.2", **account)

    return registered


ROWS = [nested(f"w-{place}", *pair) for place, pair in enumerate(PAIRS)]


@pytest.mark.parametrize("rows", [(200, ROWS), listed(*ROWS)], ids=["bare list", "envelope"])
def test_webhooks_that_are_there_stay(registered, rows):
    afnor, far_end = registered(rows)
    assert (afnor.register_webhooks(), afnor.missing_webhooks(), far_end.asked(ADD)) == ((), [], [])


def test_list_of_identifiers_is_looked_up(registered):
    afnor, far_end = registered((200, [row["webhookId"] for row in ROWS]))
    far_end.routes |= {f"GET {WEBHOOKS}/{row['webhookId']}": (200, row) for row in ROWS}
    assert afnor.register_webhooks() == ()


def test_missing_webhook_is_added(registered):
    afnor, far_end = registered((200, ROWS[1:]))
    assert afnor.missing_webhooks() == ["CustomerInvoice (In)"]
    assert afnor.register_webhooks() == ("CustomerInvoice (In): registered.",)
    assert len(far_end.asked(ADD)) == 1


def test_changed_secret_or_header_makes_all_anew(registered):
    afnor, far_end = registered((200, ROWS), secrets={"webhook_token": "by-hand"})
    far_end.routes |= {drop(row["webhookId"]): (204, b"") for row in ROWS}
    assert len(afnor.missing_webhooks()) == 8
    afnor.register_webhooks()

    assert len([call for call in far_end.calls if call.startswith("DELETE")]) == 8
    values = {asked(request)["callback"]["headers"][0]["headerValue"] for request in far_end.asked(ADD)}
    assert values == {"by-hand"}


def test_webhooks_of_others_are_left_alone(registered):
    others = [nested(f"w-{place}", *pair, url="https://erp.example.test/") for place, pair in enumerate(PAIRS)]
    afnor, far_end = registered((200, others))
    afnor.register_webhooks()
    assert [call for call in far_end.calls if call.startswith("DELETE")] == []


# --- either ---


def test_contract_1_1_has_no_webhooks_to_register():
    afnor, far_end = make_afnor(contract="1.1")
    with pytest.raises(Unsupported):
        afnor.register_webhooks()
    assert far_end.requests == []


def test_lost_answer_is_not_registered_twice_on_a_guess():
    afnor, _far_end = make_afnor({ADD: (500, {})}, vault=KnownVault())
    with pytest.raises(UncertainError):
        afnor.register_webhooks()
