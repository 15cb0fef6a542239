"""Where documents are kept: a folder, or a bucket that speaks S3.

Their names are the SHA-256 of their bytes, so a name that is taken holds the same bytes already.
"""

import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

SPOOLED_BYTES = 2 * 1024 * 1024
READ_ONLY, OURS_ALONE = 0o400, 0o700


def storage_settings(address: str, data_dir: Path) -> dict[str, Any]:
    if not address:
        location = data_dir / "documents"
        return {"BACKEND": "einvoice_project.storage.Shelf", "OPTIONS": {"location": location}}
    parts = urlsplit(address)
    if parts.scheme != "s3" or not parts.hostname:
        raise ImproperlyConfigured("STORAGE_URL must read s3://bucket/prefix?option=value.")
    options: dict[str, Any] = {
        "bucket_name": parts.hostname,
        "location": parts.path.strip("/"),
        **dict(parse_qsl(parts.query)),
    }
    # Documents are content-addressed and never overwritten; their addresses are signed and short-lived.
    options |= {"file_overwrite": False, "default_acl": None, "querystring_expire": 300}
    # A file fetched to be read goes to the disk beyond this; without it all of it would stay in memory.
    options |= {"max_memory_size": SPOOLED_BYTES}
    return {"BACKEND": "einvoice_project.bucket.Bucket", "OPTIONS": options}


class Shelf(FileSystemStorage):
    """A folder in which a file appears whole or not at all, is on the disk then, and is never written again."""

    def _save(self, name: str, content: File) -> str:
        target = Path(self.path(name))
        make_folder(target.parent)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".new-", delete=False) as draft:
            try:
                for chunk in content.chunks():
                    draft.write(chunk)
                draft.flush()
                os.fchmod(draft.fileno(), READ_ONLY)
                os.fsync(draft.fileno())
                os.link(draft.name, target)
            except FileExistsError:
                # Another process was quicker with the same content.
                return name
            finally:
                os.unlink(draft.name)
        sync_folder(target.parent)
        return name


def make_folder(folder: Path) -> None:
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=OURS_ALONE, exist_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
