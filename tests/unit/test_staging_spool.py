"""Staging of sources that can be read only once: spooled, bounded, and nothing left behind."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import os
import tempfile
import threading
import weakref
from pathlib import Path

import pytest

from casstore import limits
from casstore.errors import Code, Unavailable
from casstore.staging import Components, stage
from tests.unit.sources import content, pieces, refused, staged


class ShortReads:
    """A file object that has nothing but `read`, and gives less than it was asked for."""

    def __init__(self, data):
        self._file = io.BytesIO(data)

    def read(self, size, /):
        return self._file.read(min(size, 1_000))


def raising(error):
    def call(*arguments, **options):
        raise error

    return call


def test_a_fifo_is_spooled(tmp_path):
    fifo = tmp_path / "fifo.json"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(b"[1]" * 100_000,))
    writer.start()
    one = staged(fifo)
    writer.join()
    assert one.media_type == "application/json"
    assert isinstance(one.source, bytes)  # not the path, which cannot be read again
    assert content(one) == content(one) == b"[1]" * 100_000


def test_a_pipe_is_spooled():
    reading, writing = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(writing, b"x" * 200_000), os.close(writing)))
    writer.start()
    with os.fdopen(reading, "rb") as file:
        one = staged(file)
    writer.join()
    assert content(one) == b"x" * 200_000


def test_a_pipe_by_its_path_is_spooled():
    reading, writing = os.pipe()
    os.write(writing, b"through /dev/fd")
    os.close(writing)
    one = staged(Path(f"/dev/fd/{reading}"))
    os.close(reading)
    assert content(one) == content(one) == b"through /dev/fd"


@pytest.fixture
def spools(monkeypatch):
    """Every spool file that staging makes; a threshold that is quickly passed."""
    made = []
    real = tempfile.SpooledTemporaryFile
    monkeypatch.setattr(limits, "SPOOL_BYTES", 200_000)
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda **options: made.append(real(**options)) or made[-1])
    return made


@pytest.mark.parametrize("make", [io.BytesIO, ShortReads, lambda data: pieces(data, 7_001)])
def test_a_short_source_stays_in_memory(spools, make):
    one = staged(make(b"s" * 200_000))
    assert isinstance(one.source, bytes)
    assert content(one) == b"s" * 200_000
    assert [spool.closed for spool in spools] == [True]


@pytest.mark.parametrize("make", [io.BytesIO, ShortReads, lambda data: pieces(data, 7_001)])
def test_a_long_source_goes_to_an_anonymous_file_and_is_read_twice(spools, make, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = bytes(range(251)) * 2_000
    one = staged(make(data))
    assert list(tmp_path.iterdir()) == []  # it has no name that could stay behind
    assert content(one) == content(one) == data
    with one.open() as first, one.open() as second:  # two readers do not move each other
        assert first.read(10) == second.read(10) == data[:10]
        assert first.read(1_000_000) == data[10:]
    one.close()
    assert [spool.closed for spool in spools] == [True]
    one.close()


def test_a_source_that_fails_midway_closes_its_spool(spools):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 300_000:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(min(size, 100_000))

    refused(Failing(b"x" * 10**6), Code.UNREADABLE_SOURCE)

    class Mine(Exception):
        pass

    async def failing():
        for _ in range(4):
            yield b"x" * 100_000
        raise Mine

    with pytest.raises(Mine):  # what the caller's own iterator raises is the caller's
        staged(failing())
    assert [spool.closed for spool in spools] == [True, True]


def test_a_cancelled_source_closes_its_spool(spools):
    async def main():
        async def endless():
            while True:
                yield b"x" * 10_000
                await asyncio.sleep(0)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await stage(endless())

    asyncio.run(main())
    assert [spool.closed for spool in spools] == [True]


def test_a_later_component_that_fails_closes_the_earlier_ones(spools):
    refused(Components(a=io.BytesIO(b"x" * 300_000), b=io.BytesIO(b"y" * 300_000), c=None), Code.BAD_DATA)
    assert [spool.closed for spool in spools] == [True, True]


@pytest.mark.parametrize("make", [io.BytesIO, lambda data: pieces(data, 100_000)])
@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, Code.DISK_FULL), (errno.EDQUOT, Code.DISK_FULL), (errno.EIO, Code.BLOBS_UNAVAILABLE)],
)
def test_a_full_temporary_folder_is_no_fault_of_the_source(spools, monkeypatch, make, number, code):
    """Regression: a file object was told to be unreadable, and from a stream the OSError came through."""

    class Full(io.BytesIO):
        _rolled = True

        def __init__(self, **options):
            super().__init__()

        write = raising(OSError(number, os.strerror(number)))

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", Full)
    with pytest.raises(Unavailable) as caught:
        staged(make(b"x" * 300_000))
    assert caught.value.code is code
    assert tempfile.gettempdir() in str(caught.value)


def write(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda data, path: data,
        lambda data, path: data.decode(),
        lambda data, path: [data.decode()[4:]],
        lambda data, path: write(path, data),
        lambda data, path: io.BytesIO(data),
        lambda data, path: ShortReads(data),
        lambda data, path: pieces(data, 100),
    ],
    ids=["bytes", "text", "json", "path", "file", "short reads", "stream"],
)
def test_sizes_over_the_limit(monkeypatch, tmp_path, spools, make):
    monkeypatch.setattr(limits, "BLOB_MAX_BYTES", 1_000)
    assert staged(make(b"x" * 1_000, tmp_path / "file")).size_bytes == 1_000
    error = refused(make(b"x" * 1_001, tmp_path / "file"), Code.TOO_LARGE)
    assert error.fields["size_bytes"] > 1_000
    assert all(spool.closed for spool in spools)


def test_an_endless_source_is_stopped_at_the_limit(monkeypatch):
    monkeypatch.setattr(limits, "BLOB_MAX_BYTES", 10**6)
    refused(Path("/dev/zero"), Code.TOO_LARGE)


def test_a_stream_that_nobody_closed_is_closed_with_its_last_reference(spools):
    one = staged(io.BytesIO(b"x" * 300_000))
    assert not spools[0].closed
    one.close()
    gone = weakref.ref(one.source._file)
    del one
    spools.clear()
    gc.collect()
    assert gone() is None


def test_the_event_loop_goes_on_while_a_long_source_is_hashed(tmp_path):
    path = tmp_path / "long"
    path.write_bytes(bytes(2**26))

    async def main():
        ticks, work = 0, asyncio.ensure_future(stage(path))
        while not work.done():
            await asyncio.sleep(0)
            ticks += 1
        return ticks

    assert asyncio.run(main()) > 10
