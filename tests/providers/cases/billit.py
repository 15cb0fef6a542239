"""Billit, for the contract battery."""

from dataclasses import replace
from datetime import timedelta

from tests.providers.battery import Case, with_body
from tests.providers.billit import samples


def _with_signature(change):
    def forge(request):
        header = change(request.headers["Billit-Signature"])
        return replace(request, headers={**request.headers, "Billit-Signature": header})

    return forge


CASE = Case(
    kind="billit",
    account=samples.make_account(),
    healthy=samples.healthy_routes,
    facts={"buyer": samples.make_facts(samples.RECEIVED), "seller": samples.make_facts(samples.ISSUED)},
    renews_token=False,
    read=lambda adapter: adapter.fetch_statuses(samples.RECEIVED),
    sign=samples.sign,
    forgeries={
        "no signature": lambda request: replace(request, headers={}),
        "other body": lambda request: with_body(request, request.body + b" "),
        "other secret": lambda request: samples.sign(request.body, secret="other"),
        "secret of another webhook": lambda request: replace(request, rest="message-i"),
        "address of another line": lambda request: replace(request, line=samples.make_line(samples.OTHER_LINE)),
        "address of no line": lambda request: replace(request, line=None),
        "no secret": lambda request: samples.sign(request.body, secret=""),
        "other time": _with_signature(lambda header: header.replace("t=1", "t=2", 1)),
        "no time": _with_signature(lambda header: header.partition(",")[2]),
        "no digest": _with_signature(lambda header: header.partition(",")[0]),
        "two digests": _with_signature(lambda header: f"{header},s={'0' * 64}"),
        "stale": lambda request: replace(request, received_at=request.received_at + timedelta(seconds=302)),
        "from the future": lambda request: replace(request, received_at=request.received_at - timedelta(seconds=302)),
    },
)
