"""The row of `customers.policies`; found with all others in `models`."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class PolicyChange(models.Model):
    """Rules of a customer that one administrator wants changed and another one has not confirmed yet."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waits for a second administrator")
        CONFIRMED = "confirmed", _("Confirmed")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    customer = models.ForeignKey(
        "invoices.Customer", models.CASCADE, related_name="policy_changes", verbose_name=_("customer")
    )
    # By the name of the rule: its value when it was asked for, and the value wanted.
    rules = models.JSONField(_("rules"), editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING, editable=False)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("asked by")
    )
    asked_at = models.DateTimeField(_("asked"), default=timezone.now, editable=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("decided by")
    )
    decided_at = models.DateTimeField(_("decided"), null=True, editable=False)

    class Meta:
        verbose_name = _("change of rules")
        verbose_name_plural = _("changes of rules")
        ordering = ["-asked_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["customer"], condition=Q(state="waiting"), name="one_waiting_policy_change_per_customer"
            )
        ]

    def __str__(self) -> str:
        return f"{self.customer}: {', '.join(self.rules)}"
