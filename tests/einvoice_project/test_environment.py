import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from einvoice_project.environment import VARIABLES, Environment, reference


def test_reference_is_up_to_date() -> None:
    assert (Path(settings.BASE_DIR) / "docs" / "environment.md").read_text() == reference()


def test_every_row_is_read_by_the_settings() -> None:
    source = (Path(settings.BASE_DIR) / "einvoice_project" / "settings.py").read_text()
    assert set(re.findall(r'environment(?:\.required)?\("(\w+)"\)', source)) == {row.name for row in VARIABLES}


def test_value_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").write_text("new,old")
    monkeypatch.delenv("SECRETS_KEYS", raising=False)
    monkeypatch.setenv("SECRETS_KEYS_FILE", str(tmp_path / "keys"))
    assert Environment()("SECRETS_KEYS") == ["new", "old"]


def test_value_from_a_file_loses_the_line_end_an_editor_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("secret\n")
    monkeypatch.setenv("METRICS_TOKEN_FILE", str(tmp_path / "key"))
    assert Environment()("METRICS_TOKEN") == "secret"


def test_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS_TOKEN_FILE", "/nowhere/token")
    with pytest.raises(ImproperlyConfigured) as raised:
        Environment()("METRICS_TOKEN")
    assert str(raised.value) == (
        "METRICS_TOKEN_FILE cannot be read: [Errno 2] No such file or directory: '/nowhere/token'."
    )


def test_missing_required_value_names_both_ways_to_give_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    with pytest.raises(ImproperlyConfigured) as raised:
        Environment().required("SECRET_KEY")
    assert str(raised.value) == "SECRET_KEY is not set: give it, or SECRET_KEY_FILE. See docs/environment.md."


def test_name_without_a_row_is_refused() -> None:
    with pytest.raises(KeyError):
        Environment()("NOT_DOCUMENTED")
