"""Checks an export without a database: every file is what the manifest says, every history is one unbroken chain."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifecycle.models import hash_of

from . import exchanges
from .events import first_break
from .export import EVENTS, FORMAT, INVOICE, MANIFEST, PROOF, RELAYS, SIGNATURE
from .seals import is_signed

# Before signatures there was another format.
UNSIGNED_FORMAT = "navette-export/1"
CHUNK = 1024 * 1024
# More than the history of any invoice; a file beyond it is no export of ours.
MAX_JSON_BYTES = 512 * 1024 * 1024


@dataclass
class Report:
    invoices: int = 0
    files: int = 0
    manifest_sha256: str = ""
    made_at: str = ""
    made_by: str = ""
    # The public key its signature fits; "" where it is not signed.
    public_key: str = ""
    problems: list[str] = field(default_factory=list)


class NotAnExport(Exception):
    """Nothing in it can be checked."""


def check_export(path: Path) -> Report:
    """Raises NotAnExport; everything else that is wrong is in the report."""
    try:
        with zipfile.ZipFile(path) as archive:
            return check_archive(archive)
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise NotAnExport(f"{path} cannot be read as a ZIP: {error}") from error


def check_archive(archive: zipfile.ZipFile) -> Report:
    manifest = read_manifest(archive)
    report = Report(
        invoices=len(manifest["invoices"]),
        files=len(manifest["files"]),
        manifest_sha256=digest_of(archive, MANIFEST)[0],
        made_at=str(manifest.get("made_at", "")),
        made_by=str(manifest.get("made_by", "")),
    )
    report.public_key, unsigned = signed_by(archive, manifest)
    report.problems += [f"noted when it was made: {each}" for each in manifest.get("problems", [])]
    report.problems += names_that_differ(archive, manifest)
    report.problems += files_that_differ(archive, manifest)
    for invoice in manifest["invoices"]:
        report.problems += [f"{invoice.get('folder')}: {each}" for each in invoice_problems(archive, manifest, invoice)]
    for proof in manifest.get("proofs", []):
        report.problems += [f"{proof.get('folder')}: {each}" for each in proof_problems(archive, proof)]
    report.problems += [unsigned] if unsigned else []
    return report


def read_manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    manifest = read_json(archive, MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") not in (FORMAT, UNSIGNED_FORMAT):
        raise NotAnExport(f"{MANIFEST} is missing or not of the format {FORMAT}.")
    if not isinstance(manifest.get("files"), dict) or not isinstance(manifest.get("invoices"), list):
        raise NotAnExport(f"{MANIFEST} does not list files and invoices.")
    return manifest


def read_json(archive: zipfile.ZipFile, name: str) -> Any:
    """None where it cannot be read; its hash is checked elsewhere."""
    try:
        if archive.getinfo(name).file_size > MAX_JSON_BYTES:
            return None
        return json.loads(archive.read(name))
    except (KeyError, ValueError, zipfile.BadZipFile, RecursionError):
        return None


def signed_by(archive: zipfile.ZipFile, manifest: dict[str, Any]) -> tuple[str, str]:
    """The public key, and what is wrong with the signature."""
    if manifest["format"] == UNSIGNED_FORMAT:
        return "", ""
    signed = read_json(archive, SIGNATURE)
    if not is_signed(archive.read(MANIFEST), signed):
        return "", f"{SIGNATURE} is missing or does not fit the manifest"
    return signed["public_key"], ""


def digest_of(archive: zipfile.ZipFile, name: str) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with archive.open(name) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def names_that_differ(archive: zipfile.ZipFile, manifest: dict[str, Any]) -> Iterator[str]:
    counted = Counter(archive.namelist())
    yield from (f"{name}: is there {count} times" for name, count in counted.items() if count > 1)
    yield from (f"{name}: is missing" for name in manifest["files"] if name not in counted)
    yield from (
        f"{name}: is not in the manifest" for name in counted if name not in {MANIFEST, SIGNATURE, *manifest["files"]}
    )


def files_that_differ(archive: zipfile.ZipFile, manifest: dict[str, Any]) -> Iterator[str]:
    present = set(archive.namelist())
    for name, wanted in manifest["files"].items():
        if name in present:
            try:
                found = digest_of(archive, name)
            except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
                yield f"{name}: cannot be read ({error})"
                continue
            if found != (wanted.get("sha256"), wanted.get("size")):
                yield f"{name}: was changed"


def invoice_problems(archive: zipfile.ZipFile, manifest: dict[str, Any], invoice: dict[str, Any]) -> Iterator[str]:
    folder = invoice.get("folder", "")
    events, facts = read_json(archive, f"{folder}/{EVENTS}"), read_json(archive, f"{folder}/{INVOICE}")
    if not isinstance(events, list) or not isinstance(facts, dict):
        yield f"{EVENTS} or {INVOICE} is missing or damaged"
        return
    chain = [(each["facts"], each.get("hash")) for each in events if has_facts(each)]
    if problem := first_break(chain):
        yield problem
    if {each.get("invoice") for each, _hash in chain} - {invoice.get("id")}:
        yield "an event belongs to another invoice"
    ends = (len(events), chain[-1][1] if chain else "")
    if ends != (invoice.get("events"), invoice.get("last_hash")):
        yield "the history does not end where the manifest says"
    yield from documents_that_differ(manifest, facts)
    if manifest["format"] != UNSIGNED_FORMAT:
        relays = read_json(archive, f"{folder}/{RELAYS}")
        for relay in relays if isinstance(relays, list) else [None]:
            yield from exchange_problems(archive, folder, relay)


def proof_problems(archive: zipfile.ZipFile, proof: dict[str, Any]) -> Iterator[str]:
    folder = proof.get("folder", "")
    facts = read_json(archive, f"{folder}/{PROOF}")
    relay = facts.get("relay") if isinstance(facts, dict) else None
    yield from exchange_problems(archive, folder, relay)
    if isinstance(relay, dict) and len(relay.get("attempts") or ()) != proof.get("tries"):
        yield "not every try is there"
    event = facts.get("event") if isinstance(facts, dict) else None
    if event is not None and (not has_facts(event) or hash_of(event["facts"]) != event.get("hash")):
        yield "the event was changed after it was written"


def exchange_problems(archive: zipfile.ZipFile, folder: str, relay: Any) -> Iterator[str]:
    """What was said and answered, try by try, and the bytes sent."""
    attempts = relay.get("attempts") if isinstance(relay, dict) else None
    if not isinstance(attempts, list) or not all(isinstance(each, dict) for each in attempts):
        yield f"{RELAYS} or {PROOF} is missing or damaged"
        return
    chain = [
        ({name: value for name, value in each.items() if name not in ("hash", "body")}, each.get("hash", ""), body)
        for each in attempts
        for body in [read_body(archive, folder, each.get("body"))]
    ]
    if problem := exchanges.first_break(chain):
        yield f"relay {relay.get('id')}: {problem}"
    if {facts.get("relay") for facts, _hash, _body in chain} - {relay.get("id")}:
        yield f"relay {relay.get('id')}: a try belongs to another relay"


def read_body(archive: zipfile.ZipFile, folder: str, name: Any) -> bytes | None:
    """None where none was kept. One that cannot be read is told by its own hash."""
    if not isinstance(name, str):
        return None
    try:
        return archive.read(f"{folder}/{name}")
    except (KeyError, OSError, zipfile.BadZipFile, RuntimeError):
        return b"?"


def has_facts(event: Any) -> bool:
    return isinstance(event, dict) and isinstance(event.get("facts"), dict)


def documents_that_differ(manifest: dict[str, Any], facts: dict[str, Any]) -> Iterator[str]:
    """A document must still be what was received."""
    for document in facts.get("documents", []):
        path = document.get("path")
        found = manifest["files"].get(path, {}).get("sha256")
        if found != document.get("sha256"):
            yield f"document {path or document.get('filename')} is not the one that was received"
