"""Puts on their way to the server: staged and hashed here, told as the routes take them, compared with what was stored."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from casstore import limits
from casstore.client.artifact import checked, is_keyed
from casstore.client.line import Line, Request
from casstore.client.routes import model, place, ref_text
from casstore.client.sending import Document, Form, Raw, document
from casstore.errors import Code, Corrupt, Invalid
from casstore.model import MAIN, PutOptions, Source, Stored, Version
from casstore.operations import Asking
from casstore.operations.pending import Pending
from casstore.operations.sources import SourceLike, asked
from casstore.refs import Ref
from casstore.staging import Staged

__all__ = ["Contents", "compare", "put", "put_request", "told_options", "told_sources"]

_STORED: Final = model(Stored)
# What a server takes for "nobody said so", and the longest query that any server between reads.
_UNTOLD: Final = "application/x-www-form-urlencoded"
_QUERY_CHARS: Final = 4_000


class Contents:
    """The components of one request: small ones inside its JSON, the others as files of a form."""

    def __init__(self, inline_bytes: int = 0) -> None:
        self._inline_bytes = inline_bytes
        self.files: dict[str, tuple[str, Staged]] = {}

    def add(self, name: str, staged: Mapping[str, Staged]) -> dict[str, Any]:
        """The components of one put, as its JSON has them."""
        return {role: self._told(f"{name}#{role}", part) for role, part in staged.items()}

    def _told(self, about: str, staged: Staged) -> dict[str, Any]:
        told = {"media_type": staged.media_type}
        if isinstance(staged.source, bytes) and staged.size_bytes <= min(limits.INLINE_BYTES, self._inline_bytes):
            self._inline_bytes -= staged.size_bytes
            return told | {"base64": base64.b64encode(staged.source).decode()}
        field = f"f{len(self.files)}"
        self.files[field] = about, staged
        return told | {"file": field}

    def body(self, told: Mapping[str, Any]) -> Form | Document:
        """The body of a request that has this JSON."""
        data = document(told)
        return Form(data, self.files) if self.files else Document(data)


def told_options(options: PutOptions) -> dict[str, Any]:
    """The options of a put as its JSON has them."""
    metadata = None if options.metadata is None else json.loads(options.metadata)
    told = {"type": options.type, "title": options.title, "labels": options.labels, "metadata": metadata}
    return told | {"on_same": options.on_same, "ttl": _seconds(options)}


def _seconds(options: PutOptions) -> int | None:
    return None if options.ttl is None else int(options.ttl.total_seconds())


def told_sources(
    asking: Asking, sources: Iterable[SourceLike] | None, among: list[Pending]
) -> list[dict[str, Any]] | None:
    """The sources of a put as its JSON has them. A name means what it does when the server looks.

    Args:
        asking: Whose they are.
        sources: As the caller gave them.
        among: The earlier puts of the same transaction.
    """
    return None if sources is None else [_told_source(asking, source, among) for source in asked(sources)]


def _told_source(asking: Asking, source: Source, among: list[Pending]) -> dict[str, Any]:
    match source.version:
        case Pending() as pending if pending in among:
            return {"put": among.index(pending), "role": source.role}
        case Pending() as pending:
            text = f"id:{pending.stored.id}"
        case UUID() | Version() as version:
            text = f"id:{version if isinstance(version, UUID) else version.id}"
        case str() | Ref() as ref:
            text = ref_text(asking, ref)
        case other:
            message = f"a {type(other).__name__} is no version"
            raise Invalid(
                Code.BAD_ARGUMENT, message, hint="Give a reference such as 'sop/login@3', an id or a Version."
            )
    return {"ref": text, "role": source.role}


def put_request(
    name: str,
    staged: Mapping[str, Staged],
    options: PutOptions,
    sources: list[dict[str, Any]] | None,
    headers: Mapping[str, str],
    *,
    uploads: Mapping[str, UUID],
) -> Request:
    """The request of a put: one component as it is, where what is said of it fits into a query; else a form.

    Of the components in `uploads` it has the ids of what was uploaded.
    """
    query = _query(options, sources)
    fits = sum(len(key) + len(value) for key, value in query) <= _QUERY_CHARS
    is_plain = options.labels != {} and sources != []
    if not uploads and list(staged) == [MAIN] and fits and is_plain and staged[MAIN].media_type != _UNTOLD:
        return Request("PUT", f"/artifacts/{place(name)}", query, headers, Raw(f"{name}#{MAIN}", staged[MAIN]))
    contents = Contents()
    parts = contents.add(name, {role: part for role, part in staged.items() if role not in uploads})
    parts |= {role: {"upload": str(uploads[role]), "media_type": staged[role].media_type} for role in uploads}
    told = {"components": parts, "sources": sources or [], "by": options.by} | told_options(options)
    return Request("POST", f"/artifacts/{place(name)}", (), headers, contents.body(told))


def _query(options: PutOptions, sources: list[dict[str, Any]] | None) -> list[tuple[str, str]]:
    found = [("type", options.type), ("title", options.title), ("metadata", options.metadata), ("by", options.by)]
    pairs = [(key, value) for key, value in found if value is not None]
    pairs += [("label", f"{key}={value}") for key, value in (options.labels or {}).items()]
    pairs += [("source", f"{source['ref']}={source['role']}") for source in sources or []]
    pairs += [("ttl", f"{_seconds(options)}s")] if options.ttl else []
    return [*pairs, ("on_same", options.on_same)]


async def put(line: Line, request: Request, staged: Mapping[str, Staged], options: PutOptions) -> Stored:
    """Store, and compare what the server says it has stored with what was sent. Options without a key: the request has its own."""
    stored: Stored = _STORED((await line.ask(request)).body)
    await compare(line, stored, staged, options)
    # Under a key of its own nothing is repeated but a lost answer.
    return stored.model_copy(update={"repeated": False}) if options.idempotency_key is None else stored


async def compare(line: Line, stored: Stored, staged: Mapping[str, Staged], options: PutOptions) -> None:
    """Raise Corrupt (blob_altered) unless a version consists of just these bytes, or was asked only to mean the same."""
    checked(stored)
    found = {part.role: (part.digest, part.size_bytes) for part in stored.components}
    sent = {role: (part.digest, part.size_bytes) for role, part in staged.items()}
    if found == sent or (options.on_same == "semantic" and stored.differs != "same"):
        return
    sizes_agree = {role: size for role, (_, size) in found.items()} == {role: size for role, (_, size) in sent.items()}
    if sizes_agree and await is_keyed(line, stored):
        return  # digests with a key, which only who has it can compare
    message = f"the server has stored other bytes as {stored.ref} than were sent"
    hint = "Something between altered them. Delete that version and put it again."
    raise Corrupt(Code.BLOB_ALTERED, message, hint=hint, ref=stored.ref)
