"""diff: manifests first, then the components whose digests differ, each by its format. What is equal is never opened."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from casstore import kinds, limits
from casstore.errors import Invalid
from casstore.formats import media_types
from casstore.formats.comparison import Format
from casstore.formats.registry import format_of
from casstore.model import Component
from casstore.operations import Context
from casstore.operations.differences import ComponentDiff, Diff
from casstore.operations.sides import Content, Opened, Target, opened, paired
from casstore.operations.summaries import fields_of, relations_of, summary_of

__all__ = ["Compared", "Contents", "compare", "diff"]

Contents = Mapping[str, tuple[bytes | None, bytes | None]]


@dataclass(frozen=True, slots=True)
class Compared:
    """A diff, and the bytes of the components that differ, before and after, by role: what a report shows."""

    diff: Diff
    contents: Contents


async def diff(context: Context, a: Target, b: Target, *, component: str | None) -> Diff:
    """What has changed from `a` to `b`; see `AsyncTenant.diff` for the promise."""
    return (await compare(context, a, b, component=component, whole=False)).diff


async def compare(context: Context, a: Target, b: Target, *, component: str | None, whole: bool = True) -> Compared:
    """As `diff`; where it is to be `whole`, with the bytes of what was added, removed or changed."""
    before = await opened(context, a)
    try:
        after = await opened(context, b)
        try:
            return await _Comparing(*paired(before, after, component), whole=whole).run()
        finally:
            after.close()
    finally:
        before.close()


@dataclass
class _Comparing:
    """Two sides, and what was read of them so far."""

    a: Opened
    b: Opened
    whole: bool
    contents: dict[str, tuple[bytes | None, bytes | None]] = field(default_factory=dict)

    async def run(self) -> Compared:
        parts = [await self._part(old, new) for old, new in self._matched()]
        parts.sort(key=lambda part: part.role)
        old, new = self.a.version, self.b.version
        whole = old and new and self.a.one is None and self.b.one is None
        fields = tuple(fields_of(old, new)) if whole and old and new else ()
        relations = tuple(relations_of(old, new)) if whole and old and new else ()
        diff = Diff(
            a=self.a.side,
            b=self.b.side,
            components=tuple(parts),
            relations=relations,
            fields=fields,
            summary=tuple(summary_of(parts, (*relations, *fields))),
        )
        return Compared(diff, self.contents)

    def _matched(self) -> Iterator[tuple[Content | None, Content | None]]:
        """Components by role; what is left by its digest, in another role; the one of either side with the other's."""
        old, new = dict(self.a.parts), dict(self.b.parts)
        if self.a.one and self.b.one and old and new:
            yield next(iter(old.values())), next(iter(new.values()))
            return
        for role in sorted(old.keys() & new.keys()):
            yield old.pop(role), new.pop(role)
        for role, part in sorted(new.items()):
            twin = next((each for each in old.values() if each.component.digest == part.component.digest), None)
            yield (old.pop(twin.component.role) if twin else None), new[role]
        for part in old.values():
            yield part, None

    async def _part(self, old: Content | None, new: Content | None) -> ComponentDiff:
        if old and new:
            if old.component.digest == new.component.digest:
                return self._equal(old.component, new.component)
            return await self._changed(old, new)
        component = (new or old).component  # type: ignore[union-attr]  # one of the two is there
        if self.whole:
            self.contents[component.role] = await _read(old), await _read(new)
        return ComponentDiff(
            role=component.role,
            op="added" if new else "removed",
            depth="meaning",
            before=old.component if old else None,
            after=new.component if new else None,
        )

    def _equal(self, before: Component, after: Component) -> ComponentDiff:
        """Equal bytes; whoever compares two components that were named does not mind their roles."""
        if before.role != after.role and not (self.a.one and self.b.one):
            return ComponentDiff(role=after.role, op="renamed", depth="meaning", before=before, after=after)
        if before.media_type != after.media_type:
            return ComponentDiff(role=after.role, op="changed", depth="encoding", before=before, after=after)
        return ComponentDiff(role=after.role, op="same", depth="same", before=before, after=after)

    async def _changed(self, old: Content, new: Content) -> ComponentDiff:
        before, after = old.component, new.component
        if (size := max(before.size_bytes, after.size_bytes)) > limits.COMPARED_MAX_BYTES:
            refused = f"it has {size} bytes, and up to {limits.COMPARED_MAX_BYTES} are compared"
            return ComponentDiff(
                role=after.role, op="changed", depth="meaning", before=before, after=after, refused=refused
            )
        contents = await old.read(), await new.read()
        if self.whole:
            self.contents[after.role] = contents
        types = [side.version.type for side in (self.a, self.b) if side.version]
        return await asyncio.to_thread(_told, before, after, types, contents)


async def _read(part: Content | None) -> bytes | None:
    if part is None or part.component.size_bytes > limits.COMPARED_MAX_BYTES:
        return None
    return await part.read()


def _told(before: Component, after: Component, types: list[str], contents: tuple[bytes, bytes]) -> ComponentDiff:
    """A component whose bytes have changed, compared by its format; else as text, else as bytes."""
    refused = None
    for form in _forms(before, after, types, contents):
        try:
            comparison = form.diff(*contents)
        except Invalid as error:
            refused = refused or error.message
            continue
        words = _words(after.role, types, contents) if comparison.depth == "meaning" else []
        if words:
            comparison = comparison.model_copy(update={"summary": (*words, *comparison.summary)})
        return ComponentDiff(
            role=after.role,
            op="changed",
            depth=comparison.depth,
            before=before,
            after=after,
            comparison=comparison,
            refused=refused,
        )
    raise AssertionError  # bytes can always be compared


def _forms(before: Component, after: Component, types: list[str], contents: tuple[bytes, bytes]) -> Iterator[Format]:
    """The formats to try: what the kind wants, what both media types say, and what any bytes may be."""
    own = [kinds.format_for(each, after.role, after.media_type) for each in types]
    if own and own[0] and all(each is own[0] for each in own):
        yield own[0]
    forms = format_of(before.media_type, *contents), format_of(after.media_type, *contents)
    if forms[0] is forms[1]:
        yield forms[0]
    yield format_of(media_types.TEXT)
    yield format_of(media_types.BINARY)


def _words(role: str, types: list[str], contents: tuple[bytes, bytes]) -> list[str]:
    """What the kind of the artifacts says about the change, if both are of one."""
    return kinds.words_for(types[0], role, *contents) if len(set(types)) == 1 else []
