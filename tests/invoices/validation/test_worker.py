"""The real worker: it checks what is stored, and a file whose check was cut short is checked again."""

from datetime import timedelta

import pytest
from django.utils import timezone

from invoices.models import Validation
from invoices.register.services import store_document
from providers.contract.base import File
from tests.factories import make_invoice
from tests.invoices.odd_files import UBL, with_lines
from tests.processes import Navette, sweep_until, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def navette():
    processes = Navette()
    yield processes
    processes.stop()


def states():
    return list(Validation.objects.order_by("pk").values_list("state", "attempts"))


def test_killed_worker_loses_no_verdict(navette):
    for content in (with_lines(1500), UBL.encode()):
        store_document(invoice=make_invoice(), file=File(kind="original", content=content))
    navette.start_worker()
    wait_until(lambda: states()[0] == ("waiting", 1), 60, states)
    navette.kill("worker")
    assert states() == [("waiting", 1), ("waiting", 0)]
    Validation.objects.exclude(leased_until=None).update(leased_until=timezone.now() - timedelta(seconds=1))

    navette.start_worker()
    sweep_until(lambda: states() == [("done", 2), ("done", 1)], 90, states)
    assert set(Validation.objects.values_list("outcome", flat=True)) == {"invalid"}
