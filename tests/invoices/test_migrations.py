"""What migrations do to the rows there are."""

from importlib import import_module

import pytest
from django.apps import apps

from invoices.models import Invoice
from tests.factories import OTHER_SIREN, make_invoice

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("403 112 071", "be 0403.170.701"), ("403112071", "BE0403170701")),
        (("", "FR 13 800112237"), ("800112237", "FR13800112237")),
        (("80011223700014", ""), ("800112237", "")),
        (("40311207", "DE136695976"), ("", "DE136695976")),
        (("", "DE136695976"), ("", "DE136695976")),
        (("403112071", "FR13800112237"), ("403112071", "FR13800112237")),
    ],
)
def test_numbers_of_parties_get_one_form(before, after):
    invoice = make_invoice(seller_siren=before[0], seller_vat_number=before[1], buyer_siren="", buyer_vat_number="")
    import_module("invoices.migrations.0012_company_numbers").normalise(apps, None)
    invoice.refresh_from_db()
    assert (invoice.seller_siren, invoice.seller_vat_number) == after
    assert (invoice.buyer_siren, invoice.buyer_vat_number) == ("", "")


def test_key_of_the_seller_is_filled_from_the_columns():
    sellers = [
        ({}, OTHER_SIREN),
        ({"seller_siren": "", "seller_vat_number": "BE0403170701"}, "vat:BE0403170701"),
        ({"seller_siren": "", "seller_name": ""}, ""),
    ]
    rows = [(make_invoice(**values), key) for values, key in sellers]
    Invoice.objects.update(seller_key="")
    import_module("invoices.migrations.0014_fill_seller_key").fill(apps, None)
    for row, key in rows:
        row.refresh_from_db()
        assert row.seller_key == key
