"""The kinds this process knows: those of the platform, and what its program registered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from casstore import grammar
from casstore.errors import Code, Invalid, UsageError
from casstore.formats.comparison import Format
from casstore.kinds.kind import Fault, Kind, Role
from casstore.kinds.pieces import Piece, Source
from casstore.kinds.platform import PLATFORM
from casstore.model import Relation

__all__ = ["check", "compose", "format_for", "kind_of", "names", "register", "words_for"]

_KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in PLATFORM}
_SHOWN: Final = 10  # faults in a message, a screen of a terminal; the error's fields have them all


def register(kind: Kind, *, replace: bool = False) -> Kind:
    """Make `kind` the one of its type in this process, and answer it.

    Raises:
        UsageError: Its type has one already, and `replace` was not asked for (kind_exists).
        Invalid: The type, a role or a relation breaks the grammar (bad_type, bad_role).
    """
    grammar.check_type(kind.name)
    for link in kind.links:
        for word in (link.source, link.name, link.target):
            grammar.check_role(word)
    if kind.name in _KINDS and not replace:
        message = f"the kind {kind.name} is registered already"
        raise UsageError(Code.KIND_EXISTS, message, hint="Choose another name, or give replace=True.")
    _KINDS[kind.name] = kind
    return kind


def kind_of(name: str) -> Kind | None:
    """The kind of artifacts of type `name`; None where any composition will do."""
    return _KINDS.get(name)


def names() -> list[str]:
    """The types that have a kind, sorted."""
    return sorted(_KINDS)


def check(name: str, sources: Mapping[str, Source]) -> list[Fault]:
    """All that is wrong with an artifact of type `name` made of these sources, by role; see `Kind.check`."""
    kind = kind_of(name)
    return kind.check({role: Piece(role, source) for role, source in sources.items()}) if kind else []


def compose(name: str, sources: Mapping[str, Source]) -> tuple[Relation, ...]:
    """The relations within an artifact of type `name` made of these sources. It reads files: call it in a thread.

    Raises:
        Invalid: They are not what its kind promises (bad_composition); `fields["faults"]` has every fault by role and path.
            Or one cannot be read (unreadable_source).
        UsageError: A check of the kind failed (kind_failed).
    """
    kind = kind_of(name)
    if kind is None:
        return ()
    if faults := check(name, sources):
        raise _refusal(name, faults)
    return kind.relations(sources)


def format_for(name: str, role: str, media_type: str) -> Format | None:
    """How the kind of type `name` wants this component compared and merged; None where it does not mind."""
    meant = _role(name, role)
    return meant.formats.get(media_type) if meant else None


def words_for(name: str, role: str, before: bytes, after: bytes) -> list[str]:
    """What the kind of type `name` says about this change of a component; nothing where it has no words for it."""
    meant = _role(name, role)
    return list(meant.words(before, after)) if meant and meant.words else []


def _role(name: str, role: str) -> Role | None:
    kind = kind_of(name)
    return kind.role(role) if kind else None


def _refusal(name: str, faults: list[Fault]) -> Invalid:
    told = "; ".join(map(str, faults[:_SHOWN])) + ("; …" if len(faults) > _SHOWN else "")
    return Invalid(
        Code.BAD_COMPOSITION,
        f"this is no {name}: {told}",
        hint="Mend the components, or store them as another type.",
        type=name,
        faults=[{"role": fault.role, "path": fault.path, "message": fault.message} for fault in faults],
    )
