"""Ratios measured side by side. Who starts a benchmark sets Django up; the processes it starts inherit its folder."""

import os
import secrets
import tempfile
from pathlib import Path

import django
from cryptography.fernet import Fernet

if "NAVETTE_BENCHMARK_FOLDER" not in os.environ:
    os.environ["NAVETTE_BENCHMARK_FOLDER"] = str(
        Path(tempfile.gettempdir()) / f"navette-benchmark-{secrets.token_hex(8)}"
    )
    os.environ["SECRET_KEY"] = secrets.token_urlsafe(50)
    os.environ["SECRETS_KEYS"] = Fernet.generate_key().decode()
    os.environ["PUBLIC_URL"] = "http://127.0.0.1:8000"
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()
