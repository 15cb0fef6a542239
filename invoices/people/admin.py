"""Accounts, their roles, tokens and second factors in the admin. `admin` imports this, which registers it."""

from __future__ import annotations

from typing import Any

# From their admin, so that they are registered by the time they are replaced here.
from allauth.mfa.admin import Authenticator
from allauth.socialaccount.admin import SocialApp, SocialToken
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_q.admin import Failure, OrmQ, Schedule, Success

from invoices.models import ApiToken, Membership
from providers.admin import ReadOnly

from . import audit, tokens
from .account_events import end_other_sessions
from .audited import Audited
from .scoped_admin import OfCustomer, Scoped, administered
from .staff import match_memberships


def record_roles(formset: Any) -> list[Membership]:
    """Note in the audit log which roles a formset gave and took; these memberships."""
    given = [*formset.new_objects, *(each for each, _fields in formset.changed_objects)]
    for membership in given:
        audit.record_role(membership)
    for membership in formset.deleted_objects:
        audit.record_role(membership, removed=True)
    return [*given, *formset.deleted_objects]


class NeedsMembership(BaseInlineFormSet):
    """Whoever is no superuser makes users of the own customers only."""

    request_user: Any

    def clean(self) -> None:
        super().clean()
        if not self.is_bound or self.request_user.is_superuser or any(self.errors):
            return
        kept = [form for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        if not kept:
            self._non_form_errors.append(gettext("Give the user a role for one of your customers."))  # type: ignore[attr-defined]


class UserMembershipInline(OfCustomer, admin.StackedInline):
    model = Membership
    extra = 0
    fields = ("customer", "role")
    formset = NeedsMembership

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset: Any = super().get_formset(request, obj, **kwargs)
        formset.request_user = request.user
        return formset


class ApiTokenInline(admin.StackedInline):
    model = ApiToken
    extra = 0
    fields = readonly_fields = ("label", "scope_labels", "created_at", "expires_at", "last_used_at", "revoked_at")
    verbose_name_plural = _("API tokens (delete one to revoke it)")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # by the action, which shows it once

    @admin.display(description=_("name"))
    def label(self, token: ApiToken) -> str:
        return token.label

    @admin.display(description=_("scopes"))
    def scope_labels(self, token: ApiToken) -> str:
        return token.scope_labels


admin.site.unregister(User)


@admin.register(User)
class UserAdmin(Audited, Scoped, DjangoUserAdmin):
    audit_action = audit.Action.ACCOUNT_CHANGED
    list_display = ("username", "first_name", "last_name", "email", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    filter_horizontal = ()  # its script marks up help that no screen reader is told
    inlines = (UserMembershipInline, ApiTokenInline)
    actions = ("create_token",)
    # Without the fields that would let an administrator of a customer become one of all.
    staff_fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Personal info"), {"fields": ("first_name", "last_name", "email")}),
        (_("Permissions"), {"fields": ("is_active",)}),
        (_("Important dates"), {"fields": ("last_login", "date_joined")}),
    )

    def scope(self, user: Any) -> Q:
        own = Membership.objects.filter(customer__in=administered(user).values("pk"))
        return Q(pk__in=own.values("user")) | Q(pk=user.pk)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not superusers, nor people who also work for customers of others: a new password opens those too."""
        if not super().has_change_permission(request, obj):
            return False
        if obj is None or request.user.is_superuser:
            return True
        own = administered(request.user).values("pk")
        return not obj.is_superuser and not obj.memberships.exclude(customer__in=own).exists()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or request.user.is_superuser:
            return super().get_fieldsets(request, obj)
        return self.staff_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("last_login", "date_joined")

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj else (UserMembershipInline,)

    def _audit(self, obj: Any, names: list[str]) -> None:
        """That an account is made is noted wherever it is made; its own people's administrators see the rest."""
        if changed := [name for name in names if name != "+"]:
            audit.record(self.audit_action, account=obj, subject=obj, changed=changed)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """A token deleted is a token revoked: its row stays as a trace."""
        if formset.model is ApiToken:
            for token in formset.save(commit=False) or formset.deleted_objects:
                tokens.revoke(token)
            return
        super().save_formset(request, form, formset, change)
        record_roles(formset)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        match_memberships(form.instance)

    @admin.action(description=_("Create an API token for each selected user"), permissions=["create_token"])
    def create_token(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            if not self.has_change_permission(request, user):
                words = gettext("%(user)s: you may not change this user.") % {"user": user}
                self.message_user(request, words, messages.ERROR)
                continue
            _token, secret = tokens.make(user=user)
            self.log_change(request, user, [{"added": {"name": gettext("API token"), "object": f"…{secret[-4:]}"}}])
            text = gettext("API token of {user}, shown this once only: {token}")
            shown = format_html('<code class="copyable">{}</code>', secret)
            self.message_user(request, format_html(text, user=user, token=shown), messages.SUCCESS)

    def has_create_token_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("invoices.add_apitoken")


# The worker's own tables: what a person does there would run as code.
for queued in (Failure, OrmQ, Schedule, Success):
    if admin.site.is_registered(queued):
        admin.site.unregister(queued)

# Single sign-on is set up by the environment; these pages would show its secret and tokens.
admin.site.unregister([SocialApp, SocialToken])
admin.site.unregister(Authenticator)


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnly, Audited):
    """A lost second factor is deleted here; what it holds is never shown."""

    audit_action = audit.Action.FACTOR_REMOVED

    list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    fields = list_display

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("mfa.delete_authenticator")

    def _audit(self, obj: Any, names: list[str]) -> None:
        audit.record(self.audit_action, account=obj.user, subject=obj.user, factor=obj.type)
        end_other_sessions(obj.user)
