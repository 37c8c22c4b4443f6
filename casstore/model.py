"""The values of the store: digests, components, manifests, versions. Frozen, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Generic, Literal, NamedTuple, Self, TypeAlias, TypeVar
from uuid import UUID

import msgpack
from blake3 import blake3
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import core_schema

from casstore.errors import Code, Invalid

__all__ = [
    "MAIN",
    "Component",
    "Deleted",
    "Depth",
    "Digest",
    "Hold",
    "Impact",
    "Lineage",
    "Link",
    "Manifest",
    "Node",
    "Page",
    "Pointer",
    "Relation",
    "Shared",
    "Source",
    "SourceLink",
    "State",
    "Stored",
    "TenantState",
    "Transition",
    "Usage",
    "Version",
]

MAIN: Final = "main"  # the one role of a single-part artifact
_MANIFEST_HEADER: Final = "casstore/manifest/1"
_DIGEST_BYTES: Final = 32


class Digest(bytes):
    """The BLAKE3-256 digest of some bytes: 32 raw bytes, `b3:` and 64 hex digits as text."""

    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        """Take 32 raw bytes; raises Invalid (bad_digest) for another length."""
        if len(raw) != _DIGEST_BYTES:
            raise Invalid(Code.BAD_DIGEST, f"a digest has {_DIGEST_BYTES} bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The digest of `data`."""
        return cls(blake3(data).digest())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `b3:` and 64 lower-case hex digits; raises Invalid (bad_digest)."""
        digits = text.removeprefix("b3:") if isinstance(text, str) else ""
        try:
            if len(digits) == 2 * _DIGEST_BYTES and digits == digits.lower() and text.startswith("b3:"):
                return cls(bytes.fromhex(digits))
        except ValueError:
            pass  # not hex: refused below with everything else
        raise Invalid(Code.BAD_DIGEST, f"{text!a:.80} is no digest", hint="Write b3: and 64 lower-case hex digits.")

    def __str__(self) -> str:
        return f"b3:{self.hex()}"

    def __repr__(self) -> str:
        return f"Digest({str(self)!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        text = core_schema.no_info_plain_validator_function(lambda v: v if isinstance(v, cls) else cls.parse(v))
        return core_schema.json_or_python_schema(
            json_schema=text, python_schema=text, serialization=core_schema.to_string_ser_schema()
        )


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class Component(_Value):
    """One named part of a version: which bytes, how many, in which format."""

    role: str
    digest: Digest
    size_bytes: int
    media_type: str
    pixels: Digest | None = None  # of a PNG: what it shows, however it is encoded; None where it does not decode
    width: int | None = None  # of such a picture, in pixels
    height: int | None = None
    meaning: Digest | None = None  # of what it says, however it is written; None where that was not told
    layout: Digest | None = None  # of that and how it is laid out, where the format tells the two apart


class Relation(NamedTuple):
    """How one component of an artifact stands to another: `current_state` `transitions_to` `coexistence_state`."""

    source: str
    name: str
    target: str

    def __str__(self) -> str:
        return " ".join(self)


class Manifest(_Value):
    """What one version consists of. Its digest is the identity of the version's content."""

    components: tuple[Component, ...]
    relations: tuple[Relation, ...] = ()

    @classmethod
    def build(cls, components: Mapping[str, Component], relations: Iterable[Relation] = ()) -> Self:
        """The manifest of these components, in the order of their roles, and of the relations between them."""
        ordered = tuple(components[role] for role in sorted(components))
        return cls.model_construct(components=ordered, relations=tuple(sorted(set(relations))))

    def encode(self) -> bytes:
        """The bytes that are hashed: see "Manifests" in docs/format.md, which is normative."""
        parts = [[c.role, bytes(c.digest), c.size_bytes, c.media_type] for c in self.components]
        packed: bytes = msgpack.packb([_MANIFEST_HEADER, parts, list(map(list, self.relations))], use_bin_type=True)
        return packed

    @property
    def digest(self) -> Digest:
        """BLAKE3 of the encoded manifest."""
        return Digest.of(self.encode())


# How deep a difference goes. "encoding": another encoding of the same (a picture compressed anew). "formatting": white space,
# order of keys, spelling of the same value. "layout": where a diagram draws its elements. "noise": numbers within the error of
# their arithmetic. "meaning": everything else.
Depth: TypeAlias = Literal["same", "encoding", "formatting", "layout", "noise", "meaning"]
State: TypeAlias = Literal["draft", "accepted", "obsolete"]


