"""By what the software of customers is known."""

import hashlib
import secrets

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Scope(models.TextChoices):
    """What a token may be used for, of what its owner may do."""

    READ = "read", _("Read invoices")
    DECIDE = "decide", _("Decide")
    SUBMIT = "submit", _("Hand in invoices")
    ADMINISTER = "administer", _("Replay and send again")


def every_scope() -> list[str]:
    return list(Scope.values)


class ApiToken(models.Model):
    """A token of the REST API; only its SHA-256 is kept (the token itself has 256 bits, so no salt is needed)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(_("name"), max_length=60, blank=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(_("ends with"), max_length=4, editable=False)
    scopes = ArrayField(
        models.CharField(max_length=10, choices=Scope.choices), verbose_name=_("scopes"), default=every_scope
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, editable=False)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return f"{self.user} …{self.hint}"

    @property
    def label(self) -> str:
        return f"{self.name} …{self.hint}".strip()

    @property
    def scope_labels(self) -> str:
        return ", ".join(str(Scope(scope).label) for scope in self.scopes if scope in Scope)

    @property
    def is_valid(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    @classmethod
    def valid(cls) -> models.QuerySet["ApiToken"]:
        """Those that open the API now. Their owners' accounts do, too."""
        still = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        return cls.objects.filter(still, revoked_at=None, user__is_active=True)

    @staticmethod
    def digest_of(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()

    @staticmethod
    def new_token() -> str:
        return secrets.token_urlsafe(32)
