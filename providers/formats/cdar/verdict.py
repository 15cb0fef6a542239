"""One answer to: may this message be sent?"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from lxml import etree

from providers.contract.errors import PermanentError, TemporaryError
from providers.contract.shapes import StatusMessage
from providers.formats.xml import UnreadableDocument, read_xml

from . import files, official, rules
from .composer import Envelope, write
from .finding import Finding
from .model import Cdar
from .reader import read_tree
from .writer import dump

# A message of a hundred elements is a long one. The time the official rules take grows with the square.
MOST_ELEMENTS = 4000

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`version`: of the rules it was given by."""

    findings: tuple[Finding, ...]
    version: str

    @property
    def is_good(self) -> bool:
        return not self.fatal

    @property
    def fatal(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.is_fatal)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if not each.is_fatal)

    def __str__(self) -> str:
        """What is fatal, one field and value at a time; several rules often say the same. The schema speaks to
        programmers: it is heard where nothing else explains the fault.
        """
        plain = [each for each in self.fatal if each.rule != official.SCHEMA_RULE] or self.fatal
        said = {(each.field, each.value): each.message for each in reversed(plain)}
        return "\n".join(reversed(said.values()))


class Faulty(PermanentError):
    """Our own check refused a message; nothing was sent."""

    def __init__(self, message: StatusMessage, verdict: Verdict) -> None:
        words = _("Status %(status)s of invoice %(invoice)s was not sent, because its message breaks the rules.")
        told = words % {"status": message.status, "invoice": message.invoice.number or message.invoice.provider_ref}
        super().__init__(f"{told}\n{verdict}")
        self.verdict = verdict


def check(content: bytes | Cdar) -> Verdict:
    """Official schema, official rules, then what they let through. Raises nothing on account of the content."""
    found: tuple[Finding, ...]
    try:
        xml = read_xml(dump(content) if isinstance(content, Cdar) else content)
        messages = read_tree(xml)
        _require_size(xml.root)
    except UnreadableDocument as error:
        found = (Finding(rule=official.SCHEMA_RULE if error.code == "not_a_cdar" else "XML", advice=error.message),)
    else:
        found = (*official.findings(xml.root, messages), *rules.findings(messages))
    return Verdict(findings=found, version=files.rules_version())


def _require_size(root: etree._Element) -> None:
    count = sum(1 for _node in root.iter())
    if count > MOST_ELEMENTS:
        words = gettext_lazy(
            "The message has {count} elements; {most} are allowed. Send one message for each invoice and status."
        )
        raise UnreadableDocument("too_complex", format_lazy(words, count=count, most=MOST_ELEMENTS))


def prepare(message: StatusMessage, envelope: Envelope | None = None) -> bytes:
    """The message as it may be sent. Raises Faulty, and TemporaryError where it could not be checked."""
    content = write(message, envelope)
    try:
        verdict = check(content)
    except Exception as error:
        logger.exception("The status message %s could not be checked", message.id)
        words = _("The status message could not be checked (%(error)s) and was not sent. It is tried again.")
        raise TemporaryError(words % {"error": type(error).__name__}) from error
    if not verdict.is_good:
        raise Faulty(message, verdict)
    return content
