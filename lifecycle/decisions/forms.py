"""What people type: the filters of the list, a decision, a comment, an assignment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from invoices.models import AuditEntry, Comment, Direction, Invoice, Membership, Role
from invoices.models.money import written_by_rate
from invoices.models.tokens import Scope
from invoices.people.desk import Desk
from lifecycle.lists.queries import LANES
from providers.contract.base import Payment, Reason
from providers.models import WebhookDelivery
from providers.norm.codes import (
    INVOICE_STATUSES,
    REASONS,
    STATUSES,
    VAT_RATES,
    Status,
    reason_label,
    reasons_for,
    status_label,
)
from providers.norm.transitions import NOTE_MAX_LENGTH, REASON_TEXT_MAX_LENGTH, Problem

from . import carrying, settlement
from .wishes import Wish

MAX_REASONS = 10
MAX_PAYMENTS = 15
PROBLEM_FIELD = re.compile(r"(?P<rows>reasons|payments)\[(?P<index>\d+)]\.(?P<field>\w+)")


class InvoiceFilterForm(forms.Form):
    """The filters of the list, as they stand in the URL."""

    q = forms.CharField(
        label=_("Search"),
        required=False,
        max_length=200,
        widget=forms.TextInput({"type": "search", "data-search": True, "placeholder": _("Number, party, SIREN")}),
    )
    lane = forms.ChoiceField(label=_("Worklist"), required=False)
    customer = forms.ChoiceField(label=_("Customer"), required=False)
    direction = forms.ChoiceField(
        label=_("Direction"), required=False, choices=[("", _("Received and issued")), *Direction.choices]
    )
    status = forms.ChoiceField(label=_("Status"), required=False)
    connection = forms.ChoiceField(label=_("Platform"), required=False)
    number = forms.CharField(label=_("Exact number"), required=False, max_length=200)
    since = forms.DateField(
        label=_("Issued from"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d")
    )
    until = forms.DateField(
        label=_("Issued until"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d")
    )
    mine = forms.BooleanField(label=_("Assigned to me"), required=False)

    def __init__(self, data: Any, *, desk: Desk) -> None:
        super().__init__(data, auto_id="filter-%s")
        self._offer("lane", _("Everything"), [(lane.name, lane.title) for lane in LANES])
        self._offer("customer", _("All customers"), [(each.siren, each.name) for each in desk.customers])
        statuses = [(code, f"{code} {status_label(code)}") for code in INVOICE_STATUSES]
        self._offer("status", _("All statuses"), statuses)
        self._offer(
            "connection",
            _("All platforms"),
            [(each.name, f"{each.platform_label} – {each.name}") for each in desk.connections],
        )

    def _offer(self, name: str, everything: Any, choices: Iterable[tuple[str, Any]]) -> None:
        self.fields[name].choices = [("", everything), *choices]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        wanted = super().clean() or {}
        if wanted.get("since") and wanted.get("until") and wanted["since"] > wanted["until"]:
            self.add_error("until", _("This date lies before the first one."))
        return wanted


class DeliveryFilterForm(forms.Form):
    state = forms.ChoiceField(
        label=_("State"), required=False, choices=[("", _("All states")), *WebhookDelivery.State.choices]
    )


class AuditFilterForm(forms.Form):
    """The filters of the audit log, as they stand in the URL."""

    action = forms.ChoiceField(
        label=_("Action"), required=False, choices=[("", _("Everything")), *AuditEntry.Action.choices]
    )
    who = forms.CharField(label=_("Who"), required=False, max_length=150)
    customer = forms.ChoiceField(label=_("Customer"), required=False)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))
    until = forms.DateField(label=_("Until"), required=False, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"))

    def __init__(self, data: Any, *, desk: Desk) -> None:
        super().__init__(data, auto_id="filter-%s")
        own = [(each.siren, each.name) for each in desk.customers if desk.may(each.pk, Role.ADMINISTRATOR)]
        self.fields["customer"].choices = [("", _("All customers")), *own]  # type: ignore[attr-defined]

    def apply(self, rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        lookups = {
            "action": "action",
            "who": "actor_name__iexact",
            "customer": "customer__siren",
            "since": "at__date__gte",
            "until": "at__date__lte",
        }
        wanted = {lookup: self.cleaned_data[name] for name, lookup in lookups.items() if self.cleaned_data[name]}
        return rows.filter(**wanted)


class TokenForm(forms.Form):
    """A new token of one's own. Whatever it is for, it reads."""

    name = forms.CharField(label=_("What is it for?"), max_length=60)
    scopes = forms.MultipleChoiceField(
        label=_("It may"),
        required=False,
        choices=[choice for choice in Scope.choices if choice[0] != Scope.READ],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Every token reads. It never may more than you."),
    )
    days = forms.TypedChoiceField(
        label=_("It expires after"),
        coerce=int,
        choices=[(30, _("30 days")), (90, _("90 days")), (365, _("one year"))],
        initial=90,
    )

    @property
    def wish(self) -> dict[str, Any]:
        given = self.cleaned_data
        expires_at = timezone.now() + timedelta(days=given["days"])
        return {"name": given["name"], "scopes": [Scope.READ, *given["scopes"]], "expires_at": expires_at}


