"""The sides of a comparison: versions, their components, or data that is not in the store, opened alike."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

from casstore.errors import Code, Invalid, NotFound
from casstore.kinds import Piece
from casstore.model import MAIN, Component, Version
from casstore.operations import Context
from casstore.operations.differences import Side
from casstore.operations.get import AsyncArtifact, get
from casstore.refs import Ref
from casstore.staging import Components, Data, Part, stage

__all__ = ["Content", "Opened", "Target", "opened", "paired", "stream_of"]

Target: TypeAlias = "str | Ref | Version | UUID | Data"  # text is a reference
Reader: TypeAlias = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Content:
    """A component, and how its bytes are had."""

    component: Component
    read: Reader


@dataclass(frozen=True, slots=True)
class Opened:
    """One side: what is said of it, and what it consists of. Close it."""

    side: Side
    version: Version | None
    parts: Mapping[str, Content]
    one: str | None = None  # the role, where one component is meant
    held: ExitStack = field(default_factory=ExitStack)

    def close(self) -> None:
        """Give back what staging holds."""
        self.held.close()

    def only(self, role: str) -> Opened:
        """Of its components this one alone."""
        parts = {role: self.parts[role]} if role in self.parts else {}
        return Opened(self.side, self.version, parts, role)


async def opened(context: Context, target: Target) -> Opened:
    """A side, nothing of its content read yet.

    Raises:
        Invalid: A reference, or data that cannot be stored either (bad_reference, bad_data, unreadable_source …).
        NotFound: The version, or its component.
    """
    match target:
        case Version() | UUID():
            return _of_artifact(await get(context, f"id:{target if isinstance(target, UUID) else target.id}"), None)
        case str() | Ref():
            return _of_artifact(await get(context, target), Ref.parse(target).role)
        case _:
            return await _of_data(context, target)


def paired(a: Opened, b: Opened, role: str | None) -> tuple[Opened, Opened]:
    """Both, narrowed to what is compared: a component that was named, or on both sides the only one.

    Raises:
        NotFound: Neither has the component that was named (component_not_found).
        Invalid: One component is to be compared with an artifact of several (bad_components).
    """
    if role is not None:
        if role not in a.parts and role not in b.parts:
            roles = ", ".join(sorted({*a.parts, *b.parts}))
            message = f"neither {a.side.label} nor {b.side.label} has a component {role!r}"
            raise NotFound(Code.COMPONENT_NOT_FOUND, message, hint=f"They have {roles}.", role=role)
        return a.only(role), b.only(role)
    if a.one is None and b.one is None:
        return a, b
    return _single(a), _single(b)


async def stream_of(artifact: AsyncArtifact) -> AsyncIterator[bytes]:
    """The verified bytes, piece by piece: a component that is only taken over may be large."""
    async with await artifact.open() as reader:
        while chunk := await reader.read():
            yield chunk


def _single(side: Opened) -> Opened:
    if len(side.parts) == 1:
        return side
    roles = ", ".join(side.parts)
    message = f"{side.side.label} has {len(side.parts)} components, and one is to be compared"
    raise Invalid(Code.BAD_COMPONENTS, message, hint=f"Choose one with #ROLE, of {roles}.")


def _of_artifact(artifact: AsyncArtifact, role: str | None) -> Opened:
    version = artifact.version
    side = Side(
        label=f"{version.ref}#{role}" if role else version.ref,
        ref=version.ref,
        id=version.id,
        name=version.name,
        number=version.number,
        title=version.title,
        digest=version.digest,
        created_at=version.created_at,
    )
    (artifact[role] if role else artifact).check_whole()
    meant = [part for part in version.components if role in (None, part.role)]
    parts = {part.role: Content(part, artifact[part.role].bytes) for part in meant}
    return Opened(side, version, parts, role)


async def _of_data(context: Context, data: Data) -> Opened:
    label = _label(data)
    if isinstance(data, os.PathLike):
        data = await asyncio.to_thread(_files, Path(os.fsdecode(data)))
    staged = await stage(data, domain=await context.domain())
    held = ExitStack()
    parts = {}
    for role, part in staged.items():
        held.callback(part.close)
        parts[role] = Content(part.component(role), _reading(Piece(role, part)))
    side = Side(label=label, ref=None, id=None, name=None, number=None, title=None, digest=None, created_at=None)
    return Opened(side, None, parts, MAIN if list(parts) == [MAIN] else None, held)


def _files(path: Path) -> Path | Components:
    """The files of a folder by their names without suffixes, as the components of an artifact; another path as it is."""
    if not path.is_dir():
        return path
    return Components({file.stem: file for file in sorted(path.iterdir()) if not file.name.startswith(".")})


def _reading(piece: Piece) -> Reader:
    async def read() -> bytes:
        return await asyncio.to_thread(piece.bytes)

    return read


def _label(data: object) -> str:
    source = data.data if isinstance(data, Part) else data
    return Path(os.fsdecode(source)).name if isinstance(source, os.PathLike) else "data"
