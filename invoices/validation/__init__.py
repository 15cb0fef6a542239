"""Checking invoices against the official schemas and rules.

`validate(content)` is the pure door, for anything that is not stored yet; `services` keeps verdicts of stored files and
`services.report_of(invoice)` words them for a page. This package knows no view and no platform.
"""

from .runner import validate
from .verdict import Finding, Outcome, Place, Verdict

__all__ = ["Finding", "Outcome", "Place", "Verdict", "validate"]
