"""The row of `audit`; found with all others in `models`."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    """Who did what, from where. Append-only, by the database; outlives the people and customers it names."""

    class Action(models.TextChoices):
        LOGIN = "login", _("Signed in")
        LOGIN_FAILED = "login_failed", _("Sign-in failed")
        LOGIN_LOCKED = "login_locked", _("Sign-in held back after wrong guesses")
        LOGOUT = "logout", _("Signed out")
        ACCOUNT_MADE = "account_made", _("Account made")
        ACCOUNT_CHANGED = "account_changed", _("Account changed")
        PASSWORD_CHANGED = "password_changed", _("Password changed")
        FACTOR_ADDED = "factor_added", _("Second factor added")
        FACTOR_REMOVED = "factor_removed", _("Second factor removed")
        FACTOR_FAILED = "factor_failed", _("Second factor failed")
        ROLE_GIVEN = "role_given", _("Role given")
        ROLE_REMOVED = "role_removed", _("Role removed")
        TOKEN_MADE = "token_made", _("API token made")
        TOKEN_USED = "token_used", _("API token used for the first time that day")
        TOKEN_REVOKED = "token_revoked", _("API token revoked")
        EXPORTED = "exported", _("Invoices exported")
        FILE_OPENED = "file_opened", _("File opened")
        LOG_EXPORTED = "log_exported", _("Audit log exported")
        CUSTOMER_CHANGED = "customer_changed", _("Customer or its rules changed")
        POLICY_ASKED = "policy_asked", _("Change of rules asked for")
        POLICY_WITHDRAWN = "policy_withdrawn", _("Change of rules withdrawn")
        LINE_CHANGED = "line_changed", _("Addressing line changed")
        CONNECTION_CHANGED = "connection_changed", _("Connection changed")
        REPLAYED = "replayed", _("Delivery replayed")
        RELAY_RETRIED = "relay_retried", _("Failed relay sent again")
        RELAY_RESOLVED = "relay_resolved", _("Fate of a relay told by a person")
        PURGED = "purged", _("Invoice purged")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(_("time"), default=timezone.now, editable=False)
    action = models.CharField(_("action"), max_length=20, choices=Action.choices)
    # By name too: nothing here goes with a person or a customer.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
    )
    actor_name = models.CharField(_("who"), max_length=150, blank=True)
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
    )
    customer = models.ForeignKey(
        "invoices.Customer", models.DO_NOTHING, null=True, db_constraint=False, related_name="+"
    )
    subject = models.CharField(_("about"), max_length=200, blank=True)
    source = models.CharField(_("source address"), max_length=45, blank=True)
    details = models.JSONField(_("details"), default=dict, blank=True)

    class Meta:
        verbose_name = _("entry of the audit log")
        verbose_name_plural = _("audit log")
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_by_time"),
            models.Index(fields=["customer", "-at"], name="audit_of_customer"),
            models.Index(fields=["account", "-at"], name="audit_of_account"),
        ]

    def __str__(self) -> str:
        return f"{self.at.isoformat()} {self.actor_name} {self.action} {self.subject}"
