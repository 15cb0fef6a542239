"""Which item of a platform's history is a message of ours, where the platform has no room for our own id."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from .errors import UncertainError
from .shapes import StatusMessage, StatusReport


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
