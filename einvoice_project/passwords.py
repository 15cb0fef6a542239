"""How strong a password has to be: how long guessing takes counts, not which signs are in it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from zxcvbn import zxcvbn

from invoices.models import Customer

# Of 0 to 4: more than 10^8 guesses.
LEAST_SCORE = 3
# Beyond this zxcvbn refuses to read, and nothing is weak unless it repeats itself.
READ_CHARACTERS = 72


def words_of_context(user: Any) -> list[str]:
    """What whoever guesses tries first: the product, its address, the person, the customers they work for."""
    words = ["navette", urlsplit(settings.PUBLIC_URL).hostname or ""]
    if user is not None:
        words += [user.get_username(), user.email, user.first_name, user.last_name]
    if user is not None and user.pk:
        words += Customer.objects.filter(memberships__user=user).values_list("name", flat=True)
    return [part for word in words for part in (word, *re.split(r"[\W_]+", word)) if len(part) > 2]


class StrengthValidator:
    def validate(self, password: str, user: Any = None) -> None:
        known = words_of_context(user)
        if zxcvbn(password[:READ_CHARACTERS], known)["score"] < LEAST_SCORE:
            raise ValidationError(_("This password is too easy to guess. Take several unrelated words."), "too_weak")

    def get_help_text(self) -> str:
        return _("Several unrelated words make a good password.")
