"""merge: three versions, component by component. What one side alone has changed is taken; what both have, their format merges.

The merged version is put as any other, if `ours` is still the newest of the name it goes to, and remembers both as its sources.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from operator import eq, itemgetter
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from casstore import grammar, kinds, limits
from casstore.errors import Code, Conflict, Invalid
from casstore.formats import json, media_types
from casstore.formats.comparison import Format, MergeConflict, Taken
from casstore.formats.json.exact import same
from casstore.formats.registry import format_of
from casstore.kinds import pointer
from casstore.model import Component, Lineage, Source, Stored, Version
from casstore.operations import Context
from casstore.operations.get import AsyncArtifact, get
from casstore.operations.merges import Merge, MergedPart, PartConflict, Resolution
from casstore.operations.once import Keyed, content_digest, given, once
from casstore.operations.put import check_options, put
from casstore.operations.sides import opened, stream_of
from casstore.operations.tracing import trace
from casstore.refs import Ref
from casstore.staging import Components, Part

__all__ = ["Asked", "merge"]

_Choice: TypeAlias = Literal["same", "ours", "theirs"]
_Side: TypeAlias = Literal["base", "ours", "theirs"]
_SIDES: Final[tuple[_Side, ...]] = ("base", "ours", "theirs")
_NOWHERE: Final = object()  # a key that a side does not have


@dataclass(frozen=True, slots=True)
class Asked:
    """A merge as it was asked for."""

    ours: str | Ref
    theirs: str | Ref
    base: str | Ref | None
    into: str | None
    resolved: Iterable[Resolution]
    preview: bool
    idempotency_key: str | None
    by: str | None


async def merge(context: Context, asked: Asked) -> Merge:
    """Merge two versions; see `AsyncTenant.merge` for the promise."""
    grammar.check_by(asked.by)  # also where nothing is stored
    keyed = await _keyed(context, asked)

    async def repeat(stored: Stored) -> Merge:
        return await _told_again(context, asked, stored)

    async def make() -> Merge:
        merged = await _merge(context, asked, keyed)
        # Conflicts, too, may be with what a twin has stored meanwhile.
        stored = merged.stored or (await keyed.answer(context) if keyed else None)
        return await repeat(stored) if stored and stored.repeated else merged

    return await once(context, keyed, make, repeat)


async def _keyed(context: Context, asked: Asked) -> Keyed | None:
    """What the key stands for: docs/format.md, "Idempotency". A preview is of no request that stores."""
    if asked.idempotency_key is None or asked.preview:
        return None
    by_place = _by_place(asked.resolved)
    decided = [[*place, each.take, each.value if each.take == "value" else None] for place, each in by_place.items()]
    arguments = [
        given(context, asked.ours),
        given(context, asked.theirs),
        given(context, asked.base) if asked.base else None,
        asked.into and grammar.check_name(asked.into),
        await content_digest(context, sorted(decided, key=itemgetter(0, 1))),
    ]
    return Keyed.of(asked.idempotency_key, "merge", arguments)


async def _told_again(context: Context, asked: Asked, stored: Stored) -> Merge:
    """The answer of the merge that has made this version: of the versions that it was made from, whatever the names mean now."""
    (node,) = await trace(context, f"id:{stored.id}", "up", 0)
    sides = {link.role: f"id:{link.source}" for link in node.sources}
    base = _meant_before(asked.base, stored) if asked.base else None
    pinned = replace(asked, ours=sides["ours"], theirs=sides["theirs"], base=base, preview=True)
    merged = await _merge(context, pinned, None)
    return merged.model_copy(update={"into": stored.name, "stored": stored})


def _meant_before(base: str | Ref, stored: Stored) -> Ref:
    """What a base meant when the merged version was made: what moves has a history."""
    ref = Ref.parse(base)
    if ref.id or ref.selector.as_of or ref.selector.kind not in ("latest", "pointer"):
        return ref
    instant = stored.created_at - timedelta(microseconds=1)  # the merged version itself may be the next of that name
    return ref.model_copy(update={"selector": ref.selector.model_copy(update={"as_of": instant})})


async def _merge(context: Context, asked: Asked, keyed: Keyed | None) -> Merge:
    ours, theirs = await get(context, asked.ours), await get(context, asked.theirs)
    base = await get(context, asked.base) if asked.base else await _ancestor(context, ours.version, theirs.version)
    for side in (base, ours, theirs):
        side.check_whole()
    work = _Merging(base, ours, theirs, _by_place(asked.resolved))
    parts = [await work.part(role) for role in work.roles()]
    fields = work.fields()
    work.check_used()
    work.check_left()
    into = asked.into or ours.version.name
    stored = None
    if not work.conflicts and not asked.preview:
        stored = await _store(context, work, fields, asked, keyed)
    sides = [(await opened(context, artifact.version)).side for artifact in (base, ours, theirs)]
    return Merge(
        base=sides[0],
        ours=sides[1],
        theirs=sides[2],
        into=into,
        components=tuple(parts),
        conflicts=tuple(work.conflicts),
        stored=stored,
    )


def _by_place(resolved: Iterable[Resolution]) -> dict[tuple[str, str], Resolution]:
    """Resolutions by what they are about; raises Invalid (bad_json) of a value that no content could have."""
    found = {(each.role, each.path): each for each in resolved}
    for each in found.values():
        if each.take == "value":
            json.encode(each.value)
    return found


async def _ancestor(context: Context, ours: Version, theirs: Version) -> AsyncArtifact:
    """The nearest version that both go back to; of several of one name only the newest counts, which succeeds the others."""
    above = [await trace(context, f"id:{version.id}", "up", None) for version in (ours, theirs)]
    common = _common(ours, theirs, *above)
    if not common:
        message = f"{ours.ref} and {theirs.ref} were not made from a common version"
        raise Invalid(Code.BAD_ARGUMENT, message, hint="Say which version both began with: base=… or --base REF.")
    newest = {node.version.name: node.version.number for node in sorted(common, key=lambda each: each.version.number)}
    left = [node for node in common if node.version.number == newest[node.version.name]]
    nearest = min(left, key=lambda each: (each.steps, str(each.version.id)))
    return await get(context, f"id:{nearest.version.id}")


class _Common(NamedTuple):
    """A version that two sides go back to, and how many steps both are from there together."""

    version: Version
    steps: int


def _common(ours: Version, theirs: Version, above_ours: Lineage, above_theirs: Lineage) -> list[_Common]:
    """What both were made from, and what of each side's earlier versions the other was made from."""
    depths = {node.version.id: node.depth for node in above_theirs}
    both = [
        _Common(node.version, node.depth + depths[node.version.id]) for node in above_ours if node.version.id in depths
    ]
    succeeded = [
        _Common(node.version, node.depth + side.number - node.version.number)
        for side, lineage in ((ours, above_theirs), (theirs, above_ours))
        for node in lineage
        if node.version.name == side.name and node.version.number <= side.number
    ]
    return both + succeeded


