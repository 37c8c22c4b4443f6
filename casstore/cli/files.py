"""Files and pipes at the edge of the program: what a put reads and what a get writes."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final

from casstore import limits
from casstore.cli.output import Output, Progress
from casstore.errors import CasstoreError, Code, Invalid, Unavailable
from casstore.formats import media_types

if TYPE_CHECKING:
    from casstore.operations.get import AsyncArtifact
    from casstore.staging import Data

__all__ = ["appearing", "copy_out", "data_of", "is_long", "save", "targets", "write"]

_TEXT_CONTROLS: Final = b"\t\n\r\f"


class _StandardInput:
    """Standard input as a source, counting what it has given."""

    name = "standard input"

    def __init__(self, stream: BinaryIO, progress: Progress) -> None:
        self._stream = stream
        self._progress = progress
        self._done = 0

    def read(self, size_bytes: int, /) -> bytes:
        chunk = self._stream.read(size_bytes)
        self._done += len(chunk)
        if self._done > limits.PROGRESS_BYTES:
            self._progress.bytes(self._done)
        return chunk


def data_of(source: str | None, components: Mapping[str, str], progress: Progress) -> Data:
    """What the arguments of `put` mean: one source, or the components of several, "-" being standard input."""
    from casstore.staging import Components  # noqa: PLC0415 - only a put needs it

    if (source is None) == (not components):
        message = "there is nothing to store" if source is None else "a FILE and --component exclude each other"
        hint = "Give a file, - for standard input, or --component ROLE=PATH for each part."
        raise Invalid(Code.BAD_ARGUMENT, message, hint=hint)
    if [source, *components.values()].count("-") > 1:
        raise Invalid(Code.BAD_ARGUMENT, "standard input can be only one component", hint="Name files for the others.")
    if source is not None:
        return _source(source, progress)
    return Components({role: _source(path, progress) for role, path in components.items()})


def _source(text: str, progress: Progress) -> Path | _StandardInput:
    if text != "-":
        return Path(text)
    if not sys.stdin:
        raise Invalid(Code.UNREADABLE_SOURCE, "standard input is closed", hint="Name a file.")
    return _StandardInput(sys.stdin.buffer, progress)


def is_long(*paths: str | None) -> bool:
    """Whether these files together are so large that reading them takes a while."""
    sizes = (os.stat(path).st_size for path in paths if path and os.path.isfile(path))  # noqa: PTH116, PTH113
    return sum(sizes) > limits.PROGRESS_BYTES


def targets(artifact: AsyncArtifact, folder: Path) -> dict[str, Path]:
    """A file in `folder` for each component, by role: named by the role, with the suffix of its media type."""
    artifact.check_whole()
    components = artifact.version.components
    names = {c.role: c.role + media_types.suffix_for(c.media_type) for c in components}
    if len(set(names.values())) < len(names):  # roles "a.json" and "a", which is JSON
        names = {role: role for role in names}
    return {role: folder / name for role, name in names.items()}


async def copy_out(artifact: AsyncArtifact, out: Output, *, raw: bool) -> None:
    """The verified bytes to standard output; to a terminal only what is text, unless `raw`."""
    async with await artifact.open() as reader:
        guarded = not raw and sys.stdout is not None and sys.stdout.isatty()
        with out.progress("reading", reader.size_bytes) as progress:
            done = 0
            while chunk := await reader.read(limits.CHUNK_BYTES):
                if guarded:
                    _check_is_text(chunk, whole=done + len(chunk) == reader.size_bytes)
                out.content(chunk)
                done += len(chunk)
                if reader.size_bytes > limits.PROGRESS_BYTES:
                    progress.bytes(done)
    out.flush()


def _check_is_text(chunk: bytes, *, whole: bool) -> None:
    body = chunk if whole else chunk[:-3]  # a character may be cut at the end of a chunk
    text = body.decode("utf-8", "ignore" if not whole else "replace")
    if "\ufffd" in text or any(ord(c) < 32 and ord(c) not in _TEXT_CONTROLS for c in text):  # noqa: PLR2004 - the controls
        message = "the content is not text, and standard output is a terminal"
        raise Invalid(Code.BAD_TEXT, message, hint="Name a file: -o FILE; or insist: -o -.")


async def save(artifact: AsyncArtifact, target: Path, out: Output, *, force: bool) -> None:
    """The verified bytes to a file, which appears when it is whole; one that exists is replaced only with `force`."""
    with appearing(target, force=force) as file:
        async with await artifact.open() as reader:
            with out.progress(f"writing {target.name}", reader.size_bytes) as progress:
                done = 0
                while chunk := await reader.read(limits.CHUNK_BYTES):
                    file.write(chunk)
                    done += len(chunk)
                    if reader.size_bytes > limits.PROGRESS_BYTES:
                        progress.bytes(done)


def write(target: Path, text: str, *, force: bool) -> int:
    """Text to a file, likewise; answers how many bytes it has."""
    content = text.encode()
    with appearing(target, force=force) as file:
        file.write(content)
    return len(content)


@contextlib.contextmanager
def appearing(target: Path, *, force: bool) -> Iterator[IO[bytes]]:
    """A temporary file beside `target` that takes its name in the end."""
    with _writing(target):
        target = target.resolve()  # replace what a link leads to, not the link
        _check_target(target, force=force)
        target.parent.mkdir(parents=True, exist_ok=True)
        temp = target.with_name(f".casstore-{secrets.token_hex(8)}.tmp")
        try:
            with temp.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _place(temp, target, force=force)
        finally:
            temp.unlink(missing_ok=True)


def _check_target(target: Path, *, force: bool) -> None:
    if target.exists() and not target.is_file():  # a folder, or a device that a rename would replace
        kind = "a folder" if target.is_dir() else "not a regular file"
        raise Invalid(Code.UNWRITABLE_TARGET, f"{target} is {kind}", hint="Name a file, or write to a pipe: -o -.")
    if target.exists() and not force:
        raise Invalid(Code.UNWRITABLE_TARGET, f"{target} exists", hint="Replace it with --force, or name another file.")


def _place(temp: Path, target: Path, *, force: bool) -> None:
    if not force:
        try:
            os.link(temp, target)  # unlike a rename it fails if someone has made the file meanwhile
        except FileExistsError:
            _check_target(target, force=False)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):  # a file system without links
                raise
        else:
            return
    temp.replace(target)


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except CasstoreError:  # Denied is an OSError too
        raise
    except OSError as error:
        message = f"cannot write {target}: {error.strerror or error}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable(Code.DISK_FULL, message, hint="Free some space.") from error
        raise Invalid(Code.UNWRITABLE_TARGET, message, hint="Check the path and its permissions.") from error
