"""Documents in a bucket that speaks S3. Imported only where STORAGE_URL names one: its packages are an extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage


class Bucket(S3Storage):
    """Complains as a folder does: who reads a document knows OSError, not the S3 client."""

    def _open(self, name: str, mode: str = "rb") -> Any:
        with as_os_error(name):
            opened = super()._open(name, mode)
            _ = opened.file  # fetched now, not at the first read
        return opened

    def _save(self, name: str, content: Any) -> str:
        with as_os_error(name):
            return super()._save(name, content)

    def exists(self, name: str) -> bool:
        with as_os_error(name):
            return super().exists(name)

    def size(self, name: str) -> int:
        with as_os_error(name):
            return super().size(name)

    def delete(self, name: str) -> None:
        with as_os_error(name):
            super().delete(name)


@contextmanager
def as_os_error(name: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise OSError(f"{name}: {error}") from error
