"""A store of real artifacts, where they are there: its database is lost, and all of it comes back bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the checkout")]


async def everything(tenant):
    """Every version with the digest of each component, all of them read."""
    found, cursor = [], None
    while True:
        page = await tenant.list(cursor=cursor, limit=1000)
        for head in page:
            for version in await tenant.history(head.name, limit=1000):
                artifact = await tenant.get(version.ref)
                found.append((version, [await artifact[role].bytes() for role in version.roles]))
        cursor = page.cursor
        if cursor is None:
            return found


async def test_a_store_of_real_artifacts_comes_back(store, again):
    tenant = store.tenant("corpus")
    await tenant.import_tree(CORPUS, at_once=8)
    await store.export_journal()
    before, seen = await store.catalog_digest(), await everything(tenant)
    assert len(seen) > 1_000
    await again.rebuild()
    async with again:
        assert await again.catalog_digest() == before
        assert await everything(again.tenant("corpus")) == seen
        assert (await again.verify_journal()).faults == ()
