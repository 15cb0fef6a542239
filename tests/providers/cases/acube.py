"""A-Cube, for the contract battery."""

from dataclasses import replace
from datetime import timedelta

from tests.providers.acube import samples
from tests.providers.battery import Case, with_body

LOGIN_PATHS = {"/login", "/signature-public-key"}


def _with_header(name, value):
    return lambda request: replace(request, headers={**request.headers, name: value})


CASE = Case(
    kind="acube",
    account=samples.make_account(),
    healthy=samples.healthy_routes,
    facts={"buyer": samples.make_facts(samples.RECEIVED), "seller": samples.make_facts(samples.ISSUED)},
    is_login=lambda request: request.url.path in LOGIN_PATHS,
    read=lambda adapter: adapter.fetch_statuses(samples.RECEIVED),
    sign=samples.sign,
    forgeries={
        "other secret": _with_header("X-Webhook-Token", "other"),
        "other date": _with_header("Date", "Tue, 22 Sep 2026 14:13:20 GMT"),
        "no signature": lambda request: replace(
            request, headers={name: value for name, value in request.headers.items() if name != "Signature"}
        ),
        "other body": lambda request: with_body(request, request.body + b" "),
        "other address": lambda request: replace(request, url=request.url + "x"),
        "other method": lambda request: replace(request, method="PUT"),
        "other key": lambda request: samples.sign(request.body, key=samples.OTHER_KEY),
        "stale": lambda request: replace(request, received_at=request.received_at + timedelta(hours=1)),
        "from the future": lambda request: replace(request, received_at=request.received_at - timedelta(hours=1)),
    },
)
