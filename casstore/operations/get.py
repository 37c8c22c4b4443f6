"""get: resolve → open → verify. One round trip to the database, then the bytes; nothing is handed over that was not checked."""

from __future__ import annotations

from typing import Any, NoReturn, Self

from casstore import limits
from casstore.blobs import BlobReader
from casstore.catalog import ledger, versions
from casstore.errors import CasstoreError, Code, Corrupt, Invalid, NotFound
from casstore.formats import json
from casstore.hashing import Hasher
from casstore.model import Component, Digest, Version
from casstore.operations import Asking, Context
from casstore.refs import Ref

__all__ = ["AsyncArtifact", "AsyncReader", "get", "own", "resolve", "whole"]


async def resolve(context: Context, ref: str | Ref) -> tuple[Version, Ref]:
    """The version a reference means, and the parsed reference."""
    parsed = own(context, ref)
    return await versions.resolve(context.catalog, context.tenant, parsed), parsed


def whole(context: Asking, ref: str | Ref) -> Ref:
    """A reference to a whole version of this tenant's; raises Invalid (bad_reference) for one to a component, and NotFound."""
    parsed = own(context, ref)
    if parsed.role:
        message = f"{parsed} is a component, and a whole version is needed"
        raise Invalid(Code.BAD_REFERENCE, message, hint="Leave out what follows the '#'.")
    return parsed


def own(context: Asking, ref: str | Ref) -> Ref:
    """A parsed reference that can be this tenant's; raises Invalid, and NotFound for another's."""
    parsed = Ref.parse(ref)
    if parsed.tenant not in (None, context.tenant):
        # Another tenant's and nobody's look the same.
        hint = f"The reference names another tenant than yours, which is {context.tenant!r}."
        if parsed.id:
            raise NotFound(
                Code.VERSION_NOT_FOUND, f"there is no version with id {parsed.id}", hint=hint, id=str(parsed.id)
            )
        raise NotFound(Code.ARTIFACT_NOT_FOUND, f"there is no artifact {parsed.name!r}", hint=hint, name=parsed.name)
    return parsed


async def get(context: Context, ref: str | Ref) -> AsyncArtifact:
    """The artifact a reference means, opened but not yet read."""
    parsed = own(context, ref)
    version, domain = await versions.find(context.catalog, context.tenant, parsed)
    artifact = AsyncArtifact(context, version, domain=domain)
    return artifact[parsed.role] if parsed.role else artifact


