"""The operation log can be read, and what it says was done can be taken back: exactly, once, or not at all.

Laws, for whatever was done before:
- An undo makes what readers see as it was before the operation, apart from the log, instants, and who and why.
- When something came after it that concerns the same, it is refused, and nothing changes.
- Undone twice is undone once. The log keeps all.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casstore import CasstoreError, Code, Conflict, Invalid, NotFound

NAMES = ("a", "b")


async def pages(call):
    cursor, found = None, []
    while True:
        page = await call(cursor=cursor)
        found += page.items
        if page.cursor is None:
            return found
        cursor = page.cursor


async def seen(t):
    """What readers see: heads, versions with their states, pointers, lineage, and the trash; not when, by whom and why."""
    told = {"heads": [v.ref for v in await pages(t.list)], "usage": await t.usage()}
    told["trash"] = sorted((d.ref, d.digest, d.purged_at) for d in await pages(t.trash))
    for name in NAMES:
        told[name] = await _seen_of(t, name)
    return told


async def _seen_of(t, name):
    try:
        versions = await pages(lambda cursor: t.history(name, cursor=cursor))
    except NotFound as error:
        versions = []
        told = [error.code]
    else:
        told = versions + [(n.version.ref, n.is_stale) for n in await t.lineage(name)]
    for version in versions:
        told.append([(s.state, s.before, s.by, s.reason, s.at) for s in await t.transitions(version.ref)])
    with contextlib.suppress(NotFound):
        for p in await t.pointers(name):
            target = None
            with contextlib.suppress(NotFound):
                target = (await t.resolve(f"{name}@{p.pointer}")).ref
            told.append((p.pointer, p.is_tag, p.number, target))
    return told


async def last(t, **about):
    return (await t.operations(limit=1, **about)).items[0]


# -- the log -----------------------------------------------------------------------------------------------------------------


async def test_the_log_tells_what_was_who_when_and_why(t):
    await t.put("a", "1")
    await t.put("a", "2", idempotency_key="k")
    await t.alias("a@1", "prod")
    await t.alias("a@2", "prod")
    await t.unalias("a", "prod")
    await t.tag("a@1", "final")
    await t.transition("a@1", "accepted", by="me", reason="fine")
    await t.put("b", "1")
    await t.delete("b@1", by="you")
    await t.undelete("b@1", by="him")
    await t.delete("b@1", by="her", reason="again")
    await t.purge("b@1", by="them")
    async with t.transaction(idempotency_key="tx") as tx:
        tx.alias("a@1", "prod")
    found = await pages(lambda cursor: t.operations(cursor=cursor, limit=2))
    assert [(o.op, o.ref, o.pointer, o.before, o.after, o.by, o.reason, o.key) for o in reversed(found)] == [
        ("put", "a@1", None, None, None, None, None, None),
        ("put", "a@2", None, None, None, None, None, "k"),
        ("alias", "a@1", "prod", None, 1, None, None, None),
        ("alias", "a@2", "prod", 1, 2, None, None, None),
        ("unalias", "a", "prod", 2, None, None, None, None),
        ("tag", "a@1", "final", None, 1, None, None, None),
        ("accepted", "a@1", None, "draft", "accepted", "me", "fine", None),
        ("put", "b@1", None, None, None, None, None, None),
        ("delete", "b@1", None, "live", "deleted", "you", None, None),
        ("undelete", "b@1", None, "deleted", "live", "him", None, None),
        ("delete", "b@1", None, "live", "deleted", "her", "again", None),
        ("purge", "b@1", None, "deleted", "purged", "them", None, None),
        ("alias", "a@1", "prod", None, 1, None, None, None),
        ("transaction", None, None, None, None, None, None, "tx"),
    ]
    assert sorted((o.id for o in found), reverse=True) == [o.id for o in found]
    assert all(o.undoes is None and o.undone_by is None for o in found)


async def test_the_log_of_a_name_of_a_version_and_of_one_kind(t, other):
    await t.put("a", "1")
    two = await t.put("a", "2")
    await t.put("b", "1")
    await t.alias("a@2", "prod")
    await other.put("a", "theirs")
    assert [o.ref for o in await t.operations("a")] == ["a@2", "a@2", "a@1"]
    assert [o.op for o in await t.operations("a@2")] == ["alias", "put"]
    assert [o.op for o in await t.operations(f"id:{two.id}")] == ["alias", "put"]
    assert [o.ref for o in await t.operations(op="put")] == ["b@1", "a@2", "a@1"]
    await t.delete_artifact("b", by="me")
    assert [o.op for o in await t.operations("b")] == ["delete", "put"]  # what was deleted has its log


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"ref": "a@prod"}, Code.BAD_REFERENCE),
        ({"ref": "a#main"}, Code.BAD_REFERENCE),
        ({"op": "drop table"}, Code.BAD_ARGUMENT),
        ({"op": "nope"}, Code.BAD_ARGUMENT),
        ({"limit": 0}, Code.BAD_ARGUMENT),
        ({"cursor": "x"}, Code.BAD_CURSOR),
        ({"ref": "nothing"}, Code.ARTIFACT_NOT_FOUND),
        ({"ref": "a@9"}, Code.VERSION_NOT_FOUND),
    ],
)
async def test_what_cannot_be_listed_is_refused(t, arguments, code):
    await t.put("a", "1")
    with pytest.raises(CasstoreError) as caught:
        await t.operations(**arguments)
    assert caught.value.code is code


# -- undoing -----------------------------------------------------------------------------------------------------------------


async def prepared(t):
    """Two artifacts of three versions, with all that can become of them but for what is undone."""
    for name in NAMES:
        for number in (1, 2, 3):
            await t.put(name, f"{name} {number}", sources=["a@1"] if (name, number) == ("b", 2) else None)
    await t.alias("a@1", "prod")
    await t.transition("a@1", "accepted", by="me")


UNDOABLE = {
    "alias moved": lambda t: t.alias("a@2", "prod"),
    "alias made": lambda t: t.alias("b@2", "new"),
    "unalias": lambda t: t.unalias("a", "prod"),
    "accepted": lambda t: t.transition("a@2", "accepted", by="me"),
    "obsolete": lambda t: t.transition("a@1", "obsolete", by="me"),
    "draft to obsolete": lambda t: t.transition("b@1", "obsolete", by="me"),
    "newer source accepted": lambda t: t.transition("a@3", "accepted", by="me"),
    "delete": lambda t: t.delete("b@3", by="me"),
    "delete all": lambda t: t.delete_artifact("b", by="me"),
}


@pytest.mark.parametrize("what", UNDOABLE)
async def test_an_undo_restores_what_was(t, what):
    await prepared(t)
    before = await seen(t)
    await UNDOABLE[what](t)
    done = await last(t)
    assert await seen(t) != before
    undone = await t.undo(done.id, by="ops", reason="wrong")
    assert await seen(t) == before
    assert (undone.op, undone.undoes, undone.ref) == ("undo", done.id, done.ref)
    assert (undone.by, undone.reason) == ("ops", "wrong")
    log = await pages(t.operations)
    assert log[0] == undone or what == "delete all"
    assert next(o for o in log if o.id == done.id) == done.model_copy(update={"undone_by": undone.id})


@pytest.mark.parametrize("what", UNDOABLE)
async def test_undone_twice_is_undone_once(t, what):
    await prepared(t)
    await UNDOABLE[what](t)
    done = await last(t)
    first = await t.undo(done.id, by="ops")
    log, after = await pages(t.operations), await seen(t)
    assert await t.undo(done.id, by="others", reason="other") == first
    assert (await pages(t.operations), await seen(t)) == (log, after)


@pytest.mark.parametrize("what", UNDOABLE)
async def test_at_the_same_time_it_is_undone_once(t, what):
    await prepared(t)
    await UNDOABLE[what](t)
    done = await last(t)
    assert len({u.id for u in await asyncio.gather(*(t.undo(done.id, by=f"{n}") for n in range(5)))}) == 1


async def test_an_undelete_is_undone_by_deleting_again(t):
    await prepared(t)
    await t.delete("b@1", by="me")
    await t.delete_artifact("b", by="me")
    before = await seen(t)
    await t.undelete_artifact("b", by="me")
    await t.undo((await last(t)).id, by="ops", reason="no")
    assert await seen(t) == before
    assert {(d.by, d.reason) for d in await t.trash()} == {("ops", "no")}


async def test_one_call_is_undone_whole_and_no_other(t):
    """`delete_artifact` after a delete of one: only what it deleted comes back, whichever of its rows is named."""
    await prepared(t)
    await t.delete("b@3", by="me")
    await t.delete_artifact("b", by="me")
    rows = [o for o in await t.operations("b", op="delete") if o.number != 3]
    assert {o.number for o in rows} == {1, 2}
    await t.undo(rows[-1].id, by="ops")
    assert [v.number for v in await t.history("b")] == [2, 1]
    assert [o.undone_by is None for o in await t.operations("b", op="delete")] == [False, False, True]
    assert (await t.undo(rows[0].id, by="ops")).undoes == rows[0].id  # a repetition: it was done with the other
    assert [o.number for o in await t.operations("b", op="undo")] == [2, 1]


async def test_steps_are_undone_one_after_the_other_and_taken_again(t):
    await t.put("a", "1")
    steps = []
    for state in ("accepted", "obsolete"):
        await t.transition("a", state, by="me")
        steps.append(await last(t))
    with pytest.raises(Conflict) as caught:
        await t.undo(steps[0].id, by="ops")
    assert (caught.value.code, caught.value.fields["by"]) == (Code.UNDO_SUPERSEDED, steps[1].id)
    for step in reversed(steps):
        await t.undo(step.id, by="ops")
    assert (await t.resolve("a")).state == "draft"
    assert await t.transitions("a") == ()
    await t.transition("a", "obsolete", by="her", reason="skipped")  # a way that was barred
    assert [(s.before, s.state, s.by) for s in await t.transitions("a")] == [("draft", "obsolete", "her")]
    assert (await t.undo(steps[1].id, by="ops")).undoes == steps[
        1
    ].id  # undone long ago, and no reason to undo the new one
    assert (await t.resolve("a")).state == "obsolete"


BETWEEN = {
    "alias moved": lambda t: t.alias("a@3", "prod"),
    "alias moved away and back": lambda t: _twice(t.alias, ("a@3", "prod"), ("a@2", "prod")),
    "unaliased": lambda t: t.unalias("a", "prod"),
}


async def _twice(call, *each):
    for arguments in each:
        await call(*arguments)


@pytest.mark.parametrize("what", BETWEEN)
async def test_a_move_that_was_followed_by_another_is_not_undone(t, what):
    await prepared(t)
    await t.alias("a@2", "prod")
    done = await last(t)
    await BETWEEN[what](t)
    before = await seen(t)
    with pytest.raises(Conflict) as caught:
        await t.undo(done.id, by="ops")
    assert caught.value.code is Code.UNDO_SUPERSEDED
    assert await seen(t) == before


async def test_a_delete_that_was_touched_since_is_not_undone(t):
    await prepared(t)
    for again in (lambda: t.undelete("b@1", by="me"), lambda: t.purge("b@1", by="me")):
        await t.delete_artifact("b", by="me")
        done = await last(t)
        await again()
        before = await seen(t)
        with pytest.raises(Conflict) as caught:
            await t.undo(done.id, by="ops")
        assert caught.value.code is Code.UNDO_SUPERSEDED
        assert await seen(t) == before


async def test_what_its_opposite_is_refused_for_an_undo_is_refused_for(t):
    await prepared(t)
    await t.delete_artifact("b", by="me")
    deleted = await last(t)
    await t.unalias("a", "prod")
    unaliased = await last(t)
    await t.delete_artifact("a", by="me")
    for done, code in ((deleted, Code.SOURCE_DELETED), (unaliased, Code.VERSION_DELETED)):
        with pytest.raises(CasstoreError) as caught:
            await t.undo(done.id, by="ops")
        assert caught.value.code is code
    await t.undelete_artifact("a", by="me")
    undeleted = await last(t)
    await t.undo(deleted.id, by="ops")
    with pytest.raises(Conflict) as caught:
        await t.undo(undeleted.id, by="ops")
    assert (caught.value.code, caught.value.fields["dependants"]) == (Code.STILL_USED, ["b@2"])


async def test_an_undelete_of_one_is_not_undone_under_its_alias(t):
    await t.put("a", "1")
    await t.put("a", "2")
    await t.delete("a@2", by="me")
    await t.undelete("a@2", by="me")
    done = await last(t)
    await t.alias("a@2", "prod")
    with pytest.raises(Conflict) as caught:
        await t.undo(done.id, by="ops")
    assert (caught.value.code, caught.value.fields["pointers"]) == (Code.STILL_USED, ["prod"])


async def test_a_step_of_what_is_in_the_trash_waits_for_it(t):
    await t.put("a", "1")
    await t.transition("a", "accepted", by="me")
    done = await last(t)
    await t.delete("a@1", by="me")
    with pytest.raises(NotFound) as caught:
        await t.undo(done.id, by="ops")
    assert caught.value.code is Code.VERSION_DELETED
    await t.undelete("a@1", by="me")
    await t.undo(done.id, by="ops")
    assert (await t.resolve("a")).state == "draft"


async def test_what_cannot_be_undone_says_why(t):
    await t.put("a", "1")
    await t.tag("a", "final")
    await t.put("b", "1")
    await t.delete("b@1", by="me")
    await t.purge("b@1", by="me")
    async with t.transaction(idempotency_key="k") as tx:
        tx.alias("a", "prod")
    await t.undo((await last(t, op="alias")).id, by="ops")
    for op, why in {
        "put": "hides",
        "tag": "once",
        "purge": "let go",
        "transaction": "one by one",
        "undo": "as what it is",
    }.items():
        before, done = await seen(t), await last(t, op=op)
        with pytest.raises(Invalid, match=why) as caught:
            await t.undo(done.id, by="ops")
        assert (caught.value.code, await seen(t)) == (Code.NOT_UNDOABLE, before)


async def test_what_an_undo_did_can_be_undone(t):
    await prepared(t)
    await t.alias("a@2", "prod")
    before = await seen(t)
    await t.undo((await last(t)).id, by="ops")
    moved_back = (await t.operations("a", op="alias")).items[0]
    assert (moved_back.before, moved_back.after) == (2, 1)
    await t.undo(moved_back.id, by="ops")
    assert await seen(t) == before


async def test_the_log_is_the_tenants(t, other):
    await t.put("a", "1")
    await t.alias("a", "prod")
    done = await last(t)
    for who, number in ((other, done.id), (t, 2**62), (t, 1 if done.id > 10 else 2**61)):
        with pytest.raises(NotFound) as caught:
            await who.undo(number, by="me")
        assert caught.value.code is Code.OPERATION_NOT_FOUND
    assert (await other.operations()).items == ()


@pytest.mark.parametrize("number", [0, -1, "1", 1.0, True, 2**63, None])
async def test_an_id_is_a_number(t, number):
    with pytest.raises(Invalid) as caught:
        await t.undo(number, by="me")
    assert caught.value.code is Code.BAD_ARGUMENT


# -- whatever was done ---------------------------------------------------------------------------------------------------------

some_name = st.sampled_from(NAMES)
some_ref = st.builds("{}@{}".format, some_name, st.integers(1, 3))
some_pointer = st.sampled_from(["p", "q"])
some_deed = st.one_of(
    st.tuples(st.just("alias"), some_ref, some_pointer),
    st.tuples(st.just("unalias"), some_name, some_pointer),
    st.tuples(st.just("transition"), some_ref, st.sampled_from(["accepted", "obsolete"])),
    st.tuples(st.just("delete"), some_ref),
    st.tuples(st.just("undelete"), some_ref),
    st.tuples(st.just("delete_artifact"), some_name),
    st.tuples(st.just("undelete_artifact"), some_name),
    st.tuples(st.just("purge"), some_ref),
    st.tuples(st.just("put"), some_name, st.sampled_from([None, "a@1", "b@1", "a@2"])),
    st.tuples(st.just("undo"), st.integers(0, 8)),  # of one of the last operations
)


async def do(t, deed):
    """The ids of the rows that this wrote; none where it was refused."""
    what, *arguments = deed
    before = await last_id(t)
    with contextlib.suppress(CasstoreError):
        if what == "put":
            sources = [arguments[1]] if arguments[1] else None
            await t.put(arguments[0], f"{before}", sources=sources)
        elif what == "undo":
            log = (await t.operations(limit=9)).items
            await t.undo(log[arguments[0] % len(log)].id, by="undoer")
        elif what in ("alias", "unalias"):
            await getattr(t, what)(*arguments)
        else:
            await getattr(t, what)(*arguments, by="me")
    return [o for o in (await t.operations(limit=20)).items if o.id > before]


async def refusal(call):
    """The code of what this call is refused with; None where it is done."""
    try:
        await call
    except CasstoreError as error:
        return error.code
    return None


async def last_id(t):
    return (await last(t)).id


@example(  # refused: b@1 and b@2 would be in the trash under their alias, and b@4 is live
    history=[("alias", "b@2", "p"), ("delete_artifact", "b"), ("put", "b", None), ("undelete_artifact", "b")]
)
@example(history=[("alias", "b@2", "p"), ("delete_artifact", "b"), ("put", "b", None), ("unalias", "b", "p")])
@settings(max_examples=15)
@given(history=st.lists(some_deed, min_size=1, max_size=14))
def test_the_last_operation_is_undone_exactly_or_not_at_all(bench, history):
    async def law():
        t = bench.tenant()
        await prepared(t)
        for deed in history:
            before = await seen(t)
            rows = await do(t, deed)
            after = await seen(t)
            undoable = [o for o in rows if o.op in ("alias", "unalias", "accepted", "obsolete", "delete", "undelete")]
            if deed[0] in ("put", "purge", "undo") or not undoable:
                continue
            refused = await refusal(t.undo(undoable[0].id, by="ops"))
            if refused:
                # An alias meant what is in the trash before, as only a whole artifact's delete leaves it: no call makes that again.
                assert refused in (Code.STILL_USED, Code.VERSION_DELETED)
                assert _has_alias_of_deleted(before)
                assert await seen(t) == after
                continue
            assert _visible(await seen(t)) == _visible(before)
            done = await do(t, deed)  # and can be done again: there is nothing left of it in the way
            assert (bool(done), _visible(await seen(t))) == (True, _visible(after))

    bench.run(law())


def _has_alias_of_deleted(told):
    return any(len(each) == 4 and each[3] is None for name in NAMES for each in told[name] if type(each) is tuple)


def _visible(told):
    """Without instants and who: of steps that are taken again these are others."""
    return {name: _bare(value) for name, value in told.items()}


def _bare(value):
    if isinstance(value, list) and value and isinstance(value[0], tuple) and len(value[0]) == 5:
        return [step[:3] for step in value]
    return [_bare(each) for each in value] if isinstance(value, list) else value


@settings(max_examples=25)
@given(history=st.lists(some_deed, min_size=2, max_size=12), which=st.integers(0, 30))
def test_an_earlier_operation_is_undone_as_if_it_were_the_last_or_refused(bench, history, which):
    """What an undo changes is exactly what the operation concerns: its alias, its versions; all the rest stays as it is now."""

    async def law():
        t = bench.tenant()
        await prepared(t)
        for deed in history:
            await do(t, deed)
        log = (await t.operations(limit=40)).items
        done = log[which % len(log)]
        before, states = await seen(t), await concerned(t)
        try:
            await t.undo(done.id, by="ops")
        except CasstoreError:
            assert await seen(t) == before
            return
        now = await concerned(t)
        changed = {key for key in states | now if states.get(key) != now.get(key)}
        if done.undone_by:
            assert await seen(t) == before
        elif done.pointer:
            assert changed == {(done.name, done.pointer)}
            assert (states.get((done.name, done.pointer)), now.get((done.name, done.pointer))) == (
                done.after,
                done.before,
            )
        elif done.op in ("accepted", "obsolete"):
            assert changed == {(done.name, done.number)}
            assert (states[done.name, done.number], now[done.name, done.number]) == (done.after, done.before)
        else:
            assert {(name, word) for name, word in changed if isinstance(word, int)} >= {(done.name, done.number)}
            gone = {key for key in changed if isinstance(key[1], int) and key not in now}
            assert bool(gone) == (done.op == "undelete")

    bench.run(law())


async def concerned(t):
    """Where each alias points, and the state of each version that is live."""
    told = {}
    for name in NAMES:
        told |= {(name, p.pointer): p.number for p in await t.pointers(name)}
        with contextlib.suppress(NotFound):
            told |= {(name, v.number): v.state for v in await t.history(name)}
    return told
