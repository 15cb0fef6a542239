"""manage.py validate: files on the command line, and the backlog of a stock from before validation."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils.translation import override

from invoices.models import Validation
from invoices.register.services import store_document
from providers.contract.base import File
from tests.factories import make_invoice

SAMPLES = Path(__file__).parents[2] / "samples" / "invoices"


def run(*arguments, **options):
    out, err = StringIO(), StringIO()
    code = 0
    with override("en"):
        try:
            call_command("validate", *arguments, stdout=out, stderr=err, **options)
        except SystemExit as ended:
            code = ended.code
    return code, out.getvalue(), err.getvalue()


def test_faults_are_printed_with_what_to_do():
    code, out, err = run(str(SAMPLES / "invoice.ubl.xml"))

    assert (code, err) == (1, "")
    assert out.splitlines()[0].startswith(f"{SAMPLES / 'invoice.ubl.xml'}: Invalid (")
    assert (
        "  ✗ BR-FR-05_BT-22-2: The legal note on late payment penalties (PMD) is missing. Add a note (BG-1) with this "
        "subject code and the wording of your terms of sale."
    ) in out.splitlines()


def test_file_that_is_not_there_is_named_and_the_next_is_checked(tmp_path):
    (tmp_path / "empty.xml").write_bytes(b"")
    code, out, err = run(str(tmp_path / "nothing.xml"), str(tmp_path / "empty.xml"), verbosity=0)

    assert (code, err.startswith(f"{tmp_path / 'nothing.xml'}: ")) == (1, True)
    assert "Unreadable" in out


def test_nothing_to_do_is_an_error():
    with pytest.raises(CommandError):
        call_command("validate")


@pytest.mark.django_db
def test_backlog_is_queued_once():
    store_document(invoice=make_invoice(), file=File(kind="original", content=b"<a/>"))
    Validation.objects.all().delete()

    assert run(unchecked=True) == (0, "1 files wait to be checked by the worker\n", "")
    assert run(unchecked=True) == (0, "0 files wait to be checked by the worker\n", "")
    assert Validation.objects.get().state == "waiting"
