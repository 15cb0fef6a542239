"""Clients, mandates and directory entries: looked for before they are made."""

import json
from dataclasses import replace

import httpx
import pytest

from providers.contract.base import (
    Line,
    Party,
    PermanentError,
    Subscription,
    TemporaryError,
    UncertainError,
    Unsupported,
)

from .samples import (
    CLIENT,
    CLIENTS,
    LINE,
    MANDATE,
    MANDATES,
    NOT_FOUND,
    OURS,
    Lines,
    make_client,
    make_mandate,
    make_seqino,
)

OWNER = Party(name="Atelier Dupont", siren=OURS)
BARE = Line(identifier=LINE.identifier, settings={"contact_email": "compta@example.test"})
LIST_CLIENTS, MAKE_CLIENT = f"GET {CLIENTS}", f"POST {CLIENTS}"
LIST_MANDATES, MAKE_MANDATE = f"GET {MANDATES}", f"POST {MANDATES}"


def set_up(routes=None, line=BARE, **settings):
    seqino, far_end = make_seqino(routes, lines=Lines([line]), **settings)
    return seqino, far_end, seqino.set_up_line(line, OWNER)


def body(far_end, name):
    return json.loads(far_end.asked(name)[0].content)


# --- clients ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [make_client(), [make_client()], [make_client(external_ref="other"), make_client()], {"clients": [make_client()]}],
)
def test_client_is_found_whatever_the_shape_of_the_list(answer):
    _seqino, far_end, kept = set_up({LIST_CLIENTS: (200, answer)})
    assert (kept["client_id"], far_end.asked(MAKE_CLIENT)) == (CLIENT, [])
    assert dict(far_end.asked(LIST_CLIENTS)[0].url.params) == {"external_ref": OURS}
    assert "x-pdp-client-id" not in far_end.asked(LIST_CLIENTS)[0].headers


def test_client_of_another_reference_is_not_ours():
    others = [make_client(external_ref=None), make_client(external_ref="800"), make_client(client_id="")]
    _seqino, far_end, _kept = set_up({LIST_CLIENTS: (200, others), MAKE_CLIENT: (201, make_client(client_id="new"))})
    assert body(far_end, MAKE_CLIENT) == {
        "organization_name": "Atelier Dupont", "contact_email": "compta@example.test", "external_ref": OURS,
    }  # fmt: skip


@pytest.mark.parametrize(
    "answer", [make_client(), {"client": make_client(), "message": "made"}, {"id": CLIENT, "organization_name": "x"}]
)
def test_made_client_is_understood_in_its_three_shapes(answer):
    assert set_up({LIST_CLIENTS: (200, []), MAKE_CLIENT: (201, answer)})[2]["client_id"] == CLIENT


def test_made_client_without_an_id_fails_loudly():
    with pytest.raises(PermanentError, match="did not say under which id"):
        set_up({LIST_CLIENTS: (200, []), MAKE_CLIENT: (201, {"message": "made"})})


def test_client_needs_a_contact():
    with pytest.raises(PermanentError, match="contact_email"):
        set_up({LIST_CLIENTS: (200, [])}, line=Line(identifier=LINE.identifier))
    _seqino, far_end, _kept = set_up(
        {LIST_CLIENTS: (200, [])}, line=Line(identifier=LINE.identifier), contact_email="all@example.test"
    )
    assert body(far_end, MAKE_CLIENT)["contact_email"] == "all@example.test"


def test_reference_of_the_client_has_our_prefix():
    _seqino, far_end, _kept = set_up({LIST_CLIENTS: (200, [])}, external_ref_prefix="nav-")
    assert body(far_end, MAKE_CLIENT)["external_ref"] == f"nav-{OURS}"


def test_lost_answer_makes_no_second_client():
    routes = {LIST_CLIENTS: [(200, []), (200, [make_client()])], MAKE_CLIENT: httpx.ReadTimeout("x")}
    seqino, far_end = make_seqino(routes, lines=Lines([BARE]))
    with pytest.raises(UncertainError):
        seqino.set_up_line(BARE, OWNER)
    assert seqino.set_up_line(BARE, OWNER)["client_id"] == CLIENT
    assert len(far_end.asked(MAKE_CLIENT)) == 1


def test_known_client_is_not_looked_for():
    _seqino, far_end, _kept = set_up(line=LINE)
    assert far_end.asked(LIST_CLIENTS) == []


# --- mandates ---------------------------------------------------------------------------------------------------------


def test_mandate_with_our_entry_is_taken_up():
    seqino, far_end, kept = set_up()
    assert (kept["mandate_id"], far_end.asked(MAKE_MANDATE)) == (MANDATE, [])
    assert kept["contact_email"] == "compta@example.test"
    assert far_end.asked(LIST_MANDATES)[0].headers["x-pdp-client-id"] == CLIENT
    assert seqino.account.subscriptions.find(LINE.identifier) == Subscription(
        line_identifier=LINE.identifier, state="active", reference=MANDATE
    )


