"""Pushes whose news the platform's history does not show."""

from lifecycle.inbox import looking
from providers.contract.base import PermanentError


class Silent:
    """A platform without a history of this invoice."""

    class capabilities:  # noqa: N801 - stands for an attribute
        history = True

    def fetch_statuses(self, provider_ref):
        raise PermanentError("There is no such page.", status_code=404)


def test_history_that_is_not_there_is_no_fault():
    shown = looking.look(Silent(), "ref-1", with_files=False)

    assert (shown.statuses, shown.has_history) == ((), False)
