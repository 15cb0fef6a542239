"""The app as Django knows it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InvoicesConfig(AppConfig):
    name = "invoices"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("Invoices")

    def ready(self) -> None:
        from invoices.people import account_events  # noqa: F401  -- its receivers
