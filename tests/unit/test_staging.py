"""Staging: every kind of source gives the same digest for the same bytes, can be read again, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import errno
import io
import mmap
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casstore import limits
from casstore.errors import Code
from casstore.hashing import Hasher
from casstore.staging import Components, Part, stage
from tests.unit.sources import content, pieces, refused, staged


class ShortReads:
    """A file object that has nothing but `read`, and gives less than it was asked for."""

    def __init__(self, data):
        self._file = io.BytesIO(data)

    def read(self, size, /):
        return self._file.read(min(size, 1_000))


class Wrapper:
    """What tempfile and web frameworks give: everything through __getattr__."""

    def __init__(self, file):
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)


def kinds(data, folder):
    """Every kind of source, each made when it is asked for."""
    path = Path(folder, "file")
    path.write_bytes(data)
    return {
        "bytes": lambda: data,
        "bytearray": lambda: bytearray(data),
        "memoryview": lambda: memoryview(data),
        "memoryview of a part": lambda: memoryview(b"<" + data + b">")[1:-1],
        "path": lambda: path,
        "path as PathLike": lambda: next(entry for entry in list(os.scandir(folder)) if entry.name == "file"),
        "path of bytes": lambda: next(e for e in list(os.scandir(os.fsencode(folder))) if e.name == b"file"),
        "file object": lambda: path.open("rb"),
        "unbuffered file": lambda: path.open("rb", buffering=0),
        "BytesIO": lambda: io.BytesIO(data),
        "short reads": lambda: ShortReads(data),
        "wrapper": lambda: Wrapper(io.BytesIO(data)),
        "async iterator": lambda: pieces(data, 1_000),
        "async iterator of long pieces": lambda: pieces(data, limits.INLINE_BYTES + 1),
        "async iterator of bytearrays": lambda: pieces(bytearray(data), 10_000),
        "async iterator of memoryviews": lambda: pieces(memoryview(data), 10_000),
    }


def check_all_kinds(data, folder):
    hasher = Hasher()
    hasher.update(data)
    for kind, make in kinds(data, folder).items():
        source = make()
        one = staged(source)
        assert (one.digest, one.size_bytes, one.crc32c) == (hasher.digest, len(data), hasher.crc32c), kind
        assert content(one) == content(one) == data, kind
        one.close()
        one.close()
        if hasattr(source, "close"):
            source.close()


@settings(max_examples=40)  # of sixteen sources each
@given(st.binary(max_size=5_000))
@example(b"")
@example(bytes(range(256)) * 1_000)
def test_the_same_bytes_have_the_same_digest_whatever_they_come_in(data):
    with tempfile.TemporaryDirectory() as folder:
        check_all_kinds(data, folder)


@pytest.mark.parametrize("size", [limits.INLINE_BYTES, limits.HASH_BYTES, limits.CHUNK_BYTES])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_sizes_at_every_chunk_boundary(tmp_path, size, more):
    check_all_kinds((bytes(range(251)) * (size // 251 + 2))[: size + more], tmp_path)


def test_text_and_json_values():
    assert content(staged("grüße")) == "grüße".encode()
    assert content(staged({"b": [1, 2.0, None]})) == b'{"b":[1,2.0,null]}'
    assert content(staged([])) == b"[]"


def test_mutable_sources_are_copied():
    data = bytearray(b"before")
    one = staged(data)
    data[:] = b"after!"
    assert content(one) == b"before"


def test_other_buffers_are_bytes_too():
    with mmap.mmap(-1, 4096) as mapped:
        mapped.write(b"mapped")
        assert content(staged(memoryview(mapped).tobytes())).startswith(b"mapped")
    wide = memoryview(b"12345678").cast("I")
    assert content(staged(wide)) == b"12345678"


# -- media types ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.json", "application/json"),
        ("a.PNG", "image/png"),
        ("a", "application/octet-stream"),
        ("a.md", "text/markdown"),
    ],
)
def test_a_path_has_the_type_of_its_suffix(tmp_path, name, media_type):
    path = tmp_path / name
    path.write_bytes(b"x")
    assert staged(path).media_type == media_type
    assert staged(path, "text/x-mine").media_type == "text/x-mine"


def test_other_sources_have_the_type_of_their_kind():
    assert staged(b"").media_type == "application/octet-stream"
    assert staged("").media_type == "text/plain"
    assert staged({}).media_type == staged([]).media_type == "application/json"
    assert staged(io.BytesIO(b"")).media_type == "application/octet-stream"
    assert staged(Part(b"", "image/png")).media_type == "image/png"


def test_components_have_one_source_each():
    parts = asyncio.run(stage(Components({"a-b": b"1", "doc": Part("2", "text/markdown")}, roadmap={"n": 3})))
    assert {role: (content(one), one.media_type) for role, one in parts.items()} == {
        "a-b": (b"1", "application/octet-stream"),
        "doc": (b"2", "text/markdown"),
        "roadmap": (b'{"n":3}', "application/json"),
    }


# -- refusals ------------------------------------------------------------------------------------------------------


UNSTORABLE = [None, 7, 1.5, (1, 2), {1}, object(), iter([b"a"]), bytes, Part(Part(b""))]


@pytest.mark.parametrize("data", UNSTORABLE, ids=lambda value: type(value).__name__)
def test_what_cannot_be_stored(data):
    refused(data, Code.BAD_DATA)


def test_bad_text_and_bad_json():
    assert "character 2" in refused("ab\ud800", Code.BAD_TEXT).message
    refused({"a": float("nan")}, Code.BAD_JSON)


def test_bad_components():
    refused(Components(), Code.BAD_COMPONENTS)
    refused(Components({str(n): b"" for n in range(limits.COMPONENTS_MAX + 1)}), Code.BAD_COMPONENTS)
    refused(Components({"Bad Role": b""}), Code.BAD_ROLE)
    refused(Components(a=b""), Code.BAD_ARGUMENT, media_type="text/plain")
    refused(Part(b""), Code.BAD_ARGUMENT, media_type="text/plain")
    refused(Part(b"", "no type"), Code.BAD_MEDIA_TYPE)


@pytest.mark.parametrize("text", ["", "some text", "grüße"])
def test_a_file_in_text_mode_is_refused(tmp_path, text):
    """Regression: an empty one was taken."""
    path = tmp_path / "text"
    path.write_text(text)
    with path.open() as file:
        assert "'rb'" in refused(file, Code.BAD_DATA).hint
    refused(io.StringIO(text), Code.BAD_DATA)
    refused(Wrapper(io.StringIO(text)), Code.BAD_DATA)


def test_a_binary_file_in_text_mode_is_refused(tmp_path):
    """Regression: the decoder's ValueError came through."""
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\xfd")
    with path.open(encoding="utf-8") as file:
        refused(file, Code.BAD_DATA)


