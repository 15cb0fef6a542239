"""What connections of both Cegid kinds can be told. Cegid's pages give no default: all of these are our assumptions."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from providers.contract.base import Field
from providers.contract.moments import STATUS_TIMEZONE_FIELD

# --- told to both seats -----------------------------------------------------------------------------------------------

PATHS = (
    Field(name="token_path", default="connect/token", help=_("Place of the access tokens.")),
    Field(name="subscriptions_path", default="subscriptions", help=_("Place of the subscriptions.")),
    Field(name="lifecycle_path", default="lifecycle-events", help=_("Place of the lifecycle messages.")),
)
SUBSCRIPTION_KEY_HEADER = Field(
    name="subscription_key_header",
    default="Ocp-Apim-Subscription-Key",
    help=_("Header that shows the subscription key."),
)
WORDS = (
    Field(
        name="addressing_line_prefix",
        default="",
        help=_("What stands before an addressing line in messages, such as 0225: or nothing."),
    ),
    Field(
        name="status_words",
        type="list",
        help=_("Words for statuses, such as 205=APPROVED. A code that is not named travels as its number."),
    ),
    Field(
        name="reason_words",
        type="list",
        help=_("Words for reasons, such as QTE_ERR=QUANTITY. A code that is not named travels as it is."),
    ),
)
HANDLING = (
    Field(
        name="resend_uncertain",
        type="bool",
        default=False,
        help=_(
            "The other end recognises a message it was sent before, so one whose fate is unknown is sent again. "
            "Otherwise a person decides."
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
)

# --- the seat of the accredited platform ------------------------------------------------------------------------------

SETTINGS = (
    Field(name="od_url", type="url", required=True, help=_("Address of the concentrator's API (Cegid OD).")),
    Field(
        name="account_url",
        type="url",
        default="",
        help=_("Address of Cegid Account, which gives access tokens. Empty: the concentrator's own."),
    ),
    *PATHS,
    SUBSCRIPTION_KEY_HEADER,
    Field(
        name="subscription_key_on",
        type="choice",
        default="all",
        choices=("all", "subscriptions", "lifecycle"),
        help=_("Which calls to the concentrator show the subscription key. Cegid Account never sees it."),
    ),
    Field(
        name="apikey_header",
        default="x-apikey",
        help=_("Header that shows the whole API key where a token is asked for. Empty: none."),
    ),
    Field(
        name="token_credentials",
        type="choice",
        default="body",
        choices=("body", "basic"),
        help=_("Where the two halves of the API key stand when a token is asked for."),
    ),
    Field(name="token_scope", default="", help=_("Scope asked for with a token. Empty: none.")),
    Field(name="token_lifetime", type="int", default=300, help=_("Seconds, for a token that does not tell its end.")),
    Field(name="contact_email", default="", help=_("Address of our operators, told with a subscription.")),
    Field(
        name="conflict_is_duplicate",
        type="bool",
        default=True,
        help=_("An answer 409 says that this very message was taken before."),
    ),
    *WORDS,
    Field(
        name="callback_secret_header",
        operator_only=True,
        default="",
        help=_("Header in which callbacks must show the line's callback secret. Empty: not asked for."),
    ),
    Field(
        name="callback_sources",
        operator_only=True,
        type="list",
        help=_("Networks that callbacks may come from, such as 192.0.2.0/24. None: any."),
    ),
    Field(
        name="callback_source_header",
        operator_only=True,
        default="X-Real-IP",
        help=_("Header in which our reverse proxy tells, and overwrites, where a call comes from."),
    ),
    *HANDLING,
    STATUS_TIMEZONE_FIELD,
)

SECRETS = (
    Field(
        name="subscription_key",
        required=True,
        help=_("Subscription key of ours from Cegid Developers, the same for every customer."),
    ),
)

LINE_SETTINGS = (
    Field(
        name="act_on_behalf",
        type="bool",
        default=False,
        help=_(
            "Our people decide on this line's received invoices in the customer's name. Otherwise it decides in "
            "Cegid's software."
        ),
    ),
)

LINE_SECRETS = (
    Field(name="api_key", help=_("API key out of the connection data the customer got from Cegid: key:secret.")),
    Field(name="callback_secret", help=_("What callbacks must show in callback_secret_header, if that is set.")),
)
