"""What the program says, and the only place that says it: results on standard output, the rest on standard error.

What people typed into a store (titles, labels, file names) reaches a screen only through `plain`: control characters,
escape sequences and marks that turn the direction of text would let a title rewrite the terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn, Self

from pydantic_core import to_jsonable_python

from casstore.errors import Code, Invalid, Unavailable

__all__ = ["Output", "Progress", "document", "plain", "prepare_streams", "size"]

_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_IN_LINES: Final = re.compile(_UNSAFE.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))
_REDRAW_S: Final = 0.1
_COLOURS: Final = {
    "title": "\x1b[1m",
    "added": "\x1b[32m",
    "removed": "\x1b[31m",
    "changed": "\x1b[33m",
    "note": "\x1b[2m",
}
_PLAIN: Final = "\x1b[0m"
_ERASE_LINE: Final = "\r\x1b[K"


def plain(text: str) -> str:
    """`text` on one line, with everything that could steer a terminal written as an escape."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    number = ord(match.group())
    return f"\\x{number:02x}" if number <= 0xFF else f"\\u{number:04x}"  # noqa: PLR2004 - as Python writes them


def size(size_bytes: int) -> str:
    """A number of bytes as people say it: 4.1 KB."""
    value = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 999.95:  # noqa: PLR2004 - what is rounded to 1000 is the next unit's
            return f"{value:.1f} {unit}" if unit != "B" else f"{size_bytes} B"
        value /= 1000
    return f"{value:.1f} TB"


def prepare_streams() -> None:
    """Speak UTF-8 whatever the locale says, and never fail on a character."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


class Output:
    """Says things to people, or with `as_json` to programs: a result, and an error, is one JSON document each."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def show(self, value: Any, lines: Iterable[str]) -> None:
        """The result of a command: `value` for programs, `lines` for people."""
        self.lines([document(value)] if self.as_json else lines)

    def stream(self, value: Any, line: str) -> None:
        """One of many results, at once: a line, of JSON for programs."""
        self.lines([document(value, indent=None)] if self.as_json else [line])
        self.flush()

    def lines(self, lines: Iterable[str]) -> None:
        """Lines on standard output."""
        if sys.stdout:
            with _writing():
                sys.stdout.writelines(f"{line}\n" for line in lines)

    def painted(self, lines: Iterable[tuple[str, str]]) -> None:
        """Lines with what each is ("added", "removed" …): in colours where a terminal shows them."""
        colours = _COLOURS if sys.stdout and sys.stdout.isatty() else {}
        painted = ((colours.get(style, ""), plain(text)) for style, text in lines)
        self.lines(f"{colour}{text}{_PLAIN if colour else ''}" for colour, text in painted)

    def content(self, chunk: bytes) -> None:
        """Bytes on standard output, as they are."""
        if not sys.stdout:
            raise Invalid(Code.UNWRITABLE_TARGET, "standard output is closed", hint="Name a file: -o FILE.")
        with _writing():
            sys.stdout.buffer.write(chunk)

    def flush(self) -> None:
        """Hand over what is buffered; who gets none of it must be told while it can still be an error."""
        if sys.stdout:
            with _writing():
                sys.stdout.flush()

    def note(self, text: str) -> None:
        """A remark to people, beside the result."""
        if sys.stderr and not self.as_json:
            sys.stderr.write(text + "\n")

    def error(self, error: dict[str, Any]) -> None:
        """What went wrong, and what to do about it."""
        if not sys.stderr:
            return
        text = document(error)
        if not self.as_json:
            text = f"casstore: {_UNSAFE_IN_LINES.sub(_escaped, error['message'])} [{error['error']}]"
            text += f"\n  → {_UNSAFE_IN_LINES.sub(_escaped, error['hint'])}" if error["hint"] else ""
        with contextlib.suppress(OSError):  # nobody is left to be told
            sys.stderr.write(text + "\n")

    def trace(self, text: str) -> None:
        """Where a bug happened."""
        if sys.stderr:
            sys.stderr.write(text)

    def abandon(self, code: int) -> NoReturn:
        """End the process now, without waiting for threads."""
        with contextlib.suppress(OSError, AttributeError):
            sys.stdout.flush()
        os._exit(code)

    def progress(self, label: str, total_bytes: int | None = None) -> Progress:
        """A bar of bytes (or only their number, without a total), where there is a terminal to show it."""
        return Progress(label, total_bytes, quiet=self.as_json)

    @asynccontextmanager
    async def busy(self, label: str, *, when: bool) -> AsyncIterator[None]:
        """A clock beside `label` while something long goes on whose progress cannot be seen."""
        with Progress(label, None, quiet=self.as_json or not when) as progress:
            ticking = asyncio.create_task(progress.tick())
            try:
                yield
            finally:
                ticking.cancel()


class Progress:
    """A line on standard error that is drawn over itself, and gone in the end. Only on a terminal."""

    def __init__(self, label: str, total: int | None, *, quiet: bool) -> None:
        self._label = label
        self._total = total
        self._silent = quiet or not sys.stderr or not sys.stderr.isatty()
        self._drawn_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._draw("")

    def bytes(self, done: int) -> None:
        """So many bytes are done."""
        share = f"{100 * done // self._total:3d} % of {size(self._total)}" if self._total else size(done)
        self._redraw(share)

    def count(self, done: int, total: int) -> None:
        """So many things are done, of so many."""
        self._redraw(f"{done}/{total}")

    def told(self, text: str) -> None:
        """How far it is, in words."""
        self._redraw(text)

    async def tick(self) -> None:
        """Show how long it takes, until cancelled; nothing of what is over at once."""
        begin = time.monotonic()
        while not self._silent:
            await asyncio.sleep(0.5)
            self._draw(f"{self._label} … {time.monotonic() - begin:.0f} s")

    def _redraw(self, text: str) -> None:
        if time.monotonic() - self._drawn_at >= _REDRAW_S:
            self._drawn_at = time.monotonic()
            self._draw(f"{self._label} … {text}")

    def _draw(self, line: str) -> None:
        if not self._silent:
            sys.stderr.write(_ERASE_LINE + plain(line))
            sys.stderr.flush()


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # nobody listens any more, which is no fault: the root ends quietly
        raise
    except OSError as error:
        message = f"cannot write to standard output: {error.strerror or error}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable(Code.DISK_FULL, message, hint="Free some space.") from error
        raise Invalid(Code.UNWRITABLE_TARGET, message) from error


def document(value: Any, *, indent: int | None = 2) -> str:
    """A value as a JSON document, in which nothing steers a terminal."""
    text = json.dumps(to_jsonable_python(value, fallback=str), ensure_ascii=False, indent=indent)
    return re.sub(_UNSAFE_IN_LINES, lambda match: f"\\u{ord(match.group()):04x}", text)
