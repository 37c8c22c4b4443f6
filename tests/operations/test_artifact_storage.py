"""The platform's storage protocol, called as the platform calls it: what goes in comes out, and whose it is."""

from __future__ import annotations

import asyncio
import base64
import enum
import itertools
import json
from collections import defaultdict
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings

from casstore import AsyncStore, Components, Conflict, Invalid, NotFound, Part, limits
from casstore.errors import Code
from casstore.integrations.artifact_storage import ArtifactStorage
from tests.operations.failing import fails
from tests.unit.kind_parts import png_bytes
from tests.unit.visuals_drawn import encoded, exact, results

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
PNG, OTHER = png_bytes(3, 2), png_bytes(4, 5)
BLUEPRINT = {
    "result_type": "blueprint",
    "semantic_payload": {
        "current_state": {"steps": 7, "flow_visual": {"image_base64": encoded(PNG), "title": "Now"}},
        "coexistence_state": {"steps": 4},
        "roadmap": {"phases": [{"id": "plan"}, {"id": "build", "depends_on": ["plan"]}]},
        "responsibility_matrix": {"owner": "ops"},
    },
    "renderings": {"summary_visual": {"image_base64": "data:image/png;base64," + encoded(OTHER)}},
    "metadata": {"confidence": 0.9},
}
SOP = {"steps": ["ask", "book"]}


@pytest.fixture
def storage(store):
    return ArtifactStorage(store, strict=True)


async def put(storage, tenant, data=SOP, name="sop", **metadata):
    return await storage.store_artifact(name, data, tenant, metadata)


async def listed(storage, tenant, *args, name="sop", **fields):
    return [entry["artifact_id"] for entry in await storage.list_artifacts(name, tenant, *args, **fields)]


# -- storing and getting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["store_artifact", "store_composite_artifact"])
async def test_a_blueprint_is_stored_with_its_pictures_and_comes_back_whole(storage, t, method):
    answer = await getattr(storage, method)("blueprint", BLUEPRINT, t.name)
    version = await t.resolve(f"id:{answer['artifact_id']}")
    assert version.name.startswith("blueprint/")
    assert len(version.name) == len("blueprint/") + 32
    assert answer == {
        "success": True,
        "artifact_id": str(version.id),
        "storage_path": f"cas://{t.name}/{version.name}@1",
        "visual_paths": {
            "flow_visual": {
                "storage_path": f"cas://{t.name}/{version.name}@1#semantic_payload.current_state.flow_visual",
                "format": "png",
            },
            "summary_visual": {"storage_path": f"cas://{t.name}/{version.name}@1#summary_visual", "format": "png"},
        },
    }
    assert exact(await storage.get_artifact(answer["artifact_id"], t.name, include_visuals=True)) == exact(BLUEPRINT)
    assert set(version.roles) == {
        *("current_state", "coexistence_state", "roadmap", "responsibility_matrix", "envelope"),
        *("semantic_payload.current_state.flow_visual", "summary_visual"),
    }
    assert version.type == "blueprint"


async def test_pictures_are_references_unless_they_are_asked_for(storage, t):
    answer = await storage.store_artifact("blueprint", BLUEPRINT, t.name)
    shown = await storage.get_artifact(answer["artifact_id"], t.name)
    paths = {key: visual["storage_path"] for key, visual in answer["visual_paths"].items()}
    assert shown["renderings"] == {
        "summary_visual": {"storage_path": paths["summary_visual"], "format": "png", "width": 4, "height": 5}
    }
    assert shown["semantic_payload"]["current_state"] == {
        "steps": 7,
        "flow_visual": {
            "storage_path": paths["flow_visual"],
            "format": "png",
            "width": 3,
            "height": 2,
            "title": "Now",
        },
    }
    for visual, data in (("flow_visual", PNG), ("summary_visual", OTHER)):
        assert await storage.get_visual(paths[visual], t.name) == data
        assert base64.b64decode(await storage.get_visual_base64(paths[visual], t.name)) == data
        role = paths[visual].partition("#")[2]
        assert await storage.get_visual(f"id:{answer['artifact_id']}#{role}", t.name) == data


