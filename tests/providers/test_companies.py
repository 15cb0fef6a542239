"""One company, however its number is written; and no company where the number is another country's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.fr import siren as siren_check

from providers.contract.base import InvoiceKey, Party
from providers.norm.companies import Company, Misfit, clean_address, compact, identify, look_up_key, misfits, siren_in

SIREN, SIRET, VAT = "403112071", "40311207100010", "FR74403112071"
SPACES = " .-\u00a0\u202f\u200b\u2009\t"


def valid_siren(number: int) -> str:
    body = f"{number:08d}"
    return next(found for last in range(10) if siren_check.is_valid(found := f"{body}{last}"))


sirens = st.integers(1, 99_999_999).map(valid_siren).filter(lambda found: not found.startswith("000"))


@pytest.mark.parametrize(
    "numbers",
    [
        {"siren": "403 112 071"},
        {"siren": "403\u00a0112\u202f071\u200b"},
        {"siren": "403.112.071"},
        {"siren": SIRET},
        {"siret": "403 112 071 00010"},
        {"siret": SIREN},
        {"vat_number": "fr 74 403 112 071"},
        {"identifiers": [("0002", "403-112-071")]},
        {"identifiers": [("9957", VAT)]},
        {"identifiers": [("", "403 112 071")], "country": "RE"},
        {"identifiers": [("", SIRET)], "country": "FR"},
        {"scheme": "0225", "address": f"{SIREN}_{SIRET}_COMPTA"},
        {"scheme": "0225", "address": "403 112 071_factures"},
        {"scheme": "0009", "address": SIRET},
        {"scheme": "0002", "address": SIREN},
        {"identifiers": [("SIRET", SIRET)]},
        {"identifiers": [("fr:sirene", SIREN)]},
        {"identifiers": [("iso6523-actorid-upis", f"0009:{SIRET}")]},
        {"scheme": "FR:VAT", "address": VAT},
        {"scheme": "0225", "address": f"0225:{SIREN}_{SIRET}"},
        {"siren": "000000000", "vat_number": VAT},
        {"siren": "403112070", "vat_number": VAT},  # the one whose check digits are right
        {"siren": "40311207", "siret": SIRET},
        {"siren": SIREN, "vat_number": "FR02921550372"},  # of its VAT group
    ],
)
def test_company_however_it_is_written(numbers):
    assert identify(**numbers).siren == SIREN


@pytest.mark.parametrize(
    "numbers",
    [
        {},
        {"siren": "BE0403112071"},
        {"vat_number": "BE0403112071"},
        {"vat_number": "DE403112071"},
        {"vat_number": "FR15000054321"},  # Monaco
        {"vat_number": "FR58403112072"},  # no SIREN ends so
        {"identifiers": [("0208", "0403112071"), ("0204", SIREN), ("0088", SIRET)]},
        {"identifiers": [("", SIREN)]},
        {"identifiers": [("", SIREN)], "country": "LU"},
        {"identifiers": [("", "403112072")], "country": "FR"},
        {"scheme": "0088", "address": SIRET},
        {"scheme": "EM", "address": SIREN},
        {"siren": "000000000", "siret": "00000000000000"},
        {"identifiers": [("iso6523-actorid-upis", f"0208:{SIREN}")]},
    ],
)
def test_no_siren_is_invented(numbers):
    assert identify(**numbers).siren == ""


def test_what_is_kept_of_the_others():
    known = identify(siren=SIREN, siret="403 112 071 00010", vat_number="be 0403.170.701")
    assert known == Company(SIREN, SIRET, "BE0403170701")
    assert identify(vat_number="none (franchise)").vat_number == "none (franchise)"


def test_siren_with_a_wrong_check_digit_is_still_what_they_say():
    assert identify(siren="403112070").siren == "403112070"


@given(sirens, st.lists(st.sampled_from(SPACES), min_size=9, max_size=9))
def test_spaces_change_nothing(siren, between):
    written = "".join(space + digit for space, digit in zip(between, siren, strict=True))
    assert siren_in(written) == siren
    assert identify(siren=written) == identify(siren=siren)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_normalised_once_is_normalised(siren, siret, vat_number):
    once = identify(siren=siren, siret=siret, vat_number=vat_number)
    assert identify(siren=once.siren, siret=once.siret, vat_number=once.vat_number) == once
    assert once.siren == "" or (len(once.siren) == 9 and once.siren.isdigit())
    assert compact(compact(siren)) == compact(siren)
    assert clean_address(clean_address(siren)) == clean_address(siren)


foreign_schemes = st.text("0123456789", min_size=4, max_size=4).filter(
    lambda scheme: scheme not in ("0002", "0009", "0225", "0223", "9957")
)
foreign_countries = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=2).filter(lambda code: code != "FR")


@given(sirens, foreign_schemes, foreign_countries)
def test_foreign_number_is_never_a_siren(digits, scheme, country):
    assert identify(identifiers=[(scheme, digits)], scheme=scheme, address=digits, country="FR").siren == ""
    assert identify(vat_number=f"{country}{digits}").siren == ""
    assert identify(vat_number=f"{country}00{digits}").siren == ""


@pytest.mark.parametrize(
    ("scheme", "value", "kind"),
    [
        ("0002", SIRET, "siret_as_siren"),
        ("0009", SIREN, "siren_as_siret"),
        ("0002", "403112070", "siren"),
        ("0002", "BE0403112071", "siren"),
        ("0009", "40311207100011", "siret"),
        ("0009", "35600000000048", ""),  # La Poste's head office
        ("0009", "35600000049837", ""),  # of La Poste: sum divisible by 5
        ("0009", "35600000049838", "siret"),
        ("VA", "FR00403112071", "vat"),
        ("VA", "fr 74 403 112 071", ""),
        ("VA", "FR15000054321", ""),
        ("VA", "DE1", ""),
        ("0208", "1", ""),
        ("0002", "000000000", "siren"),
        ("0009", "00000000000000", "siret"),
        ("SIREN", SIRET, "siret_as_siren"),
    ],
)
def test_number_that_breaks_its_scheme_is_told(scheme, value, kind):
    assert list(misfits([(scheme, value), (scheme, value)])) == ([Misfit(kind, value)] if kind else [])


def test_what_a_directory_is_asked():
    assert look_up_key("403 112 071") == SIREN
    assert look_up_key("403 112 071 00010") == SIRET
    assert look_up_key(VAT) == SIREN
    assert look_up_key(f" {SIREN}_{SIRET}_Compta ") == f"{SIREN}_{SIRET}_Compta"
    assert look_up_key("") == ""


def test_reports_and_keys_hold_the_result():
    assert Party(vat_number="FR 74 403 112 071") == Party(siren=SIREN, vat_number=VAT)
    assert Party(scheme="0225", identifier=f"{SIREN}_X").siren == SIREN
    assert Party(scheme="0238", identifier="0043").siren == ""
    assert InvoiceKey(seller_siren=SIRET, number="F-1").seller_siren == SIREN
