"""Every environment variable Navette reads. `python -m einvoice_project.environment` prints docs/environment.md."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import environ
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

Kind = Literal["text", "yes/no", "number", "list", "address"]


@dataclass(frozen=True)
class Variable:
    name: str
    kind: Kind
    help: str
    default: Any = None
    required: bool = False
    shown_default: str = ""


CASTS: dict[Kind, Callable[[str], Any]] = {"text": str, "yes/no": bool, "number": int, "list": list, "address": str}

VARIABLES = (
    Variable(
        "SECRET_KEY",
        "text",
        "Signs sessions and forms: at least 50 random characters. Changing it logs everybody out.",
        required=True,
    ),
    Variable(
        "SECRETS_KEYS",
        "list",
        "Fernet keys that seal the platforms' credentials in the database, newest first: the first one seals, all of "
        "them open. Losing them loses those credentials.",
        required=True,
    ),
    Variable(
        "HISTORY_KEYS",
        "list",
        "Random texts of at least 32 characters, newest first: the first one seals the end of each history and signs "
        "anchors and exports, all of them check. Keep them out of the database and its backups.",
        default=[],
        shown_default="derived from `SECRETS_KEYS`",
    ),
    Variable(
        "ANCHOR_MAIL",
        "list",
        "Addresses that are mailed the hash of each history anchor: outside this machine, it proves that no history "
        "older than it was changed.",
        default=[],
        shown_default="none",
    ),
    Variable(
        "WATCH_MAIL",
        "list",
        "Addresses that are mailed what `manage.py doctor` finds, once while it lasts. A legal deadline that runs out "
        "is also told to those who may decide for the customer.",
        default=[],
        shown_default="none",
    ),
    Variable(
        "PUBLIC_URL",
        "address",
        "The address under which people and platforms reach Navette, for example `https://navette.example.com`. "
        "Webhook addresses and the check of their signatures use it, never the host a request names.",
        required=True,
    ),
    Variable(
        "OUTBOUND_INSIDE",
        "yes/no",
        "Platforms of production connections may stand in a private network, or be called without TLS, as those of "
        "sandbox connections always may. Metadata services of clouds are never called, and no proxy is used.",
        default=False,
    ),
    Variable(
        "ALLOWED_HOSTS",
        "list",
        "Host names a request may name.",
        shown_default="the host of `PUBLIC_URL`, and this machine",
    ),
    Variable(
        "DATABASE_URL",
        "address",
        "`postgres://user:password@host:5432/name`. Unset: an embedded PostgreSQL in `DATA_DIR`, for demo and "
        "development.",
        default="",
        shown_default="embedded PostgreSQL",
    ),
    Variable(
        "DATA_DIR",
        "text",
        "Folder of the documents, and of the embedded PostgreSQL where one is used.",
        default="",
        shown_default="`var` beside `manage.py`",
    ),
    Variable(
        "STORAGE_URL",
        "address",
        "Where documents are kept instead of `DATA_DIR`: `s3://bucket/prefix?endpoint_url=https://…&region_name=…`. "
        "Needs the packages of `requirements/s3.txt`; credentials are found the usual ways of the S3 client.",
        default="",
        shown_default="`DATA_DIR/documents`",
    ),
    Variable(
        "REDIS_URL",
        "address",
        "`redis://host:6379/0`. Set: nudges to the workers and the cache of login limits go through Redis, which "
        "several machines can share. Needs the packages of `requirements/redis.txt`.",
        default="",
        shown_default="the database",
    ),
    Variable(
        "EMAIL_URL",
        "address",
        "`smtp+tls://user:password@host:587`. Unset: mail is printed on the console.",
        default="consolemail://",
        shown_default="console",
    ),
    Variable("DEFAULT_FROM_EMAIL", "text", "Sender of our mail.", default="navette@localhost"),
    Variable("DEBUG", "yes/no", "Show errors with their source code to everybody. Never in production.", default=False),
    Variable(
        "NAVETTE_DEMO",
        "yes/no",
        "Make missing keys by itself and keep them in `DATA_DIR`, accept plain HTTP on this machine. Set by `make "
        "run`. Never in production.",
        default=False,
    ),
    Variable("LOG_LEVEL", "text", "DEBUG, INFO, WARNING or ERROR.", default="INFO"),
    Variable(
        "LOG_FORMAT", "text", "text, or json: one object a line, for software that collects logs.", default="text"
    ),
    Variable(
        "PLAIN_CONNECTIONS",
        "yes/no",
        "Allow the database and Redis on other hosts without TLS: only where nobody else reaches the network between.",
        default=False,
    ),
    Variable("WORKERS", "number", "Processes of one `manage.py qcluster`.", default=2),
    Variable(
        "LEASE_SECONDS",
        "number",
        "How long a worker may hold what it took up. What a killed worker held is taken up again after that; what it "
        "was sending is looked up first.",
        default=180,
    ),
    Variable(
        "PPF_NUMBER_LENGTH",
        "number",
        "The longest invoice number that the administration takes for now (AIFE, 31 July 2026): longer ones get a "
        "warning.",
        default=20,
    ),
    Variable(
        "PPF_NUMBER_LENGTH_UNTIL",
        "text",
        "The last day on which that holds; empty for no end. After it the 35 characters of the rule count.",
        default="2026-12-31",
    ),
    Variable("RELAY_THREADS", "number", "Platform calls at once when one worker process sends decisions.", default=16),
    Variable(
        "INBOX_THREADS",
        "number",
        "Calls at once to one platform when a worker process fetches what the inbox has news of.",
        default=8,
    ),
    Variable(
        "PROXY_COUNT",
        "number",
        "How many trusted proxies stand before Navette and add to `X-Forwarded-For`. With at least one, "
        "`X-Forwarded-Proto` is trusted too. 0 where Navette is reached directly, as in the demo.",
        default=1,
    ),
    Variable(
        "HSTS_SECONDS", "number", "How long browsers must insist on HTTPS; 0 tells them nothing.", default=31536000
    ),
    Variable(
        "API_CALLS_PER_MINUTE",
        "number",
        "Calls of the REST API per token, and per person in a browser; beyond it 429 with `Retry-After`. It stops what "
        "runs in a circle: lower it to what your customers' software needs.",
        default=30000,
    ),
    Variable("EXPORTS_PER_MINUTE", "number", "Exports per person, by page and API together.", default=30),
    Variable("PREVIEWS_PER_MINUTE", "number", "Previews of drafts and readable PDFs per person.", default=120),
    Variable(
        "SESSION_IDLE_MINUTES",
        "number",
        "A session ends so long after its person last did something; a page that refreshes itself does not count.",
        default=60,
    ),
    Variable("SESSION_HOURS", "number", "The longest a session lasts, however busy.", default=12),
    Variable(
        "MFA_REQUIRED_FROM",
        "text",
        "The least role whose people must have a second factor: `reader`, `clerk`, `approver`, `administrator`, or "
        "`nobody`. Superusers count as administrators. Nobody in the demo.",
        default="administrator",
    ),
    Variable(
        "AUDIT_DAYS",
        "number",
        "How many days an entry of the audit log is kept before the worker deletes it; at least 366.",
        default=1096,
    ),
    Variable(
        "METRICS_TOKEN",
        "text",
        "Bearer token that opens `/metrics`. Unset: `/metrics` answers this machine only.",
        default="",
        shown_default="none",
    ),
    Variable(
        "OIDC_SERVER_URL",
        "address",
        "Single sign-on: the OpenID Connect provider's address. Set it with `OIDC_CLIENT_ID` and `OIDC_CLIENT_SECRET`.",
        default="",
        shown_default="no single sign-on",
    ),
    Variable("OIDC_CLIENT_ID", "text", "Navette's name at the OpenID Connect provider.", default=""),
    Variable("OIDC_CLIENT_SECRET", "text", "Navette's secret at the OpenID Connect provider.", default=""),
    Variable("OIDC_NAME", "text", "What the single sign-on button says.", default="Single sign-on"),
)

HEADER = """\
# Environment

