from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

LEFT_OUT = "left_out_of_poll"


def ring_for_left_out(apps, schema_editor):
    """What earlier polls could not take in was noted with the connection: the inbox looks at it from now on."""
    Connection = apps.get_model("providers", "Connection")
    WebhookDelivery = apps.get_model("providers", "WebhookDelivery")
    for connection in Connection.objects.filter(memory__has_key=LEFT_OUT):
        refs = connection.memory.pop(LEFT_OUT)
        rows = [
            WebhookDelivery(
                connection=connection,
                key=f"bell {ref}",
                body=b"",
                lane="fetch",
                found={"bells": [{"provider_ref": ref, "is_new_invoice": True}], "statuses": []},
            )
            for ref in refs
            if len(ref) < 190
        ]
        WebhookDelivery.objects.bulk_create(rows, ignore_conflicts=True)
        connection.save(update_fields=["memory"])


class Migration(migrations.Migration):
    atomic = False  # the index is built while pushes come in

    dependencies = [("providers", "0004_admin_labels")]

    operations = [
        migrations.AddField(
            model_name="connection",
            name="poll_leased_until",
            field=models.DateTimeField(editable=False, null=True, verbose_name="being polled until"),
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="found",
            field=models.JSONField(editable=False, null=True, verbose_name="found by asking"),
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="lane",
            field=models.CharField(
                choices=[("ingest", "Only read"), ("fetch", "Platform asked")],
                db_default="ingest",
                default="ingest",
                max_length=6,
                verbose_name="lane",
            ),
        ),
        AddIndexConcurrently(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "received")),
                fields=["connection", "lane", "next_attempt_at", "received_at"],
                name="delivery_turn",
            ),
        ),
        migrations.RunPython(ring_for_left_out, migrations.RunPython.noop),
    ]
