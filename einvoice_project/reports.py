"""Where browsers tell what our content security policy kept them from doing."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from providers.connections.limits import Limit, spend
from providers.connections.services import storable

# Anybody may call: for all of them together, and of each no more than this.
REPORTS = Limit("csp", 30)
LONGEST = 8_192
PARTS = ("document-uri", "violated-directive", "blocked-uri", "line-number")

logger = logging.getLogger(__name__)


@csrf_exempt
@require_POST
def policy_report(request: HttpRequest) -> HttpResponse:
    length = request.headers.get("Content-Length", "")
    if not re.fullmatch("[0-9]{1,9}", length) or int(length) > LONGEST:
        return HttpResponse(status=413)
    if not spend(REPORTS, "all").is_over:
        logger.warning("A browser was kept from something by the content security policy: %s", _told(request.body))
    return HttpResponse(status=204)


def _told(body: bytes) -> str:
    try:
        report: Any = json.loads(body)["csp-report"]
        rows = [f"{part}={report.get(part, '')!r:.200}" for part in PARTS]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "a report that cannot be read"
    return storable(" ".join(rows))
