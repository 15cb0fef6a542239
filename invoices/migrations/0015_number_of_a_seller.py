import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("invoices", "0014_fill_seller_key")]

    operations = [
        migrations.RemoveConstraint(model_name="invoice", name="one_issue_per_seller_number_and_year"),
        migrations.AddConstraint(
            model_name="invoice",
            constraint=models.UniqueConstraint(
                "direction",
                "seller_key",
                "number",
                django.db.models.functions.datetime.ExtractYear("issue_date"),
                condition=models.Q(("holds_number", True), models.Q(("seller_key", ""), _negated=True)),
                name="one_issue_per_seller_number_and_year",
            ),
        ),
    ]
