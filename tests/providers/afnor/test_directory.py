"""Who can be reached where."""

import pytest

from providers.contract.base import DirectoryEntry, TemporaryError, Unsupported

from .samples import DIRECTORY, asked, make_afnor

SIREN, SIRET = "905334413", "90533441300017"
LINES = f"POST {DIRECTORY}/directory-line/search"
UNIT = f"GET {DIRECTORY}/siren/code-insee:{SIREN}"
PLACE = f"GET {DIRECTORY}/siret/code-insee:{SIRET}"
CODE = f"GET {DIRECTORY}/routing-code/siret:{SIRET}/code:COMPTA"
LINE = f"GET {DIRECTORY}/directory-line/code:{SIREN}_{SIRET}"


def line(identifier=SIREN, **changes):
    row = {"addressingIdentifier": identifier, "siren": SIREN, "platformType": "WK", "directoryLineStatus": "Enabled"}
    return row | changes


def found(*rows, total=None):
    return 200, {"totalNumberOfResults": len(rows) if total is None else total, "results": list(rows)}


def look(identifier, routes, **settings):
    afnor, far_end = make_afnor(routes, **settings)
    return afnor.search_directory(identifier), far_end


def test_company_is_found_with_all_its_lines():
    at_place = line(
        f"{SIREN}_{SIRET}_COMPTA",
        siret=SIRET,
        routingIdentifier="COMPTA",
        legalUnit={"siren": SIREN, "businessName": "Papeterie du Pont"},
        facility={"siret": SIRET, "name": "Siège"},
        routingCode={"routingIdentifier": "COMPTA", "routingCodeName": "Service comptable"},
    )
    soon = line(f"{SIREN}_B", directoryLineStatus="Upcoming", legalUnit={"businessName": "Papeterie du Pont"})
    entries, far_end = look(SIREN, {LINES: found(at_place, soon)})

    assert entries == (
        DirectoryEntry(
            identifier=f"{SIREN}_{SIRET}_COMPTA",
            siren=SIREN,
            siret=SIRET,
            name="Papeterie du Pont – Siège",
            routing_name="Service comptable",
            platform="accredited platform",
        ),
        DirectoryEntry(
            identifier=f"{SIREN}_B", siren=SIREN, name="Papeterie du Pont", platform="accredited platform", active=False
        ),
    )
    assert [asked(request) for request in far_end.asked(LINES)] == [
        {
            "filters": {"siren": {"op": "strict", "value": SIREN}},
            "include": ["siren", "siret", "routingCode"],
            "sorting": [{"field": "addressingIdentifier", "order": "ascending"}],
            "limit": 100,
            "ignore": 0,
        }
    ]


def test_names_a_platform_does_not_include_are_asked_for_once():
    rows = [
        line(),
        line(f"{SIREN}_{SIRET}", siret=SIRET),
        line(f"{SIREN}_{SIRET}_COMPTA", siret=SIRET, routingIdentifier="COMPTA"),
    ]
    routes = {
        LINES: found(*rows),
        UNIT: (200, {"siren": SIREN, "businessName": "Papeterie du Pont"}),
        PLACE: (200, {"siret": SIRET, "name": "Siège"}),
        CODE: (200, {"routingIdentifier": "COMPTA", "routingCodeName": "Service comptable"}),
    }
    entries, far_end = look(SIREN, routes)

    names = [(entry.name, entry.routing_name) for entry in entries]
    company = "Papeterie du Pont"
    assert names == [(company, ""), (f"{company} – Siège", ""), (f"{company} – Siège", "Service comptable")]
    assert [len(far_end.asked(name)) for name in (UNIT, PLACE, CODE)] == [1, 1, 1]


def test_names_nobody_knows_are_left_out():
    entries, _far_end = look(SIREN, {LINES: found(line(routingIdentifier="COMPTA", siret=SIRET))})
    assert (entries[0].name, entries[0].routing_name) == ("", "COMPTA")


@pytest.mark.parametrize(
    ("identifier", "filters"),
    [(SIREN, "siren"), (f"{SIREN[:3]} {SIREN[3:6]} {SIREN[6:]}", "siren"), (SIRET, "siret")],
)
def test_siren_and_siret_are_searched_for(identifier, filters):
    _entries, far_end = look(identifier, {LINES: found()})
    assert list(asked(far_end.asked(LINES)[0])["filters"]) == [filters]


def test_addressing_line_is_looked_up_by_itself_and_its_colon_stays():
    entries, far_end = look(f"{SIREN}_{SIRET}", {LINE: (200, {"addressingIdentifier": f"{SIREN}_{SIRET}"})})

    assert [(entry.identifier, entry.siren, entry.active) for entry in entries] == [(f"{SIREN}_{SIRET}", SIREN, True)]
    assert far_end.asked(LINE)[0].url.raw_path.endswith(b"/directory-line/code:905334413_90533441300017")


@pytest.mark.parametrize("identifier", [f"{SIREN}_A/../B", f"{SIREN}_é", f"{SIREN}_a?b"])
def test_odd_identifier_stays_in_its_place(identifier):
    _entries, far_end = look(identifier, {})
    path = far_end.requests[-1].url.raw_path.decode()
    assert (path.count("/"), path.count("?")) == (4, 0)


@pytest.mark.parametrize(
    ("status", "answer"), [(204, b""), (404, {"errorCode": "X"}), (200, {"results": []}), (200, {})]
)
def test_nobody_is_found(status, answer):
    assert look(SIREN, {LINES: (status, answer)})[0] == ()
    assert look(f"{SIREN}_{SIRET}", {LINE: (404, {})})[0] == ()


def test_long_list_is_paged_even_if_nobody_counts():
    pages = [found(*(line(f"{SIREN}_{page}_{place}") for place in range(100)), total=-1) for page in range(2)]
    entries, far_end = look(SIREN, {LINES: [*pages, found(line())], UNIT: (404, {})})

    assert len(entries) == 201
    assert [asked(request)["ignore"] for request in far_end.asked(LINES)] == [0, 100, 200]


def test_partial_answer_of_1_1_is_an_answer():
    entries, _far_end = look(
        SIREN, {LINES: (206, {"results": [line(platformStatus="Disabled", directoryLineStatus=None)]})}, contract="1.1"
    )
    assert [entry.active for entry in entries] == [False]


@pytest.mark.parametrize(("contract", "name"), [("1.2", "sortingOrder"), ("1.3", "order")])
def test_sorting_is_named_as_the_contract_names_it(contract, name):
    _entries, far_end = look(SIREN, {LINES: found()}, contract=contract)
    assert list(asked(far_end.asked(LINES)[0])["sorting"][0]) == ["field", name]


def test_routing_codes_of_an_establishment():
    name = f"POST {DIRECTORY}/routing-code/search"
    afnor, far_end = make_afnor({name: found({"routingIdentifier": "COMPTA"}, 7)})

    assert afnor.find_routing_codes(SIRET) == [{"routingIdentifier": "COMPTA"}]
    assert "sorting" not in asked(far_end.asked(name)[0])


def test_platform_without_a_directory_says_so():
    afnor, far_end = make_afnor(directory_base_url="")
    with pytest.raises(Unsupported):
        afnor.search_directory(SIREN)
    assert (afnor.capabilities.directory, far_end.requests) == (False, [])


def test_directory_in_trouble_is_not_taken_for_an_empty_one():
    with pytest.raises(TemporaryError):
        look(SIREN, {LINES: (503, {})})
