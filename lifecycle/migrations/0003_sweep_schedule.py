from django.db import migrations


def schedule_sweep(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.update_or_create(
        name="sweep", defaults={"func": "lifecycle.tasks.sweep", "schedule_type": "I", "minutes": 1, "repeats": -1}
    )


def unschedule_sweep(apps, schema_editor):
    apps.get_model("django_q", "Schedule").objects.filter(name="sweep").delete()


class Migration(migrations.Migration):
    dependencies = [("lifecycle", "0002_append_only"), ("django_q", "0018_task_success_index")]

    operations = [migrations.RunPython(schedule_sweep, unschedule_sweep)]
