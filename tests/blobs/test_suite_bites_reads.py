"""The conformance suite has teeth for reading, deleting and paging, as test_suite_bites.py shows for the rest."""

from __future__ import annotations

import pytest

from casstore.blobs import Object, keys
from casstore.errors import Code, Unavailable
from casstore.model import Digest
from casstore.testing import conformance, delete_cases, page_cases, read_cases
from casstore.testing.memory import MemoryBlobs, MemoryPlace, _Reader


def harness_of(kind):
    class Memory(conformance.Harness):
        def __init__(self):
            self.place = MemoryPlace()

        async def open(self):
            return kind(self.place)

        async def plant(self, key, data):
            self.place.write(key, data)

        async def take_away(self):
            self.place.reachable = False

    return Memory


class DeletesAnyGeneration(MemoryBlobs):
    async def delete(self, digest, *, generation):
        await self._yield()
        return self.place.objects.pop(keys.key_of(digest), None) is not None


class LooksThenDeletes(MemoryBlobs):
    """Compares the generation and deletes, with a gap between."""

    async def delete(self, digest, *, generation):
        existing = await self.stat(digest)
        if existing is None or existing.generation != generation:
            return False
        for _ in range(4):
            await self._yield()
        self.place.objects.pop(keys.key_of(digest), None)
        return True


class DeletesNothing(MemoryBlobs):
    async def delete(self, digest, *, generation):
        existing = await self.stat(digest)
        return existing is not None and existing.generation == generation


class AlwaysSaysDeleted(MemoryBlobs):
    async def delete(self, digest, *, generation):
        await super().delete(digest, generation=generation)
        return True


class ReusesGenerationsAfterDelete(MemoryBlobs):
    """Counts the writes of what is there, as a file's link count or a row's version would."""

    async def delete(self, digest, *, generation):
        deleted = await super().delete(digest, generation=generation)
        if deleted:
            self.place.generations = iter(range(generation, generation + 10_000))
        return deleted


class PagesUnsorted(MemoryBlobs):
    async def page(self, *, after=None, limit=1000):
        return (await super().page(after=after, limit=limit))[::-1]


class PagesInOrderOfWriting(MemoryBlobs):
    async def page(self, *, after=None, limit=1000):
        names = [key.removeprefix(keys.PREFIX) for key in self.place.objects]
        digests = [digest for digest in map(keys.digest_of, names) if digest]
        return [self._find(each) for each in (digests[digests.index(after) + 1 :] if after else digests)][:limit]


class PagesFromAfter(MemoryBlobs):
    """`after` itself comes again."""

    async def page(self, *, after=None, limit=1000):
        again = self._find(after) if after else None
        return [*([again] if again else []), *await super().page(after=after, limit=limit)][:limit]


class PagesWithoutTheLast(MemoryBlobs):
    async def page(self, *, after=None, limit=1000):
        page = await super().page(after=after, limit=limit)
        return page[:-1] if page and page[-1].digest == max(map(self._digest, self.place.objects)) else page

    @staticmethod
    def _digest(key):
        return keys.digest_of(key.removeprefix(keys.PREFIX)) or Digest(bytes(32))


class PagesAreTooLong(MemoryBlobs):
    async def page(self, *, after=None, limit=1000):
        return await super().page(after=after, limit=6 * limit)


class PagesTakeLimitForAll(MemoryBlobs):
    """Only the first `limit` blobs exist, whatever comes after."""

    async def page(self, *, after=None, limit=1000):
        first = await super().page(limit=3 * limit)
        return [each for each in first[:limit] if after is None or each.digest > after]


class PagesListStrangers(MemoryBlobs):
    async def page(self, *, after=None, limit=1000):
        page = await super().page(after=after, limit=limit)
        if page and "README" in "".join(self.place.objects):
            page.append(Object(Digest(b"\xff" * 32), 10, 1))
        return page[:limit]


class CountsStrangers(MemoryBlobs):
    """Leaves strangers out after cutting the page, so that a page of strangers looks like the end."""

    async def page(self, *, after=None, limit=1000):
        await self._yield()
        floor = keys.key_of(after) if after else ""
        names = [key.removeprefix(keys.PREFIX) for key in sorted(self.place.objects) if key > floor][:limit]
        return [self._find(digest) for digest in map(keys.digest_of, names) if digest]


class RangesIncludeTheEnd(MemoryBlobs):
    async def open(self, digest, *, start=0, end=None):
        return await super().open(digest, start=start, end=None if end is None else end + 1)


class RangesAreMeasuredFromStart(MemoryBlobs):
    """Takes `end` for a length."""

    async def open(self, digest, *, start=0, end=None):
        return await super().open(digest, start=start, end=None if end is None else start + end)


