"""Cegid, we being the platform, for the contract battery."""

from dataclasses import replace

from tests.providers.battery import Case, with_body
from tests.providers.cegid import samples
from tests.providers.lines import Settled

CASE = Case(
    kind="cegid",
    account=samples.make_account(subscriptions=Settled(), callback_secret_header="X-Callback-Secret"),
    healthy=samples.healthy_routes,
    facts={"buyer": samples.make_facts("issued"), "seller": samples.make_facts("received")},
    is_login=lambda request: request.url.path == "/connect/token",
    read=lambda adapter: adapter.subscribe(samples.make_line()),
    sign=lambda body: samples.pushed(
        body,
        replace(samples.make_line(), secrets={"api_key": samples.API_KEY, "callback_secret": "c4llback"}),
        headers={"X-Callback-Secret": "c4llback"},
    ),
    forgeries={
        "no secret": lambda request: replace(request, headers={}),
        "other secret": lambda request: replace(request, headers={"X-Callback-Secret": "c4llbacK"}),
        "other line's address": lambda request: replace(
            request, line=replace(samples.make_line(samples.SECOND), secrets=request.line.secrets)
        ),
        "other line in the body": lambda request: with_body(
            request, request.body.replace(samples.LINE.encode(), samples.SECOND.encode())
        ),
    },
)
