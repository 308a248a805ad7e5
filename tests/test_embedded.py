"""The embedded PostgreSQL, started for real: sharing, stopping, surviving, refusing."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from bugtracker.embedded import Cluster, EmbeddedPostgresError, embedded_postgres
from bugtracker.embedded.keeper import SOCKET_NAME, answers, locked
from bugtracker.embedded.server import Server

# What runs in the background of a script inherits that Ctrl-C is ignored.
HOLDER = """
import signal
import sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from bugtracker.embedded import embedded_postgres
with embedded_postgres(Path(sys.argv[1]), durable=False) as cluster:
    print(cluster.socket_dir, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "pg"


@contextmanager
def holder(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def socket_of(process: subprocess.Popen[str]) -> Path:
    assert process.stdout is not None
    return Path(process.stdout.readline().strip())


def leave(process: subprocess.Popen[str]) -> None:
    """Let a holder end its block."""
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30) == 0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with embedded_postgres(tmp_path_factory.mktemp("shared"), durable=False) as cluster:
        cluster.ensure_database()
        yield cluster


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def one(url: str, statement: str) -> object:
    with connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def stops(socket_dir: Path, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while answers(socket_dir) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not answers(socket_dir)


class TestSharing:
    def test_a_second_entry_uses_the_same_server(self, directory: Path) -> None:
        with embedded_postgres(directory, durable=False) as first:
            started = one(first.admin_url(), "SELECT pg_postmaster_start_time()")
            with embedded_postgres(directory) as second:
                assert one(second.admin_url(), "SELECT pg_postmaster_start_time()") == started
            assert answers(first.socket_dir)

    def test_the_last_one_out_stops_the_server(self, directory: Path) -> None:
        with holder(directory) as process:
            socket_of(process)
            with embedded_postgres(directory) as cluster:
                leave(process)
                assert answers(cluster.socket_dir)
            assert not answers(cluster.socket_dir)

    def test_leaving_first_leaves_the_server_to_the_others(self, directory: Path) -> None:
        with holder(directory) as process:
            with embedded_postgres(directory, durable=False) as cluster:
                assert socket_of(process) == cluster.socket_dir
            assert answers(cluster.socket_dir)
            leave(process)
            assert not answers(cluster.socket_dir)

    def test_processes_that_start_at_once_share_one_server(self, directory: Path) -> None:
        with holder(directory) as first, holder(directory) as second:
            assert socket_of(first) == socket_of(second)
            with embedded_postgres(directory) as cluster:
                cluster.check()
            leave(first)
            assert answers(cluster.socket_dir)
            leave(second)
            assert not answers(cluster.socket_dir)

    def test_another_tmpdir_finds_the_server_of_a_long_path(
        self, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deep = directory.joinpath(*["deeper" * 8] * 3)
        with embedded_postgres(deep, durable=False) as first:
            assert len(os.fsencode(first.socket_dir / SOCKET_NAME)) <= 103
            assert first.socket_dir.stat().st_mode & 0o777 == 0o700
            monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
            with embedded_postgres(deep) as second:
                assert second.socket_dir == first.socket_dir
        first.socket_dir.rmdir()


class TestSurviving:
    def test_data_survive_a_restart(self, directory: Path) -> None:
        with embedded_postgres(directory) as cluster:
            cluster.ensure_database()
            with connect(cluster.owner_url()) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
        with embedded_postgres(directory) as cluster:
            assert one(cluster.owner_url(), "SELECT value FROM kept") == 42

    def test_a_path_with_spaces_and_quotes_works(self, tmp_path: Path) -> None:
        with embedded_postgres(tmp_path / "it's $HOME, `id`", durable=False) as cluster:
            cluster.check()
        cluster.socket_dir.rmdir()

    def test_settings_of_other_servers_do_not_matter(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PGPORT", "6000")
        with embedded_postgres(directory, durable=False) as cluster:
            assert one(cluster.admin_url(), "SHOW fsync") == "off"
            assert one(cluster.admin_url(), "SHOW listen_addresses") == ""
            assert one(cluster.admin_url(), "SHOW max_connections") == "200"

    def test_a_killed_only_holder_leaves_no_server_behind(self, directory: Path) -> None:
        with holder(directory) as process:
            socket_dir = socket_of(process)
            process.kill()
            assert stops(socket_dir)

    def test_a_killed_first_holder_leaves_the_server_to_the_second(self, directory: Path) -> None:
        with holder(directory) as process:
            socket_of(process)
            with embedded_postgres(directory) as cluster:
                process.kill()
                process.wait()
                time.sleep(0.5)
                cluster.check()
            assert not answers(cluster.socket_dir)

    def test_ctrl_c_reaches_the_holder_but_not_the_server(self, directory: Path) -> None:
        with holder(directory) as process, embedded_postgres(directory, durable=False) as cluster:
            socket_of(process)
            os.killpg(process.pid, signal.SIGINT)
            process.wait(30)
            cluster.check()

    def test_a_server_killed_under_its_users_starts_again(self, directory: Path) -> None:
        # Killed, its process may stay a zombie for ever, and its postmaster.pid stays anyway.
        with embedded_postgres(directory, durable=False) as cluster:
            pid = (directory / "data" / "postmaster.pid").read_text().split()[0]
            os.kill(int(pid), signal.SIGKILL)
            assert stops(cluster.socket_dir)
        with embedded_postgres(directory, durable=False) as cluster:
            cluster.check()

    def test_a_process_id_that_was_reused_is_not_taken_for_the_server(
        self, directory: Path
    ) -> None:
        with embedded_postgres(directory, durable=False) as cluster:
            lines = (directory / "data" / "postmaster.pid").read_text().splitlines()
        lines[0] = str(os.getpid())
        (directory / "data" / "postmaster.pid").write_text("\n".join(lines))
        (cluster.socket_dir / f"{SOCKET_NAME}.lock").write_text("\n".join(lines))
        with embedded_postgres(directory, durable=False) as cluster:
            cluster.check()


class TestRefusing:
    def test_a_failing_start_tells_the_end_of_the_log(self, directory: Path) -> None:
        with embedded_postgres(directory, durable=False):
            pass
        (directory / "data" / "global" / "pg_control").unlink()
        with (
            pytest.raises(EmbeddedPostgresError, match="could not find the database system"),
            embedded_postgres(directory),
        ):
            pass

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("PG_VERSION", "9", "needs PostgreSQL 9"),
            ("PG_VERSION", "?", "is damaged"),
            ("notes.txt", "mine", "no PostgreSQL made them"),
        ],
    )
    def test_foreign_data_are_refused_and_kept(
        self, directory: Path, name: str, content: str, message: str
    ) -> None:
        stranger = directory / "data" / name
        stranger.parent.mkdir(parents=True)
        stranger.write_text(content)
        with pytest.raises(EmbeddedPostgresError, match=message), embedded_postgres(directory):
            pass
        assert stranger.read_text() == content

    def test_a_socket_directory_somebody_else_made_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deep = tmp_path.joinpath("d" * 100)
        monkeypatch.setattr("tempfile.tempdir", "/tmp")
        deep.mkdir()
        far = Server(deep).socket_dir
        try:
            far.chmod(0o777)
            with pytest.raises(EmbeddedPostgresError, match="somebody else"):
                Server(deep)
        finally:
            far.rmdir()

    def test_a_failed_start_leaves_no_lock_behind(self, directory: Path) -> None:
        (directory / "data").mkdir(parents=True)
        (directory / "data" / "PG_VERSION").write_text("?")
        with pytest.raises(EmbeddedPostgresError), embedded_postgres(directory):
            pass
        with (
            locked(directory, "start", fcntl.LOCK_EX | fcntl.LOCK_NB),
            locked(directory, "users", fcntl.LOCK_EX | fcntl.LOCK_NB),
        ):
            assert not answers(directory / "run")


class TestCluster:
    def test_the_owner_creates_roles_and_tables_and_is_no_superuser(self, cluster: Cluster) -> None:
        question = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        assert one(cluster.owner_url(), question) is False
        with connect(cluster.owner_url()) as connection:
            connection.execute("CREATE ROLE made_by_owner; CREATE TABLE made_by_owner ()")
            connection.execute("GRANT made_by_owner TO bugtracker_api")

    def test_the_api_role_can_do_nothing_of_its_own(self, cluster: Cluster) -> None:
        rights = "rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication"
        question = f"SELECT {rights} FROM pg_roles WHERE rolname = current_user"
        assert one(cluster.api_url(), question) is False
        with (
            connect(cluster.api_url()) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("CREATE TABLE made_by_api ()")

    def test_many_may_ensure_the_same_database_at_once(self, cluster: Cluster) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(cluster.ensure_database, ["same"] * 8))
        assert one(cluster.owner_url("same"), "SELECT current_database()") == "same"

    def test_a_clone_has_the_data_and_belongs_to_the_owner(self, cluster: Cluster) -> None:
        cluster.ensure_database("template")
        with connect(cluster.owner_url("template")) as connection:
            connection.execute("CREATE TABLE copied AS SELECT 1 AS value")
        cluster.clone_database("template", "clone")
        assert one(cluster.owner_url("clone"), "SELECT value FROM copied") == 1

    def test_dropping_throws_out_who_is_connected(self, cluster: Cluster) -> None:
        cluster.ensure_database("doomed")
        with connect(cluster.owner_url("doomed")):
            cluster.drop_database("doomed")
        cluster.drop_database("doomed")
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            connect(cluster.owner_url("doomed"))

    def test_text_is_understood_beyond_ascii(self, cluster: Cluster) -> None:
        assert one(cluster.owner_url(), "SELECT lower('ÄÉЖ')") == "äéж"
        assert (
            one(cluster.owner_url(), "SELECT to_tsvector('simple', 'a—b')::text") == "'a':1 'b':2"
        )
