"""The admin in a real browser: staff decide there, and axe has nothing to say of its pages."""

from decimal import Decimal

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.urls import reverse
from playwright.sync_api import expect

from invoices.people.staff import match_memberships
from lifecycle.decisions.services import issue_status
from lifecycle.decisions.wishes import Wish
from lifecycle.models import RelayTask
from providers.connections.services import open_hook
from providers.contract.base import Payment, Reason
from tests import fake_provider
from tests.factories import make_connection, make_customer, make_delivery, make_invoice, make_line, make_user

BREAKDOWN = [{"category": "S", "rate": "20.00", "base": "1000.00", "amount": "200.00"}]


@pytest.fixture
def rows(transactional_db, monkeypatch):
    """An invoice with a history, relays and a delivery, and who may see what of them."""
    fake_provider.register(monkeypatch)
    customer, connection = make_customer(name="Atelier Dupont"), make_connection()
    line = make_line(customer, connection)
    open_hook(connection=connection)
    values = {"vat_breakdown": BREAKDOWN, "total_with_vat": "1200.00", "process": "S1", "addressing_line": line}
    invoice = make_invoice(customer, connection, ["203"], **values)
    people = {role: make_user(customer, role, username=role) for role in ("reader", "approver", "administrator")}
    people["superuser"] = make_user(username="root", is_staff=True, is_superuser=True)
    for role in ("reader", "approver", "administrator"):
        match_memberships(people[role])
    reasons = (Reason(code="QTE_ERR", text="9 reçus sur 10"),)
    issue_status(user=people["approver"], invoice_id=invoice.pk, wish=Wish(status="207", reasons=reasons, note="Merci"))
    paid = Wish(status="211", payments=(Payment(amount=Decimal("1200.00"), vat_rate=Decimal(20), currency="EUR"),))
    issue_status(user=people["approver"], invoice_id=invoice.pk, wish=paid)
    return {
        "customer": customer,
        "connection": connection,
        "line": line,
        "invoice": invoice,
        "relay": RelayTask.objects.first(),
        "event": invoice.status_events.last(),
        "delivery": make_delivery(connection),
        **people,
    }


@pytest.fixture
def enter(live_server, new_context):
    """A page of somebody who has logged in."""

    def enter(user, **options):
        session = SessionStore()
        session.update(
            {"_auth_user_id": str(user.pk), "_auth_user_backend": settings.AUTHENTICATION_BACKENDS[0]}
            | {"_auth_user_hash": user.get_session_auth_hash()}
        )
        session.save()
        context = new_context(**options)
        name = settings.SESSION_COOKIE_NAME
        context.add_cookies([{"name": name, "value": session.session_key, "url": live_server.url}])
        return context.new_page()

    return enter


def change(model, row):
    return reverse(f"admin:{model}_change", args=[row.pk])


def changelist(model):
    return reverse(f"admin:{model}_changelist")


def addresses(rows):
    invoice = rows["invoice"]
    lists = [
        "invoices_invoice", "lifecycle_relaytask", "invoices_customer", "invoices_addressingline", "auth_user",
        "providers_connection", "providers_webhookdelivery", "providers_refusedrequest", "lifecycle_purgedinvoice",
    ]  # fmt: skip
    return [
        reverse("admin:index"),
        *map(changelist, lists),
        changelist("lifecycle_statusevent") + f"?q={invoice.number}",
        change("invoices_invoice", invoice),
        *(reverse("admin:invoices_invoice_decide", args=[invoice.pk, code]) for code in ("204", "208", "210", "211")),
        change("lifecycle_statusevent", rows["event"]),
        change("lifecycle_relaytask", rows["relay"]),
        change("invoices_customer", rows["customer"]),
        change("invoices_addressingline", rows["line"]),
        reverse("admin:invoices_addressingline_directory"),
        change("auth_user", rows["approver"]),
        reverse("admin:auth_user_add"),
        change("providers_connection", rows["connection"]),
        change("providers_webhookdelivery", rows["delivery"]),
    ]


def faults(page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for fault in found
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_axe_finds_nothing_in_the_admin(rows, enter, live_server, scheme, width):
    page = enter(rows["superuser"], color_scheme=scheme, viewport={"width": width, "height": 900})
    found = {}
    for address in addresses(rows):
        assert page.goto(live_server.url + address).status == 200, address
        if complaints := faults(page):
            found[address] = complaints

    assert found == {}


def test_approver_decides_on_the_page_and_from_the_list(rows, enter, live_server):
    page = enter(rows["approver"])
    other = make_invoice(rows["customer"], rows["connection"], ["203"])

    page.goto(live_server.url + change("invoices_invoice", rows["invoice"]))
    page.get_by_role("link", name="Suspendre (208)").click()
    page.get_by_label("Motif").first.select_option("JUSTIF_ABS")
    page.get_by_role("button", name="Aperçu").last.click()
    expect(page.locator("table.preview")).to_contain_text("208 Suspendue")
    page.get_by_role("button", name="Envoyer").click()
    expect(page.locator(".messagelist")).to_contain_text("208 Suspendue")

    page.goto(live_server.url + changelist("invoices_invoice"))
    page.get_by_role("row", name=other.number).get_by_role("checkbox").check()
    page.locator("select[name=action]").select_option("decide_207")
    page.locator(".actions button[type=submit]").first.click()
    page.get_by_label("Motif").first.select_option("QTE_ERR")
    page.get_by_role("button", name="Aperçu").click()
    page.get_by_role("button", name="Décider de 1 facture").click()
    expect(page.locator(".messagelist")).to_contain_text(other.number)

    told = RelayTask.objects.filter(event__status__in=["207", "208"]).values_list("invoice__number", "event__status")
    assert sorted(told) == sorted(
        [(rows["invoice"].number, "207"), (rows["invoice"].number, "208"), (other.number, "207")]
    )