Generated from `einvoice_project/environment.py` by `python -m einvoice_project.environment`; do not edit.

Every variable may also be given as a file: `NAME_FILE=/run/secrets/name` reads the value from that file. A list is
separated by commas.

| Variable | Kind | Default | Meaning |
|---|---|---|---|
"""


class Values(FileAwareMapping):
    def __getitem__(self, key: str) -> str:
        try:
            # Editors end a file with a line end that belongs to no password.
            return str(super().__getitem__(key)).rstrip("\r\n")
        except OSError as error:
            raise ImproperlyConfigured(f"{key}_FILE cannot be read: {error}.") from error


class Environment(environ.Env):
    """`environment("NAME")` gives the value as its row of the table says, and refuses names without a row."""

    ENVIRON = Values(cache=False)

    def __init__(self) -> None:
        super().__init__(**{row.name: (CASTS[row.kind], row.default) for row in VARIABLES})

    def __call__(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name not in self.scheme:
            raise KeyError(f"{name} has no row in einvoice_project/environment.py.")
        return super().__call__(name, *args, **kwargs)

    def required(self, name: str) -> Any:
        value = self(name)
        if not value:
            raise ImproperlyConfigured(f"{name} is not set: give it, or {name}_FILE. See docs/environment.md.")
        return value


def reference() -> str:
    return HEADER + "".join(_line(row) for row in VARIABLES)


def _line(row: Variable) -> str:
    default = "**required**" if row.required else row.shown_default or _shown(row.default)
    return f"| `{row.name}` | {row.kind} | {default} | {row.help} |\n"


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"`{default}`" if default != "" else "none"


if __name__ == "__main__":
    print(reference(), end="")
