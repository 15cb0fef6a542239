"""The numbers of parties in one form, as `providers.norm.companies` reads them from now on. In batches: no row stays locked."""

from itertools import islice

from django.db import migrations, transaction
from django.db.models import Q

from providers.norm.companies import identify

BATCH = 1000
COLUMNS = [f"{role}_{name}" for role in ("seller", "buyer") for name in ("siren", "vat_number")]


def normalise(apps, schema_editor):
    invoices = apps.get_model("invoices", "Invoice").objects
    odd = Q()
    for role in ("seller", "buyer"):
        odd |= ~Q(**{f"{role}_siren__regex": r"^[0-9]{9}$"}) & ~Q(**{f"{role}_siren": "", f"{role}_vat_number": ""})
        odd |= Q(**{f"{role}_vat_number__regex": r"[^0-9A-Z+*]"})
    rows = invoices.filter(odd).only(*COLUMNS).iterator(chunk_size=BATCH)
    while batch := list(islice(rows, BATCH)):
        with transaction.atomic():
            invoices.bulk_update([changed(row) for row in batch], COLUMNS)


def changed(row):
    for role in ("seller", "buyer"):
        siren, vat_number = getattr(row, f"{role}_siren"), getattr(row, f"{role}_vat_number")
        known = identify(siren=siren, vat_number=vat_number)
        setattr(row, f"{role}_siren", known.siren)
        setattr(row, f"{role}_vat_number", known.vat_number)
    return row


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("invoices", "0011_admin_labels")]

    operations = [migrations.RunPython(normalise, migrations.RunPython.noop)]
