"""Erasing one content: no version of the tenant has it any more and all else is as it was; what is told before is what happens."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, CasstoreError, Code, Components, Conflict, ContentReceipt, Digest, Invalid, NotFound
from casstore.testing.audit import audit
from casstore.testing.faults import Faults, SimulatedCrash, faulty_store
from tests.operations.failing import fails

SECRET = b"the secret"


@pytest.fixture
def one(store):
    return store.tenant("one")


async def digest(tenant, data=SECRET):
    return await tenant.digest_of(data)


async def test_the_version_stays_and_the_content_is_gone(store, one):
    made = await one.put("a", Components(x=SECRET, y=b"kept"), title="t", labels={"k": "v"})
    alone = await one.put("b", SECRET)
    await one.alias("b", "prod")
    await one.put("c", b"made", sources=["b@1"])
    receipt = await one.erase_content(await digest(one), by="dpo", reason="case 17")
    left = await one.resolve("a@1")
    same = ("id", "name", "number", "title", "labels", "digest", "created_at", "state")
    assert [getattr(left, each) for each in same] == [getattr(made, each) for each in same]
    assert (left.roles, left.erased) == (("y",), ("x",))
    artifact = await one.get("a")
    assert await artifact["y"].bytes() == b"kept"
    for ref in ("a@1#x", "b@1", "b@prod", "b"):
        with fails(NotFound, Code.CONTENT_ERASED):
            await (await one.get(ref)).bytes()
    with fails(NotFound, Code.CONTENT_ERASED):
        await one.diff("a", "b")
    with fails(Invalid, Code.BAD_COMPONENTS):  # it was two, and the one that is left is not all of it
        await artifact.bytes()
    assert [each.ref for each in await one.history("b")] == ["b@1"]
    assert [(n.version.ref, n.depth) for n in await one.lineage("c")] == [("c@1", 0), ("b@1", 1)]
    assert list(await one.where_used(await digest(one))) == []
    assert (receipt.versions, receipt.copies, receipt.size_bytes) == (("a@1", "b@1"), 2, len(SECRET))
    told = [(each.ref, each.by, each.reason, each.after) for each in await one.operations(limit=2)]
    assert told == [("b@1", "dpo", "case 17", "erased"), ("a@1", "dpo", "case 17", "erased")]
    assert ([each async for each in store.fsck()], await audit(store)) == ([], [])
    assert alone.number == 1


async def test_the_same_bytes_may_be_put_again_and_erased_again(one):
    await one.put("a", SECRET)
    first = await one.erase_content(await digest(one), by="dpo")
    assert await one.erase_content(await digest(one), by="somebody else", reason="again") == first
    again = await one.put("a", SECRET)
    assert (again.number, again.reused, again.new_bytes) == (2, False, len(SECRET))
    assert await (await one.get("a")).bytes() == SECRET
    with fails(NotFound, Code.CONTENT_ERASED):
        await (await one.get("a@1")).bytes()
    assert (await one.put("a", SECRET)).reused
    second = await one.erase_content(await digest(one), by="dpo")
    assert (second.versions, second.hash, second.erased_at > first.erased_at) == (("a@1", "a@2"), first.hash, True)


async def test_on_same_error_does_not_refuse_what_was_erased(one):
    await one.put("a", SECRET)
    with fails(Conflict, Code.SAME_CONTENT):
        await one.put("a", SECRET, on_same="error")
    await one.erase_content(await digest(one), by="dpo")
    assert (await one.put("a", SECRET, on_same="error")).number == 2


async def test_a_hold_on_any_version_keeps_all(one):
    for name in ("a", "b"):
        await one.put(name, SECRET)
    for target in ("b@1", "b", None):
        await one.hold(target, "case", by="legal")
        impact = await one.explain("erase_content", str(await digest(one)))
        assert (impact.holds, impact.blockers, impact.versions) == (("case",), 1, ("a@1", "b@1"))
        with fails(Conflict, Code.STILL_USED) as caught:
            await one.erase_content(await digest(one), by="dpo")
        assert caught.value.fields["holds"] == ["case"]
        assert await (await one.get("a")).bytes() == await (await one.get("b")).bytes() == SECRET
        await one.release(target, "case", by="legal")
    await one.put("c", b"other")
    await one.hold("c@1", "case", by="legal")  # which does not have it
    await one.erase_content(await digest(one), by="dpo")


async def test_what_is_another_tenants_is_not_there_and_not_touched(store, one):
    other = store.tenant("other")
    await other.put("a", SECRET)
    await one.put("a", b"mine")
    for call in (one.erase_content(await digest(one), by="dpo"), one.explain("erase_content", str(await digest(one)))):
        with fails(NotFound, Code.CONTENT_NOT_FOUND):
            await call
    await one.put("a", SECRET)
    receipt = await one.erase_content(await digest(one), by="dpo")
    assert receipt.may_be_shared
    for _ in range(2):
        await store.collect(quarantine=timedelta())
    assert await (await other.get("a")).bytes() == SECRET


async def test_in_a_domain_of_its_own_the_bytes_are_nobody_elses(store, one):
    await store.set_domain("two", "vault", by="ops")
    two = store.tenant("two")
    await one.put("a", SECRET)
    await two.put("a", SECRET)
    receipt = await two.erase_content(await digest(two), by="dpo")
    assert not receipt.may_be_shared
    assert receipt.is_of(await digest(two))
    assert not receipt.is_of(await digest(one))
    for _ in range(2):
        await store.collect(quarantine=timedelta())
    assert await (await one.get("a")).bytes() == SECRET
    (left,) = await store._blobs.page()
    assert left.digest == await digest(one)


async def test_the_receipt_is_all_that_can_tell(one):
    await one.put("a", SECRET)
    receipt = await one.erase_content(await digest(one), by="dpo", reason="why", backups=timedelta(days=90))
    receipt = ContentReceipt.model_validate_json(receipt.model_dump_json())
    assert receipt.is_of(await digest(one))
    assert not receipt.is_of(Digest.of(b"another"))
    assert receipt.gone_at == receipt.erased_at + timedelta(days=90)
    assert (receipt.by, receipt.reason, receipt.soft_delete) == ("dpo", "why", timedelta())
    assert (await digest(one)).hex() not in receipt.model_dump_json()
    for wrong in (
        {"by": ""},
        {"by": "x", "backups": 3},
        {"by": "x", "backups": timedelta(days=-1)},
        {"by": "x", "backups": timedelta.max},
    ):
        with pytest.raises(Invalid):
            await one.erase_content(await digest(one), **wrong)
    with fails(Invalid, Code.BAD_DIGEST):
        await one.erase_content("b3:12", by="dpo")


def texts(databases, dsn):
    """All text of all tables, the ledger's and the collector's apart."""
    with psycopg.connect(databases.direct(dsn)) as connection:
        tables = connection.execute(
            "select relname from pg_class where relnamespace = 'casstore'::regnamespace and relkind = 'r'"
        ).fetchall()
        return {
            table: "\n".join(row for (row,) in connection.execute(f"select x::text from casstore.{table} x").fetchall())
            for (table,) in tables
        }


@pytest.mark.parametrize("exported", ["before", "after"])
async def test_the_plain_digest_is_nowhere(store, one, databases, store_urls, exported):
    await one.put("a", Components(x=SECRET, y=b"kept"))
    meant = await digest(one)
    if exported == "before":
        await store.export_journal()
    await one.erase_content(meant, by="dpo")
    await store.export_journal()
    found = {table for table, text in texts(databases, store_urls.catalog).items() if meant.hex() in text}
    assert found <= {"blobs", "dereferenced"}
    for _ in range(2):
        await store.collect(quarantine=timedelta())
    assert not {table for table, text in texts(databases, store_urls.catalog).items() if meant.hex() in text}
    for path in (store_urls.folder / "artifacts").rglob("*"):
        if path.is_file():
            assert path.name != meant.hex()
            assert bytes(meant) not in path.read_bytes()
            assert meant.hex().encode() not in path.read_bytes()
    assert (await store.verify_journal()).faults == ()


# -- the law -----------------------------------------------------------------------------------------------------------------

NAMES, TENANTS, CONTENTS = ("a", "b"), ("one", "two"), (b"0", b"1", b"2")
WHO, NAME, WHAT = st.sampled_from(TENANTS), st.sampled_from(NAMES), st.sampled_from(CONTENTS)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), WHO, NAME, st.tuples(WHAT, WHAT)),
        st.tuples(st.just("put"), WHO, NAME, st.tuples(WHAT)),
        st.tuples(st.sampled_from(["erase", "erase"]), WHO, st.none(), WHAT),
        st.tuples(st.sampled_from(["delete", "undelete", "purge", "hold", "release"]), WHO, NAME, st.none()),
        st.tuples(st.sampled_from(["export", "collect"]), WHO, st.none(), st.none()),
    ),
    min_size=3,
    max_size=12,
)


NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # an example takes seconds


class Made:
    """A version as it has to be."""

    def __init__(self, contents):
        self.parts = dict(zip("xy", contents, strict=False))
        self.erased, self.is_gone, self.is_purged = set(), False, False

    def with_content(self, data):
        return {role for role, each in self.parts.items() if each == data and not self.is_purged} - self.erased


class World:
    """What two tenants have, and the steps that change it in a store and in the model."""

    def __init__(self, store):
        self.store = store
        self.made = {(who, name): [] for who in TENANTS for name in NAMES}
        self.held = set()

    async def step(self, what, who, name, data):
        tenant = self.store.tenant(who)
        if what == "export":
            await self.store.export_journal()
        elif what == "collect":
            await self.store.collect(quarantine=timedelta())
        elif what == "erase":
            await self.erase(tenant, data)
        elif what == "put":
            await self.put(tenant, name, data)
        else:
            await self.keep_or_let_go(tenant, what, name)

    async def put(self, tenant, name, data):
        versions = self.made[tenant.name, name]
        live = [each for each in versions if not each.is_gone]
        stored = await tenant.put(name, Components(**dict(zip("xy", data, strict=False))))
        same = bool(live) and not live[-1].erased and list(live[-1].parts.values()) == list(data)
        assert stored.reused == same
        if not same:
            versions.append(Made(data))
            assert stored.number == len(versions)

    async def erase(self, tenant, data):
        meant = await tenant.digest_of(data)
        having = [
            f"{name}@{number}"
            for name in NAMES
            for number, each in enumerate(self.made[tenant.name, name], 1)
            if each.with_content(data)
        ]
        holds = any((tenant.name, ref.split("@")[0]) in self.held for ref in having)
        before = [
            each for name in NAMES for each in self.made[tenant.name, name] if data in map(each.parts.get, each.erased)
        ]
        if not having and not before:
            with fails(NotFound, Code.CONTENT_NOT_FOUND):
                await tenant.explain("erase_content", str(meant))
            with fails(NotFound, Code.CONTENT_NOT_FOUND):
                await tenant.erase_content(meant, by="dpo")
            return
        impact = await tenant.explain("erase_content", str(meant))
        assert (list(impact.versions), bool(impact.holds)) == (having, holds)
        assert (impact.frees_blobs, impact.frees_bytes) == ((1, len(data)) if having else (0, 0))
        if holds:
            with fails(Conflict, Code.STILL_USED):
                await tenant.erase_content(meant, by="dpo")
            return
        usage = await tenant.usage()
        receipt = await tenant.erase_content(meant, by="dpo")
        assert set(having) <= set(receipt.versions)
        assert usage.stored_bytes - (await tenant.usage()).stored_bytes == impact.frees_bytes
        for name in NAMES:
            for each in self.made[tenant.name, name]:
                each.erased |= each.with_content(data)

    async def keep_or_let_go(self, tenant, what, name):
        versions = self.made[tenant.name, name]
        if not versions:
            return
        if what in ("hold", "release"):
            with suppress(NotFound):
                await getattr(tenant, what)(name, "case", by="legal")
            (self.held.add if what == "hold" else self.held.discard)((tenant.name, name))
            return
        with suppress(CasstoreError):
            await getattr(tenant, f"{what}_artifact")(name, by="me")
            for each in versions:
                if what == "purge":
                    each.is_purged |= each.is_gone
                elif not each.is_purged:
                    each.is_gone = what == "delete"

    async def check(self, store):
        for (who, name), versions in self.made.items():
            for number, each in enumerate(versions, 1):
                if not each.is_gone:
                    await self.check_version(store.tenant(who), f"{name}@{number}", each)

    async def check_version(self, tenant, ref, made):
        artifact = await tenant.get(ref)
        assert (set(artifact.version.erased), set(artifact.version.roles)) == (
            made.erased,
            set(made.parts) - made.erased,
        )
        for role, data in made.parts.items():
            if role in made.erased:
                with fails(NotFound, Code.CONTENT_ERASED):
                    _ = artifact[role]
            else:
                assert await artifact[role].bytes() == data


@pytest.mark.slow
@settings(max_examples=5, deadline=None, phases=NO_SHRINKING, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_any_order_of_putting_keeping_and_erasing(databases, new_blobs, steps):
    async def main(blobs, catalog, fresh):
        async with AsyncStore(blobs=blobs, catalog=catalog) as store:
            world = World(store)
            for step in steps:
                await world.step(*step)
            await world.check(store)
            await store.export_journal()
            assert (await store.verify_journal()).faults == ()
            assert ([each async for each in store.fsck()], await audit(store)) == ([], [])
            for _ in range(2):
                await store.collect(quarantine=timedelta())
            now = await store.catalog_digest()
        again = AsyncStore(blobs=blobs, catalog=fresh)
        if now.rows["log"]:
            await again.rebuild()
            async with again:
                assert await again.catalog_digest() == now
                assert (await again.verify_journal()).faults == ()
                await world.check(again)

    with databases.fresh() as catalog, databases.fresh() as fresh:
        with psycopg.connect(databases.direct(fresh)) as connection:
            connection.execute("update casstore.store set identity = gen_random_uuid()")
        asyncio.run(main(new_blobs(), catalog, fresh))


# -- a crash, and what comes at the same time ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["crash_at", "lose_at"])
async def test_it_is_done_or_nothing_is_wherever_it_dies(store, store_urls, one, fault):
    meant = await digest(one)
    for at in range(1, 30):
        for name in ("x", "y"):
            await one.put(f"{at:02}/{name}", Components(x=SECRET, y=b"kept"))
        faults = Faults(**{fault: at})
        async with faulty_store(faults, blobs=store_urls.blobs, catalog=store_urls.catalog) as dying:
            with suppress(SimulatedCrash, CasstoreError):
                await dying.tenant("one").erase_content(meant, by="dpo")
        erased = {bool(version.erased) for version in await one.list(name_prefix=f"{at:02}/")}
        assert len(erased) == 1, "some of it was erased"
        assert ([each async for each in store.fsck()], await audit(store)) == ([], [])
        receipt = await one.erase_content(meant, by="dpo")  # again does no harm
        assert len(receipt.versions) == 2 * at
        if len(faults.points if fault == "crash_at" else faults.effects) < at:
            break
    assert at > 2
    await store.export_journal()
    assert (await store.verify_journal()).faults == ()


@pytest.mark.parametrize("is_locked", [True, False])
async def test_a_put_that_would_reuse_what_is_being_erased_makes_a_version_of_its_own(
    store, store_urls, databases, one, is_locked
):
    """With the locks taken out, its answer would be a version that nobody can read."""
    await one.put("a", SECRET)
    dsn, meant = databases.direct(store_urls.catalog), await digest(one)
    with psycopg.connect(dsn, autocommit=True) as connection:
        if not is_locked:
            connection.execute(
                "create or replace function casstore.lock_content(p_tenant int, p_digest bytea) returns void"
                " language plpgsql volatile set search_path = pg_catalog, pg_temp as $$ begin end $$"
            )
    erase = f"select * from casstore.erase_content('one', decode('{meant.hex()}', 'hex'), sha256('x'), 'dpo', null)"
    loop = asyncio.get_running_loop()
    with psycopg.connect(dsn) as first:
        first.execute(erase)
        putting = asyncio.ensure_future(one.put("a", SECRET))
        while is_locked and not putting.done():
            waiting = await loop.run_in_executor(None, _anybody_waits, dsn)
            if waiting:
                break
        if not is_locked:
            await asyncio.wait([putting])
        first.commit()
    stored = await putting
    assert stored.reused is not is_locked
    if is_locked:
        assert await (await one.get(stored.ref)).bytes() == SECRET
    else:
        with fails(NotFound, Code.CONTENT_ERASED):
            await (await one.get(stored.ref)).bytes()


def _anybody_waits(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        (count,) = connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0"
        ).fetchone()
    return count > 0
