"""What is said of connections that anybody between could read."""

import pytest
from django.db import connections

from einvoice_project.plain_connections import check_plain_connections


@pytest.mark.parametrize(
    ("host", "mode", "redis", "expected"),
    [
        ("", "", "", []),
        ("/run/postgresql", "", "redis://localhost:6379", []),
        ("127.0.0.1", "", "redis://127.0.0.2", []),
        ("db.example.com", "", "", ["navette.E001"]),
        ("db.example.com", "prefer", "", ["navette.E001"]),
        ("db.example.com", "require", "rediss://cache.example.com", []),
        ("db.example.com", "verify-full", "redis://cache.example.com", ["navette.E002"]),
        ("127.0.0.1.example.com", "", "redis://cache.example.com", ["navette.E001", "navette.E002"]),
    ],
)
def test_plain_connections_to_other_hosts_are_refused(monkeypatch, settings, host, mode, redis, expected):
    database = connections["default"].settings_dict
    monkeypatch.setitem(database, "HOST", host)
    monkeypatch.setitem(database, "OPTIONS", {"sslmode": mode} if mode else {})
    settings.REDIS_URL = redis
    assert [each.id for each in check_plain_connections()] == expected
    settings.PLAIN_CONNECTIONS = True
    assert check_plain_connections() == []
