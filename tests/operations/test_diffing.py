"""What diff promises through the public door: manifests first, formats where they fit, words, and nothing opened in vain."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from casstore import AsyncStore, Components, Corrupt, Invalid, NotFound, Part
from casstore.errors import Code
from casstore.formats import registry
from casstore.formats.comparison import DEPTHS, Comparison, Format
from casstore.formats.registry import register
from tests.operations.failing import fails

MARKDOWN = "text/markdown"


class Watched:
    """Blobs that remember what was opened."""

    def __init__(self, inner) -> None:
        self._inner = inner
        self.opened = []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def open(self, digest, *args, **kwargs):
        self.opened.append(digest)
        return await self._inner.open(digest, *args, **kwargs)


def watch(store: AsyncStore) -> Watched:
    store._blobs = Watched(store._blobs)
    return store._blobs


def ops(diff):
    return {part.role: part.op for part in diff}


# -- what is the same ----


async def test_equal_contents_are_not_opened(t, store):
    for title in ("one", "two"):
        await t.put("a", Components(p="x", q={"k": [1]}), title=title)
    blobs = watch(store)
    diff = await t.diff("a@1", "a@2")
    assert (diff.depth, diff.changed, blobs.opened) == ("same", (), [])
    assert [change.text for change in diff.fields] == ["title 'two' instead of 'one'"]


async def test_metadata_of_another_type_alone_has_changed(t):
    await t.put("a", b"1", metadata={"flag": 1, "z": [0], "same": {"x": 1, "y": 2}})
    await t.put("b", b"1", metadata={"flag": True, "z": [False], "same": {"y": 2, "x": 1}})
    diff = await t.diff("a", "b")
    assert [(change.op, change.path) for change in diff.fields] == [
        ("changed", "/metadata/flag"),
        ("changed", "/metadata/z"),
    ]
    assert [change.text for change in diff.fields] == [
        "metadata flag True instead of 1",
        "metadata z [False] instead of [0]",
    ]


async def test_of_several_components_only_what_has_changed_is_opened(t, store):
    first = await t.put("a", Components(p="x", q="1\n", r=b"\0"))
    second = await t.put("a", Components(p="x", q="2\n", r=b"\0"))
    blobs = watch(store)
    diff = await t.diff("a@1", "a")
    assert ops(diff) == {"p": "same", "q": "changed", "r": "same"}
    digests = {v.number: {c.role: c.digest for c in v.components} for v in (first, second)}
    assert blobs.opened == [digests[1]["q"], digests[2]["q"]]


async def test_a_version_and_itself(t):
    made = await t.put("a", "x")
    for ref in ("a@1", made, made.id, f"id:{made.id}"):
        assert (await t.diff(ref, "a")).depth == "same"


# -- what is compared ----


async def test_text_is_told_in_lines(t):
    await t.put("a", Part("# Roll back\nstop\n", MARKDOWN))
    await t.put("a", Part("# Roll back\nstop it\n", MARKDOWN))
    (part,) = await t.diff("a@1", "a@2")
    assert (part.depth, part.comparison.format, part.refused) == ("meaning", "markdown", None)
    assert "Roll back" in part.comparison.summary[0]


async def test_json_is_told_by_keys(t):
    await t.put("a", {"steps": 7, "name": "intake"})
    await t.put("a", {"steps": 7.0, "name": "intake"})
    diff = await t.diff("a@1", "a@2")
    (change,) = diff.components[0].comparison.changes
    assert (change.op, change.path, change.before, change.after) == ("changed", "/steps", 7, 7.0)
    assert diff.depth == "meaning"


async def test_json_spelt_in_another_way_differs_in_formatting(t):
    await t.put("a", Part(b'{"a":1,"b":[]}', "application/json"))
    await t.put("a", Part(b'{"b": [], "a": 1}\n', "application/json"))
    assert (await t.diff("a@1", "a@2")).depth == "formatting"


async def test_bytes_of_no_known_format_differ_from_a_place_on(t):
    await t.put("a", b"\0" * 100_000 + b"a")
    await t.put("a", b"\0" * 100_000 + b"b")
    (part,) = await t.diff("a@1", "a@2")
    assert part.comparison.details == {"first_difference": 100_000}


async def test_other_names_and_components_of_other_roles(t):
    await t.put("a", Components(p="1\n", q="x"))
    await t.put("b", Components(q="x", r="2\n"))
    assert ops(await t.diff("a", "b")) == {"p": "removed", "q": "same", "r": "added"}
    (part,) = await t.diff("a#p", "b#r")
    assert (part.role, part.op, part.before.role) == ("r", "changed", "p")
    (same,) = await t.diff("a#q", "b#q")
    assert same.op == "same"


async def test_one_component_of_both(t):
    await t.put("a", Components(p="1\n", q="x\n"))
    await t.put("a", Components(p="2\n", q="y\n"))
    assert ops(await t.diff("a@1", "a@2", component="q")) == {"q": "changed"}
    with fails(NotFound, Code.COMPONENT_NOT_FOUND):
        await t.diff("a@1", "a@2", component="z")


async def test_a_component_under_a_new_role_is_renamed(t):
    await t.put("a", Components(old="kept\n", p="1"))
    await t.put("a", Components(new="kept\n", p="1"))
    diff = await t.diff("a@1", "a@2")
    (part,) = diff.changed
    assert (part.role, part.op, part.renamed_from, diff.depth) == ("new", "renamed", "old", "meaning")


async def test_another_media_type_for_the_same_bytes(t):
    await t.put("a", Part("x", "text/plain"))
    await t.put("a", Part("x", MARKDOWN))
    diff = await t.diff("a@1", "a@2")
    assert (diff.depth, diff.components[0].op) == ("encoding", "changed")
    assert diff.summary == ("text/markdown instead of text/plain",)


async def test_relations_between_components(t):
    states = {
        "current_state": {"steps": 7},
        "coexistence_state": {"steps": 4},
        "roadmap": {},
        "responsibility_matrix": {},
    }
    await t.put("a", Components(states))
    await t.put("b", Components(states), type="blueprint")
    diff = await t.diff("a", "b")
    assert "roadmap leads to coexistence_state: added" in [change.text for change in diff.relations]
    assert diff.depth == "meaning"


# -- what is not in the store ----


async def test_data_on_either_side(t, tmp_path):
    await t.put("a", {"k": 1})
    path = tmp_path / "a.json"
    path.write_text('{"k": 2}')
    for other in (path, {"k": 2}, Part(b'{"k": 2}', "application/json"), Components(main={"k": 2})):
        there, back = await t.diff("a", other), await t.diff(other, "a")
        assert [change.path for part in (*there, *back) for change in part.comparison.changes] == ["/k", "/k"]
    assert (await t.diff("a", path)).b.label == "a.json"


async def test_a_folder_is_an_artifact_of_its_files(t, tmp_path):
    await t.put("a", Components(p="1\n", q={"k": 1}))
    (tmp_path / "p.txt").write_text("1\n")
    (tmp_path / "q.json").write_text('{"k":2}')
    (tmp_path / ".hidden").write_text("x")
    assert ops(await t.diff("a", tmp_path)) == {"p": "same", "q": "changed"}


async def test_one_component_against_several_is_refused(t):
    await t.put("a", Components(p="1", q="2"))
    with fails(Invalid, Code.BAD_COMPONENTS):
        await t.diff("a", b"1")
    with fails(Invalid, Code.BAD_COMPONENTS):
        await t.diff("a#p", "a")


# -- what cannot be compared ----


async def test_what_is_not_what_it_says_is_compared_as_text_and_says_why(t):
    await t.put("a", Part(b'{"k": 1', "application/json"))
    await t.put("a", Part(b'{"k": 1}', "application/json"))
    (part,) = await t.diff("a@1", "a@2")
    assert part.comparison.format == "text"
    assert "JSON" in part.refused


async def test_what_is_no_text_either_is_compared_as_bytes(t):
    await t.put("a", Part(b"\xff\xfe{", "application/json"))
    await t.put("a", Part(b'{"k": 1}', "application/json"))
    (part,) = await t.diff("a@1", "a@2")
    assert (part.comparison.format, part.depth) == ("binary", "meaning")


async def test_what_is_too_large_is_not_opened(t, store, monkeypatch):
    monkeypatch.setattr("casstore.limits.COMPARED_MAX_BYTES", 10)
    await t.put("a", "x" * 11)
    await t.put("a", "y")
    blobs = watch(store)
    (part,) = await t.diff("a@1", "a@2")
    assert (part.comparison, part.depth, blobs.opened) == (None, "meaning", [])
    assert "11 bytes" in part.refused


async def test_damaged_bytes_are_no_difference(t, store, stored):
    made = await t.put("a", "x" * 100)
    await t.put("a", "y")
    stored.damage(made.components[0].digest, b"z" * 100)
    with fails(Corrupt, Code.BLOB_ALTERED):
        await t.diff("a@1", "a@2")


async def test_what_is_another_tenants_does_not_exist(t, other):
    await t.put("a", "x")
    await other.put("b", "y")
    with fails(NotFound, Code.ARTIFACT_NOT_FOUND):
        await t.diff("a", "b")


# -- laws ----

some_parts = st.dictionaries(
    st.sampled_from("pqr"), st.sampled_from(["", "x\n", "y\n", "x\ny\n", {"k": 1}, {"k": 1.0}, b"\0"]), min_size=1
)


@given(before=some_parts, after=some_parts)
def test_a_diff_is_of_all_components_and_its_opposite_is_its_mirror(bench, before, after):
    t = bench.tenant()
    one, two = bench.run(t.put("one", Components(before))), bench.run(t.put("two", Components(after)))
    there, back = bench.run(t.diff("one", "two")), bench.run(t.diff("two", "one"))
    old, new = ({c.role: c for c in v.components} for v in (one, two))
    for part in there:
        assert part.after == new.get(part.role)
        if part.op == "same":
            assert part.before.digest == part.after.digest
        elif part.op == "changed":
            assert part.before == old[part.role]
            assert part.depth == part.comparison.depth != "same"
    told = {c.role for part in there for c in (part.before, part.after) if c}
    assert told == {*old, *new}
    assert (there.depth == "same") == (one.digest == two.digest)
    assert DEPTHS.index(there.depth) == DEPTHS.index(back.depth)
    mirrored = {"added": "removed", "removed": "added"}
    assert sorted(mirrored.get(p.op, p.op) for p in there) == sorted(p.op for p in back)


# -- kinds ----


async def test_a_roadmap_is_told_in_words(t):
    def roadmap(*phases):
        return {"title": "R", "phases": [{"id": i, "name": n, "start": s, "depends_on": d} for i, n, s, d in phases]}

    a, b, c = ("a", "Pilot", "2026-03-01", []), ("b", "Rollout", "2026-04-01", ["a"]), ("c", "Review", "2026-05-01", [])
    await t.put("r", roadmap(a, b, c), type="roadmap")
    later = (
        ("b", "Roll-out", "2026-04-15", ["a"]),
        ("c", "Review", "2026-05-15", ["b"]),
        ("d", "Close", "2026-06-01", []),
    )
    await t.put("r", roadmap(later[1], a, later[0], later[2]), type="roadmap")
    diff = await t.diff("r@1", "r@2")
    assert diff.summary[:5] == (
        "phase 'Close' added after 'Roll-out'",
        "phase 'Review' moved to the front",
        "phase 'Rollout' renamed to 'Roll-out'",
        "start of 2 phases 14 days later: 'Review' (2026-05-01 → 2026-05-15), 'Roll-out' (2026-04-01 → 2026-04-15)",
        "phase 'Review' now depends on 'Roll-out'",
    )


async def test_embeddings_are_compared_by_rows(t):
    one = {"structured": [[1.0, 0.0], [0.0, 1.0]], "unstructured": [[1.0]], "correlation_map": []}
    two = one | {"structured": [[1.0, 0.0], [0.5, 1.0]]}
    for value in (one, two):
        await t.put("e", Components(value), type="hybrid_embedding")
    (part,) = (await t.diff("e@1", "e@2")).changed
    assert (part.role, part.comparison.format) == ("structured", "json-embedding")
    assert part.comparison.details["rows"]["changed"] == 1


async def test_a_format_of_ones_own(t, monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    register(
        Format(
            name="words",
            media_types=frozenset({"text/x-words"}),
            diff=lambda a, b: Comparison(format="words", depth="formatting"),
        )
    )
    for text in ("a b", "a  b"):
        await t.put("w", Part(text, "text/x-words"))
    (part,) = await t.diff("w@1", "w@2")
    assert (part.comparison.format, part.depth) == ("words", "formatting")
