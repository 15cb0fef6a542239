"""Django's PostgreSQL backend, which first makes sure that the embedded server runs."""

from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        settings.EMBEDDED_POSTGRES.ensure_running()
        return super().get_new_connection(conn_params)