class CommentForm(forms.ModelForm):
    class Meta:
        model = Comment
        fields = ["text"]
        labels = {"text": _("Internal comment")}
        widgets = {"text": forms.Textarea({"rows": 2, "maxlength": 4000})}
        error_messages = {"text": {"required": _("Write something first.")}}


class PersonField(forms.ModelChoiceField):
    def label_from_instance(self, user: Any) -> str:
        return user.get_full_name() or user.get_username()


class AssignForm(forms.Form):
    to = PersonField(
        label=_("Assigned to"), queryset=get_user_model().objects.none(), required=False, empty_label=_("Nobody")
    )

    def __init__(self, data: Any = None, *, invoice: Invoice) -> None:
        super().__init__(data, initial={"to": invoice.assigned_to_id}, auto_id="assign-%s")
        able = Membership.objects.filter(customer=invoice.customer_id, role__in=Role.at_least(Role.CLERK))
        users = get_user_model().objects.filter(is_active=True, pk__in=able.values("user"))
        self.fields["to"].queryset = users.order_by("username")  # type: ignore[attr-defined]


# --- a decision -------------------------------------------------------------------------------------------------------


class ReasonForm(forms.Form):
    code = forms.ChoiceField(label=_("Reason"), required=False)
    text = forms.CharField(
        label=_("In your own words"),
        required=False,
        max_length=REASON_TEXT_MAX_LENGTH,
        widget=forms.TextInput({"maxlength": REASON_TEXT_MAX_LENGTH}),
    )

    def __init__(self, *args: Any, offered: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(code, reason_label(code)) for code in offered]
        self.fields["code"].choices = [("", _("Choose…")), *choices]  # type: ignore[attr-defined]

    @property
    def is_blank(self) -> bool:
        return not (self.cleaned_data.get("code") or self.cleaned_data.get("text"))

    def reason(self) -> Reason:
        return Reason(code=self.cleaned_data["code"], text=self.cleaned_data["text"])


class AmountField(forms.DecimalField):
    """Money as people write or paste it: 1 120,50 with whatever kind of space."""

    def to_python(self, value: Any) -> Any:
        return super().to_python("".join(value.split()) if isinstance(value, str) else value)


