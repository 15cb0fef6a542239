import csv
import json
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.management.commands.show_transitions import NEEDS
from providers.contract.base import Payment, Reason
from providers.norm.codes import FINAL_STATUSES, INVOICE_STATUSES, STATUSES, Role, Status
from providers.norm.transitions import (
    GUARDS,
    MATRIX,
    MINIMUM_ROLE,
    NOTE_MAX_LENGTH,
    REASON_TEXT_MAX_LENGTH,
    START,
    TABLE,
    Facts,
    Problem,
    Verdict,
    awaits_completion,
    check_wish,
    current_status,
    is_expected,
    is_factored,
    issuable,
    verdict,
)

NORM = Path(settings.BASE_DIR).parent / "shared" / "norm"
needs_norm = pytest.mark.skipif(not NORM.is_dir(), reason="the norm's own tables (../shared/norm) are not here")

BUYER_MAY = {"204", "205", "206", "207", "208", "210", "211"}
SELLER_MAY = {"209", "211", "212", "220", "224", "225", "226", "227", "228"}

histories = st.lists(st.sampled_from(INVOICE_STATUSES), max_size=12).map(tuple)
facts_of_any_kind = st.builds(
    Facts,
    history=histories,
    side=st.sampled_from(["buyer", "seller"]),
    is_corrected=st.booleans(),
    is_refund=st.booleans(),
)


@pytest.fixture(autouse=True)
def _english():
    with override("en"):
        yield


def norm_table(name: str) -> list[dict[str, str]]:
    with (NORM / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def path(words: str) -> tuple[str, ...]:
    return tuple(words.split())


def accepted(history: tuple[str, ...]) -> bool:
    return all(is_expected(history[:index], code) for index, code in enumerate(history))


def buyer(words: str, **rest) -> Facts:
    return Facts(path(words), "buyer", **rest)


def seller(words: str, **rest) -> Facts:
    return Facts(path(words), "seller", **rest)


def found(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(problem.field, problem.code) for problem in problems]


def received(amount: str, rate: str | None = "20", currency: str = "EUR") -> Payment:
    return Payment(amount=Decimal(amount), vat_rate=rate and Decimal(rate), currency=currency)


# The table


@needs_norm
def test_every_pair_against_norm():
    assert {pair: (cell.verdict.value, cell.offer) for pair, cell in TABLE.items()} == {
        (row["from"], row["to"]): (row["verdict"], row["offer_in_ui"]) for row in norm_table("transitions.csv")
    }


@needs_norm
def test_every_sequence_against_norm():
    table = norm_table("sequences.csv")
    assert {row["name"]: accepted(path(row["statuses_in_order"])) for row in table} == {
        row["name"]: row["expected"] == "accept" for row in table
    }


@needs_norm
def test_issuable_after_each_status_against_norm():
    # Of the facts the guards ask for, only the factoring can be the last status itself.
    factored = {("226", "228"), ("227", "228")}
    for row in norm_table("transitions.csv"):
        previous, new = row["from"], row["to"]
        if previous == START or new not in BUYER_MAY | SELLER_MAY:
            continue
        sides = [buyer(previous), seller(previous, is_refund=True)]
        offered = any(new in issuable(facts) for facts in sides)
        assert offered == (row["offer_in_ui"] == "yes" or (previous, new) in factored), (previous, new)


def test_table_has_every_ordered_pair():
    assert list(MATRIX) == [START, *INVOICE_STATUSES]
    assert len(TABLE) == 23 * 22


def test_guards_are_those_of_the_table():
    asked = {new for (_, new), cell in TABLE.items() if cell.offer == "guard" or cell.lifted_by_guard}
    assert asked == set(GUARDS) == set(NEEDS)


def test_minimum_role_covers_what_users_may_issue():
    assert set(MINIMUM_ROLE) == BUYER_MAY | SELLER_MAY
    assert {code for code, role in MINIMUM_ROLE.items() if role == "clerk"} == {"204", "207", "208", "209"}


@pytest.mark.parametrize(
    ("previous", "new", "expected"),
    [
        (None, "200", Verdict.EXPLICIT),
        (None, "203", Verdict.EXCLUDED),
        ("207", "205", Verdict.EXPLICIT),
        ("203", "206", Verdict.GENERIC),
        ("207", "207", Verdict.SILENT_YES),
        ("205", "205", Verdict.SILENT_NO),
    ],
)
def test_verdict(previous, new, expected):
    assert verdict(previous, new) == expected


# What platforms report


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("200 201 202 203 204 205 211 212 212", True),
        ("200 202 207 208 209 205", True),
        ("200 202 203 207 207 220", True),
        ("213", True),
        ("200 221 202 203", True),
        ("200 203", False),
        ("202 203", False),
        ("200 213 202", False),
        ("200 202 203 210 212", False),
        ("200 202 203 210 204", False),
        ("200 202 203 220 205", False),
        ("200 202 203 205 213", False),
        ("200 202 203 204 209", False),
        ("200 202 203 208 209 209", False),
    ],
)
def test_sequence(words, expected):
    assert accepted(path(words)) == expected


