"""A kind: which roles an artifact of a type has, what each may hold, how they belong together, and what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

from casstore import limits
from casstore.errors import CasstoreError, Code, Invalid, UsageError
from casstore.formats.comparison import Format
from casstore.kinds.pieces import Piece
from casstore.model import Relation

__all__ = ["ENVELOPE", "Composition", "Fault", "Kind", "Parts", "Role", "Rule", "fault_of", "parsed", "pointer"]

ENVELOPE: Final = (
    "envelope"  # what a result has besides its parts; a composition with this role is one that results are split into
)

Parts: TypeAlias = Mapping[str, Piece]
Subject = TypeVar("Subject", Piece, Parts)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an artifact, and where.

    Attributes:
        role: The component; "" is the artifact as a whole.
        path: Where inside it, a JSON pointer (RFC 6901); "" is all of it.
        message: What is wrong, as it reads on after the place: "is missing".
    """

    role: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{f'{self.role}{self.path}'} {self.message}".lstrip()


Rule: TypeAlias = Callable[[Parts], Iterable[Fault]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One part a composition has.

    Attributes:
        name: The role.
        pattern: Of the names of any number of parts, whose role then is no name but a description of them; for optional ones.
        optional: Whether it may be left out.
        media_types: Those it may have; none means any.
        check: What is wrong with its content. Not called where the media type is wrong.
        formats: How it is compared and merged, by media type, where that is not as everything of this media type is.
        words: What a change of it means, a few lines: of the older and the newer bytes. They may be any bytes at all.
    """

    name: str
    pattern: re.Pattern[str] | None = None
    optional: bool = False
    media_types: tuple[str, ...] = ()
    check: Callable[[Piece], Iterable[Fault]] | None = None
    formats: Mapping[str, Format] = field(default_factory=dict)
    words: Callable[[bytes, bytes], Iterable[str]] | None = None

    def has(self, name: str) -> bool:
        """Whether a part of this name is meant."""
        return name == self.name if self.pattern is None else self.pattern.fullmatch(name) is not None

    def faults(self, piece: Piece) -> Iterator[Fault]:
        """What is wrong with this part by itself."""
        if self.media_types and not piece.is_of(*self.media_types):
            message = f"is {piece.media_type}, and has to be {_or(self.media_types)}"
            yield Fault(piece.role, "", message)
        elif self.check:
            yield from _guarded(piece.role, self.check, piece)


Composition: TypeAlias = tuple[Role, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What an artifact type promises about its parts.

    Attributes:
        name: The artifact type.
        compositions: The sets of roles an artifact may consist of, one of them; none means any roles at all.
        rule: What no single part can tell. It gets whatever parts there are.
        links: The relations between roles; one is in force where both its roles are there.
        links_among: Relations that depend on which roles there are, of all these.
    """

    name: str
    compositions: tuple[Composition, ...] = ()
    rule: Rule | None = None
    links: tuple[Relation, ...] = ()
    links_among: Callable[[frozenset[str]], Iterable[Relation]] | None = None

    def check(self, parts: Parts) -> list[Fault]:
        """All that is wrong with these parts, in an order that depends on them alone; empty if nothing is.

        Past `limits.FAULTS_MAX` faults, one more says how many were left out.

        Raises:
            Invalid: A part cannot be read (unreadable_source).
            UsageError: A check of the kind failed, which is a bug in it (kind_failed).
        """
        faults = self._faults(parts)
        first = list(islice(faults, limits.FAULTS_MAX))
        more = sum(1 for _ in faults)
        return [*first, Fault("", "", f"and {more} more")] if more else first

    def relations(self, roles: Iterable[str]) -> tuple[Relation, ...]:
        """The relations between these roles, sorted."""
        there = frozenset(roles)
        named = {link for link in self.links if {link.source, link.target} <= there}
        return tuple(sorted(named.union(self.links_among(there) if self.links_among else ())))

    def role(self, name: str) -> Role | None:
        """What the first composition that has it says of a role; None where none has."""
        return next((role for roles in self.compositions for role in roles if role.has(name)), None)

    def _faults(self, parts: Parts) -> Iterator[Fault]:
        if self.compositions:
            yield from self._misfits(self._meant(parts.keys()), parts)
        if self.rule:
            yield from _guarded(self.name, self.rule, parts)

    def _meant(self, there: Collection[str]) -> Composition:
        """The composition these roles come nearest to: the one with the fewest strangers, then with the fewest gaps."""

        def distance(composition: Composition) -> tuple[int, int]:
            strangers = [name for name in there if not any(role.has(name) for role in composition)]
            needed = {role.name for role in composition if not role.optional}
            return len(strangers), len(needed - set(there))

        return min(self.compositions, key=distance)

    def _misfits(self, composition: Composition, parts: Parts) -> Iterator[Fault]:
        needed = {role.name for role in composition if not role.optional}
        for name in sorted(needed | parts.keys()):
            role = next((role for role in composition if role.has(name)), None)
            if name not in parts:
                yield Fault(name, "", "is missing")
            elif role is None:
                roles = ", ".join(role.name for role in composition)
                yield Fault(name, "", f"is no role of a {self.name}, which has {roles}")
            else:
                yield from role.faults(parts[name])


def pointer(*steps: str | int) -> str:
    """The JSON pointer (RFC 6901) of these keys and indexes."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def parsed(piece: Piece) -> Generator[Fault, None, Any]:
    """The JSON value of a piece; where there is none, a fault and None."""
    try:
        return piece.json()
    except Invalid as error:
        yield fault_of(error)


def _guarded(name: str, check: Callable[[Subject], Iterable[Fault]], subject: Subject) -> Iterator[Fault]:
    """The faults a check finds; what it raises for a piece that cannot be parsed is one, and anything else is its bug."""
    try:
        for fault in check(subject):
            if not isinstance(fault, Fault):
                raise TypeError(f"a {type(fault).__name__} is no Fault")  # noqa: TRY301 - told like any other bug of it
            yield fault
    except Invalid as error:
        yield fault_of(error)
    except CasstoreError:
        raise
    except Exception as error:
        message = f"the check of {name} failed: {type(error).__name__}: {error}"
        raise UsageError(Code.KIND_FAILED, message, hint="Repair the check; nothing was stored.") from error


def fault_of(error: Invalid) -> Fault:
    """The fault of a piece that is too large or does not parse; raises `error` again where it tells something else."""
    if "role" not in error.fields:
        raise error
    return Fault(error.fields["role"], "", error.message.removeprefix("the content "))


def _or(words: tuple[str, ...]) -> str:
    return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else words[0]
