"""How strong a password has to be: how long guessing takes counts, not which signs are in it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from zxcvbn import zxcvbn

# Of 0 to 4: more than 10^8 guesses.
LEAST_SCORE = 3
# Beyond this zxcvbn refuses to read, and nothing is weak unless it repeats itself.
READ_CHARACTERS = 72


class StrengthValidator:
    def validate(self, password: str, user: Any = None) -> None:
        known = [user.get_username(), user.email, user.last_name] if user else []
        if zxcvbn(password[:READ_CHARACTERS], [word for word in known if word])["score"] < LEAST_SCORE:
            raise ValidationError(_("This password is too easy to guess. Take several unrelated words."), "too_weak")

    def get_help_text(self) -> str:
        return _("Several unrelated words make a good password.")
