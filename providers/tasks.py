"""What the worker runs for this layer. Tasks carry no data, and may be lost or come twice without harm."""

from providers.connections import checks


def check_asked() -> int:
    return checks.run_asked()
