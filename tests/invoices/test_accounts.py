"""Where suppliers want to be paid: what is an IBAN, and who else's account it may be."""

import re
from pathlib import Path

import pytest
from django.core.management import call_command

from invoices.models import AccountChange, PaymentAccount
from invoices.register.accounts import acknowledge, known_accounts
from invoices.register.services import receive_invoice
from providers.contract.base import File, InvoiceReport, Party
from providers.formats.en16931.checks import check_iban
from providers.formats.en16931.reader import read_invoice
from tests.factories import SIREN, make_connection, make_customer, make_line, make_user

UBL = (Path(__file__).parent.parent / "samples" / "invoices" / "invoice.ubl.xml").read_text()
OLD, NEW, THIRD = "FR7630006000011234567890189", "DE89370400440532013000", "BE68539007547034"


def means(*ibans, holder=""):
    name = f"<cbc:Name>{holder}</cbc:Name>" if holder else ""
    return "".join(
        "<cac:PaymentMeans><cbc:PaymentMeansCode>30</cbc:PaymentMeansCode><cac:PayeeFinancialAccount>"
        f"<cbc:ID>{iban}</cbc:ID>{name}</cac:PayeeFinancialAccount></cac:PaymentMeans>"
        for iban in ibans
    )


def document(*ibans, seller="905334413", **options):
    text = re.sub("<cac:PaymentMeans>.*</cac:PaymentMeans>", means(*ibans, **options), UBL, flags=re.DOTALL)
    return text.replace("905334413", seller)


@pytest.fixture
def connection(db):
    connection = make_connection("scripted")
    make_line(make_customer(SIREN), connection)
    return connection


@pytest.fixture
def receive(connection):
    def receive(ref, *ibans, direction="received", **options):
        party = {"buyer" if direction == "received" else "seller": Party(siren=SIREN)}
        report = InvoiceReport(provider_ref=ref, direction=direction, **party)
        file = File(kind="original", content=document(*ibans, **options).encode())
        return receive_invoice(connection=connection, report=report, files=[file])[0]

    return receive


def change_of(invoice):
    found = AccountChange.objects.filter(invoice=invoice).first()
    return found and ([row["iban"] for row in found.new], [row["iban"] for row in found.known])


@pytest.mark.parametrize(
    "iban",
    [
        "BE68 5390 0754 7034",  # of a bank that Belgium's list no longer has
        OLD, NEW, "fr76 3000 6000 0112 3456 7890 189", "FR76\u00a03000\u202f6000 0112 3456 7890 189",
        "IBAN FR76 3000 6000 0112 3456 7890 189", "IBAN: BE68539007547034",
        "GB82WEST12345698765432", "MC5811222000010123456789030",
    ],
)  # fmt: skip
def test_what_iso_13616_calls_good(iban):
    assert check_iban(iban).is_good
    assert [each for each in map(str, read_invoice(document(iban).encode()).warnings) if "IBAN" in each] == []


@pytest.mark.parametrize("iban", ["BE68539007547035", "FR763000600001123456789018", "XX68539007547034", "BE685390"])
def test_what_iso_13616_calls_wrong(iban):
    assert not check_iban(iban).is_good
    warnings = [each for each in map(str, read_invoice(document(iban).encode()).warnings) if "IBAN" in each]
    assert warnings == [f"L’IBAN {iban} n’est pas valable. Interrogez le fournisseur avant de payer."]


def test_another_account_than_before_is_told_with_both(receive):
    first, second = receive("1", OLD), receive("2", NEW, holder="Garage Martin")
    assert (change_of(first), change_of(second)) == (None, ([NEW], [OLD]))
    assert second.account_change.new == [{"iban": NEW, "holder": "Garage Martin"}]
    assert second.account_change.known == [
        {"iban": OLD, "holder": "", "invoice": "PH-2026-101", "id": str(first.pk)},
    ]


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        ([OLD], ["fr76 3000 6000 0112 3456 7890 189"], None),
        ([OLD], [f"IBAN : {OLD}"], None),
        ([OLD, NEW], [NEW, OLD], None),
        ([OLD, NEW], [NEW], None),
        ([OLD], [OLD, NEW], [NEW]),
        ([OLD], [NEW, THIRD], [NEW, THIRD]),
        ([OLD], [], None),
        ([], [NEW], None),
    ],
)
def test_several_accounts_in_any_order(receive, before, after, new):
    receive("1", *before)
    change = change_of(receive("2", *after))
    assert change == (new and (new, [OLD]))


def test_account_of_another_supplier_tells_nothing(receive):
    receive("1", OLD)
    assert change_of(receive("2", NEW, seller="403112071")) is None


def test_what_we_issue_is_not_held_against_what_we_receive(receive):
    receive("1", OLD, seller=SIREN, direction="issued")
    assert PaymentAccount.objects.count() == 0


def test_account_in_doubt_stays_so_until_somebody_has_checked_it(receive):
    receive("1", OLD)
    second = receive("2", NEW)
    assert change_of(receive("3", NEW)) == ([NEW], [OLD])

    user, other = make_user(), make_user()
    assert (acknowledge(user=user, invoice=second), acknowledge(user=other, invoice=second)) == (True, False)
    second.account_change.refresh_from_db()
    assert second.account_change.acknowledged_by == user
    assert change_of(receive("4", NEW)) is None
    assert change_of(receive("5", OLD)) is None


def test_same_document_again_does_not_ask_again(receive):
    receive("1", OLD)
    second = receive("2", NEW)
    acknowledge(user=make_user(), invoice=second)
    receive("2", NEW)
    assert AccountChange.objects.get(invoice=second).acknowledged_at is not None


def test_known_accounts_are_one_query(receive, django_assert_num_queries):
    receive("1", OLD)
    second = receive("2", NEW)
    with django_assert_num_queries(1):
        assert list(known_accounts(second)) == [OLD]


def test_accounts_of_older_invoices_are_learned_without_a_warning(receive, capsys):
    first, second = receive("1", OLD), receive("2", NEW)
    PaymentAccount.objects.all().delete()
    AccountChange.objects.all().delete()

    call_command("reread_documents")
    assert capsys.readouterr().out == "2 invoices read again, 0 cannot be read.\n"
    assert [change_of(first), change_of(second)] == [None, None]
    assert change_of(receive("3", OLD, THIRD)) == ([THIRD], [NEW, OLD])
