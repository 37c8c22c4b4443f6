"""fsck names what was done to a store, and nothing else; a repair gets over what can be got over."""

from __future__ import annotations

import asyncio
import random
import time
import tracemalloc
from datetime import timedelta
from functools import partial

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, Code, Components, Denied, Digest, Invalid, Store, limits
from casstore.blobs import keys
from casstore.catalog import checking
from casstore.domains import Keyring
from casstore.operations.checking import AsyncFsck
from casstore.operations.defects import CODES
from casstore.urls import folder_of
from tests.checks.conftest import Meddled, fewer_at_a_time, found_by
from tests.checks.damages import ALL, BYTES, CATALOG, LEFTOVERS, SILENT
from tests.support.postgres import uri_of

SOME = st.lists(st.sampled_from(sorted(ALL)), max_size=4)
pytestmark = pytest.mark.slow


def do(world, names):
    """Damage artifact after artifact; what fsck has to tell, and what only reading tells."""
    told, silent = set(), set()
    for index, name in enumerate(names):
        (silent if name in SILENT and not world.tells_checksums else told).update(ALL[name](world, index))
    return told, silent


async def readable(world, but=()):
    for ref, data in world.contents.items():
        if ref not in but:
            assert await (await world.tenant.get(ref)).bytes() == data


@pytest.mark.parametrize("name", [None, *ALL])
def test_it_names_each_damage_and_nothing_else(in_world, name):
    async def check(world):
        told, _ = do(world, [name] if name else [])
        for _ in range(2):  # looking changes nothing
            assert await found_by(world.store.fsck()) == told

    in_world(check)


@given(SOME)
@settings(max_examples=15)
def test_it_names_several_and_nothing_else(in_world, names):
    async def check(world):
        told, _ = do(world, names)
        assert await found_by(world.store.fsck()) == told

    in_world(check, artifacts=4)


@given(st.lists(st.sampled_from(sorted(BYTES | LEFTOVERS | SILENT)), max_size=4), st.booleans())
@settings(max_examples=12)
def test_after_a_repair_all_is_well_where_the_bytes_can_be_had(in_world, tmp_path_factory, names, scrubs):
    backup = tmp_path_factory.mktemp("backup")

    async def check(world):
        for number, data in enumerate(world.contents.values()):
            (backup / f"{number}.bin").write_bytes(data)
        told, silent = do(world, names)
        assert await found_by(world.store.fsck(repair=True)) == told
        if scrubs or silent:
            found = await found_by(world.store.scrub(share=1))
            assert {where for _, where in silent} <= {where for _, where in found}
        done = await world.store.repair(sources=[backup])
        assert {each.outcome for each in done} <= {"healed"}
        left = {found for found in told if found[0] in ("upload_expired", "delete_stuck")}
        assert await found_by(world.store.fsck()) == left
        assert await found_by(world.store.scrub(share=1)) == set()
        await readable(world)
        await world.store.collect(full=True, orphans=True, quarantine=timedelta())
        await world.store.collect(full=True, orphans=True, quarantine=timedelta())
        assert await found_by(world.store.fsck()) == set()
        await readable(world)

    in_world(check, artifacts=4)


@pytest.mark.parametrize("name", CATALOG)
def test_a_repair_leaves_alone_what_it_cannot_know(in_world, name):
    async def check(world):
        told, _ = do(world, [name])
        check = world.store.fsck(repair=True)
        assert await found_by(check) == told
        assert check.summary.mended == 0
        assert await found_by(world.store.fsck()) == told

    in_world(check, artifacts=1)


@pytest.mark.parametrize("name", BYTES)
def test_it_says_what_it_has_mended(in_world, name):
    async def check(world):
        do(world, [name])
        (first,) = [defect async for defect in world.store.fsck(repair=True)]
        again = [defect async for defect in world.store.fsck()]
        assert first.mended == (not again)
        assert bool(first.hint) == bool(again)

    in_world(check, artifacts=1)


def test_a_repair_reads_before_it_believes(in_world):
    """The ledger is not made to say what altered bytes look like."""

    async def check(world):
        digest = Digest.of(b"n/0 second")
        world.places.damage(world.url, digest, b"n/0 third!")
        world.sql("update casstore.blobs set state = 'c', size_bytes = 10 where digest = %s", bytes(digest))
        (first,) = [defect async for defect in world.store.fsck(repair=True)]
        assert (first.digest, first.mended, first.severity) == (digest, False, "loss")
        assert first.uses == ("cas://acme/n/0@2#main",)
        assert first.use_count == 1

    in_world(check, artifacts=1)


def test_what_versions_share_is_told_with_all_of_them(in_world, monkeypatch):
    monkeypatch.setattr(limits, "CHECK_USES", 2)

    async def check(world):
        digest = await world.put("shared/a", b"shared")
        await world.store.tenant("other").put("shared/b", Components(x=b"shared", y=b"shared"))
        world.places.damage(world.url, digest, None)
        (first,) = [defect async for defect in world.store.fsck()]
        assert first.uses == ("cas://acme/shared/a@1#main", "cas://other/shared/b@1#x")
        assert first.use_count == 3

    in_world(check, artifacts=1)


