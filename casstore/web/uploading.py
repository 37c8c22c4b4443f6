"""Uploading: files of a form become the next version of a name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, count
from pathlib import PurePath
from typing import Annotated, Final
from unicodedata import combining, normalize

from fastapi import Query, Request, Response
from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException

from casstore import limits
from casstore.errors import Code, Conflict, Invalid
from casstore.formats import media_types
from casstore.http.asking import pairs
from casstore.http.callers import Adds
from casstore.kinds import registry
from casstore.model import Stored
from casstore.staging import Components, Data, Part
from casstore.web.rendering import page, url
from casstore.web.route import go, pages, told

__all__ = ["roles_of", "router"]

router = pages()
_FIELDS: tuple[str, ...] = ("name", "kind", "title", "labels")
_ROLE_CHARS: Final = 63  # of the longest role


class Known(BaseModel):
    """What a form begins with."""

    name: str = ""
    kind: str = ""
    title: str = ""
    label: list[str] = []  # KEY=VALUE


@router.get("/upload")
async def form(request: Request, caller: Adds, known: Annotated[Known, Query()]) -> Response:
    """The form, filled in as far as it is known."""
    values = {"name": known.name, "kind": known.kind, "title": known.title, "labels": ", ".join(known.label)}
    return page(request, caller, "upload", values=values, fault="", kinds=registry.names())


@router.post("/upload")
async def upload(request: Request, caller: Adds) -> Response:
    """Store what was sent. What is wrong with it is told above the form, with what was typed in it."""
    try:
        sent = await request.form(max_files=limits.COMPONENTS_MAX, max_fields=len(_FIELDS))
    except MultiPartException as error:
        raise Invalid(Code.BAD_ARGUMENT, f"the form cannot be read: {error.message}") from error
    try:
        values = {field: _text(sent, field) for field in _FIELDS}
        try:
            stored = await _put(caller, sent, values)
        except (Invalid, Conflict) as error:
            fault = told(error)
            return page(request, caller, "upload", status=400, values=values, fault=fault, kinds=registry.names())
    finally:
        await sent.close()
    return go(request, url(f"/version/{stored.ref}", stored=_outcome(stored, values["kind"])))


def _outcome(stored: Stored, kind: str) -> str:
    """What the page of the version says first. The first version decides the kind, so a slip of the keys is told there."""
    if stored.reused:
        return "same"
    return "unchecked" if stored.number == 1 and kind and registry.kind_of(kind) is None else "new"


async def _put(caller: Adds, sent: FormData, values: dict[str, str]) -> Stored:
    labels = [line for line in map(str.strip, values["labels"].split(",")) if line]
    return await caller.tenant.put(
        values["name"],
        _data(sent),
        type=values["kind"] or None,
        title=values["title"] or None,
        labels=pairs("a label", labels),
        by=caller.principal.actor,
    )


def _text(sent: FormData, field: str) -> str:
    value = sent.get(field, "")
    return value.strip() if isinstance(value, str) else ""


def _data(sent: FormData) -> Data:
    """One file is the content; several are components, each with a role after its name."""
    files = [file for file in sent.getlist("file") if isinstance(file, UploadFile) and file.filename]
    if not files:
        raise Invalid(Code.BAD_DATA, "no file was chosen", hint="Choose one.")
    if len(files) == 1:
        return _part(files[0])
    roles = roles_of([file.filename or "" for file in files])
    return Components({role: _part(file) for role, file in zip(roles, files, strict=True)})


def roles_of(names: Sequence[str]) -> list[str]:
    """A role for each file after its name, unlike all others."""
    found: dict[str, None] = {}
    for name in names:
        role = _role(PurePath(name).stem)
        endings = chain([""], (f"-{number}" for number in count(2)))
        numbered = (role[: _ROLE_CHARS - len(ending)] + ending for ending in endings)
        found[next(each for each in numbered if each not in found)] = None
    return list(found)


def _role(stem: str) -> str:
    """A name in lower case and without accents, with "-" for what a role may not have; a letter comes first."""
    plain = "".join(letter for letter in normalize("NFKD", stem).casefold() if not combining(letter))
    words = re.sub(r"[^a-z0-9_.-]+", "-", plain).strip("-._")
    return words if words[:1].isalpha() else f"file-{words}".rstrip("-")


def _part(file: UploadFile) -> Part:
    known = media_types.from_suffix(PurePath(file.filename or "").suffix)
    return Part(file.file, known if known != media_types.BINARY else file.content_type or known)