async def test_pictures_are_not_read_for_references(storage, t, stored):
    """A reference to a picture that is lost is still a reference; the picture itself is not answered as if it were not there."""
    picture = png_bytes(7, 9)
    answer = await storage.store_artifact("sop", {"a_visual": picture, "of": t.name}, t.name)
    version = await t.resolve(f"id:{answer['artifact_id']}")
    (component,) = (each for each in version.components if each.role == "a_visual")
    stored.damage(component.digest, None)
    assert (await storage.get_artifact(answer["artifact_id"], t.name))["of"] == t.name


async def test_many_results_at_once_are_each_their_own(storage, t):
    answers = await asyncio.gather(*(storage.store_artifact("sop", {"n": n}, t.name) for n in range(20)))
    assert len({answer["artifact_id"] for answer in answers}) == 20
    for n, answer in enumerate(answers):
        assert await storage.get_artifact(answer["artifact_id"], t.name) == {"n": n}


@pytest.mark.slow
def test_any_result_comes_back_exactly(where):
    async def there_and_back(storage, result):
        answer = await storage.store_artifact("sop", result, "law")
        assert exact(await storage.get_artifact(answer["artifact_id"], "law", include_visuals=True)) == exact(result)
        shown = json.dumps(await storage.get_artifact(answer["artifact_id"], "law"))
        for visual in answer["visual_paths"].values():
            assert (await storage.get_visual(visual["storage_path"], "law")).startswith(b"\x89PNG")
        assert '"cas://law/sop/' in shown

    with asyncio.Runner() as runner:
        store = runner.run(AsyncStore(blobs=where.blobs, catalog=where.catalog).open())

        @settings(max_examples=60)
        @given(results())
        def law(result):
            runner.run(there_and_back(ArtifactStorage(store, strict=True), result))

        try:
            law()
        finally:
            runner.run(store.aclose())


@pytest.mark.parametrize("part", ["current_state", "coexistence_state", "roadmap", "responsibility_matrix"])
async def test_a_blueprint_changed_in_one_component_adds_exactly_one_blob(storage, store, t, part):
    first = json.loads(json.dumps(BLUEPRINT))
    for role in first["semantic_payload"]:
        first["semantic_payload"][role]["of"] = t.name  # bytes that nobody has stored
    before = await storage.store_artifact("blueprint", first, t.name)
    blobs = await all_blobs(store)
    second = json.loads(json.dumps(first))
    second["semantic_payload"][part]["more"] = True
    after = await storage.store_artifact("blueprint", second, t.name, {"parent_artifact_id": before["artifact_id"]})
    assert len(await all_blobs(store) - blobs) == 1
    old, new = [await t.resolve(f"id:{answer['artifact_id']}") for answer in (before, after)]
    assert (new.name, new.number) == (old.name, 2)
    assert [a.role for a, b in zip(old.components, new.components, strict=True) if a != b] == [part]


async def all_blobs(store):
    found, last = set(), None
    while page := await store._blobs.page(after=last):
        found |= {each.digest for each in page}
        last = page[-1].digest
    return found


@pytest.mark.slow
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
async def test_real_blueprints_solutions_roadmaps_and_pictures_come_back(storage, t):
    texts = defaultdict(dict)
    for folder in ("blueprint", "solution", "roadmap"):
        for path in sorted((CORPUS / folder).rglob("v*.*")) + sorted((CORPUS / folder).rglob("v*/*.*")):
            if path.is_file():
                version = path.with_suffix("") if folder != "blueprint" else path.parent
                texts[folder, version][path.stem] = path.read_text("utf-8")
    pictures = itertools.cycle(path.read_bytes() for path in sorted((CORPUS / "visual").rglob("*.png"))[:40])
    names: dict[Path, str] = {}
    for (folder, version), parts in texts.items():
        payload = parts if folder == "blueprint" else {"text": next(iter(parts.values()))}
        picture = {"image_base64": encoded(next(pictures))}
        result = {"result_type": folder, "semantic_payload": payload, "renderings": {f"{folder}_visual": picture}}
        metadata = {"parent_artifact_id": names.get(version.parent), "intent_type": f"create_{folder}"}
        answer = await storage.store_artifact(folder, result, t.name, metadata)
        names[version.parent] = answer["artifact_id"]
        assert exact(await storage.get_artifact(answer["artifact_id"], t.name, include_visuals=True)) == exact(result)
    entries = [await storage.list_artifacts(folder, t.name) for folder in ("blueprint", "solution", "roadmap")]
    assert sum(entry["version"] for folder in entries for entry in folder) == len(texts) > 400