class PaymentForm(forms.Form):
    vat_rate = forms.ChoiceField(label=_("VAT rate"), required=False)
    amount = AmountField(
        label=_("Amount with VAT"),
        required=False,
        max_digits=18,
        localize=True,
        widget=forms.TextInput({"inputmode": "decimal", "class": "num"}),
        error_messages={"invalid": _("This is not an amount of money.")},
    )
    currency = forms.CharField(
        label=_("Currency"), required=False, max_length=3, widget=forms.TextInput({"size": 3, "maxlength": 3})
    )

    def __init__(self, *args: Any, rates: Iterable[Decimal], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(f"{rate:f}", f"{rate:f} %".replace(".", ",")) for rate in rates]
        self.fields["vat_rate"].choices = [("", "–"), *choices]  # type: ignore[attr-defined]

    @property
    def is_blank(self) -> bool:
        return self.cleaned_data.get("amount") is None

    def payment(self) -> Payment:
        rate = self.cleaned_data["vat_rate"]
        return Payment(
            amount=self.cleaned_data["amount"],
            vat_rate=Decimal(rate) if rate else None,
            currency=self.cleaned_data["currency"].upper() or "EUR",
        )


ReasonFormSet = forms.formset_factory(ReasonForm, extra=0, min_num=1, max_num=MAX_REASONS, absolute_max=MAX_REASONS)
PaymentFormSet = forms.formset_factory(PaymentForm, extra=0, min_num=1, max_num=MAX_PAYMENTS, absolute_max=MAX_PAYMENTS)


class DecisionForm(forms.Form):
    """One status with everything it may carry. `wish()` is what the service is asked."""

    note = forms.CharField(
        label=_("Note to the other party"),
        required=False,
        max_length=NOTE_MAX_LENGTH,
        widget=forms.Textarea({"rows": 2, "maxlength": NOTE_MAX_LENGTH}),
    )
    confirm = forms.BooleanField(label=_("I understand that this is final."), required=False)
    sure = forms.BooleanField(label=_("I have checked it: this is right."), required=False)
    version = forms.IntegerField(widget=forms.HiddenInput)
    seen = forms.IntegerField(widget=forms.HiddenInput)
    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, invoice: Invoice, status: str, **kwargs: Any) -> None:
        super().__init__(data, auto_id="decision-%s", **kwargs)
        self.invoice, self.info = invoice, STATUSES[status]
        self.offered = carrying.reasons_offered(invoice, status)
        self.reasons = self._reasons(data) if self.info.reason != "none" else None
        self.payments = self._payments(data) if self.info.payment != "none" else None
        if not self.info.final:
            del self.fields["confirm"]

    def _reasons(self, data: Any) -> Any:
        return ReasonFormSet(data, prefix="reasons", auto_id="decision-%s", form_kwargs={"offered": self.offered})

    def _payments(self, data: Any) -> Any:
        initial = payments_left(self.invoice, self.info.code) if data is None else None
        rates = sorted({*VAT_RATES, *_rates_of(self.invoice)}, reverse=True)
        return PaymentFormSet(
            data, prefix="payments", auto_id="decision-%s", initial=initial, form_kwargs={"rates": rates}
        )

    @property
    def parts(self) -> list[Any]:
        return [part for part in (self.reasons, self.payments) if part is not None]

    @property
    def reason_help(self) -> list[tuple[str, str]]:
        return [(reason_label(code), str(REASONS[code].help)) for code in self.offered if REASONS[code].help]

    @property
    def has_reason(self) -> bool:
        """Something stands in the optional reasons, so they are shown open."""
        rows = self.reasons.forms if self.is_bound and self.reasons is not None else []
        return any(form["code"].data or form["text"].data for form in rows)

    @property
    def may_add_reason(self) -> bool:
        return self.reasons is not None and self.reasons.total_form_count() < MAX_REASONS

    def is_valid(self) -> bool:
        return all([super().is_valid(), *(part.is_valid() for part in self.parts)])

    def _filled(self, part: Any) -> list[Any]:
        return [form for form in part.forms if not form.is_blank] if part is not None else []

    def wish(self) -> Wish:
        return Wish(
            status=self.info.code,
            reasons=tuple(form.reason() for form in self._filled(self.reasons)),
            payments=tuple(form.payment() for form in self._filled(self.payments)),
            note=self.cleaned_data["note"].strip(),
            version=self.cleaned_data["version"],
            sure=self.cleaned_data["sure"],
        )

    def check_confirmed(self) -> bool:
        if self.info.final and not self.cleaned_data.get("confirm"):
            self.add_error("confirm", _("Tick this box first: there is no way back."))
            return False
        return True

    def check_sure(self, doubts: Sequence[Problem]) -> bool:
        if doubts and not self.cleaned_data["sure"]:
            self.add_error("sure", _("Check this first, and tick the box if it is right."))
            return False
        return True

    def show(self, problems: Iterable[Problem]) -> None:
        """Put each problem of the service next to the field it speaks of."""
        for problem in problems:
            place = PROBLEM_FIELD.fullmatch(problem.field)
            if place:
                filled = self._filled(getattr(self, place["rows"]))
                filled[int(place["index"])].add_error(place["field"], problem.message)
            elif problem.field in ("reasons", "payments") and getattr(self, problem.field) is not None:
                first = "code" if problem.field == "reasons" else "amount"
                getattr(self, problem.field).forms[0].add_error(first, problem.message)
            else:
                self.add_error(problem.field if problem.field in self.fields else None, problem.message)


