"""The app as Django knows it."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LifecycleConfig(AppConfig):
    name = "lifecycle"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = _("Life cycle")

    def ready(self) -> None:
        from einvoice_project import plain_connections  # noqa: F401  -- its system check
