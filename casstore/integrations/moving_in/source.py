"""The source: the objects of the old layout, the documents among them, and the pictures that these refer to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from casstore import limits
from casstore.blobs import keys
from casstore.blobs.objects import Objects, Stranger, shown
from casstore.errors import Code, Invalid
from casstore.integrations.moving_in.layout import Document, Place, Told, document_of, place_of, tenant_of, told_by
from casstore.integrations.moving_in.order import Step
from casstore.integrations.moving_in.pictures import paths_in
from casstore.model import Digest

__all__ = ["Source"]

_ROOT: Final = "artifacts/"
_PLACE: Final = "not at artifacts/<type>/<tenant>/<id>.json, and no picture that a document refers to"
_UNUSED: Final = "a picture that no document refers to"


class Source:
    """What is to be moved, of one tenant or of all.

    Args:
        objects: Open.
        tenant: Whose, or None.
    """

    def __init__(self, objects: Objects, tenant: str | None) -> None:
        self._objects = objects
        self._tenant = tenant
        self._sizes: dict[str, int] = {}  # of all objects, by name
        self._strangers: list[Stranger] = []
        self._referred: set[str] = set()  # pictures

    async def find(self) -> list[tuple[str, Place]]:
        """The documents, by name; raises Invalid (unreadable_source) where the root is not one of this layout."""
        found, self._strangers = await self._objects.find()
        names = [*(each.name for each in found), *(each.name for each in self._strangers)]
        if not any(name.startswith(_ROOT) for name in names):
            message = f"there is no {_ROOT} at {self._objects.url}"
            raise Invalid(Code.UNREADABLE_SOURCE, message, hint=f"Name the folder or the prefix that holds {_ROOT}.")
        self._sizes = {each.name: each.size_bytes for each in found}
        places = ((each.name, place_of(shown(each.name))) for each in found if self._is_wanted(each.name))
        return [(name, place) for name, place in places if place]

    async def read_about(self, name: str, place: Place) -> Step:
        """What a document says of itself. One that cannot be moved has its fault, and what its path says."""
        step = Step(name, place, Told(place.id))
        try:
            data = await self._objects.read(name, limits.DOCUMENT_MAX_BYTES)
            step.digest = Digest.of(data)
            document = await asyncio.to_thread(document_of, data)
            step.told = told_by(document, place)
            self._referred.update(self._pictures(step, document).values())
        except Invalid as error:
            step.fault = error
        return step

    async def read(self, step: Step) -> tuple[Document, dict[str, bytes]]:
        """A document again, and its pictures by the paths that it has for them.

        Raises:
            Invalid: It is another one now (source_changed), or it or a picture cannot be read (unreadable_source, too_large).
        """
        data = await self._objects.read(step.path, limits.DOCUMENT_MAX_BYTES)
        if Digest.of(data) != step.digest:
            message = f"{shown(step.path)} changed while it was being moved"
            raise Invalid(Code.SOURCE_CHANGED, message, hint="Run it again when nobody writes to it.")
        document = await asyncio.to_thread(document_of, data)
        names = self._pictures(step, document)
        return document, {path: await self._objects.read(name, limits.MOVED_MAX_BYTES) for path, name in names.items()}

    def strangers(self) -> Iterator[Stranger]:
        """Everything else, once the documents were read: what cannot be read, and what belongs to none of them."""
        yield from (each for each in self._strangers if self._is_wanted(each.name))
        blobs = 0
        for name in filter(self._is_wanted, self._sizes):
            if name.startswith(keys.PREFIX) and keys.digest_of(name.removeprefix(keys.PREFIX)):
                blobs += 1
            elif not place_of(shown(name)) and name not in self._referred:
                yield Stranger(name, _UNUSED if name.endswith(".png") else _PLACE)
        if blobs:
            yield Stranger(keys.PREFIX, f"{blobs} blobs of a store")

    def _is_wanted(self, name: str) -> bool:
        return self._tenant in (None, tenant_of(name))

    def _pictures(self, step: Step, document: Document) -> dict[str, str]:
        """The name of each picture by the path that the document has for it."""
        names = {path: self._named(path, step.place.tenant) for path in paths_in(document)}
        size = sum(self._sizes[name] for name in {step.path, *names.values()})
        if size > limits.MOVED_MAX_BYTES:
            message = f"with its pictures it has {size} bytes, and up to {limits.MOVED_MAX_BYTES} are moved together"
            raise Invalid(Code.TOO_LARGE, message, hint="Store it by itself.", size_bytes=size)
        return names

    def _named(self, path: str, tenant: str) -> str:
        """Only what was found below the root has a name: no path leads anywhere else."""
        for base in ("", *self._objects.bases):
            name = path.removeprefix(base)
            if path.startswith(base) and name in self._sizes:
                if tenant_of(name) in (None, tenant):
                    return name
                message = f"the picture {path!a:.200} is another tenant's"
                raise Invalid(Code.BAD_PICTURE, message, hint="Find out whose it is, and copy it to whom it belongs.")
        message = f"the picture {path!a:.200} is not there"
        raise Invalid(Code.BAD_PICTURE, message, hint="Bring it back, and run this again.")
