"""Tenants of different isolation domains share nothing and can find out nothing about each other."""

from __future__ import annotations

import asyncio
import io
import random
import re
from pathlib import Path

import psycopg
import pytest

from casstore import Code, Components, Conflict, Corrupt, Denied, Digest, Invalid, Part
from casstore.formats.registry import meaning_of
from casstore.testing.audit import audit
from tests.domains.conftest import KEYS, Counting
from tests.support.locks import waiting
from tests.unit.png_maker import Way, written

DATA = b"the same bytes, whoever has them"


async def read(tenant, ref):
    return await (await tenant.get(ref)).bytes()


async def settled(store):
    """Three tenants: of two domains, and of none."""
    await store.set_domain("e", "east", by="ops")
    await store.set_domain("w", "west", by="ops")
    return [store.tenant(name) for name in ("e", "w", "plain")]


async def test_equal_bytes_share_no_blob_no_digest_and_no_upload(store):
    counting = Counting(store)
    tenants = await settled(store)
    made = [await tenant.put("a", DATA) for tenant in tenants]
    digests = {each.components[0].digest for each in made}
    assert len(digests) == 3
    assert len({each.digest for each in made}) == 3
    assert {each.new_bytes for each in made} == {len(DATA)}
    assert set(counting.uploads) == digests
    assert made[2].components[0].digest == Digest.of(DATA)
    assert [await read(tenant, "a") for tenant in tenants] == [DATA] * 3
    assert await audit(store) == []


async def test_within_a_domain_bytes_are_shared(store):
    counting = Counting(store)
    await store.set_domain("one", "east", by="ops")
    await store.set_domain("two", "east", by="ops")
    first, second = [await store.tenant(name).put("a", DATA) for name in ("one", "two")]
    assert first.digest == second.digest
    assert len(counting.uploads) == 1


@pytest.mark.parametrize(
    "source", [DATA, io.BytesIO(DATA), io.BytesIO(DATA * 400_000), {"a": [1]}, "text", b""], ids=range(6)
)
async def test_every_source_comes_back_exactly(store, source):
    await store.set_domain("e", "east", by="ops")
    kept = source.getvalue() if isinstance(source, io.BytesIO) else source
    await store.tenant("e").put("a", source)
    artifact = await store.tenant("e").get("a")
    found = await (artifact.json() if isinstance(source, dict) else artifact.bytes())
    assert found == (kept.encode() if isinstance(kept, str) else kept)


async def test_a_guessed_digest_finds_nothing(store):
    east, west, plain = await settled(store)
    made = await east.put("a", DATA)
    for stranger in (west, plain):
        assert (await stranger.where_used(str(made.components[0].digest))).items == ()
        assert (await stranger.where_used(str(made.digest))).items == ()
    assert [each.ref for each in (await east.where_used(str(made.components[0].digest))).items] == ["a@1"]


async def test_a_digest_of_another_domain_is_refused_by_the_catalog(store, world):
    """Nobody gets a blob by naming its digest: a client that lies about what it hashed, or about its domain."""
    east, _, plain = await settled(store)
    digest = (await east.put("a", DATA)).components[0].digest
    await plain.put("a", b"mine")
    check = world.sql("select domain from casstore.tenants where name = 'e'")[0][0]
    ask = "select * from casstore.pin_blobs(array[%s::bytea], array[32::bigint], array[0::bigint], null, null, '1 hour', %s)"
    assert world.sql(ask, bytes(digest), check)[0] == (None, None, None)
    for domain in (None, bytes(32)):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            world.sql(ask, bytes(digest), domain)
    world.sql("update casstore.blobs set state = 'c' where digest = %s", bytes(digest))
    with pytest.raises(psycopg.errors.ForeignKeyViolation):  # nor is one that is condemned taken back
        world.sql(ask, bytes(digest), bytes(32))
    assert world.sql("select state from casstore.blobs where digest = %s", bytes(digest)) == [("c",)]