def test_what_nobody_needs_is_no_loss(in_world):
    async def check(world):
        for name in ("deleted_that_nobody_needs", "added"):
            BYTES[name](world, 0)
        severities = {defect.code: defect.severity async for defect in world.store.fsck()}
        assert severities == {"object_missing": "wrong", "object_orphaned": "waste"}

    in_world(check, artifacts=1)


# -- interruptions and memory ----------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process died."""


@given(st.lists(st.sampled_from(sorted(ALL)), min_size=2, max_size=4), st.integers(1, 12))
@settings(max_examples=10)
def test_it_goes_on_where_it_was(in_world, names, every):
    async def check(world):
        told, _ = do(world, names)
        found, cursor, runs = set(), None, 0
        with pytest.MonkeyPatch.context() as patch, fewer_at_a_time(patch):
            while runs == 0 or cursor:
                runs += 1
                kept, steps = [cursor], iter(range(1, every))

                def die_later(summary, kept=kept, steps=steps):
                    kept.append(summary.cursor)
                    if next(steps, None) is None:
                        raise Killed

                try:
                    async for defect in world.store.fsck(cursor=cursor, progress=die_later):
                        found.add((defect.code, defect.where))
                except Killed:
                    pass
                assert kept[-1] != cursor, "it gets on"
                cursor = kept[-1]
        assert found == told
        assert runs > 1

    in_world(check, artifacts=4)


@pytest.mark.parametrize("cursor", ["", "x", "gA", "kaVibG9icw", "k6VibG9ic8A", "kqRsb2dzAQ"])
def test_a_cursor_of_something_else_is_refused(in_world, cursor):
    async def check(world):
        with pytest.raises(Invalid) as caught:
            world.store.fsck(cursor=cursor)
        assert caught.value.code is Code.BAD_CURSOR

    in_world(check, artifacts=0)


def test_pages_of_any_size_tell_the_same(in_world, monkeypatch):
    async def check(world):
        told, _ = do(world, ["deleted", "added", "truncated", "condemned"])
        for size in (1, 2, 3, 5, 7, 1000):
            with fewer_at_a_time(monkeypatch, CHECK_PAGE=size, CHECK_LOG_ARTIFACTS=size):
                check = world.store.fsck()
                assert await found_by(check) == told
                seen = check.summary.model_dump(exclude={"cursor", "defects", "mended"})
                assert seen == {"objects": 16, "blobs": 16, "artifacts": 8, "versions": 16, "requests": 4}

    in_world(check, artifacts=4)


def test_memory_does_not_grow_with_the_store(in_world, monkeypatch):
    monkeypatch.setattr(limits, "CHECK_PAGE", 500)

    async def peak(world):
        tracemalloc.start()
        try:
            assert await found_by(world.store.fsck()) == set()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    async def check(world):
        folder = folder_of(world.url, "file") or pytest.skip("about a folder of blobs")
        peaks = []
        for number in range(12_000):
            digest = Digest.of(str(number).encode())
            path = folder / keys.key_of(digest)
            path.write_bytes(str(number).encode())
            if number in (2_000, 11_999):
                with psycopg.connect(world.dsn) as connection, connection.cursor() as cursor:
                    for path in (folder / keys.PREFIX).iterdir():
                        if len(path.name) == 64:
                            cursor.execute(
                                "insert into casstore.blobs (digest, size_bytes, crc32c, state, generation)"
                                " values (%s, %s, 1, 'l', %s) on conflict do nothing",
                                (bytes.fromhex(path.name), path.stat().st_size, path.stat().st_mtime_ns),
                            )
                peaks.append(await peak(world))
        assert peaks[1] < 1.5 * peaks[0] + 500_000, peaks

    in_world(check, artifacts=0)


# -- while others work -----------------------------------------------------------------------------------------------------


def test_a_busy_store_has_no_defects(in_world):
    """Writers that share bytes, delete and purge; a collector without patience; and checks all the time."""

    async def check(world):
        until = time.monotonic() + 6
        checked = AsyncStore(blobs=world.url, catalog=world.dsn)
        checked._catalog, checked._blobs = world.store._catalog, Meddled(world, listed_late=0.05)

        async def write(seed):
            chance, tenant = random.Random(seed), world.store.tenant(f"t{seed % 2}")
            while time.monotonic() < until:
                name = f"busy/{chance.randrange(4)}"
                stored = await tenant.put(name, f"content {chance.randrange(300)}".encode(), on_same="new_version")
                if chance.random() < 0.5:
                    await tenant.delete(stored.ref, by="me")
                    await tenant.purge(stored.ref, by="me")

        async def collect():
            while time.monotonic() < until:
                await world.store.collect(full=True, orphans=True, quarantine=timedelta())

        async def watch(check):
            while time.monotonic() < until:
                assert not [defect async for defect in check()]

        scrub = partial(world.store.scrub, share=1)
        await asyncio.gather(*map(write, range(4)), collect(), watch(checked.fsck), watch(scrub))
        assert checked._blobs.looks, "there were suspects"

    in_world(check, artifacts=1)


