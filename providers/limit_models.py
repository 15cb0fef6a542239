"""The row of `limits`; found with all others in `models`."""

from django.db import models


class RateWindow(models.Model):
    """How often somebody did something in the window that began then. Unlogged: a crash may forget it."""

    key = models.CharField(max_length=100, primary_key=True)
    begun = models.BigIntegerField()
    count = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"
