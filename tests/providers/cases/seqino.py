"""Seqino, for the contract battery: with its experimental endpoint, or there would be nothing to tell."""

from dataclasses import replace

from tests.providers.battery import Case, with_body
from tests.providers.seqino import samples


def _with_signature(value):
    return lambda request: replace(request, headers={**request.headers, "X-Webhook-Signature": value})


def _signature_of(request):
    return request.headers["X-Webhook-Signature"]


CASE = Case(
    kind="seqino",
    account=samples.make_account(status_endpoint="/lifecycle-events"),
    healthy=samples.healthy_routes,
    facts={"buyer": samples.make_facts(samples.RECEIVED), "seller": samples.make_facts(samples.ISSUED)},
    renews_token=False,
    read=lambda adapter: adapter.fetch_statuses(samples.RECEIVED),
    sign=samples.sign,
    forgeries={
        "other body": lambda request: with_body(request, request.body + b" "),
        "other secret": lambda request: _with_signature(samples.signature(request.body, "f" * 64))(request),
        "no signature": lambda request: replace(request, headers={"Content-Type": "application/json"}),
        "empty signature": _with_signature(""),
        "two signatures": lambda request: replace(
            request, headers={**request.headers, "x-webhook-signature": _signature_of(request)}
        ),
        "upper case": lambda request: _with_signature(_signature_of(request).upper())(request),
        "wrong byte": lambda request: _with_signature(
            ("0" if _signature_of(request)[0] != "0" else "1") + _signature_of(request)[1:]
        )(request),
    },
)
