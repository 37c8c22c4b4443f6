"""Objects of a folder or a bucket that somebody else keeps: looked through and read, and never written to."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from casstore.errors import Code, Invalid
from casstore.staging import reading

__all__ = ["Objects", "SourceObject", "Stranger", "open_objects", "shown"]

_LINK: Final = "a symbolic link; links are not followed"
_SPECIAL: Final = "neither a file nor a folder"


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One object, by its name below the root."""

    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Stranger:
    """What is no object, and why. What could not be read has an error code as well."""

    name: str
    reason: str
    code: Code | None = None


class Objects(Protocol):
    """A root and the objects below it.

    Attributes:
        url: The root, as its owner calls it.
        bases: What may stand before a name where somebody else wrote it down, each with its slash.
    """

    url: str
    bases: tuple[str, ...]

    async def find(self) -> tuple[list[SourceObject], list[Stranger]]:
        """Everything below the root, in the order of names; raises Invalid (unreadable_source) when there is no root."""
        ...

    async def read(self, name: str, max_bytes: int) -> bytes:
        """All bytes of an object that was listed.

        Raises:
            Invalid: It has more (too_large), or it cannot be read any more (unreadable_source).
        """
        ...

    async def aclose(self) -> None:
        """Give back what it holds."""
        ...


async def open_objects(source: str | os.PathLike[str]) -> Objects:
    """The objects in a folder, or below `gs://bucket/prefix`."""
    if isinstance(source, str) and source.startswith("gs://"):
        from casstore.blobs.gcs_objects import GcsObjects  # noqa: PLC0415 - Google's client takes a quarter of a second

        return await GcsObjects.connect(source)
    return FolderObjects(Path(source))


def shown(name: str) -> str:
    """A name as Unicode text: on disk it may be any bytes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


class FolderObjects:
    """The files below a folder. No symbolic link is followed."""

    def __init__(self, root: Path) -> None:
        self.url = shown(str(root))
        self.bases: tuple[str, ...] = (f"{root}/", "/")
        self._root = root

    async def find(self) -> tuple[list[SourceObject], list[Stranger]]:
        return await asyncio.to_thread(self._find)

    async def read(self, name: str, max_bytes: int) -> bytes:
        return await asyncio.to_thread(self._read, name, max_bytes)

    async def aclose(self) -> None:
        """There is nothing to give back."""

    def _find(self) -> tuple[list[SourceObject], list[Stranger]]:
        objects: list[SourceObject] = []
        strangers: list[Stranger] = []
        todo = [""]
        while todo:
            folder = todo.pop()
            try:
                with os.scandir(self._root / folder) as entries:
                    for entry in entries:
                        _sort(entry, f"{folder}{entry.name}", objects, strangers, todo)
            except OSError as error:
                if not folder:
                    message = f"cannot read the folder {self.url}: {error.strerror or error}"
                    hint = "Check the path and its permissions."
                    raise Invalid(Code.UNREADABLE_SOURCE, message, hint=hint) from error
                reason = f"cannot be read: {error.strerror or error}"
                strangers.append(Stranger(folder, reason, Code.UNREADABLE_SOURCE))
        objects.sort(key=lambda each: each.name)
        return objects, strangers

    def _read(self, name: str, max_bytes: int) -> bytes:
        path = self._root / name
        with reading(shown(str(path))):
            # What became a link or a pipe since it was listed is neither followed nor waited for.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError(f"{shown(name)} is no file any more")
                data = file.read(max_bytes + 1)
        check_size(name, len(data), max_bytes)
        return data


def check_size(name: str, size_bytes: int, max_bytes: int) -> None:
    """Raise Invalid (too_large) when an object has more bytes than it may have."""
    if size_bytes > max_bytes:
        message = f"{shown(name)} has more than {max_bytes} bytes, which is all that may be read of it"
        raise Invalid(Code.TOO_LARGE, message, hint="Store it by itself, with `casstore put`.")


def _sort(
    entry: os.DirEntry[str], name: str, objects: list[SourceObject], strangers: list[Stranger], folders: list[str]
) -> None:
    if entry.is_symlink():
        strangers.append(Stranger(name, _LINK))
    elif entry.is_dir():
        folders.append(f"{name}/")
    elif entry.is_file():
        objects.append(SourceObject(name, entry.stat(follow_symlinks=False).st_size))
    else:
        strangers.append(Stranger(name, _SPECIAL))
