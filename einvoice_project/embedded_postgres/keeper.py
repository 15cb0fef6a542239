"""Waits until nobody uses the embedded server any more, then stops it. A script of its own, with nothing of ours."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any


def main(keeper_lock: str, home: str, pg_ctl: str, uid: str, gid: str, *throw_away: str) -> None:
    users = os.open(Path(home) / "users.lock", os.O_RDWR)
    fcntl.flock(users, fcntl.LOCK_EX)
    options: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if int(uid) != os.geteuid():
        options |= {"user": int(uid), "group": int(gid), "extra_groups": []}
    mode = "immediate" if throw_away else "fast"
    subprocess.run([pg_ctl, "-D", str(Path(home) / "data"), "-w", "-m", mode, "stop"], check=False, **options)
    for folder in [home, *throw_away] if throw_away else []:
        shutil.rmtree(folder, ignore_errors=True)
    # Before `users` is free: who comes next must not take us for a keeper that still watches.
    os.close(int(keeper_lock))


if __name__ == "__main__":
    main(*sys.argv[1:])
