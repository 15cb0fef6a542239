"""Deciding in the admin, on an invoice's page and from the list: the same service, rights and words as on the desk."""

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import translation

from invoices.models import AccountChange
from invoices.people.staff import match_memberships
from lifecycle.decisions.services import issue_status
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayState, RelayTask
from providers.contract.base import Reason
from tests import fake_provider, pages
from tests.factories import OTHER_SIREN, make_connection, make_customer, make_event, make_invoice, make_line, make_user

pytestmark = pytest.mark.django_db

INVOICES = reverse("admin:invoices_invoice_changelist")
BREAKDOWN = [
    {"category": "S", "rate": "20.00", "base": "1000.00", "amount": "200.00"},
    {"category": "S", "rate": "5.50", "base": "100.00", "amount": "5.50"},
]


@pytest.fixture(autouse=True)
def _fake_platform(monkeypatch):
    fake_provider.register(monkeypatch)


@pytest.fixture
def customer():
    return make_customer()


@pytest.fixture
def connection(customer):
    connection = make_connection()
    make_line(customer, connection)
    return connection


@pytest.fixture
def invoice(customer, connection):
    return make_invoice(customer, connection, ["203"], vat_breakdown=BREAKDOWN, total_with_vat="1305.50")


@pytest.fixture
def enter(client, customer):
    def enter(role: str, of=None):
        user = make_user(of or customer, role)
        match_memberships(user)
        client.force_login(user)
        return user

    return enter


def page_of(invoice):
    return reverse("admin:invoices_invoice_change", args=[invoice.pk])


def decide_page(invoice, status):
    return reverse("admin:invoices_invoice_decide", args=[invoice.pk, status])


def fields_of(response, form="//form[@method='post'][not(@id='logout-form')]"):
    """What a browser would post of the page's form, without its buttons."""
    found = pages.parse(response).xpath(form)[0]
    return {name: value or "" for name, value in found.form_values() if name}


def offered(response) -> list[str]:
    return [link.rsplit("/", 2)[1] for link in pages.parse(response).xpath("//ul[@class='decisions']//a/@href")]


def texts(response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


# --- one invoice ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "codes"),
    [
        ("reader", []),
        ("clerk", ["204", "207", "208"]),
        ("approver", ["204", "205", "206", "207", "208", "210", "211"]),
        ("administrator", ["204", "205", "206", "207", "208", "210", "211"]),
    ],
)
def test_change_page_offers_what_this_person_may_say(client, enter, invoice, role, codes):
    enter(role)

    assert offered(client.get(page_of(invoice))) == codes


def test_dispute_with_its_reason_is_previewed_then_told(client, enter, invoice):
    clerk = enter("clerk")
    address = decide_page(invoice, "207")
    filled = fields_of(client.get(address)) | {
        "reasons-0-code": "QTE_ERR", "reasons-0-text": "9 reçus sur 10", "note": "Bon de livraison 12",
    }  # fmt: skip

    preview = client.post(address, filled | {"step": "preview"})
    before = RelayTask.objects.count()
    sent = client.post(address, fields_of(preview) | {"step": "send"})

    assert [preview.status_code, before, sent.url] == [200, 0, page_of(invoice)]
    event = RelayTask.objects.get().event
    assert [event.status, event.actor, event.note] == ["207", clerk, "Bon de livraison 12"]
    assert event.reasons == [{"code": "QTE_ERR", "text": "9 reçus sur 10"}]
    assert texts(sent) == ["«\xa0207 En litige\xa0» est enregistré et en route."]
    assert LogEntry.objects.get().object_id == str(invoice.pk)


def test_sending_twice_says_it_once(client, enter, invoice):
    enter("approver")
    address = decide_page(invoice, "205")
    ready = fields_of(client.post(address, fields_of(client.get(address)))) | {"step": "send"}

    client.post(address, ready)
    client.post(address, ready)

    assert RelayTask.objects.count() == 1


