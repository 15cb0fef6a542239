"""Forms of the admin for addressing lines."""

from __future__ import annotations

from typing import Any

from django import forms

from providers.forms import AccountForm

from .models import AddressingLine


class NewAddressingLineForm(forms.ModelForm):
    """The first step: the connection's platform decides which fields the second one has."""

    class Meta:
        model = AddressingLine
        fields = ("customer", "identifier", "connection")


class AddressingLineForm(AccountForm):
    class Meta:
        model = AddressingLine
        fields: Any = ("identifier",)
