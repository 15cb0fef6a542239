"""The proof of one decision: exact bytes, answers, times; signed, and checked without a database."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from invoices.models import Invoice
from lifecycle.history import export, seals
from lifecycle.history.export_check import check_export
from tests.factories import OTHER_SIREN, make_customer, make_token, make_user
from tests.lifecycle.test_export import SENT, rewritten
from tests.lifecycle.test_export import invoice as invoice

pytestmark = pytest.mark.django_db


@pytest.fixture
def proof(client: Client, tmp_path: Path, invoice: Invoice) -> Path:
    client.force_login(make_user(invoice.customer, "reader"))
    response = client.get(reverse("lifecycle:export_proof", args=[invoice.relays.get().pk]))
    path = tmp_path / "proof.zip"
    path.write_bytes(b"".join(response.streaming_content))
    return path


def facts_of(path: Path) -> tuple[str, dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/proof.json"))
        return name.rpartition("/")[0], json.loads(archive.read(name))


def test_proof_holds_the_exact_bytes_the_answer_and_the_times(proof: Path, invoice: Invoice) -> None:
    place, facts = facts_of(proof)
    (attempt,) = facts["relay"]["attempts"]
    with zipfile.ZipFile(proof) as archive:
        body = archive.read(f"{place}/{attempt['body']}")

    assert body == SENT
    assert attempt["sent"]["sha256"] == hashlib.sha256(SENT).hexdigest()
    assert [attempt["answer"], attempt["status_code"], facts["event"]["facts"]["status"]] == ["<busy/>", 503, "204"]
    report = check_export(proof)
    assert [report.problems, report.public_key in seals.own_public_keys()] == [[], True]


def resigned(files: dict[str, bytes]) -> None:
    """What whoever has our key could still not hide: the chain of hashes."""
    manifest = json.loads(files["manifest.json"])
    for name in manifest["files"]:
        manifest["files"][name] = {"sha256": hashlib.sha256(files[name]).hexdigest(), "size": len(files[name])}
    files["manifest.json"] = export.as_json(manifest)
    files["signature.json"] = export.as_json(seals.sign(files["manifest.json"]))


def change_attempt(name: str, value: Any) -> Callable[[dict[str, bytes]], None]:
    def change(files: dict[str, bytes]) -> None:
        path = next(path for path in files if path.endswith("/proof.json"))
        facts = json.loads(files[path])
        facts["relay"]["attempts"][0][name] = value
        files[path] = export.as_json(facts)
        resigned(files)

    return change


@pytest.mark.parametrize(
    ("name", "value"), [("answer", "Taken"), ("started_at", "2020-01-01T00:00:00+00:00"), ("sent", None)]
)
def test_changed_exchange_is_found_in_the_proof(proof: Path, name: str, value: Any) -> None:
    (problem,) = check_export(rewritten(proof, change_attempt(name, value))).problems

    assert problem.endswith("try 1 was changed after it was written")


def test_other_bytes_are_found_in_the_proof(proof: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        path = next(path for path in files if path.endswith(".bin"))
        files[path] = b'{"status": "205"}'
        resigned(files)

    (problem,) = check_export(rewritten(proof, change)).problems

    assert problem.endswith("the bytes of try 1 are not those that were sent")


def test_try_taken_out_of_the_proof_is_found(proof: Path) -> None:
    def change(files: dict[str, bytes]) -> None:
        path = next(path for path in files if path.endswith("/proof.json"))
        facts = json.loads(files[path])
        facts["relay"]["attempts"] = []
        files[path] = export.as_json(facts)
        resigned(files)

    assert check_export(rewritten(proof, change)).problems[0].endswith("not every try is there")


def test_proof_comes_by_the_api_too(invoice: Invoice, tmp_path: Path) -> None:
    token = make_token(make_user(invoice.customer, "reader"))
    address = reverse("api:relay-proof", args=[invoice.relays.get().pk])
    response = Client().get(address, headers={"Authorization": f"Token {token}"})
    path = tmp_path / "api.zip"
    path.write_bytes(b"".join(response.streaming_content))

    assert [response.status_code, check_export(path).problems] == [200, []]


def test_proof_of_anothers_customer_is_not_found(client: Client, invoice: Invoice) -> None:
    client.force_login(make_user(make_customer(OTHER_SIREN), "administrator"))

    assert client.get(reverse("lifecycle:export_proof", args=[invoice.relays.get().pk])).status_code == 404