def test_a_blob_that_is_collected_while_it_is_looked_at_is_no_defect(in_world):
    async def check(world):
        digest = Digest.of(b"n/0 purged")

        async def collect(suspect):
            if suspect == digest:
                for _ in range(2):
                    await world.store.collect(full=True, quarantine=timedelta())

        meddled = Meddled(world, hidden=digest, before_stat=collect)
        check = AsyncFsck(world.store._catalog, meddled, Keyring(), repair=False, cursor=None, progress=None)
        assert await found_by(check) == set()
        assert meddled.looks == 2
        assert await world.store._blobs.stat(digest) is None

    in_world(check, artifacts=1)


def test_what_agrees_is_not_looked_at_again(in_world, monkeypatch):
    async def check(world):
        world.sql(  # uploads under way: the two listings are not of one length
            "insert into casstore.blobs (digest, size_bytes, crc32c, lease_until)"
            " select sha256(convert_to(n::text, 'UTF8')), 1, 1, now() + interval '1 hour' from generate_series(1, 20) n"
        )
        for size in (1, 2, 3, 1000):
            with fewer_at_a_time(monkeypatch, CHECK_PAGE=size):
                meddled = Meddled(world)
                assert (
                    await found_by(
                        AsyncFsck(world.store._catalog, meddled, Keyring(), repair=False, cursor=None, progress=None)
                    )
                    == set()
                )
                assert meddled.looks == 0

    in_world(check)


def test_an_orphan_is_handed_to_the_collector_unread(in_world):
    async def check(world):
        ((_, where),) = BYTES["added"](world, 0)
        assert [defect.mended async for defect in world.store.fsck(repair=True)] == [True]
        row = await checking.blob(world.store._catalog, Digest.parse(where))
        assert (row.state, row.generation) == ("p", None)
        assert (await world.store.collect(quarantine=timedelta())).condemned_bytes == len(b"orphan 0")

    in_world(check, artifacts=0)


def test_the_catalog_believes_in_no_generation_that_may_be_on_its_way_out(in_world):
    async def check(world):
        digest = Digest.of(b"n/0 second")
        good = await checking.blob(world.store._catalog, digest)
        for name in ("doubted_of_its_generation", "being_deleted"):
            BYTES[name](world, 0)
            row = await checking.blob(world.store._catalog, digest)
            assert not await checking.trust(world.store._catalog, row, good.size_bytes, good.crc32c, good.generation)
            assert await world.store.repair([digest])
            good = await checking.blob(world.store._catalog, digest)
        stale = good._replace(incarnation=good.incarnation - 1)
        assert not await checking.trust(world.store._catalog, stale, 1, 1, 1)
        assert not await checking.distrust(world.store._catalog, stale, None)

    in_world(check, artifacts=1)


# -- who may ---------------------------------------------------------------------------------------------------------------


def test_a_service_may_not_and_is_told_who_may(in_world, databases):
    async def check(world):
        with psycopg.connect(world.dsn, autocommit=True) as connection:
            exists = connection.execute("select from pg_roles where rolname = 'casstore_check_app'").rowcount
            if not exists:
                connection.execute("create role casstore_check_app login in role casstore_app")
        async with AsyncStore(blobs=world.url, catalog=uri_of(world.dsn, user="casstore_check_app")) as app:
            for work in (app.fsck(), app.scrub()):
                with pytest.raises(Denied) as caught:
                    await found_by(work)
                assert "owns the schema" in caught.value.hint
            with pytest.raises(Denied):
                await app.repair()

    in_world(check, artifacts=0)


def test_blocking_code_has_it_too(in_world):
    async def check(world):
        told, _ = do(world, ["deleted", "head_ahead"])

        def blocking():
            with Store(blobs=world.url, catalog=world.dsn) as store:
                check = store.fsck()
                assert {(defect.code, defect.where) for defect in check} == told
                assert check.summary.defects == 2
                assert [each.outcome for each in store.repair([Digest.of(b"n/0 second")])] == ["no_bytes"]
                assert len(list(store.scrub(share=1))) == 1

        await asyncio.to_thread(blocking)

    in_world(check, artifacts=2)


def test_every_code_is_seen_here():
    """A code without a damage that leads to it would be a promise nobody has tried."""

    class Anything:
        tells_checksums = True
        url = ""

        def sql(self, *_, **__):
            pass

        def bytes_of(self, _):
            return b"x"

        @property
        def places(self):
            return self

        damage = plant = sql

    seen = {code for damage in ALL.values() for code, _ in damage(Anything(), 0)}
    assert seen == set(CODES) - {"domain_wrong"}  # which tests/domains sees