# -- whose it is, and what is none -----------------------------------------------------------------------------------------


async def test_another_tenants_an_unknown_and_a_malformed_id_are_all_nothing(storage, t, other):
    answer = await storage.store_artifact("sop", {"a_visual": PNG}, t.name)
    identity, path = answer["artifact_id"], answer["visual_paths"]["a_visual"]["storage_path"]
    for tenant, wrong in [
        *((other.name, each) for each in (identity, UUID(identity), identity.upper())),
        *((t.name, each) for each in (str(uuid4()), "", "x", None, 7, path, f"id:{identity}", "\0", "é", [])),
        ("nobody-yet", identity),
    ]:
        assert await storage.get_artifact(wrong, tenant) is None
        assert await storage.get_artifact(wrong, tenant, include_visuals=True) is None
        assert await storage.get_metadata(wrong, tenant) is None
    assert await storage.get_artifact(UUID(identity), t.name) == await storage.get_artifact(identity, t.name)
    bare, role = path.removeprefix(f"cas://{t.name}/").partition("#")[::2]
    for tenant, wrong in [
        *((other.name, each) for each in (path, f"id:{identity}#{role}", path.replace(t.name, other.name))),
        *(
            (t.name, each)
            for each in (f"{bare}#{role}", path + "x", f"{path}#x", path.partition("#")[0], "", None, 7, "x")
        ),
        *(
            (t.name, each)
            for each in (f"id:{identity}", f"id:{identity}#main", f"{t.name}/{bare}#{role}", "cas://", "\0")
        ),
        (t.name, f"https://example.com/{t.name}/{bare}#{role}"),
        (t.name, f"cas://{t.name}/../{other.name}/{bare}#{role}"),
        ("nobody-yet", path),
    ]:
        assert await storage.get_visual(wrong, tenant) is None, wrong
        assert await storage.get_visual_base64(wrong, tenant) is None
    assert await storage.list_artifacts("sop", other.name) == await storage.list_artifacts("sop", "nobody-yet") == []


@pytest.mark.parametrize("tenant", [None, "", "a b", "../x", 7])
async def test_a_tenant_that_is_none_is_told_and_never_the_default(storage, store, tenant):
    await store.tenant().put("sop/x", SOP, type="sop")  # what the default tenant has
    for call in (
        put(storage, tenant),
        storage.get_artifact(str(uuid4()), tenant),
        storage.get_visual("cas://default/sop/x@1#main", tenant),
        storage.list_artifacts("sop", tenant),
    ):
        with fails(Invalid, Code.BAD_TENANT):
            await call


async def test_a_picture_put_by_itself_is_a_visual_and_no_result(storage, t):
    version = await t.put("visual/x", Part(PNG, "image/png"), type="visual")
    assert await storage.get_visual(f"cas://{t.name}/visual/x@1", t.name) == PNG
    for visuals in (True, False):
        with fails(Invalid, Code.BAD_COMPONENTS):
            await storage.get_artifact(str(version.id), t.name, visuals)
    await t.put("doc/x", Components(a={}, b={}))
    assert await storage.get_visual(f"cas://{t.name}/doc/x@1", t.name) is None


# -- the registry ----------------------------------------------------------------------------------------------------------

FIELDS = {
    "session_id": "s-1",
    "solution_id": "so-1",
    "execution_id": "e-1",
    "intent_type": "generate_sop",
    "intent_id": "i-1",
    "realm": "journey",
    "owner": "client",
    "purpose": "delivery",
    "regenerable": True,
    "retention_policy": {"days": 30, "why": "contract"},
    "a field of tomorrow": [1, 2.5, None, {"ü": False}],
}