def test_completion_is_expected_though_money_came_in_between():
    assert accepted(path("200 202 203 208 212 209"))


def test_not_factored_is_expected_though_the_factoring_was_confidential():
    # The buyer's platform never sees a 226.
    assert is_expected(path("200 202 203"), "228")


@pytest.mark.parametrize("final", sorted(FINAL_STATUSES))
def test_final_status_stays(final):
    assert current_status([*path("200 202 203"), final, "208", "212"]) == final


def test_current_status_skips_what_is_no_status_of_an_invoice():
    assert current_status(["200", "250", "999"]) == "200"
    assert current_status([]) is None


def test_answer_about_a_flow_is_always_expected():
    assert is_expected(path("200 202 203 210"), "601")
    assert is_expected((), "501")


def test_unknown_code_is_unexpected():
    assert not is_expected(path("200"), "999")


@pytest.mark.parametrize(
    ("words", "expected"),
    [("", False), ("203", False), ("208", True), ("208 212", True), ("208 209", False), ("208 209 208", True)],
)
def test_awaits_completion(words, expected):
    assert awaits_completion(path(words)) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [("203", False), ("225 212", True), ("226", True), ("227", True), ("225 228", False), ("225 228 226", True)],
)
def test_is_factored(words, expected):
    assert is_factored(path(words)) == expected


# What our users may issue


def test_issuable_by_the_buyer_of_an_available_invoice():
    assert issuable(buyer("200 202 203")) == path("204 205 206 207 208 210 211")


def test_issuable_by_the_seller_of_an_available_invoice():
    assert issuable(seller("200 202 203")) == path("212 224 225 226 227")


def test_issuable_by_the_buyer_before_the_invoice_is_available():
    assert issuable(buyer("200 202")) == ()


def test_issuable_when_nothing_is_known():
    assert issuable(buyer("")) == ()
    assert issuable(seller("")) == ()


def test_issuable_when_the_first_known_status_is_late():
    assert issuable(buyer("203")) == issuable(buyer("200 202 203"))


@pytest.mark.parametrize(("side", "is_refund", "pays"), [(buyer, False, True), (buyer, True, False),
                                                         (seller, False, False), (seller, True, True)])  # fmt: skip
def test_payment_is_sent_by_who_pays(side, is_refund, pays):
    assert ("211" in issuable(side("200 202 203", is_refund=is_refund))) == pays
    assert "211" not in issuable(seller("200 202 203"))


def test_cancellation_of_a_corrected_invoice():
    assert "220" in issuable(seller("200 202 203", is_corrected=True))
    assert "220" not in issuable(seller("200 202 203"))
    assert "220" not in issuable(buyer("200 202 203", is_corrected=True))


def test_completion_of_a_suspended_invoice():
    assert "209" in issuable(seller("200 202 203 208"))
    assert "209" in issuable(seller("200 202 203 208 212"))
    assert "209" not in issuable(seller("200 202 203 208 209"))
    assert "209" not in issuable(buyer("200 202 203 208"))