async def test_pictures_have_pixel_digests_of_their_domain(store):
    tenants = await settled(store)
    picture = Part(written([[(255, 0, 0, 255)]], Way(6, 8), random.Random(1)), "image/png")
    for tenant in tenants:
        await tenant.put("p", Components(main=picture))
    pixels = {(await tenant.resolve("p")).components[0].pixels for tenant in tenants}
    assert len(pixels) == 3
    assert None not in pixels
    assert [each.ref for each in (await tenants[0].same_pixels_as("p")).items] == ["p@1"]
    assert (await tenants[0].resolve("p")).components[0].width == (await tenants[2].resolve("p")).components[0].width


async def test_what_a_document_means_has_a_digest_of_its_domain(store):
    tenants = await settled(store)
    model = Part(b'<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"/>', "application/bpmn+xml")
    for tenant in tenants:
        await tenant.put("m", model)
    parts = [(await tenant.resolve("m")).components[0] for tenant in tenants]
    plain = meaning_of(model.media_type, model.data)
    assert len({part.meaning for part in parts} | {part.layout for part in parts}) == 6
    assert (parts[2].meaning, parts[2].layout) == (plain.digest, plain.layout)
    for tenant in tenants:
        stored = await tenant.put("m", Part(model.data.replace(b"/>", b" />"), model.media_type), on_same="semantic")
        assert (stored.reused, stored.differs) == (True, "formatting")


async def test_transactions_and_repeated_requests(store):
    east, west, _ = await settled(store)
    for tenant in (east, west):
        for _ in range(2):
            async with tenant.transaction(idempotency_key="k") as tx:
                first = await tx.put("a", DATA)
                await tx.put("b", {"a": 1}, sources=[first])
                tx.alias("a", "prod")
        for _ in range(2):
            assert (await tenant.put("c", DATA, idempotency_key="other")).number == 1
        assert await read(tenant, "a@prod") == DATA
        assert [each.number for each in await tenant.list()] == [1, 1, 1]
    assert await audit(store) == []


async def test_a_patch_under_a_key_can_be_guessed_by_nobody_without_the_domains(store):
    tenants = await settled(store)
    for tenant in tenants:
        await tenant.put("a", {"k": 1})
        for _ in range(2):
            asked = [{"op": "replace", "path": "/k", "value": 2}]
            assert (await tenant.apply("a", asked, idempotency_key="k")).number == 2
    rows = await store._catalog.call("select fingerprint from casstore.requests", ())
    assert len(set(rows)) == len(tenants)
    assert await audit(store) == []


async def test_digest_of_is_what_a_put_gives(store):
    for tenant in await settled(store):
        assert await tenant.digest_of(DATA) == (await tenant.put("a", DATA)).components[0].digest


# -- keys that are not at hand, or not right ------------------------------------------------------------------------------


async def test_without_the_key_nothing_is_written_and_nothing_is_said_to_be_corrupt(store, world):
    east, *_ = await settled(store)
    await east.put("a", DATA)
    before = world.ledger
    for keys in ([], ["west"]):
        async with world.store(*keys) as lacking:
            tenant = lacking.tenant("e")
            for call in (tenant.put("b", b"new"), tenant.put("a", DATA), read(tenant, "a"), tenant.digest_of(b"")):
                with pytest.raises(Denied) as refused:
                    await call
                assert refused.value.code is Code.DOMAIN_KEY_MISSING
                assert "east" in refused.value.message
            with pytest.raises(Denied):
                async with tenant.transaction() as tx:
                    await tx.put("b", b"new")
            with pytest.raises(Denied) as refused:
                await lacking.set_domain("new", "east", by="ops")
            assert refused.value.code is Code.DOMAIN_KEY_MISSING
            assert (await tenant.resolve("a")).size_bytes == len(DATA)  # what the catalog says needs no key
            await tenant.alias("a@1", "prod")
            artifact = (await tenant.get("a")).unverified()
            assert await artifact.bytes() == await artifact["main"].bytes() == DATA
    assert world.ledger == before
    assert world.sql("select distinct state from casstore.blobs") == [("l",)]


