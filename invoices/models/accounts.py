"""Rows of `accounts`; found with all others in `models`."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class PaymentAccount(models.Model):
    """Where a supplier wants an invoice paid. `supplier` is its key (`identity`), `holder` whose account it is;
    `from_copy`: named by the copy of a further platform alone.
    """

    invoice = models.ForeignKey("invoices.Invoice", on_delete=models.CASCADE, related_name="accounts")
    customer = models.ForeignKey("invoices.Customer", on_delete=models.CASCADE, related_name="+")
    supplier = models.CharField(max_length=200, blank=True)
    iban = models.CharField("IBAN", max_length=40)
    holder = models.CharField(_("Account holder"), max_length=200, blank=True)
    from_copy = models.BooleanField(default=False, editable=False)

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = [models.UniqueConstraint(fields=["invoice", "iban"], name="account_once_per_invoice")]
        indexes = [models.Index(fields=["customer", "supplier", "-id"], name="account_of_supplier")]

    def __str__(self) -> str:
        return self.iban


class AccountChange(models.Model):
    """A supplier names another account than on its last invoices, or than on another copy of this one. `new` and
    `known` are rows of iban and holder; known ones with the invoice that named them, and with who had checked them.
    """

    invoice = models.OneToOneField(
        "invoices.Invoice", on_delete=models.CASCADE, primary_key=True, related_name="account_change"
    )
    new = models.JSONField(default=list)
    known = models.JSONField(default=list)
    found_at = models.DateTimeField(default=timezone.now, editable=False)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )
    acknowledged_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("change of account")
        verbose_name_plural = _("changes of account")
        indexes = [
            # The few that wait for a person.
            models.Index(fields=["invoice"], condition=Q(acknowledged_at=None), name="account_change_open"),
        ]

    def __str__(self) -> str:
        return ", ".join(row["iban"] for row in self.new)

    @property
    def is_between_copies(self) -> bool:
        """The known accounts are those of the invoice itself."""
        return any(row["id"] == str(self.invoice_id) for row in self.known)