@pytest.mark.parametrize(
    "other",
    [
        make_mandate(directory_entry={"siren": OURS}),
        make_mandate(directory_entry={"siren": OURS, "siret": "80011223700014", "routing_identifier": "A"}),
        make_mandate("expired"),
        make_mandate("error"),
        make_mandate(id=None),
        make_mandate(directory_entry=None),
    ],
)
def test_other_mandates_are_not_ours(other):
    _seqino, far_end, _kept = set_up({LIST_MANDATES: (200, [other])})
    wanted = body(far_end, MAKE_MANDATE)
    assert wanted["directory_entry"] == {
        "siren": OURS, "name": "Atelier Dupont", "siret": "80011223700014", "establishment_nature": "Private",
    }  # fmt: skip
    assert len(wanted["start_date"]) == len("2026-09-01T00:00:00Z")


@pytest.mark.parametrize(
    ("identifier", "fields"),
    [
        (OURS, {}),
        (f"{OURS}_DEPOT", {"suffix": "DEPOT"}),
        (f"{OURS}_DEPOT_2", {"suffix": "DEPOT_2"}),
        (f"{OURS}_80011223700014", {"siret": "80011223700014"}),
        (
            f"{OURS}_80011223700014_ACHATS_LYON",
            {"siret": "80011223700014", "routing_identifier": "ACHATS_LYON", "routing_identifier_type": "0224"},
        ),
    ],
)
def test_entry_follows_from_the_line(identifier, fields):
    line = replace(BARE, identifier=identifier)
    _seqino, far_end, _kept = set_up({LIST_MANDATES: (200, [])}, line=line)
    assert body(far_end, MAKE_MANDATE)["directory_entry"] == {
        "siren": OURS, "name": "Atelier Dupont", "establishment_nature": "Private", **fields,
    }  # fmt: skip


def test_wishes_of_the_line():
    wishes = {"mandate_start": "2026-09-01", "routing_identifier_type": "0088", "routing_code_label": "Achats",
              "establishment_nature": "Public"}  # fmt: skip
    line = Line(identifier=f"{OURS}_80011223700014_ACHATS", settings={"client_id": CLIENT} | wishes)
    _seqino, far_end, kept = set_up({LIST_MANDATES: (200, [])}, line=line)
    wanted = body(far_end, MAKE_MANDATE)
    entry = wanted["directory_entry"]
    assert (wanted["start_date"], entry["routing_identifier_type"]) == ("2026-09-01T00:00:00Z", "0088")
    assert (entry["routing_code_label"], entry["establishment_nature"]) == ("Achats", "Public")
    assert {name: kept[name] for name in wishes} == wishes


def test_set_up_again_changes_nothing():
    seqino, far_end, kept = set_up(line=LINE)
    assert (kept, [call for call in far_end.calls if call.startswith("POST")]) == (dict(LINE.settings), [])
    saved = []
    seqino.account.subscriptions.save = saved.append
    seqino.set_up_line(LINE, OWNER)
    assert saved == []


def test_mandate_that_died_is_made_anew():
    routes = {
        f"GET {MANDATES}/{MANDATE}": (200, make_mandate("expired")),
        LIST_MANDATES: (200, [make_mandate("expired")]),
        MAKE_MANDATE: (201, make_mandate("created", id="mandate_new")),
    }
    assert set_up(routes, line=LINE)[2]["mandate_id"] == "mandate_new"


@pytest.mark.parametrize(
    ("mandate", "state", "words"),
    [
        (make_mandate("active"), "active", ""),
        (make_mandate("pending_kyc"), "subscribing", "KYC"),
        (make_mandate("processing"), "subscribing", "“processing”"),
        (make_mandate("error", error_message="SMP refused"), "failed", "SMP refused"),
        (make_mandate("expired"), "closed", "“expired”"),
        (make_mandate("NEW WORD"), "subscribing", "“new word”"),
        (make_mandate(None), "subscribing", "“?”"),
    ],
)
def test_state_of_the_mandate_is_shown_with_the_line(mandate, state, words):
    seqino, _far_end = make_seqino({f"GET {MANDATES}/{MANDATE}": (200, mandate)})
    seqino.refresh_lines()
    noted = seqino.account.subscriptions.find(LINE.identifier)
    assert (noted.state, noted.reference, words in noted.error, bool(noted.error)) == (
        state,
        MANDATE,
        True,
        bool(words),
    )


def test_refresh_leaves_lines_that_are_not_set_up_alone():
    seqino, far_end = make_seqino(lines=Lines([BARE, replace(LINE, settings={"client_id": CLIENT})]))
    seqino.refresh_lines()
    assert far_end.requests == []


def test_revoked_mandate():
    seqino, far_end = make_seqino({f"DELETE {MANDATES}/{MANDATE}": (204, b"")})
    assert MANDATE in seqino.unsubscribe(LINE)
    assert seqino.account.subscriptions.find(LINE.identifier).state == "closed"
    assert far_end.requests[0].headers["x-pdp-client-id"] == CLIENT
    with pytest.raises(Unsupported):
        seqino.unsubscribe(BARE)


def test_set_up_of_a_platform_that_is_down():
    with pytest.raises(TemporaryError):
        set_up({LIST_CLIENTS: (500, {})})
    with pytest.raises(PermanentError):
        set_up({f"GET {MANDATES}/{MANDATE}": NOT_FOUND}, line=LINE)
