"""Keys for the demo: made once, kept beside its data, readable by their owner only."""

import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet

MAKERS = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(50),
    "SECRETS_KEYS": lambda: Fernet.generate_key().decode(),
}


def provide(folder: Path) -> None:
    """Put into the environment what is missing there, so that child processes find the same."""
    for name, make in MAKERS.items():
        if name not in os.environ and f"{name}_FILE" not in os.environ:
            os.environ[name] = _kept(folder / name.lower(), make())
    if "PUBLIC_URL_FILE" not in os.environ:
        os.environ.setdefault("PUBLIC_URL", "http://127.0.0.1:8000")


def _kept(path: Path, fresh: str) -> str:
    # Others may pass through, not look: the embedded database's account needs the way.
    path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    # Written aside and linked: of two processes that start together, both use the first one's key.
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(fresh)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text()
