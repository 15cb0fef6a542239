import csv
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.translation import override

from providers.norm.codes import (
    CLOSED_LIST,
    FINAL_STATUSES,
    INVOICE_STATUSES,
    REASON_REQUIRED,
    REASONS,
    STATUSES,
    VAT_RATES,
    DataType,
    Reported,
    Role,
    Status,
    reason_label,
    reasons_for,
    status_label,
    status_tone,
)

NORM = Path(settings.BASE_DIR).parent / "shared" / "norm"
needs_norm = pytest.mark.skipif(not NORM.is_dir(), reason="the norm's own tables (../shared/norm) are not here")


def norm_table(name: str) -> list[dict[str, str]]:
    with (NORM / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def yes(cell: str) -> bool:
    return cell.startswith("yes")


def invoice_codes(cell: str) -> set[str]:
    return {word for word in cell.split() if word in STATUSES}


@needs_norm
def test_statuses_against_norm():
    ours = {
        code: (row.label_fr, row.label_en, row.phase.value, row.mdt77, row.mdt88, row.final)
        for code, row in STATUSES.items()
    }
    left_out = {"5 or absent": "5", "absent": ""}
    assert ours == {
        row["code"]: (
            row["label_fr"],
            row["label_en"],
            row["phase"],
            row["mdt77"],
            left_out.get(row["mdt88"], row["mdt88"]),
            yes(row["final"]),
        )
        for row in norm_table("lifecycle.csv")
    }


@needs_norm
def test_status_names_against_norm():
    named = {row["code"]: row["name_acube"] for row in norm_table("lifecycle.csv") if row["name_acube"]}
    assert {code: STATUSES[code].name for code in named} == named


@needs_norm
def test_objects_against_norm():
    table = norm_table("lifecycle.csv")
    assert [row["code"] for row in table if row["object"] == "invoice"] == list(INVOICE_STATUSES)
    first_words = {"flow / file": "file"}
    assert {row.code: row.object.value for row in STATUSES.values()} == {
        row["code"]: first_words.get(row["object"], row["object"].split(" (")[0].removesuffix(" transmission"))
        for row in table
    }


@needs_norm
def test_obligation_and_report_against_norm():
    def reported(cell: str) -> Reported:
        if cell == "yes if mandatory":
            return Reported.IF_VAT_ON_RECEIPT
        return Reported.YES if cell == "yes" else Reported.NO

    def obligation(cell: str) -> str:
        words = {"platform to platform": "between platforms"}
        if cell.startswith("mandatory if"):
            return "conditional"
        return words.get(cell, cell.split(" (")[0])

    assert {code: (row.obligation, row.reported_to_ppf) for code, row in STATUSES.items()} == {
        row["code"]: (obligation(row["obligation"]), reported(row["sent_to_ppf"]))
        for row in norm_table("lifecycle.csv")
    }


@needs_norm
def test_delays_against_norm():
    assert {code for code, row in STATUSES.items() if row.deadline_hours == 24} == {
        row["code"] for row in norm_table("lifecycle.csv") if row["deadline"].startswith("24 h")
    }


@needs_norm
def test_reason_rule_against_norm():
    table = norm_table("lifecycle.csv")
    assert {row["code"] for row in table if yes(row["reason_required"])} == REASON_REQUIRED
    taking = {row["code"] for row in table if row["allowed_reasons_rule"] != "none"}
    assert {code for code, row in STATUSES.items() if row.reason != "none"} == taking


@needs_norm
def test_statuses_that_need_a_text_against_norm():
    needed = {row["code"] for row in norm_table("lifecycle.csv") if row["comment_mdt126"] == "required (G7.25)"}
    assert {code for code, row in STATUSES.items() if row.comment == "required"} == needed


@needs_norm
def test_issuers_against_norm():
    # The parties named first; what other implementers add in brackets ("some say buyer too") is not ours to offer.
    party = {"buyer": Role.BUYER, "seller": Role.SELLER, "PA-E": Role.PLATFORM, "PA-R": Role.PLATFORM, "PPF": Role.PPF}
    table = {row["code"]: row["issuer"] for row in norm_table("lifecycle.csv")}
    first = {code: party.get(issuer.split()[0]) for code, issuer in table.items()}
    unnamed = {code for code, role in first.items() if role is None}
    assert unnamed == {"214", "500", "501"}
    assert [code for code, role in first.items() if role and role not in STATUSES[code].issuers] == []


@needs_norm
def test_payment_types_against_norm():
    for row in norm_table("lifecycle.csv"):
        words = re.findall(r"\w+", row["payment_data"])
        named = {kind for kind in DataType if kind.value in words}
        assert set(STATUSES[row["code"]].payment_types) == named, row["code"]


@needs_norm
def test_reasons_against_norm():
    table = [row for row in norm_table("reasons.csv") if row["code_mdt113"]]
    assert [row["code_mdt113"] for row in table] == list(REASONS)
    for row in table:
        ours = REASONS[row["code_mdt113"]]
        assert ours.label_fr == row["label_fr"], ours.code
        assert ours.label_en == (row["label_en"] or ours.label_en), ours.code
        assert ours.b2g_210 == (row["allowed_on_210_b2g"] in {"yes", "B2G only"}), ours.code
        assert ours.closed_list == row["list_status"].startswith("closed list"), ours.code
        # The answers of the administration are in lifecycle.csv instead.
        answers = set() if not ours.closed_list else {"251", "301", "401"}
        assert ours.statuses - answers == invoice_codes(row["statuses_allowed"]), ours.code


@needs_norm
def test_reasons_of_the_administration_against_norm():
    table = norm_table("lifecycle.csv")
    answers = {row["code"]: row["allowed_reasons_rule"] for row in table if row["allowed_reasons_rule"][:4] == "REJ_"}
    assert {code: set(reasons_for(code)) for code in answers} == {
        code: set(reasons.split()) for code, reasons in answers.items()
    }


def test_status_label_follows_the_language():
    with override("fr"):
        assert status_label("207") == "En litige"
    with override("en"):
        assert status_label("207") == "Disputed"
    with override("de"):
        assert status_label("207") == "Disputed"


def test_status_label_of_an_unknown_code():
    with override("en"):
        assert status_label("999") == "unknown (999)"
        assert status_label(None) == "unknown (?)"
    assert status_tone("999") == "neutral"


def test_reason_label_follows_the_language():
    with override("fr"):
        assert reason_label("TX_TVA_ERR") == "Taux de TVA erroné"
    with override("en"):
        assert reason_label("TX_TVA_ERR") == "VAT rate wrong"
    assert reason_label("NEVER_SEEN") == "NEVER_SEEN"
    with override("fr"):
        assert reason_label("IRR_UNCITE") == reason_label("IRR_UNICITE") == "Unicité du flux"


@needs_norm
def test_every_inadmissibility_of_the_administration_is_known():
    codes = [row["code_mdt113"] for row in norm_table("reasons.csv") if "G7.18" in row["evidence"]]
    assert len(codes) == 8
    assert len(reasons_for("501")) == 18
    assert set(codes) <= set(reasons_for("501"))


def test_status_member_carries_the_official_label():
    assert (Status.DISPUTED, Status.DISPUTED.label) == ("207", "En litige")
    assert set(Status.values) == set(STATUSES)


def test_final_statuses():
    assert sorted(FINAL_STATUSES) == ["210", "213", "220"]


def test_reasons_for_a_refusal_by_the_public_platform():
    added = set(reasons_for("210", b2g=True)) - set(reasons_for("210"))
    assert added == {
        "LIVR_INCOMP",
        "AUTRE",
        "COORD_BANC_ERR",
        "RETRAIT_MAN_SERV",
        "ST_CT_NON_DECLAR",
        "SUPPR_COMP_AVOIR",
        "TRANSF_PMNT_REGIE",
    }
    assert reasons_for("207", b2g=True) == reasons_for("207")


@pytest.mark.parametrize("code", INVOICE_STATUSES)
def test_reasons_for_an_invoice_stay_in_the_closed_list(code):
    assert set(reasons_for(code)) <= set(CLOSED_LIST)
    assert bool(reasons_for(code)) == (STATUSES[code].reason != "none")


def test_reason_of_a_receipt_is_any_of_the_list():
    assert reasons_for("212") == CLOSED_LIST


def test_every_reason_of_a_buyer_is_explained():
    offered = {code for status in ("206", "207", "208", "210") for code in reasons_for(status)}
    assert {code for code in offered if not str(REASONS[code].help)} == set()


def test_vat_rates_are_sorted_and_distinct():
    assert list(VAT_RATES) == sorted(set(VAT_RATES))
