"""The project's settings on a throw-away folder and database, one per run (shared by the processes of one run)."""

import atexit
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet


def remove_unused_folder() -> None:
    # Where the database was started, its keeper removes the folder once the last process has ended.
    if not (folder / "users.lock").exists():
        shutil.rmtree(folder, ignore_errors=True)


if "NAVETTE_TEST_FOLDER" not in os.environ:
    # Only named here: whoever needs it first makes it.
    os.environ["NAVETTE_TEST_FOLDER"] = str(Path(tempfile.gettempdir()) / f"navette-test-{secrets.token_hex(8)}")
    os.environ["SECRET_KEY"] = secrets.token_urlsafe(50)
    os.environ["SECRETS_KEYS"] = Fernet.generate_key().decode()
    atexit.register(remove_unused_folder)
folder = Path(os.environ["NAVETTE_TEST_FOLDER"])
os.environ["NAVETTE_DEMO"] = "1"
os.environ["DATA_DIR"] = str(folder / "files")

from einvoice_project.embedded_postgres import Cluster  # noqa: E402
from einvoice_project.settings import *  # noqa: E402, F403
from einvoice_project.settings import DATABASES, environment  # noqa: E402

if not environment("DATABASE_URL"):
    EMBEDDED_POSTGRES = Cluster(folder, ephemeral=True)
    DATABASES["default"] |= EMBEDDED_POSTGRES.database_settings()
if "NAVETTE_TEST_DATABASE" in os.environ:
    # A process started by a test works on that test's database.
    DATABASES["default"]["NAME"] = os.environ["NAVETTE_TEST_DATABASE"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
