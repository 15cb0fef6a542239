"""The histories recorded so far get the seal at their end."""

from itertools import islice

from django.db import migrations

from lifecycle.history.seals import seal_head

BATCH = 2000


def seal(apps, schema_editor):
    Invoice, StatusEvent = apps.get_model("invoices", "Invoice"), apps.get_model("lifecycle", "StatusEvent")
    ends = StatusEvent.objects.order_by("invoice_id", "-sequence").distinct("invoice_id")
    rows = ends.filter(invoice__head_seal="").values_list("invoice_id", "sequence", "hash").iterator(BATCH)
    while batch := list(islice(rows, BATCH)):
        sealed = [
            Invoice(pk=key, head_sequence=sequence, head_seal=seal_head(key, sequence, last))
            for key, sequence, last in batch
        ]
        Invoice.objects.bulk_update(sealed, ["head_sequence", "head_seal"])


class Migration(migrations.Migration):
    atomic = False  # in batches: a lock on every invoice at once would stop everybody

    dependencies = [("lifecycle", "0009_history_anchors")]

    operations = [migrations.RunPython(seal, migrations.RunPython.noop)]
