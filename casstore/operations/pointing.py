"""Aliases (moveable) and tags (write-once): named pointers to versions."""

from __future__ import annotations

from casstore import grammar
from casstore.catalog import pointers
from casstore.catalog.puts import Move
from casstore.errors import Code, Invalid
from casstore.model import Page, Pointer
from casstore.operations import Asking, Context
from casstore.operations.listing import page_size
from casstore.operations.put import check_expect
from casstore.refs import Ref

__all__ = ["alias", "checked_move", "pointer_history", "pointers_of", "tag", "unalias"]


async def alias(context: Context, ref: str | Ref, alias: str, *, expect: int | None, by: str | None) -> Pointer:
    """Move an alias to the version that `ref` means now."""
    return await _point(context, ref, alias, is_tag=False, expect=expect, by=by)


async def tag(context: Context, ref: str | Ref, tag: str, *, by: str | None) -> Pointer:
    """Name the version that `ref` means now, once and for ever."""
    return await _point(context, ref, tag, is_tag=True, expect=None, by=by)


async def unalias(context: Context, name: str, alias: str, *, expect: int | None, by: str | None) -> Pointer:
    """Remove an alias; its history stays."""
    grammar.check_name(name)
    word = grammar.check_alias(alias)
    return await pointers.move_pointer(
        context.catalog,
        context.tenant,
        name,
        None,
        word,
        is_tag=False,
        expect=check_expect(expect),
        by=grammar.check_by(by),
    )


async def pointers_of(context: Context, name: str) -> list[Pointer]:
    """Where each alias and tag of a name points now."""
    return await pointers.pointers_of(context.catalog, context.tenant, grammar.check_name(name))


async def pointer_history(
    context: Context, name: str, pointer: str, *, cursor: str | None, limit: int
) -> Page[Pointer]:
    """Every move of an alias, newest first."""
    grammar.check_name(name)
    word = grammar.check_alias(pointer)
    return await pointers.pointer_history(
        context.catalog, context.tenant, name, word, cursor=cursor, limit=page_size(limit)
    )


def checked_move(context: Asking, ref: str | Ref, pointer: str, *, is_tag: bool, expect: int | None) -> Move:
    """A move as it was asked for, within the rules; raises Invalid (bad_reference, bad_pointer, bad_argument)."""
    parsed = Ref.parse(ref)
    if parsed.id or parsed.role or parsed.tenant not in (None, context.tenant):
        raise Invalid(Code.BAD_REFERENCE, f"{parsed} cannot be pointed at", hint="Give a name and a selector: name@3.")
    return Move(parsed.name, parsed.selector, grammar.check_alias(pointer), is_tag, check_expect(expect))


async def _point(
    context: Context, ref: str | Ref, pointer: str, *, is_tag: bool, expect: int | None, by: str | None
) -> Pointer:
    move = checked_move(context, ref, pointer, is_tag=is_tag, expect=expect)
    return await pointers.move_pointer(
        context.catalog,
        context.tenant,
        move.name,
        move.target,
        move.pointer,
        is_tag=is_tag,
        expect=move.expect,
        by=grammar.check_by(by),
    )
