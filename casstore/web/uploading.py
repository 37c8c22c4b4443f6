"""Uploading: files of a form become the next version of a name."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated

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

__all__ = ["router"]

router = pages()
_FIELDS: tuple[str, ...] = ("name", "kind", "title", "labels")


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
    return go(request, url(f"/version/{stored.ref}", stored="same" if stored.reused else "new"))


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
    """One file is the content; several are components, each with the role that its name begins with."""
    files = [file for file in sent.getlist("file") if isinstance(file, UploadFile) and file.filename]
    if not files:
        raise Invalid(Code.BAD_DATA, "no file was chosen", hint="Choose one.")
    if len(files) == 1:
        return _part(files[0])
    parts = {PurePath(file.filename or "").stem.lower(): _part(file) for file in files}
    if len(parts) < len(files):
        raise Invalid(Code.BAD_COMPONENTS, "two files have the same name", hint="Each becomes a component by its name.")
    return Components(parts)


def _part(file: UploadFile) -> Part:
    known = media_types.from_suffix(PurePath(file.filename or "").suffix)
    return Part(file.file, known if known != media_types.BINARY else file.content_type or known)
