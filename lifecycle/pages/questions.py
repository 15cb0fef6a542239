"""What cannot be undone shows what it does, and asks. The answer is the same request once more, with `confirmed`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django_htmx.http import reswap, retarget

from lifecycle.models import RelayTask
from providers.norm.transitions import Problem

PART = "lifecycle/parts/question.html"
NOT_KEPT = frozenset({"csrfmiddlewaretoken", "confirmed", "why"})


@dataclass(frozen=True, kw_only=True)
class Question:
    """`answer` is what its button says; `relay` is what it is about; `back` is where who thinks better of it goes."""

    title: str
    answer: str | Promise
    effects: Sequence[str | Promise]
    back: str
    relay: RelayTask | None = None
    doubts: Sequence[Problem] = ()
    is_final: bool = False
    asks_why: bool = False
    tone: str = "danger"


def is_confirmed(request: Any) -> bool:
    return "confirmed" in request.POST


def why_of(request: Any) -> str:
    return str(request.POST.get("why", "")).strip()


def ask(request: Any, question: Question) -> HttpResponse:
    """In the dialog, or as a page of its own where there is no script. Asked twice, the why was left out."""
    kept = [(name, value) for name, values in request.POST.lists() if name not in NOT_KEPT for value in values]
    context = {"question": question, "kept": kept, "part": PART, "is_incomplete": is_confirmed(request)}
    template = PART if request.htmx else "lifecycle/decision_page.html"
    response = render(request, template, context, status=422 if is_confirmed(request) else 200)
    return retarget(reswap(response, "innerHTML"), "#dialog-content") if request.htmx else response
