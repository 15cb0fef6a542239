from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from einvoice_project.storage import storage_settings


def test_no_address_keeps_documents_in_the_data_folder() -> None:
    assert storage_settings("", Path("/data")) == {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": Path("/data/documents")},
    }


def test_bucket_address_is_read_with_its_options() -> None:
    found = storage_settings("s3://invoices/navette?endpoint_url=https://s3.example.com&region_name=fr", Path("/data"))
    assert found == {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": "invoices",
            "location": "navette",
            "endpoint_url": "https://s3.example.com",
            "region_name": "fr",
            "file_overwrite": False,
            "default_acl": None,
            "querystring_expire": 300,
        },
    }


@pytest.mark.parametrize("address", ["ftp://invoices", "s3:///navette", "invoices"])
def test_other_address_is_refused(address: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        storage_settings(address, Path("/data"))
