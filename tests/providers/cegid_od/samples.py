"""Our own concentrator: a line with connection data, a platform that subscribed, and its calls."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from providers.cegid_od.adapter import CegidOD
from providers.contract.base import Account, HookRequest, Line, StatusMessage, Subscription
from tests.providers.cegid import samples
from tests.providers.cegid.samples import API_KEY, LINE, SECOND, SECOND_KEY, SUBSCRIPTION_KEY
from tests.providers.fakes import FarEnd, make_adapter
from tests.providers.lines import Lines, Subscriptions

HOOK = "https://navette.example.test/hooks/cegid_od/t0k3n/"
CALLBACK = "https://8.8.8.8/hooks/cegid/9f2c-unguessable/"
CALLED = "POST /hooks/cegid/9f2c-unguessable/"


def make_subscriptions(**changes: Any) -> Subscriptions:
    row = Subscription(line_identifier=LINE, state="active", reference="s-1", callback_url=CALLBACK)
    return Subscriptions(replace(row, **changes))


def make_account(
    *lines: Line, subscriptions: Subscriptions | None = None, name: str = "od-main", **settings: Any
) -> Account:
    lines = lines or (samples.make_line(), samples.make_line(SECOND, SECOND_KEY))
    return Account(
        id=f"id-of-{name}",
        name=name,
        environment="sandbox",
        settings={"requests_per_second": 0} | settings,
        secrets={"subscription_key": SUBSCRIPTION_KEY},
        hook_url=HOOK,
        lines=Lines(*lines),
        subscriptions=subscriptions or make_subscriptions(),
    )


def healthy_routes() -> dict[str, Any]:
    return {
        CALLED: (202, {"received": True, "id": "r-1"}),
        "HEAD /hooks/cegid/9f2c-unguessable/": (405, b""),
    }


def make_od(
    routes: dict[str, Any] | None = None, account: Account | None = None, **settings: Any
) -> tuple[CegidOD, FarEnd]:
    far_end = FarEnd(healthy_routes() | (routes or {}))
    return make_adapter(CegidOD, account or make_account(**settings), far_end), far_end


def make_message(status: str = "205", direction: str = "received", **changes: Any) -> StatusMessage:
    role = "BY" if direction == "received" else "SE"
    return samples.make_message(status, direction, **({"issuer_role": role} | changes))


def make_call(rest: str = "", body: Any = b"", *, method: str = "POST", **headers: str) -> HookRequest:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HookRequest(
        method=method,
        url=HOOK + rest,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=content,
        received_at=datetime.now(UTC),
        rest=rest,
    )


def ask_token(adapter: CegidOD, api_key: str = API_KEY, **form: str) -> Any:
    client_id, _colon, secret = api_key.partition(":")
    fields = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret} | form
    body = "&".join(f"{name}={value}" for name, value in fields.items() if value)
    request = make_call("connect/token", body.encode(), Content_Type="application/x-www-form-urlencoded")
    return adapter.serve(request)


def get_token(adapter: CegidOD, api_key: str = API_KEY) -> str:
    return str(ask_token(adapter, api_key).document["access_token"])


def signed(
    adapter: CegidOD, rest: str, body: Any = b"", *, method: str = "POST", api_key: str = API_KEY
) -> HookRequest:
    headers = {"Authorization": f"Bearer {get_token(adapter, api_key)}", "Ocp_Apim_Subscription_Key": SUBSCRIPTION_KEY}
    return make_call(rest, body, method=method, Content_Type="application/json", **headers)
