from collections.abc import Iterator

import pytest
from django.utils import translation

from providers.billit.orders import forget_files


@pytest.fixture(autouse=True)
def in_english() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def _no_files_kept() -> Iterator[None]:
    forget_files()
    yield
    forget_files()
