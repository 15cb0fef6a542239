from django.db import migrations, models

from providers.connections.sealing import seal, unseal

NAMES = ("secret", "seed")
SEALED = "gAAAAA"  # how whatever Fernet sealed begins


def rewrite(apps, change):
    for row in apps.get_model("mfa", "Authenticator").objects.filter(type__in=("totp", "recovery_codes")):
        row.data |= {name: change(row.data[name]) for name in NAMES if name in row.data}
        if "migrated_codes" in row.data:
            row.data["migrated_codes"] = [change(code) for code in row.data["migrated_codes"]]
        row.save(update_fields=["data"])


def seal_seeds(apps, schema_editor):
    rewrite(apps, lambda text: text if text.startswith(SEALED) else seal(text))


def open_seeds(apps, schema_editor):
    rewrite(apps, lambda text: unseal(text) if text.startswith(SEALED) else text)


class Migration(migrations.Migration):
    dependencies = [("invoices", "0023_processing_rules"), ("mfa", "0003_authenticator_type_uniq")]

    operations = [
        migrations.CreateModel(
            name="CacheEntry",
            fields=[
                ("cache_key", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("value", models.TextField()),
                ("expires", models.DateTimeField(db_index=True)),
            ],
            options={"db_table": "navette_cache"},
        ),
        migrations.RunPython(seal_seeds, open_seeds),
    ]
