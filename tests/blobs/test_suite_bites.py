"""The conformance suite has teeth: each of these stores breaks one promise, and the case that is named catches it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from casstore.blobs import Object, keys
from casstore.errors import Code, Corrupt, Invalid, Unavailable
from casstore.model import Digest
from casstore.testing import conformance, life_cases, put_cases
from casstore.testing.memory import MemoryBlobs, MemoryPlace


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


class OverwritesWhatIsThere(MemoryBlobs):
    async def put(self, staged, *, dead=None):
        data = await self._copy(staged)
        return Object(staged.digest, len(data), self.place.write(keys.key_of(staged.digest), data))


class LastWriterWins(MemoryBlobs):
    """Looks before it writes, but not in one step."""

    async def put(self, staged, *, dead=None):
        existing = await self.stat(staged.digest)
        if existing and (existing.generation != dead or existing.size_bytes != staged.size_bytes):
            return await super().put(staged, dead=dead)
        data = await self._copy(staged)
        await asyncio.sleep(0)
        return Object(staged.digest, len(data), self.place.write(keys.key_of(staged.digest), data))


class StoresNothing(MemoryBlobs):
    async def put(self, staged, *, dead=None):
        await self._yield()
        return Object(staged.digest, staged.size_bytes, next(self.place.generations))


class StoresOnError(MemoryBlobs):
    async def put(self, staged, *, dead=None):
        try:
            return await super().put(staged, dead=dead)
        except Invalid:
            self.place.write(keys.key_of(staged.digest), b"half")
            raise


class TakesChangedSources(MemoryBlobs):
    async def _copy(self, staged):
        with staged.open() as source:
            return source.read()


class StoresChangedSourcesUnderTheirOwnKey(MemoryBlobs):
    async def put(self, staged, *, dead=None):
        try:
            return await super().put(staged, dead=dead)
        except Invalid as error:
            if error.code is Code.SOURCE_CHANGED:
                with staged.open() as source:
                    data = source.read()
                self.place.write(keys.key_of(Digest.of(data)), data)
            raise


class VisibleBeforeComplete(MemoryBlobs):
    async def _copy(self, staged):
        key = keys.key_of(staged.digest)
        if key in self.place.objects:
            return await super()._copy(staged)
        self.place.write(key, b"")
        try:
            return await super()._copy(staged)
        finally:
            self.place.objects.pop(key, None)


class ListedBeforeComplete(MemoryBlobs):
    """What is being written has a name of its own, which `page` takes for a blob."""

    async def _copy(self, staged):
        key = keys.PREFIX + "f" * 64
        self.place.write(key, b"")
        try:
            return await super()._copy(staged)
        finally:
            self.place.objects.pop(key, None)


class IgnoresDead(MemoryBlobs):
    async def put(self, staged, *, dead=None):
        return await super().put(staged)


class ReplacesWhateverIsThere(MemoryBlobs):
    """Takes `dead` for permission to overwrite, whatever generation it names."""

    async def put(self, staged, *, dead=None):
        existing = self._find(staged.digest)
        return await super().put(staged, dead=existing.generation if existing and dead is not None else dead)


class AdoptsWrongSizes(MemoryBlobs):
    async def put(self, staged, *, dead=None):
        existing = await self.stat(staged.digest)
        if existing and existing.size_bytes != staged.size_bytes and existing.generation != dead:
            return replace(existing, size_bytes=staged.size_bytes)
        return await super().put(staged, dead=dead)


class AltersWithoutAGeneration(MemoryBlobs):
    async def put(self, staged, *, dead=None):
        try:
            return await super().put(staged, dead=dead)
        except Corrupt as error:
            error.fields.clear()
            raise


class LiesAboutSizes(MemoryBlobs):
    async def stat(self, digest):
        found = await super().stat(digest)
        return found and replace(found, size_bytes=found.size_bytes + 1)


class ReusesGenerations(MemoryBlobs):
    def __init__(self, place):
        super().__init__(place)
        place.generations = iter(lambda: 7, None)


class LeaksOSError(MemoryBlobs):
    async def _yield(self):
        try:
            await super()._yield()
        except Unavailable as error:
            raise ConnectionError("no route to host") from error


class LostPlaceLooksEmpty(MemoryBlobs):
    async def stat(self, digest):
        try:
            return await super().stat(digest)
        except Unavailable:
            return None


class SourceErrorsLookLikeOurs(MemoryBlobs):
    async def _copy(self, staged):
        try:
            return await super()._copy(staged)
        except Invalid as error:
            if error.code is Code.UNREADABLE_SOURCE:
                raise Unavailable(Code.BLOBS_UNAVAILABLE, "cannot read or write") from error
            raise


class CannotHoldTheEmpty(MemoryBlobs):
    def _find(self, digest):
        found = super()._find(digest)
        return found if found and found.size_bytes else None


class LosesTheLastPiece(MemoryBlobs):
    """Copies whole chunks only, and checks the digest of what it read instead of what it wrote."""

    async def _copy(self, staged):
        data = await super()._copy(staged)
        return data[: len(data) // 2**18 * 2**18] if len(data) > 2**18 else data


class ForgetsOnClose(MemoryBlobs):
    async def aclose(self):
        await super().aclose()
        self.place.objects.clear()


class WorksAfterClose(MemoryBlobs):
    async def aclose(self):
        pass


class CannotCloseTwice(MemoryBlobs):
    async def aclose(self):
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        await super().aclose()


class LeavesCancelledPutsBehind(MemoryBlobs):
    """What a cancelled put has written stays under the key."""

    async def _copy(self, staged):
        with staged.open() as source:
            beginning = source.read(2**18)
        try:
            return await super()._copy(staged)
        except asyncio.CancelledError:
            self.place.write(keys.key_of(staged.digest), beginning)
            raise


BROKEN = [
    (OverwritesWhatIsThere, "put_again"),
    (OverwritesWhatIsThere, "put_never_overwrites"),
    (LastWriterWins, "put_concurrently"),
    (LastWriterWins, "put_dead_concurrently"),
    (StoresNothing, "put_small"),
    (StoresOnError, "put_changed_source"),
    (StoresOnError, "put_vanished_source"),
    (StoresOnError, "put_failing_source"),
    (TakesChangedSources, "put_changed_source"),
    (TakesChangedSources, "put_changed_source_of_the_dead"),
    (StoresChangedSourcesUnderTheirOwnKey, "put_changed_source"),
    (VisibleBeforeComplete, "put_is_invisible_until_complete"),
    (ListedBeforeComplete, "put_is_invisible_until_complete"),
    (IgnoresDead, "put_replaces_the_dead"),
    (ReplacesWhateverIsThere, "put_leaves_the_living"),
    (AdoptsWrongSizes, "put_meets_wrong_size"),
    (AltersWithoutAGeneration, "put_meets_wrong_size"),
    (LiesAboutSizes, "put_small"),
    (ReusesGenerations, "put_replaces_the_dead"),
    (LeaksOSError, "cut_off"),
    (LostPlaceLooksEmpty, "cut_off"),
    (SourceErrorsLookLikeOurs, "put_failing_source"),
    (CannotHoldTheEmpty, "put_empty"),
    (LosesTheLastPiece, "put_chunk_boundaries"),
    (ForgetsOnClose, "reopened"),
    (WorksAfterClose, "closed"),
    (CannotCloseTwice, "closed"),
    (LeavesCancelledPutsBehind, "put_cancelled"),
]


def test_the_good_store_passes_every_case():
    assert conformance.check(harness_of(MemoryBlobs)) == {}


@pytest.mark.parametrize(("kind", "name"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_the_broken_store_is_caught(kind, name):
    case = next(case for case in conformance.CASES if case.name == name)
    failures = conformance.check(harness_of(kind), [case], patience_seconds=5)
    assert name in failures
    assert not isinstance(failures[name], (NameError, AttributeError, TypeError))  # broken as meant, not by a slip


def test_a_store_that_hangs_is_caught():
    class Hangs(MemoryBlobs):
        async def stat(self, digest):
            await asyncio.Event().wait()

    cases = [case for case in conformance.CASES if case.name == "put_small"]
    failures = conformance.check(harness_of(Hangs), cases, patience_seconds=0.1)
    assert "no answer" in str(failures["put_small"])


def test_every_case_catches_something():
    """A case that no broken store fails may be checking nothing."""
    unproven = {case.name for case in (*put_cases.CASES, *life_cases.CASES)} - {name for _, name in BROKEN}
    for kind in (*dict.fromkeys(kind for kind, _ in BROKEN),):
        cases = [case for case in conformance.CASES if case.name in unproven]
        unproven -= set(conformance.check(harness_of(kind), cases, patience_seconds=5))
    assert unproven == set()
