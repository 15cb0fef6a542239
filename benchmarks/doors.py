"""What our webhook door is compared with: a bare view, and a view that does all the work before it answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from einvoice_project.health import alive
from lifecycle.inbox import deliveries
from providers.acube.keys import KEY_MEMORY
from providers.acube.webhooks import parse_public_key
from providers.connections import services
from providers.hooks import views
from providers.models import Hook

from .stage import WEBHOOK_TOKEN


@cache
def known(token: str) -> tuple[Hook, Ed25519PublicKey]:
    hook = Hook.objects.select_related("connection").get(token=token)
    return hook, parse_public_key(hook.connection.memory[KEY_MEMORY]["key"])


@csrf_exempt
def bare(request: HttpRequest, token: str) -> HttpResponse:
    """As short as a view can be that checks the same signature and keeps the same row."""
    hook, key = known(token)
    headers, body = request.headers, request.body
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    genuine = hmac.compare_digest(headers["x-webhook-token"], WEBHOOK_TOKEN) and (
        headers["content-digest"] == f"sha-256=:{digest}:"
    )
    parameters = headers["signature-input"].partition("=")[2]
    created = int(re.search(r"created=(\d+)", parameters)[1])  # type: ignore[index]
    if not genuine or abs(time.time() - created) > 900:
        return HttpResponse(status=401)
    target = settings.PUBLIC_URL + request.get_full_path()
    lines = [
        '"@method": POST',
        f'"@authority": {request.headers["host"]}',
        f'"@target-uri": {target}',
        f'"date": {headers["date"]}',
        f'"content-digest": {headers["content-digest"]}',
        f'"@signature-params": {parameters}',
    ]
    key.verify(base64.b64decode(headers["signature"].partition(":")[2][:-1]), "\n".join(lines).encode())
    now = timezone.now()
    event = json.loads(body)
    values = [uuid.uuid4(), hook.connection_id, "", event["eventId"], now, target, json.dumps(dict(headers)), body, now]
    with connection.cursor() as cursor:
        cursor.execute(services.INSERT, values)
    return HttpResponse(status=204)


@csrf_exempt
def inside(request: HttpRequest, token: str) -> HttpResponse:
    """Our door, then the worker's part: take the delivery up, ask the platform, record what it says."""
    answer = views.HookView.as_view()(request, kind="acube", token=token)
    deliveries.drain(limit=1)
    return answer


urlpatterns = [
    path("healthz", alive),
    path("hooks/", include("providers.hooks.urls")),  # an adapter names our address
    path("bare/<str:token>/", bare),
    path("inside/<str:token>/", inside),
]
