"""Moving in: whatever the platform had kept in its old layout comes back from the store as it was, and the source is as it was."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, Invalid, limits
from casstore.errors import Code
from casstore.integrations.artifact_storage import ArtifactStorage
from casstore.integrations.moving_in import move_in
from casstore.testing.audit import audit
from tests.operations.failing import fails
from tests.support.old_layout import platform, state_of, write, written
from tests.unit.kind_parts import png_bytes
from tests.unit.visuals_drawn import encoded, exact, results

PNG, OTHER = png_bytes(3, 2), png_bytes(4, 5)
IMAGE = {"image_base64": encoded(PNG)}
SOP = {"steps": ["ask", "book"]}
BLUEPRINT = {
    "result_type": "blueprint",
    "semantic_payload": {
        "current_state": {"steps": 7, "flow_visual": {**IMAGE, "title": "Now"}},
        "coexistence_state": {"steps": 4},
        "roadmap": {"phases": [{"id": "plan"}, {"id": "build", "depends_on": ["plan"]}]},
        "responsibility_matrix": {"owner": "ops"},
    },
    "renderings": {"summary_visual": {"title": "All", "image_base64": encoded(OTHER)}},
    "metadata": {"confidence": 0.9, "session_id": "s-1", "owner": "client"},
}


@pytest.fixture
def storage(store):
    return ArtifactStorage(store, strict=True)


@pytest.fixture
def move(store, tmp_path):
    """`await move(files, …)`: write these files into the source, move in, and see that nothing in it was touched."""

    async def go(files=(), **options):
        root = write(tmp_path / "old", dict(files))
        before = state_of(root)
        report = await move_in(store, root, **options)
        assert state_of(root) == before
        return report

    go.root = tmp_path / "old"
    return go


def at(t, name, kind="sop"):
    return f"artifacts/{kind}/{t.name}/{name}.json"


def doc(result=SOP, **envelope):
    return json.dumps({"artifact_data": result, **envelope} if envelope else result).encode()


def by_path(report):
    return {entry.path: entry for entry in report.entries}


def refusals(report):
    return {entry.path: entry.code for entry in report.entries if entry.status == "refused"}


async def moved(storage, t, ref, *, visuals=True):
    return await storage.get_artifact(str((await t.resolve(ref)).id), t.name, visuals)


# -- what comes back -------------------------------------------------------------------------------------------------------


async def test_a_blueprint_with_its_pictures_comes_back_as_it_was(move, storage, t):
    path = at(t, "b-1", "blueprint")
    files = written(path, BLUEPRINT)
    report = await move(files)
    version = await t.resolve("blueprint/b-1")
    assert exact(await moved(storage, t, "blueprint/b-1")) == exact(BLUEPRINT)
    (entry,) = report.entries
    assert entry.model_dump() == {
        "path": path,
        "status": "stored",
        "ref": "blueprint/b-1@1",
        "code": None,
        "reason": "",
        "size_bytes": version.size_bytes,
        "new_bytes": version.size_bytes,
    }
    assert report.model_dump(exclude={"entries", "bytes_read", "bytes_added"}) == {
        "stored": 1, "deduplicated": 0, "already_there": 0, "refused": 0, "skipped": 0,
    }  # fmt: skip
    answer = await storage.store_artifact("blueprint", BLUEPRINT, t.name)
    as_stored = await t.resolve(f"id:{answer['artifact_id']}")
    assert (version.digest, version.components, version.relations) == (
        as_stored.digest, as_stored.components, as_stored.relations,
    )  # fmt: skip
    assert version.metadata["session_id"] == "s-1"
    assert version.metadata["owner"] == "client"
    assert version.metadata["moved_from"].keys() == {"artifact_id", "path", "digest"}
    assert version.metadata["moved_from"]["path"] == path
    assert "confidence" not in version.metadata


@pytest.mark.slow
def test_any_result_moves_in_exactly(where, tmp_path):
    numbers = itertools.count()

    async def there_and_back(store, drawn, wrapped):
        tenant, root = f"law-{next(numbers)}", tmp_path / str(next(numbers))
        expected = {f"r{n}": platform(result) for n, result in enumerate(drawn)}
        for name, result in expected.items():
            envelope = {"metadata": {"intent_id": name}} if wrapped else {}
            write(root, written(f"artifacts/note/{tenant}/{name}.json", result, **envelope))
        before = state_of(root)
        report = await move_in(store, root)
        assert {entry.ref for entry in report.entries} == {f"note/{name}@1" for name in expected}, report
        storage = ArtifactStorage(store, strict=True)
        for name, result in expected.items():
            assert exact(await moved(storage, store.tenant(tenant), f"note/{name}")) == exact(result)
        again = await move_in(store, root)
        assert (again.already_there, len(again.entries), again.bytes_added) == (len(expected), len(expected), 0)
        assert state_of(root) == before
        shutil.rmtree(root)

    with asyncio.Runner() as runner:
        store = runner.run(AsyncStore(blobs=where.blobs, catalog=where.catalog).open())

        @settings(max_examples=60)
        @given(st.lists(results(), min_size=1, max_size=3), st.booleans())
        def law(drawn, wrapped):
            runner.run(there_and_back(store, drawn, wrapped))

        try:
            law()
        finally:
            runner.run(store.aclose())


@pytest.mark.parametrize(
    "reference",
    [
        {"storage_path": "{folder}/x.png", "format": "png"},
        {"storage_path": "{folder}/x.png"},
        {"storage_path": "/{folder}/x.png", "format": "PNG"},
        {"format": "png", "image_base64": None, "storage_path": "{root}/{folder}/x.png"},
        {"image_base64": "", "storage_path": "{folder}/x.png", "format": None},
    ],
)
async def test_a_reference_may_be_spelled_in_many_ways(move, storage, t, reference):
    folder = f"artifacts/sop_visual/{t.name}"
    path = reference["storage_path"].format(folder=folder, root=move.root)
    result = {"n": 1, "a": {"flow_visual": {"title": "Now", **reference, "storage_path": path, "alt": "x"}}}
    await move({at(t, "a"): doc(result), f"{folder}/x.png": PNG})
    assert exact(await moved(storage, t, "sop/a")) == exact(
        {"n": 1, "a": {"flow_visual": {"title": "Now", **IMAGE, "alt": "x"}}}
    )


async def test_a_reference_anywhere_says_that_it_is_a_png(move, storage, t):
    files = {
        at(t, "a"): doc({"cover": {"storage_path": "covers/x.png", "format": "png"}, "file": {"storage_path": "x"}})
    }
    await move(files | {"covers/x.png": PNG})
    assert await moved(storage, t, "sop/a") == {"cover": IMAGE, "file": {"storage_path": "x"}}


async def test_one_picture_may_be_in_several_documents_and_places(move, storage, t):
    place = {"storage_path": "shared.png", "format": "png"}
    twice = doc({"a_visual": place, "b": [{"c_chart": dict(place)}]})
    report = await move({at(t, "a"): twice, at(t, "b"): doc({"a_visual": place}), "shared.png": PNG})
    assert [entry.path for entry in report.entries] == [at(t, "a"), at(t, "b")]
    assert await moved(storage, t, "sop/a") == {"a_visual": IMAGE, "b": [{"c_chart": IMAGE}]}
    assert await moved(storage, t, "sop/b") == {"a_visual": IMAGE}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"n": 1}, {"n": 1, "a_visual": IMAGE}),
        ({"n": 1, "renderings": {"b": 2}}, {"n": 1, "renderings": {"b": 2, "a_visual": IMAGE}}),
        ({"renderings": {"a_visual": None}}, {"renderings": {"a_visual": IMAGE}}),
        ({"a_visual": {"storage_path": "x.png"}}, {"a_visual": IMAGE}),
    ],
)
async def test_pictures_that_only_an_envelope_knows_get_their_place(move, storage, t, data, expected):
    paths = {"a_visual": {"storage_path": "x.png", "format": "png"}, "none_visual": None}
    await move({at(t, "a"): doc(data, visual_paths=paths), "x.png": PNG})
    assert await moved(storage, t, "sop/a") == expected


@pytest.mark.parametrize(
    "document",
    [
        {"artifact_data": SOP},  # nothing says that it is an envelope
        {"artifact_data": SOP, "metadata": {}, "mine": 1},  # something of it would be lost
        {"artifact_data": SOP, "metadata": "x"},
        {"artifact_data": [1], "metadata": {}},
        {"data": SOP, "artifact_data": SOP, "metadata": {}},
        {"artifact_data": SOP, "visual_paths": [1]},
        {},
    ],
)
async def test_what_is_no_envelope_is_a_result(move, storage, t, document):
    await move({at(t, "a"): json.dumps(document).encode()})
    assert await moved(storage, t, "sop/a") == document


# -- what is known of it ---------------------------------------------------------------------------------------------------


async def test_an_envelopes_metadata_is_the_registrys_entry(move, storage, t):
    fields = {"session_id": "s-1", "owner": "client", "lifecycle_state": "accepted", "execution_id": "e-1", "mine": [1]}
    about = {
        "version": "v7",
        "created_at": "2024-01-01",
        "artifact_type": "sop",
        "tenant_id": t.name,
        "updated_at": "x",
    }
    await move(
        {at(t, "a"): doc(metadata=fields, artifact_id="old-1", storage_path="y", is_current_version=True, **about)}
    )
    (entry,) = await storage.list_artifacts("sop", t.name, session_id="s-1", moved_from={"artifact_id": "old-1"})
    assert {key: entry[key] for key in ("lifecycle_state", "owner", "mine", "version", "updated_at")} == {
        "lifecycle_state": "accepted", "owner": "client", "mine": [1], "version": 1, "updated_at": "x",
    }  # fmt: skip
    assert entry["moved_from"] | {"digest": ""} == {
        "artifact_id": "old-1",
        "path": at(t, "a"),
        "digest": "",
        "version": "v7",
        "created_at": "2024-01-01",
        "storage_path": "y",
        "is_current_version": True,
    }
    (step,) = await t.transitions("sop/a")
    assert (step.state, step.by) == ("accepted", "e-1")


async def test_fields_that_do_not_fit_are_kept_and_do_not_refuse(move, t):
    odd = {"owner": "Ms Jones", "purpose": "x", "lifecycle_state": "live", "source_artifact_ids": "y", "realm": "r"}
    await move({at(t, "a"): doc(metadata={**odd, "parent": 3, "moved_from": 4}), at(t, "b"): doc({"metadata": odd})})
    for name, more in (("a", {"parent": 3, "moved_from": 4}), ("b", {})):
        version = await t.resolve(f"sop/{name}")
        left = {key: value for key, value in version.metadata["moved_from"].items() if key not in ("path", "digest")}
        expected = {key: value for key, value in odd.items() if key != "realm"} | more
        assert left == {**expected, "artifact_id": name}
        assert version.metadata["realm"] == "r"
        assert version.state == "draft"


async def test_ids_that_are_no_names_are_made_legal_and_reported(move, storage, t):
    names = ["a b", "größe", "x..", "x" * 80, "-", "Same", "same", "a..b"]
    report = await move({at(t, name): doc({"is": name}) for name in names})
    assert (report.stored, report.refused) == (len(names), 0)
    for name in names:
        entry = by_path(report)[at(t, name)]
        assert entry.reason == f"as {entry.ref.partition('@')[0]}, its id not being fit for a name"
        assert await moved(storage, t, entry.ref) == {"is": name}
        assert (await t.resolve(entry.ref)).metadata["moved_from"]["artifact_id"] == name
    assert len({entry.ref.lower() for entry in report.entries}) == len(names)
    assert (await move()).already_there == len(names)


# -- versions and sources --------------------------------------------------------------------------------------------------


async def test_a_chain_of_parents_is_one_name_in_order(move, storage, t):
    files = {
        at(t, "c"): doc({"n": 1}),
        at(t, "a"): doc({"n": 2}, metadata={"parent_artifact_id": "c", "version": 2}),
        at(t, "b"): doc({"n": 3}, metadata={"parent": "a", "version": 3}),
    }
    report = by_path(await move(files))
    assert [report[at(t, name)].ref for name in "cab"] == ["sop/c@1", "sop/c@2", "sop/c@3"]
    for number in (1, 2, 3):
        assert await moved(storage, t, f"sop/c@{number}") == {"n": number}
    first, second = [await t.resolve(f"sop/c@{number}") for number in (1, 2)]
    (entry,) = await storage.list_artifacts("sop", t.name)
    assert (entry["version"], entry["parent"]) == (3, str(second.id))
    assert second.metadata["parent_artifact_id"] == str(first.id)
    assert "parent_artifact_id" not in second.metadata["moved_from"]


async def test_versions_that_share_an_id_are_ordered_by_their_numbers(move, t):
    versions = {"p-x": 10, "p-y": 9, "p-z": "2"}
    files = {at(t, name): doc({"n": v}, artifact_id="p", version=v, parent="p") for name, v in versions.items()}
    report = by_path(await move(files))
    assert [report[at(t, name)].ref for name in ("p-z", "p-y", "p-x")] == ["sop/p-z@1", "sop/p-z@2", "sop/p-z@3"]
    assert "its parent 'p' is not here" in report[at(t, "p-z")].reason
    assert report[at(t, "p-x")].reason == ""


async def test_branches_are_put_one_after_the_other_and_keep_their_parent(move, storage, t):
    files = {at(t, "a"): doc()}
    for name, version in (("b", 2), ("c", 3), ("d", 4)):
        files[at(t, name)] = doc({"n": version}, parent_artifact_id="a" if name != "d" else "b", version=version)
    report = by_path(await move(files))
    assert [report[at(t, name)].ref for name in "abcd"] == [f"sop/a@{n}" for n in (1, 2, 3, 4)]
    branch = await t.resolve("sop/a@3")
    assert branch.metadata["parent_artifact_id"] == str((await t.resolve("sop/a@1")).id)
    last = await t.resolve("sop/a@4")
    assert last.metadata["parent_artifact_id"] == str((await t.resolve("sop/a@2")).id)


async def test_parents_elsewhere_are_noted_only(move, store, t, other):
    files = {
        at(t, "a"): doc(metadata={"parent_artifact_id": "gone"}),
        at(t, "b"): doc({"n": 2}, metadata={"parent_artifact_id": "x"}),
        at(t, "x", "roadmap"): doc(),
        at(other, "x"): doc(),
    }
    report = by_path(await move(files))
    for name, parent in (("a", "gone"), ("b", "x")):
        assert report[at(t, name)].ref == f"sop/{name}@1"
        assert report[at(t, name)].reason == f"its parent '{parent}' is not here"
        assert (await t.resolve(f"sop/{name}")).metadata["moved_from"]["parent_artifact_id"] == parent


async def test_parents_in_a_circle_are_refused(move, t):
    files = {at(t, name): doc(metadata={"parent": parent}) for name, parent in ("ab", "bc", "ca", "dd")}
    report = await move(files | {at(t, "e"): doc(metadata={"parent": "a"})})
    assert refusals(report) == {at(t, name): Code.BAD_METADATA for name in "abce"}
    assert by_path(report)[at(t, "d")].ref == "sop/d@1"


async def test_sources_are_sources_when_they_are_moved_too(move, storage, t, other):
    files = {
        at(t, "a"): doc(metadata={"source_artifact_ids": ["z", "gone", "theirs", "r"]}),
        at(t, "z", "workflow"): doc({"n": 1}),
        at(t, "r", "roadmap"): doc({"n": 2}),
        at(other, "theirs"): doc(),
    }
    report = by_path(await move(files, at_once=1))
    version = await t.resolve("sop/a")
    sources = [str((await t.resolve(ref)).id) for ref in ("workflow/z", "roadmap/r")]
    assert version.metadata["source_artifact_ids"] == sources
    assert version.metadata["moved_from"]["source_artifact_ids"] == ["gone", "theirs"]
    assert report[at(t, "a")].reason == "its source 'gone' is not here; its source 'theirs' is not here"
    lineage = await t.lineage("sop/a")
    assert {str(node.version.id) for node in lineage.versions[1:]} == set(sources)


async def test_sources_in_a_circle_are_cut_and_told(move, t):
    files = {at(t, name): doc({"n": name}, metadata={"source_artifact_ids": [of]}) for name, of in ("ab", "bc", "ca")}
    report = await move(files)
    assert (report.stored, report.refused) == (3, 0)
    assert len([entry for entry in report.entries if "was made from it" in entry.reason]) == 1
    assert (await move()).already_there == 3


async def test_a_version_made_from_its_own_next_one_loses_that_source(move, t):
    files = {
        at(t, "a"): doc({"n": 1}, metadata={"source_artifact_ids": ["b"]}),
        at(t, "b"): doc({"n": 2}, metadata={"parent": "a", "source_artifact_ids": ["a"]}),
    }
    report = by_path(await move(files))
    assert "its source 'b' was made from it" in report[at(t, "a")].reason
    assert report[at(t, "b")].ref == "sop/a@2"


@pytest.mark.slow
def test_whatever_parents_and_sources_say_all_is_moved_once_or_refused(where, tmp_path):
    ids = st.sampled_from("abcdef")
    facts = st.fixed_dictionaries(
        {},
        optional={
            "parent_artifact_id": ids,
            "source_artifact_ids": st.lists(ids, max_size=3),
            "version": st.integers(1, 4),
            "artifact_id": ids,
        },
    )
    numbers = itertools.count()

    async def check(store, drawn):
        tenant, root = store.tenant(f"web-{next(numbers)}"), tmp_path / str(next(numbers))
        for (kind, name), fields in drawn.items():
            write(root, {at(tenant, name, kind): doc({"of": name}, metadata={**fields, "x": 1})})
        report = await move_in(store, root, at_once=3)
        refs = [entry.ref for entry in report.entries if entry.ref]
        assert len(report.entries) == len(drawn)
        assert len(set(refs)) == len(refs)
        assert set(refusals(report).values()) <= {Code.BAD_METADATA}
        for entry in report.entries:
            if entry.ref:
                assert (await tenant.resolve(entry.ref)).metadata["moved_from"]["path"] == entry.path
        again = await move_in(store, root)
        assert {(entry.path, entry.ref) for entry in again.entries} == {(e.path, e.ref) for e in report.entries}
        assert (again.already_there, again.stored, again.deduplicated) == (len(refs), 0, 0)
        shutil.rmtree(root)

    with asyncio.Runner() as runner:
        store = runner.run(AsyncStore(blobs=where.blobs, catalog=where.catalog).open())

        @settings(max_examples=60)
        @given(st.dictionaries(st.tuples(st.sampled_from(["sop", "note"]), ids), facts, min_size=1, max_size=8))
        def law(drawn):
            runner.run(check(store, drawn))

        try:
            law()
        finally:
            runner.run(store.aclose())


# -- again -----------------------------------------------------------------------------------------------------------------


async def test_again_stores_nothing_and_says_so(move, t):
    files = written(at(t, "a"), {"a_visual": IMAGE}) | {at(t, "b"): doc(metadata={"lifecycle_state": "accepted"})}
    first = await move(files)
    before = await t.usage()
    report = await move()
    assert {(e.path, e.ref, e.status) for e in report.entries} == {
        (e.path, e.ref, "already there") for e in first.entries
    }
    assert (report.already_there, report.stored, report.bytes_added) == (2, 0, 0)
    assert await t.usage() == before
    more = await move({at(t, "c"): doc({"new": t.name}, parent="b", version=2)})
    assert [(e.ref, e.status) for e in more.entries if e.status != "already there"] == [("sop/b@2", "stored")]


async def test_what_was_refused_is_moved_when_it_is_mended_and_holds_up_only_its_own_versions(move, t):
    path, picture = at(t, "b"), "b.png"
    files = {
        at(t, "a"): doc(),
        path: doc({"a_visual": {"storage_path": picture}}, parent="a"),
        at(t, "c"): doc({"n": 3}, parent="b"),
        at(t, "d"): doc({"n": 4}, metadata={"source_artifact_ids": ["b", "a"]}),
    }
    report = await move(files)
    assert refusals(report) == {path: Code.BAD_PICTURE, at(t, "c"): Code.BAD_PICTURE}
    assert by_path(report)[at(t, "c")].reason == f"{path} was refused, and this version must not take its number"
    assert by_path(report)[at(t, "d")].reason == "its source 'b' was refused"
    assert (await t.resolve("sop/d")).metadata["moved_from"]["source_artifact_ids"] == ["b"]
    report = by_path(await move({picture: PNG}))
    assert [(report[at(t, name)].ref, report[at(t, name)].status) for name in "abcd"] == [
        ("sop/a@1", "already there"),
        ("sop/a@2", "stored"),
        ("sop/a@3", "stored"),
        ("sop/d@1", "already there"),  # as it was: its source is no source of it any more
    ]


@pytest.mark.parametrize("state", ["draft", "accepted"])
async def test_an_edited_document_or_picture_is_told_and_nothing_is_stored(move, t, state):
    said = {"metadata": {"lifecycle_state": state}}
    await move(written(at(t, "a"), {"n": 1, "a_visual": IMAGE}, folder="p", **said) | {at(t, "b"): doc(**said)})
    before = await t.usage()
    report = await move({"p/0.png": OTHER, at(t, "b"): doc({"n": 2}, **said)})
    assert refusals(report) == dict.fromkeys((at(t, "a"), at(t, "b")), Code.IDEMPOTENCY_KEY_REUSED)
    assert "it was moved in before with other content" in by_path(report)[at(t, "a")].reason
    assert await t.usage() == before


async def test_what_was_deleted_since_stays_deleted(move, t):
    files = {
        at(t, "a"): doc(),
        at(t, "b"): doc({"n": 2}, metadata={"lifecycle_state": "accepted"}),
        at(t, "c"): doc({"n": 3}),
    }
    await move(files)
    for ref in ("sop/a@1", "sop/b@1"):
        await t.delete(ref, by="me")
    report = await move()
    assert report.stored == report.deduplicated == 0
    assert {(e.path, e.status, e.code) for e in report.entries} == {
        (at(t, "a"), "already there", None),
        (at(t, "b"), "already there", None),
        (at(t, "c"), "already there", None),
    }
    assert [version.name for version in (await t.list()).items] == ["sop/c"]


async def test_a_name_that_is_taken_is_told(move, t):
    await t.put("sop/a", "by hand", type="sop")
    report = await move({at(t, "a"): doc(), at(t, "b"): doc({"n": 2}, metadata={"lifecycle_state": "accepted"})})
    assert refusals(report) == {at(t, "a"): Code.HEAD_MOVED}
    assert "it would be version 1, but sop/a is at 1" in by_path(report)[at(t, "a")].reason


async def test_a_name_that_another_document_has_is_told_though_both_say_the_same(move, t):
    (entry,) = (await move({at(t, "a b"): doc()})).entries
    (move.root / at(t, "a b")).unlink()
    path = f"artifacts/{entry.ref.replace('sop/', f'sop/{t.name}/').removesuffix('@1')}.json"
    assert refusals(await move({path: doc()})) == {path: Code.HEAD_MOVED}


async def test_the_same_source_by_two_at_once(store, move, t):
    files = {at(t, f"n{n}"): doc({"n": n, "of": t.name}) for n in range(12)}
    files |= {at(t, f"m{n}"): doc({"m": n}, parent=f"n{n}") for n in range(12)}
    write(move.root, files)
    reports = await asyncio.gather(*(move_in(store, move.root) for _ in range(3)))
    for report in reports:
        assert report.refused == 0
        assert {e.ref for e in report.entries} == {f"sop/n{n}@{v}" for n in range(12) for v in (1, 2)}
    assert sum(report.stored + report.deduplicated for report in reports) == 24


@pytest.mark.parametrize("after", range(7))
async def test_interrupted_anywhere_and_run_again(move, store, t, after):
    """By an error between two documents; a kill at any moment is in tests/faults/test_moving_in.py."""
    files = {at(t, f"n{n}"): doc({"n": n}, source_artifact_ids=[f"n{n - 1}"]) for n in range(3)}
    files |= written(at(t, "p"), BLUEPRINT) | {
        at(t, f"v{n}"): doc({"v": n}, artifact_id="v", version=n) for n in range(3)
    }

    class Stopped(Exception):
        pass

    def stop(done, _total):
        if done >= after:
            raise Stopped

    with pytest.raises(Stopped):
        await move(files, at_once=2, progress=stop)
    report = await move()
    assert (report.refused, len(report.entries)) == (0, 7)
    assert report.already_there >= after
    assert {entry.ref for entry in report.entries} == {
        *("sop/n0@1", "sop/n1@1", "sop/n2@1", "sop/p@1", "sop/v0@1", "sop/v0@2", "sop/v0@3"),
    }
    assert [(await t.resolve(ref)).number for ref in ("sop/v0", "sop/n2")] == [3, 1]
    assert await audit(store) == []


# -- whose it is -----------------------------------------------------------------------------------------------------------


async def test_each_goes_to_the_tenant_of_its_path_or_to_one_alone(move, storage, t, other):
    files = {at(t, "a"): doc({"of": 1}), at(other, "a"): doc({"of": 2}), "stray.png": PNG}
    files |= {f"artifacts/sop/{t.name}/mine.png": PNG, f"artifacts/sop/{other.name}/theirs.png": PNG}
    files |= {at(t, other.name): doc({"of": 3}), f"artifacts/sop/{other.name}x/a.json": doc({"of": 4})}
    report = await move(files, tenant=other.name)
    assert {e.path: e.status for e in report.entries} == {
        at(other, "a"): "stored",
        f"artifacts/sop/{other.name}/theirs.png": "skipped",
    }
    assert (await t.list()).items == ()
    report = await move()
    assert (report.stored, report.already_there, report.skipped) == (3, 1, 3)
    assert await moved(storage, t, "sop/a") == {"of": 1}
    assert await moved(storage, other, "sop/a") == {"of": 2}


async def test_nothing_of_another_tenants_gets_in(move, t, other):
    theirs = f"artifacts/sop_visual/{other.name}/x.png"
    prefix = f"artifacts/sop/{t.name}x/y.png"
    files = {
        theirs: PNG,
        prefix: PNG,
        at(t, "c"): doc(tenant_id=other.name),
        at(t, "d"): doc(metadata={"tenant_id": 7}),
    }
    for name, path in (("a", theirs), ("b", prefix), ("e", f"artifacts/sop/{t.name}/../{other.name}/x.png")):
        files[at(t, name)] = doc({"a_visual": {"storage_path": path, "format": "png"}})
    report = await move(files)
    assert refusals(report) == {
        **{at(t, name): Code.BAD_PICTURE for name in "abe"},
        **{at(t, name): Code.BAD_TENANT for name in "cd"},
    }
    assert "is another tenant's" in by_path(report)[at(t, "a")].reason
    assert "is another tenant's" in by_path(report)[at(t, "b")].reason
    assert "says that it is of the tenant" in by_path(report)[at(t, "c")].reason
    assert (await t.list()).items == ()


# -- what cannot be moved --------------------------------------------------------------------------------------------------


async def test_a_picture_that_is_missing_or_damaged_refuses_its_document_alone(move, t):
    broken = bytearray(PNG)
    broken[50] ^= 1
    pictures = {"cut.png": PNG[:-5], "broken.png": bytes(broken), "text.png": b"hello", "empty.png": b""}
    paths = [*pictures, "gone.png", "../gone.png", "/etc/passwd", "file:///etc/passwd", "artifacts", "", "a\0b"]
    files = dict(pictures)
    for n, path in enumerate(paths):
        files[at(t, f"n{n}")] = doc({"n": n, "a": [{"b_visual": {"storage_path": path, "format": "png"}}]})
    files[at(t, "elsewhere")] = doc({"cover": {"storage_path": "cut.png", "format": "png"}})
    files[at(t, "svg")] = doc({"a_visual": {"storage_path": "good.png", "format": "svg"}})
    files[at(t, "nowhere")] = doc({"a_visual": 1}, visual_paths={"a_visual": "good.png"})
    files[at(t, "odd")] = doc({"n": 1}, visual_paths={"a_visual": 7})
    files |= {at(t, "fine"): doc({"a_visual": {"storage_path": "good.png"}}), "good.png": PNG, "unused.png": PNG}
    report = await move(files)
    moved_in = {at(t, f"n{paths.index('')}"), at(t, "fine")}  # an empty path refers to nothing
    documents = {path for path in files if path.endswith(".json")}
    assert refusals(report) == dict.fromkeys(documents - moved_in, Code.BAD_PICTURE)
    assert {e.path: e.reason for e in report.entries if e.status == "skipped"} == {
        "unused.png": "a picture that no document refers to"
    }
    assert {version.ref for version in (await t.list()).items} == {f"sop/n{paths.index('')}@1", "sop/fine@1"}
    assert (await t.usage()).versions == 2


async def test_a_hostile_folder(move, t, tmp_path):
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    bad = {
        "empty": b"",
        "half": b'{"a":',
        "list": b"[1]",
        "nan": b'{"a": NaN}',
        "deep": deep,
        "deeper": b"[" * 100_000,
        "latin": b'{"a": "\xe4"}',
        "surrogate": b'{"a": "\\ud800"}',
        "inf": b'{"a": 1e999}',
        "digits": b'{"a": ' + b"9" * 5000 + b"}",
    }
    files = {at(t, name): data for name, data in bad.items()}
    files |= {
        at(t, "good"): doc(),
        f"artifacts/SOP/{t.name}/x.json": doc(),
        "artifacts/sop/a b/x.json": doc(),
        "artifacts/sop/../sop/..x/x.json": doc(),
        at(t, "b", "blueprint") + "x": doc(),
        at(t, "roadmap", "roadmap"): doc({"phases": [{"id": "a", "depends_on": ["b"]}]}),
        at(t, "many"): doc(metadata={"x": "y" * limits.METADATA_MAX_BYTES}),
        f"artifacts/sop/{t.name}/.hidden.json": doc(),
        f"artifacts/sop/{t.name}/deep/x.json": doc(),
        "artifacts/x.json": doc(),
        "README.md": b"x",
    }
    root = write(move.root, files)
    outside = write(tmp_path / "outside", {"x.json": doc(), "x.png": PNG})
    tenant = root / f"artifacts/sop/{t.name}"
    (tenant / "link.json").symlink_to(outside / "x.json")
    (tenant / "link.png").symlink_to(outside / "x.png")
    (root / "artifacts/note").symlink_to(outside)
    (tenant / "shows.json").write_bytes(doc({"a_visual": {"storage_path": f"artifacts/sop/{t.name}/link.png"}}))
    os.mkfifo(tenant / "pipe.json")
    (tenant / "folder.json").mkdir()
    (tenant / os.fsdecode(b"\xff.json")).write_bytes(doc({"n": t.name}))
    report = await move()
    codes = {at(t, name): Code.BAD_JSON for name in bad} | {at(t, "list"): Code.BAD_DATA}
    assert refusals(report) == codes | {
        f"artifacts/SOP/{t.name}/x.json": Code.BAD_TYPE,
        "artifacts/sop/a b/x.json": Code.BAD_TENANT,
        "artifacts/sop/..x/x.json": Code.BAD_TENANT,
        at(t, "roadmap", "roadmap"): Code.BAD_COMPOSITION,
        at(t, "many"): Code.BAD_METADATA,
        at(t, "shows"): Code.BAD_PICTURE,
    }
    place = "not at artifacts/<type>/<tenant>/<id>.json, and no picture that a document refers to"
    assert {e.path: e.reason for e in report.entries if e.status == "skipped"} == {
        at(t, "b", "blueprint") + "x": place,
        f"artifacts/sop/{t.name}/.hidden.json": place,
        f"artifacts/sop/{t.name}/deep/x.json": place,
        "artifacts/x.json": place,
        "README.md": place,
        at(t, "link"): "a symbolic link; links are not followed",
        f"artifacts/sop/{t.name}/link.png": "a symbolic link; links are not followed",
        "artifacts/note": "a symbolic link; links are not followed",
        at(t, "pipe"): "neither a file nor a folder",
    }
    assert {e.path for e in report.entries if e.ref} == {at(t, "good"), at(t, "\\xff")}
    assert (await t.usage()).versions == 2
    assert report.model_dump_json()


async def test_too_large(move, t, monkeypatch):
    monkeypatch.setattr(limits, "DOCUMENT_MAX_BYTES", 200)
    monkeypatch.setattr(limits, "MOVED_MAX_BYTES", 100)
    show = doc({"a_visual": {"storage_path": "large.png"}})
    assert len(PNG) + len(show) > 100 > len(PNG)
    report = await move({at(t, "a"): doc({"x": "y" * 200}), at(t, "b"): show, at(t, "c"): doc(), "large.png": PNG})
    assert refusals(report) == {at(t, "a"): Code.TOO_LARGE, at(t, "b"): Code.TOO_LARGE}
    assert by_path(report)[at(t, "c")].ref == "sop/c@1"


async def test_a_document_that_changes_meanwhile_is_refused(move, store, t):
    write(
        move.root, {at(t, "a"): doc(), at(t, "b"): doc({"n": 1}), at(t, "c"): doc({"n": 2}), at(t, "d"): doc({"n": 3})}
    )

    def change(done, _total):
        if done == 0:  # all were read once, none was moved
            (move.root / at(t, "a")).write_bytes(doc({"n": 4}))
            (move.root / at(t, "b")).unlink()
            (move.root / at(t, "c")).unlink()
            (move.root / at(t, "c")).symlink_to(move.root / at(t, "d"))

    report = await move_in(store, move.root, progress=change)
    assert refusals(report) == {
        at(t, "a"): Code.SOURCE_CHANGED,
        at(t, "b"): Code.UNREADABLE_SOURCE,
        at(t, "c"): Code.UNREADABLE_SOURCE,
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_what_may_not_be_read_is_refused(move, t, store):
    write(move.root, {at(t, "a"): doc(), at(t, "b"): doc({"n": 1}), f"artifacts/note/{t.name}/x.json": doc()})
    (move.root / at(t, "a")).chmod(0)
    (move.root / "artifacts/note").chmod(0)
    report = await move_in(store, move.root)
    (move.root / "artifacts/note").chmod(0o700)
    assert refusals(report) == {at(t, "a"): Code.UNREADABLE_SOURCE, "artifacts/note/": Code.UNREADABLE_SOURCE}
    assert by_path(report)[at(t, "b")].ref == "sop/b@1"


async def test_a_source_that_is_none(store, tmp_path):
    write(tmp_path, {"sop/acme/x.json": doc(), "file": b"x"})
    for root, told in (("", "there is no artifacts/"), ("gone", "cannot read"), ("file", "cannot read")):
        with fails(Invalid, Code.UNREADABLE_SOURCE) as caught:
            await move_in(store, tmp_path / root)
        assert told in str(caught.value)
    for wrong in (0, 65, True, "8"):
        with fails(Invalid, Code.BAD_ARGUMENT):
            await move_in(store, tmp_path, at_once=wrong)
    with fails(Invalid, Code.BAD_TENANT):
        await move_in(store, tmp_path, tenant="a b")


async def test_blobs_of_a_store_in_the_same_place_are_told_in_one_line(move, t):
    digests = [uuid4().hex * 2 for _ in range(3)]
    blobs = {f"artifacts/blobs/{digest}": b"x" for digest in digests} | {"artifacts/store-identity": b"x"}
    report = await move({**blobs, at(t, "a"): doc(), "artifacts/blobs/mine": b"x"})
    assert {e.path: e.reason[:20] for e in report.entries if e.status == "skipped"} == {
        "artifacts/blobs/": "3 blobs of a store",
        "artifacts/blobs/mine": "not at artifacts/<ty",
        "artifacts/store-identity": "not at artifacts/<ty",
    }