class Version(_Value):
    """One numbered, immutable state of a named artifact."""

    id: UUID
    name: str
    number: int
    type: str
    title: str | None
    labels: dict[str, str]
    metadata: dict[str, Any]
    digest: Digest  # of the manifest
    components: tuple[Component, ...]
    relations: tuple[Relation, ...]
    created_at: datetime
    by: str | None = None  # who put it, as they said; None where nobody was named
    state: State  # of its lifecycle, when it was read: this may change, and what was erased
    erased: tuple[str, ...] = ()  # roles of components whose content was erased, and which are not there any more

    @property
    def ref(self) -> str:
        """The reference that always means this version."""
        return f"{self.name}@{self.number}"

    @property
    def size_bytes(self) -> int:
        """Bytes of all components together, shared or not."""
        return sum(c.size_bytes for c in self.components)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles of the components, sorted."""
        return tuple(c.role for c in self.components)


class Source(NamedTuple):
    """A version that another was made from, and as what it served: `Source("sop/login@3", "template")`."""

    version: Any  # a Version, its id, a reference; or, in a transaction, what an earlier `put` of it answered
    role: str = "source"


class SourceLink(NamedTuple):
    """A source as the catalog knows it, and as it was asked for, which is the same whoever repeats the request."""

    id: UUID
    role: str
    asked: str


class PutOptions(_Value):
    """What a put asks besides its name and data; `AsyncTenant.put` describes each."""

    type: str | None = None
    title: str | None = None
    labels: dict[str, str] | None = None
    metadata: str | None = None  # as JSON text
    sources: tuple[SourceLink, ...] | None = None
    expect: int | None = None
    idempotency_key: str | None = None
    asked: Digest | None = None  # what the key stands for, where a put only ends a request; None: the put
    on_same: str = "reuse"
    ttl: timedelta | None = None
    by: str | None = None


class Stored(Version):
    """The answer of a put: the version, and what was new about it."""

    reused: bool  # the head had this content already (`on_same="reuse"`), or meant the same; no version was made
    new_bytes: int  # bytes this tenant had not stored before; 0 where an earlier call of this put made the version
    repeated: bool  # an earlier put with the same idempotency key made this version
    expires_at: datetime | None = None  # from then on retention drops it; None: it is to stay
    differs: Depth | None = "same"  # from what was put, with on_same="semantic"; None: that is not known any more


class Pointer(_Value):
    """An alias or a tag at one point of its history. `number` is None where an alias was removed."""

    name: str  # of the artifact
    pointer: str
    is_tag: bool
    number: int | None
    moved_at: datetime
    by: str | None = None  # who moved it, as they said; None where nobody was named


class Transition(_Value):
    """One step of a version in its lifecycle."""

    name: str  # of the artifact
    number: int
    before: State
    state: State
    by: str
    reason: str | None
    at: datetime


class Deleted(_Value):
    """A version in the trash, or what is left of one that was purged."""

    id: UUID
    name: str  # of the artifact
    number: int
    type: str
    title: str | None
    digest: Digest  # of the manifest
    at: datetime
    by: str
    reason: str | None
    purged_at: datetime | None  # None while it can come back
    purged_by: str | None

    @property
    def ref(self) -> str:
        """The reference that meant this version, and will again when it is taken back."""
        return f"{self.name}@{self.number}"


class Hold(_Value):
    """What keeps a version, an artifact or all of a tenant's from being deleted, purged or erased."""

    hold: str  # what it is for, such as a case
    name: str | None  # of the artifact; None: all of the tenant's
    number: int | None  # of the version; None: all that the artifact has and will have
    at: datetime
    by: str
    reason: str | None
    released_at: datetime | None  # None while it holds
    released_by: str | None

    @property
    def ref(self) -> str | None:
        """What it is on: a version, or a name; None for all of the tenant's."""
        return self.name if self.number is None else f"{self.name}@{self.number}"


class TenantState(_Value):
    """A tenant as such: since when it is there, and whether it was deleted."""

    name: str
    created_at: datetime
    deleted_at: datetime | None  # None: it is not deleted
    deleted_by: str | None
    reason: str | None


class Impact(_Value):
    """What deleting or purging would do if it were done now. Where something blocks it, it would do nothing."""

    versions: tuple[str, ...]  # that would be hidden, or lose their content; not those that already are, or have
    holds: tuple[str, ...]  # that block it
    pointers: tuple[str, ...]  # that block it: they point at it
    dependants: tuple[str, ...]  # that block it: they were made from it; the first hundred
    blockers: int  # holds, pointers and dependants, all of them
    frees_blobs: int  # contents that no other version of the tenant holds
    frees_bytes: int  # of these; a purge lets a collector free them, unless another tenant holds them too
    is_reversible: bool  # until it is purged a version can be taken back; after that never
    kept_for: timedelta  # from a collection after the purge the bytes stay so long, where it is not told otherwise


class Link(_Value):
    """From a version to one of its sources."""

    source: UUID
    ref: str  # of the source
    role: str
    newer: (
        int | None
    )  # the newest accepted version of the source's artifact, if it is newer; None of a source of the same name


class Node(_Value):
    """A version in a lineage."""

    version: Version
    depth: int  # steps from the version that was asked for, on the shortest way
    sources: tuple[Link, ...]  # all of this version's, whether they are in the lineage or not

    @property
    def is_stale(self) -> bool:
        """Whether one of its sources has a newer version that is accepted."""
        return any(link.newer for link in self.sources)


class Lineage(_Value):
    """A version and what it was made from, or what was made from it; nearest first, the version itself at the head."""

    versions: tuple[Node, ...]
    is_complete: bool  # False where there is more, to the depth asked for, than `limits.LINEAGE_…_MAX` let through

    def __iter__(self) -> Iterator[Node]:  # type: ignore[override]  # of the versions, not of pydantic's fields
        return iter(self.versions)

    def __len__(self) -> int:
        return len(self.versions)


class Shared(_Value):
    """Bytes that several components of a tenant are, and are stored once."""

    digest: Digest
    size_bytes: int
    media_type: str  # of one of them
    uses: int
    saved_bytes: int
    pixels: Digest | None  # if it is a PNG
    names: tuple[str, ...]  # of the artifacts, up to four


class Usage(_Value):
    """What a tenant has stored."""

    artifacts: int
    versions: int
    logical_bytes: int  # as if every version kept its own copy
    stored_bytes: int  # each content counted once


Item = TypeVar("Item")


class Page(_Value, Generic[Item]):
    """Some items in order, and the cursor that asks for the ones after them (None at the end)."""

    items: tuple[Item, ...]
    cursor: str | None = None

    def __iter__(self) -> Iterator[Item]:  # type: ignore[override]  # of the items, not of pydantic's fields
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
