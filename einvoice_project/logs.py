"""Lines of the process log: in UTC, as text or JSON, with who was refused and without tokens."""

import json
import logging
import re
import time

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
HOOK_ADDRESS = re.compile(r"(/hooks/[^/\s]+/)[^/\s]+")


class HideHookTokens(logging.Filter):
    """A hook's address lets its bearer try to ring: no log shows the part that names the hook."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "/hooks/" in message:
            record.msg, record.args = HOOK_ADDRESS.sub(r"\1***", message), None
        return True


class NamePerson(logging.Filter):
    """Who was refused stands in the line of the refusal."""

    def filter(self, record: logging.LogRecord) -> bool:
        user = getattr(getattr(record, "request", None), "user", None)
        if getattr(record, "status_code", None) == 403 and user is not None and user.is_authenticated:
            who = f"(user {user.pk} {user.get_username()!r})"
            record.msg, record.args = f"{record.getMessage()} {who}", None
        return True


class TextLines(logging.Formatter):
    converter = time.gmtime  # type: ignore[assignment]  # as logging's own documentation has it
    default_time_format, default_msec_format = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  -- as logging names it
        """What was sent to us cannot begin a line of its own, nor colour the operator's screen."""
        record.message = CONTROL.sub(lambda found: ascii(found[0])[1:-1], record.message)
        return super().formatMessage(record)


class JsonLines(TextLines):
    """One object a line; nothing that is logged can begin another."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["fault"] = self.formatException(record.exc_info)
        return json.dumps(line)
