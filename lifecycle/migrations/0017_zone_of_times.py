
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('lifecycle', '0016_exchange_indexes'),
    ]

    operations = [
        migrations.AlterField(
            model_name='statusevent',
            name='time_source',
            field=models.CharField(choices=[('told', 'as told'), ('arrival', 'when it was heard: no time was told'), ('impossible', 'when it was heard: the time told is impossible'), ('zone', 'as told, in the zone that its arrival shows')], default='told', help_text='Where it is from.', max_length=10, verbose_name='time'),
        ),
        migrations.AlterField(
            model_name='statusevent',
            name='told_time',
            field=models.CharField(blank=True, help_text='Where it is not believed.', max_length=40, verbose_name='time told'),
        ),
    ]
