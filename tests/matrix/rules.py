"""Who the people are, and what each hears about a row of a place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.factories import OTHER_SIREN, SIREN

RANKS = ("", "reader", "clerk", "approver", "administrator")
READER, CLERK, APPROVER, ADMINISTRATOR, SUPERUSER, NOBODY = range(1, 7)
CUSTOMERS = {"A": SIREN, "B": OTHER_SIREN}
# Whose rows: customer A's and B's on the connection they share, what is of that connection as a whole, and what is of
# a connection that A has for itself.
PLACES = ("A", "B", "shared", "own")


@dataclass(frozen=True)
class Person:
    """`ranks`: what they are for A and for B."""

    ranks: tuple[int, int] = (0, 0)
    is_anonymous: bool = False
    is_staff: bool = True

    def rank(self, place: str = "anywhere") -> int:
        a, b = self.ranks
        return {"A": a, "own": a, "B": b, "shared": min(a, b)}.get(place, max(a, b))


PEOPLE = {
    "anonymous": Person(is_anonymous=True, is_staff=False),
    "stranger": Person(is_staff=False),
    "staff of nobody": Person(),
    **{f"{RANKS[rank]} of A": Person((rank, 0)) for rank in range(READER, SUPERUSER)},
    "reader of B": Person((0, READER)),
    "administrator of B": Person((0, ADMINISTRATOR)),
    "reader of A, administrator of B": Person((READER, ADMINISTRATOR)),
    "administrator of both": Person((ADMINISTRATOR, ADMINISTRATOR)),
    "superuser": Person((SUPERUSER, SUPERUSER)),
}

# --- rules ------------------------------------------------------------------------------------------------------------

IN, LOGIN, REFUSED, HIDDEN = "in", "login", "refused", "hidden"
Rule = Callable[[Person, str], str]


def anybody(person: Person, place: str) -> str:
    return IN


def nowhere(person: Person, place: str) -> str:
    return HIDDEN


def after_login(rule: Rule) -> Rule:
    return lambda person, place: LOGIN if person.is_anonymous else rule(person, place)


signed_in = after_login(anybody)
absent = after_login(nowhere)


def of_customer(rank: int) -> Rule:
    """Who works for the row's customer, from this role on; the others there are told that they may not."""
    return after_login(
        lambda person, place: IN if person.rank(place) >= rank else REFUSED if person.rank(place) else HIDDEN
    )


def hidden_below(rank: int) -> Rule:
    return after_login(lambda person, place: IN if person.rank(place) >= rank else HIDDEN)


def anywhere(rank: int) -> Rule:
    return after_login(lambda person, place: IN if person.rank() >= rank else REFUSED)


def rows_from(rank: int) -> Rule:
    """Rows of the customers for whom a person has this role, for who has it anywhere."""
    return after_login(
        lambda person, place: REFUSED if person.rank() < rank else IN if person.rank(place) >= rank else HIDDEN
    )


def served(person: Person, place: str) -> str:
    """A connection, as everybody sees it who works for one of its customers."""
    if person.is_anonymous:
        return LOGIN
    return IN if person.rank("own" if place == "own" else "anywhere") else HIDDEN


def wholly(person: Person, place: str) -> str:
    """What is done with a connection, by who administers all its customers."""
    seen = served(person, place)
    return REFUSED if seen == IN and person.rank(place) < ADMINISTRATOR else seen


def token_owner(person: Person, place: str) -> str:
    """The tokens here are of the administrators of A and of B."""
    if person.is_anonymous:
        return LOGIN
    return IN if person.ranks == {"A": (ADMINISTRATOR, 0), "B": (0, ADMINISTRATOR)}[place] else HIDDEN


def in_admin(rule: Rule) -> Rule:
    return lambda person, place: rule(person, place) if person.is_staff else LOGIN


def to_login(person: Person, place: str) -> str:
    return LOGIN


def login_of_admin(person: Person, place: str) -> str:
    """Staff are sent on to the index, as if they had asked for what is not there."""
    return HIDDEN if person.is_staff else LOGIN if person.is_anonymous else REFUSED


def logout_of_admin(person: Person, place: str) -> str:
    return IN if person.is_staff else HIDDEN
