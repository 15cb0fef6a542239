"""Logging in, headers, and errors in the words of the contract."""

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from providers.contract.base import PermanentError, TemporaryError, UncertainError

from .samples import FLOWS, RECEIVED, SEARCH, SECRETS, TOKEN_PATH, found, make_afnor, make_message

LOGIN = f"POST {TOKEN_PATH}"
FLOW = f"GET {FLOWS}/{RECEIVED}"


def form_of(request):
    return dict(pair.split("=") for pair in request.content.decode().split("&"))


def test_credentials_go_in_the_form():
    afnor, far_end = make_afnor(scope="flows")
    afnor.log_in()

    (request,) = far_end.asked(LOGIN)
    assert form_of(request) == {"grant_type": "client_credentials", "scope": "flows", **SECRETS}
    assert "authorization" not in request.headers


def test_credentials_go_as_basic_authorization_encoded_as_oauth_wants():
    afnor, far_end = make_afnor(token_auth_style="basic", secrets={"client_id": "a:b", "client_secret": "p%q"})
    afnor.log_in()

    (request,) = far_end.asked(LOGIN)
    kind, shown = request.headers["authorization"].split()
    assert (kind, base64.b64decode(shown)) == ("Basic", b"a%3Ab:p%25q")
    assert form_of(request) == {"grant_type": "client_credentials"}


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [({"expires_in": 3600}, 3540), ({"expires_in": "1800"}, 1740), ({}, 240), ({"expires_in": "soon"}, 240),
     ({"expires_in": 5}, 1), ({"expires_in": 10**12}, 86340)],
)  # fmt: skip
def test_token_is_renewed_a_minute_early(answer, seconds):
    afnor, _far_end = make_afnor({LOGIN: (200, {"access_token": "t", **answer})})
    _token, until = afnor.log_in()

    assert abs(until - datetime.now(UTC) - timedelta(seconds=seconds)) < timedelta(seconds=5)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_refused_credentials_are_for_a_person(status):
    refusal = {"error": "invalid_client", "error_description": "unknown client"}
    afnor, _far_end = make_afnor({LOGIN: (status, refusal)})
    with pytest.raises(PermanentError) as caught:
        afnor.poll({})

    assert caught.value.message == (
        "pa-main refuses the login: check client id, client secret, scope and token address. unknown client"
    )


@pytest.mark.parametrize("document", [{}, [], {"access_token": ""}, {"access_token": "a\nb"}, {"access_token": 7}])
def test_login_without_a_usable_token_is_tried_later(document):
    afnor, _far_end = make_afnor({LOGIN: (200, document)})
    with pytest.raises(TemporaryError):
        afnor.poll({})


@pytest.mark.parametrize("name", ["client_id", "client_secret"])
def test_missing_credentials_are_told_before_any_call(name):
    afnor, far_end = make_afnor(secrets={name: ""})
    with pytest.raises(PermanentError):
        afnor.poll({})
    assert far_end.requests == []


def test_refused_token_is_replaced_once_and_the_call_made_again():
    afnor, far_end = make_afnor({f"POST {SEARCH}": [(401, {"errorCode": "INVALID_TOKEN"}), found()]})
    afnor.poll({})

    assert far_end.calls == [LOGIN, f"POST {SEARCH}", LOGIN, f"POST {SEARCH}"]


def test_every_call_has_a_request_id_of_its_own_and_the_organization():
    afnor, far_end = make_afnor(organization_id="999000011")
    afnor.poll({})
    afnor.poll({})

    calls = far_end.asked(f"POST {SEARCH}")
    assert len({UUID(request.headers["request-id"]) for request in calls}) == 2
    assert [request.headers["organization-id"] for request in calls] == ["999000011"] * 2


def test_organization_is_not_named_unless_it_is_set():
    afnor, far_end = make_afnor()
    afnor.poll({})
    assert "organization-id" not in far_end.asked(f"POST {SEARCH}")[0].headers


def test_request_id_stands_with_an_error_and_in_the_log(caplog):
    caplog.set_level("DEBUG")
    afnor, far_end = make_afnor({f"POST {SEARCH}": (500, {"errorCode": "INTERNAL_ERROR"})})
    with pytest.raises(TemporaryError) as caught:
        afnor.poll({})

    request_id = far_end.asked(f"POST {SEARCH}")[0].headers["request-id"]
    assert caught.value.answer == f'Request-Id: {request_id}\n{{"errorCode":"INTERNAL_ERROR"}}'
    assert f"POST {SEARCH}: 500, Request-Id {request_id}" in caplog.messages


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"errorCode": "E1", "errorMessage": "sha256 does not match", "type": "about:blank"}, "sha256 does not match"),
        ({"errorCode": "E1", "errorMessage": None}, "E1"),
        ({"type": "x", "message": "as in 1.1", "status": 422, "details": "more"}, "as in 1.1"),
        ({"errorCode": "E1", "details": "only details"}, "only details"),
        (b"", ""),
        (b"<html>", ""),
    ],
    ids=str,
)
def test_error_bodies_of_every_version_are_read(body, told):
    afnor, _far_end = make_afnor({f"POST {FLOWS}": (422, body)})
    with pytest.raises(PermanentError) as caught:
        afnor.send_status(make_message())

    assert caught.value.message == f"pa-main refuses (422). {told}".strip()


def test_denied_access_says_what_to_check():
    afnor, far_end = make_afnor({f"POST {SEARCH}": (403, {"errorCode": "FORBIDDEN_ACCESS"})})
    with pytest.raises(PermanentError) as caught:
        afnor.poll({})

    words = "pa-main denies access (403): check organization_id and the account's rights. FORBIDDEN_ACCESS"
    assert (caught.value.message, len(far_end.asked(f"POST {SEARCH}"))) == (words, 1)


@pytest.mark.parametrize(
    "base", ["https://pa.example.test/flow-service", "https://pa.example.test/flow-service/v1/", "https://pa.example.test/flow-service/"]
)  # fmt: skip
def test_address_may_end_with_the_version(base):
    afnor, far_end = make_afnor(flow_base_url=base)
    afnor.poll({})
    assert far_end.asked(f"POST {SEARCH}") != []


@pytest.mark.parametrize("reference", ["", ".", "..", "../webhooks", "a/b", "a?b", "a b", "a%2f", "a\nb", "x" * 129])
def test_identifier_cannot_leave_its_place_in_the_path(reference):
    afnor, far_end = make_afnor()
    with pytest.raises(PermanentError):
        afnor.fetch_flow(reference)
    assert far_end.requests == []


def test_lost_answer_to_a_submission_is_uncertain_and_to_a_search_is_not():
    afnor, _far_end = make_afnor({f"POST {FLOWS}": (503, {}), f"POST {SEARCH}": (503, {})})
    with pytest.raises(UncertainError):
        afnor.send_status(make_message())
    with pytest.raises(TemporaryError):
        afnor.poll({})
