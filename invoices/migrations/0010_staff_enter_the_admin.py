"""Everybody who works for a customer enters the admin: so far only administrators did."""

from django.conf import settings
from django.db import migrations
from django.db.models import Q

STAFF = "Navette finance staff"
RIGHTS = (
    ("invoices", "view_invoice"),
    ("invoices", "view_invoicedocument"),
    ("invoices", "view_comment"),
    ("lifecycle", "view_statusevent"),
    ("lifecycle", "add_statusevent"),
    ("lifecycle", "view_relaytask"),
    ("lifecycle", "change_relaytask"),
    ("lifecycle", "view_relayattempt"),
)


def let_in(apps, schema_editor):
    User = apps.get_model(settings.AUTH_USER_MODEL)
    users = User.objects.filter(pk__in=apps.get_model("invoices", "Membership").objects.values("user"))
    if not users.exists():
        return
    wanted = Q()
    for app, codename in RIGHTS:
        wanted |= Q(content_type__app_label=app, codename=codename)
    group, _created = apps.get_model("auth", "Group").objects.get_or_create(name=STAFF)
    group.permissions.set(apps.get_model("auth", "Permission").objects.filter(wanted))
    group.user_set.add(*users)
    users.update(is_staff=True)


class Migration(migrations.Migration):
    dependencies = [
        ("invoices", "0009_answers"),
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [migrations.RunPython(let_in, migrations.RunPython.noop)]
