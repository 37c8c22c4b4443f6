"""The old layout: `artifacts/<type>/<tenant>/<id>.json`, one document each, and what a document says. Pure functions.

A document is a result; or an envelope around one:

    {"artifact_data": {…}, "metadata": {…}, "visual_paths": {…}, "artifact_id": …, …}

It is an envelope only if nothing in it is unknown, so that nothing of it is lost: besides `artifact_data` (or `data`), an object,
it has `metadata`, `visual_paths`, `updated_at` and fields of the registry, one of them at least.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from casstore import grammar
from casstore.errors import Code, Invalid
from casstore.formats import json
from casstore.integrations.registry import entry_of

__all__ = ["MOVED_FROM", "Document", "Place", "Told", "document_of", "metadata_of", "place_of", "tenant_of", "told_by"]

MOVED_FROM: Final = "moved_from"  # the key in metadata of what was true in the old layout only

_ROOT: Final = "artifacts"
_SUFFIX: Final = ".json"
_CONTENT: Final = ("artifact_data", "data")
_BESIDE: Final = ("metadata", "visual_paths")
_PARENTS: Final = ("parent_artifact_id", "parent")
_SOURCES: Final = "source_artifact_ids"
_STATE: Final = "lifecycle_state"
_ASKED: Final = (*_PARENTS, _SOURCES, MOVED_FROM)  # fields that are translated
_NOTHING: Final = object()
_REGISTRY: Final = frozenset(
    {
        *("artifact_id", "artifact_type", "tenant_id", "session_id", "solution_id", "execution_id", "intent_type"),
        *("intent_id", "realm", _STATE, "owner", "purpose", "version", *_PARENTS, "is_current_version"),
        *(_SOURCES, "regenerable", "retention_policy", "storage_path", "created_at"),
    }
)
_ENVELOPE: Final = _REGISTRY | {*_BESIDE, "updated_at"}


# -- paths -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """What the path of a document says."""

    type: str
    tenant: str
    id: str

    def check(self) -> None:
        """Raise Invalid (bad_tenant, bad_type) where it is no tenant's, or of no type."""
        grammar.check_tenant(self.tenant)
        grammar.check_type(self.type)


def place_of(path: str) -> Place | None:
    """The place of the document at this path; None if that is no document's."""
    match path.split("/"):
        case [root, kind, tenant, file] if root == _ROOT and file.endswith(_SUFFIX) and not file.startswith("."):
            return Place(kind, tenant, file.removesuffix(_SUFFIX))
    return None


def tenant_of(path: str) -> str | None:
    """Who owns an object: what stands in the tenant's place, `artifacts/<any>/<tenant>/…`; None where it is nobody's own."""
    match path.split("/"):
        case [root, _, tenant, _, *_] if root == _ROOT:
            return tenant
    return None


# -- documents -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Document:
    """A document, opened. The result is its reader's own, and may be changed."""

    result: dict[str, Any]
    fields: dict[str, Any]  # of the registry; of an envelope also whatever else its metadata has
    visual_paths: dict[str, Any]  # of an envelope: pictures by their key


@dataclass(frozen=True, slots=True)
class Told:
    """What a document says about its place among others."""

    id: str
    parent: str | None = None
    sources: tuple[str, ...] = ()
    version: float = math.inf  # after every number
    created_at: str = ""


def document_of(data: bytes) -> Document:
    """Open a document; raises Invalid (bad_json, bad_data)."""
    whole = json.decode(data)
    if not isinstance(whole, dict):
        raise Invalid(Code.BAD_DATA, f"the document is a {type(whole).__name__}, and a result is a dictionary")
    metadata = whole.get("metadata")
    fields = metadata if isinstance(metadata, dict) else {}
    for key in _CONTENT:
        if _is_envelope(whole, key):
            own = {name: value for name, value in whole.items() if name not in (key, *_BESIDE)}
            return Document(whole[key], {**own, **fields}, whole.get("visual_paths") or {})
    return Document(whole, {name: value for name, value in fields.items() if name in _REGISTRY}, {})


def _is_envelope(whole: dict[str, Any], key: str) -> bool:
    others = whole.keys() - {key}
    return (
        isinstance(whole.get(key), dict)
        and bool(others)
        and others <= _ENVELOPE
        and all(isinstance(whole.get(name) or {}, dict) for name in _BESIDE)
    )


def told_by(document: Document, place: Place) -> Told:
    """What a document says about itself; raises Invalid (bad_tenant) when it says that it is another tenant's."""
    fields = document.fields
    owner = fields.get("tenant_id")
    if owner not in (None, place.tenant):
        message = f"the document says that it is of the tenant {owner!a:.80}, and lies with {place.tenant}"
        raise Invalid(Code.BAD_TENANT, message, hint="Find out whose it is, and move it there.")
    sources = fields.get(_SOURCES)
    return Told(
        id=_text(fields.get("artifact_id")) or place.id,
        parent=next(filter(None, (_text(fields.get(key)) for key in _PARENTS)), None),
        sources=tuple(dict.fromkeys(filter(None, map(_text, sources)))) if isinstance(sources, list) else (),
        version=_number(fields.get("version")),
        created_at=_text(fields.get("created_at")) or "",
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> float:
    """A version's number, also as text: 3, "3" or "v3"."""
    text = str(value).removeprefix("v") if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return float(text) if text.isascii() and text.isdigit() else math.inf


# -- metadata --------------------------------------------------------------------------------------------------------------


def metadata_of(
    document: Document, place: Place, *, old: Mapping[str, Any], parent: str | None, sources: Mapping[str, str]
) -> dict[str, Any]:
    """What `store_artifact` is given with this document.

    Fields that the store has a better answer to, and those that it would refuse, are kept below `moved_from`.

    Args:
        document: Its fields have the old ids.
        place: Its type and tenant need not be said again.
        old: What else goes below `moved_from`.
        parent: The id that the version before it has in the store.
        sources: The ids in the store of those of its sources that are there, by their old ids.
    """
    said = {"artifact_type": place.type, "tenant_id": place.tenant}
    fields = {key: value for key, value in document.fields.items() if value != said.get(key, _NOTHING)}
    kept = {key: value for key, value in fields.items() if key not in _ASKED and _fits(key, value)}
    left = {key: value for key, value in fields.items() if key not in kept and not (parent and key in _PARENTS)}
    if isinstance(asked := left.get(_SOURCES), list):
        left[_SOURCES] = [each for each in asked if not (isinstance(each, str) and each in sources)]
    if parent:
        kept[_PARENTS[0]] = parent
    if sources:
        kept[_SOURCES] = list(sources.values())
    return kept | {MOVED_FROM: {key: value for key, value in left.items() if value not in (None, [])} | dict(old)}


def _fits(field: str, value: Any) -> bool:
    """Whether the registry keeps this field as it is."""
    try:
        entry = entry_of({field: value})
    except Invalid:
        return False
    return field in entry.metadata or (field == _STATE and value is not None)
