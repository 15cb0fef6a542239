"""What a person typed is never lost: while lines are added, in a closed dialog, through the end of a session."""

from playwright.sync_api import expect

from .conftest import PASSWORD

SECONDS = 60_000


def test_typed_text_survives_buttons_dialogs_and_the_end_of_the_session(office, log_in, settings):
    page, base = log_in("approver"), office.navette.url
    (deposited,) = office.deposit(number="F-2026-7001")
    page.goto(f"{base}/issuing/")
    page.locator("form[action$='/drafts/'] button").click()
    for line in range(5):
        page.locator(f"[name='lines-{line}-name']").fill(f"Item {line}")
        page.locator("button[value='add:lines']").click()
        expect(page.locator(f"[name='lines-{line + 1}-name']")).to_be_visible()
    expect(page.locator("[name='lines-6-name']")).to_have_count(0)
    assert [page.locator(f"[name='lines-{line}-name']").input_value() for line in range(5)] == [
        f"Item {line}" for line in range(5)
    ]
    expect(page.locator("#draft-side [role=alert]")).to_have_count(0)

    page.goto(f"{base}/")
    page.get_by_role("link", name=deposited["number"]).click(timeout=SECONDS)
    page.locator("#decide-207").click()
    page.locator("#dialog textarea").fill("Nine boxes of ten")
    page.keyboard.press("Escape")
    page.locator("#decide-207").click()
    expect(page.locator("#dialog textarea")).to_have_value("Nine boxes of ten")
    page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)
    page.locator("#dialog [data-go]").click()
    page.wait_for_url("**/accounts/login/**")
    page.fill("input[name=login]", "approver")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.locator("#decide-207").click()
    expect(page.locator("#dialog textarea")).to_have_value("Nine boxes of ten")