async def test_every_field_is_kept_listed_and_filtered_by(storage, t):
    source = await put(storage, t.name)
    asked = {**FIELDS, "source_artifact_ids": [source["artifact_id"]], "lifecycle_state": "accepted"}
    before = json.dumps(asked)
    answer = await put(storage, t.name, {"n": 1}, **asked)
    assert json.dumps(asked) == before
    version = await t.resolve(f"id:{answer['artifact_id']}")
    (entry,) = await storage.list_artifacts("sop", t.name, 1)
    assert entry == await storage.get_metadata(answer["artifact_id"], t.name)
    assert entry == {
        **asked,
        "artifact_id": answer["artifact_id"],
        "artifact_type": "sop",
        "tenant_id": t.name,
        "version": 1,
        "parent": None,
        "is_current_version": True,
        "storage_path": answer["storage_path"],
        "created_at": version.created_at.isoformat(),
    }
    json.dumps(entry)
    for field, value in asked.items():
        assert await listed(storage, t.name, **{field: value}) == [answer["artifact_id"]], field
    assert await listed(storage, t.name, session_id="s-1", realm="content") == []
    assert await listed(storage, t.name, session_id=None, owner=None) == [answer["artifact_id"], source["artifact_id"]]
    assert await listed(storage, t.name, lifecycle_state="draft") == [source["artifact_id"]]
    assert await listed(storage, t.name, lifecycle_state="obsolete") == []
    (up, down) = (await t.lineage(version.ref)).versions
    assert [str(link.source) for link in up.sources] == [source["artifact_id"]] == [str(down.version.id)]
    (step,) = await t.transitions(version.ref)
    assert (step.before, step.state, step.by, step.reason) == ("draft", "accepted", "e-1", "stored as accepted")


async def test_an_artifact_may_be_obsolete_from_its_beginning(storage, t):
    answer = await put(storage, t.name, lifecycle_state="obsolete")
    (step,) = await t.transitions(f"id:{answer['artifact_id']}")
    assert (step.before, step.state, step.by) == ("draft", "obsolete", "platform")


@pytest.mark.parametrize(
    "metadata",
    [
        {"owner": "me"},
        {"owner": ["client"]},
        {"purpose": "fun"},
        {"lifecycle_state": "done"},
        {"lifecycle_state": ["draft"]},
        {"parent_artifact_id": "x"},
        {"parent": 7},
        {"source_artifact_ids": "x"},
        {"source_artifact_ids": ["x"]},
        {"source_artifact_ids": {"a": 1}},
        {"note": {1}},
        {"note": float("nan")},
        {"note": "\0"},
        {1: "note"},
        {"note": "x" * 40_000},
        ["owner"],
        "owner",
    ],
)
async def test_metadata_that_cannot_be_kept_is_refused(storage, t, metadata):
    with fails(Invalid, Code.BAD_METADATA):
        await storage.store_artifact("sop", SOP, t.name, metadata)
    assert await storage.list_artifacts("sop", t.name) == []


async def test_words_are_kept_as_words_whatever_they_were_given_as(storage, t):
    class Word(str, enum.Enum):  # noqa: UP042 - what a StrEnum was before Python 3.11
        OURS = "shared"
        DONE = "accepted"

    answer = await put(storage, t.name, owner=Word.OURS, lifecycle_state=Word.DONE, purpose=None)
    entry = await storage.get_metadata(answer["artifact_id"], t.name)
    assert (entry["owner"], entry["lifecycle_state"], entry["purpose"]) == ("shared", "accepted", None)
    assert (await t.transitions(f"id:{answer['artifact_id']}"))[0].reason == "stored as accepted"
    assert await listed(storage, t.name, lifecycle_state=Word.DONE, owner=Word.OURS) == [answer["artifact_id"]]


async def test_what_the_store_knows_is_not_taken_from_metadata(storage, t):
    false = {
        "artifact_id": str(uuid4()),
        "artifact_type": "poc",
        "tenant_id": "other",
        "version": 9,
        "created_at": "now",
        "is_current_version": False,
        "storage_path": "cas://other/x@1",
    }
    answer = await put(storage, t.name, **false)
    entry = await storage.get_metadata(answer["artifact_id"], t.name)
    assert entry.keys() == {*false, "parent", "lifecycle_state"}
    assert not any(entry[field] == value for field, value in false.items())
    assert (await t.resolve(f"id:{answer['artifact_id']}")).metadata == {}


# -- versions --------------------------------------------------------------------------------------------------------------