async def test_a_wrong_key_is_refused_at_once(store, world):
    east, *_ = await settled(store)
    await east.put("a", DATA)
    before = world.ledger
    async with world.store(east=bytes(32)) as wrong:
        tenant = wrong.tenant("e")
        for call in (tenant.put("b", b"new"), read(tenant, "a"), wrong.set_domain("new", "east", by="ops")):
            with pytest.raises(Denied) as refused:
                await call
            assert refused.value.code is Code.DOMAIN_KEY_WRONG
    async with world.store(other=KEYS["east"]) as renamed:
        with pytest.raises(Denied) as refused:
            await renamed.set_domain("new", "other", by="ops")
        assert refused.value.code is Code.DOMAIN_KEY_WRONG
        assert await read(renamed.tenant("e"), "a") == DATA  # it is the right key, by another name
    assert world.ledger == before
    assert world.sql("select distinct state from casstore.blobs") == [("l",)]


async def test_unverified_reads_still_look_at_the_size(store, world):
    east, *_ = await settled(store)
    digest = (await east.put("a", DATA)).components[0].digest
    artifact = (await east.get("a")).unverified()
    world.damage(digest, DATA[::-1])
    assert await artifact.bytes() == DATA[::-1]  # as it says, unverified
    with pytest.raises(Corrupt):
        await read(east, "a")
    world.damage(digest, DATA[1:])
    with pytest.raises(Corrupt) as refused:
        await artifact.bytes()
    assert refused.value.code is Code.BLOB_ALTERED


async def test_altered_bytes_are_found_and_healed_by_a_put(store, world):
    east, *_ = await settled(store)
    digest = (await east.put("a", DATA)).components[0].digest
    world.damage(digest, DATA[::-1])
    with pytest.raises(Corrupt) as refused:
        await read(east, "a")
    assert refused.value.code is Code.BLOB_ALTERED
    await east.put("b", DATA)
    assert await read(east, "a") == DATA
    assert await audit(store) == []


# -- giving a tenant a domain ---------------------------------------------------------------------------------------------


async def test_a_domain_is_set_before_the_first_artifact_and_stays(store, world):
    done = await store.set_domain("t", "east", by="ops")
    assert (done.tenant, done.domain, done.changed) == ("t", "east", True)
    assert (await store.set_domain("t", "west", by="ops")).changed  # as long as it has nothing
    assert not (await store.set_domain("t", "west", by="ops")).changed
    await store.tenant("t").put("a", DATA)
    assert not (await store.set_domain("t", "west", by="ops")).changed
    await store.tenant("plain").put("a", DATA)
    for tenant, domain in (("t", "east"), ("plain", "east")):
        with pytest.raises(Conflict) as refused:
            await store.set_domain(tenant, domain, by="ops")
        assert refused.value.code is Code.TENANT_NOT_EMPTY
    said = world.sql(
        "select detail ->> 'domain', detail ->> 'actor' from casstore.log where op = 'domain' order by seq"
    )
    assert said == [("east", "ops"), ("west", "ops")]
    shown = {each.name: each for each in await store.domains()}
    assert (shown["east"].tenants, shown["west"].tenants) == ((), ("t",))
    assert shown["west"].has_key


@pytest.mark.parametrize(("tenant", "domain", "by"), [("-", "east", "ops"), ("t", "-", "ops"), ("t", "east", "")])
async def test_what_is_no_name_is_refused(store, tenant, domain, by):
    with pytest.raises(Invalid):
        await store.set_domain(tenant, domain, by=by)


async def test_what_is_remembered_wrongly_costs_an_error_and_no_wrong_digest(store, world):
    """A process that knows a tenant to have no domain meets one that has been given one since."""
    tenant = store.tenant("t")
    with pytest.raises(Conflict):
        await tenant.put("a", DATA, expect=3)
    async with world.store("east") as other:
        await other.set_domain("t", "east", by="ops")
    with pytest.raises(Conflict) as refused:
        await tenant.put("a", DATA)
    assert refused.value.code is Code.DOMAIN_CHANGED
    async with world.store("east") as other:
        await other.set_domain("t2", "east", by="ops")
    assert (await tenant.put("a", DATA)).number == 1
    assert await audit(store) == []


