"""The project's settings on a throw-away folder and database, one per run (shared by the processes of one run)."""

import os
import tempfile
from pathlib import Path

if "NAVETTE_TEST_FOLDER" not in os.environ:
    os.environ["NAVETTE_TEST_FOLDER"] = tempfile.mkdtemp(prefix="navette-test-")
    # The database server's own account must pass.
    os.chmod(os.environ["NAVETTE_TEST_FOLDER"], 0o711)
folder = Path(os.environ["NAVETTE_TEST_FOLDER"])
os.environ["NAVETTE_DEMO"] = "1"
os.environ["DATA_DIR"] = str(folder / "files")

from einvoice_project.settings import *  # noqa: E402, F403
from einvoice_project.settings import DATABASES, environment  # noqa: E402

if not environment("DATABASE_URL"):
    EMBEDDED_POSTGRES = Cluster(folder, ephemeral=True)  # noqa: F405
    DATABASES["default"] |= EMBEDDED_POSTGRES.database_settings()
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
