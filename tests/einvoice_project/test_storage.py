import os
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile

from einvoice_project.storage import Shelf, storage_settings


def test_no_address_keeps_documents_in_the_data_folder() -> None:
    assert storage_settings("", Path("/data")) == {
        "BACKEND": "einvoice_project.storage.Shelf",
        "OPTIONS": {"location": Path("/data/documents")},
    }


def test_bucket_address_is_read_with_its_options() -> None:
    found = storage_settings("s3://invoices/navette?endpoint_url=https://s3.example.com&region_name=fr", Path("/data"))
    assert found == {
        "BACKEND": "einvoice_project.bucket.Bucket",
        "OPTIONS": {
            "bucket_name": "invoices",
            "location": "navette",
            "endpoint_url": "https://s3.example.com",
            "region_name": "fr",
            "file_overwrite": False,
            "default_acl": None,
            "querystring_expire": 300,
            "max_memory_size": 2 * 1024 * 1024,
        },
    }


@pytest.mark.parametrize("address", ["ftp://invoices", "s3:///navette", "invoices"])
def test_other_address_is_refused(address: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        storage_settings(address, Path("/data"))


def test_shelf_keeps_bytes_where_their_name_says(tmp_path: Path) -> None:
    name = Shelf(tmp_path / "documents").save("ab/cd/abcd", ContentFile(b"content"))
    path = tmp_path / "documents" / name
    assert (name, path.read_bytes(), path.stat().st_mode & 0o777) == ("ab/cd/abcd", b"content", 0o400)
    assert [each.stat().st_mode & 0o777 for each in (path.parent, path.parent.parent)] == [0o700, 0o700]


def test_shelf_does_not_write_over_a_file(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    names = [shelf.save("a", ContentFile(content)) for content in (b"first", b"second")]
    assert [(tmp_path / name).read_bytes() for name in names] == [b"first", b"second"]


class Interrupted(ContentFile):
    def chunks(self, chunk_size: int | None = None) -> Any:
        yield b"beginning"
        raise OSError("no space left")


def test_shelf_leaves_nothing_half_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no space left"):
        Shelf(tmp_path).save("a", Interrupted(b""))
    assert list(tmp_path.iterdir()) == []


def test_the_same_file_from_many_at_once(tmp_path: Path) -> None:
    content = os.urandom(300_000)
    shelf, barrier, names = Shelf(tmp_path), threading.Barrier(8), []

    def save() -> None:
        barrier.wait()
        names.append(shelf._save("a", ContentFile(content)))

    threads = [threading.Thread(target=save) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (set(names), [path.name for path in tmp_path.iterdir()]) == ({"a"}, ["a"])
    assert (tmp_path / "a").read_bytes() == content