def test_not_factored_of_a_factored_invoice():
    assert "228" in issuable(seller("200 202 203 225 212"))
    assert "228" not in issuable(seller("200 202 203 212"))


@given(facts=facts_of_any_kind)
def test_issuable_stays_on_its_side(facts):
    may = BUYER_MAY if facts.side == "buyer" else SELLER_MAY
    assert set(issuable(facts)) <= may


@given(facts=facts_of_any_kind)
def test_issuable_is_always_expected(facts):
    assert [code for code in issuable(facts) if not is_expected(facts.history, code)] == []


@given(facts=facts_of_any_kind, final=st.sampled_from(sorted(FINAL_STATUSES)), later=histories)
def test_nothing_is_issuable_once_final(facts, final, later):
    closed = Facts((*facts.history, final, *later), facts.side, facts.is_corrected, facts.is_refund)
    assert issuable(closed) == ()


@given(facts=facts_of_any_kind, status=st.sampled_from(INVOICE_STATUSES))
def test_wish_asks_the_same_question_as_the_buttons(facts, status):
    refused = ("status", "not_possible_now") in found(check_wish(facts, status))
    assert refused == (status not in issuable(facts))


# What a wish must carry


def test_wish_without_fault():
    assert check_wish(buyer("203"), "205") == []
    assert check_wish(buyer("203"), "207", reasons=[Reason(code="QTE_ERR", text="9 of 10 received")], note="See.") == []
    assert (
        check_wish(seller("203"), "212", payments=[received("120.00"), received("-3.5", "5.5")], note="Bounced") == []
    )
    assert check_wish(buyer("203"), "211", payments=[received("120", None)]) == []


def test_wish_not_possible_now_says_what_is():
    problems = check_wish(seller("200 202 203 208"), "205")
    message = (
        "“205 Approved” cannot be issued for this invoice now. Possible now: 209 Completed, 212 Payment received, "
        "224 Direct payment request, 225 Factored, 226 Factored, confidential, 227 Payment account change."
    )
    assert problems == [Problem("status", "not_possible_now", message)]


def test_wish_on_a_closed_invoice():
    message = "“205 Approved” cannot be issued: nothing can be issued for this invoice now."
    assert check_wish(buyer("200 202 203 210"), "205") == [Problem("status", "not_possible_now", message)]


@pytest.mark.parametrize("status", ["999", "", "250", "601"])
def test_wish_that_is_no_status_of_an_invoice(status):
    assert found(check_wish(buyer("203"), status)) == [("status", "unknown_status")]


@pytest.mark.parametrize("status", ["206", "207", "208", "210"])
def test_wish_without_its_reason(status):
    assert found(check_wish(buyer("203"), status)) == [("reasons", "required")]


@pytest.mark.parametrize(
    ("status", "reason", "problem"),
    [
        ("205", Reason(code="QTE_ERR"), ("reasons", "not_allowed")),
        ("208", Reason(code="QTE_ERR"), ("reasons[0].code", "not_for_status")),
        ("207", Reason(code="JUSTIF_ABS"), ("reasons[0].code", "not_for_status")),
        ("210", Reason(code="AUTRE", text="No."), ("reasons[0].code", "not_for_status")),
        ("207", Reason(code="QUANTITY"), ("reasons[0].code", "unknown_reason")),
        ("207", Reason(text="Not good"), ("reasons[0].code", "required")),
        ("207", Reason(code="AUTRE", text="  "), ("reasons[0].text", "required")),
        ("207", Reason(code="QTE_ERR", text="x" * (REASON_TEXT_MAX_LENGTH + 1)), ("reasons[0].text", "too_long")),
    ],
)
def test_wish_with_a_wrong_reason(status, reason, problem):
    assert found(check_wish(buyer("203"), status, reasons=[reason])) == [problem]


