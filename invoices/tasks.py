"""What the worker runs. Tasks carry no data: they drain our own tables, and may be lost or come twice without harm."""

from .validation import services as validation


def drain_validations() -> int:
    return validation.drain()
