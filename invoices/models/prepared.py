"""What the worker has made of long documents."""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Prepared(models.Model):
    """A document read, drawn as PDF, or a file taken out of it: once, in the worker. Rows that wait are the queue.

    `form`: see `invoices.register.prepared`. `version`: of the code that made it; another makes it anew.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    document = models.ForeignKey("invoices.InvoiceDocument", on_delete=models.CASCADE, related_name="prepared")
    form = models.CharField(max_length=20)
    version = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    content = models.BinaryField(default=bytes)
    line_count = models.PositiveIntegerField(default=0)
    media_type = models.CharField(max_length=100, blank=True)
    filename = models.CharField(max_length=200, blank=True)
    error = models.JSONField(default=dict)  # words by language
    attempts = models.PositiveSmallIntegerField(default=0)
    asked_at = models.DateTimeField(default=timezone.now)
    leased_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("prepared document")
        verbose_name_plural = _("prepared documents")
        constraints = [models.UniqueConstraint(fields=["document", "form"], name="one_of_each_form_of_a_document")]
        indexes = [models.Index(fields=["asked_at"], condition=models.Q(state="waiting"), name="prepared_due")]

    def __str__(self) -> str:
        return f"{self.document} – {self.form}"


class PreparedLines(models.Model):
    """A page of the lines of a document that was read."""

    prepared = models.ForeignKey(Prepared, on_delete=models.CASCADE, related_name="pages")
    number = models.PositiveIntegerField()
    content = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["prepared", "number"], name="one_page_of_lines_per_number")]

    def __str__(self) -> str:
        return f"{self.prepared} – {self.number}"
