"""What a connection of kind `cegid_od` can be told. The other end may be any accredited platform."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from providers.contract.base import Field
from providers.contract.moments import STATUS_TIMEZONE_FIELD

from ..cegid.fields import HANDLING, PATHS, SUBSCRIPTION_KEY_HEADER, WORDS

SETTINGS = (
    *PATHS,
    SUBSCRIPTION_KEY_HEADER,
    Field(name="token_lifetime", type="int", default=3600, help=_("Seconds an access token of ours stays good.")),
    Field(
        name="callback_private",
        operator_only=True,
        type="bool",
        default=False,
        help=_("Callback addresses may lead to this machine or to a private network. Metadata services never."),
    ),
    Field(
        name="callback_plain",
        operator_only=True,
        type="bool",
        default=False,
        help=_("Callback addresses may do without TLS (http)."),
    ),
    Field(
        name="conflict_is_duplicate",
        type="bool",
        default=True,
        help=_("An answer 409 says that this very message was taken before."),
    ),
    *WORDS,
    *HANDLING,
    STATUS_TIMEZONE_FIELD,
)

SECRETS = (
    Field(
        name="subscription_key",
        required=True,
        help=_("Subscription key that every platform shows us with its calls: 32 random bytes."),
    ),
)

LINE_SECRETS = (
    Field(
        name="api_key", help=_("API key of the line's connection data, key:secret. Made by its action; rarely typed.")
    ),
)
