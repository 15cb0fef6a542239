"""The project's settings on a throw-away folder and database, one per run (shared by the processes of one run)."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "NAVETTE_TEST_FOLDER" not in os.environ:
    os.environ["NAVETTE_TEST_FOLDER"] = tempfile.mkdtemp(prefix="navette-test-")
    # The database server's own account must pass.
    Path(os.environ["NAVETTE_TEST_FOLDER"]).chmod(0o711)
folder = Path(os.environ["NAVETTE_TEST_FOLDER"])
os.environ["NAVETTE_DEMO"] = "1"
os.environ["DATA_DIR"] = str(folder / "files")

from einvoice_project.embedded_postgres import Cluster  # noqa: E402
from einvoice_project.settings import *  # noqa: E402, F403
from einvoice_project.settings import DATABASES, environment  # noqa: E402

if not environment("DATABASE_URL"):
    EMBEDDED_POSTGRES = Cluster(folder, ephemeral=True)
    DATABASES["default"] |= EMBEDDED_POSTGRES.database_settings()
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@atexit.register
def remove_unused_folder() -> None:
    # Where the database was started, its keeper removes the folder once the last process has ended.
    if not (folder / "users.lock").exists():
        shutil.rmtree(folder, ignore_errors=True)
