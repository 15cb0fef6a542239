"""How platforms, their hooks and their pushes look in the admin. The layers above register these classes: only they
know whose connection it is (`invoices.admin`) and how a delivery is replayed (`lifecycle.admin`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import connection as database
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from providers.connections import checks, health, services
from providers.connections.forms import AccountForm, ConnectionForm, NewConnectionForm, build_account_form
from providers.connections.hosts import forget_credentials
from providers.connections.registry import get_adapter
from providers.contract.base import Field
from providers.contract.kinds import find_adapter_class

from .models import Connection, Hook, WebhookDelivery

SHOWN_BODY = 20_000  # characters of a pushed body on its page


class EstimatePaginator(Paginator):
    """Counts up to COUNTED rows. Beyond it a whole table shows PostgreSQL's estimate, a filtered list the limit."""

    COUNTED = 10_000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        counted = rows.order_by()[: self.COUNTED].count()
        if counted < self.COUNTED or rows.query.has_filters():
            return counted
        return max(counted, _estimated_rows(rows.model._meta.db_table))


def _estimated_rows(table: str) -> int:
    with database.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [table])
        return cursor.fetchone()[0]


class LargeTable(admin.ModelAdmin):
    """A list that stays quick at a million rows: no totals, no counts by filter, no sorting away from the index."""

    paginator = EstimatePaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    sortable_by = ()


class ReadOnly:
    """Nobody adds, changes or deletes, superusers included; the `view` permission shows it."""

    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyRows(ReadOnly, admin.TabularInline):
    template = "admin/readonly_rows.html"


class ConnectionFilter(admin.SimpleListFilter):
    """By connection, among those the user sees: a plain filter would name everybody's and unseal their secrets."""

    title = _("connection")
    parameter_name = "connection"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        seen = model_admin.connections_seen(request.user)
        return [(str(key), name) for key, name in seen.order_by("name").values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = {key for key, _name in self.lookup_choices}
        return queryset.filter(connection=self.value()) if self.value() in known else queryset


class HookInline(ReadOnlyRows):
    model = Hook
    fields = readonly_fields = ("address", "line_identifier", "created_at", "closed_at")
    verbose_name_plural = _("addresses the platform pushes to")

    @admin.display(description=_("address"))
    def address(self, hook: Hook) -> str:
        return format_html('<code class="copyable">{}</code>', hook.url)


class AccountAdmin(admin.ModelAdmin):
    """A row with settings and sealed secrets, edited in two steps: what it is, then what its platform declares."""

    new_form: type[forms.ModelForm]
    account_form: type[AccountForm]

    def declared(self, obj: Any) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
        """The settings and secrets that the row's platform knows."""
        raise NotImplementedError

    def open_to(self, request: HttpRequest, obj: Any) -> tuple[Sequence[Field], Sequence[Field]]:
        """Those of them that the user may change."""
        if request.user.is_superuser:
            return self.declared(obj)
        settings, secrets = ([each for each in group if not each.is_operators] for group in self.declared(obj))
        return settings, secrets

    def account_groups(self, request: HttpRequest, obj: Any) -> list[Any]:
        """The fieldsets of the declared fields, for those who may change them."""
        if not self.has_change_permission(request, obj):
            return []
        _form, settings, secrets = build_account_form(self.account_form, *self.open_to(request, obj))
        groups = [(_("Secrets"), {"fields": secrets}), (_("Settings"), {"fields": settings})]
        groups = [group for group in groups if group[1]["fields"]]
        is_whole = len(settings) == len(self.declared(obj)[0])
        return groups if is_whole else [*groups, (None, {"fields": ["set_by_operator"]})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), *(["set_by_operator"] if obj else []))

    @admin.display(description=_("set by a superuser"))
    def set_by_operator(self, obj: Any) -> str:
        """What is set of the fields that are not open to everybody: without their values it could not be understood."""
        set_ones = [each.name for each in self.declared(obj)[0] if each.is_operators and obj.settings.get(each.name)]
        rows = [(name, obj.settings[name]) for name in set_ones]
        return format_html_join("", "{}: {}<br>", rows) if rows else "–"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = build_account_form(self.account_form, *self.open_to(request, obj))[0] if obj else self.new_form
        return super().get_form(request, obj, change, **kwargs)

    @method_decorator(sensitive_post_parameters())
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(request, *args, **kwargs)


