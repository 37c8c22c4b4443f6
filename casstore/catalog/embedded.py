"""The driver of a private Postgres, the default catalog server (`embedded://<folder>`). POSIX only.

Three lock files, all `flock`, carry the whole protocol; the kernel drops a dead process's locks, so nothing goes stale:

- `lock` is held alone while a handle starts or stops the server: one at a time per folder, threads included.
- `users` is held shared by every started handle. Who can have it alone is the last user, and stops the server.
- `alive` is held by initdb and by the server's own processes, which inherit it. When it is free none of them is left,
  whatever postmaster.pid says and whoever has its process id by now; while it is held, no second server is started.

The server talks through a Unix socket in a directory of mode 0700 and listens on no network. Who can enter that
directory is trusted: the user who owns it, and root. As root, whom Postgres refuses, the server runs as an existing
unprivileged user.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from psycopg.conninfo import make_conninfo

from casstore.catalog.postgres_binaries import (
    Account,
    Binaries,
    account_for,
    binaries_for,
    find_binaries,
    locked,
    names_for,
    open_lock,
    run,
    runnable_by,
    try_lock,
)
from casstore.errors import Code, Invalid, Unavailable, UsageError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Binaries", "EmbeddedPostgres", "find_binaries"]

NAME = "casstore"
"""The superuser and the database."""

PORT = 5432
"""Only a part of the socket's file name: there is no network listener."""

SOCKET_PATH_BYTES = 100
"""Longest path of a socket we use: the kernel takes 104 (macOS) or 108 (Linux) with the final zero."""

LOG_BYTES = 1_000_000
"""A server.log longer than this is put aside at the next start: enough for about a thousand starts."""

TAIL_CHARS = 2_000
"""How much of a log an error message carries."""

FAST_STOP_S, IMMEDIATE_STOP_S = 60, 30
"""How long the server may take to disconnect all and write a checkpoint, and then to be cut off."""

UNUSABLE = {errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR}
UNUSABLE |= {errno.EPERM, errno.EROFS}
"""What the system says of a folder that is not one, or not ours to write to."""

DISK_FULL = ("No space left on device", os.strerror(errno.ENOSPC))
"""How Postgres says it, and how Python does in the program's language."""

INITDB = ("-U", NAME, "-E", "UTF8", "--locale=C", "--data-checksums", "--auth-local=trust", "--auth-host=reject")

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "300",  # of all processes together; one that is not used costs nothing
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "jit": "off",
}