class ReadersLieAboutSizes(MemoryBlobs):
    async def open(self, digest, *, start=0, end=None):
        reader = await super().open(digest, start=start, end=end)
        reader.size_bytes = (await self.stat(digest)).size_bytes
        return reader


class ReadsTooMuch(MemoryBlobs):
    async def open(self, digest, *, start=0, end=None):
        reader = await super().open(digest, start=start, end=end)
        read = reader.read
        reader.read = lambda max_bytes: read(3 * max_bytes + 3)
        return reader


class SharesOnePosition(MemoryBlobs):
    """One reader for all who read the same range of the same object."""

    async def open(self, digest, *, start=0, end=None):
        reader = await super().open(digest, start=start, end=end)
        shared = self.place.__dict__.setdefault("shared", {})
        key = (digest, start, end, reader.generation)
        if key in shared and not shared[key]._closed:
            return shared[key]
        return shared.setdefault(key, reader) if key not in shared else reader


class ReadsOnInTheNextObject(MemoryBlobs):
    """A reader that looks up its object again at each read, by what is first in the folder."""

    async def open(self, digest, *, start=0, end=None):
        reader = await super().open(digest, start=start, end=end)
        store, key = self, keys.key_of(digest)

        class Late(_Reader):
            async def read(self, max_bytes):
                objects = store.place.objects
                self._data = (objects.get(key) or next(iter(objects.values()), (0, b"")))[1][start:end]
                return await super().read(max_bytes)

        return Late(reader._data, reader.generation)


class BeyondTheEndIsAnError(MemoryBlobs):
    """Lets its server's "416 Range Not Satisfiable" through."""

    async def open(self, digest, *, start=0, end=None):
        reader = await super().open(digest, start=start, end=end)
        if start and start >= (await self.stat(digest)).size_bytes:
            raise Unavailable(Code.BLOBS_UNAVAILABLE, "416 Range Not Satisfiable")
        return reader


class OpensNothingAsEmpty(MemoryBlobs):
    async def open(self, digest, *, start=0, end=None):
        if self._find(digest) is None:
            return _Reader(b"", 0)
        return await super().open(digest, start=start, end=end)


class LeaksKeyError(MemoryBlobs):
    async def open(self, digest, *, start=0, end=None):
        await self._yield()
        generation, data = self.place.objects[keys.key_of(digest)]
        return _Reader(data[start:end], generation)


BROKEN = [
    (DeletesAnyGeneration, "delete_another_generation"),
    (LooksThenDeletes, "delete_races_replacement"),
    (LooksThenDeletes, "delete_once"),
    (DeletesNothing, "delete_this_generation"),
    (AlwaysSaysDeleted, "delete_nothing"),
    (ReusesGenerationsAfterDelete, "generations_never_return"),
    (PagesUnsorted, "page_of_a_hundred"),
    (PagesInOrderOfWriting, "page_of_a_few"),
    (PagesFromAfter, "page_of_one"),
    (PagesWithoutTheLast, "page_of_a_few"),
    (PagesAreTooLong, "page_of_a_few"),
    (PagesTakeLimitForAll, "page_of_a_few"),
    (PagesListStrangers, "page_without_strangers"),
    (CountsStrangers, "page_without_strangers"),
    (RangesIncludeTheEnd, "ranges"),
    (RangesAreMeasuredFromStart, "ranges"),
    (ReadersLieAboutSizes, "ranges"),
    (ReadsTooMuch, "read_sizes"),
    (SharesOnePosition, "reader_closed_twice"),
    (ReadsOnInTheNextObject, "reading_while_deleting"),
    (BeyondTheEndIsAnError, "ranges_of_the_empty"),
    (OpensNothingAsEmpty, "absent"),
    (LeaksKeyError, "absent"),
]


@pytest.mark.parametrize(("kind", "name"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_the_broken_store_is_caught(kind, name):
    case = next(case for case in conformance.CASES if case.name == name)
    failures = conformance.check(harness_of(kind), [case], patience_seconds=5)
    assert name in failures
    assert not isinstance(failures[name], (NameError, AttributeError, TypeError))  # broken as meant, not by a slip


def test_every_case_catches_something():
    """A case that no broken store fails may be checking nothing."""
    unproven = {case.name for case in (*read_cases.CASES, *delete_cases.CASES, *page_cases.CASES)} - {
        name for _, name in BROKEN
    }
    for kind in (*dict.fromkeys(kind for kind, _ in BROKEN),):
        cases = [case for case in conformance.CASES if case.name in unproven]
        unproven -= set(conformance.check(harness_of(kind), cases, patience_seconds=5))
    assert unproven == set()
