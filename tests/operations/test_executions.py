"""Executions: what one made is stored as the policy says, all of it or nothing, once, and comes back as it was."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, Conflict, Invalid, NotFound, grammar
from casstore.errors import Code
from casstore.integrations.executions import _segment, load_execution, store_execution
from casstore.integrations.materialization import MaterializationPolicy
from casstore.testing.audit import audit
from tests.operations.failing import fails
from tests.unit.kind_parts import png_bytes
from tests.unit.visuals_drawn import exact, pictures, results, scalars

NUMBERS = itertools.count()
ALL = MaterializationPolicy.from_dict({})
STATES = ("current_state", "coexistence_state")


def picture(width=3, height=2):
    return {"image_base64": base64.b64encode(png_bytes(width, height)).decode(), "title": "T"}


def workflow(**more):
    return {
        "result_type": "workflow",
        "semantic_payload": {"steps": ["read", "check"]},
        "renderings": {"workflow_visual": picture()},
        **more,
    }


def blueprint(**changed):
    parts = {role: {"of": role} for role in STATES} | {"roadmap": {"phases": []}, "responsibility_matrix": {"a": "b"}}
    charts = {f"{role}_chart": picture(4, height) for height, role in enumerate(STATES, 1)}
    return {"result_type": "blueprint", "semantic_payload": parts | changed, "renderings": charts}


def execution():
    return {
        "status": "completed",
        "blueprint": blueprint(),
        "sop": {"title": "How to", "source_artifact_ids": ["workflow"]},
        "workflow": workflow(),
        "warnings": ["none"],
    }


async def store_all(t, result, execution_id="e-1", policy=ALL, **metadata):
    return await store_execution(t, result, policy, execution_id=execution_id, metadata=metadata)


async def versions(t):
    """All there are of a tenant, which has few."""
    return {version.name: version for version in (await t.list(limit=1000)).items}


async def blobs(store):
    found = []
    while page := await store._blobs.page(after=found[-1] if found else None):
        found += [each.digest for each in page]
    return set(found)


# -- what is stored --------------------------------------------------------------------------------------------------------


async def test_an_execution_is_stored_and_read_back(t):
    result = execution()
    stored = await store_all(t, result, realm="journey", session_id="s-1")
    there = await versions(t)
    assert set(there) == {"workflow/e-1/workflow", "sop/e-1/sop", "blueprint/e-1/blueprint"}
    for version in there.values():
        assert (version.number, version.type) == (1, version.name.split("/")[0])
        assert version.metadata == {"realm": "journey", "session_id": "s-1", "execution_id": "e-1"}
        assert stored.references[f"{version.type}_artifact_id"] == str(version.id)
        assert stored.references[f"{version.type}_storage_path"] == f"cas://{t.name}/{version.ref}"
    assert len(stored.references) == 6
    assert json.loads(json.dumps(stored.references)) == stored.references
    assert result == execution()
    assert stored.result == result | stored.references
    beside = [
        name for key in ("blueprint", "sop", "workflow") for name in (key, f"{key}_artifact_id", f"{key}_storage_path")
    ]
    assert list(stored.result) == ["status", *beside, "warnings"]
    assert list(stored.references) == [name for name in beside if name not in result]

    kept = {key: result[key] for key in ("blueprint", "sop", "workflow")}
    for given_back in (stored.references, stored.result):  # the references are found among other keys, too
        assert exact(await load_execution(t, given_back, include_visuals=True)) == exact(kept)
    shown = await load_execution(t, stored.references)
    path = stored.references["workflow_storage_path"] + "#workflow_visual"
    told = {"storage_path": path, "format": "png", "width": 3, "height": 2}
    assert shown["workflow"]["renderings"]["workflow_visual"] == {"title": "T"} | told
    assert shown["sop"] == result["sop"]
    assert await (await t.get(path)).bytes() == png_bytes(3, 2)


@pytest.mark.parametrize(
    ("policy", "fates"),
    [
        ({}, "ppp"),
        ({"default": "cache"}, "ccc"),
        ({"default": "discard"}, "ddd"),
        ({"types": {"sop": "cache", "blueprint": "discard"}}, "pcd"),
        ({"default": "cache", "types": {"workflow": "persist", "blueprint": "persist"}}, "pcp"),
        ({"default": "discard", "types": {"sop": "persist", "workflow": "cache", "solution": "persist"}}, "cpd"),
    ],
)
async def test_each_is_persisted_cached_or_discarded_by_its_type(t, policy, fates):
    result = execution()
    fate = dict(zip(("workflow", "sop", "blueprint"), fates, strict=True))
    stored = await store_all(t, result, policy=MaterializationPolicy.from_dict(policy))
    persisted = [key for key in fate if fate[key] == "p"]
    assert {name.split("/")[0] for name in await versions(t)} == set(persisted)
    assert set(stored.references) == {key + end for key in persisted for end in ("_artifact_id", "_storage_path")}
    kept = {key: value for key, value in result.items() if fate.get(key) != "d"}
    assert stored.result == kept | stored.references
    assert set(await load_execution(t, stored.references)) == set(persisted)


@pytest.mark.parametrize(
    ("key", "artifact", "expected"),
    [
        ("a", {"result_type": "sop", "artifact_type": "poc", "type": "workflow"}, "sop"),
        ("a", {"artifact_type": "sop", "type": "workflow"}, "sop"),
        ("a", {"result_type": None, "artifact_type": "sop"}, "sop"),
        ("a", {"type": "sop"}, "sop"),
        ("sop", {"type": "sequence"}, "sop"),  # a word of the content
        ("sop", {"type": "own"}, "own"),  # the policy knows it
        ("own", {"type": ["sop"]}, "own"),
        ("workflow", {}, "workflow"),
        ("risk_register", {}, "risk_register"),
        ("Risk register", {}, "document"),
        ("workflow_visual", picture(), "workflow_visual"),
        ("", {}, "document"),
    ],
)
async def test_an_artifact_tells_its_type(t, key, artifact, expected):
    policy = MaterializationPolicy.from_dict({"types": {"own": "persist"}})
    stored = await store_all(t, {key: artifact}, policy=policy)
    assert (await t.resolve(stored.references[f"{key}_storage_path"])).type == expected
    assert await load_execution(t, stored.references, include_visuals=True) == {key: artifact}


async def test_where_nothing_is_persisted_nothing_is_stored(t):
    for result in ({}, {"status": "failed", "workflow": None}):
        stored = await store_all(t, result)
        assert (stored.result, stored.references) == (result, {})
    assert await load_execution(t, {}) == {}
    assert not await versions(t)


async def test_one_component_changed_is_one_blob_and_one_manifest_more(store, t):
    await store_all(t, {"blueprint": blueprint()}, "e-1")
    before, (first,) = await blobs(store), (await versions(t)).values()
    assert len(first.components) == 4 + 2 + 1  # parts, charts, envelope
    await store_all(t, {"blueprint": blueprint(current_state={"of": "another"})}, "e-2")
    assert len(await blobs(store) - before) == 1
    second = (await versions(t))["blueprint/e-2/blueprint"]
    assert second.digest != first.digest
    assert [ours.role for ours, theirs in zip(first.components, second.components, strict=True) if ours != theirs] == [
        "current_state"
    ]
    await store_all(t, {"blueprint": blueprint(current_state={"of": "another"})}, "e-3")
    assert (await versions(t))["blueprint/e-3/blueprint"].digest == second.digest
    assert len(await blobs(store) - before) == 1


# -- laws ------------------------------------------------------------------------------------------------------------------

ODD = "\udce4 /Ä_chart"  # no Unicode text, and no name
keys = st.sampled_from(["a", "A", "workflow", "sop", "x_visual", "ä", "", ".", "a" * 300, ODD, "b_artifact_id"])
plain = st.dictionaries(st.sampled_from(["a", "b", "type", "artifact_visual"]), scalars, max_size=3)
artifacts = results() | plain | pictures(scalars).map(lambda drawn: {"artifact_visual": drawn})
whole_pictures = pictures(scalars).filter(lambda drawn: isinstance(drawn, dict))


@st.composite
def executions(draw):
    """Artifacts by key; one may be a picture where its key says so."""
    ends = ("_visual", "_chart")
    drawn = draw(st.lists(keys, unique=True, max_size=4))
    return {key: draw(artifacts | whole_pictures if key.endswith(ends) else artifacts) for key in drawn}


@pytest.mark.slow
def test_any_execution_comes_back_exactly_and_is_stored_once(where):
    with contextlib.ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        store = runner.run(AsyncStore(blobs=where.blobs, catalog=where.catalog).open())
        stack.callback(lambda: runner.run(store.aclose()))

        @given(executions(), st.text(min_size=1, max_size=5).filter(str.isprintable))
        @example({"a_visual": {"artifact_visual": picture()}, "b": {"artifact_visual": {"artifact_visual": {}}}}, "e")
        def law(result, execution_id):
            runner.run(assert_comes_back(store.tenant(f"law-{next(NUMBERS)}"), result, execution_id))

        law()


async def assert_comes_back(t, result, execution_id):
    before = exact(result)
    stored = await store_all(t, result, execution_id)
    assert exact(result) == before
    assert exact(await load_execution(t, stored.references, include_visuals=True)) == before
    assert json.loads(json.dumps(stored.references)) == stored.references
    there = await versions(t)
    assert len(there) == len(result)
    again = await store_all(t, dict(reversed(result.items())), execution_id)
    assert again.references == stored.references
    assert await versions(t) == there


@given(st.lists(st.text() | st.from_regex(r"[a-c.-]{0,3}(b3-)?[0-9a-f]{32}", fullmatch=True), unique=True, max_size=9))
@settings(max_examples=300)
@example(["a", "A", "", "-", "..", "a..b", "a.b", "ä", "a" * 63, "a" * 64, "a" * 65, _segment("A"), _segment("")])
def test_each_text_has_a_step_of_names_of_its_own(texts):
    for text in texts:
        assert grammar.check_name(_segment(text)) == _segment(text).lower()
    assert len({_segment(text) for text in texts}) == len(texts)


def test_names_are_readable_where_they_can_be():
    for text in ("workflow", "journey-2026-08-01", "01a205cf-bbac-7b4a-926a-518f14280161", "a.b_c", "a" * 63):
        assert _segment(text) == text
    assert _segment("Order Intake (2)").startswith("order-intake-2-b3-")


# -- once ------------------------------------------------------------------------------------------------------------------


async def test_the_same_execution_again_is_the_same_and_another_is_a_conflict(store, t):
    stored = await store_all(t, execution(), realm="journey", session_id="s")
    there, usage = await versions(t), await t.usage()
    repeated = [
        await store_all(t, dict(reversed(execution().items())), session_id="s", realm="journey"),  # in any order
        await store_all(t, stored.result, realm="journey", session_id="s"),  # with its references in it
        await store_all(t, execution(), realm="journey", session_id="s", lifecycle_state="draft", execution_id="e-1"),
    ]
    assert [each.references for each in repeated] == [stored.references] * 3
    other = execution()
    other["workflow"]["semantic_payload"]["steps"].append("book")
    for result, realm in ((other, "journey"), (execution(), "outcomes"), ({"workflow": workflow()}, "journey")):
        with fails(Conflict, Code.IDEMPOTENCY_KEY_REUSED) as caught:
            await store_all(t, result, realm=realm, session_id="s")
        assert "'e-1'" in caught.value.message
    assert (await versions(t), await t.usage()) == (there, usage)
    assert await audit(store) == []


async def test_references_of_an_earlier_execution_give_way_to_those_of_this_one(t):
    earlier = await store_all(t, execution(), "e-1")
    stored = await store_all(t, earlier.result, "e-2")
    assert stored.references.keys() == earlier.references.keys()
    assert not set(stored.references.values()) & set(earlier.references.values())
    assert stored.result == execution() | stored.references


async def test_executions_of_one_id_at_once_are_one(where, t):
    async with AsyncStore(blobs=where.blobs, catalog=where.catalog) as second:
        doors = [t, second.tenant(t.name)] * 4
        stored = await asyncio.gather(*(store_all(door, execution()) for door in doors))
    assert len({json.dumps(each.references) for each in stored}) == 1
    assert len(await versions(t)) == 3


async def test_a_name_that_is_taken_is_a_conflict(t):
    await t.put("sop/e-1/sop", "# Mine", type="sop")
    with fails(Conflict, Code.TRANSACTION_REFUSED):
        await store_all(t, execution())
    assert list(await versions(t)) == ["sop/e-1/sop"]


# -- nothing ---------------------------------------------------------------------------------------------------------------

BROKEN = {"image_base64": base64.b64encode(png_bytes()[:-20]).decode()}


@pytest.mark.parametrize(
    ("key", "artifact", "code", "told"),
    [
        ("sop", {"pages": [{"flow_visual": BROKEN}]}, Code.BAD_PICTURE, "/pages/0/flow_visual/image_base64"),
        ("sop", {"renderings": {"sop_visual": {"image_base64": "?"}}}, Code.BAD_PICTURE, "/renderings/sop_visual"),
        ("sop_visual", BROKEN, Code.BAD_PICTURE, "image_base64"),
        ("sop_visual", {"image_base64": None}, Code.BAD_PICTURE, "image_base64"),
        ("blueprint", blueprint() | {"semantic_payload": {}}, Code.BAD_COMPOSITION, "roadmap is missing"),
        ("roadmap", {"phases": [{"id": 1, "depends_on": [2]}]}, Code.BAD_COMPOSITION, "/phases/0"),
        ("sop", {"at": {1: 2}}, Code.BAD_JSON, "$['at']"),
        ("sop", {"result_type": "A sop"}, Code.BAD_TYPE, "A sop"),
        ("sop", "# How to", Code.BAD_DATA, "is a str"),
        ("own", ["a"], Code.BAD_DATA, "is a list"),
        ("sop_visual", "data:image/png;base64,", Code.BAD_DATA, "is a str"),
        ("sop", {"source_artifact_ids": "workflow"}, Code.BAD_ARGUMENT, "source_artifact_ids"),
        ("sop", {"metadata": {"source_artifact_ids": [1]}}, Code.BAD_ARGUMENT, "source_artifact_ids"),
        ("sop", {"source_artifact_ids": ["no id"]}, Code.BAD_NAME, "no id"),
    ],
)
async def test_an_artifact_that_cannot_be_stored_fails_all_and_says_which(store, t, key, artifact, code, told):
    before = await blobs(store)
    policy = MaterializationPolicy.from_dict({"types": {"own": "persist"}})
    with fails(Invalid, code) as caught:
        await store_all(t, execution() | {key: artifact}, policy=policy)
    assert caught.value.fields["key"] == key
    assert caught.value.message.startswith(f"the artifact {key!r}: ")
    assert told in caught.value.message
    assert not await versions(t)
    assert await blobs(store) == before


async def test_what_is_not_stored_may_be_anything(t):
    policy = MaterializationPolicy.from_dict({"default": "cache", "types": {"workflow": "persist"}})
    stored = await store_all(t, execution() | {"sop_visual": BROKEN}, policy=policy)
    assert stored.result["sop_visual"] == BROKEN


@pytest.mark.parametrize(
    ("result", "execution_id", "metadata", "code"),
    [
        ([], "e", {}, Code.BAD_DATA),
        ({1: {}}, "e", {}, Code.BAD_DATA),
        ({"a": {}, "a_artifact_id": {}}, "e", {}, Code.BAD_DATA),
        ({"a_storage_path": {}, "a": {}}, "e", {}, Code.BAD_DATA),
        ({"a": {}}, "", {}, Code.BAD_ARGUMENT),
        ({"a": {}}, 7, {}, Code.BAD_ARGUMENT),
        ({"a": {}}, "e\0", {}, Code.BAD_METADATA),
        ({"a": {}}, "e", ["realm"], Code.BAD_METADATA),
        ({"a": {}}, "e", {"execution_id": "f"}, Code.BAD_METADATA),
        ({"a": {}}, "e", {"lifecycle_state": "accepted"}, Code.BAD_METADATA),
        ({"a": {}}, "e", {"realm": float("nan")}, Code.BAD_METADATA),
        ({"a": {}}, "e", {1: "one", "realm": "journey"}, Code.BAD_METADATA),
        ({"a": {}}, "e", {"source_artifact_ids": "a"}, Code.BAD_ARGUMENT),
    ],
)
async def test_a_call_that_makes_no_sense_is_refused(t, result, execution_id, metadata, code):
    with fails(Invalid, code):
        await store_execution(t, result, ALL, execution_id=execution_id, metadata=metadata)
    assert not await versions(t)


# -- sources ---------------------------------------------------------------------------------------------------------------


async def sources_of(t, path):
    nodes = list(await t.lineage(path, depth=1))
    names = {node.version.id: node.version.ref for node in nodes}
    return [names[link.source] for link in nodes[0].sources]


async def test_sources_are_keys_ids_and_references(t):
    read = [await t.put(f"file/{n}", f"{n}") for n in range(4)]
    made_from = ["b", str(read[0].id), f"cas://{t.name}/file/1@1", "id:" + str(read[2].id), "b", "cached"]
    result = {
        "a": {"source_artifact_ids": made_from[:3], "metadata": {"source_artifact_ids": made_from[3:]}},
        "b": {"metadata": {"source_artifact_ids": ["c"]}},
        "c": {"source_artifact_ids": None, "metadata": None},
        "cached": {"source_artifact_ids": ["a"]},
    }
    policy = MaterializationPolicy.from_dict({"types": {"cached": "cache"}})
    given_to_all = {"source_artifact_ids": [str(read[3].id)], "realm": "r"}
    stored = await store_all(t, result, policy=policy, **given_to_all)
    assert await sources_of(t, "a/e-1/a") == ["b/e-1/b@1", "file/0@1", "file/1@1", "file/2@1", "file/3@1"]
    assert await sources_of(t, "b/e-1/b") == ["c/e-1/c@1", "file/3@1"]
    assert await sources_of(t, "c/e-1/c") == ["file/3@1"]
    assert (await t.resolve("a/e-1/a")).metadata == {"realm": "r", "execution_id": "e-1"}
    again = await store_all(t, dict(reversed(result.items())), policy=policy, **given_to_all)
    assert again.references == stored.references
    # A later execution goes on from what this one has told.
    await store_all(t, {"d": {"source_artifact_ids": [stored.references["a_storage_path"]]}}, "e-2")
    assert await sources_of(t, "d/e-2/d") == ["a/e-1/a@1"]


@pytest.mark.parametrize("made_from", [{"a": ["a"]}, {"a": ["b"], "b": ["a"]}, {"a": ["b"], "b": ["c"], "c": ["a"]}])
async def test_artifacts_that_are_made_from_each_other_are_refused(t, made_from):
    result = {key: {"source_artifact_ids": keys} for key, keys in made_from.items()}
    with fails(Invalid, Code.BAD_ARGUMENT) as caught:
        await store_all(t, result)
    assert "'a'" in caught.value.message
    assert not await versions(t)


async def test_a_source_that_is_not_there_is_not_found_nor_is_anothers(t, other):
    theirs = await other.put("file/1", "theirs")
    errors = []
    for source in (str(theirs.id), "00000000-0000-7000-8000-000000000000", "file/1", f"cas://{other.name}/file/1"):
        with pytest.raises((NotFound, Conflict)) as caught:
            await store_all(t, {"a": {"source_artifact_ids": [source]}})
        errors.append(caught.value)
    assert [error.code for error in errors] == [Code.TRANSACTION_REFUSED] * 2 + [Code.ARTIFACT_NOT_FOUND] * 2
    assert [error.fields["refused"][0]["error"] for error in errors[:2]] == [Code.VERSION_NOT_FOUND] * 2
    assert not await versions(t)


# -- reading back ----------------------------------------------------------------------------------------------------------


async def test_references_that_lead_nowhere(t, other):
    stored = await store_all(t, execution())
    for tenant, references, kind, code in (
        (other, stored.references, NotFound, Code.VERSION_NOT_FOUND),
        (t, {"a_artifact_id": "00000000-0000-7000-8000-000000000000"}, NotFound, Code.VERSION_NOT_FOUND),
        (t, {"a_artifact_id": "workflow"}, Invalid, Code.BAD_REFERENCE),
        (t, {"a_artifact_id": None}, Invalid, Code.BAD_REFERENCE),
        (t, {"a_artifact_id": str((await t.put("doc/a", "# no result")).id)}, Invalid, Code.BAD_COMPONENTS),
    ):
        with fails(kind, code):
            await load_execution(tenant, references)
