"""Two executions compared: by the keys of their results, whatever ids and names their artifacts have."""

from __future__ import annotations

from uuid import uuid4

from casstore import Invalid, NotFound
from casstore.errors import Code
from casstore.integrations.execution_diffs import diff_executions
from casstore.integrations.executions import store_execution
from casstore.integrations.materialization import MaterializationPolicy
from tests.operations.failing import fails

ALL = MaterializationPolicy.from_dict({})


def result(**changed):
    made = {"sop": {"title": "How to"}, "workflow": {"semantic_payload": {"steps": ["read", "check"]}}}
    return {"status": "completed", **{key: value for key, value in (made | changed).items() if value}}


async def stored(t, name, **changed):
    return (await store_execution(t, result(**changed), ALL, execution_id=name, metadata={})).result


async def test_equal_results_are_the_same_whoever_made_them(t):
    one, other = await stored(t, "e1"), await stored(t, "e2")
    assert one["sop_artifact_id"] != other["sop_artifact_id"]
    diff = await diff_executions(t, one, other)
    assert set(diff.artifacts) == {"sop", "workflow"}
    assert (diff.depth, diff.added, diff.removed, diff.summary) == ("same", (), (), ())


async def test_each_artifact_is_told_under_its_key(t):
    one = await stored(t, "e1")
    other = await stored(t, "e2", workflow={"semantic_payload": {"steps": ["read", "sign"]}})
    diff = await diff_executions(t, one, other)
    assert (diff.depth, diff.artifacts["sop"].depth, diff.artifacts["workflow"].depth) == ("meaning", "same", "meaning")
    assert diff.summary
    assert all(line.startswith("workflow: ") for line in diff.summary)
    back = await diff_executions(t, other, one)
    assert (set(back.artifacts), back.depth) == (set(diff.artifacts), "meaning")


async def test_what_only_one_of_them_made_comes_or_goes(t):
    one = await stored(t, "e1")
    other = await stored(t, "e2", workflow=None, roadmap={"phases": []})
    for before, after, added, removed in ((one, other, "roadmap", "workflow"), (other, one, "workflow", "roadmap")):
        diff = await diff_executions(t, before, after)
        assert (diff.added, diff.removed, set(diff.artifacts)) == ((added,), (removed,), {"sop"})
        assert diff.summary == (f"{added}: added", f"{removed}: removed")
        assert (diff.depth, diff.artifacts["sop"].depth) == ("meaning", "same")


async def test_what_is_gone_alone_is_a_change_of_meaning(t):
    one, fewer = await stored(t, "e1"), await stored(t, "e2", workflow=None)
    for pair in ((one, fewer), (fewer, one)):
        assert (await diff_executions(t, *pair)).depth == "meaning"


async def test_other_keys_are_left_alone(t):
    one = await stored(t, "e1")
    more = {**one, "status": 1, "artifact_id": "no id", "sop_storage_path": None}
    assert (await diff_executions(t, more, one)).depth == "same"
    assert (await diff_executions(t, {}, {})).depth == "same"


async def test_no_ids_and_unknown_ones_are_refused(t, other):
    one = await stored(t, "e1")
    for wrong in ("x", None, 7, "", ["a"]):
        with fails(Invalid, Code.BAD_REFERENCE):
            await diff_executions(t, one, one | {"sop_artifact_id": wrong})
    unknown = one | {"sop_artifact_id": str(uuid4())}
    with fails(NotFound, Code.VERSION_NOT_FOUND):
        await diff_executions(t, one, unknown)
    with fails(NotFound, Code.VERSION_NOT_FOUND):  # another tenant's
        await diff_executions(other, one, one)
