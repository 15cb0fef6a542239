"""Documents in a bucket, against a small S3 of our own; where requirements/s3.txt is installed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.utils.module_loading import import_string
from werkzeug import Request, Response
from werkzeug.serving import make_server

from einvoice_project.storage import storage_settings

pytest.importorskip("storages", reason="the packages of requirements/s3.txt are not installed")
boto = pytest.importorskip("boto3", reason="the packages of requirements/s3.txt are not installed")


class Objects:
    """What an S3 does for us: put, get, head, delete. `broken` answers everything with 503."""

    address = ""
    broken = False

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    @Request.application
    def __call__(self, request: Request) -> Response:
        if self.broken:
            return Response("<Error><Code>ServiceUnavailable</Code></Error>", 503)
        if request.method == "PUT":
            self.kept[request.path] = body_of(request)
            return Response(status=200, headers={"ETag": '"x"'})
        if request.method == "DELETE":
            self.kept.pop(request.path, None)
            return Response(status=204)
        if request.path not in self.kept:
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404)
        headers = {"ETag": '"x"', "Last-Modified": "Sat, 21 Nov 2026 12:00:00 GMT"}
        return Response(self.kept[request.path], headers=headers)


def body_of(request: Request) -> bytes:
    """The client sends its chunks with signatures between them."""
    content = request.get_data()
    if "aws-chunked" not in request.headers.get("Content-Encoding", ""):
        return content
    plain = b""
    while content:
        head, content = content.split(b"\r\n", 1)
        size = int(head.split(b";")[0], 16)
        if not size:
            return plain
        plain, content = plain + content[:size], content[size + 2 :]
    return plain


@pytest.fixture
def objects() -> Iterator[Objects]:
    objects = Objects()
    server = make_server("127.0.0.1", 0, objects, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    objects.address = f"http://127.0.0.1:{server.server_port}"
    yield objects
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def bucket(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    address = f"s3://documents/navette?endpoint_url={objects.address}&region_name=eu-west-3&addressing_style=path"
    wanted = storage_settings(address, Path("/unused"))
    return import_string(wanted["BACKEND"])(**wanted["OPTIONS"])


def test_bucket_keeps_and_never_overwrites(bucket: Any, objects: Objects) -> None:
    names = [bucket.save("ab/cd/abcd", ContentFile(content)) for content in (b"first", b"second")]

    assert names[0] == "ab/cd/abcd"
    assert [objects.kept[f"/documents/navette/{name}"] for name in names] == [b"first", b"second"]
    with bucket.open(names[0]) as file:
        assert (file.read(), bucket.size(names[0]), bucket.exists(names[0])) == (b"first", 5, True)
    bucket.delete(names[0])
    assert bucket.exists(names[0]) is False


def test_lost_object_is_a_lost_file(bucket: Any) -> None:
    with pytest.raises(FileNotFoundError):
        bucket.open("ab/cd/none")


@pytest.mark.parametrize("act", ["exists", "size", "open", "delete"])
def test_bucket_out_of_order_is_an_os_error(bucket: Any, objects: Objects, act: str) -> None:
    objects.broken = True
    with pytest.raises(OSError, match="ab/cd/abcd"):
        getattr(bucket, act)("ab/cd/abcd")


def test_saving_into_a_bucket_out_of_order_is_an_os_error(bucket: Any, objects: Objects) -> None:
    objects.broken = True
    with pytest.raises(OSError, match="ab/cd/abcd"):
        bucket.save("ab/cd/abcd", ContentFile(b"x"))
