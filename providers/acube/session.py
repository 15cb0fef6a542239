"""Authenticated calls to A-Cube: addresses, token, time limits."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _

from providers.contract.base import MIB, LoginRefused, PermanentError
from providers.contract.http import Answer, HttpAdapter

from . import auth, reading, tables

JSON = "application/json"
LIST = "application/ld+json"  # the form that tells whether there is more
SEVERAL = 4 * MIB


class Session(HttpAdapter):
    """What all of A-Cube's calls share."""

    @property
    def api_url(self) -> str:
        return self._address("api_url", tables.API_URLS)

    @property
    def login_url(self) -> str:
        return self._address("login_url", tables.LOGIN_URLS)

    def _address(self, name: str, defaults: dict[str, str]) -> str:
        return (self.setting(name) or defaults.get(self.account.environment, "")).rstrip("/")

    def url(self, path_name: str, reference: str = "") -> str:
        """The address of a resource; `reference` may come from a push, so it cannot leave its place in the path."""
        if "{uuid}" in (path := self.setting(path_name)) and not reading.REFERENCE.fullmatch(reference):
            raise PermanentError(
                _("“%(reference)s” is no invoice number of A-Cube's.") % {"reference": reference[:100]}
            )
        return self.api_url + path.replace("{uuid}", quote(reference, safe=""))

    def log_in(self) -> tuple[str, Any]:
        credentials = {name: self.account.secrets.get(name, "") for name in ("email", "password")}
        if not all(credentials.values()):
            raise LoginRefused(_("The e-mail address or the password of the A-Cube account is missing."))
        if self.setting("login_environment_field"):
            credentials["environment"] = self.account.environment
        return auth.log_in(self.wire, f"{self.login_url}/login", credentials, timeout=self.timeout())

    def exchange(self, method: str, url: str, *, repeatable: bool, upload: bool = False, **options: Any) -> Answer:
        """With a token; a token refused is replaced once, for a 401 says that nothing was done."""
        scope = auth.token_scope(self.login_url, self.account.secrets.get("email", ""))
        options = {"timeout": self.timeout(upload=upload)} | options
        token = self.tokens.get(scope, self.log_in)
        answer = self.wire.exchange(method, url, repeatable=repeatable, bearer=token, **options)
        if answer.status_code != 401:
            return answer
        self.tokens.drop(scope, token)
        token = self.tokens.get(scope, self.log_in)
        answer = self.wire.exchange(method, url, repeatable=repeatable, bearer=token, **options)
        if answer.status_code == 401:
            message = _("A-Cube does not accept its own token: check that login and API belong to one environment.")
            raise LoginRefused(message, status_code=401, answer=answer.text)
        return answer

    def read(self, url: str, *, accept: str = JSON, **options: Any) -> Any:
        """The JSON of a resource."""
        headers = {"Accept": accept}
        answer = self.exchange("GET", url, repeatable=True, headers=headers, max_bytes=SEVERAL, **options)
        return self.wire.require_json(self.wire.require_success(answer, repeatable=True))

    def read_list(self, url: str, **options: Any) -> reading.ListPage:
        page = reading.parse_list(self.read(url, accept=LIST, **options))
        if page is None:
            raise PermanentError(_("A-Cube's answer is no list: check the paths of the connection."))
        return page

    def tell(self, method: str, url: str, **options: Any) -> Answer:
        """A call that must not be made twice."""
        headers = {"Accept": JSON} | options.pop("headers", {})
        answer = self.exchange(method, url, repeatable=False, headers=headers, **options)
        return self.wire.require_success(answer, repeatable=False)