def test_missing_reason_is_said_at_its_field(client, enter, invoice):
    enter("clerk")
    address = decide_page(invoice, "208")

    refused = client.post(address, fields_of(client.get(address)) | {"step": "send"})

    assert refused.status_code == 422
    assert pages.texts(refused, "//ul[@class='errorlist']/li")
    assert RelayTask.objects.count() == 0


def test_refusal_is_final_and_wants_to_be_confirmed(client, enter, invoice):
    enter("approver")
    address = decide_page(invoice, "210")
    filled = fields_of(client.get(address)) | {"reasons-0-code": "CMD_ERR", "step": "send"}

    unconfirmed = client.post(address, filled)
    recorded = RelayTask.objects.count()
    client.post(address, filled | {"confirm": "on"})

    assert [unconfirmed.status_code, recorded] == [422, 0]
    assert RelayTask.objects.get().event.status == "210"


def test_payment_is_filled_in_by_rate(client, enter, invoice):
    enter("approver")
    address = decide_page(invoice, "211")

    sent = client.post(address, fields_of(client.get(address)) | {"step": "send"})

    assert sent.status_code == 302
    assert RelayTask.objects.get().event.payments == [
        {"vat_rate": "20.00", "amount": "1200.00", "currency": "EUR"},
        {"vat_rate": "5.50", "amount": "105.50", "currency": "EUR"},
    ]


def test_what_changed_meanwhile_is_not_decided_over(client, enter, invoice):
    user = enter("approver")
    address = decide_page(invoice, "205")
    ready = fields_of(client.get(address)) | {"step": "send"}
    issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status="204"))

    response = client.post(address, ready)

    assert response.url == page_of(invoice)
    assert "n’a pas été enregistré" in texts(response)[0]
    assert RelayTask.objects.count() == 1


def test_deciding_needs_the_role_and_the_customer(client, enter, invoice):
    foreign = make_invoice(make_customer(OTHER_SIREN), make_connection(), ["203"])
    enter("clerk")

    assert client.get(decide_page(invoice, "205")).status_code == 403
    assert client.post(decide_page(invoice, "205"), {"step": "send"}).status_code == 403
    assert client.get(decide_page(foreign, "204")).status_code == 404
    assert client.get(decide_page(invoice, "999")).status_code == 404
    assert RelayTask.objects.count() == 0


def test_strangers_are_sent_to_the_login(client, invoice):
    assert "/login/" in client.get(decide_page(invoice, "204")).url


def test_admin_tells_what_the_desk_tells_before_deciding(client, enter, customer, connection):
    enter("approver")
    invoice = make_invoice(customer, connection, ["203", "205"], processing_rule="B2C")
    make_event(invoice, "213", reasons=[Reason(code="DOUBLON")])
    row = {"iban": "FR7630006000011234567890189", "holder": "", "invoice": "F-1", "id": "1"}
    AccountChange.objects.create(invoice=invoice, new=[row | {"iban": "DE89370400440532013000"}], known=[row])

    told = pages.texts(client.get(page_of(invoice)), "//ul[@class='messagelist remarks']/li")

    assert [each[:48] for each in told] == [
        "Une plateforme a rejeté un autre envoi de cette ",
        "Nouveau compte : DE89 3704 0044 0532 0130 00, au",
        "Cette facture s’adresse à un particulier, qu’auc",
    ]
    other = make_invoice(customer, connection, ["203", "205"])
    assert pages.texts(client.get(decide_page(other, "211")), "//ul[@class='messagelist remarks']/li") == []
    AccountChange.objects.create(invoice=other, new=[row], known=[row])
    (warned,) = pages.texts(client.get(decide_page(other, "211")), "//ul[@class='messagelist remarks']/li")
    assert warned.startswith("Nouveau compte")


# --- many -------------------------------------------------------------------------------------------------------------


def select(client, action, *rows, **more):
    return client.post(INVOICES, {"action": action, "_selected_action": [row.pk for row in rows], **more})