async def test_a_parent_makes_the_next_version(storage, t):
    first = await put(storage, t.name, {"n": 1})
    second = await put(storage, t.name, {"n": 2}, parent_artifact_id=first["artifact_id"])
    third = await put(storage, t.name, {"n": 2}, parent=UUID(second["artifact_id"]))
    # The same content is a version, too.
    assert [each["storage_path"].rpartition("@")[2] for each in (first, second, third)] == ["1", "2", "3"]
    entries = [await storage.get_metadata(each["artifact_id"], t.name) for each in (first, second, third)]
    assert [(entry["version"], entry["is_current_version"], entry["parent"]) for entry in entries] == [
        (1, False, None),
        (2, False, first["artifact_id"]),
        (3, True, second["artifact_id"]),
    ]
    assert await storage.list_artifacts("sop", t.name) == entries[2:]
    assert await listed(storage, t.name, parent_artifact_id=second["artifact_id"]) == [third["artifact_id"]]
    assert await listed(storage, t.name, parent=second["artifact_id"]) == [third["artifact_id"]]
    assert await storage.get_artifact(first["artifact_id"], t.name) == {"n": 1}


async def test_an_entry_that_was_listed_may_be_given_for_the_next_version(storage, t):
    identity = (await put(storage, t.name, owner="client"))["artifact_id"]
    for number in (2, 3):
        entry = await storage.get_metadata(identity, t.name)
        identity = (await put(storage, t.name, **{**entry, "parent_artifact_id": identity}))["artifact_id"]
        entry = await storage.get_metadata(identity, t.name)
        assert (entry["version"], entry["owner"], entry["artifact_id"]) == (number, "client", identity)


async def test_the_parent_of_a_version_that_was_put_otherwise_is_looked_up(storage, t):
    first = await put(storage, t.name)
    name = (await t.resolve(f"id:{first['artifact_id']}")).name
    await t.put(name, {"n": 2}, metadata={"version": 9, "tenant_id": "other", "storage_path": "x", "realm": "journey"})
    (entry,) = await storage.list_artifacts("sop", t.name)
    assert (entry["version"], entry["parent"], entry["realm"]) == (2, first["artifact_id"], "journey")
    assert (entry["tenant_id"], entry["storage_path"]) == (t.name, f"cas://{t.name}/{name}@2")


@pytest.mark.parametrize("state", ["draft", "accepted"])
async def test_a_parent_that_is_not_the_newest_anothers_or_of_another_type_is_refused(storage, t, other, state):
    first = await put(storage, t.name)
    await put(storage, t.name, parent_artifact_id=first["artifact_id"])
    foreign = await put(storage, other.name)
    poc = await put(storage, t.name, name="poc")
    refused = Code.TRANSACTION_REFUSED if state != "draft" else None  # it was to be a transaction
    for parent, kind, code in [
        (first, Conflict, refused or Code.HEAD_MOVED),
        (poc, Conflict, refused or Code.TYPE_MISMATCH),
        (foreign, NotFound, Code.VERSION_NOT_FOUND),
        ({"artifact_id": str(uuid4())}, NotFound, Code.VERSION_NOT_FOUND),
    ]:
        with fails(kind, code):
            await put(storage, t.name, {"n": 3}, parent_artifact_id=parent["artifact_id"], lifecycle_state=state)
    assert [entry["version"] for entry in await storage.list_artifacts(None, t.name)] == [1, 2]


async def test_of_two_next_versions_at_once_one_is_refused(storage, t):
    first = (await put(storage, t.name))["artifact_id"]
    soft = ArtifactStorage(storage._store)
    answers = await asyncio.gather(*(put(soft, t.name, {"n": n}, parent_artifact_id=first) for n in range(5)))
    assert sorted(answer.get("code", "") for answer in answers) == ["", *["head_moved"] * 4]


async def test_a_source_that_is_not_this_tenants_is_refused(storage, t, other):
    foreign = (await put(storage, other.name))["artifact_id"]
    for wrong in (foreign, str(uuid4())):
        with fails(NotFound, Code.VERSION_NOT_FOUND):
            await put(storage, t.name, source_artifact_ids=[wrong])
    mine = (await put(storage, t.name))["artifact_id"]
    answer = await put(storage, t.name, source_artifact_ids=(mine.upper(), UUID(mine), mine))
    assert (await storage.get_metadata(answer["artifact_id"], t.name))["source_artifact_ids"] == [mine]


# -- lists -----------------------------------------------------------------------------------------------------------------


