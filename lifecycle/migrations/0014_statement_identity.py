

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("lifecycle", "0013_told_findings"),
    ]

    operations = [
        migrations.AddField(
            model_name='seenreport',
            name='digest',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name='seenreport',
            name='is_replay',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='seenreport',
            name='seen_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='statusevent',
            name='completes',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='completions', to='lifecycle.statusevent'),
        ),
        migrations.AddField(
            model_name='statusevent',
            name='derived',
            field=models.BooleanField(default=False, help_text='The nearest code to a word or fact that names none.', verbose_name='derived'),
        ),
        migrations.AddField(
            model_name='statusevent',
            name='time_source',
            field=models.CharField(choices=[('told', 'as told'), ('arrival', 'when it was heard: no time was told'), ('impossible', 'when it was heard: the time told is impossible')], default='told', help_text='Where it is from.', max_length=10, verbose_name='time'),
        ),
        migrations.AddField(
            model_name='statusevent',
            name='told_time',
            field=models.CharField(blank=True, help_text='Where it is impossible.', max_length=40, verbose_name='time told'),
        ),
    ]
