"""What a Billit connection and its lines can be told. Defaults are Billit's pages, or our assumption where they are
silent: docs/platforms.md says which."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from providers.contract.base import Field
from providers.contract.moments import STATUS_TIMEZONE_FIELD

REGISTRATION = "/v1/einvoices/registrations/{registration}"

SETTINGS = (
    Field(name="api_url", type="url", default="", help=_("Address of the API. Empty: the environment's own.")),
    Field(
        name="portal_url", type="url", default="", help=_("Address of the OAuth login. Empty: the environment's own.")
    ),
    Field(
        name="auth_mode",
        type="choice",
        default="api_key",
        choices=("api_key", "oauth2"),
        help=_("How we log in: with the key of a user of the master account, or by OAuth 2."),
    ),
    Field(name="client_id", operator_only=True, default="", help=_("OAuth client, given by Billit.")),
    Field(
        name="redirect_uri", default="", help=_("Address registered with the OAuth client; the login returns there.")
    ),
    Field(
        name="token_request",
        type="choice",
        default="form",
        choices=("form", "json"),
        help=_("How a token is asked for."),
    ),
    Field(name="transport_type", default="Peppol", help=_("Network of the invoices sent.")),
    Field(
        name="business_type_field",
        default="BusinessProcessType",
        help=_("Name of the French billing frame (B1, S1…) in an order."),
    ),
    Field(
        name="received_status",
        type="choice",
        default="203",
        choices=("202", "203"),
        help=_("What it means that an invoice stands in the buyer's account at Billit, which tells no status."),
    ),
    Field(
        name="timezone", default="Europe/Brussels", help=_("Zone of Billit's times, which name none. For display only.")
    ),
    Field(
        name="list_filter",
        default="LastModified ge DateTime'{since}'",
        help=_("OData filter of what changed. Empty: the whole list is read."),
    ),
    Field(
        name="signature_max_age",
        type="int",
        default=300,
        help=_("Seconds a webhook's signature stays good, and may be ahead of our clock."),
    ),
    Field(
        name="confirmation_minutes",
        type="int",
        default=15,
        help=_("Minutes after its registration in which a webhook's confirmation call is accepted."),
    ),
    Field(name="max_file_mb", type="int", default=20, help=_("Largest file read or submitted, in MB.")),
    Field(name="send_path", default=f"{REGISTRATION}/commands/send", help=_("Invoices are created and sent here.")),
    Field(name="orders_path", default=f"{REGISTRATION}/orders", help=_("List of orders.")),
    Field(name="order_path", default=f"{REGISTRATION}/orders/{{order}}", help=_("One order.")),
    Field(name="file_path", default="/v1/files/{file}", help=_("One file.")),
    Field(
        name="refuse_path",
        default="/v1/orders/commands/refuse",
        help=_("Refusals are sent here. Another page of Billit's says /v1/einvoices/orders/commands/refuse."),
    ),
    Field(name="payments_path", default="/v1/orders/{order}/payments", help=_("Payments received are sent here.")),
    Field(name="registrations_path", default="/v1/einvoices/registrations", help=_("Registered companies.")),
    Field(name="registration_path", default=REGISTRATION, help=_("One registered company.")),
    Field(name="integrations_path", default=f"{REGISTRATION}/integrations", help=_("Its integrations.")),
    Field(name="webhooks_path", default=f"{REGISTRATION}/webhooks", help=_("Webhooks are registered here.")),
    Field(name="webhook_list_path", default="/v1/webhooks", help=_("List of a company's webhooks.")),
    Field(name="webhook_path", default="/v1/webhooks/{webhook}", help=_("One webhook, to delete it.")),
    Field(name="refresh_path", default="/v1/webhooks/refresh/{webhook}", help=_("Gives a webhook a new secret.")),
    Field(name="token_path", default="/OAuth2/token", help=_("OAuth tokens.")),
    Field(
        name="requests_per_second",
        type="int",
        default=2,
        help=_("Most calls a second, in all. 0: no limit."),
    ),
    Field(
        name="rate_limit_pause",
        type="int",
        default=60,
        help=_("Seconds without a call after Billit asked for patience and did not say for how long."),
    ),
    Field(name="connect_timeout", type="int", default=5, help=_("Seconds.")),
    Field(name="read_timeout", type="int", default=30, help=_("Seconds.")),
    Field(name="upload_timeout", type="int", default=60, help=_("Seconds, for a file or an invoice sent.")),
    STATUS_TIMEZONE_FIELD,
)

SECRETS = (
    Field(name="api_key", help=_("Key of a user who may use the master account (auth_mode api_key).")),
    Field(name="client_secret", help=_("Secret of the OAuth client (auth_mode oauth2).")),
    Field(
        name="authorization_code",
        help=_("Code that the OAuth login returned; used once, then a refresh token is kept by ourselves."),
    ),
    Field(name="refresh_token", help=_("OAuth refresh token, instead of a code; renewed by ourselves afterwards.")),
)

LINE_SETTINGS = (
    Field(
        name="registration_id",
        of_one_company=True,
        default="",
        help=_("Number of the company at Billit (registrationID)."),
    ),
    Field(
        name="party_id",
        of_one_company=True,
        default="",
        help=_("Its PartyID in the main API. Empty: the registrationID."),
    ),
    Field(
        name="ctc",
        of_one_company=True,
        default="",
        help=_(
            "Its address at Billit (CTC), for the set-up. Empty: SIREN and _replyto, for a company that only sends."
        ),
    ),
    Field(
        name="doc_types",
        type="choice",
        default="CDAR;MLR",
        choices=("CDAR;MLR", "CDAR"),
        help=_("Answers wanted from the network, for the set-up."),
    ),
    Field(name="email", default="", help=_("E-mail address of the company, real and used once; for the set-up.")),
    Field(name="phone", default="", help=_("Telephone of the company, for the set-up.")),
    Field(name="contact_first_name", default="", help=_("First name of the contact, for the set-up.")),
    Field(name="contact_last_name", default="", help=_("Last name of the contact, for the set-up.")),
    Field(name="iban", default="", help=_("Bank account of the company, for the set-up.")),
    Field(name="bic", default="", help=_("Its BIC, for the set-up.")),
    Field(name="language", default="FR", help=_("Language of the company, for the set-up.")),
)
