"""What a connection to an XP Z12-013 platform can be told. Defaults are the contract's, or our assumption where it is
silent or platforms differ.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from providers.contract import renewal
from providers.contract.base import Field
from providers.contract.moments import STATUS_TIMEZONE_FIELD

SETTINGS = (
    Field(
        name="flow_base_url",
        type="url",
        required=True,
        help=_("Address of the Flow Service, up to but without /v1."),
    ),
    Field(
        name="directory_base_url",
        type="url",
        default="",
        help=_("Address of the Directory Service, up to but without /v1. Empty: this platform offers none."),
    ),
    Field(name="token_url", type="url", required=True, help=_("Where access tokens are had (OAuth2).")),
    Field(
        name="token_auth_style",
        type="choice",
        default="body",
        choices=("body", "basic"),
        help=_("How the client id and secret are shown there: in the form, or as HTTP Basic."),
    ),
    Field(name="scope", default="", help=_("Scope asked for with the token. Empty: none.")),
    Field(
        name="token_seconds",
        type="int",
        default=300,
        help=_("Life of a token whose answer does not tell it, in seconds."),
    ),
    Field(
        name="organization_id",
        operator_only=True,
        default="",
        help=_("Organization-Id shown with each call, where one account serves several companies."),
    ),
    Field(
        name="contract",
        type="choice",
        default="1.2",
        choices=("1.1", "1.2", "1.3"),
        help=_("Version of the contract the platform follows: it decides on paging, webhooks and the directory."),
    ),
    Field(
        name="flowinfo_content_type",
        type="choice",
        default="application/json",
        choices=("application/json", "text/plain"),
        help=_("Media type of the part flowInfo when a flow is submitted."),
    ),
    Field(
        name="send_processing_rule",
        type="bool",
        default=True,
        help=_("Say the processing rule of an invoice where it is known. Off: the platform finds it by itself."),
    ),
    Field(
        name="submit_formats",
        type="list",
        default=["ubl", "cii", "facturx"],
        help=_("Formats of invoices the platform takes: ubl, cii, facturx."),
    ),
    Field(
        name="arrival_status",
        type="choice",
        default="203",
        choices=("203", "none"),
        help=_("Status derived for an invoice the platform hands over; none where it always sends it as CDAR."),
    ),
    Field(
        name="ack_implies_status",
        type="bool",
        default=False,
        help=_(
            "Derive 200 and 213 from the acknowledgement of an invoice, where the platform never sends them as CDAR."
        ),
    ),
    Field(
        name="fetch_readable",
        type="bool",
        default=True,
        help=_("Also fetch the platform's readable view of an invoice, where it has one."),
    ),
    Field(
        name="fetch_converted",
        type="bool",
        default=True,
        help=_("Also fetch the platform's conversion of an invoice, where it has one."),
    ),
    Field(name="max_file_mb", type="int", default=100, help=_("Largest file submitted or downloaded, in MB.")),
    Field(
        name="shown_after",
        type="int",
        default=600,
        help=_("Seconds after which a flow we submitted surely shows in a search; before, its absence says nothing."),
    ),
    Field(
        name="poll_overlap",
        type="int",
        default=600,
        help=_("Seconds that each poll looks back behind what is known, for platforms whose clocks disagree."),
    ),
    Field(
        name="replay_hours",
        type="int",
        default=72,
        help=_("Once a day a poll looks back that many hours. 0: never."),
    ),
    Field(
        name="webhook_header",
        default="X-Webhook-Token",
        help=_("Header in which the platform shows our shared secret with each push (contracts 1.1 and 1.2)."),
    ),
    Field(
        name="signature_variant",
        type="choice",
        default="learn",
        choices=("learn", "A", "B", "C"),
        help=_(
            "What a push's signature covers (contract 1.3): A the text, B its fingerprint, C the fingerprint in "
            "hexadecimal. learn: the first that fits, from then on only that one."
        ),
    ),
    renewal.HOURS,
    Field(name="signature_max_age", type="int", default=300, help=_("Seconds a push's signature stays good.")),
    Field(
        name="requests_per_second",
        type="int",
        default=2,
        help=_("Most calls a second, in all. 0: no limit."),
    ),
    Field(name="connect_timeout", type="int", default=5, help=_("Seconds.")),
    Field(name="read_timeout", type="int", default=30, help=_("Seconds.")),
    Field(name="upload_timeout", type="int", default=120, help=_("Seconds, for a submitted or downloaded file.")),
    STATUS_TIMEZONE_FIELD,
)

SECRETS = (
    Field(name="client_id", required=True, help=_("Client id of the account (OAuth2 client credentials).")),
    Field(name="client_secret", required=True, help=_("Client secret of the account.")),
    Field(
        name="webhook_token",
        help=_(
            "Shared secret the platform shows with each push, where its webhooks are set up by hand (contract 1.1). "
            "Otherwise it is made when the webhooks are registered."
        ),
    ),
)