async def test_a_domain_given_while_the_first_put_is_under_way(store, world):
    """The put has looked at its tenant before, and makes its first artifact after: it must not be plain in a domain."""
    async with world.store("east") as other:
        check = (await other.set_domain("elsewhere", "east", by="ops")).check
    await store.tenant("known").put("a", DATA)  # so that one call is the commit
    tenant = store.tenant("t")
    async with await psycopg.AsyncConnection.connect(world.dsn) as connection:
        await connection.execute("insert into casstore.tenants (name) values ('t')")
        await connection.commit()
        await connection.execute("select casstore.set_domain('t', 'east', %s, 'ops')", (bytes(check),))
        put = asyncio.create_task(tenant.put("a", DATA))
        await waiting(world.dsn)
        await connection.commit()
    with pytest.raises(Conflict) as refused:
        await put
    assert refused.value.code is Code.DOMAIN_CHANGED
    assert world.sql("select count(*) from casstore.artifacts where name = 'a'") == [(1,)]
    assert (await tenant.put("a", DATA)).components[0].digest != Digest.of(DATA)


async def test_first_puts_and_assignments_that_race(store, world):
    """Whoever is first, no tenant in a domain has a plain digest and none outside has another."""
    async with world.store(*KEYS) as other:
        for number in range(40):
            name = f"t{number}"
            await asyncio.gather(
                store.tenant(name).put("a", DATA),
                other.set_domain(name, "east", by="ops"),
                other.tenant(name).put("b", DATA),
                return_exceptions=True,
            )
    assert await audit(store) == []


async def test_a_store_of_many_tenants_forgets_and_asks_again(store, monkeypatch):
    from casstore import limits

    monkeypatch.setattr(limits, "TENANTS_REMEMBERED", 2)
    for number in range(6):
        await store.set_domain(f"t{number}", "east" if number % 2 else "west", by="ops")
    for _ in range(2):
        for number in range(6):
            await store.tenant(f"t{number}").put("a", DATA, on_same="new_version")
    assert len(store._domains._known) <= 2
    assert await audit(store) == []


def test_blocking_code(world):
    from casstore import Store

    with Store(blobs=world.urls.blobs, catalog=world.urls.catalog, domains={"east": KEYS["east"]}) as store:
        store.set_domain("e", "east", by="ops")
        store.tenant("e").put("a", DATA)
        assert store.tenant("e").get("a").bytes() == store.tenant("e").get("a").unverified().bytes() == DATA
        assert [each.name for each in store.domains()] == ["east"]


def test_the_guides_program_moves_a_tenant_to_another_key(world):
    """Interrupted and run again, too."""
    from casstore import Store

    page = (Path(__file__).parents[2] / "docs" / "how-to" / "isolate-a-tenant.md").read_text("utf-8")
    program = re.search(r"^def copy.*?^            return$", page, re.MULTILINE | re.DOTALL)[0]
    names = {"Components": Components, "Part": Part}
    exec(program, names)
    urls = world.urls
    with Store(blobs=urls.blobs, catalog=urls.catalog, domains=KEYS) as store:
        store.set_domain("old", "east", by="ops")
        store.set_domain("new", "west", by="ops")
        old, new = store.tenant("old"), store.tenant("new")
        for number in range(3):
            old.put(
                "a", Components(p=b"p", q={"n": number}), title=f"T{number}", labels={"l": "1"}, metadata={"m": number}
            )
        old.put("b", b"same", type="sop")
        old.put("b", b"same", on_same="new_version")
        for _ in range(2):
            names["copy"](old, new)
        for ref in ("a@1", "a@2", "a@3", "b@1", "b@2"):
            was, now = old.get(ref), new.get(ref)
            for role in was.version.roles:
                assert was[role].bytes() == now[role].bytes()
                assert was[role].component.digest != now[role].component.digest
                assert was[role].component.media_type == now[role].component.media_type
            for fact in ("title", "labels", "metadata", "type", "number"):
                assert getattr(was.version, fact) == getattr(now.version, fact)
        assert [each.number for each in new.history("a").items] == [3, 2, 1]


async def test_data_is_compared_within_the_domain(store):
    east, west, _ = await settled(store)
    await east.put("a", DATA)
    assert (await east.diff("a", DATA)).depth == "same"
    assert (await east.diff("a", b"others")).depth == "meaning"
    first = await west.put("a", {"a": 1, "b": 1})
    await west.put("b", {"a": 2, "b": 1}, sources=[first])
    await west.put("a", {"a": 1, "b": 2}, sources=[first])
    assert await read(west, (await west.merge("a", "b")).stored.ref) == b'{"a":2,"b":2}'