@pytest.mark.parametrize(
    ("payments", "problems"),
    [
        ([], [("payments", "required")]),
        ([received("0")], [("payments[0].amount", "zero")]),
        ([received("1.001")], [("payments[0].amount", "too_many_decimals")]),
        ([received("NaN")], [("payments[0].amount", "not_an_amount")]),
        ([received("1E+400")], [("payments[0].amount", "not_an_amount")]),
        ([received("1", "21")], [("payments[0].vat_rate", "unknown_rate")]),
        ([received("1", None)], [("payments[0].vat_rate", "required")]),
        ([received("1", "20"), received("2", "20.00")], [("payments[1].vat_rate", "duplicate_rate")]),
        ([received("1", currency="USD")], [("payments[0].currency", "not_euro")]),
        ([received("-1")], [("note", "required")]),
        ([received("1.000")], []),
    ],
)
def test_wish_of_a_receipt(payments, problems):
    assert found(check_wish(seller("203"), "212", payments=payments)) == problems


def test_wish_of_a_payment_in_an_unlikely_currency():
    problems = check_wish(buyer("203"), "211", payments=[received("1", currency="euro"), received("1", "10", "USD")])
    assert found(problems) == [("payments[0].currency", "not_a_currency")]


def test_wish_with_amounts_it_does_not_take():
    assert found(check_wish(buyer("203"), "205", payments=[received("1")])) == [("payments", "not_allowed")]


def test_negative_receipt_with_its_reason_or_on_a_credit_note():
    back = [received("-120")]
    other = [Reason(code="AUTRE", text="Bounced cheque")]
    assert check_wish(seller("203 212"), "212", payments=back, reasons=other) == []
    assert check_wish(seller("203", is_refund=True), "212", payments=back) == []


def test_wish_with_too_long_a_note():
    assert found(check_wish(buyer("203"), "205", note="x" * (NOTE_MAX_LENGTH + 1))) == [("note", "too_long")]


def test_wish_reports_every_fault_at_once():
    problems = check_wish(seller("203 210"), "212", reasons=[Reason(code="?")], note="x" * (NOTE_MAX_LENGTH + 1))
    assert found(problems) == [
        ("status", "not_possible_now"),
        ("reasons[0].code", "unknown_reason"),
        ("payments", "required"),
        ("note", "too_long"),
    ]


def test_sides_are_those_of_the_issuers():
    # 211 goes both ways; whether the seller may is a matter of the refund.
    assert {c for c in INVOICE_STATUSES if Role.BUYER in STATUSES[c].issuers} == BUYER_MAY
    assert {c for c in INVOICE_STATUSES if Role.SELLER in STATUSES[c].issuers} == SELLER_MAY


# The command


def shown(*arguments: str) -> str:
    out = StringIO()
    call_command("show_transitions", *arguments, stdout=out)
    return out.getvalue()


def test_show_transitions_prints_every_row():
    lines = shown().splitlines()
    assert lines[0].split() == list(INVOICE_STATUSES)
    assert [line.split()[0] for line in lines[1:24]] == list(MATRIX)
    assert {len(line.split()) for line in lines[1:24]} == {23}
    assert lines[1].split()[:3] == ["start", "E*", "X"]


def test_show_transitions_from_one_status():
    lines = shown("--from", "208").splitlines()
    assert lines[0] == "After 208 Suspended:"
    assert lines[10] == "  E*  209 Completed"
    assert lines[16] == "  G?  220 Cancelled"


def test_show_transitions_as_json():
    rows = json.loads(shown("--json"))
    assert len(rows) == 23 * 22
    assert rows[0] == {"from": "start", "to": "200", "verdict": "E", "offer": "yes", "needs": ""}
    assert json.loads(shown("--json", "--from", "212"))[9] == {
        "from": "212",
        "to": "209",
        "verdict": "S-",
        "offer": "no",
        "needs": "an open 208",
    }


def test_show_transitions_from_nowhere():
    with pytest.raises(CommandError):
        shown("--from", "999")


def test_status_members_work_as_codes():
    assert check_wish(buyer("203"), Status.APPROVED) == []