class AsyncArtifact:
    """A version and its bytes. `artifact["role"]` is the same version narrowed to one component.

    Every read is verified: the bytes hash to the digest that was committed, or Corrupt is raised (blob_altered, blob_missing)
    and the ledger is told, so that putting the same bytes again heals the store.
    """

    def __init__(
        self,
        context: Context,
        version: Version,
        component: Component | None = None,
        *,
        domain: Digest | None,
        is_verified: bool = True,
    ) -> None:
        self._context = context
        self.version = version
        self._component = component
        self._domain = domain
        self._is_verified = is_verified

    def __repr__(self) -> str:
        return f"<artifact {self.version.ref}{f'#{self._component.role}' if self._component else ''}>"

    def __getitem__(self, role: str) -> AsyncArtifact:
        if role in self.version.erased:
            self._refuse_erased(role)
        for component in self.version.components:
            if component.role == role:
                return self._like(component, is_verified=self._is_verified)
        raise NotFound(
            Code.COMPONENT_NOT_FOUND,
            f"{self.version.ref} has no component {role!r}",
            hint=f"It has {', '.join(self.version.roles)}.",
            name=self.version.name,
            role=role,
        )

    @property
    def component(self) -> Component:
        """The one component this artifact stands for.

        Raises:
            Invalid: Several are meant (bad_components).
            NotFound: All are erased (content_erased).
        """
        if self._component:
            return self._component
        if not self.version.components:
            self.check_whole()
        if len(self.version.components) == 1 and not self.version.erased:
            return self.version.components[0]
        roles = ", ".join(self.version.roles)
        hint = f"Choose one: {self.version.ref}#{self.version.roles[0]} (of {roles}); the command line takes all with -o FOLDER."
        message = f"{self.version.ref} has {len(self.version.components)} components"
        raise Invalid(Code.BAD_COMPONENTS, message, hint=hint)

    def check_whole(self) -> None:
        """Raise NotFound (content_erased) where the content of any of its components was erased."""
        if self._component is None and self.version.erased:
            self._refuse_erased(self.version.erased[0])

    def _refuse_erased(self, role: str) -> NoReturn:
        ref = f"{self.version.ref}#{role}"
        left = ", ".join(f"{self.version.ref}#{each}" for each in self.version.roles)
        hint = f"It cannot come back. There is {left}." if left else "It cannot come back."
        raise NotFound(Code.CONTENT_ERASED, f"the content of {ref} was erased", hint=hint, ref=ref)

    def unverified(self) -> AsyncArtifact:
        """The same, read without a look at its digest: for a tenant whose domain's key is lost. Only the size is checked."""
        return self._like(self._component, is_verified=False)

    def _like(self, component: Component | None, *, is_verified: bool) -> AsyncArtifact:
        return AsyncArtifact(self._context, self.version, component, domain=self._domain, is_verified=is_verified)

    async def bytes(self) -> bytes:
        """All bytes, verified."""
        reader = await self.open()
        try:
            chunks = []
            while chunk := await reader.read(limits.CHUNK_BYTES):
                chunks.append(chunk)
        finally:
            await reader.aclose()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def text(self) -> str:
        """The content as UTF-8 text; raises Invalid (bad_text) if it is none."""
        try:
            return (await self.bytes()).decode()
        except UnicodeDecodeError as error:
            raise Invalid(Code.BAD_TEXT, f"{self!r} is not UTF-8 text: {error}", hint="Read it as bytes.") from error

    async def json(self) -> Any:
        """The content as a JSON value; raises Invalid (bad_json) if it is none."""
        return json.decode(await self.bytes())

    @property
    def is_keyed(self) -> bool:
        """Whether its digests are made with the key of an isolation domain, and cannot be compared with others."""
        return self._domain is not None

    async def open(self, *, start: int = 0, end: int | None = None) -> AsyncReader:
        """A reader of the bytes, in bounded memory. Close it, or use it as a context manager.

        Args:
            start: Leave out so many bytes first.
            end: Stop before this one; None for all. A part has no digest, and is not verified: only its size is checked.

        Raises:
            Denied: The key of the tenant's isolation domain is not at hand (domain_key_missing, domain_key_wrong).
            Corrupt: The bytes are gone (blob_missing).
        """
        size = self.component.size_bytes
        start, end = min(start, size), size if end is None else min(end, size)
        is_whole = (start, end) == (0, size)
        hasher = None
        if self._is_verified and is_whole:
            context = self._context
            hasher = Hasher(await context.domains.to_verify(context.catalog, context.tenant, self._domain))
        try:
            # All there is, not all there should be: bytes too many are damage as well.
            blob = await self._context.blobs.open(self.component.digest, start=start, end=None if is_whole else end)
        except Corrupt as error:
            await self._doubt(error, None)
            raise
        return AsyncReader(self, blob, hasher, max(0, end - start))

    async def _doubt(self, error: Corrupt, generation: int | None) -> None:
        error.fields["ref"] = f"{self.version.ref}#{self.component.role}"
        try:
            await ledger.doubt(self._context.catalog, self._context.tenant, self.component.digest, generation)
        except CasstoreError as failure:  # damaged bytes are the news, not that nobody could be told
            error.add_note(f"The ledger could not be told, so a put of the same bytes will not heal this: {failure}")


class AsyncReader:
    """Reads a component and verifies it: the last bytes are handed over only if the digest of all of them is right."""

    def __init__(self, artifact: AsyncArtifact, blob: BlobReader, hasher: Hasher | None, size_bytes: int) -> None:
        self._artifact = artifact
        self._blob = blob
        self._hasher = hasher
        self._read_bytes = 0
        self.size_bytes = size_bytes

    async def read(self, max_bytes: int = limits.CHUNK_BYTES) -> bytes:
        """The next bytes, at most `max_bytes`; b"" at the end.

        Raises:
            Invalid: `max_bytes` is no whole number above 0 (bad_argument).
            Corrupt: The bytes are not the ones that were stored (blob_altered).
        """
        if type(max_bytes) is not int or max_bytes < 1:  # reading nothing must not look like the end
            raise Invalid(Code.BAD_ARGUMENT, f"cannot read {max_bytes!r} bytes", hint="Ask for one byte or more.")
        chunk = await self._blob.read(max_bytes) if self._read_bytes < self.size_bytes else b""
        self._read_bytes += len(chunk)
        if self._hasher:
            self._hasher.update(chunk)
        if (self._read_bytes >= self.size_bytes or not chunk) and not self._is_right():
            await self._refuse()
        return chunk

    def _is_right(self) -> bool:
        digest = self._artifact.component.digest
        return self._blob.size_bytes == self.size_bytes and (not self._hasher or self._hasher.digest == digest)

    async def _refuse(self) -> None:
        component, version = self._artifact.component, self._artifact.version
        message = f"the stored bytes of {version.ref}#{component.role} are not those of {component.digest}"
        hint = "Put the same bytes again to heal it."
        error = Corrupt(Code.BLOB_ALTERED, message, hint=hint, digest=str(component.digest))
        await self._artifact._doubt(error, self._blob.generation)  # noqa: SLF001 - the two belong together
        raise error

    async def aclose(self) -> None:
        """Give the file or connection back."""
        await self._blob.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