def bulk_fields(response):
    form = pages.parse(response).xpath("//form[input[@name='_selected_action']]")[0]
    posted: dict[str, list[str]] = {}
    for name, value in form.form_values():
        posted.setdefault(name, []).append(value or "")
    return posted


def actions_of(client) -> list[str]:
    page = client.get(INVOICES)
    return [value for value in pages.parse(page).xpath("//select[@name='action']/option/@value") if value]


@pytest.mark.parametrize(
    ("role", "missing"), [("clerk", {"decide_205", "decide_210", "decide_212"}), ("approver", set())]
)
def test_list_offers_the_decisions_of_the_role(client, enter, invoice, role, missing):
    enter(role)
    both = {"take_in_hand", "decide_207", "decide_208"}

    actions = set(actions_of(client))

    assert both <= actions
    assert actions & {"decide_205", "decide_210", "decide_212"} == {"decide_205", "decide_210", "decide_212"} - missing


def test_many_are_disputed_for_one_reason(client, enter, customer, connection, invoice):
    clerk = enter("clerk")
    other = make_invoice(customer, connection, ["203"])
    closed = make_invoice(customer, connection, ["203", "210"])

    opened = select(client, "decide_207", invoice, other, closed)
    preview = client.post(
        INVOICES, bulk_fields(opened) | {"code": "QTE_ERR", "text": "Livraison 12", "step": "preview"}
    )
    before = RelayTask.objects.count()
    sent = client.post(INVOICES, bulk_fields(preview) | {"step": "send"})

    assert [opened.status_code, preview.status_code, before, sent.status_code] == [200, 200, 0, 302]
    assert len(pages.texts(preview, "//tr[@class='refused']")) == 1
    events = [relay.event for relay in RelayTask.objects.order_by("invoice__number")]
    assert {event.invoice for event in events} == {invoice, other}
    assert [event.reasons for event in events] == [[{"code": "QTE_ERR", "text": "Livraison 12"}]] * 2
    assert {event.actor for event in events} == {clerk}
    said = texts(sent)
    assert [text.split(":")[0] for text in said] == [str(closed), *sorted([str(invoice), str(other)], reverse=True)]


def test_many_are_paid_with_what_is_left_of_each(client, enter, customer, connection, invoice):
    enter("approver")

    preview = client.post(INVOICES, bulk_fields(select(client, "decide_211", invoice)) | {"step": "preview"})
    client.post(INVOICES, bulk_fields(preview) | {"step": "send"})

    shown = pages.texts(preview, "//table[@class='preview']//td")[-1]
    assert "200,00" in shown
    assert [row["amount"] for row in RelayTask.objects.get().event.payments] == ["1200.00", "105.50"]


def test_bulk_refusal_wants_to_be_confirmed(client, enter, invoice):
    enter("approver")
    filled = bulk_fields(select(client, "decide_210", invoice)) | {"code": "CMD_ERR", "step": "send"}

    unconfirmed = client.post(INVOICES, filled)
    before = RelayTask.objects.count()
    client.post(INVOICES, filled | {"confirm": "on"})

    assert [unconfirmed.status_code, before, RelayTask.objects.get().event.status] == [200, 0, "210"]


def test_bulk_without_its_reason_decides_nothing(client, enter, invoice):
    enter("clerk")
    filled = bulk_fields(select(client, "decide_208", invoice))

    refused = client.post(INVOICES, filled | {"step": "send"})

    assert pages.texts(refused, "//ul[@class='errorlist']/li") == ["Ce statut exige un motif."]
    assert RelayTask.objects.count() == 0


def test_one_that_moved_on_since_the_preview_is_left(client, enter, customer, connection, invoice):
    user = enter("approver")
    other = make_invoice(customer, connection, ["203"])
    preview = client.post(INVOICES, bulk_fields(select(client, "decide_205", invoice, other)) | {"step": "preview"})
    issue_status(user=user, invoice_id=invoice.pk, wish=Wish(status="204"))

    sent = client.post(INVOICES, bulk_fields(preview) | {"step": "send"})

    assert RelayTask.objects.get(event__status="205").invoice == other
    assert texts(sent)[0].startswith(f"{invoice}:")