def _chosen(base: Any, ours: Any, theirs: Any, *, equal: Callable[[Any, Any], bool] = eq) -> _Choice | None:
    """Whose state counts; None where both have changed it, and not to the same."""
    if equal(ours, theirs):
        return "same"
    if equal(ours, base):
        return "theirs"
    return "ours" if equal(theirs, base) else None


@dataclass
class _Merging:
    """Three versions, and what becomes of them."""

    base: AsyncArtifact
    ours: AsyncArtifact
    theirs: AsyncArtifact
    resolved: dict[tuple[str, str], Resolution]
    content: dict[str, Part] = field(default_factory=dict)
    conflicts: list[PartConflict] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)

    def roles(self) -> list[str]:
        return sorted({role for side in self.sides().values() for role in side.version.roles})

    def sides(self) -> dict[_Side, AsyncArtifact]:
        return dict(zip(_SIDES, (self.base, self.ours, self.theirs), strict=True))

    async def part(self, role: str) -> MergedPart:
        """One component: taken from a side, merged, or in conflict."""
        states = {name: _component(side.version, role) for name, side in self.sides().items()}
        keys = [state and (state.digest, state.media_type) for state in states.values()]
        if choice := _chosen(*keys):
            return self._take(role, "ours" if choice == "same" else choice, choice)
        there = [state for state in states.values() if state]
        chosen = _chosen(*(state.media_type for state in there)) if len(there) == len(_SIDES) else None
        if chosen and max(state.size_bytes for state in there) <= limits.COMPARED_MAX_BYTES:
            return await self._merged(role, there[2 if chosen == "theirs" else 1].media_type)
        return self._whole(role)

    async def _merged(self, role: str, media_type: str) -> MergedPart:
        base, ours, theirs = contents = [await side[role].bytes() for side in self.sides().values()]
        form = self._form(role, media_type, contents)
        if form.merge is None:
            return self._whole(role)
        try:
            merged = await asyncio.to_thread(form.merge, base, ours, theirs, partial(self._decided, role))
        except Invalid as error:
            if error.code is Code.BAD_ARGUMENT:  # a value was decided that cannot be
                raise
            # It is not what its media type says: nothing of it can be merged.
            return self._whole(role)
        if merged.data is None:
            self.conflicts += (PartConflict(role=role, conflict=conflict) for conflict in merged.conflicts)
            return MergedPart(role=role, taken="conflict", is_there=True)
        self.content[role] = Part(merged.data, media_type)
        return MergedPart(role=role, taken="merged", is_there=True)

    def _form(self, role: str, media_type: str, contents: list[bytes]) -> Format:
        types = {side.version.type for side in (self.ours, self.theirs)}
        own = kinds.format_for(types.pop(), role, media_type) if len(types) == 1 else None
        return own or format_of(media_type, *contents)

    def _whole(self, role: str) -> MergedPart:
        """A component that cannot be merged: one side's, if that was decided, else a conflict."""
        sides = {name: _component(side.version, role) for name, side in self.sides().items()}
        there = tuple(name for name, component in sides.items() if component)
        text = (
            f"both have changed {role}, which cannot be merged"
            if len(there) == len(_SIDES)
            else (
                f"{role} was changed on one side and removed on the other"
                if "base" in there
                else f"both have added {role}"
            )
        )
        values = {name: str(component.digest) for name, component in sides.items() if component}
        conflict = MergeConflict(path="", text=text, present=there, **values)
        taken = self._decided(role, conflict)
        if taken and taken.side != "value":
            return self._take(role, taken.side, "resolved")
        if taken:
            self.content[role] = Part(json.encode(taken.value), media_types.JSON)
            return MergedPart(role=role, taken="resolved", is_there=True)
        self.conflicts.append(PartConflict(role=role, conflict=conflict))
        return MergedPart(role=role, taken="conflict", is_there=True)

    def _take(self, role: str, name: _Side, told: Any) -> MergedPart:
        side = self.sides()[name]
        component = _component(side.version, role)
        if component:
            self.content[role] = Part(stream_of(side[role]), component.media_type)
        return MergedPart(role=role, taken=told, is_there=component is not None)

    def fields(self) -> dict[str, Any]:
        """Title, labels and metadata of the merged version, key by key."""
        versions = [side.version for side in self.sides().values()]
        merged: dict[str, Any] = {"title": self._value(pointer("title"), *(each.title for each in versions))}
        for name in ("labels", "metadata"):
            mappings = [getattr(each, name) for each in versions]
            keys = sorted({key for mapping in mappings for key in mapping})
            values = {
                key: self._value(pointer(name, key), *(each.get(key, _NOWHERE) for each in mappings)) for key in keys
            }
            merged[name] = {key: value for key, value in values.items() if value is not _NOWHERE}
        return merged

    def _value(self, path: str, base: Any, ours: Any, theirs: Any) -> Any:
        states: dict[_Side, Any] = dict(zip(_SIDES, (base, ours, theirs), strict=True))
        if choice := _chosen(base, ours, theirs, equal=same):  # 1 and true are two values
            return theirs if choice == "theirs" else ours
        there = {name: value for name, value in states.items() if value is not _NOWHERE}
        text = f"both have changed {path[1:].replace('/', ' ')}"
        conflict = MergeConflict(path=path, text=text, present=tuple(there), **there)
        if taken := self._decided("", conflict):
            return taken.value if taken.side == "value" else states[taken.side]
        self.conflicts.append(PartConflict(role="", conflict=conflict))
        return base

    def _decided(self, role: str, conflict: MergeConflict) -> Taken | None:
        found = self.resolved.get((role, conflict.path))
        if found is None:
            return None
        self.used.add((role, conflict.path))
        return Taken(side=found.take, value=found.value)

    def check_left(self) -> None:
        """Each side may have removed what the other kept."""
        if not self.content and not self.conflicts:
            refs = f"{self.ours.version.ref} and {self.theirs.version.ref}"
            message = f"nothing would be left of {refs}: each removed what the other kept"
            raise Invalid(Code.BAD_COMPONENTS, message, hint="Put the version that you want.")

    def check_used(self) -> None:
        """Every resolution has met its conflict: else it was written for another merge."""
        if unused := sorted(self.resolved.keys() - self.used):
            role, path = unused[0]
            message = f"there is no conflict at {role or 'the version'} {path or '(all of it)'} to be resolved"
            hint = "Were the versions changed since? Merge again, and resolve the conflicts of that."
            raise Conflict(Code.HEAD_MOVED, message, hint=hint, role=role, path=path)


def _component(version: Version, role: str) -> Component | None:
    return next((part for part in version.components if part.role == role), None)


async def _store(
    context: Context, work: _Merging, fields: Mapping[str, Any], asked: Asked, keyed: Keyed | None
) -> Stored:
    ours, theirs = work.ours.version, work.theirs.version
    into = asked.into or ours.name
    options = check_options(
        type=ours.type,
        title=fields["title"],
        labels=fields["labels"],
        metadata=fields["metadata"],
        expect=ours.number if into == ours.name else None,
        idempotency_key=asked.idempotency_key,
        on_same="new_version",
        by=asked.by,
    ).model_copy(update={"asked": keyed and keyed.fingerprint})
    sources = [Source(ours, "ours"), Source(theirs, "theirs")]
    data = Components({role: work.content[role] for role in sorted(work.content)})
    return await put(context, into, data, options, sources=sources, media_type=None)
