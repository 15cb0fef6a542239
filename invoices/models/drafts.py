"""Invoices in the making."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class InvoiceDraft(models.Model):
    """An invoice in the making: the form as it stands, saved as it is typed. `invoice` is what was made of it.

    `tab` is the browser window that saved last: another one that has not seen it must not overwrite it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    line = models.ForeignKey("invoices.AddressingLine", on_delete=models.CASCADE, related_name="drafts")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    data = models.JSONField(_("data"), default=dict)
    number = models.CharField(_("number"), max_length=200, blank=True)
    party_name = models.CharField(_("party"), max_length=300, blank=True)
    total_with_vat = models.DecimalField(_("total with VAT"), max_digits=18, decimal_places=2, null=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    tab = models.CharField(max_length=36, blank=True, editable=False)
    invoice = models.ForeignKey(
        "invoices.Invoice", on_delete=models.CASCADE, null=True, related_name="drafts", editable=False
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("changed"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("draft")
        verbose_name_plural = _("drafts")
        ordering = ["-updated_at"]

    def __str__(self) -> str:
        return self.number or str(self.pk)[:8]
