"""The project's settings as in production, on a throw-away folder and database. DATABASE_URL is never used."""

import os
from pathlib import Path

folder = Path(os.environ["NAVETTE_BENCHMARK_FOLDER"])
os.environ.pop("DATABASE_URL", None)
os.environ["DATA_DIR"] = str(folder / "files")
os.environ.setdefault("LOG_LEVEL", "ERROR")

from einvoice_project.embedded_postgres import OPTIONS, Cluster  # noqa: E402
from einvoice_project.settings import *  # noqa: E402, F403
from einvoice_project.settings import DATABASES, ROOT_URLCONF, STORAGES  # noqa: E402


class ThrowAwayCluster(Cluster):
    """Removed after its last user, yet as durable as a real one: the cost of a commit is part of what is measured."""

    @property
    def server_options(self) -> dict[str, str]:
        return OPTIONS


EMBEDDED_POSTGRES = ThrowAwayCluster(folder, ephemeral=True)
DATABASES["default"] |= EMBEDDED_POSTGRES.database_settings()
DATABASES["default"]["NAME"] = os.environ.get("NAVETTE_BENCHMARK_DATABASE", DATABASES["default"]["NAME"])
# No `collectstatic` before a benchmark.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
STATIC_ROOT = folder / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
ROOT_URLCONF = os.environ.get("NAVETTE_BENCHMARK_URLCONF", ROOT_URLCONF)
