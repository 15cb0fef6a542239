"""What the worker runs. Tasks carry no data: they drain our own tables, and may be lost or come twice without harm."""

from invoices.register import prepared
from providers.connections.nudge import nudge

from .validation import services as validation

# Invoices of ours are sent once their verdict is there.
NEXT_TASK = "lifecycle.tasks.drain_relays"


def drain_validations() -> int:
    done = validation.drain()
    if done:
        nudge(NEXT_TASK)
    return done


def prepare_documents() -> int:
    return prepared.drain()
