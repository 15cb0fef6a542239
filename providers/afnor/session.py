"""Authenticated calls to a platform of XP Z12-013: addresses, token, headers, time limits."""

from __future__ import annotations

import base64
import hashlib
import logging
import uuid
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from django.utils.translation import gettext as _

from providers.contract.base import MIB, LoginRefused, PermanentError, PlatformError, TemporaryError
from providers.contract.http import Answer, HttpAdapter, explain
from providers.formats.decimals import read_decimal

from . import flows

JSON = "application/json"
SEVERAL = 4 * MIB
RENEW_BEFORE = timedelta(seconds=60)

logger = logging.getLogger(__name__)


def new_request_id() -> str:
    """What platform and we call one request by, when somebody asks."""
    return str(uuid.uuid4())


class Session(HttpAdapter):
    """What all calls share. `platform` is the connection's name, for this kind has many platforms."""

    @property
    def platform(self) -> str:
        return self.account.name or self.label

    def url(self, *path: str, base: str = "flow_base_url") -> str:
        """The address of a resource; the contract's paths start with /v1."""
        address = (self.setting(base) or "").rstrip("/").removesuffix("/v1")
        if not address:
            raise PermanentError(_("The address %(setting)s is missing in the connection.") % {"setting": base})
        return "/".join((address, "v1", *path))

    def flow_url(self, flow_id: str) -> str:
        """`flow_id` may come from a push, so it cannot leave its place in the path."""
        if not flows.FLOW_ID.fullmatch(flow_id):
            raise PermanentError(_("“%(reference)s” is no identifier of a flow.") % {"reference": flow_id[:100]})
        return self.url("flows", quote(flow_id, safe=""))

    # --- the token ---

    @property
    def _token_scope(self) -> str:
        """Another account or address must not inherit the token of the former one."""
        parts = [self.setting("token_url"), self.setting("scope"), self.account.secrets.get("client_id", "")]
        return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]

    def log_in(self) -> tuple[str, datetime]:
        """OAuth2 client credentials (RFC 6749 section 4.4): the token, and from when on a new one is wanted."""
        answer = self.wire.exchange(
            "POST", self.setting("token_url") or "", repeatable=True, timeout=self.timeout(), **self._credentials()
        )
        if answer.status_code in (400, 401, 403):
            words = _(
                "%(platform)s refuses the login: check client id, client secret, scope and token address. %(told)s"
            )
            message = words % {"platform": self.platform, "told": explain(answer)}
            raise LoginRefused(message.strip(), status_code=answer.status_code, answer=answer.text)
        document = self.wire.require_json(self.wire.require_success(answer, repeatable=True))
        token = document.get("access_token") if isinstance(document, dict) else None
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            message = _("The answer of %(platform)s to the login holds no token.") % {"platform": self.platform}
            raise TemporaryError(message, status_code=answer.status_code)
        return token, datetime.now(UTC) + self._life(document.get("expires_in")) - RENEW_BEFORE

    def _life(self, told: Any) -> timedelta:
        found = read_decimal(told)
        seconds = self.setting("token_seconds") if found is None else float(found)
        return timedelta(seconds=min(max(seconds, RENEW_BEFORE.total_seconds() + 1), 86400))

    def _credentials(self) -> dict[str, Any]:
        names = {name: self.account.secrets.get(name, "") for name in ("client_id", "client_secret")}
        if not all(names.values()):
            raise LoginRefused(_("The client id or the client secret of the account is missing."))
        form = {"grant_type": "client_credentials"}
        form |= {"scope": self.setting("scope")} if self.setting("scope") else {}
        if self.setting("token_auth_style") == "body":
            return {"data": form | names}
        pair = ":".join(map(quote_plus, names.values()))  # RFC 6749 section 2.3.1
        shown = base64.b64encode(pair.encode()).decode()
        return {"data": form, "headers": {"Authorization": f"Basic {shown}"}}

    # --- calls ---

    def call(
        self,
        method: str,
        url: str,
        *,
        repeatable: bool,
        upload: bool = False,
        allow: Collection[int] = (),
        request_id: str = "",
        **options: Any,
    ) -> Answer:
        """An answer that is 2xx or among `allow`. Its Request-Id is logged, and stands with every error."""
        request_id = request_id or new_request_id()
        headers = {"Request-Id": request_id, "Accept": JSON} | options.pop("headers", {})
        if self.setting("organization_id"):
            headers["Organization-Id"] = self.setting("organization_id")
        options = {"timeout": self.timeout(upload=upload), "headers": headers} | options
        try:
            answer = self._with_token(method, url, repeatable=repeatable, **options)
            logger.debug("%s %s: %s, Request-Id %s", method, urlsplit(url).path, answer.status_code, request_id)
            if answer.status_code in allow:
                return answer
            if answer.status_code == 403:
                words = _("%(platform)s denies access (403): check organization_id and the account's rights. %(told)s")
                message = words % {"platform": self.platform, "told": explain(answer)}
                raise PermanentError(message.strip(), status_code=403, answer=answer.text)
            return self.wire.require_success(answer, repeatable=repeatable)
        except PlatformError as error:
            error.answer = f"Request-Id: {request_id}\n{error.answer}".strip()[:4000]
            raise

    def _with_token(self, method: str, url: str, *, repeatable: bool, **options: Any) -> Answer:
        """A token refused is replaced once, for a 401 says that nothing was done."""
        scope = self._token_scope
        token = self.tokens.get(scope, self.log_in)
        answer = self.wire.exchange(method, url, repeatable=repeatable, bearer=token, **options)
        if answer.status_code != 401:
            return answer
        self.tokens.drop(scope, token)
        token = self.tokens.get(scope, self.log_in)
        answer = self.wire.exchange(method, url, repeatable=repeatable, bearer=token, **options)
        if answer.status_code == 401:
            words = _("%(platform)s does not accept its own token: check that token and flow address belong together.")
            raise LoginRefused(words % {"platform": self.platform}, status_code=401, answer=answer.text)
        return answer

    def read(self, method: str, url: str, **options: Any) -> Any:
        """The JSON of a call that changes nothing; None for 204."""
        answer = self.call(method, url, repeatable=True, max_bytes=SEVERAL, **options)
        return None if answer.status_code == 204 else self.wire.require_json(answer)
