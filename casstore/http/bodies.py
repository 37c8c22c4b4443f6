"""Requests that bring content: JSON with small contents inside, or a form with files beside the JSON."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.model import Digest, Source
from casstore.operations.put import OnSame
from casstore.retention import Period
from casstore.staging import Components, Data, Part, Uploaded
from casstore.staging import Source as Content

__all__ = ["FORM", "PartAsked", "PutAsked", "SourceAsked", "asked", "document_of"]

FORM: Final = "multipart/form-data"
_REQUEST: Final = "request"  # the field of a form that has the JSON
Files = Mapping[str, UploadFile]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PartAsked(_Body):
    """One component's content: a JSON object or list, text, bytes in base64, a file of the form by its field, or what was uploaded
    straight to the bucket, by the id of its offer and with the digest that it has to have.
    """

    value: dict[str, Any] | list[Any] | None = None
    text: str | None = None
    base64: str | None = None
    file: str | None = None
    upload: UUID | None = None
    digest: str | None = None
    media_type: str | None = None

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if sum(each is not None for each in (self.value, self.text, self.base64, self.file, self.upload)) != 1:
            raise ValueError("a component has one of value, text, base64, file, upload")
        if self.digest is not None and self.upload is None:
            raise ValueError("a digest is for an upload")
        return self

    def part(self, files: Files) -> Part:
        """The content as the store takes it; raises Invalid (bad_data, bad_digest)."""
        if self.file is not None:
            return _of_file(self.file, files, self.media_type)
        if self.upload is not None:
            return Part(Uploaded(self.upload, Digest.parse(self.digest) if self.digest else None), self.media_type)
        content: Content | None = self.value if self.value is not None else self.text
        return Part(_decoded(self.base64 or "") if content is None else content, self.media_type)


class SourceAsked(_Body):
    """A version that another is made from: a reference; or, in a transaction, the number of an earlier put, from 0."""

    ref: str | None = None
    put: int | None = Field(None, ge=0)
    role: str = "source"

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if (self.ref is None) == (self.put is None):
            raise ValueError("a source has either ref or put")
        return self

    def source(self, puts: list[Any]) -> Source:
        """The source as the store takes it; raises Invalid (bad_argument)."""
        if self.put is None:
            return Source(self.ref, self.role)
        if self.put >= len(puts):
            raise Invalid(Code.BAD_ARGUMENT, f"put {self.put} does not come before this one")
        return Source(puts[self.put], self.role)


class PutContent(_Body):
    """What a put is of. Of a form without `components` each file is the component of its field's name."""

    components: dict[str, PartAsked] | None = None
    type: str | None = None
    title: str | None = None
    labels: dict[str, str] | None = None
    metadata: dict[str, Any] | None = None
    sources: list[SourceAsked] = []
    on_same: OnSame = "reuse"
    ttl: Period | None = None

    def data(self, files: Files) -> Data:
        """The content as the store takes it; raises Invalid (bad_data, bad_components)."""
        if self.components is None:
            return Components({role: _of_file(role, files, None) for role in files})
        return Components({role: part.part(files) for role, part in self.components.items()})

    def options(self, puts: list[Any]) -> dict[str, Any]:
        """The arguments of a put besides its name and data."""
        return {
            "type": self.type,
            "title": self.title,
            "labels": self.labels,
            "metadata": self.metadata,
            "sources": [source.source(puts) for source in self.sources] or None,
            "on_same": self.on_same,
            "ttl": self.ttl,
        }


class PutAsked(PutContent):
    """A put of its own, and on whose behalf it is (kept behind the actor of the token)."""

    by: str | None = None


def _of_file(field: str, files: Files, media_type: str | None) -> Part:
    if field not in files:
        raise Invalid(Code.BAD_DATA, f"the form has no file {field[:80]!a}", hint="Send it as multipart/form-data.")
    return Part(files[field].file, media_type or files[field].content_type)


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid(Code.BAD_DATA, f"this is no base64: {error}") from error


Model = TypeVar("Model", bound=BaseModel)


@asynccontextmanager
async def asked(request: Request, model: type[Model]) -> AsyncIterator[tuple[Model, Files]]:
    """What a request asks for, and the files that came with it, which are on disk beyond a megabyte and gone in the end.

    Raises:
        Invalid: A form that cannot be read (bad_argument), or JSON that is not the model's.
    """
    if not request.headers.get("content-type", "").lower().startswith(FORM):
        yield _checked(model, await request.body()), {}
        return
    try:
        form = await request.form(max_files=limits.COMPONENTS_MAX, max_fields=1, max_part_size=limits.HTTP_JSON_BYTES)
    except MultiPartException as error:
        raise Invalid(Code.BAD_ARGUMENT, f"the form cannot be read: {error.message}") from error
    try:
        document = form.get(_REQUEST, "{}")
        files = {field: file for field, file in form.multi_items() if isinstance(file, UploadFile)}
        if not isinstance(document, str) or len(files) + (_REQUEST in form) != len(form.multi_items()):
            raise Invalid(Code.BAD_ARGUMENT, "a form has files, each field once, and `request`, which is JSON")
        yield _checked(model, document.encode()), files
    finally:
        await form.close()


def _checked(model: type[Model], document: bytes) -> Model:
    try:
        return model.model_validate_json(document)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_context=False, include_input=False)) from error


def document_of(name: str) -> dict[str, Any]:
    """What OpenAPI says of such a request, whose model is the component of this name."""
    schema = {"$ref": f"#/components/schemas/{name}"}
    form = {"type": "object", "properties": {_REQUEST: schema}, "additionalProperties": {"format": "binary"}}
    content = {"application/json": {"schema": schema}, FORM: {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}
