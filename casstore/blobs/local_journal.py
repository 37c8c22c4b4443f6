"""Segments of the journal in a local folder: files that are written once, whole, and durable before that is told."""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import secrets
from pathlib import Path

__all__ = ["TEMP", "get", "list_keys", "put_new", "remove", "sync"]

TEMP = ".tmp-"  # begins the name of a file that is still being written; who is dead left it to be swept


def put_new(root: Path, scratch: Path, key: str, data: bytes) -> bool:
    """Write the file of a key, unless there is one.

    Args:
        root: The folder that keys are below.
        scratch: A folder of the same file system whose leftovers are swept.
        key: Its name below `root`.
        data: Its bytes.
    """
    path = root / key
    _make(path.parent)
    temp = scratch / f"{TEMP}{os.getpid()}-{secrets.token_hex(8)}"
    with temp.open("xb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # held while we live, as a sweeper sees
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(temp)
                return True
        finally:
            temp.unlink()
            sync(path.parent)  # also of a file that is there: its writer may not have come to this yet
    return False


def get(root: Path, key: str) -> bytes | None:
    """The bytes of a key's file; None when there is none."""
    with contextlib.suppress(FileNotFoundError):
        return (root / key).read_bytes()
    return None


def remove(root: Path, key: str) -> None:
    """Take the file of a key away, durably, if there is one."""
    path = root / key
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        sync(path.parent)


def list_keys(root: Path, prefix: str, after: str, limit: int) -> list[str]:
    """The keys in one folder, `prefix`, in ascending order, after one of them."""
    with contextlib.suppress(FileNotFoundError), os.scandir(root / prefix) as entries:
        return heapq.nsmallest(limit, (key for entry in entries if (key := f"{prefix}{entry.name}") > after))
    return []


def sync(folder: Path) -> None:
    """Make durable which files a folder has."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    sync(folder.parent)
