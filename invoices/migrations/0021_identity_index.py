from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # so that nobody waits while it is built

    dependencies = [("invoices", "0020_origins")]

    operations = [
        AddIndexConcurrently("invoice", models.Index(fields=["seller_key", "number"], name="invoice_identity")),
    ]
