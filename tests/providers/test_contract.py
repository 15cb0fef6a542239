"""Every platform against the contract of providers/contract/base.py. A platform's case is found by its kind."""

import inspect
import json
import logging
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.utils.translation import override

from providers.connections.registry import explain
from providers.contract import base
from providers.contract.base import PermanentError, TemporaryError, UncertainError, Unsupported
from providers.contract.kinds import ADAPTERS
from providers.norm.codes import REASONS

from .battery import HOSTILE_BODIES, Case, echo_everything, no_network, unknown_words
from .pigeon import case as pigeon

REGISTERED: list[Case] = [import_module(f"tests.providers.cases.{kind}").CASE for kind in ADAPTERS]
CASES = [*REGISTERED, pigeon.CASE]

FIELD_TYPES = {"str": str, "int": int, "bool": bool, "url": str, "list": list, "choice": str}

every_case = pytest.mark.parametrize("case", CASES, ids=str)


def able(capability: str):
    """The platforms that offer this."""
    return pytest.mark.parametrize("case", [c for c in CASES if getattr(c.make().capabilities, capability)], ids=str)


def payloads(*folders: str):
    rows = [(case, name, body) for case in CASES for folder in folders for name, body in case.payloads(folder).items()]
    return pytest.mark.parametrize(("case", "name", "body"), rows, ids=[f"{case}-{name}" for case, name, _body in rows])


def sayable(*, first_only: bool = False):
    rows = [(case, *row) for case in CASES for row in (case.sayable()[:1] if first_only else case.sayable())]
    return pytest.mark.parametrize(("case", "status", "side"), rows, ids=[f"{c}-{s}-{side}" for c, s, side in rows])


# --- what it declares ---


def test_every_adapter_has_its_own_case():
    assert [case.kind for case in REGISTERED] == list(ADAPTERS)


@every_case
def test_declaration(case: Case):
    cls = case.adapter_class
    assert (cls.kind, bool(cls.label)) == (case.kind, True)
    assert 200 <= cls.hook_success_status < 300
    for group in (cls.settings_fields, cls.secret_fields, cls.line_setting_fields, cls.line_secret_fields):
        names = [field.name for field in group]
        assert sorted(set(names)) == sorted(names)
        assert [field.name for field in group if not field.help or field.type not in FIELD_TYPES] == []
        for field in group:
            assert field.default is None or isinstance(field.default, FIELD_TYPES[field.type])
            assert (field.type == "choice") == bool(field.choices)
            assert field.type != "choice" or field.default in field.choices


@every_case
def test_secrets_have_no_default(case: Case):
    fields = (*case.adapter_class.secret_fields, *case.adapter_class.line_secret_fields)
    assert [field.name for field in fields if field.default is not None] == []


@every_case
def test_explanation_is_json(case: Case, monkeypatch):
    monkeypatch.setitem(ADAPTERS, case.kind, f"{case.adapter_class.__module__}.{case.adapter_class.__qualname__}")
    assert json.loads(json.dumps(explain(case.kind)))["kind"] == case.kind


def documented_row(field: base.Field) -> str:
    """A field's line in the platform's page."""
    default = ("no", "yes")[field.default] if field.type == "bool" else "" if field.default is None else field.default
    default = ", ".join(default) if isinstance(default, list) else default
    choices = f" ({', '.join(field.choices)})" if field.choices else ""
    required = " Required." if field.required else ""
    return f"| `{field.name}` | {field.type}{choices} | {default} | {field.help}{required} |"


@every_case
def test_fields_are_documented(case: Case):
    cls = case.adapter_class
    lines = (Path(settings.BASE_DIR) / case.docs).read_text().splitlines()
    fields = (*cls.settings_fields, *cls.secret_fields, *cls.line_setting_fields, *cls.line_secret_fields)
    with override("en"):
        assert [row for row in map(documented_row, fields) if row not in lines] == []


OFFERS = {
    "webhooks": ("verify_webhook", "parse_webhook"),
    "polling": ("poll",),
    "look_up": ("find_status",),
    "history": ("fetch_statuses",),
    "submit_formats": ("submit_invoice",),
    "buyer_statuses": ("send_status",),
    "seller_statuses": ("send_status",),
}


