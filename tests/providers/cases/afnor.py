"""A platform of AFNOR XP Z12-013, for the contract battery."""

from dataclasses import replace
from datetime import timedelta

from tests.providers.afnor import samples
from tests.providers.battery import Case, with_body


def _without(name):
    return lambda request: replace(request, headers={key: it for key, it in request.headers.items() if key != name})


CASE = Case(
    kind="afnor",
    account=samples.make_account(),
    healthy=samples.healthy_routes,
    facts={"buyer": samples.make_facts(samples.RECEIVED), "seller": samples.make_facts(samples.ISSUED)},
    is_login=lambda request: request.url.path == samples.TOKEN_PATH,
    is_read=lambda request: request.method == "GET" or request.url.path == samples.SEARCH,
    read=lambda adapter: adapter.poll({}),
    sign=samples.sign,
    forgeries={
        "no signature": _without("Afnor-Signature"),
        "no timestamp": _without("Afnor-Signature-Timestamp"),
        "other timestamp": lambda request: replace(
            request, headers={**request.headers, "Afnor-Signature-Timestamp": "1790000000"}
        ),
        "other body": lambda request: with_body(request, request.body + b" "),
        "other key": lambda request: samples.sign(request.body, key="b3RoZXI="),
        "stale": lambda request: replace(request, received_at=request.received_at + timedelta(hours=1)),
        "from the future": lambda request: replace(request, received_at=request.received_at - timedelta(hours=1)),
    },
)
