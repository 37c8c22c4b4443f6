"""scrub reads every blob once in a cycle, remembers what it has read, and tells what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import Code, Invalid
from casstore.catalog import checking
from casstore.catalog.checking import Part
from casstore.operations.scrubbing import due
from tests.checks.conftest import fewer_at_a_time, found_by
from tests.checks.damages import BYTES, SILENT, second

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CYCLE = timedelta(days=30)


class Killed(BaseException):
    """The process died."""


# -- what is due -----------------------------------------------------------------------------------------------------------


def live_through(steps, cycle=CYCLE):
    """Call a scrub after each of these times; the parts as they are then, and how old the oldest ever became."""
    read, now, oldest, counts = dict.fromkeys(range(256)), NOW, timedelta(), []
    for step in steps:
        now += step
        parts = due([Part(number, None, None, at, now) for number, at in read.items()], cycle, None)
        counts.append(len(parts))
        for part in parts:
            read[part.number] = now
        if None not in read.values():
            oldest = max(oldest, *(now - at for at in read.values()))
    return read, oldest, counts


@given(st.lists(st.floats(0.01, 2), min_size=150, max_size=200))
@settings(max_examples=30)
def test_whenever_it_is_called_each_part_is_read_within_the_cycle(days):
    steps = [timedelta(days=day) for day in days]
    read, oldest, _ = live_through(steps)
    if sum(steps, timedelta()) > CYCLE * 1.1:
        assert None not in read.values()
    assert oldest <= CYCLE + max(steps)


@pytest.mark.parametrize("hours", [1, 6, 24, 72])
def test_it_keeps_to_its_pace(hours):
    """Not all at once, and not much more than the cycle asks for."""
    _, _, counts = live_through([timedelta(hours=hours)] * (720 * 2 // hours))
    assert counts[0] == 8, "the share of a day, where nobody knows since when"
    assert max(counts[1:]) <= 256 * hours / 720 + 2
    assert 256 * 2 - 20 <= sum(counts) <= 256 * 2 + 20


def test_after_a_month_off_all_is_due():
    _, _, counts = live_through([timedelta(days=1)] * 40 + [timedelta(days=45)])
    assert counts[-1] == 256


def test_what_was_interrupted_goes_first_then_what_was_never_read_then_the_oldest():
    parts = [Part(number, None, None, NOW - timedelta(days=number), NOW) for number in range(256)]
    parts[7] = Part(7, None, None, None, NOW)
    parts[9] = Part(9, NOW, b"\x09" * 32, NOW, NOW)
    assert [part.number for part in due(parts, CYCLE, 4 / 256)] == [9, 7, 255, 254]


# -- reading ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SILENT | {name: BYTES[name] for name in ("deleted", "truncated", "written_again")})
def test_it_tells_what_only_reading_tells(in_world, name):
    async def check(world):
        digest = second(0)
        ((code, where),) = (SILENT | BYTES)[name](world, 0)
        check = world.store.scrub(share=1)
        (first,) = [defect async for defect in check]
        assert first.where == where == str(digest)
        assert first.uses == ("cas://acme/n/0@2#main",)
        assert first.code == {"altered": "object_altered", "truncated": "object_altered"}.get(name, code)
        assert first.mended == (name in ("written_again", "another_checksum_in_the_ledger"))
        # What it could not mend is doubted: the next put of the same bytes heals it.
        if not first.mended:
            again = await world.tenant.put("again", b"n/0 second")
            assert again.new_bytes == 0
        assert await found_by(world.store.scrub(share=1)) == set()
        assert await (await world.tenant.get("n/0@2")).bytes() == b"n/0 second"

    in_world(check, artifacts=1)


def test_it_reads_each_blob_once_and_remembers(in_world):
    async def check(world):
        first = world.store.scrub(share=1)
        assert await found_by(first) == set()
        assert first.summary.blobs == 8
        assert first.summary.bytes == sum(map(len, world.contents.values())) + 2 * len(b"n/0 purged")
        assert first.summary.unread == 0
        assert abs(datetime.now(UTC) - first.summary.oldest) < timedelta(minutes=1)
        second = world.store.scrub()  # nothing is due
        assert await found_by(second) == set()
        assert (second.summary.blobs, second.summary.oldest) == (0, first.summary.oldest)

    in_world(check, artifacts=2)


def test_shares_add_up(in_world):
    async def check(world):
        read, unread = 0, 1.0
        for _ in range(4):
            scrub = world.store.scrub(share=0.25)
            assert await found_by(scrub) == set()
            read += scrub.summary.blobs
            assert scrub.summary.unread < unread
            unread = scrub.summary.unread
        assert (read, unread) == (12, 0)

    in_world(check, artifacts=3)


def test_an_interruption_costs_a_page(in_world, monkeypatch):
    """However often it dies, it comes to its end, and reads little twice."""

    async def check(world):
        read = died = 0
        while None in [part.read_at for part in await checking.coverage(world.store._catalog)]:
            pages = iter(range(2))

            def die(_, pages=pages):
                if next(pages, None) is None:
                    raise Killed

            scrub = world.store.scrub(share=1, progress=die)
            with fewer_at_a_time(monkeypatch, SCRUB_PAGE=1), contextlib.suppress(Killed):
                assert await found_by(scrub) == set()
            died += 1
            read += scrub.summary.blobs
        assert died >= 2
        assert read <= 12 + died

    in_world(check, artifacts=3)


def test_a_rate_is_kept(in_world):
    async def check(world):
        begin = time.monotonic()
        scrub = world.store.scrub(share=1, rate=200)
        assert await found_by(scrub) == set()
        assert time.monotonic() - begin >= scrub.summary.bytes / 200 - 0.05

    in_world(check, artifacts=2)


def test_a_put_under_way_is_no_defect(in_world):
    async def check(world):
        async def put(number):
            await world.tenant.put(f"w/{number}", f"{number}".encode())

        found, _ = await asyncio.gather(found_by(world.store.scrub(share=1)), asyncio.gather(*map(put, range(50))))
        assert found == set()

    in_world(check, artifacts=1)


@pytest.mark.parametrize(
    "wrong", [{"cycle": timedelta()}, {"cycle": 3}, {"share": 0}, {"share": 1.1}, {"rate": 0}, {"rate": -1}]
)
def test_arguments_out_of_range_are_refused(in_world, wrong):
    async def check(world):
        with pytest.raises(Invalid) as caught:
            world.store.scrub(**wrong)
        assert caught.value.code is Code.BAD_ARGUMENT

    in_world(check, artifacts=0)
