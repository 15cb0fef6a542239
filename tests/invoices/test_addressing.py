"""Addressing lines: the four meshes, and what is none."""

import pytest
from django.contrib.messages import get_messages
from django.core.exceptions import ValidationError
from django.urls import reverse

from invoices.models import AddressingLine, validate_addressing
from providers.norm.addressing import Address, parse_address
from tests.factories import SIREN, make_connection, make_customer, make_user

SIRET = f"{SIREN}00014"


@pytest.mark.parametrize(
    ("text", "address", "level"),
    [
        (SIREN, Address(SIREN), "SIREN"),
        (f"{SIREN}_{SIRET}", Address(SIREN, siret=SIRET), "SIREN_SIRET"),
        (f"{SIREN}_{SIRET}_ACHATS_LYON", Address(SIREN, SIRET, "ACHATS_LYON"), "SIREN_SIRET_ROUTING"),
        (f"{SIREN}_COMPTA", Address(SIREN, suffix="COMPTA"), "SIREN_SUFFIX"),
        (f"{SIREN}_COMPTA_A/B+C-D", Address(SIREN, suffix="COMPTA_A/B+C-D"), "SIREN_SUFFIX"),
        (f"{SIREN}_90533441300010", Address(SIREN, suffix="90533441300010"), "SIREN_SUFFIX"),
        (f"{SIREN}_{SIRET}0", Address(SIREN, suffix=f"{SIRET}0"), "SIREN_SUFFIX"),
        (f"{SIREN}__X", Address(SIREN, suffix="_X"), "SIREN_SUFFIX"),
        (f"{SIREN}_{SIRET}__X", Address(SIREN, SIRET, "_X"), "SIREN_SIRET_ROUTING"),
        (f"{SIREN}_{'x' * 100}", Address(SIREN, suffix="x" * 100), "SIREN_SUFFIX"),
    ],
)
def test_address_and_its_parts(text, address, level):
    assert (parse_address(text), parse_address(text).level, AddressingLine(identifier=text).level) == (
        address,
        level,
        level,
    )
    validate_addressing(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "80011223",
        f"{SIREN}_",
        f"{SIREN}1",
        f"{SIREN} ",
        f"{SIREN}_A B",
        f"{SIREN}_É",
        f"{SIREN}_A.B",
        f"0225:{SIREN}",
        f"{SIREN}_{SIRET}_",
        f"{SIREN}_{SIRET}_A+B",
        f"{SIREN}_{'x' * 101}",
        f"{SIREN}_{SIRET}_{'x' * 101}",
        "٨٠٠١١٢٢٣٧",
        f"{SIREN}\n",
        "800112238",  # the check digit
        f"{SIREN}_{SIREN}00015",
    ],
)
def test_what_is_no_address(text):
    with pytest.raises(ValidationError):
        validate_addressing(text)


@pytest.mark.parametrize(
    ("text", "looks"), [(f"{SIREN}_90533441300010", True), (f"{SIREN}_COMPTA", False), (SIREN, False)]
)
def test_siret_of_another_company_is_suspected(text, looks):
    assert parse_address(text).looks_like_another_siret is looks


@pytest.mark.django_db
def test_administrator_is_warned_of_a_suspected_siret(client):
    client.force_login(make_user(is_staff=True, is_superuser=True))
    line = {"customer": make_customer().pk, "connection": make_connection("acube").pk}
    told = []
    for suffix in ("COMPTA", "90533441300010"):
        answer = client.post(reverse("admin:invoices_addressingline_add"), line | {"identifier": f"{SIREN}_{suffix}"})
        told.append([str(message) for message in get_messages(answer.wsgi_request) if "90533441300010" in str(message)])

    assert (AddressingLine.objects.count(), told[0], len(told[1])) == (2, [], 2)  # it is made, and it is suspected
