"""Things that happen to a store, to be repeated as they are: a few of each kind, by two tenants."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

from casstore import AsyncStore, CasstoreError, Components, Part, Source

TENANTS = ("one", "two")


async def small_history(store: AsyncStore) -> None:
    """Something in every table that the journal describes, and more than one way into each."""
    one, two = (store.tenant(name) for name in TENANTS)
    if store.settings.domains:
        await store.set_domain(two.name, "vault", by="me")
    await one.put(
        "sop/login",
        "first",
        title="Ein Titel: ü",
        labels={"k": "v"},
        metadata={"n": 1.50, "big": 10**30, "u": "é\u2028"},
        by="writer",
    )
    await one.put("sop/login", "second", idempotency_key="key", sources=["sop/login@1"])
    await one.put("sop/login", "second", idempotency_key="reused", by="reader")
    await one.put(
        "sop/many",
        Components(b=b"2", a=b"1", c={"j": [1, None]}),
        sources=[Source("sop/login@2", "template"), "sop/login@1"],
    )
    for space in ("", " "):
        model = f'<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"{space}/>'.encode()
        await one.put("model", Part(model, "application/bpmn+xml"), on_same="semantic")
    await one.alias("sop/login@1", "prod")
    await one.alias("sop/login@2", "prod", by="ops")
    await one.unalias("sop/login", "prod", by="ops")
    await one.tag("sop/login@1", "final", by="writer")
    await one.transition("sop/login@1", "accepted", by="me", reason="fine")
    await one.transition("sop/login@1", "obsolete", by="me")
    for state in ("accepted", "obsolete"):
        await one.transition("sop/login@2", state, by="me", reason=state)
    for undone in [each.id for each in await one.operations("sop/login@2", limit=2)]:
        await one.undo(undone, by="me", reason="too early")
    await one.transition("sop/login@2", "accepted", by="again")
    await one.alias("sop/login@2", "next")
    await one.undo((await one.operations(limit=1)).items[0].id, by="me")
    await two.put("Sop/login", "first", type="note")
    await two.put("gone", "g1")
    await two.put("gone", "g2")
    await two.delete("gone@2", by="me", reason="why not")
    await two.put("back", "b")
    await two.delete("back@1", by="me")
    await two.undelete("back@1", by="you")
    await two.put("twice", "t1")
    await two.put("twice", "t2")
    await two.delete_artifact("twice", by="me")
    await two.undo((await two.operations("twice", limit=1)).items[0].id, by="you", reason="not these")
    await two.put("all", "a")
    await two.delete_artifact("all", by="me")
    await two.put("purged", "p1")
    await two.put("purged", Components(a=b"p2", b=b"p3"))
    await two.delete_artifact("purged", by="me")
    await two.purge("purged@2", by="us", reason="for good")
    await _holds(two)
    await _retention(two)
    await _erased(one, two)
    async with two.transaction(idempotency_key="tx", by="bot") as tx:
        await tx.put("Sop/login", "third")
        await tx.put("new", "n")
        tx.alias("new", "current")
        tx.transition("new", "accepted", by="me")
    async with two.transaction(idempotency_key="moves only") as tx:
        tx.alias("new@1", "also")
    with contextlib.suppress(CasstoreError):
        await store.tenant("nobody").put("x", "refused", expect=7)


async def _holds(tenant):
    await tenant.hold("gone@1", "case-1", by="us", reason="a case")
    await tenant.hold("gone", "case-1", by="us")
    await tenant.hold(None, "case-2", by="us")
    await tenant.release(None, "case-2", by="them", reason="over")
    await tenant.release("gone", "case-1", by="them")
    await tenant.hold("gone", "case-1", by="them", reason="again")


async def _retention(tenant):
    rules = [{"name": "traces", "match": {"name_prefix": "trace/"}, "keep": {"last": 1}}]
    await tenant.set_retention({"rules": rules}, by="us")
    await tenant.set_retention({"rules": rules, "purge_after": "1d"}, by="them")
    for n in range(3):
        await tenant.put("trace/x", f"{n}")
    await tenant.expire("trace/x@3", datetime(2020, 1, 1, tzinfo=UTC), by="us", reason="a trace")
    await tenant.put("trace/y", "kept")
    await tenant.apply_retention(by="keeper")
    await tenant.expire("trace/y@1", timedelta(days=1), by="us", reason="soon")
    await tenant.expire("trace/y@1", datetime(2099, 1, 1, tzinfo=UTC), by="them", reason="later")
    await tenant.put("trace/z", "for a day", ttl=timedelta(days=1))
    await tenant.put("trace/w", "for ever after all", ttl=timedelta(days=1))
    await tenant.put("trace/w", "for ever after all")
    await tenant.put("trace/v", "longer", ttl=timedelta(days=1))
    await tenant.put("trace/v", "longer", ttl=timedelta(days=2))
    await tenant.put("trace/u", "longer", ttl=timedelta(days=1), by="us")
    await tenant.put("trace/u", "longer", ttl=timedelta(days=2), by="them")
    await tenant.expire("trace/x@2", timedelta(days=1), by="us")
    await tenant.expire("trace/x@2", None, by="us")


async def _erased(one, two):
    """A content that both have, twice in one version of one, in the trash of the other, and purged later."""
    secret = b"a secret that both have"
    await one.put("letter", Components(a=secret, b=b"kept", c=secret))
    await one.put("letter", secret)
    await one.put("letter", secret, labels={"n": "2"})
    await two.put("letter", secret)
    await two.put("letter", Components(x=secret, y=b"y"))
    await two.delete_artifact("letter", by="me")
    for tenant in (one, two):
        await tenant.erase_content(await tenant.digest_of(secret), by="dpo", reason="asked to")
    await two.purge("letter@2", by="us")
    await one.put("letter", secret)


async def read_all(store: AsyncStore) -> dict[str, list[tuple]]:
    """All that both tenants can see, every byte verified."""
    return {name: [seen async for seen in _read(store, name)] for name in TENANTS}


async def _read(store, name):
    tenant = store.tenant(name)
    heads = [version async for version in _pages(tenant.list)]
    for head in heads:
        yield head
        for version in [
            version async for version in _pages(lambda cursor, head=head: tenant.history(head.name, cursor=cursor))
        ]:
            artifact = await tenant.get(version.ref)
            yield version, [(role, await artifact[role].bytes()) for role in version.roles]
            yield await tenant.transitions(version.ref)
            yield [(n.version.ref, n.sources) for n in await tenant.lineage(version.ref)]
        for pointer in await tenant.pointers(head.name):
            yield [
                each
                async for each in _pages(
                    lambda cursor, p=pointer: tenant.pointer_history(p.name, p.pointer, cursor=cursor)
                )
            ]
    yield [each async for each in _pages(tenant.trash)]
    yield [each async for each in _pages(tenant.holds)]
    yield await tenant.retention()
    yield [each async for each in _pages(tenant.preview_retention)]
    yield await tenant.usage()


async def _pages(call):
    cursor = None
    while True:
        page = await call(cursor=cursor)
        for item in page:
            yield item
        cursor = page.cursor
        if cursor is None:
            return