def test_same_page_sent_twice_decides_once(client, enter, invoice):
    enter("clerk")
    filled = bulk_fields(select(client, "decide_207", invoice)) | {"code": "QTE_ERR", "step": "send"}

    client.post(INVOICES, filled)
    client.post(INVOICES, filled)

    assert RelayTask.objects.count() == 1


def test_bulk_of_anothers_customer_does_nothing(client, enter, connection):
    foreign = make_invoice(make_customer(OTHER_SIREN), make_connection(), ["203"])
    enter("approver")

    response = select(client, "decide_205", foreign, step="send", key="6a8f9e5e-9b5e-4a54-8f4c-0d9f6f1c2b11", note="")

    assert RelayTask.objects.count() == 0
    assert response.status_code in (200, 302)


def test_reader_has_no_decision_in_the_list(client, enter, invoice):
    enter("reader")

    select(client, "decide_205", invoice, step="send", key="6a8f9e5e-9b5e-4a54-8f4c-0d9f6f1c2b11", note="")
    select(client, "take_in_hand", invoice)

    assert RelayTask.objects.count() == 0


def test_second_person_releases_from_the_list(client, enter, customer, invoice):
    customer.four_eyes = True
    customer.save()
    relay, _new = issue_status(user=make_user(customer, "approver"), invoice_id=invoice.pk, wish=Wish(status="205"))
    second = enter("approver")

    client.post(
        reverse("admin:lifecycle_relaytask_changelist"),
        {"action": "release", "_selected_action": [relay.pk], "confirmed": "yes"},
    )

    relay.refresh_from_db()
    assert [relay.state, relay.released_by] == [RelayState.PENDING, second]


# --- words ------------------------------------------------------------------------------------------------------------


def test_pages_write_words_instead_of_codes_and_json(client, enter, invoice):
    user = enter("clerk")
    issue_status(
        user=user,
        invoice_id=invoice.pk,
        wish=Wish(status="207", reasons=(Reason(code="QTE_ERR", text="9 reçus"),), note="à voir"),
    )

    page = client.get(page_of(invoice)).content.decode()

    assert "Quantité facturée incorrecte – 9 reçus" in page
    assert "380 Facture" in page
    assert "{&#x27;" not in page
    assert "[{" not in page


@pytest.mark.parametrize("name", ["invoices_invoice", "lifecycle_statusevent", "lifecycle_relaytask"])
def test_finance_staff_read_the_admin_in_french(client, enter, invoice, name):
    enter("approver")

    page = client.get(reverse(f"admin:{name}_changelist"))

    assert pages.parse(page).get("lang") == "fr"
    with translation.override("fr"):
        assert pages.texts(page, "//h1")[0].startswith("Sélectionnez")


def test_no_label_of_the_admin_is_left_in_english(client, admin_client, enter, invoice, connection):
    """A field without a name of its own is labelled with the name it has in the code."""
    addresses = [page_of(invoice), changelist_of("invoices_customer"), changelist_of("providers_connection")]
    addresses += [changelist_of("lifecycle_relaytask"), changelist_of("providers_webhookdelivery"), INVOICES]
    addresses += [reverse("admin:invoices_customer_change", args=[invoice.customer_id])]
    addresses += [reverse("admin:invoices_addressingline_change", args=[connection.addressing_lines.get().pk])]

    labels = set()
    for address in addresses:
        page = admin_client.get(address)
        labels |= {text.strip("\u202f\xa0 :").lower() for text in pages.texts(page, "//label | //thead//th")}

    names = {
        field.name.replace("_", " ")
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.concrete
    }
    same_in_french = {"type", "version", "note", "siren", "action"}
    assert labels & names - same_in_french == set()


def changelist_of(model: str) -> str:
    return reverse(f"admin:{model}_changelist")
