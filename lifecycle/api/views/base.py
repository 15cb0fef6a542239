"""What every view of the API does: check the body's size, scope the rows to the caller, filter, page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import GenericAPIView, ListAPIView, RetrieveAPIView
from rest_framework.parsers import BaseParser
from rest_framework.permissions import SAFE_METHODS, AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

from einvoice_project import problems
from invoices.models import ApiToken, Invoice
from invoices.models.tokens import Scope
from invoices.people.desk import Desk
from lifecycle.api.filters import OTHER_PARAMETERS, Filters
from lifecycle.api.pagination import KeysetPagination
from lifecycle.api.parsers import BoundedJSONParser
from lifecycle.decisions import services
from providers.contract.base import MIB


class ApiView(GenericAPIView[Any]):
    """`keyset`: the list's order, see KeysetPagination. `max_body`: in bytes. `scope`: what a token
    needs for whatever does more than read.
    """

    parser_classes: Sequence[type[BaseParser]] = (BoundedJSONParser,)
    pagination_class = KeysetPagination
    keyset: ClassVar[Sequence[str]] = ("-created_at", "-id")
    filters: ClassVar[type[Filters] | None] = None
    max_body: ClassVar[int] = MIB
    scope: ClassVar[Scope] = Scope.ADMINISTER

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        _check_scope(request, Scope.READ if request.method in SAFE_METHODS else self.scope)
        _check_length(request, self.max_body)
        if request.method != "GET" or self.filters is None:
            _check_parameters(request)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-store")
        spent = getattr(request._request, "spent", None)
        for name, value in spent.headers.items() if spent else ():
            response.headers[name] = value
        return response

    @cached_property
    def desk(self) -> Desk:
        return Desk(self.request.user)

    @cached_property
    def filtering(self) -> Filters | None:
        """The list's query parameters, valid."""
        if self.filters is None:
            return None
        given = {name: text for name, text in self.request.query_params.items() if name not in OTHER_PARAMETERS}
        filters = self.filters(data=given)
        if not filters.is_valid():
            raise problems.BadQuery(errors=problems.flatten(filters.errors))
        return filters

    def get_keyset(self) -> Sequence[str]:
        return self.keyset

    def filter_queryset(self, queryset: Any) -> Any:
        return self.filtering.apply(queryset, self.request.user) if self.filtering else queryset


class ListView(ApiView, ListAPIView[Any]):
    pass


class DetailView(ApiView, RetrieveAPIView[Any]):
    pass


def _check_scope(request: Request, scope: Scope) -> None:
    if isinstance(request.auth, ApiToken) and scope not in request.auth.scopes:
        message = _("This token was not made for this: it lacks the scope “%(scope)s” (%(label)s).")
        raise PermissionDenied(message % {"scope": scope.value, "label": scope.label})


def _check_length(request: Request, limit: int) -> None:
    if request.META.get("HTTP_TRANSFER_ENCODING") and not request.META.get("CONTENT_LENGTH"):
        raise problems.LengthRequired()
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) > limit:
        message = _("The body has %(length)s bytes; %(limit)d are allowed.")
        raise problems.TooLarge(message % {"length": length, "limit": limit})


def _check_parameters(request: Request) -> None:
    unknown = set(request.query_params) - OTHER_PARAMETERS
    if unknown:
        message = _("This address takes no such parameter.")
        rows = [{"field": name, "code": "unknown_field", "message": message} for name in sorted(unknown)]
        raise problems.BadQuery(errors=rows)


@contextmanager
def refusals_as_problems(invoice: Invoice) -> Iterator[None]:
    """The services' refusals as HTTP: 409 where the world moved on, 422 where the wish breaks the table."""
    try:
        yield
    except services.KeyReused as error:
        raise problems.Conflict(str(error), code="key_reused") from error
    except services.StaleInvoice as error:
        raise problems.Conflict(str(error), code="stale_invoice") from error
    except services.WrongRelayState as error:
        raise problems.Conflict(str(error), code="wrong_relay_state") from error
    except services.AlreadySettled as error:
        raise problems.Conflict(str(error), code="already_settled") from error
    except services.DecisionRefused as error:
        rows = [{"field": each.field, "code": each.code, "message": str(each.message)} for each in error.problems]
        possible = list(services.next_statuses(invoice))
        raise problems.Unprocessable(
            str(error), errors=rows, code="decision_refused", next_statuses=possible
        ) from error


class NoSuchAddress(APIView):
    """Every address under the API that is none, whatever the method."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound(_("The API has no such address. Addresses end with a slash; the schema lists them."))
