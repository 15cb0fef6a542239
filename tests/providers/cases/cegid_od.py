"""Cegid, we being the concentrator, for the contract battery."""

from dataclasses import replace

from providers.cegid_od.adapter import CegidOD
from tests.providers.battery import Case, no_network, with_body
from tests.providers.cegid_od import samples
from tests.providers.fakes import make_adapter
from tests.providers.lines import Settled

ACCOUNT = samples.make_account(subscriptions=Settled(*samples.make_subscriptions().rows.values()))


def _sign(body, account=ACCOUNT, api_key=samples.API_KEY):
    return samples.signed(make_adapter(CegidOD, account, no_network), "lifecycle-events", body, api_key=api_key)


def _with_header(name, value):
    return lambda request: replace(request, headers={**request.headers, name: value})


CASE = Case(
    kind="cegid_od",
    account=ACCOUNT,
    healthy=samples.healthy_routes,
    facts={
        "buyer": samples.make_message(direction="received").invoice,
        "seller": samples.make_message(direction="issued").invoice,
    },
    renews_token=False,
    read=None,
    sign=_sign,
    forgeries={
        "no subscription key": _with_header("Ocp-Apim-Subscription-Key", ""),
        "other subscription key": _with_header("Ocp-Apim-Subscription-Key", "other"),
        "no token": _with_header("Authorization", ""),
        "other token": _with_header("Authorization", "Bearer x.y.z"),
        "token of another line": lambda request: _sign(request.body, api_key=samples.SECOND_KEY),
        "token of another connection": lambda request: _sign(request.body, samples.make_account(name="other")),
        "other line in the body": lambda request: with_body(
            request, request.body.replace(samples.LINE.encode(), samples.SECOND.encode())
        ),
    },
)