class EmbeddedPostgres:
    """One handle on the private Postgres of a folder; handles and processes on the same folder share one server.

    `start` starts the server or attaches to it, `stop` gives it back, and the last to give it back stops it. A process
    that dies without `stop` no longer counts. After a fork the child has to `start` for itself.

    Every failure is a casstore error: `Unavailable` (`no_postgres`, `postgres_failed` with the end of the log and its
    path in `log`, `disk_full`) or `Invalid` (`bad_config`) when the folder cannot be used. A start that fails or is
    killed leaves nothing that hinders the next one.
    """

    def __init__(
        self, folder: Path, *, binaries: Path | None = None, owner: str | None = None, start_timeout_s: float = 600
    ) -> None:
        self._folder = Path(os.path.realpath(folder))
        self._explicit = binaries
        self._owner = owner
        self._start_timeout_s = start_timeout_s
        self._use: tuple[int, BinaryIO] | None = None  # `users`, and the process that locked it
        self._log = self._folder / "server.log"
        self._version = self._folder / "server-version"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def dsn(self) -> str:
        """The libpq connection string of the database; the same in every process."""
        return make_conninfo(host=str(self._socket_dir), port=PORT, user=NAME, dbname=NAME)

    def start(self) -> None:
        """Make the server run and count this handle as its user; again does no harm. On failure it is not counted."""
        with self._faults():
            self._folder.mkdir(parents=True, exist_ok=True)
            with locked(self._folder / "lock"):
                try:
                    self._bring_up(alone=self._count())
                except BaseException:
                    self._uncount()
                    raise

    def ensure_running(self) -> None:
        """Start the server again if it died since `start`. Committed rows are there, connections are not.

        Raises:
            UsageError: `store_closed`, when this handle is not started.
        """
        with self._faults(), locked(self._folder / "lock"):
            if not self._counted():
                raise UsageError(Code.STORE_CLOSED, f"the embedded Postgres in {self._folder} was stopped")
            self._bring_up(alone=False)

    def stop(self) -> None:
        """Give the server back; the last of its users stops it and returns when it is gone. Again does no harm."""
        if not self._counted():
            self._uncount()
            return
        try:
            with self._faults(), locked(self._folder / "lock"):
                if self._use is not None and try_lock(self._use[1]):
                    self._shut_down()
                self._uncount()
        finally:
            self._uncount()

    # The use count. All of it runs under `lock`.

    def _counted(self) -> bool:
        return self._use is not None and self._use[0] == os.getpid()

    def _count(self) -> bool:
        """Count this handle as a user, and say whether it is the only one."""
        if self._counted():
            return False
        self._uncount()
        users = open_lock(self._folder / "users")
        alone = try_lock(users)
        fcntl.flock(users, fcntl.LOCK_SH)
        self._use = os.getpid(), users
        return alone

    def _uncount(self) -> None:
        if self._use is not None:
            (process, users), self._use = self._use, None
            # A forked child shares the lock with its parent: it may close its copy, but not unlock.
            if process == os.getpid():
                fcntl.flock(users, fcntl.LOCK_UN)
            users.close()

    # The server. All of it runs under `lock`.

    def _bring_up(self, *, alone: bool) -> None:
        # New binaries under a running server break its new backends. With other users on it we leave it alone.
        if alone and self._version.exists() and self._version.read_text() != self._binaries.version:
            self._shut_down()
        if self._settled():
            return
        if not (self._data / "PG_VERSION").exists():
            self._make_cluster()
        self._make_socket_dir()
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        begin = self._spawn()
        if not self._settled():
            said = self._log.read_bytes()[begin:].decode(errors="replace")
            raise self._failure("the server did not start", said)

    def _settled(self) -> bool:
        """Wait until the server takes connections (True), or none of its processes is left (False)."""
        for _ in _pauses(self._start_timeout_s):
            if self._listener() is not None:
                return True
            if self._vacant():
                return False
        raise self._failure(f"the server is there but took no connections for {self._start_timeout_s} s")

    def _vacant(self) -> bool:
        with open_lock(self._folder / "alive") as alive:
            return try_lock(alive)

    def _listener(self) -> int | None:
        """The process id of the server if it takes connections; 0 when that is hidden in another container."""
        lines = self._pid_file()
        if [line.strip() for line in lines[7:8]] != ["ready"]:
            return None
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            try:
                client.connect(str(self._socket_dir / f".s.PGSQL.{PORT}"))
            except (ConnectionError, FileNotFoundError, TimeoutError, BlockingIOError):
                return None
            if sys.platform != "linux":
                return int(lines[0])
            # Not from the file: in another container that number is someone else's.
            return int(struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])

    def _pid_file(self) -> list[str]:
        """The lines of postmaster.pid: first the process id, eighth the state."""
        try:
            return (self._data / "postmaster.pid").read_text(errors="replace").split("\n")
        except FileNotFoundError:
            return []

    def _spawn(self) -> int:
        """Start the server, and return where in the log it begins to write."""
        # The locks say that no server runs. Postgres goes by process ids, and refuses to start when the one in a
        # stale file is in use again. It takes this one for a relative's and goes on (CreateLockFile in miscinit.c);
        # unlinking the file instead would take away Postgres's own defence against a server not started by us.
        env = {"PG_GRANDPARENT_PID": "".join(self._pid_file()[:1])}
        self._version.write_text(self._binaries.version)
        self._give(self._version)
        names = names_for(self._account, self._data, self._socket_dir)
        with self._log.open("ab") as log, names as ((data, sockets), descriptors):
            begin = log.tell()
            self._give(self._log)
            settings = SETTINGS | {"unix_socket_directories": '"' + sockets.replace('"', '""') + '"'}
            # A shell in between: the server must not become the child of a program that never waits for it.
            # A session of its own: Ctrl-C in our terminal is not meant for it.
            self._run(
                ["/bin/sh", "-c", '"$@" &', "sh"],
                "postgres",
                ["-D", data, *(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))],
                descriptors=descriptors,
                env=env,
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return begin

    def _shut_down(self) -> None:
        """Stop the server if it runs, and wait until it is gone."""
        server = self._listener() if self._settled() else None
        if not server:
            return
        for number, patience_s in ((signal.SIGINT, FAST_STOP_S), (signal.SIGQUIT, IMMEDIATE_STOP_S)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(server, number)
            if any(self._vacant() for _ in _pauses(patience_s)):
                return
        raise self._failure(f"process {server} did not stop")

    def _make_cluster(self) -> None:
        """Make the data directory, which is whole or not there."""
        for leftover in self._folder.glob("init-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh = Path(tempfile.mkdtemp(prefix="init-", dir=self._folder))
        try:
            self._give(fresh)
            with names_for(self._account, fresh) as ((data,), descriptors):
                self._must_run("initdb", ["-D", data, *INITDB], descriptors)
                single = ["--single", "-D", data, "-c", "exit_on_error=on", "postgres"]
                self._must_run("postgres", single, descriptors, feed=f"CREATE DATABASE {NAME}\n")
            fresh.rename(self._data)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        descriptor = os.open(self._folder, os.O_RDONLY)
        os.fsync(descriptor)  # a power cut must not take back the name
        os.close(descriptor)

    def _must_run(self, program: str, arguments: list[str], descriptors: list[int], feed: str = "") -> None:
        done = self._run([], program, arguments, descriptors=descriptors, input=feed, capture_output=True)
        if done.returncode != 0:
            raise self._failure(f"{program} failed", done.stdout + done.stderr)

    def _run(
        self, prefix: list[str], program: str, arguments: list[str], *, descriptors: list[int], **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the programs so that it, and every process it forks, holds `alive` until it ends."""
        command: list[str | Path] = [*prefix, self._bindir / program, *arguments]
        with open_lock(self._folder / "alive") as alive:
            fcntl.flock(alive, fcntl.LOCK_SH)
            try:
                return run(command, self._account, pass_fds=(alive.fileno(), *descriptors), **options)
            except OSError as error:
                raise self._failure(f"{program} cannot be run", str(error)) from error

    # Where things are, and whose.

    @cached_property
    def _binaries(self) -> Binaries:
        return binaries_for(self._folder, self._explicit)

    @cached_property
    def _account(self) -> Account | None:
        return account_for(self._folder, self._owner)

    @cached_property
    def _bindir(self) -> Path:
        return runnable_by(self._account, self._binaries)

    @property
    def _data(self) -> Path:
        return self._folder / f"data{self._binaries.major}"

    @cached_property
    def _socket_dir(self) -> Path:
        inside = self._folder / f"run{self._binaries.major}"
        # libpq reads a comma as the end of a host's name.
        if len(os.fsencode(inside / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_BYTES and "," not in str(inside):
            return inside
        # Not the configured temporary directory: every process has to arrive at the same name.
        return Path("/tmp") / f"casstore-{hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]}"  # noqa: S108

    def _make_socket_dir(self) -> None:
        """Make the directory that only the server's user can enter, and refuse one that is not so."""
        directory = self._socket_dir
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
        ours = {os.geteuid(), self._account.uid} if self._account else {os.geteuid()}
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in ours or found.st_mode & 0o077:
            raise Invalid(
                Code.BAD_CONFIG,
                f"{directory}, the place of the server's socket, is open to others",
                hint="Remove it, or choose another folder.",
            )
        self._give(directory)
        for stale in directory.glob(f".s.PGSQL.{PORT}*"):
            stale.unlink()

    def _give(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        """Turn the errors of files and processes into casstore's."""
        try:
            yield
        except OSError as error:
            if error.errno not in UNUSABLE:
                raise self._failure("the system refused", str(error)) from error
            raise Invalid(
                Code.BAD_CONFIG,
                f"{self._folder} cannot hold the embedded Postgres: {error}",
                hint="Choose a folder on a local disk that you may write to.",
            ) from error

    def _failure(self, what: str, said: str = "") -> Unavailable:
        text = f"the embedded Postgres in {self._folder} failed: {what}\n{said[-TAIL_CHARS:]}".strip()
        code, hint = Code.POSTGRES_FAILED, f"Read {self._log}."
        if any(full in said for full in DISK_FULL):
            code, hint = Code.DISK_FULL, "Free some space on its disk, then try again."
        return Unavailable(code, text, hint=hint, log=str(self._log))


def _pauses(seconds: float) -> Iterator[None]:
    """Yield at once, then after pauses that grow from 2 to 250 ms, until `seconds` have passed."""
    end = time.monotonic() + seconds
    pause_s = 0.002
    while True:
        yield
        if time.monotonic() >= end:
            return
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.25)
