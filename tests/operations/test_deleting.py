"""The trash: what is deleted is hidden from every reading at once, nothing of it is gone until it is purged, and what is live has
live sources. What deleting and purging would do can be asked, and is what they then do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, CasstoreError, Conflict, Invalid, NotFound
from casstore.errors import Code
from casstore.testing.audit import audit
from tests.operations.failing import fails

# -- the law: any sequence of puts, aliases, deletes, undeletes and purges, against a model ----------------------------------

NAMES = ("a", "b/c")
REFS = st.integers(0, 5)  # which of the versions that there are, the newest first; or beyond the last, none
PUTS = st.tuples(
    st.just("put"),
    st.sampled_from(NAMES),
    st.integers(1, 2),
    st.sampled_from([None, None, None, 0, 1, 2]),
    st.none() | REFS,
)
ONE = st.tuples(st.sampled_from(["delete", "undelete", "purge", "alias", "delete", "purge"]), REFS)
ALL = st.tuples(
    st.sampled_from(["delete_artifact", "undelete_artifact", "purge_artifact", "unalias"]), st.sampled_from(NAMES)
)
HELD = st.one_of(
    st.tuples(st.sampled_from(["hold", "release"]), REFS),
    st.tuples(st.sampled_from(["hold_name", "release_name"]), st.sampled_from([*NAMES, None])),
    st.just(("empty_trash", None)),
)
STEPS = st.one_of(PUTS, ONE, ONE, ALL, HELD)


@dataclass
class Made:
    content: int
    source: tuple[str, int] | None
    gone: bool = False
    purged: bool = False


@dataclass
class Model:
    """What the store has to be like: the versions of each name, and where its one alias points."""

    versions: dict[str, list[Made]] = field(default_factory=lambda: defaultdict(list))
    aliases: dict[str, int] = field(default_factory=dict)
    holds: dict[tuple, bool] = field(default_factory=dict)  # what each was placed on; whether it holds

    def held(self, ref):
        return any(self.holds.get(target) for target in (ref, (ref[0], None), (None, None)))

    def hold(self, ref):
        if self.at(ref) is None:
            return self.none(ref)
        if self.at(ref).purged and not self.holds.get(ref):
            return "version_purged"
        self.holds[ref] = True
        return None

    def hold_name(self, name):
        if name and not self.versions[name]:
            return "artifact_not_found"
        self.holds[name, None] = True
        return None

    def release(self, ref):
        if self.at(ref) is None:
            return self.none(ref)
        return self.let(ref)

    def release_name(self, name):
        return "artifact_not_found" if name and not self.versions[name] else self.let((name, None))

    def let(self, target):
        if target not in self.holds:
            return "hold_not_found"
        self.holds[target] = False
        return None

    def empty_trash(self, _):
        kept, left = (
            set(),
            {ref for ref, made in self.all().items() if made.gone and not made.purged and self.held(ref)},
        )
        while left:
            kept |= left
            left = {self.at(ref).source for ref in left} - kept - {None}
        for ref, made in self.all().items():
            made.purged |= made.gone and ref not in kept

    def live(self, name):
        return [number for number, made in enumerate(self.versions[name], 1) if not made.gone]

    def at(self, ref):
        name, number = ref
        return self.versions[name][number - 1] if number <= len(self.versions[name]) else None

    def put(self, name, content, expect, source):
        if source and (self.at(source) is None or self.at(source).gone):
            return "version_not_found" if self.at(source) is None else "version_deleted"
        latest = max(self.live(name), default=0)
        if expect not in (None, latest):
            return "head_moved"
        head = self.at((name, latest)) if latest else None
        if head and head.content == content and source in (None, head.source):
            return latest
        self.versions[name].append(Made(content, source))
        return len(self.versions[name])

    def all(self):
        return {(name, n): made for name, versions in self.versions.items() for n, made in enumerate(versions, 1)}

    def which(self, place):
        """A version by its place in REFS."""
        found = [
            ref for name in NAMES for ref in zip([name] * 99, range(len(self.versions[name]), 0, -1), strict=False)
        ]
        return found[place] if place < len(found) else (NAMES[0], 9)

    def users(self, refs):
        return [ref for ref, made in self.all().items() if made.source in refs and ref not in refs and not made.gone]

    def purge(self, ref):
        return self.none(ref) if self.at(ref) is None else self.let_go([ref])

    def purge_artifact(self, name):
        return self.let_go([(name, n) for n in range(1, len(self.versions[name]) + 1)]) or (
            None if self.versions[name] else "artifact_not_found"
        )

    def let_go(self, refs):
        if refs and not any(self.at(ref).gone for ref in refs):
            return "not_deleted"
        refs = [ref for ref in refs if self.at(ref).gone and not self.at(ref).purged]
        if any(map(self.held, refs)):
            return "still_used"
        if any(m.source in refs and ref not in refs and not m.purged for ref, m in self.all().items()):
            return "still_used"
        for ref in refs:
            self.at(ref).purged = True
        return None

    def stored(self):
        return sum({made.content for made in self.all().values() if not made.purged})

    def delete(self, ref):
        if self.at(ref) is None:
            return self.none(ref)
        pointed = self.aliases.get(ref[0]) == ref[1] and not self.at(ref).gone
        if pointed or self.users([ref]) or (self.held(ref) and not self.at(ref).gone):
            return "still_used"
        self.at(ref).gone = True
        return None

    def delete_artifact(self, name):
        refs = [(name, number) for number in range(1, len(self.versions[name]) + 1)]
        if not refs or self.users(refs) or any(self.held(ref) and not self.at(ref).gone for ref in refs):
            return "still_used" if refs else "artifact_not_found"
        for ref in refs:
            self.at(ref).gone = True
        return None

    def undelete(self, ref):
        made = self.at(ref)
        if made is None:
            return self.none(ref)
        return self.back([ref])

    def undelete_artifact(self, name):
        refs = [(name, number) for number in range(1, len(self.versions[name]) + 1)]
        return self.back(refs) if refs else "artifact_not_found"

    def back(self, refs):
        refs = [ref for ref in refs if not self.at(ref).purged]
        if not refs:
            return "version_purged"
        sources = {self.at(ref).source for ref in refs} - {None, *refs}
        if any(self.at(source).gone for source in sources):
            return "source_deleted"
        for ref in refs:
            self.at(ref).gone = False
        return None

    def alias(self, ref):
        if self.at(ref) is None:
            return self.none(ref)
        if self.at(ref).gone:
            return "version_deleted"
        self.aliases[ref[0]] = ref[1]
        return None

    def unalias(self, name):
        if not self.versions[name]:
            return "artifact_not_found"
        if name not in self.aliases:
            return "pointer_not_found"
        self.aliases.pop(name)
        return None

    def none(self, ref):
        return "version_not_found" if self.versions[ref[0]] else "artifact_not_found"


def text(ref):
    return "{}@{}".format(*ref)


async def told(call):
    try:
        return await call
    except CasstoreError as error:
        return str(error.code)


async def take(tenant, model, step):
    """Do one step in both; the store has to say what the model says."""
    verb, *arguments = step
    if type(arguments[-1]) is int:
        arguments[-1] = model.which(arguments[-1])
    if verb == "put":
        name, content, expect, source = arguments
        sources = [text(source)] if source else None
        answer = await told(tenant.put(name, str(content) * content, expect=expect, sources=sources))
        wanted = model.put(*arguments)
        if wanted == "version_not_found" and not model.versions[source[0]]:
            wanted = "artifact_not_found"
        assert (answer if isinstance(answer, str) else answer.number) == wanted
        return
    if verb in ("alias", "unalias"):
        answer = await told(getattr(tenant, verb)(text(arguments[0]) if verb == "alias" else arguments[0], "prod"))
        if verb == "unalias" and model.aliases.get(arguments[0]) is None and not isinstance(answer, str):
            return  # removed before: a success
    elif verb in ("hold", "hold_name", "release", "release_name"):
        target = arguments[0] if verb.endswith("name") else text(arguments[0])
        answer = await told(getattr(tenant, verb.removesuffix("_name"))(target, "case", by="me"))
    elif verb == "empty_trash":
        answer = await told(tenant.empty_trash(timedelta(), by="me"))
    else:
        ref = arguments[0] if verb.endswith("artifact") else text(arguments[0])
        explained = None if "undelete" in verb else await told(tenant.explain(verb, ref))
        before = (
            {ref: (made.gone, made.purged) for ref, made in model.all().items()},
            (await tenant.usage()).stored_bytes,
        )
        answer = await told(getattr(tenant, verb)(ref, by="me"))
    wanted = getattr(model, verb)(arguments[0])
    assert (answer if isinstance(answer, str) else None) == wanted, step
    if verb in ("delete", "delete_artifact", "purge", "purge_artifact"):
        changed = {text(ref) for ref, made in model.all().items() if before[0][ref] != (made.gone, made.purged)}
        await assert_as_explained(tenant, explained, wanted, changed, before[1])


async def assert_as_explained(tenant, explained, wanted, changed, stored_before):
    """What was told before it was done is what was done."""
    freed = stored_before - (await tenant.usage()).stored_bytes
    if isinstance(explained, str):
        assert explained == wanted
    elif wanted == "still_used":
        assert explained.blockers == len(explained.holds) + len(explained.pointers) + len(explained.dependants) > 0
    else:
        assert (wanted, explained.blockers) == (None, 0)
        assert set(explained.versions) == changed
        assert freed == (0 if explained.is_reversible else explained.frees_bytes)


async def compare(tenant, model):
    """Every reading shows what is live, and nothing else."""
    listed, trash, purged = {}, set(), set()
    for name in NAMES:
        live = model.live(name)
        missing = "version_deleted" if model.versions[name] else "artifact_not_found"
        latest = await told(tenant.resolve(name))
        assert (latest if isinstance(latest, str) else latest.number) == (live[-1] if live else missing)
        history = await told(tenant.history(name))
        assert (history if isinstance(history, str) else [v.number for v in history]) == (live[::-1] or missing)
        for number, made in enumerate(model.versions[name], 1):
            found = await told(tenant.resolve(f"{name}@{number}"))
            assert (found if isinstance(found, str) else found.number) == ("version_deleted" if made.gone else number)
            if made.gone:
                (purged if made.purged else trash).add(f"{name}@{number}")
        if live:
            listed[name] = live[-1]
    assert {v.name: v.number for v in await tenant.list()} == listed
    assert {deleted.ref for deleted in await tenant.trash()} == trash
    assert {deleted.ref for deleted in await tenant.trash(purged=True)} == purged
    for released in (False, True):
        held = {(hold.name, hold.number) for hold in await tenant.holds(released=released)}
        assert held == {target for target, holds in model.holds.items() if holds != released}
    usage, kept = await tenant.usage(), [ref for ref, made in model.all().items() if not made.purged]
    assert (usage.artifacts, usage.versions) == (len({name for name, _ in kept}), len(kept))
    assert (usage.logical_bytes, usage.stored_bytes) == (sum(model.at(ref).content for ref in kept), model.stored())


@settings(max_examples=80)
@given(steps=st.lists(STEPS, min_size=4, max_size=25))
def test_the_trash_is_as_the_model_says(run, store_urls, steps):
    async def main():
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            tenant, model = store.tenant(f"t{next(TENANTS)}"), Model()
            for step in steps:
                await take(tenant, model, step)
            await compare(tenant, model)
            assert await audit(store) == []

    run(main())


TENANTS = iter(range(10**9))


# -- races: the two that could leave something live without its source -----------------------------------------------------


@pytest.fixture
def store(store_urls):
    """A store of its own for each test, to look through: others do harm to theirs."""
    return AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog)


@pytest.mark.parametrize("other", ["put", "undelete"])
async def test_a_version_is_not_deleted_while_something_is_made_from_it(store, other):
    t = store.tenant()
    for n in range(25):
        source = await t.put(f"source/{n}", f"source {n}")
        if other == "undelete":
            made = await t.put(f"made/{n}", f"made {n}", sources=[source])
            await t.delete(made.ref, by="me")
            use = t.undelete(made.ref, by="me")
        else:
            use = t.put(f"made/{n}", f"made {n}", sources=[source.id])
        answers = await asyncio.gather(t.delete(source.ref, by="me"), use, return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        assert len(errors) == 1, answers
        assert errors[0].code in (Code.STILL_USED, Code.VERSION_NOT_FOUND, Code.SOURCE_DELETED)
    assert await audit(store) == []


async def test_one_name_under_many_hands_stays_whole(store):
    t = store.tenant()

    async def work(hand):
        for n in range(12):
            with contextlib.suppress(CasstoreError):
                if hand % 3 == 0:
                    await t.put("a", f"{hand} {n}")
                elif hand % 3 == 1:
                    await t.delete(f"a@{n + 1}", by="me")
                else:
                    await t.undelete(f"a@{n + 1}", by="me")

    await asyncio.gather(*(work(hand) for hand in range(9)))
    assert await audit(store) == []


# -- the words -------------------------------------------------------------------------------------------------------------


async def test_who_when_and_why_are_kept(t):
    made = await t.put("a", "1", title="One", type="sop")
    deleted = await t.delete(f"id:{made.id}", by="team-7", reason="wrong client")
    assert (deleted.id, deleted.ref, deleted.type, deleted.title) == (made.id, "a@1", "sop", "One")
    assert (deleted.by, deleted.reason) == ("team-7", "wrong client")
    assert await t.delete("a@1", by="another") == deleted, "once"
    assert list(await t.trash()) == [deleted]


async def test_pages_of_the_trash(t):
    for n in range(7):
        await t.put("a", f"{n}")
    await t.delete_artifact("a", by="me")  # one instant
    for n in range(3):
        await t.delete((await t.put(f"b/{n}", f"{n}")).ref, by="me")
    seen, cursor = [], None
    while True:
        page = await t.trash(limit=2, cursor=cursor)
        seen += [deleted.ref for deleted in page]
        if not (cursor := page.cursor):
            break
    assert seen == ["b/2@1", "b/1@1", "b/0@1", *(f"a@{n}" for n in range(7, 0, -1))]
    assert [deleted.ref for deleted in await t.trash()] == seen


async def test_what_is_in_the_way_is_named(t):
    await t.put("a", "1")
    await t.alias("a@1", "prod")
    await t.tag("a@1", "first")
    for n in range(12):
        await t.put(f"made/{n:02}", f"{n}", sources=["a@1"])
    with pytest.raises(Conflict, match="'first' points at it; 'prod' points at it; made/00@1 was made") as caught:
        await t.delete("a@1", by="me")
    assert caught.value.fields["pointers"] == ["first", "prod"]
    assert caught.value.fields["dependants"] == [f"made/{n:02}@1" for n in range(12)]
    assert caught.value.message.endswith("and 4 more")
    assert (await t.resolve("a@prod")).number == 1


@pytest.mark.parametrize("ref", ["a", "a@latest", "a@prod", "a@1#main", "a@b3:0123456789ab"])
async def test_only_what_will_mean_no_other_version_is_deleted(t, ref):
    await t.put("a", "1")
    with fails(Invalid, Code.BAD_REFERENCE):
        await t.delete(ref, by="me")
    assert (await t.resolve("a")).number == 1


async def test_an_alias_of_a_deleted_artifact_leads_nowhere_and_comes_back_with_it(t):
    await t.put("a", "1")
    await t.alias("a@1", "prod")
    await t.delete_artifact("a", by="me")
    with fails(NotFound, Code.VERSION_DELETED):
        await t.get("a@prod")
    assert (await t.put("a", "2")).number == 2, "numbers stay taken"
    with fails(NotFound, Code.VERSION_DELETED):
        await t.get("a@prod")
    await t.undelete_artifact("a", by="me")
    assert await (await t.get("a@prod")).text() == "1"


async def test_content_in_the_trash_is_not_reused(t):
    await t.put("a", "1")
    await t.put("a", "2")
    await t.delete("a@2", by="me")
    again = await t.put("a", "2", expect=1)
    assert (again.number, again.reused, again.new_bytes) == (3, False, 0)
    assert (await t.put("a", "2")).reused


async def test_a_reused_version_before_one_in_the_trash_tells_its_own_time(t):
    first = await t.put("a", "1")
    await t.put("a", "2")
    await t.delete("a@2", by="me")
    again = await t.put("a", "1")
    assert (again.number, again.created_at, again.reused) == (1, first.created_at, True)


async def test_finding_by_content_shows_nothing_of_the_trash(t):
    made = await t.put("a", "1")
    await t.delete("a@1", by="me")
    assert list(await t.where_used(made.digest)) == []
    assert list(await t.where_used(made.components[0].digest)) == []
    with fails(NotFound, Code.VERSION_DELETED):
        await t.get(f"a@b3:{made.digest.hex()[:12]}")
    await t.put("a", "2")
    again = await t.put("a", "1")
    assert (await t.resolve(f"a@b3:{made.digest.hex()[:12]}")).number == again.number == 3
