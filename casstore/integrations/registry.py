"""Registry entries: what the platform keeps of an artifact besides its content, as a version has it and as it is listed.

Most of it is the version's metadata, as it was given. Some is more than a note: what an artifact was made from, its lifecycle, and
the version it follows. And some the store knows better than whoever gives it, and that is not taken from metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, get_args
from uuid import UUID

from casstore import grammar
from casstore.errors import Code, Invalid
from casstore.integrations.reading import storage_path
from casstore.model import State, Version

__all__ = ["Entry", "actor_of", "entry_of", "identity_of", "listed", "wanted"]

_PARENT: Final = "parent_artifact_id"
_SOURCES: Final = "source_artifact_ids"
_ASKED: Final = frozenset({"lifecycle_state", "parent", _PARENT, _SOURCES})  # of the store, and more than a note
_KNOWN: Final = _ASKED | {  # to the store itself
    "artifact_id",
    "artifact_type",
    "tenant_id",
    "version",
    "is_current_version",
    "storage_path",
    "created_at",
}
_WORDS: Final = {
    "owner": ("client", "platform", "shared"),
    "purpose": ("decision_support", "delivery", "governance", "learning"),
    "lifecycle_state": get_args(State),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What metadata asks of the version that is to be made."""

    metadata: dict[str, Any]  # of the version
    parent: UUID | None
    sources: tuple[UUID, ...]
    state: State
    actor: str  # who stores it, and brings it into this state


def entry_of(metadata: Mapping[str, Any] | None) -> Entry:
    """What the platform's metadata asks for; raises Invalid (bad_metadata), naming the field."""
    given = {} if metadata is None else metadata
    if not isinstance(given, Mapping):
        _refuse("it", given, "a mapping")
    parent, sources = _parent(given), _sources(given)
    return Entry(
        metadata=_kept(given, parent, sources),
        parent=parent,
        sources=sources,
        state=_word("lifecycle_state", given) or "draft",
        actor=actor_of(given.get("execution_id")),
    )


def actor_of(execution_id: object) -> str:
    """Who stores what an execution has made: the execution, where its id can be kept as that, else the platform."""
    try:
        return grammar.check_actor(execution_id) if isinstance(execution_id, str) else "platform"
    except Invalid:
        return "platform"


def wanted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `AsyncTenant.list` that ask for entries with these fields, but for those that are None.

    Raises:
        Invalid: A field that entries are not listed by (bad_argument), or a value it never has (bad_metadata).
    """
    asked = {key: value for key, value in fields.items() if value is not None}
    if foreign := sorted(asked.keys() & _KNOWN - _ASKED):
        message = f"artifacts are not listed by {', '.join(foreign)}"
        raise Invalid(Code.BAD_ARGUMENT, message, hint="Give fields of the metadata, or lifecycle_state.")
    metadata = _kept(asked, _parent(asked), _sources(asked))
    return {"metadata": metadata or None, "state": _word("lifecycle_state", asked)}


def listed(version: Version, tenant: str, *, parent: UUID | None, is_current: bool) -> dict[str, Any]:
    """The registry's entry of a version, of plain JSON values."""
    known = {
        "artifact_id": str(version.id),
        "artifact_type": version.type,
        "tenant_id": tenant,
        "lifecycle_state": version.state,
        "version": version.number,
        "parent": None if parent is None else str(parent),
        "is_current_version": is_current,
        "storage_path": storage_path(version, tenant),
        "created_at": version.created_at.isoformat(),
    }
    return {**version.metadata, **known}


def identity_of(text: Any) -> UUID | None:
    """The id that this is, or None."""
    try:
        return text if isinstance(text, UUID) else UUID(text)
    except (ValueError, TypeError, AttributeError):
        return None


def _kept(fields: Mapping[str, Any], parent: UUID | None, sources: tuple[UUID, ...]) -> dict[str, Any]:
    """These fields as the metadata of a version has them."""
    for field in _WORDS:
        _word(field, fields)
    kept = {key: value for key, value in fields.items() if key not in _KNOWN}
    return (
        kept
        | ({_PARENT: str(parent)} if parent else {})
        | ({_SOURCES: [str(source) for source in sources]} if sources else {})
    )


def _word(field: str, fields: Mapping[str, Any]) -> Any:
    """The word of ours that a field is, or None where it is not there."""
    value, words = fields.get(field), _WORDS[field]
    if value is not None and value not in words:
        _refuse(field, value, f"one of {', '.join(words)}")
    return None if value is None else words[words.index(value)]  # not what is equal to it, such as a member of an enum


def _parent(fields: Mapping[str, Any]) -> UUID | None:
    """The one that is asked for; `parent` alone will do, and is what an entry was listed with where both are there."""
    field = _PARENT if fields.get(_PARENT) is not None else "parent"
    value = fields.get(field)
    return None if value is None else _identity(field, value)


def _sources(fields: Mapping[str, Any]) -> tuple[UUID, ...]:
    given = fields.get(_SOURCES) or []
    if not isinstance(given, list | tuple):
        _refuse(_SOURCES, given, "a list of ids")
    return tuple(dict.fromkeys(_identity(_SOURCES, value) for value in given))


def _identity(field: str, value: Any) -> UUID:
    return identity_of(value) or _refuse(field, value, "the id of an artifact")


def _refuse(field: str, value: Any, rule: str) -> NoReturn:
    message = f"the metadata is refused: {field} is {value!r:.80}, and has to be {rule}"
    raise Invalid(Code.BAD_METADATA, message, hint="Mend the field, or leave it out.", field=field)
