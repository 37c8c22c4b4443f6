"""The cases about the journal have teeth, as those about blobs."""

from __future__ import annotations

import pytest

from casstore.testing import conformance, journal_cases
from casstore.testing.memory import MemoryBlobs, MemoryPlace


class Overwrites(MemoryBlobs):
    async def put_new(self, key, data):
        await super().put_new(key, data)
        return bool(self.place.write(key, data))


class OverwritesAndSaysNot(MemoryBlobs):
    async def put_new(self, key, data):
        made = await super().put_new(key, data)
        self.place.write(key, data)
        return made


class LooksThenWrites(MemoryBlobs):
    async def put_new(self, key, data):
        if await self.get(key) is not None:
            return False
        await self._yield()
        return bool(self.place.write(key, data))


class SaysTwinsAreNew(MemoryBlobs):
    async def put_new(self, key, data):
        return await super().put_new(key, data) or await self.get(key) == data


class KeepsNothing(MemoryBlobs):
    async def put_new(self, key, data):
        await self._yield()
        return True


class KeepsTheBeginning(MemoryBlobs):
    async def put_new(self, key, data):
        return await super().put_new(key, data[: 2**20])


class RemovesNothing(MemoryBlobs):
    async def remove(self, key):
        await self._yield()


class RemovesAllThatBeginsSo(MemoryBlobs):
    async def remove(self, key):
        for each in await self.list_keys("artifacts/journal-keys/"):
            if each.startswith(key):
                await super().remove(each)


class AnswersEmptyForNothing(MemoryBlobs):
    async def get(self, key):
        return await super().get(key) or b""


class AnswersNothingForEmpty(MemoryBlobs):
    async def get(self, key):
        return await super().get(key) or None


class ListsFromAfter(MemoryBlobs):
    async def list_keys(self, prefix, *, after="", limit=1000):
        await self._yield()
        return sorted(key for key in self.place.objects if key.startswith(prefix) and key >= after)[:limit]


class ListsTooMany(MemoryBlobs):
    async def list_keys(self, prefix, *, after="", limit=1000):
        await self._yield()
        return sorted(key for key in self.place.objects if key.startswith(prefix) and key > after)


class ListsUnsorted(MemoryBlobs):
    async def list_keys(self, prefix, *, after="", limit=1000):
        await self._yield()
        return [key for key in self.place.objects if key.startswith(prefix) and key > after][:limit]


class ListsEverything(MemoryBlobs):
    async def list_keys(self, prefix, *, after="", limit=1000):
        await self._yield()
        return sorted(key for key in self.place.objects if key > after)[:limit]


class EndsEarly(MemoryBlobs):
    async def list_keys(self, prefix, *, after="", limit=1000):
        return (await super().list_keys(prefix, after=after, limit=1000))[: limit if not after else 0]


class SilentWhenGone(MemoryBlobs):
    async def list_keys(self, prefix, *, after="", limit=1000):
        return await super().list_keys(prefix, after=after, limit=limit) if self.place.reachable else []


class NoneWhenGone(MemoryBlobs):
    async def get(self, key):
        return await super().get(key) if self.place.reachable else None


class ForgetsAtTheEnd(MemoryBlobs):
    async def aclose(self):
        self.place.objects = {}
        await super().aclose()


CAUGHT = {
    Overwrites: "journal_written_once",
    OverwritesAndSaysNot: "journal_written_once",
    LooksThenWrites: "journal_race",
    SaysTwinsAreNew: "journal_written_once",
    KeepsNothing: "journal_written_once",
    KeepsTheBeginning: "journal_written_once",
    RemovesNothing: "journal_key_removed",
    RemovesAllThatBeginsSo: "journal_key_removed",
    AnswersEmptyForNothing: "journal_of_nothing",
    AnswersNothingForEmpty: "journal_written_once",
    ListsFromAfter: "journal_listed",
    ListsTooMany: "journal_listed",
    ListsUnsorted: "journal_listed",
    ListsEverything: "journal_beside_blobs",
    EndsEarly: "journal_listed",
    SilentWhenGone: "journal_cut_off",
    NoneWhenGone: "journal_cut_off",
    ForgetsAtTheEnd: "journal_reopened",
}


class Harness(conformance.Harness):
    def __init__(self, kind):
        self.kind, self.place = kind, MemoryPlace()

    async def open(self):
        return self.kind(self.place)

    async def take_away(self):
        self.place.reachable = False


@pytest.mark.parametrize("kind", CAUGHT)
def test_a_broken_keeper_is_caught(kind):
    failures = conformance.check(lambda: Harness(kind), journal_cases.CASES, patience_seconds=5)
    assert CAUGHT[kind] in failures


def test_one_that_keeps_no_journal_is_skipped():
    class Blobs:
        def __init__(self, place):
            inner = MemoryBlobs(place)
            self.aclose, self.page, self.put = inner.aclose, inner.page, inner.put

    for case in journal_cases.CASES:
        with pytest.raises(conformance.unittest.SkipTest):
            conformance.run(case, Harness(Blobs))
