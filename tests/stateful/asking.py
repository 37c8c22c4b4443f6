"""A step as it is drawn, asked of a tenant of the store, and of its model in living.py; and all that can be seen of both."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import deepcopy
from datetime import timedelta
from itertools import groupby
from typing import Any, NamedTuple

from hypothesis import strategies as st

from casstore import AsyncTenant, CasstoreError, Digest
from tests.stateful.living import HALF, NAMES, Policy, Tenant, seconds


class Some(NamedTuple):
    """A version, a name or an operation of those that there are then: one with which the model does the step ("done"), or refuses
    it because something would be lost ("protected"), where there is such a one.
    """

    what: str
    place: int
    wanted: str


PROTECTED = ("still_used", "source_deleted", "undo_superseded", "version_deleted", "tag_frozen")


class Step(NamedTuple):
    verb: str
    arguments: tuple[Any, ...] = ()


def weighed(*ways: tuple[int, st.SearchStrategy[Step]]) -> st.SearchStrategy[Step]:
    """Hypothesis makes one choice of nested ones, in which whoever has many ways would drown the others."""
    weighted = [way for weight, way in ways for _ in range(weight)]
    return st.integers(0, len(weighted) - 1).flatmap(lambda place: weighted[place])


def one_of_verbs(verbs: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.builds(Step, st.sampled_from(verbs.split()), st.tuples(*arguments))


def some(what: str) -> st.SearchStrategy[Some]:
    return st.builds(Some, st.just(what), st.integers(0, 11), st.sampled_from(["done", "done", "protected", "any"]))


some_name, some_version = some("name"), some("version")
some_content = st.integers(1, 3)
some_days = st.integers(0, 2)
some_target = some_version | some("target")
some_policy = st.builds(
    Policy,
    st.sampled_from([None, None, "sop"]),
    st.integers(0, 2),
    st.sampled_from([0, 0, 1, 2]),
    st.booleans(),
    st.sampled_from([None, 0, 1]),
)
some_ttl = st.sampled_from([None, None, None, 0, 1, 2])
some_state = st.sampled_from(["accepted", "obsolete"])
some_expect = st.sampled_from([None, None, None, None, None, None, 0, 1, 2])
some_put = one_of_verbs(
    "put", st.sampled_from(sorted(NAMES)), some_content, some_expect, st.none() | some_version, some_ttl
)
trash_step = weighed(
    (5, some_put),
    (4, one_of_verbs("delete purge undelete alias delete purge", some_version)),
    (2, one_of_verbs("delete_artifact purge_artifact undelete_artifact unalias", some_name)),
    (2, one_of_verbs("hold release", some_target)),
    (1, one_of_verbs("empty_trash", st.none() | some_days)),
)
some_mark = weighed(
    (2, one_of_verbs("tag alias", some_version)),
    (2, one_of_verbs("transition", some_version, some_state)),
    (1, one_of_verbs("hold", some_target)),
)
some_step = weighed(
    (8, trash_step),
    (1, one_of_verbs("set_retention", some_policy)),
    (1, one_of_verbs("expire", some_version, st.none() | some_days)),
    (2, one_of_verbs("apply_retention")),
    (1, one_of_verbs("tag", some_version)),
    (2, one_of_verbs("transition", some_version, some_state)),
    (3, one_of_verbs("undo", some("operation"))),
    (1, one_of_verbs("erase_content", some_content)),
)


def meant(model: Tenant, drawn: Step) -> Step | None:
    """The step with what its `Some` means now; None where there is nothing that it could mean."""
    unclear = [each for each in drawn.arguments if isinstance(each, Some)]
    if not unclear:
        return drawn
    choices = [
        drawn._replace(arguments=tuple(option if isinstance(each, Some) else each for each in drawn.arguments))
        for option in options(model, unclear[0].what)
    ]
    if unclear[0].wanted != "any":
        answers = [modelled(deepcopy(model), each) for each in choices]
        done = [each for each, answer in zip(choices, answers, strict=True) if not isinstance(answer, str)]
        protected = [each for each, answer in zip(choices, answers, strict=True) if answer in PROTECTED]
        choices = (unclear[0].wanted == "protected" and protected) or done or choices
    return choices[unclear[0].place % len(choices)] if choices else None


def options(model: Tenant, what: str) -> list[Any]:
    """The newest first; and a version that is not there."""
    names = sorted(NAMES)
    match what:
        case "name":
            return names
        case "target":
            return [(names[0], None), (None, None), (names[1], None)]
        case "operation":
            return list(reversed(range(len(model.log))))
    return [*sorted(model.all(), key=lambda ref: -model.at(ref).order), (names[0], 99)]


def modelled(model: Tenant, asked: Step) -> Any:
    return getattr(model, asked.verb)(*asked.arguments)


def stages(model: Tenant, asked: Step) -> list[Tenant]:
    """All that may be seen of a step that is cut off: what was before it, what it comes by, and what it ends with."""
    after, found = deepcopy(model), [model]
    if asked.verb == "apply_retention":
        found.append(deepcopy(model))
        found[-1].drop()
    modelled(after, asked)
    return [*found, after]


def text(ref: tuple[str, int]) -> str:
    return "{}@{}".format(*ref)


def words(content: int) -> str:
    return str(content) * content


async def told(call: Awaitable[Any]) -> Any:
    """The answer, or the code of the refusal. Whether trying again may help is for the caller to say."""
    try:
        return await call
    except CasstoreError as error:
        if error.retryable:
            raise
        return str(error.code)


async def ask(t: AsyncTenant, asked: Step) -> Any:
    """What the store answers, in the words of the model."""
    answer = await told(call_of(t, asked))
    if isinstance(answer, str):
        return answer
    match asked.verb:
        case "put":
            return answer.number
        case "empty_trash":
            return answer
        case "apply_retention":
            return answer.dropped, answer.purged
    return None


def call_of(t: AsyncTenant, asked: Step) -> Awaitable[Any]:
    if asked.verb in CALLS:
        return CALLS[asked.verb](t, *asked.arguments)
    what, *more = asked.arguments
    return getattr(t, asked.verb)(what if isinstance(what, str) else text(what), *more, by="me")


def put(t, name, content, expect, source, ttl=None):
    sources = None if source is None else [text(source)]
    by = (None, "me", "you")[content % 3]  # which the audit compares with the log
    return t.put(name, words(content), type=NAMES[name], expect=expect, sources=sources, ttl=period(ttl), by=by)


def period(days: int | None) -> timedelta | None:
    return None if days is None else timedelta(seconds=seconds(days))


async def undo(t: AsyncTenant, place: int) -> Any:
    return await t.undo((await log_of(t))[place].id, by="me")


def target(name: str | None, number: int | None) -> str | None:
    return text((name, number)) if number else name


CALLS: dict[str, Callable[..., Awaitable[Any]]] = {
    "put": put,
    "alias": lambda t, ref: t.alias(text(ref), "prod", by="me"),
    "unalias": lambda t, name: t.unalias(name, "prod"),
    "tag": lambda t, ref: t.tag(text(ref), "final", by="me"),
    "hold": lambda t, on: t.hold(target(*on), "case", by="me"),
    "release": lambda t, on: t.release(target(*on), "case", by="me"),
    "empty_trash": lambda t, days: t.empty_trash(timedelta(0 if days is None else days + HALF), by="me"),
    "set_retention": lambda t, policy: t.set_retention(policy.as_given(), by="me"),
    "apply_retention": lambda t: t.apply_retention(by="me"),
    "expire": lambda t, ref, days: t.expire(text(ref), period(days), by="me"),
    "erase_content": lambda t, content: t.erase_content(Digest.of(words(content).encode()), by="me"),
    "undo": undo,
}


async def log_of(t: AsyncTenant) -> list[Any]:
    return list(reversed((await t.operations(limit=1000)).items))


async def take(t: AsyncTenant, model: Tenant, drawn: Step) -> None:
    """Do one step in both: the store has to answer as the model does, and to have told so beforehand."""
    asked = meant(model, drawn)
    if asked is None:
        return
    explains = asked.verb in ("delete", "delete_artifact", "purge", "purge_artifact")
    if explains:
        name_or_ref = asked.arguments[0] if isinstance(asked.arguments[0], str) else text(asked.arguments[0])
        explained = await told(t.explain(asked.verb, name_or_ref))
        before, stored = fates(model), (await t.usage()).stored_bytes
    if asked.verb == "apply_retention":
        await compare_preview(t, model)
    wanted, answer = modelled(model, asked), await ask(t, asked)
    assert answer == wanted, f"{asked}: the store says {answer}, the model {wanted}"
    if explains:
        changed = {text(ref) for ref, fate in fates(model).items() if before[ref] != fate}
        await assert_as_explained(t, explained, wanted, changed, stored)


def fates(model: Tenant) -> dict[Any, str]:
    return {
        ref: "purged" if made.purged else "live" if made.gone is None else "gone" for ref, made in model.all().items()
    }


async def assert_as_explained(t, explained, wanted, changed, stored_before) -> None:
    """What was told before it was done is what was done."""
    freed = stored_before - (await t.usage()).stored_bytes
    if isinstance(explained, str):
        assert explained == wanted
    elif wanted == "still_used":
        assert explained.blockers == len(explained.holds) + len(explained.pointers) + len(explained.dependants) > 0
    else:
        assert (wanted, explained.blockers) == (None, 0)
        assert set(explained.versions) == changed
        assert freed == (0 if explained.is_reversible else explained.frees_bytes)


async def compare_preview(t: AsyncTenant, model: Tenant) -> None:
    told_now = {(v.name, v.number): (v.rule, v.drops) for v in await t.preview_retention(limit=1000)}
    assert told_now == model.verdicts()


async def shown(t: AsyncTenant) -> Any:
    """What a look at a tenant shows of what was done: its log, what becomes of each version, where pointers are, what is held."""
    log = in_runs(await log_of(t))
    seen = {}
    for head in await t.list(limit=100):
        seen |= {v.ref: ("live", v.state) for v in await t.history(head.name, limit=100)}
    for purged in (False, True):
        seen |= {d.ref: ("purged" if purged else "gone", None) for d in await t.trash(purged=purged, limit=100)}
    pointers = {
        (p.name, p.pointer): p.number for name in {ref.split("@")[0] for ref in seen} for p in await t.pointers(name)
    }
    return log, seen, pointers, {(hold.name, hold.number) for hold in await t.holds(limit=100)}


def in_runs(rows: list[Any]) -> list[Any]:
    """The rows; in which order one call writes several, nobody has promised."""
    told = [(row.op, row.name, row.number) for row in rows]
    return [sorted(run, key=str) for _, run in groupby(told, key=lambda row: row[0])]


def shown_by(model: Tenant) -> Any:
    log = in_runs(model.log)
    states = {ref: made.state if made.gone is None else None for ref, made in model.all().items()}
    seen = {text(ref): (fate, states[ref]) for ref, fate in fates(model).items()}
    pointers = {(name, "prod"): number for name, number in model.aliases.items() if number}
    pointers |= {(name, "final"): number for name, number in model.tags.items()}
    return log, seen, pointers, {target for target, holds in model.holds.items() if holds}


async def readable(t: AsyncTenant, model: Tenant) -> None:
    """Every version that is not in the trash has its bytes; those that were erased say so."""
    for ref, made in model.all().items():
        if made.gone is None:
            read = await told(read_text(t, ref))
            assert read == ("content_erased" if made.erased else words(made.content)), ref


async def read_text(t: AsyncTenant, ref: tuple[str, int]) -> str:
    return await (await t.get(text(ref))).text()


async def compare(t: AsyncTenant, model: Tenant) -> None:
    """Every reading shows what is live, and nothing else."""
    for seen, wanted in zip(await shown(t), shown_by(model), strict=True):
        assert seen == wanted, f"the store shows {seen}, the model {wanted}"
    listed = {}
    for name, line in model.versions.items():
        live = model.live(name)
        missing = "version_deleted" if line else "artifact_not_found"
        latest = await told(t.resolve(name))
        assert (latest if isinstance(latest, str) else latest.number) == (live[-1] if live else missing)
        history = await told(t.history(name))
        assert (history if isinstance(history, str) else [v.number for v in history]) == (live[::-1] or missing)
        for number, made in enumerate(line, 1):
            found = await told(t.resolve(f"{name}@{number}"))
            assert (found if isinstance(found, str) else found.number) == (
                number if made.gone is None else "version_deleted"
            )
        if live:
            listed[name] = live[-1]
    assert {v.name: v.number for v in await t.list()} == listed
    released = {(hold.name, hold.number) for hold in await t.holds(released=True)}
    assert released == {target for target, holds in model.holds.items() if not holds}
    await compare_preview(t, model)
    usage, kept = await t.usage(), [ref for ref, made in model.all().items() if not made.purged]
    assert (usage.artifacts, usage.versions) == (len({name for name, _ in kept}), len(kept))
    logical = sum(model.at(ref).content for ref in kept if not model.at(ref).erased)
    assert (usage.logical_bytes, usage.stored_bytes) == (logical, model.stored())
