"""Looking companies up in a platform's directory, to add the addressing line that is written there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _

from invoices.models import AddressingLine
from providers.connections.registry import get_adapter
from providers.connections.sealing import SealBroken
from providers.contract.base import DirectoryEntry, PlatformError
from providers.contract.doors import at_the_door
from providers.contract.kinds import UnknownKind
from providers.models import Connection
from providers.norm.companies import look_up_key

from .forms import DirectoryForm


@dataclass(frozen=True)
class Found:
    """An entry, and what can be done with it: `line` is ours already, `add_url` opens the form filled in."""

    entry: DirectoryEntry
    line: AddressingLine | None
    add_url: str


def with_directory(connections: Any) -> Any:
    """The connections whose platform offers a directory, as their settings say."""
    return connections.filter(pk__in=[each.pk for each in connections if _has_directory(each)])


def _has_directory(connection: Connection) -> bool:
    try:
        return get_adapter(connection).capabilities.directory
    except (UnknownKind, SealBroken):
        return False


class DirectoryLookUp(admin.ModelAdmin):
    """The page `directory/` of addressing lines. Reading only; what is chosen goes through the ordinary form."""

    def get_urls(self) -> Any:
        page = self.admin_site.admin_view(self.directory)
        return [path("directory/", page, name="invoices_addressingline_directory"), *super().get_urls()]

    def directory(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = DirectoryForm(
            request.GET or None,
            customers=self._choices(request, "customer"),
            connections=with_directory(self._choices(request, "connection")),
        )
        found, error = self._look_up(form) if form.is_valid() else (None, "")
        context = {
            **self.admin_site.each_context(request),
            "title": _("Look up in the directory"),
            "opts": self.model._meta,
            "form": form,
            "found": found,
            "error": error,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/invoices/addressingline/directory.html", context)

    def _choices(self, request: HttpRequest, name: str) -> Any:
        """What this user may choose in the form of a line."""
        field: Any = self.formfield_for_foreignkey(self.model._meta.get_field(name), request)
        return field.queryset

    def _look_up(self, form: DirectoryForm) -> tuple[list[Found] | None, str]:
        customer, connection = form.cleaned_data["customer"], form.cleaned_data["connection"]
        wanted = look_up_key(form.cleaned_data["identifier"]) or customer.siren
        try:
            with at_the_door():
                entries = get_adapter(connection).search_directory(wanted)
        except PlatformError as error:
            return None, error.message
        lines = AddressingLine.objects.in_bulk([each.identifier for each in entries], field_name="identifier")
        found = [Found(each, lines.get(each.identifier), _add_url(each, customer, connection)) for each in entries]
        return sorted(found, key=lambda each: (not each.entry.active, each.entry.identifier)), ""


def _add_url(entry: DirectoryEntry, customer: Any, connection: Connection) -> str:
    """ "" for a line of another company."""
    if not entry.identifier.startswith(customer.siren):
        return ""
    values = {"customer": customer.pk, "connection": connection.pk, "identifier": entry.identifier}
    return f"{reverse('admin:invoices_addressingline_add')}?{urlencode(values)}"
