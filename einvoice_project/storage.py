"""Where documents are kept: a folder, or a bucket that speaks S3."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.core.exceptions import ImproperlyConfigured


def storage_settings(address: str, data_dir: Path) -> dict[str, Any]:
    if not address:
        location = data_dir / "documents"
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": location}}
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
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
