"""What is told in words, and which item of a platform's history is a message of ours where it keeps no id of ours."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from providers.norm.codes import REASONS, official_comment

from .errors import UncertainError
from .shapes import Reason, StatusMessage, StatusReport


def note_of(message: StatusMessage) -> str:
    """The note of a message; the official words where a text must travel (MDT-126) and the person gave none."""
    if message.note.strip() or any(reason.text.strip() for reason in message.reasons):
        return message.note
    takes_back = message.status == "212" and any(payment.amount < 0 for payment in message.payments)
    return official_comment(message.status, [reason.code for reason in message.reasons], takes_back=takes_back)


def text_of(message: StatusMessage) -> str:
    """For platforms with room for one reason and one text: the person's words, the other reasons in the official French
    words, the note.
    """
    first, *others = message.reasons or (Reason(),)
    return "\n".join(part for part in (first.text, *map(_in_words, others), note_of(message)) if part)


def _in_words(reason: Reason) -> str:
    label = f"{REASONS[reason.code].label_fr} ({reason.code})" if reason.code in REASONS else reason.code
    return f"{label} : {reason.text}" if reason.text else label


def pick_told(message: StatusMessage, items: Sequence[StatusReport]) -> StatusReport | None:
    """Of the items that may be this message, oldest first, the one that is; None if none can be. UncertainError where
    they may all be earlier messages of ours that say the same.
    """
    free = [item for item in items if not item.key or item.key not in message.others]
    if not free:
        return None
    if len(free) <= message.unseen:
        told = {"status": message.status}
        raise UncertainError(_("The platform shows a status %(status)s that may be an earlier one of ours.") % told)
    return free[message.unseen]