def test_an_async_iterator_of_text_is_refused():
    refused(pieces("some text", 3), Code.BAD_DATA)


def test_paths_that_cannot_be_read(tmp_path):
    for path in (tmp_path, tmp_path / "missing", tmp_path / "missing" / "deeper", Path("a\0b"), Path("x" * 5_000)):
        error = refused(path, Code.UNREADABLE_SOURCE)
        assert isinstance(error.__cause__, OSError | ValueError)
    assert str(tmp_path / "missing") in refused(tmp_path / "missing", Code.UNREADABLE_SOURCE).message
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    refused(loop, Code.UNREADABLE_SOURCE)


@pytest.mark.skipif(
    not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read: /proc/self/mem"
)
def test_a_path_that_fails_while_it_is_read():
    refused(Path("/proc/self/mem"), Code.UNREADABLE_SOURCE)


def test_a_path_without_permission(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    path.write_bytes(b"secret")
    if os.geteuid() == 0:  # root may read everything
        monkeypatch.setattr(Path, "open", raising(PermissionError(errno.EACCES, "Permission denied", str(path))))
    else:
        path.chmod(0)
    assert "Permission denied" in refused(path, Code.UNREADABLE_SOURCE).message


def raising(error):
    def call(*arguments, **options):
        raise error

    return call


def test_file_objects_that_cannot_be_read(tmp_path):
    """Regression: the ValueError of a closed file came through."""
    closed = io.BytesIO(b"x")
    closed.close()
    refused(closed, Code.UNREADABLE_SOURCE)
    with (tmp_path / "written").open("wb") as file:
        refused(file, Code.UNREADABLE_SOURCE)


def test_a_file_object_that_would_block_is_refused():
    """Regression: its None was taken for the end, and half of the source for the whole."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, b"the first half")
    with os.fdopen(reading, "rb", buffering=0) as file:
        refused(file, Code.BAD_DATA)
    os.close(writing)
