"""Who the seller is, in one value, and the dates by which an invoice names earlier ones."""

from django.db import migrations, models

import invoices.models.identity


class Migration(migrations.Migration):
    dependencies = [("invoices", "0012_company_numbers")]

    operations = [
        migrations.AddField(
            model_name="invoice",
            name="preceding_dates",
            field=models.JSONField(default=list, editable=False, verbose_name="dates of earlier invoices"),
        ),
        migrations.AddField(
            model_name="invoice",
            name="seller_key",
            field=invoices.models.identity.SellerKey(
                blank=True, default="", editable=False, max_length=200, verbose_name="seller's key"
            ),
            preserve_default=False,
        ),
    ]
