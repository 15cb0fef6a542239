"""Exports: complete, checked offline, for those who may read, and never half."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse

from invoices.models import Invoice
from invoices.register import services as invoices
from lifecycle.decisions.services import issue_status
from lifecycle.decisions.wishes import Wish
from lifecycle.history import exchanges, export, seals
from lifecycle.history.export_check import NotAnExport, check_export
from lifecycle.models import RelayAttempt, RelayTask
from providers.contract.base import File, Spoken
from tests import fake_provider
from tests.factories import (
    OTHER_SIREN,
    make_connection,
    make_customer,
    make_event,
    make_invoice,
    make_line,
    make_token,
    make_user,
)

pytestmark = pytest.mark.django_db

SENT = b'{"status": "204"}'
UNSIGNED = "signature.json is missing or does not fit the manifest"
UBL = (Path(__file__).parent.parent / "samples" / "invoices" / "invoice.ubl.xml").read_bytes()


@pytest.fixture
def invoice(monkeypatch: pytest.MonkeyPatch) -> Invoice:
    """Received, with an original and an attachment, taken in hand by us and refused once by the platform."""
    fake_provider.register(monkeypatch)
    customer, connection = make_customer(), make_connection()
    make_line(customer, connection)
    invoice = make_invoice(customer, connection, number="F/2026:7", statuses=["202", "203"])
    for kind, content, name in (("original", UBL, "../facture.xml"), ("attachment", b"a;b", "annexe.csv")):
        file = File(kind=kind, content=content, media_type="application/xml", filename=name)
        invoices.store_document(invoice=invoice, file=file)
    clerk = make_user(customer, "clerk", username="ada")
    relay, _new = issue_status(user=clerk, invoice_id=invoice.pk, wish=Wish(status="204"))
    sent = Spoken(
        method="POST", url="https://platform.example.test/statuses", headers=(("accept", "*/*"),), body=SENT,
        sha256=hashlib.sha256(SENT).hexdigest(), size=len(SENT),
    )  # fmt: skip
    attempt = RelayAttempt(
        relay=relay, kind="send", started_at=relay.created_at, duration_ms=12, outcome="TemporaryError",
        status_code=503, message="Busy.", answer="<busy/>", sent=exchanges.request_of(sent), sent_body=SENT,
    )  # fmt: skip
    with transaction.atomic():
        exchanges.append([attempt])
    return invoice


def exported(tmp_path: Path, *ids: Any) -> Path:
    path = tmp_path / "export.zip"
    path.write_bytes(b"".join(export.export(ids, made_by="ada")))
    return path


def folder(invoice: Invoice) -> str:
    return f"F_2026_7_{invoice.pk.hex[:8]}"


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The same ZIP after somebody worked on its files."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    forged = path.with_name("forged.zip")
    with zipfile.ZipFile(forged, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return forged


def test_export_holds_everything_of_an_invoice(tmp_path: Path, invoice: Invoice) -> None:
    with zipfile.ZipFile(exported(tmp_path, invoice.pk)) as archive:
        names = {name.removeprefix(f"{folder(invoice)}/") for name in archive.namelist()}
        originals = [archive.read(name) for name in archive.namelist() if "/original/" in name]
        readable = archive.read(f"{folder(invoice)}/readable.pdf")
    sha = invoice.documents.get(kind="original").sha256[:8], invoice.documents.get(kind="attachment").sha256[:8]
    assert names == {
        "README.txt", "manifest.json", "signature.json", "invoice.json", "events.json", "relays.json", "readable.pdf",
        f"original/{sha[0]}-facture.xml", f"attachment/{sha[1]}-annexe.csv.xml",
        f"sent/{RelayAttempt.objects.get().hash[:16]}.bin",
    }  # fmt: skip
    assert (originals, readable[:5]) == ([UBL], b"%PDF-")


def test_proofs_say_what_was_told_to_whom_and_what_came_back(tmp_path: Path, invoice: Invoice) -> None:
    with zipfile.ZipFile(exported(tmp_path, invoice.pk)) as archive:
        (relay,) = json.loads(archive.read(f"{folder(invoice)}/relays.json"))
    task = RelayTask.objects.get()
    assert (relay["id"], relay["event"], relay["state"]) == (str(task.pk), str(task.event_id), task.state)
    assert relay["platform"] == {"name": task.connection.name, "kind": "fake", "environment": "sandbox"}
    assert (relay["told"]["invoice"], relay["told"]["status"]) == (invoice.provider_ref, "204")
    assert [(each["outcome"], each["status_code"], each["answer"]) for each in relay["attempts"]] == [
        ("TemporaryError", 503, "<busy/>")
    ]


def test_export_proves_itself(tmp_path: Path, invoice: Invoice) -> None:
    report = check_export(exported(tmp_path, invoice.pk))
    assert (report.invoices, report.files, report.made_by, report.problems) == (1, 8, "ada", [])


def test_export_of_nothing_is_whole(tmp_path: Path) -> None:
    report = check_export(exported(tmp_path))
    assert (report.invoices, report.files, report.problems) == (0, 1, [])


def test_invoice_without_document_or_history(tmp_path: Path) -> None:
    bare = make_invoice(make_customer(), make_connection())
    report = check_export(exported(tmp_path, bare.pk))
    assert (report.invoices, report.files, report.problems) == (1, 4, [])


def test_unreadable_original_is_exported_without_readable_copy(tmp_path: Path) -> None:
    broken = make_invoice(make_customer(), make_connection())
    invoices.store_document(invoice=broken, file=File(kind="original", content=b"<broken"))
    report = check_export(exported(tmp_path, broken.pk))
    assert (report.files, report.problems) == (5, [])


def test_lost_and_changed_files_are_told(tmp_path: Path, invoice: Invoice) -> None:
    lost, changed = invoice.documents.get(kind="original"), invoice.documents.get(kind="attachment")
    lost.file.storage.delete(lost.file.name)
    path = Path(changed.file.path)
    path.chmod(0o600)
    path.write_bytes(b"a;c")
    problems = check_export(exported(tmp_path, invoice.pk)).problems
    path.unlink()
    name = f"{folder(invoice)}/attachment/{changed.sha256[:8]}-annexe.csv.xml"
    assert sorted(problems) == sorted([
        f"noted when it was made: {folder(invoice)}: the stored file of facture.xml ({lost.sha256}) cannot be opened",
        f"noted when it was made: {name}: the stored file is not the one that was received ({changed.sha256})",
        f"{folder(invoice)}: document facture.xml is not the one that was received",
        f"{folder(invoice)}: document {name} is not the one that was received",
    ])  # fmt: skip


def test_changed_file_is_found(tmp_path: Path, invoice: Invoice) -> None:
    name = f"{folder(invoice)}/invoice.json"

    def change(files: dict[str, bytes]) -> None:
        files[name] += b" "

    assert check_export(rewritten(exported(tmp_path, invoice.pk), change)).problems == [f"{name}: was changed"]


def test_file_taken_out_or_put_in_is_found(tmp_path: Path, invoice: Invoice) -> None:
    readable = f"{folder(invoice)}/readable.pdf"

    def change(files: dict[str, bytes]) -> None:
        files["extra.exe"] = files.pop(readable)

    problems = check_export(rewritten(exported(tmp_path, invoice.pk), change)).problems
    assert problems == [f"{readable}: is missing", "extra.exe: is not in the manifest"]


def forge(files: dict[str, bytes], path: str, change: Callable[[Any], Any]) -> None:
    """Change a JSON file and put its new hash into the manifest, as a careful forger would."""
    content = json.loads(files[path])
    files[path] = export.as_json(change(content) or content)
    manifest = json.loads(files["manifest.json"])
    manifest["files"][path] = {"sha256": export.hashlib.sha256(files[path]).hexdigest(), "size": len(files[path])}
    files["manifest.json"] = export.as_json(manifest)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: rows[1]["facts"].update(status="210"), "event 2 was changed after it was written"),
        (lambda rows: rows.pop(1) and None, "event 2 is missing"),
        (lambda rows: rows.reverse(), "event 1 is missing"),
        (lambda rows: rows[0].update(hash="0" * 64), "event 1 was changed after it was written"),
        (lambda rows: rows[2]["facts"].update(previous_hash=""), "event 3 does not follow the one before it"),
        (lambda rows: [*rows[:2]], "the history does not end where the manifest says"),
        (lambda rows: {"not": "a list"}, "events.json or invoice.json is missing or damaged"),
        (lambda rows: [1, *rows], "the history does not end where the manifest says"),
    ],
    ids=["changed", "taken out", "reversed", "hash", "link", "cut off", "not a list", "not an event"],
)
def test_forged_history_is_found(tmp_path: Path, invoice: Invoice, change: Any, problem: str) -> None:
    path = f"{folder(invoice)}/events.json"
    forged = rewritten(exported(tmp_path, invoice.pk), lambda files: forge(files, path, change))
    assert check_export(forged).problems[0] == f"{folder(invoice)}: {problem}"


def test_exchanged_original_is_found(tmp_path: Path, invoice: Invoice) -> None:
    def change(files: dict[str, bytes]) -> None:
        path = next(name for name in files if "/original/" in name)
        files[path] = UBL.replace(b"1481.40", b"9481.40")
        manifest = json.loads(files["manifest.json"])
        manifest["files"][path] = {
            "sha256": export.hashlib.sha256(files[path]).hexdigest(), "size": len(files[path])
        }  # fmt: skip
        files["manifest.json"] = export.as_json(manifest)

    problem, unsigned = check_export(rewritten(exported(tmp_path, invoice.pk), change)).problems
    assert problem.endswith("-facture.xml is not the one that was received")
    assert unsigned == UNSIGNED


def test_wholly_made_up_manifest_is_not_signed(tmp_path: Path, invoice: Invoice) -> None:
    """Whoever makes every hash fit still lacks the key."""

    def change(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["manifest.json"])
        files["manifest.json"] = export.as_json(manifest | {"made_by": "somebody else"})

    assert check_export(rewritten(exported(tmp_path, invoice.pk), change)).problems == [UNSIGNED]


def test_signature_names_our_public_key(tmp_path: Path, invoice: Invoice) -> None:
    assert check_export(exported(tmp_path, invoice.pk)).public_key in seals.own_public_keys()


def test_export_of_an_older_version_needs_no_signature(tmp_path: Path, invoice: Invoice) -> None:
    def change(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["manifest.json"])
        files["manifest.json"] = export.as_json(manifest | {"format": "navette-export/1"})
        del files["signature.json"]

    report = check_export(rewritten(exported(tmp_path, invoice.pk), change))
    assert (report.problems, report.public_key) == ([], "")


def test_invoice_deleted_meanwhile_is_left_out(tmp_path: Path, invoice: Invoice) -> None:
    gone = make_invoice(invoice.customer, invoice.connection)
    ids = [gone.pk, invoice.pk]
    gone.delete()
    assert check_export(exported(tmp_path, *ids)).invoices == 1


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"<html>", None], ids=["empty", "cut", "html", "without manifest"]
)
def test_other_files_are_no_export(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "a")
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NotAnExport):
        check_export(path)


def test_broken_off_export_is_no_zip(tmp_path: Path, invoice: Invoice) -> None:
    path = exported(tmp_path, invoice.pk)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(NotAnExport):
        check_export(path)


def test_pieces_stay_small(invoice: Invoice) -> None:
    """However large a file is, only a part of it is in memory."""
    big = os.urandom(6 * export.CHUNK)
    invoices.store_document(invoice=invoice, file=File(kind="converted", content=big, filename="big.bin"))
    assert max(len(piece) for piece in export.export([invoice.pk], made_by="ada")) < 2 * export.CHUNK


# --- doors ------------------------------------------------------------------------------------------------------------


def received(response: Any, tmp_path: Path) -> Any:
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/zip")
    path = tmp_path / "received.zip"
    path.write_bytes(b"".join(response.streaming_content))
    return check_export(path)


def test_page_exports_one(client: Client, tmp_path: Path, invoice: Invoice) -> None:
    client.force_login(make_user(invoice.customer, "reader", username="auditor"))
    response = client.get(reverse("lifecycle:export_one", args=[invoice.pk]))
    assert response.headers["Content-Disposition"].startswith('attachment; filename="navette-F_2026_7-')
    report = received(response, tmp_path)
    assert (report.invoices, report.made_by, report.problems) == (1, "auditor", [])


def test_page_exports_what_the_filters_show(client: Client, tmp_path: Path, invoice: Invoice) -> None:
    make_invoice(invoice.customer, invoice.connection, number="OTHER-1")
    client.force_login(make_user(invoice.customer))
    path = reverse("lifecycle:export_many")
    counts = [received(client.get(path, query), tmp_path).invoices for query in ({}, {"q": "OTHER"}, {"q": "NONE"})]
    assert counts == [2, 1, 0]


def test_wrong_filter_leads_back_to_the_list(client: Client, invoice: Invoice) -> None:
    client.force_login(make_user(invoice.customer))
    response = client.get(reverse("lifecycle:export_many"), {"since": "never"})
    assert (response.status_code, response.headers["Location"]) == (302, "/invoices/?since=never")


def test_too_many_are_refused(client: Client, invoice: Invoice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export.at_most, "__defaults__", (1,))
    make_invoice(invoice.customer, invoice.connection)
    user = make_user(invoice.customer)
    client.force_login(user)
    response = client.get(reverse("lifecycle:export_many"))
    assert (response.status_code, response.headers["Location"]) == (302, "/invoices/?")
    token = {"authorization": f"Token {make_token(user)}"}
    problem = client.get("/api/v1/invoices/export/", headers=token)
    assert (problem.status_code, problem.headers["Content-Type"]) == (400, "application/problem+json")


def test_stranger_exports_nothing(client: Client, tmp_path: Path, invoice: Invoice) -> None:
    stranger = make_user(make_customer(OTHER_SIREN), "administrator")
    client.force_login(stranger)
    assert client.get(reverse("lifecycle:export_one", args=[invoice.pk])).status_code == 404
    assert received(client.get(reverse("lifecycle:export_many")), tmp_path).invoices == 0
    token = {"authorization": f"Token {make_token(stranger)}"}
    assert client.get(f"/api/v1/invoices/{invoice.pk}/export/", headers=token).status_code == 404
    assert received(client.get("/api/v1/invoices/export/", headers=token), tmp_path).invoices == 0


@pytest.mark.parametrize("path", ["/invoices/export/", "/api/v1/invoices/export/"])
def test_nobody_exports_nothing(client: Client, path: str) -> None:
    assert client.get(path).status_code in {302, 401}


def test_api_exports_one_and_many(client: Client, tmp_path: Path, invoice: Invoice) -> None:
    make_invoice(invoice.customer, invoice.connection, number="OTHER-1")
    token = {"authorization": f"Token {make_token(make_user(invoice.customer))}"}
    one = received(client.get(f"/api/v1/invoices/{invoice.pk}/export/", headers=token), tmp_path)
    many = received(client.get("/api/v1/invoices/export/", {"number": "OTHER-1"}, headers=token), tmp_path)
    assert (one.invoices, many.invoices) == (1, 1)
    assert client.get("/api/v1/invoices/export/", {"numbr": "x"}, headers=token).status_code == 400


def test_command_exports_and_checks(tmp_path: Path, invoice: Invoice) -> None:
    output, heard = tmp_path / "all.zip", io.StringIO()
    call_command("export_invoices", str(output), "--customer", invoice.customer.siren, stdout=heard)
    assert heard.getvalue().splitlines()[0] == f"1 invoices, 8 files, {output}"
    assert [path.name for path in tmp_path.iterdir()] == ["all.zip"]
    with pytest.raises(CommandError, match="exists already"):
        call_command("export_invoices", str(output))


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ([], 2),
        (["--direction", "issued"], 1),
        (["--from", "2026-10-01"], 1),
        (["--until", "2026-10-01"], 1),
        (["--from", "2026-10-01", "--direction", "issued"], 0),
    ],
)
def test_command_chooses(tmp_path: Path, options: list[str], count: int) -> None:
    customer, connection = make_customer(), make_connection()
    make_invoice(customer, connection, issue_date="2026-10-02")
    make_invoice(customer, connection, issue_date="2026-09-30", direction="issued")
    call_command("export_invoices", str(tmp_path / "all.zip"), *options, verbosity=0)
    assert check_export(tmp_path / "all.zip").invoices == count


@pytest.mark.parametrize(
    "options", [["--customer", "999999999"], ["--invoice", "00000000-0000-0000-0000-000000000000"]]
)
def test_command_refuses_what_is_not_there(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("export_invoices", str(tmp_path / "all.zip"), *options)
    assert list(tmp_path.iterdir()) == []


def test_export_is_checked_without_a_database(tmp_path: Path, invoice: Invoice) -> None:
    path = exported(tmp_path, invoice.pk)
    environment = os.environ | {"DATABASE_URL": "postgres://nobody@127.0.0.1:9/none", "NAVETTE_TEST_DATABASE": "none"}
    command = [sys.executable, "manage.py", "verify_history", "--export", str(path)]
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert (done.returncode, done.stdout.splitlines()[1]) == (0, "1 invoices and 8 files checked, 0 problems")


def test_forged_export_ends_with_1(tmp_path: Path, invoice: Invoice) -> None:
    forged = rewritten(exported(tmp_path, invoice.pk), lambda files: files.pop("README.txt") and None)
    heard = io.StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("verify_history", "--export", str(forged), stderr=heard, verbosity=0)
    assert (end.value.code, heard.getvalue()) == (1, "BROKEN README.txt: is missing\n")


def test_no_export_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"none\.zip cannot be read as a ZIP"):
        call_command("verify_history", "--export", str(tmp_path / "none.zip"))
    with pytest.raises(CommandError, match="as a whole"):
        call_command("verify_history", "--export", "x.zip", "--files")


def test_stored_files_are_verified(invoice: Invoice) -> None:
    call_command("verify_history", "--files", stdout=io.StringIO())
    lost = invoice.documents.get(kind="original")
    lost.file.storage.delete(lost.file.name)
    heard = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_history", "--files", stderr=heard, verbosity=0)
    assert heard.getvalue() == (
        f"BROKEN {invoice.pk} F/2026:7, file facture.xml: cannot be opened (No such file or directory)\n"
    )


def test_events_of_another_invoice_are_found(tmp_path: Path, invoice: Invoice) -> None:
    other = make_invoice(invoice.customer, invoice.connection)
    make_event(other, "202")
    path = exported(tmp_path, invoice.pk, other.pk)

    def change(files: dict[str, bytes]) -> None:
        theirs = next(name for name in files if name.endswith("events.json") and folder(invoice) not in name)
        forge(files, f"{folder(invoice)}/events.json", lambda rows: json.loads(files[theirs]))

    assert check_export(rewritten(path, change)).problems == [
        f"{folder(invoice)}: an event belongs to another invoice",
        f"{folder(invoice)}: the history does not end where the manifest says",
        UNSIGNED,
    ]
