"""The table of Django's database cache, with the columns it wants: a model, so that migrations make it."""

from django.db import models


class CacheEntry(models.Model):
    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "navette_cache"

    def __str__(self) -> str:
        return self.cache_key
