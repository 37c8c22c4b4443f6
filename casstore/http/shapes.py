"""What answers look like: the store's own values, with the references that are derived from them, as `--json` has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Self, TypeVar

from pydantic import BaseModel, computed_field

from casstore.model import Deleted, Lineage, Node, Page, Stored, Version

__all__ = [
    "DeletedShape",
    "Items",
    "LineageShape",
    "Listed",
    "NodeShape",
    "StoredShape",
    "VersionShape",
    "deleted",
    "listed",
]


class VersionShape(Version):
    """A version, with its reference and its size."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ref(self) -> str:
        """The reference that always means this version."""
        return super().ref

    @computed_field  # type: ignore[prop-decorator]
    @property
    def size_bytes(self) -> int:
        """Bytes of all components together, shared or not."""
        return super().size_bytes

    @classmethod
    def of(cls, version: Version) -> Self:
        """A version as it is answered."""
        return cls.model_construct(**vars(version))


class StoredShape(VersionShape, Stored):
    """What a put made, or found made."""


class NodeShape(Node):
    """A version in a lineage."""

    version: VersionShape

    @computed_field  # type: ignore[prop-decorator]
    @property
    def is_stale(self) -> bool:
        """Whether one of its sources has a newer version that is accepted."""
        return super().is_stale


class LineageShape(Lineage):
    """A version and what it was made from, or what was made from it."""

    versions: tuple[NodeShape, ...]

    @classmethod
    def of(cls, lineage: Lineage) -> Self:
        """A lineage as it is answered."""
        nodes = [
            NodeShape.model_construct(**vars(node) | {"version": VersionShape.of(node.version)}) for node in lineage
        ]
        return cls.model_construct(versions=tuple(nodes), is_complete=lineage.is_complete)


class DeletedShape(Deleted):
    """A version in the trash, with its reference."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def ref(self) -> str:
        """The reference that meant this version."""
        return super().ref

    @classmethod
    def of(cls, deleted: Deleted) -> Self:
        """A deleted version as it is answered."""
        return cls.model_construct(**vars(deleted))


Item = TypeVar("Item")


class Listed(BaseModel, Generic[Item]):
    """Some items in order, and the cursor that asks for the ones after them (null at the end)."""

    items: list[Item]
    cursor: str | None = None


class Items(BaseModel, Generic[Item]):
    """All there are."""

    items: list[Item]


def deleted(found: Iterable[Deleted]) -> Items[DeletedShape]:
    """What is in the trash now, as it is answered."""
    return Items(items=[DeletedShape.of(each) for each in found])


def listed(page: Page[Version]) -> Listed[VersionShape]:
    """A page of versions as it is answered."""
    return Listed(items=[VersionShape.of(version) for version in page], cursor=page.cursor)
