"""What a Seqino connection can be told. Defaults are Seqino's pages, or our assumption where they are silent."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from providers.contract import renewal
from providers.contract.base import Field
from providers.contract.moments import STATUS_TIMEZONE_FIELD

SETTINGS = (
    Field(name="api_url", type="url", default="", help=_("Address of the API. Empty: the environment's own.")),
    Field(
        name="health_url",
        type="url",
        default="",
        help=_("Address of the health page. Empty: /health on the API's host, beside /api."),
    ),
    Field(
        name="sponsor_id",
        operator_only=True,
        default="",
        help=_("Our sponsor id, sent as X-PDP-Sponsor-Id. Empty: not sent, the key tells who we are."),
    ),
    Field(
        name="trailing_slash",
        type="bool",
        default=False,
        help=_("End every path with a slash, as older pages of Seqino's write it."),
    ),
    Field(
        name="external_ref_prefix",
        operator_only=True,
        default="",
        help=_("Put before a customer's SIREN to make its external_ref at Seqino, if other software uses our key too."),
    ),
    Field(
        name="contact_email",
        default="",
        help=_("Contact of new clients, where their addressing line names none."),
    ),
    Field(
        name="status_endpoint",
        operator_only=True,
        default="",
        help=_(
            "Experimental: path that takes a status by POST, {invoice_id} standing for the invoice. Empty: statuses "
            "are set in Seqino's own software."
        ),
    ),
    Field(
        name="enable_drafts",
        type="bool",
        default=False,
        help=_("Take invoices as EN 16931 JSON too, and submit them through a draft."),
    ),
    Field(
        name="draft_format",
        default="",
        help=_("Format in which Seqino is to issue a draft. Empty: its own choice."),
    ),
    Field(name="max_file_mb", type="int", default=20, help=_("Largest file submitted or read, in MB.")),
    Field(
        name="invoice_id_fields",
        type="list",
        default=["invoice_id", "object_id", "id"],
        help=_("Where a webhook names its invoice: the first of these names found in the body, however deep."),
    ),
    Field(
        name="client_id_fields",
        type="list",
        default=["client_id"],
        help=_("Where a webhook names the client: the first of these names found in the body, however deep."),
    ),
    Field(
        name="webhook_events",
        type="list",
        default=[],
        help=_("Events to be pushed to us. Empty: all of them."),
    ),
    Field(
        name="replace_webhook",
        type="bool",
        default=False,
        help=_(
            "Delete a webhook that is not as it should be, and make it anew. No: a person deletes it at Seqino first."
        ),
    ),
    Field(name="signature_header", default="X-Webhook-Signature", help=_("Header with the webhook's signature.")),
    Field(
        name="signature_encoding",
        type="choice",
        default="hex",
        choices=("hex", "base64"),
        help=_("How the signature is written; a prefix “sha256=” is accepted either way."),
    ),
    Field(
        name="signature_timestamp_header",
        default="",
        help=_("Header whose value and a dot are signed before the body. Empty: the body alone is signed."),
    ),
    Field(
        name="signature_key_as_bytes",
        type="bool",
        default=False,
        help=_("Also try the 32 bytes that the secret's 64 hexadecimal characters stand for as the key."),
    ),
    renewal.HOURS,
    Field(
        name="max_event_age",
        type="int",
        default=0,
        help=_("Seconds after which a webhook's own timestamp makes it stale. 0: no limit, retries are unknown."),
    ),
    Field(
        name="observe_mode",
        operator_only=True,
        type="bool",
        default=True,
        help=_(
            "Store webhooks whose signature does not fit, for a look, and apply nothing of them. Switch it off once a "
            "check says that the signature is confirmed: they are then refused."
        ),
    ),
    Field(
        name="usage_share",
        type="int",
        default=50,
        help=_("Part of the allowed calls, in percent, that asking for open invoices may use up."),
    ),
    Field(
        name="requests_per_second",
        type="int",
        default=5,
        help=_("Most calls a second, in all. 0: no limit."),
    ),
    Field(name="connect_timeout", type="int", default=5, help=_("Seconds.")),
    Field(name="read_timeout", type="int", default=30, help=_("Seconds.")),
    Field(name="upload_timeout", type="int", default=60, help=_("Seconds, for a submitted file.")),
    STATUS_TIMEZONE_FIELD,
)

SECRETS = (
    Field(name="api_key", required=True, help=_("API key of our sponsor account; it is sent as it is, no Bearer.")),
    Field(
        name="webhook_secret",
        help=_("Secret of a webhook that was made by hand. One that we register brings its own, kept sealed."),
    ),
)

LINE_SETTINGS = (
    Field(
        name="client_id",
        of_one_company=True,
        default="",
        help=_("Seqino's id of the client. Empty: looked up or made at set-up."),
    ),
    Field(
        name="mandate_id",
        of_one_company=True,
        default="",
        help=_("Seqino's id of the mandate. Empty: looked up or made at set-up."),
    ),
    Field(name="contact_email", default="", help=_("Contact of the client, should it have to be made.")),
    Field(
        name="mandate_start",
        default="",
        help=_("First day of a new mandate, as 2026-09-01. Empty: the day it is made."),
    ),
    Field(
        name="routing_identifier_type",
        type="choice",
        default="0224",
        choices=("0224", "0088", "0060", "Internal"),
        help=_("Kind of the routing code, for a line that has one."),
    ),
    Field(name="routing_code_label", default="", help=_("Name of the routing code in the directory.")),
    Field(
        name="establishment_nature",
        type="choice",
        default="Private",
        choices=("Private", "Public"),
        help=_("Nature of the establishment in the directory."),
    ),
)
