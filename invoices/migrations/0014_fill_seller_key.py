from django.db import migrations

from invoices.models.identity import key_of

BATCH = 2000


def fill(apps, schema_editor):
    """From the columns; a legal identifier or an address is taken from the next document that comes."""
    model = apps.get_model("invoices", "Invoice")
    rows = model.objects.filter(seller_key="").order_by("pk").only("seller_siren", "seller_vat_number", "seller_name")
    last = None
    while batch := list((rows.filter(pk__gt=last) if last else rows)[:BATCH]):
        for row in batch:
            numbers = {"siren": row.seller_siren, "vat_number": row.seller_vat_number}
            row.seller_key = key_of(**numbers, name=row.seller_name)
        model.objects.bulk_update(batch, ["seller_key"])
        last = batch[-1].pk


class Migration(migrations.Migration):
    atomic = False  # each batch by itself: nobody waits for the whole table

    dependencies = [("invoices", "0013_seller_key")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
