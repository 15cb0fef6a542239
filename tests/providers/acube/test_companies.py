"""Companies at A-Cube: the directory, and enrolling our own."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from providers.acube.adapter import ACube
from providers.contract.base import (
    Delivery,
    DirectoryEntry,
    Line,
    NoLines,
    NoSubscriptions,
    Party,
    PermanentError,
    Subscription,
    TemporaryError,
    UncertainError,
)
from tests.providers.fakes import FarEnd, Memory, make_adapter

from .samples import healthy_routes, make_account, make_acube, make_event, page_of, sign

SIREN = "999000029"
ENTITY = "01990000-0000-7000-8000-00000000c001"
DIRECTORY, LIST, ADD = "GET /french-directory", "GET /legal-entities", "POST /legal-entities"
START = f"POST /legal-entities/{ENTITY}/onboarding"
PORTAL = "https://onboarding.example.test/sessions/7"
LINE, OWNER = Line(identifier=SIREN), Party(name="ATELIER DUPONT", siren=SIREN)
ENROLLED = Line(identifier=SIREN, settings={"legal_entity": ENTITY})
TODAY = datetime.now(UTC).date()


def company(*addresses, **changes):
    rows = [{"identifierScheme": "0225", "identifierValue": address} for address in addresses]
    return {
        "displayName": "ATELIER DUPONT SAS", "countryCode": "FR", "type": "LEGAL_UNIT", "siren": SIREN, "siret": None,
        "networkIdentifiers": rows,
    } | changes  # fmt: skip


def entity(status="TO_BE_ONBOARDED", **changes):
    return {
        "uuid": ENTITY,
        "parentLegalEntityUuid": None,
        "mailleType": "SIREN",
        "siren": SIREN,
        "status": status,
    } | changes


# --- the directory ---


def test_company_is_found_with_its_addresses():
    acube, far_end = make_acube({DIRECTORY: (200, [company(SIREN, f"{SIREN}_COMPTA")])})

    entry = DirectoryEntry(identifier=SIREN, siren=SIREN, name="ATELIER DUPONT SAS")
    assert acube.search_directory("999 000 029") == (entry, replace(entry, identifier=f"{SIREN}_COMPTA"))
    assert dict(far_end.asked(DIRECTORY)[0].url.params) == {"siren": SIREN, "page": "1", "itemsPerPage": "100"}
    assert acube.capabilities.directory is True


def test_addressing_line_is_looked_for_among_those_of_its_company():
    acube, _far_end = make_acube({DIRECTORY: (200, [company(SIREN, f"{SIREN}_COMPTA")])})
    assert [entry.identifier for entry in acube.search_directory(f"{SIREN}_COMPTA")] == [f"{SIREN}_COMPTA"]
    assert acube.search_directory(f"{SIREN}_OTHER") == ()


def test_siret_is_asked_for_as_such():
    acube, far_end = make_acube({DIRECTORY: (200, [])})
    assert acube.search_directory(f"{SIREN}00010") == ()
    assert far_end.asked(DIRECTORY)[0].url.params["siret"] == f"{SIREN}00010"


@pytest.mark.parametrize("identifier", ["", "Dupont", "12345", "²" * 9])
def test_look_up_without_a_number_of_a_company_is_refused(identifier):
    acube, far_end = make_acube()
    with pytest.raises(PermanentError):
        acube.search_directory(identifier)
    assert far_end.requests == []


def test_other_names_of_the_fields_are_read_and_other_networks_left_out():
    members = [{"scheme": "0225", "value": SIREN, "networkName": "PA Nord"}, {"scheme": "9957", "value": "FR"}, 7, {}]
    acube, _far_end = make_acube(
        {DIRECTORY: (200, [company(networkIdentifiers=members), company(networkIdentifiers=None)])}
    )
    assert [(entry.identifier, entry.platform) for entry in acube.search_directory(SIREN)] == [(SIREN, "PA Nord")]


@pytest.mark.parametrize(
    ("start", "end", "active"),
    [(None, None, True), (-1, 1, True), (0, 0, True), (1, None, False), (None, -1, False)],
)
def test_address_is_active_between_its_dates(start, end, active):
    days = {"validFrom": start, "validTo": end}
    dates = {name: str(TODAY + timedelta(days=day)) for name, day in days.items() if day is not None}
    row = company(networkIdentifiers=[{"identifierScheme": "0225", "identifierValue": SIREN, **dates}])
    acube, _far_end = make_acube({DIRECTORY: (200, [row])})
    assert [entry.active for entry in acube.search_directory(SIREN)] == [active]


def test_long_directory_is_read_to_its_end():
    pages = [page_of(company(f"{SIREN}_{n}"), more=n < 2, page=n + 1) for n in range(3)]
    acube, _far_end = make_acube({DIRECTORY: pages})
    assert len(acube.search_directory(SIREN)) == 3


# --- enrolling ---


class Lines(NoLines):
    def __init__(self, *lines):
        self.lines = lines

    def all(self):
        return self.lines


class Kept(NoSubscriptions):
    """Subscriptions in memory, and how often they were written."""

    def __init__(self):
        self.rows, self.writes = {}, 0

    def find(self, line_identifier):
        return self.rows.get(line_identifier)

    def save(self, subscription):
        self.rows[subscription.line_identifier] = subscription
        self.writes += 1


def make(routes, *lines):
    account = replace(make_account(), lines=Lines(*lines), subscriptions=Kept())
    far_end = FarEnd(healthy_routes() | {LIST: (200, [])} | routes)
    return make_adapter(ACube, account, far_end, Memory()), far_end


def state(acube):
    kept = acube.account.subscriptions.find(SIREN)
    return kept.state, kept.reference


def test_company_is_enrolled_and_its_identity_check_opened():
    acube, far_end = make({ADD: (201, entity()), START: (201, {"uuid": "s", "url": PORTAL})})

    assert acube.set_up_line(LINE, OWNER) == {"legal_entity": ENTITY, "onboarding_url": PORTAL}
    assert json.loads(far_end.asked(ADD)[0].content) == {"siren": SIREN}
    assert state(acube) == ("subscribing", ENTITY)


def test_company_that_is_there_is_not_made_again():
    others = entity("ONBOARDED", uuid="other", siren="999000011")
    acube, far_end = make({LIST: (200, [others, entity("ONBOARDING_IN_PROGRESS")])})

    assert acube.set_up_line(LINE, OWNER) == {"legal_entity": ENTITY}
    assert [call for call in far_end.calls if call.startswith("POST") and "login" not in call] == []


def test_company_whose_siren_a_cube_does_not_show_is_known_by_its_number():
    anonymous = entity("ONBOARDED")
    del anonymous["siren"]
    acube, far_end = make({LIST: (200, [anonymous])})

    assert acube.set_up_line(ENROLLED, OWNER) == {"legal_entity": ENTITY}
    assert far_end.asked(ADD) == []


@pytest.mark.parametrize("document", [{}, {"url": "http://plain.example.test"}, []])
def test_missing_portal_is_for_a_person(document):
    acube, _far_end = make({LIST: (200, [entity("TO_BE_SENT")]), START: (200, document)})
    with pytest.raises(PermanentError):
        acube.set_up_line(LINE, OWNER)


FAILURES = [((201, {}), TemporaryError), ((422, {"detail": "no"}), PermanentError), ((500, {}), UncertainError)]


@pytest.mark.parametrize(("answer", "error"), FAILURES)
def test_enrolment_fails_in_our_terms(answer, error):
    acube, _far_end = make({ADD: answer})
    with pytest.raises(error):
        acube.set_up_line(LINE, OWNER)


@pytest.mark.parametrize(
    ("status", "shown"),
    [("ONBOARDED", "active"), ("ONBOARDING_IN_PROGRESS", "subscribing"), ("ONBOARDING_ACTION_REQUIRED", "failed"),
     ("TO_BE_ONBOARDED", "subscribing"), ("MARINATING", "subscribing")],
)  # fmt: skip
def test_where_a_company_stands_is_noted_before_each_poll_and_only_when_it_changes(status, shown):
    acube, _far_end = make({LIST: (200, [entity(status)])}, ENROLLED)
    acube.refresh_lines()
    acube.refresh_lines()

    assert (state(acube), acube.account.subscriptions.writes) == ((shown, ENTITY), 1)
    has_words = status in ("ONBOARDING_ACTION_REQUIRED", "MARINATING")
    assert bool(acube.account.subscriptions.find(SIREN).error) == has_words


def test_nothing_is_asked_where_no_line_was_enrolled():
    acube, far_end = make({}, LINE)
    acube.refresh_lines()
    assert far_end.requests == []


def test_trouble_with_enrolments_keeps_no_poll_back():
    acube, _far_end = make({LIST: (500, {})}, ENROLLED)
    acube.refresh_lines()
    assert acube.account.subscriptions.rows == {}


def test_push_about_an_enrolment_asks_for_a_poll():
    acube, _far_end = make_acube()
    event = make_event(eventType="legal_entity.onboarding", status="ONBOARDED", legalEntityUuid=ENTITY)
    assert acube.parse_webhook(sign(json.dumps(event).encode())) == Delivery(
        key=event["eventId"], ignored="Onboarding of a legal entity: ONBOARDED.", poll_soon=True
    )


def test_subscription_keeps_what_a_person_needs():
    acube, _far_end = make({LIST: (200, [entity("ONBOARDING_ACTION_REQUIRED")])}, ENROLLED)
    acube.refresh_lines()
    assert acube.account.subscriptions.find(SIREN) == Subscription(
        line_identifier=SIREN,
        state="failed",
        reference=ENTITY,
        error="A-Cube could not end the enrolment of the company: ask its support.",
    )
