from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the indexes are built while the outbox goes on

    dependencies = [
        ("lifecycle", "0011_relay_speaking"),
    ]

    operations = [
        AddIndexConcurrently(
            "relaytask",
            models.Index(
                fields=["connection", "deadline_at", "next_attempt_at"],
                condition=models.Q(state__in=["scheduled", "pending"]),
                name="relay_to_tell",
            ),
        ),
        AddIndexConcurrently(
            "relaytask",
            models.Index(
                fields=["connection", "next_attempt_at"],
                condition=models.Q(state__in=["uncertain", "sent"], next_attempt_at__isnull=False),
                name="relay_to_look_up",
            ),
        ),
    ]
