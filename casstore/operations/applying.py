"""apply: what a patch makes of a version, put as the next one. The counterpart of a diff that was written as a patch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from casstore import grammar, kinds, limits
from casstore.errors import Code, Invalid
from casstore.formats.comparison import Format
from casstore.formats.registry import format_of
from casstore.model import PutOptions, Source, Stored, Version
from casstore.operations import Context
from casstore.operations.get import AsyncArtifact, get
from casstore.operations.once import Keyed, content_digest, given, once
from casstore.operations.put import OnSame, check_metadata, check_options, put
from casstore.operations.sides import stream_of
from casstore.refs import Ref
from casstore.staging import Components, Part

__all__ = ["Asked", "apply"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A patch to be applied, as it was asked for; what is None of the version stays as it was."""

    ref: str | Ref
    patch: Any
    component: str | None
    into: str | None
    title: str | None
    labels: Mapping[str, str] | None
    metadata: Mapping[str, Any] | None
    on_same: OnSame
    idempotency_key: str | None
    by: str | None


async def apply(context: Context, asked: Asked) -> Stored:
    """Apply a patch to a version; see `AsyncTenant.apply` for the promise."""
    options = check_options(
        type=None,
        title=asked.title,
        labels=asked.labels,
        metadata=asked.metadata,
        expect=None,
        idempotency_key=asked.idempotency_key,
        on_same=asked.on_same,
        by=asked.by,
    )
    keyed = await _keyed(context, asked, options)

    async def make() -> Stored:
        return await _apply(context, asked, options.model_copy(update={"asked": keyed and keyed.fingerprint}))

    async def repeat(stored: Stored) -> Stored:
        # What meant the same need not have been the same, and what it was is not known any more.
        is_other = stored.reused and asked.on_same == "semantic"
        return stored.model_copy(update={"differs": None}) if is_other else stored

    return await once(context, keyed, make, repeat)


async def _keyed(context: Context, asked: Asked, options: PutOptions) -> Keyed | None:
    """What the key stands for: docs/format.md, "Idempotency"."""
    if asked.idempotency_key is None:
        return None
    try:
        patch = await content_digest(context, asked.patch)
    except Invalid as error:
        raise Invalid(Code.BAD_PATCH, f"the patch is none: {error.message}", hint=error.hint) from error
    arguments = [
        given(context, asked.ref),
        patch,
        asked.component and grammar.check_role(asked.component),
        asked.into and grammar.check_name(asked.into),
        options.title,
        None if options.labels is None else sorted(options.labels.items()),
        options.metadata,
        options.on_same,
    ]
    return Keyed.of(asked.idempotency_key, "apply", arguments)


async def _apply(context: Context, asked: Asked, options: PutOptions) -> Stored:
    """Make the next version, with these options where they say something, and else as the one before it."""
    ref = Ref.parse(asked.ref)
    base = await get(context, ref.model_copy(update={"role": None}))
    base.check_whole()
    version = base.version
    into = asked.into or version.name
    patches = _patches(version, asked.component or ref.role, asked.patch)
    contents = [(role, await _patched(version, base[role], role, patch)) for role, patch in patches.items()]
    made = {role: content for role, content in contents if content is not None}
    data = {
        part.role: Part(made[part.role] if part.role in made else stream_of(base[part.role]), part.media_type)
        for part in version.components
    }
    sources = [Source(version, "base")] if made else None
    return await put(
        context, into, Components(data), _options(options, version, into), sources=sources, media_type=None
    )


def _options(options: PutOptions, version: Version, into: str) -> PutOptions:
    """Of the put: what nobody has said is as it was."""
    kept = {
        "title": version.title if options.title is None else options.title,
        "labels": version.labels if options.labels is None else options.labels,
        "metadata": check_metadata(version.metadata) if options.metadata is None else options.metadata,
    }
    expect = version.number if into == version.name else None
    return options.model_copy(update=kept | {"type": version.type, "expect": expect})


def _patches(version: Version, role: str | None, patch: Any) -> dict[str, Any]:
    """By role: of the component that was named, of those that the patch names, or of the only one."""
    if role is not None:
        return {role: patch}
    if isinstance(patch, dict) and patch.keys() <= set(version.roles):
        return dict(patch)
    if len(version.roles) == 1:
        return {version.roles[0]: patch}
    roles = ", ".join(version.roles)
    hint = "Name it with component=… or #ROLE, or give an object of patches by role."
    if isinstance(patch, dict):
        unknown = min(map(str, patch.keys() - set(version.roles)))
        message = f"the patch is also for the component {unknown!a:.80}, and {version.ref} has {roles}"
        raise Invalid(Code.BAD_PATCH, message, hint=hint, role=unknown)
    message = f"{version.ref} has {len(version.roles)} components, {roles}, and the patch is for one"
    raise Invalid(Code.BAD_PATCH, message, hint=hint)


async def _patched(version: Version, component: AsyncArtifact, role: str, patch: Any) -> bytes | None:
    """The new content of a component; None where nothing changes."""
    if patch == []:
        return None
    part = next(each for each in version.components if each.role == role)
    if part.size_bytes > limits.COMPARED_MAX_BYTES:
        message = f"{role} has {part.size_bytes} bytes, and up to {limits.COMPARED_MAX_BYTES} are patched"
        raise Invalid(Code.NOT_COMPARABLE, message, hint="Put the new content.", role=role)
    content = await component.bytes()
    form = _form(version, role, part.media_type, content, patch)
    if form.apply is None:
        message = f"{role} is {part.media_type}, a format without patches"
        raise Invalid(Code.NOT_COMPARABLE, message, hint="Put the new content.", role=role)
    try:
        made = await asyncio.to_thread(form.apply, content, patch)
    except Invalid as error:
        fields = {**error.fields, "role": role}
        raise Invalid(error.code, f"{role} of {version.ref}: {error.message}", hint=error.hint, **fields) from error
    return None if made == content else made


def _form(version: Version, role: str, media_type: str, content: bytes, patch: Any) -> Format:
    """Whose patch it is: that of a text says so itself, since what cannot be compared by its format is compared as text."""
    from casstore.formats.text import TEXT, is_patch  # noqa: PLC0415 - formats are imported where they are used

    if is_patch(patch):
        return TEXT
    own = kinds.format_for(version.type, role, media_type)
    return own if own and own.apply else format_of(media_type, content)
