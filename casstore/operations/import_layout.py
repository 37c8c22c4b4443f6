"""A folder to be imported, as found on disk: `<type>/<name>/v0001.<ext>` and `<type>/<name>/v0001/<role>.<ext>`.

Nothing is opened here and no symbolic link is followed. Whatever does not fit is kept as a `Stranger` with the reason.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from casstore.errors import Code, Invalid

__all__ = ["Folder", "FoundVersion", "Line", "Stranger", "read_folder"]

_LABEL: Final = re.compile(r"v([0-9]+)", re.ASCII)
_HIDDEN: Final = "hidden"
_LINK: Final = "a symbolic link; links are not followed"
_SPECIAL: Final = "neither a file nor a folder"
_PLACE: Final = "not at <type>/<name>/v0001.<ext> or <type>/<name>/v0001/<role>.<ext>"


@dataclass(frozen=True, slots=True)
class Stranger:
    """A file or folder that is no version, and why. One that could not be read has an error code as well."""

    path: str
    reason: str
    code: Code | None = None


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """One version on disk: a file, or the files of its components by role; or the `fault` that makes it unfit."""

    path: str
    label: str
    files: Path | dict[str, Path]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """All versions of one name, in the order of their numbers."""

    type: str
    name: str
    versions: tuple[FoundVersion, ...]


@dataclass(slots=True)
class Folder:
    """What a folder holds, lines and strangers each in the order of their paths."""

    lines: list[Line] = field(default_factory=list)
    strangers: list[Stranger] = field(default_factory=list)


def read_folder(root: Path) -> Folder:
    """Look through `root`; raises Invalid (unreadable_source) when it is no folder that can be read."""
    found = Folder()
    try:
        kinds = _entries(root)
    except OSError as error:
        message = f"cannot read the folder {_shown(root)}: {error.strerror or error}"
        raise Invalid(Code.UNREADABLE_SOURCE, message, hint="Check the path and its permissions.") from error
    for kind in _folders(root, kinds, found):
        for name in _folders(root, _readable(root, kind, found), found):
            _read_line(root, name, found)
    return found


def _read_line(root: Path, folder: Path, found: Folder) -> None:
    by_number: dict[int, list[os.DirEntry[str]]] = {}
    for entry in _readable(root, folder, found):
        label = _label(entry)
        reason = _unfit(entry) or ("" if label and _LABEL.fullmatch(label) else _PLACE)
        if reason:
            found.strangers.append(Stranger(_shown(Path(entry.path).relative_to(root)), reason))
        else:
            by_number.setdefault(int(label[1:]), []).append(entry)
    if by_number:
        versions = tuple(_version(root, by_number[number], found) for number in sorted(by_number))
        found.lines.append(Line(folder.parent.name, folder.name, versions))


def _version(root: Path, entries: list[os.DirEntry[str]], found: Folder) -> FoundVersion:
    entry, path = entries[0], Path(entries[0].path)
    shown, label = _shown(path.relative_to(root)), _label(entry)
    if len(entries) > 1:
        return FoundVersion(
            shown, label, path, f"several claim this number: {', '.join(_shown(e.name) for e in entries)}"
        )
    if not entry.is_dir():
        return FoundVersion(shown, label, path)
    files: dict[str, Path] = {}
    try:
        parts = _entries(path)
    except OSError as error:
        return FoundVersion(shown, label, path, f"cannot be read: {error.strerror or error}")
    for part in parts:
        reason = _unfit(part) or (f"a folder inside a version; {_PLACE}" if part.is_dir() else "")
        role = Path(part.name).stem
        if reason == _HIDDEN:
            found.strangers.append(Stranger(_shown(Path(part.path).relative_to(root)), reason))
        elif reason:  # leaving a visible part out would store half a version
            return FoundVersion(shown, label, path, f"its part {_shown(part.name)} is {reason}")
        elif role in files:
            return FoundVersion(shown, label, path, f"two files are its component {_shown(role)}")
        else:
            files[role] = Path(part.path)
    return FoundVersion(shown, label, files)


def _folders(root: Path, entries: list[os.DirEntry[str]], found: Folder) -> Iterator[Path]:
    for entry in entries:
        reason = _unfit(entry) or ("" if entry.is_dir() else _PLACE)
        if reason:
            found.strangers.append(Stranger(_shown(Path(entry.path).relative_to(root)), reason))
        else:
            yield Path(entry.path)


def _readable(root: Path, folder: Path, found: Folder) -> list[os.DirEntry[str]]:
    try:
        return _entries(folder)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}"
        found.strangers.append(Stranger(_shown(folder.relative_to(root)), reason, Code.UNREADABLE_SOURCE))
        return []


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _unfit(entry: os.DirEntry[str]) -> str:
    if entry.name.startswith("."):
        return _HIDDEN
    if entry.is_symlink():
        return _LINK
    return "" if entry.is_file() or entry.is_dir() else _SPECIAL


def _label(entry: os.DirEntry[str]) -> str:
    return entry.name if entry.is_dir() else entry.name.partition(".")[0]


def _shown(path: Path | str) -> str:
    """As Unicode text: names on disk may be any bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
