"""The lifecycle message of the French reform (CDAR): the door of every adapter whose platform carries it.

    from providers import cdar

Telling. `cdar.prepare(message, envelope)` gives the bytes of a StatusMessage, checked: it raises `cdar.Faulty`, a
PermanentError in words a clerk understands, and TemporaryError where the check itself could not be made. Nothing has
been sent then. `cdar.write` does not check. An `Envelope` says what no StatusMessage does: which form (`Form`), for
whom else, in which time zone, with which attachments; without one the message goes between platforms.

Hearing. `cdar.read(content)` gives every status of a message, nearly always one, as `Cdar`, or raises
UnreadableDocument. It reads all it can and judges nothing. `each.report()` is the StatusReport for the inbox, which
names the invoice by seller, number and date unless the platform has told its `provider_ref`; `each.files` are the
attachments.

Judging. `cdar.check(content)` takes bytes or a `Cdar` and gives a `Verdict`: `verdict.is_good`, `verdict.findings`
(rule, is_fatal, field, value, message), `str(verdict)` for people, `verdict.version` of the rules. Official schema and
rules come first, then what they let through; see docs/cdar.md.

Codes that nobody published are kept: `status` is then None, and `native_status` has the word.
"""

from providers.formats.xml import UnreadableDocument

from .composer import Envelope, Form, compose, objection, write
from .finding import Finding
from .model import PARIS, Actor, Attachment, Cdar, Characteristic, Detail, Moment
from .reader import read
from .verdict import Faulty, Verdict, check, prepare
from .writer import dump

__all__ = [
    "PARIS",
    "Actor",
    "Attachment",
    "Cdar",
    "Characteristic",
    "Detail",
    "Envelope",
    "Faulty",
    "Finding",
    "Form",
    "Moment",
    "UnreadableDocument",
    "Verdict",
    "check",
    "compose",
    "dump",
    "objection",
    "prepare",
    "read",
    "write",
]
