"""The webhook door: verify the raw bytes, store them with one INSERT, nudge the worker, answer."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.utils import timezone
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from providers.connections import services
from providers.connections.limits import Limit, spend
from providers.connections.nudge import nudge
from providers.contract import base
from providers.models import Hook, WebhookDelivery

Lane = WebhookDelivery.Lane
# The layer above drains each lane by a task of its own.
TASKS = {Lane.INGEST: "lifecycle.tasks.drain_inbox", Lane.FETCH: "lifecycle.tasks.fetch_news"}
# Written down per hook; all are refused.
REFUSALS = Limit("refusals", 60)
# Pushes of a connection that nobody vouches for, a day.
UNPROVEN = Limit("unproven", 200, seconds=24 * 3600)
CLOSED = "This address is closed or was never open."

logger = logging.getLogger(__name__)


class TooLarge(base.HookError):
    status_code = 413


class AnyAnswer(BaseContentNegotiation):
    """Platforms read the status code: what they accept as a body is nothing to refuse a delivery for."""

    def select_parser(self, request: Any, parsers: Any) -> None:
        return None

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class PushView(APIView):
    """Nobody logs in, and nothing parses the body before it is verified."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = ()
    throttle_classes = ()
    content_negotiation_class = AnyAnswer
    schema = None


class HookView(PushView):
    """204 stored or duplicate (or what the kind's protocol wants); 400, 401, 403, 410, 413. Never a redirect or 404."""

    def post(self, request: Request, kind: str, token: str, rest: str = "") -> HttpResponse:
        found = services.find_hook(kind, token)
        if found is None:
            return _answer(410, CLOSED)
        row, adapter = found
        try:
            pushed = _read(request._request, row, adapter, rest.strip("/"))
            if (reply := adapter.serve(pushed)) is not None:
                return _reply(reply)
            adapter.verify_webhook(pushed)
            pushed = replace(pushed, line=adapter.line_of(pushed))
            key, lane = _read_key(adapter, pushed)
        except base.HookError as error:
            _note(row, error, _length(request._request) or 0)
            return _refuse(error)
        services.store_delivery(hook=row, pushed=pushed, key=key, lane=lane)
        nudge(TASKS[lane])
        return _reply(adapter.acknowledge(key))


def _note(row: Hook, error: base.HookError, size: int) -> None:
    """A flood of forgeries fills neither the log nor the database. What is genuine is never counted: a burst of it is
    stored as it comes, and worked on later.
    """
    if spend(REFUSALS, row.pk).is_over:
        return
    reason = services.storable(str(error))
    logger.warning("Webhook for %s refused (%s): %s", row.connection.name, error.status_code, reason)
    services.note_refusal(connection=row.connection, error=error, size=size)


class BelowView(HookView):
    """What a protocol wants below its address: a token, a subscription. Its adapter serves it."""

    def delete(self, request: Request, kind: str, token: str, rest: str) -> HttpResponse:
        return self.post(request, kind, token, rest)


class NowhereView(PushView):
    """Whatever else is pushed below /hooks/: no address of ours, and neither a redirect nor a 404."""

    def post(self, request: Request, rest: str = "") -> HttpResponse:
        return _answer(410, CLOSED)

    delete = post


def _read_key(adapter: base.Adapter, pushed: base.HookRequest) -> tuple[str, Lane]:
    """What tells this push from others, and whether a platform has to be asked about it. A genuine push that our own
    code chokes on is kept, for the worker to show.
    """
    try:
        delivery = adapter.parse_webhook(pushed)
    except base.HookError:
        raise
    except Exception:
        logger.exception("A genuine push to %s could not be read; it is stored all the same", adapter.account.name)
        return hashlib.sha256(pushed.body).hexdigest(), Lane.INGEST
    if delivery.unproven and spend(UNPROVEN, adapter.account.id).is_over:
        raise base.NotGenuine("Enough was kept for a look today, and this is not proven either.")
    return delivery.key, Lane.FETCH if delivery.bells or delivery.points_to else Lane.INGEST


def _read(request: HttpRequest, row: Hook, adapter: base.Adapter, rest: str) -> base.HookRequest:
    length = 0 if request.method == "DELETE" else _length(request)
    if length is None:
        # Django shows an empty body for a chunked request: better a clear refusal than an empty delivery.
        raise base.Malformed("No Content-Length: let the reverse proxy buffer requests.")
    if length > adapter.max_hook_body:
        raise TooLarge(f"The body has {length} bytes; {adapter.max_hook_body} are allowed.")
    try:
        body = request.read(length)
    except UnreadablePostError:
        body = b""
    if len(body) < length:
        raise base.Malformed("The connection ended before the whole body came.")
    return base.HookRequest(
        method=request.method or "POST",
        url=urljoin(settings.PUBLIC_URL, request.get_full_path()),
        headers=dict(request.headers),
        body=body,
        received_at=timezone.now(),
        line=services.line_of(row, adapter),
        rest=rest,
    )


def _length(request: HttpRequest) -> int | None:
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if length.isdecimal() and length.isascii() and len(length) < 16 else None


def _reply(reply: base.Reply) -> HttpResponse:
    if reply.document is None:
        return HttpResponse(status=reply.status_code)
    answer = JsonResponse(dict(reply.document), status=reply.status_code)
    answer["Cache-Control"] = "no-store"  # it may hold a token (RFC 6749 section 5.1)
    return answer


def _refuse(error: base.HookError) -> HttpResponse:
    if isinstance(error, base.Refusal):
        return _reply(base.Reply(status_code=error.status_code, document=error.document))
    answer = _answer(error.status_code, services.storable(str(error)))
    if isinstance(error, base.NotYet):
        answer["Retry-After"] = str(error.retry_after)
    return answer


def _answer(status_code: int, text: str) -> HttpResponse:
    return HttpResponse(text, status=status_code, content_type="text/plain; charset=utf-8")
