"""A clerk and an approver work through the loop in a real browser, against the live server, worker and sandbox."""

import re

from playwright.sync_api import Page, expect

SECONDS = 20_000
NEXT = re.compile("Aperçu|Preview")
SEND = re.compile("Envoyer|Send")


def open_invoice(page: Page, base: str, number: str) -> None:
    page.goto(f"{base}/invoices/?q={number}")
    page.get_by_role("link", name=number).first.click()
    expect(page.locator("h1")).to_contain_text(number)


def decide(page: Page, status: str) -> None:
    page.locator(f"#decide-{status}").click()
    expect(page.locator("dialog[open] .decision-form")).to_be_visible()


def preview(page: Page) -> None:
    page.locator("dialog[open]").get_by_role("button", name=NEXT).last.click()
    expect(page.locator("dialog[open] .preview")).to_be_visible()


def send(page: Page) -> None:
    page.locator("dialog[open] button[value=send]").click()
    expect(page.locator("dialog[open]")).to_have_count(0)


def expect_told(page: Page, status: str) -> None:
    """The timeline shows our status, and in the end that the platform confirmed it."""
    row = page.locator(".timeline .event", has_text=status).first
    expect(row.locator(".relay--confirmed")).to_be_visible(timeout=SECONDS)


def test_invoice_appears_on_the_worklist_without_reload(office, log_in):
    page = log_in("clerk")
    office.deposit(number="F-2026-7001")

    expect(page.get_by_role("link", name="F-2026-7001").first).to_be_visible(timeout=10_000)
    # What no answer of ours said becomes no HTML: of a text the policy makes nothing.
    assert page.evaluate("String(trustedTypes.defaultPolicy.createHTML('<b>x</b>'))") == ""


def test_clerk_disputes_and_approver_approves_refuses_and_declares(office, log_in):
    for number in ("F-2026-8001", "F-2026-8002", "F-2026-8003"):
        office.deposit(number=number)
    clerk, base = log_in("clerk"), office.navette.url
    expect(clerk.get_by_role("link", name="F-2026-8003").first).to_be_visible(timeout=SECONDS)

    open_invoice(clerk, base, "F-2026-8001")
    expect(clerk.locator("#decide-205")).to_have_count(0)  # approving is not a clerk's to do
    decide(clerk, "207")
    clerk.locator("dialog[open] select").first.select_option("QTE_ERR")
    clerk.locator("dialog[open] textarea, dialog[open] input[type=text]").first.fill("9 reçus sur 10")
    preview(clerk)
    send(clerk)
    expect_told(clerk, "En litige")

    approver = log_in("approver")
    open_invoice(approver, base, "F-2026-8002")
    decide(approver, "205")
    preview(approver)
    send(approver)
    expect_told(approver, "Approuvée")

    open_invoice(approver, base, "F-2026-8003")
    decide(approver, "210")
    approver.locator("dialog[open] select").first.select_option("DOUBLON")
    preview(approver)
    expect(approver.locator("dialog[open] [role=alert]").first).to_be_visible()  # this is final
    approver.locator("dialog[open] input[type=checkbox]").check()
    send(approver)
    expect_told(approver, "Refusée")
    expect(approver.locator(".decision")).to_have_count(0)

    office.deposit(number="F-2026-9001", direction="OUTBOUND")
    approver.goto(f"{base}/")
    expect(approver.get_by_role("link", name="F-2026-9001").first).to_be_visible(timeout=SECONDS)
    open_invoice(approver, base, "F-2026-9001")
    decide(approver, "212")
    preview(approver)
    send(approver)
    expect_told(approver, "Encaissée")

    accepted = office.sandbox.control("calls")["accepted"]
    assert sorted((row["status"], row["count"]) for row in accepted) == [(s, 1) for s in ("205", "207", "210", "212")]


def test_suspended_invoice_is_completed_by_the_other_party(office, log_in):
    office.deposit(number="F-2026-6001")
    page = log_in("clerk")
    expect(page.get_by_role("link", name="F-2026-6001").first).to_be_visible(timeout=SECONDS)
    open_invoice(page, office.navette.url, "F-2026-6001")

    decide(page, "208")
    page.locator("dialog[open] select").first.select_option("JUSTIF_ABS")
    preview(page)
    send(page)

    expect(page.locator(".timeline li", has_text="Complétée").first).to_be_visible(timeout=SECONDS)


def test_pages_fit_every_screen(office, log_in):
    office.deposit(number="F-2026-5001")
    page = log_in("administrator")
    expect(page.get_by_role("link", name="F-2026-5001").first).to_be_visible(timeout=SECONDS)
    page.get_by_role("link", name="F-2026-5001").first.click()
    paths = ["/", page.url, "/invoices/", "/relays/", "/deliveries/", "/connections/", "/dashboard/"]

    for width, scheme in ((1440, "light"), (390, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        for path in paths:
            page.goto(path if path.startswith("http") else f"{office.navette.url}{path}")
            assert page.evaluate(TOO_WIDE, width) == [], path


# Elements that stick out of the page, unless they stand in something that scrolls.
TOO_WIDE = """width => [...document.querySelectorAll("body *")]
    .filter(e => e.getBoundingClientRect().right > width + 1 && document.documentElement.scrollWidth > width)
    .map(e => `${e.tagName}.${e.className}`).slice(0, 5)"""


def test_refreshed_worklist_leaves_the_focus_where_it_was(office, log_in):
    """A clerk works down the list by keys while new invoices come and handled ones go."""
    for number in ("F-2026-9101", "F-2026-9102", "F-2026-9103"):
        office.deposit(number=number)
    page, other = log_in("clerk"), log_in("approver")
    section = page.locator("#lane-in-hand")
    expect(section.locator("th a")).to_have_count(3, timeout=SECONDS)
    second, third = (section.locator("th a").nth(place).inner_text() for place in (1, 2))
    focused = "document.activeElement.textContent"
    section.get_by_role("link", name=second).focus()

    office.deposit(number="F-2026-9104")
    expect(page.get_by_role("link", name="F-2026-9104").first).to_be_visible(timeout=SECONDS)
    assert page.evaluate(focused) == second

    open_invoice(other, office.navette.url, second)
    decide(other, "204")
    preview(other)
    send(other)
    expect(section.get_by_role("link", name=second)).to_have_count(0, timeout=SECONDS)
    assert page.evaluate(focused) == third
