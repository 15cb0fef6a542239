"""Editing what an adapter declares: settings as form fields, secrets as fields that can be written, never read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from providers.contract.base import Field
from providers.contract.kinds import ADAPTERS, adapter_class
from providers.models import Connection

from .hosts import goes_elsewhere
from .sealing import SealBroken, Secrets

SETTING, SECRET, FORGET = "setting_", "secret_", "forget_secrets"


class ListField(forms.CharField):
    """One entry per line."""

    widget = forms.Textarea(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list | tuple) else value

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != self.to_python(data)


def _choice(field: Field, **options: Any) -> forms.Field:
    return forms.ChoiceField(choices=[(choice, choice) for choice in field.choices], **options)


def _url(field: Field, **options: Any) -> forms.Field:
    return forms.URLField(assume_scheme="https", widget=forms.URLInput(attrs={"class": "vURLField"}), **options)


def _text(field: Field, **options: Any) -> forms.Field:
    return forms.CharField(widget=forms.TextInput(attrs={"class": "vTextField"}), **options)


FORM_FIELDS: dict[str, Callable[..., forms.Field]] = {
    "str": _text,
    "url": _url,
    "choice": _choice,
    "int": lambda field, **options: forms.IntegerField(**options),
    "bool": lambda field, **options: forms.BooleanField(**options | {"required": False}),
    "list": lambda field, **options: ListField(**options),
}


def setting_field(field: Field) -> forms.Field:
    return FORM_FIELDS[field.type](field, label=field.name, help_text=field.help, required=field.required)


def secret_field(field: Field) -> forms.Field:
    """A password field: what is stored is never written into the page."""
    widget = forms.PasswordInput(render_value=False, attrs={"class": "vTextField", "autocomplete": "new-password"})
    return forms.CharField(label=field.name, help_text=field.help, required=field.required, widget=widget, strip=False)


class AccountForm(forms.ModelForm):
    """A row with `settings` and sealed `secrets`. An empty secret keeps the stored one; a default is not stored."""

    setting_fields: Sequence[Field] = ()
    secret_fields: Sequence[Field] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.setting_fields:
            self.initial[SETTING + field.name] = self.instance.settings.get(field.name, field.default)
        stored = self._find_secrets()
        for field in self.secret_fields:
            if SECRET + field.name in self.fields:
                self._mask(self.fields[SECRET + field.name], stored, field.name)
        if FORGET in self.fields:
            known = stored or {}
            optional = [field.name for field in self.secret_fields if not field.required and known.get(field.name)]
            self.fields[FORGET].choices = [(name, name) for name in optional]  # type: ignore[attr-defined]

    def _find_secrets(self) -> dict[str, str] | None:
        """None where they cannot be unsealed: they stay as they are until somebody enters them anew."""
        try:
            return dict(self.instance.secrets)
        except SealBroken:
            return None

    def _mask(self, form_field: forms.Field, stored: Mapping[str, str] | None, name: str) -> None:
        words = _("not set")
        if stored is None:
            words = _("cannot be unsealed with today's keys – enter it anew")
        elif stored.get(name):
            words = _("stored – leave empty to keep it")
        form_field.required = form_field.required and stored is not None and not stored.get(name)
        form_field.widget.is_required = form_field.required
        form_field.widget.attrs["placeholder"] = words

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        self.instance.settings = self._merged_settings()
        self.instance.secrets = self._merged_secrets()
        return cleaned

    def _merged_settings(self) -> dict[str, Any]:
        settings = dict(self.instance.settings)
        for field in self.setting_fields:
            if SETTING + field.name not in self.cleaned_data:
                continue
            value = self.cleaned_data[SETTING + field.name]
            settings.pop(field.name, None)
            if value not in (None, "", [], field.default):
                settings[field.name] = value
        return settings

    def _merged_secrets(self) -> Secrets:
        forgotten = self.cleaned_data.get(FORGET) or ()
        entered = {field.name: self.cleaned_data.get(SECRET + field.name) for field in self.secret_fields}
        written = {name: value for name, value in entered.items() if value}
        if not written and not forgotten:
            return self.instance.secrets
        kept = {name: value for name, value in (self._find_secrets() or {}).items() if name not in forgotten}
        return Secrets(kept | written)


def build_account_form(
    base: type[AccountForm], settings: Sequence[Field], secrets: Sequence[Field]
) -> tuple[type[AccountForm], list[str], list[str]]:
    """A form class with one field per declared setting and secret, and the names of both groups."""
    setting_names = {SETTING + field.name: setting_field(field) for field in settings}
    secret_names = {SECRET + field.name: secret_field(field) for field in secrets}
    if any(not field.required for field in secrets):
        secret_names[FORGET] = forms.MultipleChoiceField(
            label=_("forget"), required=False, choices=(), widget=forms.CheckboxSelectMultiple
        )
    declared = {"setting_fields": tuple(settings), "secret_fields": tuple(secrets)}
    form = type(base.__name__, (base,), {**setting_names, **secret_names, **declared})
    return form, list(setting_names), list(secret_names)


class NewConnectionForm(forms.ModelForm):
    """The first step: the platform decides which fields the second one has."""

    kind = forms.ChoiceField(label=_("platform"))

    class Meta:
        model = Connection
        fields = ("name", "kind", "environment")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = [(kind, adapter_class(kind).label) for kind in sorted(ADAPTERS)]
        self.fields["kind"].choices = kinds  # type: ignore[attr-defined]


MOVED = _("With another host or environment the secrets and tokens of the connection are forgotten: enter them anew.")


class ConnectionForm(AccountForm):
    """`has_moved`: the secrets and tokens that are stored belong to another host than the one entered."""

    has_moved = False

    class Meta:
        model = Connection
        fields = ("name", "environment", "state")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        addresses = [SETTING + field.name for field in self.setting_fields if field.type == "url"]
        for name in ("environment", *addresses):
            if name in self.fields:
                self.fields[name].help_text = format_html("{} {}", self.fields[name].help_text, MOVED)

    def clean(self) -> dict[str, Any] | None:
        before = Connection.objects.get(pk=self.instance.pk)
        cleaned = super().clean()
        environment = self.cleaned_data.get("environment", before.environment)
        self.has_moved = goes_elsewhere(before, environment, self.instance.settings)
        if self.has_moved:
            self._forget()
        return cleaned

    def _forget(self) -> None:
        entered = {field.name: self.cleaned_data.get(SECRET + field.name) for field in self.secret_fields}
        self.instance.secrets = Secrets({name: value for name, value in entered.items() if value})
        for field in self.secret_fields:
            if field.required and not entered[field.name]:
                self.add_error(SECRET + field.name, MOVED)