class ConnectionAdmin(AccountAdmin):
    new_form, account_form = NewConnectionForm, ConnectionForm
    list_display = ("name", "platform_label", "environment", "state", "is_healthy", "checked_at", "polled_at")
    list_filter = ("environment", "state", "health")
    search_fields = ("name", "kind")
    search_help_text = _("Name or kind of platform")
    readonly_fields = (
        "platform_label", "check_lines", "checked_at", "polled_at", "health", "ill_since", "ill_reason", "probe_at",
        "quiet_until", "memory", "poll_cursor", "created_at",
    )  # fmt: skip
    inlines = (HookInline,)
    actions = ("check_now", "register_webhooks", "pause", "resume", "replace_hooks")

    @admin.display(description=_("platform"), ordering="kind")
    def platform_label(self, connection: Connection) -> str:
        return connection.platform_label

    @admin.display(description=_("healthy"), boolean=True)
    def is_healthy(self, connection: Connection) -> bool | None:
        return connection.is_healthy

    @admin.display(description=_("last check"))
    def check_lines(self, connection: Connection) -> str:
        rows = [("✓" if line["ok"] else "✗", line["name"], line["message"]) for line in connection.check_results]
        return (
            format_html('<ul class="checks">{}</ul>', format_html_join("", "<li>{} {}: {}</li>", rows)) if rows else "–"
        )

    # --- the form -----------------------------------------------------------------------------------------------------

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The environment decides on the hosts that are called."""
        shown = super().get_readonly_fields(request, obj)
        return shown if obj is None or request.user.is_superuser else (*shown, "environment")

    def declared(self, obj: Connection) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
        cls = find_adapter_class(obj.kind)
        return (cls.settings_fields, cls.secret_fields) if cls else ((), ())

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["name", "kind", "environment"]})]
        known = (None, {"fields": ["name", "platform_label", "environment", "state", "leaving_on"]})
        seen = [
            "health", "ill_since", "ill_reason", "probe_at", "quiet_until", "check_lines", "checked_at", "polled_at",
            "memory", "poll_cursor", "created_at",
        ]  # fmt: skip
        return [known, *self.account_groups(request, obj), (_("Last seen"), {"fields": seen})]

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj else ()

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        if not change:
            obj.state = Connection.State.PAUSED
        super().save_model(request, obj, form, change)
        if change and form.has_moved:
            forget_credentials(obj)
            self.message_user(request, gettext("%s: what was known of the old host is forgotten.") % obj)
        services.forget_hooks()
        health.reset(obj.pk)
        if not change and (adapter := get_adapter(obj)).capabilities.webhooks and not adapter.hook_per_line:
            services.open_hook(connection=obj)

    def response_add(self, request: HttpRequest, obj: Connection, post_url_continue: str | None = None) -> HttpResponse:
        text = gettext("Connection “%(name)s” is made, and paused. Fill in its secrets, then set it to active.")
        self.message_user(request, text % {"name": obj.name}, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:providers_connection_change", args=[obj.pk]))

    # --- actions ------------------------------------------------------------------------------------------------------

    def _changeable(self, request: HttpRequest, connections: QuerySet[Connection]) -> list[Connection]:
        """Those the user may change; the others are named."""
        allowed = []
        for connection in connections:
            if self.has_change_permission(request, connection):
                allowed.append(connection)
            else:
                self.message_user(
                    request, gettext("%s: you may not change this connection.") % connection, messages.ERROR
                )
        return allowed

    @admin.action(description=_("Check selected connections"), permissions=["change"])
    def check_now(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        text = gettext("%s: will be checked in a moment; what comes of it is on the connection's page.")
        self._ask(request, queryset, text)

    @admin.action(
        description=_("Register our address at the platforms of selected connections"), permissions=["change"]
    )
    def register_webhooks(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        text = gettext("%s: our address will be registered in a moment; what comes of it is on the connection's page.")
        self._ask(request, queryset, text, register=True)

    def _ask(self, request: HttpRequest, queryset: QuerySet[Connection], text: str, *, register: bool = False) -> None:
        for connection in self._changeable(request, queryset):
            checks.ask(connection, register=register)
            asked = gettext("registration of our address") if register else gettext("check")
            self.log_change(request, connection, [{"changed": {"fields": [asked]}}])
            self.message_user(request, text % connection, messages.SUCCESS)

    @admin.action(description=_("Pause selected connections"), permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        text = gettext("%s: paused. Pushes are still stored; nothing is sent or polled.")
        self._set_state(request, queryset, Connection.State.PAUSED, text)

    @admin.action(description=_("Resume selected connections"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        self._set_state(request, queryset, Connection.State.ACTIVE, gettext("%s: active again."))

    def _set_state(self, request: HttpRequest, queryset: QuerySet[Connection], state: str, text: str) -> None:
        for connection in self._changeable(request, queryset):
            connection.state = state
            connection.save(update_fields=["state"])
            health.reset(connection.pk)
            self.log_change(request, connection, [{"changed": {"fields": [str(_("state"))]}}])
            self.message_user(request, text % connection, messages.SUCCESS)

    @admin.action(description=_("Replace the addresses of selected connections"), permissions=["change"])
    def replace_hooks(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        text = gettext("%s: new address opened, the old one answers 410 from now on. Register it at the platform.")
        for connection in self._changeable(request, queryset):
            for hook in connection.hooks.filter(closed_at=None):
                services.close_hook(hook=hook)
                services.open_hook(connection=connection, line_identifier=hook.line_identifier)
            self.log_change(request, connection, [{"changed": {"fields": [str(_("address"))]}}])
            self.message_user(request, text % connection, messages.SUCCESS)


class RefusedRequestAdmin(ReadOnly, LargeTable):
    list_display = ("received_at", "connection", "status_code", "reason", "size")
    list_filter = (ConnectionFilter,)
    fields = ("received_at", "connection", "status_code", "reason", "size")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("connection")


class WebhookDeliveryAdmin(ReadOnly, LargeTable):
    list_display = ("received_at", "connection", "state", "attempts", "short_error", "key")
    list_filter = ("state", ConnectionFilter)
    search_fields = ("key",)
    search_help_text = _("Key of the delivery, or its id")
    fieldsets = (
        (None, {"fields": ("id", "connection", "line_identifier", "key", "received_at")}),
        (
            _("Processing"),
            {"fields": ("state", "error", "waits_for", "lane", "attempts", "next_attempt_at", "processed_at")},
        ),
        (_("Request"), {"fields": ("header_lines", "pretty_body")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        return super().get_queryset(request).select_related("connection").defer("body", "headers")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Exact, through the unique index of connection and key."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(pk=UUID(term)), False
        except ValueError:
            connections = list(Connection.objects.values_list("pk", flat=True))
            return queryset.filter(connection__in=connections, key=term), False

    @admin.display(description=_("error"))
    def short_error(self, delivery: WebhookDelivery) -> str:
        return delivery.error[:120]

    @admin.display(description=_("headers"))
    def header_lines(self, delivery: WebhookDelivery) -> str:
        lines = "\n".join(f"{name}: {value}" for name, value in sorted(delivery.headers.items()))
        return format_html('<pre class="raw">{}</pre>', lines)

    @admin.display(description=_("body"))
    def pretty_body(self, delivery: WebhookDelivery) -> str:
        text = delivery.body_text
        with suppress(ValueError):  # not JSON, or broken: shown as it came
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        cut = (
            gettext("… %(count)s more characters") % {"count": len(text) - SHOWN_BODY} if len(text) > SHOWN_BODY else ""
        )
        return format_html('<pre class="raw">{}</pre>{}', text[:SHOWN_BODY], cut)
