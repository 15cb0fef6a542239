"""Through which other platforms an invoice came."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from providers.models import Connection


class InvoiceOrigin(models.Model):
    """Another platform that holds an invoice, beside the one that brought it first: a change of platform lasts a year.

    The invoice is decided once, and told to the platform of its own `connection`; what any of them reports lands on it.
    `differing_amount`: what its copy says, where that is not what the invoice says.
    """

    invoice = models.ForeignKey("invoices.Invoice", on_delete=models.CASCADE, related_name="other_origins")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="invoice_origins")
    addressing_line = models.ForeignKey(
        "invoices.AddressingLine", on_delete=models.SET_NULL, null=True, blank=True, related_name="invoice_origins"
    )
    provider_ref = models.CharField(_("platform's reference"), max_length=200)
    arrived_at = models.DateTimeField(_("arrived"), default=timezone.now, editable=False)
    differing_amount = models.CharField(max_length=60, blank=True, default="", editable=False)

    class Meta:
        verbose_name = _("further origin")
        verbose_name_plural = _("further origins")
        ordering = ["arrived_at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "provider_ref"], name="one_origin_per_platform_reference"),
            models.UniqueConstraint(fields=["invoice", "connection"], name="one_origin_per_invoice_and_connection"),
        ]

    def __str__(self) -> str:
        return f"{self.invoice} – {self.connection}"

    @property
    def warning(self) -> str:
        message = gettext(
            "The copy of this invoice that came through %(platform)s says something else: %(amount)s. Ask the seller "
            "which one counts before you decide."
        )
        return message % {"amount": self.differing_amount, "platform": self.connection.name}
