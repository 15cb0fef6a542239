import os
from itertools import chain

import pytest

from providers.connections.registry import get_adapter
from providers.connections.services import open_hook
from providers.sandbox.server import SandboxServer
from tests.factories import SIREN, make_connection, make_customer, make_line, make_user
from tests.processes import Navette

PASSWORD = "browser-test-password"

# Playwright's sync API keeps an event loop running in this thread; our own queries here are plain synchronous ones.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")


@pytest.fixture(scope="session")
def base_url():
    """Ours, for the plugin's own is made in a way the next pytest refuses."""
    return ""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    quiet = ["--disable-gpu", "--disable-background-networking", "--no-first-run"]
    return {**browser_type_launch_args, "args": browser_type_launch_args["args"] + quiet}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args):
    return {**browser_context_args, "locale": "fr-FR", "timezone_id": "Europe/Paris"}


class Office:
    """The whole loop as processes, with a clerk and an approver who can log in."""

    def __init__(self, navette: Navette, sandbox: SandboxServer) -> None:
        self.navette, self.sandbox = navette, sandbox
        connection = make_connection(
            kind="acube",
            settings={"api_url": sandbox.url, "login_url": sandbox.url, "requests_per_second": 0},
            secrets={"email": "bot@example.test", "password": "s3cret", "webhook_token": "abc"},
        )
        customer = make_customer(name="Atelier Dupont")
        make_line(customer, connection)
        for role in ("clerk", "approver", "administrator", "reader"):
            make_user(customer, role, username=role, password=PASSWORD)
        open_hook(connection=connection)
        navette.start_web()
        navette.start_worker()
        get_adapter(connection).register_webhooks()

    def deposit(self, **wish):
        side = "seller_siren" if wish.get("direction") == "OUTBOUND" else "buyer_siren"
        return self.sandbox.control("deposit", **{side: SIREN}, **wish)["invoices"]


@pytest.fixture
def office(transactional_db, settings):
    navette = Navette()
    settings.PUBLIC_URL = navette.url
    with SandboxServer(settings={"echo_delay": 0.3, "acube": {"missing_documents_on_208": True}}) as sandbox:
        try:
            yield Office(navette, sandbox)
        finally:
            navette.stop()


@pytest.fixture
def log_in(office, new_context):
    """A page of a person who has logged in; what its console complains about fails the test at the end."""
    complaints: list[list[str]] = []

    def open_page(username: str, **options):
        page = new_context(**options).new_page()
        heard: list[str] = []
        complaints.append(heard)
        page.on("console", lambda message: heard.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.goto(f"{office.navette.url}/accounts/login/")
        page.fill("input[name=login]", username)
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_url(f"{office.navette.url}/")
        return page

    yield open_page
    assert list(chain.from_iterable(complaints)) == []
