"""What an A-Cube connection can be told. Defaults are A-Cube's pages, or our assumption where they are silent."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from providers.contract.base import Field
from providers.contract.moments import STATUS_TIMEZONE_FIELD

SETTINGS = (
    Field(
        name="api_url",
        type="url",
        default="",
        help=_("Address of the French API. Empty: the environment's own."),
    ),
    Field(
        name="login_url",
        type="url",
        default="",
        help=_("Address of the login and of the public signature key. Empty: the environment's own."),
    ),
    Field(
        name="login_environment_field",
        type="bool",
        default=False,
        help=_('Send "environment" with the login, for a sandbox account on the production login host.'),
    ),
    Field(
        name="lifecycle_method", type="choice", default="POST", choices=("POST", "PUT"), help=_("How a status is sent.")
    ),
    Field(
        name="lifecycle_status_field",
        type="choice",
        default="afnorStatusCode",
        choices=("afnorStatusCode", "invoiceStatus"),
        help=_("Name of the status in the message."),
    ),
    Field(
        name="lifecycle_status_value",
        type="choice",
        default="code",
        choices=("code", "name"),
        help=_("Write the status as a number (205) or as a name (APPROVED)."),
    ),
    Field(
        name="missing_documents_on_208",
        type="bool",
        default=True,
        help=_("Offer the reason JUSTIF_ABS for a suspension, its only legal place, though A-Cube lists it for 207."),
    ),
    Field(
        name="upload_mode",
        type="choice",
        default="raw",
        choices=("raw", "multipart"),
        help=_('Submit an invoice as the body itself, or as the form field "file".'),
    ),
    Field(name="enable_cii", type="bool", default=False, help=_("A-Cube takes CII invoices from this account.")),
    Field(
        name="enable_facturx", type="bool", default=False, help=_("A-Cube takes Factur-X invoices from this account.")
    ),
    Field(name="max_file_mb", type="int", default=20, help=_("Largest file submitted or downloaded, in MB.")),
    Field(name="invoice_path", default="/invoices/{uuid}", help=_("Detail of an invoice.")),
    Field(
        name="inbound_path", default="/invoices/inbound/{uuid}", help=_("Detail of a received invoice, tried on 404.")
    ),
    Field(name="original_path", default="/invoices/{uuid}/original", help=_("Download of the original file.")),
    Field(name="readable_path", default="/invoices/{uuid}/pdf", help=_("Download of the readable PDF.")),
    Field(
        name="lifecycle_path", default="/invoices/{uuid}/lifecycle", help=_("Current status; statuses are sent here.")
    ),
    Field(name="history_path", default="/invoices/{uuid}/lifecycle/history", help=_("All statuses of an invoice.")),
    Field(name="list_path", default="/invoices", help=_("List of invoices; new ones are submitted here.")),
    Field(name="destinations_path", default="/event-destinations", help=_("Registered webhooks.")),
    Field(name="directory_path", default="/french-directory", help=_("Look-up of companies.")),
    Field(name="legal_entities_path", default="/legal-entities", help=_("Our companies; a new one is enrolled here.")),
    Field(
        name="onboarding_path",
        default="/legal-entities/{uuid}/onboarding",
        help=_("Opens the identity check of a company."),
    ),
    Field(name="public_key_path", default="/signature-public-key", help=_("Public key of the webhooks' signature.")),
    Field(name="webhook_header", default="X-Webhook-Token", help=_("Header in which A-Cube shows the shared secret.")),
    Field(
        name="signature_max_age",
        type="int",
        default=900,
        help=_("Seconds a webhook's signature stays good. 43200 if A-Cube turns out not to sign its retries anew."),
    ),
    Field(
        name="signature_key_pin",
        operator_only=True,
        default="",
        help=_(
            "SHA-256 fingerprint of the only public key to accept. Empty: the first seen, and changes are reported."
        ),
    ),
    Field(
        name="requests_per_second",
        type="int",
        default=5,
        help=_("Most calls a second, in all. 0: no limit."),
    ),
    Field(name="connect_timeout", type="int", default=5, help=_("Seconds.")),
    Field(name="read_timeout", type="int", default=30, help=_("Seconds.")),
    Field(name="upload_timeout", type="int", default=60, help=_("Seconds, for a submitted or downloaded file.")),
    STATUS_TIMEZONE_FIELD,
)

SECRETS = (
    Field(name="email", required=True, help=_("Login of the A-Cube account; there are no API keys.")),
    Field(name="password", required=True, help=_("Password of the A-Cube account.")),
    Field(
        name="webhook_token", required=True, help=_("Shared secret A-Cube shows with every webhook: 32 random bytes.")
    ),
)

LINE_SETTINGS = (
    Field(
        name="legal_entity",
        of_one_company=True,
        help=_("A-Cube's number of the company. Empty: looked up or made at set-up."),
    ),
    Field(
        name="onboarding_url",
        operator_only=True,
        help=_("Page where the company proves its identity, as A-Cube told it at set-up."),
    ),
)
