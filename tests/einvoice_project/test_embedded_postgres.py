import pytest
from django.db import connection


@pytest.mark.django_db
def test_embedded_postgres_is_version_18() -> None:
    assert connection.pg_version // 10000 == 18
