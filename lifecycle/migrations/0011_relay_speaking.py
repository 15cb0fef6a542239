from django.db import migrations, models

# What was told before it was noted when. Of a relay that a worker held at the upgrade nobody knows: it counts as told.
NOTE_WHEN_TOLD = """
UPDATE lifecycle_relaytask relay
SET spoke_at = coalesce(
    (SELECT max(started_at) FROM lifecycle_relayattempt tried WHERE tried.relay_id = relay.id AND tried.kind = 'send'),
    relay.sent_at,
    now()
)
WHERE state IN ('sending', 'sent', 'uncertain') OR (state = 'confirmed' AND attempts > 0)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("lifecycle", "0010_seal_heads"),
    ]

    operations = [
        migrations.AddField(
            model_name="relaytask",
            name="spoke_at",
            field=models.DateTimeField(
                help_text="When its first byte may have left, last; empty while nothing of it has.",
                null=True,
                verbose_name="told",
            ),
        ),
        migrations.RunSQL(NOTE_WHEN_TOLD, migrations.RunSQL.noop),
    ]
