"""repair gives blobs their bytes back, trusts none it has not hashed, and overwrites nothing that is good."""

from __future__ import annotations

import asyncio

import pytest

from casstore import AsyncStore, Code, Digest, Invalid
from tests.checks.conftest import found_by
from tests.checks.damages import BYTES, SILENT, second

LOSSES = {name: BYTES[name] for name in ("deleted", "emptied", "truncated", "longer", "forgotten_and_deleted")} | {
    "altered": SILENT["altered"]
}


def outcomes(done):
    return [(each.digest, each.outcome) for each in done]


async def read(world, ref="n/0@2"):
    return await (await world.tenant.get(ref)).bytes()


@pytest.mark.parametrize("name", LOSSES)
def test_bytes_come_from_a_file_of_any_name_and_from_no_other(in_world, tmp_path, name):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "same size").write_bytes(b"n/0 secomd")
    (tmp_path / "deep" / "other size").write_bytes(b"n/0")

    async def check(world):
        LOSSES[name](world, 0)
        assert outcomes(await world.store.repair([second(0)], sources=[tmp_path])) == [(second(0), "no_bytes")]
        (tmp_path / "deep" / "z").write_bytes(b"n/0 second")
        (done,) = await world.store.repair([second(0), second(0)], sources=[str(tmp_path)])
        assert (done.outcome, done.source) == ("healed", str(tmp_path))
        assert await read(world) == b"n/0 second"
        assert await found_by(world.store.fsck()) == await found_by(world.store.scrub(share=1)) == set()

    in_world(check, artifacts=1)


@pytest.mark.parametrize("name", LOSSES)
def test_bytes_come_from_the_blobs_of_another_store(in_world, databases, new_blobs, name):
    async def check(world):
        with databases.fresh() as dsn:
            other = new_blobs()
            async with AsyncStore(blobs=other, catalog=dsn) as second_store:
                await second_store.tenant("else").put("where", b"n/0 second")
        LOSSES[name](world, 0)
        (done,) = await world.store.repair([second(0)], sources=[other])
        assert (done.outcome, done.source) == ("healed", other)
        assert await read(world) == b"n/0 second"

    in_world(check, artifacts=1)


def test_altered_bytes_of_another_store_are_not_taken(in_world, databases, new_blobs, places, tmp_path):
    async def check(world):
        with databases.fresh() as dsn:
            other = new_blobs()
            async with AsyncStore(blobs=other, catalog=dsn) as second_store:
                await second_store.tenant("else").put("where", b"n/0 second")
        places.damage(other, second(0), b"n/0 secomd")
        BYTES["deleted"](world, 0)
        assert outcomes(await world.store.repair([second(0)], sources=[other])) == [(second(0), "no_bytes")]
        (tmp_path / "right").write_bytes(b"n/0 second")
        (done,) = await world.store.repair([second(0)], sources=[other, tmp_path / "right"])
        assert done.source == str(tmp_path / "right")

    in_world(check, artifacts=1)


def test_what_is_good_is_left_alone(in_world, tmp_path):
    (tmp_path / "same").write_bytes(b"n/0 second")

    async def check(world):
        before = await world.store._blobs.stat(second(0))
        assert outcomes(await world.store.repair([second(0)], sources=[tmp_path])) == [(second(0), "good")]
        assert await world.store._blobs.stat(second(0)) == before
        BYTES["doubted_for_nothing"](world, 0)
        (done,) = await world.store.repair(sources=[tmp_path])
        assert (done.outcome, done.source) == ("healed", "its own object")
        assert await world.store._blobs.stat(second(0)) == before

    in_world(check, artifacts=1)


@pytest.mark.parametrize("name", ["being_deleted", "doubted_of_its_generation"])
def test_a_generation_that_may_be_on_its_way_out_is_not_relied_on(in_world, name):
    """A delete of it may still arrive: the same bytes are written as another generation."""

    async def check(world):
        before = await world.store._blobs.stat(second(0))
        BYTES[name](world, 0)
        (done,) = await world.store.repair([second(0)])
        assert done.outcome == "healed"
        assert not await world.store._blobs.delete(second(0), generation=before.generation)
        assert await read(world) == b"n/0 second"
        assert await found_by(world.store.fsck()) == set()

    in_world(check, artifacts=1)


def test_without_digests_it_is_all_that_is_doubted(in_world, tmp_path):
    async def check(world):
        for index in range(3):
            (tmp_path / str(index)).write_bytes(f"n/{index} second".encode())
            BYTES["deleted"](world, index)
        assert await world.store.repair(sources=[tmp_path]) == ()
        assert len(await found_by(world.store.fsck(repair=True))) == 3
        done = await world.store.repair(sources=[tmp_path])
        assert sorted(outcomes(done)) == sorted((second(index), "healed") for index in range(3))

    in_world(check, artifacts=3)


def test_what_no_version_needs_is_not_brought_back(in_world, tmp_path):
    (tmp_path / "a").write_bytes(b"nobody's")

    async def check(world):
        digest = Digest.of(b"nobody's")
        assert outcomes(await world.store.repair([digest], sources=[tmp_path])) == [(digest, "unknown")]
        assert await world.store._blobs.stat(digest) is None

    in_world(check, artifacts=0)


def test_repairs_and_puts_of_the_same_bytes_get_along(in_world, tmp_path):
    (tmp_path / "a").write_bytes(b"n/0 second")

    async def check(world):
        for _ in range(10):
            BYTES["deleted"](world, 0)
            repairs = [world.store.repair([second(0)], sources=[tmp_path]) for _ in range(3)]
            puts = [world.tenant.put(f"p/{number}", b"n/0 second", on_same="new_version") for number in range(3)]
            await asyncio.gather(*repairs, *puts)
            assert await read(world) == b"n/0 second"
            assert await found_by(world.store.fsck()) == set()

    in_world(check, artifacts=1)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("nowhere", Code.UNREADABLE_SOURCE),
        ("file:///nowhere/at/all", Code.UNREADABLE_SOURCE),
        ("s3://x", Code.BAD_CONFIG),
    ],
)
def test_a_place_that_is_none_is_refused(in_world, place, code):
    async def check(world):
        with pytest.raises(Invalid) as caught:
            await world.store.repair([second(0)], sources=[place])
        assert caught.value.code is code

    in_world(check, artifacts=1)
