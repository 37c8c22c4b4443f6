"""The audit sees what is wrong with sources, steps and pictures: what the store's functions never write, written by hand."""

from __future__ import annotations

import psycopg
import pytest

from casstore import AsyncStore, Part
from casstore.testing.audit import audit
from tests.unit.png_maker import END, assembled, ihdr

OLDER = "a source is not older than what was made from it, or another tenant's"
WAY = "a version's steps are no way through its lifecycle"
LOG = "the log and the steps disagree"
SIZE = "a picture has no size, or what has a size is no picture"

STEP = (
    "insert into casstore.transitions (artifact_id, number, state, tenant_id, seq, before, actor, at)"
    " select artifact_id, number, 'obsolete', tenant_id, seq, 'draft', 'me', now() + interval '1 h' from casstore.versions"
    " where number = 3;"
)
SOURCE = (
    "insert into casstore.sources (artifact_id, number, place, tenant_id, source_artifact_id, source_number, role)"
    " select artifact_id, number, 1, tenant_id, artifact_id, 1, 'source' from casstore.versions where number = 3;"
)
PICTURE = (
    "insert into casstore.components (artifact_id, number, role, tenant_id, digest, size_bytes, media_type, pixels, width, height)"
    " select artifact_id, number, 'other', tenant_id, digest, size_bytes, 'image/png', sha256('x'), 1, 1 from casstore.components"
    " where artifact_id = 1 and number = 1 and role = 'main';"
)

WRONG = {
    "of itself": (SOURCE.replace("artifact_id, 1, 'source'", "artifact_id, 3, 'source'"), OLDER),
    "of a newer one": (
        SOURCE.replace("number = 3", "artifact_id = 1 and number = 1").replace(
            "artifact_id, 1, 's", "artifact_id, 2, 's"
        ),
        OLDER,
    ),
    "another tenant's": (SOURCE.replace(", 1, tenant_id", ", 1, tenant_id + 1"), OLDER),
    "a place left out": (
        SOURCE.replace(", 1, tenant_id", ", 2, tenant_id"),
        "the sources of a version are not counted from 1",
    ),
    "a step left out": (STEP.replace("'draft'", "'accepted'"), WAY),
    "in the wrong place": (STEP.replace("seq, 'draft'", "seq + 1, 'draft'"), WAY),
    "before the version": (STEP.replace("now() +", "now() -"), WAY),
    "a step of another tenant's": (STEP.replace("'obsolete', tenant_id", "'obsolete', tenant_id + 1"), WAY),
    "not in the log": (STEP, LOG),
    "in the log only": (
        "insert into casstore.log (tenant_id, op, artifact_id, number) select 1, 'accepted', 1, 2",
        LOG,
    ),
    "two pictures of one digest": (
        PICTURE + PICTURE.replace("'other'", "'third'").replace("('x')", "('y')"),
        "one digest has the pixels of several pictures",
    ),
    "no width": (PICTURE.replace("1, 1 from", "0, 1 from"), SIZE),
    "no picture": (PICTURE.replace("image/png", "text/plain"), SIZE),
}


@pytest.mark.parametrize(("sql", "rule"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_found(run, store_urls, databases, sql, rule):
    async def main():
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            t = store.tenant()
            for n in range(3):
                await t.put("a", Part(assembled([ihdr(1, 1 + n), END]), "image/png"))
            await t.put("b", b"1", sources=["a@2", "a@1"])
            await t.transition("a@2", "obsolete", by="me")
            assert await audit(store) == []
            with psycopg.connect(databases.direct(store_urls.catalog)) as connection:
                assert connection.execute(sql).rowcount == 1
            return await audit(store)

    assert any(each.startswith(f"{rule}: ") for each in run(main()))