class BulkDecisionForm(forms.Form):
    """One status for many invoices, with the reason and the note they share. Amounts are each invoice's own."""

    code = forms.ChoiceField(label=_("Reason"), required=False)
    text = forms.CharField(label=_("In your own words"), required=False, max_length=REASON_TEXT_MAX_LENGTH)
    note = forms.CharField(
        label=_("Note to the other party"),
        required=False,
        max_length=NOTE_MAX_LENGTH,
        widget=forms.Textarea({"rows": 2, "maxlength": NOTE_MAX_LENGTH}),
    )
    confirm = forms.BooleanField(label=_("I understand that this is final."), required=False)
    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, data: Any = None, *, status: str, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.info = STATUSES[status]
        choices = [(code, reason_label(code)) for code in reasons_for(status)]
        self.fields["code"].choices = [("", _("Choose…")), *choices]  # type: ignore[attr-defined]
        if self.info.reason == "none":
            del self.fields["code"], self.fields["text"]
        if not self.info.final:
            del self.fields["confirm"]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("text") and not data.get("code"):
            self.add_error("code", _("Choose the reason that these words explain."))
        elif self.info.reason == "required" and "code" not in self.errors and not data.get("code"):
            self.add_error("code", _("This status needs a reason."))
        return data

    def check_confirmed(self) -> bool:
        if self.info.final and not self.cleaned_data.get("confirm"):
            self.add_error("confirm", _("Tick this box first: there is no way back."))
            return False
        return True

    def wish(self) -> Wish:
        code, text = self.cleaned_data.get("code", ""), self.cleaned_data.get("text", "")
        reasons = (Reason(code=code, text=text),) if code else ()
        return Wish(status=self.info.code, reasons=reasons, note=self.cleaned_data["note"].strip())


def _rates_of(invoice: Invoice) -> list[Decimal]:
    return [rate for rate in written_by_rate(invoice.vat_breakdown) if rate not in VAT_RATES]


def payments_left(invoice: Invoice, status: str) -> list[dict[str, Any]]:
    """One row per VAT rate with what is left to declare by this status. A receipt is negative where money goes back."""
    if status == Status.PARTIALLY_APPROVED:
        return []
    # A receipt is declared in euro: the amount of an invoice in another currency is for the person to convert.
    foreign = status == Status.PAYMENT_RECEIVED and invoice.currency not in ("", "EUR")
    return [
        {
            "vat_rate": f"{row.vat_rate:f}",
            "amount": None if foreign else settlement.to_declare(invoice, status, row),
            "currency": "EUR" if foreign else invoice.currency or "EUR",
        }
        for row in settlement.settlement_of(invoice, status)
        if row.left or (foreign and not row.is_foreign)
    ]
