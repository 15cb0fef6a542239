import logging
import re

HOOK_ADDRESS = re.compile(r"(/hooks/[^/\s]+/)[^/\s]+")


class HideHookTokens(logging.Filter):
    """A hook's address lets its bearer try to ring: no log shows the part that names the hook."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "/hooks/" in message:
            record.msg, record.args = HOOK_ADDRESS.sub(r"\1***", message), None
        return True
