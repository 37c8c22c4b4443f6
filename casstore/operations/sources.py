"""Sources: the versions that another one is made from, from whatever a caller has of them to their ids."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, TypeAlias
from uuid import UUID

from casstore import grammar, limits
from casstore.errors import Code, Invalid
from casstore.model import Source, SourceLink, Version
from casstore.operations import Context
from casstore.operations.get import resolve, whole
from casstore.operations.pending import Pending
from casstore.refs import Ref

__all__ = ["SourceLike", "asked", "links"]

SourceLike: TypeAlias = Source | Version | Pending | UUID | Ref | str
_ONE: Final = (Source, Version, str)  # what is iterable, too, and one source


async def links(
    context: Context, sources: Iterable[SourceLike] | None, among: Collection[Pending] = ()
) -> tuple[SourceLink, ...] | None:
    """The sources by their ids. A reference that is none costs a round trip, and means what it does now.

    Args:
        context: Whose versions they are.
        sources: As the caller gave them.
        among: The earlier puts of the same transaction.

    Raises:
        Invalid: What is no version or no role (bad_argument, bad_reference, bad_role), or too many (bad_argument).
        NotFound: A reference to what is not there. (Ids are looked up with the put.)
        UsageError: A put of another transaction, which is not committed (transaction_over).
    """
    if sources is None:
        return None
    return tuple([await _link(context, each.version, each.role, among) for each in asked(sources)])


def asked(sources: Iterable[SourceLike]) -> list[Source]:
    """The sources as a caller gave them, each with its role; raises Invalid (bad_argument, bad_role)."""
    if isinstance(sources, _ONE) or not isinstance(sources, Iterable):
        message = f"sources={sources!r:.80} is no list of sources"
        raise Invalid(Code.BAD_ARGUMENT, message, hint="Write sources=[…], also for a single one.")
    found = [each if isinstance(each, Source) else Source(each) for each in sources]
    if len(found) > limits.SOURCES_MAX:
        message = f"a version has at most {limits.SOURCES_MAX} sources, not {len(found)}"
        raise Invalid(Code.BAD_ARGUMENT, message, hint="Store what was read as one version, and name that.")
    return [Source(each.version, grammar.check_role(each.role)) for each in found]


async def _link(context: Context, version: object, role: str, among: Collection[Pending]) -> SourceLink:
    match version:
        case Pending() if version in among:
            return version.link(role)
        case Pending():
            return SourceLink(version.stored.id, role, f"id:{version.stored.id}")
        case UUID() | Version():
            identity = version if isinstance(version, UUID) else version.id
            return SourceLink(identity, role, f"id:{identity}")
        case str() | Ref():
            ref = whole(context, version)
            identity = ref.id or (await resolve(context, ref))[0].id
            return SourceLink(identity, role, str(ref))
    message = f"a {type(version).__name__} is no version"
    raise Invalid(Code.BAD_ARGUMENT, message, hint="Give a reference such as 'sop/login@3', an id or a Version.")
