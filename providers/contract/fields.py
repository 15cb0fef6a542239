"""What an adapter declares of its settings and secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


@dataclass(frozen=True, kw_only=True)
class Field:
    """A setting or secret an adapter declares. `type`: str, int, bool, url, list or choice.

    `operator_only`: whose change could lead our secrets away or reach another customer; set by superusers, `provision`
    and set-up. `of_one_company`: names a company at the platform; the operator's too, and two customers of a connection
    never have the same.
    """

    name: str
    type: str = "str"
    default: Any = None
    required: bool = False
    help: StrOrPromise = ""
    choices: tuple[str, ...] = ()
    operator_only: bool = False
    of_one_company: bool = False

    @property
    def is_operators(self) -> bool:
        """Hosts and paths always are: they say where our credentials go."""
        return (
            self.operator_only
            or self.of_one_company
            or self.type == "url"
            or self.name.endswith(("_url", "_path", "_uri"))
        )
