"""One drain of the outbox whose process is killed at a hook: `python -m tests.dying taken_up|speaking|answered`."""

import os
import signal
import sys

import django

# Having only claimed; with the mark that it speaks, before the call; with the answer, before it is written.
HOOKS = {
    "taken_up": ("relay_states", "speak", False),
    "speaking": ("relay_states", "speak", True),
    "answered": ("relays", "record", False),
}


def die_at(module, name, is_after):
    real = getattr(module, name)

    def dying(*args):
        if is_after:
            real(*args)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(module, name, dying)


if __name__ == "__main__":
    django.setup()
    from lifecycle.outbox import relays, states

    owner, name, is_after = HOOKS[sys.argv[1]]
    die_at({"relay_states": states, "relays": relays}[owner], name, is_after)
    relays.drain()