async def test_lists_are_newest_first_and_in_pages_that_meet(storage, t, monkeypatch):
    monkeypatch.setattr(limits, "PAGE_MAX", 3)
    made = [(await put(storage, t.name, {"n": n}))["artifact_id"] for n in range(10)][::-1]
    await put(storage, t.name, name="poc")
    assert await listed(storage, t.name) == made
    assert await listed(storage, t.name, None, 4) == made[4:]
    for limit, offset in itertools.product((0, 1, 3, 4, 10, 11), (None, 0, 1, 3, 9, 10, 50)):
        assert await listed(storage, t.name, limit, offset) == made[offset or 0 :][:limit]
    assert await listed(storage, t.name, limit=2, offset=1) == made[1:3]
    assert len(await listed(storage, t.name, name=None)) == 11


@pytest.mark.parametrize(
    ("arguments", "fields", "code"),
    [
        (("sop", -1), {}, Code.BAD_ARGUMENT),
        (("sop", None, -1), {}, Code.BAD_ARGUMENT),
        (("sop", True), {}, Code.BAD_ARGUMENT),
        (("sop", "3"), {}, Code.BAD_ARGUMENT),
        (("SOP",), {}, Code.BAD_TYPE),
        (("sop",), {"version": 1}, Code.BAD_ARGUMENT),
        (("sop",), {"artifact_id": "x"}, Code.BAD_ARGUMENT),
        (("sop",), {"lifecycle_state": "done"}, Code.BAD_METADATA),
        (("sop",), {"owner": "me"}, Code.BAD_METADATA),
    ],
)
async def test_a_list_that_cannot_be_is_told(storage, t, arguments, fields, code):
    name, *rest = arguments
    with fails(Invalid, code):
        await storage.list_artifacts(name, t.name, *rest, **fields)


# -- deleting --------------------------------------------------------------------------------------------------------------


async def test_what_is_deleted_is_gone_with_its_pictures_and_nothing_else_is(storage, t, other):
    first = await put(storage, t.name, {"n": 1, "a_visual": PNG})
    second = await put(storage, t.name, {"n": 2, "a_visual": PNG}, parent_artifact_id=first["artifact_id"])
    identity, path = second["artifact_id"], second["visual_paths"]["a_visual"]["storage_path"]
    assert await storage.delete_artifact(identity, other.name) is False
    assert await storage.delete_artifact(identity, t.name, reason="a test") is True
    assert await storage.get_artifact(identity, t.name) is None
    assert await storage.get_metadata(identity, t.name) is None
    assert await storage.get_visual(path, t.name) is None
    assert await listed(storage, t.name) == [first["artifact_id"]]
    assert (await storage.get_metadata(first["artifact_id"], t.name))["is_current_version"] is True
    assert await storage.get_visual(first["visual_paths"]["a_visual"]["storage_path"], t.name) == PNG
    assert await storage.delete_artifact(identity, t.name) is True
    (deleted,) = await t.trash()
    assert (str(deleted.id), deleted.by, deleted.reason) == (identity, "platform", "a test")
    with fails(NotFound, Code.VERSION_DELETED):
        await put(storage, t.name, parent_artifact_id=identity)
    third = await put(storage, t.name, {"n": 3}, parent_artifact_id=first["artifact_id"])
    assert (await storage.get_metadata(third["artifact_id"], t.name))["parent"] == first["artifact_id"]


async def test_what_is_not_there_is_not_deleted(storage, t):
    for wrong in (str(uuid4()), "", "x", None, 7, "id:x"):
        assert await storage.delete_artifact(wrong, t.name) is False
    with fails(Invalid, Code.BAD_TENANT):
        await storage.delete_artifact(str(uuid4()), None)


async def test_what_others_were_made_from_is_not_deleted(storage, t):
    source = (await put(storage, t.name))["artifact_id"]
    made = (await put(storage, t.name, name="poc", source_artifact_ids=[source]))["artifact_id"]
    with fails(Conflict, Code.STILL_USED):
        await storage.delete_artifact(source, t.name)
    assert await storage.get_artifact(source, t.name) == SOP
    assert await storage.delete_artifact(made, t.name) is True
    assert await storage.delete_artifact(source, t.name) is True
    assert await storage.list_artifacts(None, t.name) == []