@every_case
@pytest.mark.parametrize("capability", OFFERS)
def test_capability_is_more_than_a_word(case: Case, capability):
    if getattr(case.make().capabilities, capability):
        inherited = [
            name for name in OFFERS[capability] if getattr(case.adapter_class, name) is getattr(base.Adapter, name)
        ]
        assert inherited == []


@every_case
def test_what_is_not_offered_says_so(case: Case):
    for name, method in inspect.getmembers(base.Adapter, inspect.isfunction):
        if "Unsupported" in inspect.getsource(method) and getattr(case.adapter_class, name) is method:
            adapter, arguments = case.make(no_network), [None] * (len(inspect.signature(method).parameters) - 1)
            with pytest.raises(Unsupported):
                getattr(adapter, name)(*arguments)


# --- pushes ---


@payloads("genuine", "unknown")
def test_genuine_push_is_accepted(case: Case, name, body):
    case.make().verify_webhook(case.genuine(body))


def forgeries():
    rows = [(case, name) for case in CASES for name in case.forgeries]
    return pytest.mark.parametrize(("case", "forgery"), rows, ids=[f"{case}-{name}" for case, name in rows])


@forgeries()
def test_forged_push_is_refused(case: Case, forgery):
    body = next(iter(case.payloads("genuine").values()))
    with pytest.raises((base.NotGenuine, base.WrongLine)):
        case.make().verify_webhook(case.forgeries[forgery](case.genuine(body)))


@payloads("genuine")
def test_genuine_push_is_read_without_network_and_alike_each_time(case: Case, name, body):
    request = case.genuine(body)
    first, second = case.make(no_network).parse_webhook(request), case.make(no_network).parse_webhook(request)
    assert first == second
    assert 0 < len(first.key) <= 200
    assert bool(first.bells or first.statuses or first.invoices or first.points_to) != bool(first.ignored)
    assert unknown_words(first) == []


@every_case
def test_pushes_have_keys_of_their_own(case: Case):
    bodies = case.payloads("genuine").values()
    keys = [case.make(no_network).parse_webhook(case.genuine(body)).key for body in bodies]
    assert sorted(set(keys)) == sorted(keys)


@payloads("unknown")
def test_unknown_word_is_kept(case: Case, name, body):
    delivery = case.make(no_network).parse_webhook(case.genuine(body))
    assert bool(delivery.ignored) or any(unknown_words(delivery))


@payloads("malformed")
def test_malformed_push_is_refused(case: Case, name, body):
    with pytest.raises(base.Malformed):
        case.make(no_network).parse_webhook(case.genuine(body))


@able("webhooks")
@pytest.mark.parametrize("name", HOSTILE_BODIES)
def test_hostile_push_never_breaks_the_door(case: Case, name):
    try:
        delivery = case.make(no_network).parse_webhook(case.genuine(HOSTILE_BODIES[name]))
    except base.HookError:
        return
    assert 0 < len(delivery.key) <= 200


# --- telling ---


@sayable()
def test_offered_status_is_told_once(case: Case, status, side):
    far_end = case.far_end()
    receipt = case.make(far_end).send_status(case.message(status, side))
    told = [request for request in far_end.requests if not case.is_read(request) and not case.is_login(request)]
    assert (isinstance(receipt, base.Receipt), len(told)) == (True, 1)


@every_case
@pytest.mark.parametrize("side", ["buyer", "seller"])
@pytest.mark.parametrize("status", ["200", "213", "250", "999"])
def test_status_of_the_platforms_is_never_told(case: Case, status, side):
    with pytest.raises(Unsupported):
        case.make(no_network).send_status(case.message(status, side))


@sayable()
def test_offered_reasons_are_national(case: Case, status, side):
    offered = case.make(no_network).reasons_for(status, side=side) or frozenset()
    assert sorted(code for code in offered if status not in REASONS[code].statuses) == []


