"""What `manage.py demo` seeds: one company, its addressing line, a sandbox connection, three people."""

from typing import Any

# An invented company; its SIREN has a valid check digit.
SIREN = "800112237"
LINE = f"{SIREN}_80011223700014"
CONNECTION = "acube-demo"
PASSWORD = "navette-demo"  # noqa: S105 - of the demo only, which listens on this machine alone

PEOPLE = (("clerk", "clerk"), ("approver", "approver"), ("administrator", "administrator"))


def wish(sandbox_url: str) -> dict[str, Any]:
    """A file as `manage.py provision` takes it."""
    return {
        "connections": [
            {
                "name": CONNECTION,
                "kind": "acube",
                "environment": "sandbox",
                "settings": {"api_url": f"{sandbox_url}/acube", "login_url": f"{sandbox_url}/acube"},
                "secrets": {"email": "demo@example.test", "password": PASSWORD, "webhook_token": "demo-webhook-token"},
            }
        ],
        "customers": [
            {
                "siren": SIREN,
                "name": "Atelier Dupont",
                "vat_number": "FR13800112237",
                "addressing_lines": [{"identifier": LINE, "connection": CONNECTION}],
            }
        ],
        "users": [
            {"username": username, "password": PASSWORD, "customers": {SIREN: role}} for username, role in PEOPLE
        ],
    }
