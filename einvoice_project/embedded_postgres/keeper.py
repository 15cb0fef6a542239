"""Waits until nobody uses the embedded server any more, then stops it. A script of its own: it imports nothing of ours."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path


def main(home: str, pg_ctl: str, uid: str, gid: str, *throw_away: str) -> None:
    users = os.open(Path(home) / "users.lock", os.O_RDWR)
    fcntl.flock(users, fcntl.LOCK_EX)
    switch = {} if int(uid) == os.geteuid() else {"user": int(uid), "group": int(gid), "extra_groups": []}
    mode = "immediate" if throw_away else "fast"
    subprocess.run([pg_ctl, "-D", str(Path(home) / "data"), "-w", "-m", mode, "stop"], check=False, **switch)
    for folder in [home, *throw_away] if throw_away else []:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
