import os
import subprocess
import sys

from django.conf import settings
from django.contrib.auth.models import User


def test_child_process_works_on_the_test_database(database_url: str) -> None:
    User.objects.create_user("ada")
    code = "import django; django.setup(); from django.contrib.auth.models import User; print(User.objects.get())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.BASE_DIR,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "einvoice_project.settings", "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("ada\n", "")
