"""Rows of the catalog's functions as values of the model."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgpack

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.model import Component, Digest, Pointer, Relation, Version

__all__ = ["SEQ", "components_of", "cursor_of", "parse_cursor", "pointer_of", "relations_of", "version_of"]

SEQ: Final = 16  # where casstore.version_details has the place in the order of all versions

_SEQ_MAX: Final = 2**63 - 1  # a Postgres bigint
_BY_NUMBER: Final = ("history", "pointer")  # cursors that hold the number of a version or of a move


def version_of(row: Sequence[Any]) -> Version:
    """A row of `casstore.version_details`."""
    identity, name, number, kind, title, labels, manifest, created_at, roles, digests, sizes, media_types, *rest = row
    relations, metadata, state, facts, _, _, _, erased, actor, *_ = rest
    components = tuple(
        Component.model_construct(
            role=role, digest=Digest(digest), size_bytes=size, media_type=media_type, **_facts_of(facts, role)
        )
        for role, digest, size, media_type in zip(roles, digests, sizes, media_types, strict=True)
    )
    return Version.model_construct(  # the catalog's constraints have checked these values
        id=identity,
        name=name,
        number=number,
        type=kind,
        title=title,
        labels=labels or {},
        metadata=metadata or {},
        digest=Digest(manifest),
        components=components,
        relations=relations_of(relations),
        created_at=created_at,
        by=actor,
        state=state,
        erased=tuple(erased or ()),
    )


def components_of(rows: Sequence[Sequence[Any]]) -> tuple[Component, ...]:
    """What `casstore.with_components` says of the components of a version."""
    return tuple(
        Component.model_construct(
            role=role, digest=_digest(digest), size_bytes=size, media_type=media_type, **_facts_of({role: facts}, role)
        )
        for role, digest, size, media_type, *facts in rows
    )


def _facts_of(facts: Mapping[str, Sequence[Any]] | None, role: str) -> dict[str, Any]:
    """What was found in a component: the picture that it is, and what it means."""
    if not facts or role not in facts:
        return {}
    pixels, width, height, meaning, layout = facts[role]
    picture = {"pixels": _digest(pixels), "width": width, "height": height}
    return {**picture, "meaning": _digest(meaning), "layout": _digest(layout)}


def _digest(digits: str | None) -> Digest | None:
    return None if digits is None else Digest(bytes.fromhex(digits))


def relations_of(lines: Sequence[str] | None) -> tuple[Relation, ...]:
    """The column of that name: "source name target" each."""
    return tuple(Relation(*line.split(" ")) for line in lines or ())


def pointer_of(name: str, row: Sequence[Any]) -> Pointer:
    """A `casstore.pointer_row` of this artifact."""
    pointer, is_tag, number, moved_at, actor = row[:5]
    return Pointer(name=name, pointer=pointer, is_tag=is_tag, number=number, moved_at=moved_at, by=actor)


def cursor_of(kind: str, *position: int) -> str:
    """Where a page ended, as opaque text."""
    packed: bytes = msgpack.packb([kind, *position])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def parse_cursor(kind: str, cursor: str | None, length: int) -> list[int | None]:
    """The position in a cursor that `cursor_of` made for the same `kind`; Nones for no cursor. Raises Invalid (bad_cursor)."""
    if cursor is None:
        return [None] * length
    try:
        found, *position = msgpack.unpackb(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        most = limits.VERSION_MAX if kind in _BY_NUMBER else _SEQ_MAX
        if found == kind and len(position) == length and all(type(p) is int and 0 <= p <= most for p in position):
            return list(position)
    except (ValueError, TypeError, msgpack.UnpackException, binascii.Error):
        pass  # refused below: whatever is wrong with it, it is not ours
    raise Invalid(
        Code.BAD_CURSOR, "this cursor is not from a page of this listing", hint="Start again without a cursor."
    )