@sayable(first_only=True)
@pytest.mark.parametrize(
    ("answer", "kind", "retry_after"),
    [
        (httpx.ConnectError("x"), TemporaryError, None),
        (httpx.ConnectTimeout("x"), TemporaryError, None),
        (httpx.ReadTimeout("x"), UncertainError, None),
        (httpx.RemoteProtocolError("x"), UncertainError, None),
        ((500, {}), UncertainError, None),
        ((503, {}), UncertainError, None),
        ((503, {}, {"retry-after": "17"}), TemporaryError, 17),
        ((429, {}, {"retry-after": "17"}), TemporaryError, 17),
        ((302, {}, {"location": "https://elsewhere.example.test/"}), UncertainError, None),
        ((200, b"<html><title>Please log in</title></html>", {"content-type": "text/html"}), UncertainError, None),
        ((200, b""), UncertainError, None),
        ((200, b"\xff\xfe\x00{"), UncertainError, None),
        ((400, {}), PermanentError, None),
        ((403, b"<html>"), PermanentError, None),
        ((401, {}), PermanentError, None),
    ],
    ids=str,
)
def test_telling_fails_in_our_terms(case: Case, status, side, answer, kind, retry_after):
    far_end = case.failing(answer)
    with pytest.raises(base.PlatformError) as caught:
        case.make(far_end).send_status(case.message(status, side))
    told = base.PermanentError if isinstance(caught.value, base.LoginRefused) else type(caught.value)
    assert (told, getattr(caught.value, "retry_after", None)) == (kind, retry_after)
    again = case.renews_token and isinstance(answer, tuple) and answer[0] == 401  # once more with a new token
    assert len(far_end.requests) == (2 if again else 1)


@able("look_up")
def test_lost_statement_is_not_found_on_a_platform_that_does_not_show_it(case: Case):
    status, side = case.sayable()[0]
    far_end = case.far_end()
    assert case.make(far_end).find_status(case.message(status, side)) is None
    assert far_end.requests != []
    assert [request for request in far_end.requests if not case.is_login(request) and not case.is_read(request)] == []


@able("look_up")
@pytest.mark.parametrize("answer", [(500, {}), (200, b"<html>"), httpx.ReadTimeout("x")], ids=str)
def test_failed_look_up_is_never_taken_for_absence(case: Case, answer):
    status, side = case.sayable()[0]
    with pytest.raises(base.PlatformError):
        case.make(case.failing(answer)).find_status(case.message(status, side))


# --- asking ---


@pytest.mark.parametrize("case", [case for case in CASES if case.read], ids=str)
@pytest.mark.parametrize(
    ("answer", "kind", "retry_after"),
    [
        (httpx.ConnectError("x"), TemporaryError, None),
        (httpx.ReadTimeout("x"), TemporaryError, None),
        ((500, {}), TemporaryError, None),
        ((503, {}, {"retry-after": "25"}), TemporaryError, 25),
        ((429, {}, {"retry-after": "17"}), TemporaryError, 17),
        ((200, b"<html>"), TemporaryError, None),
        ((403, {}), PermanentError, None),
    ],
    ids=str,
)
def test_asking_fails_in_our_terms(case: Case, answer, kind, retry_after):
    with pytest.raises(base.PlatformError) as caught:
        case.read(case.make(case.failing(answer)))
    assert (type(caught.value), getattr(caught.value, "retry_after", None)) == (kind, retry_after)


@able("polling")
def test_poll_goes_on_from_its_own_cursor(case: Case):
    adapter = case.make()
    first = adapter.poll({})
    second = adapter.poll(json.loads(json.dumps(first.cursor)))
    assert {report.direction for report in first.invoices} <= {"received", "issued"}
    assert second.cursor == first.cursor


@every_case
def test_check_of_a_broken_platform_raises_nothing(case: Case):
    results = list(case.make(case.failing((500, {}))).check())
    assert (all(result.name for result in results), [result for result in results if not result.ok] != []) == (
        True,
        True,
    )


# --- secrets ---


@every_case
def test_secrets_show_nowhere(case: Case, caplog):
    caplog.set_level(logging.DEBUG)
    far_end = case.failing(echo_everything)
    adapter = case.make(far_end)
    shown = [repr(case.account), repr(vars(adapter)), repr(replace(case.account, name="other"))]
    status, side = case.sayable()[0]
    reads = [lambda: case.read(adapter)] if case.read else []
    for call in (*reads, lambda: adapter.send_status(case.message(status, side))):
        with pytest.raises(base.PlatformError) as caught:
            call()
        shown += [repr(caught.value), str(caught.value), caught.value.answer]
    everything = "\n".join([*shown, *(result.message for result in adapter.check()), caplog.text])
    credentials = [request.headers.get("authorization", "").rpartition(" ")[2] for request in far_end.requests]
    secrets = {*case.account.secrets.values(), *credentials} - {""}
    assert (len(secrets) > 0, [secret for secret in secrets if secret in everything]) == (True, [])
