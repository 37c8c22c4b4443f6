"""casstore merge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from casstore.cli import render
from casstore.cli.files import write
from casstore.cli.options import Where, who, whoever
from casstore.cli.options import command as define
from casstore.cli.output import document, plain
from casstore.errors import Code, Invalid

if TYPE_CHECKING:
    from casstore.operations.merges import Merge, Resolution

__all__ = ["command"]

_HEADER: Final = "casstore/merge/1"
_CONFLICT: Final = 5
_SIDES: Final = ("base", "ours", "theirs")
_SHOWN_CHARS: Final = 100  # of a value, on a line of its own; the file of --conflicts has all of it


@define(
    "merge",
    "Merge two versions that go back to a third.",
    exits={5: "conflicts, of which each is told; or OURS is not the newest any more"},
)
@click.argument("ours", required=False)
@click.argument("theirs", required=False)
@click.option("--base", metavar="REF", help="What both began with [the nearest version that both go back to].")
@click.option("--into", metavar="NAME", help="Put the merged version under this name [that of OURS].")
@click.option("--preview", is_flag=True, help="Say what would be merged, and store nothing.")
@click.option("--conflicts", metavar="FILE", help="If there are any, write them to FILE, to be resolved there.")
@click.option(
    "--resolved", metavar="FILE", help="Merge as FILE says, which --conflicts has written, and you completed."
)
@click.option("--force", is_flag=True, help="Replace the FILE of --conflicts if it is there.")
@who()
async def command(
    where: Where,
    ours: str | None,
    theirs: str | None,
    *,
    base: str | None,
    into: str | None,
    preview: bool,
    conflicts: str | None,
    resolved: str | None,
    force: bool,
    by: str | None,
) -> int:
    """Merge THEIRS into OURS: what one side alone has changed since they parted is taken, and the result is put as a new version
    that was made from both.

    Where both have changed the same, nothing is stored, and each conflict is told. Write them to a file, say in it what each
    shall `take` ("ours", "theirs", "base", or "value" with a `value`), and give it back:

    casstore merge plan/x plan/draft --conflicts todo.json; casstore merge --resolved todo.json
    """
    asked: dict[str, Any] = {"ours": ours, "theirs": theirs, "base": base, "into": into}
    if resolved:
        if ours or theirs or base:
            raise click.UsageError("--resolved FILE names the versions itself.")
        asked |= _read(Path(resolved))
    elif not (ours and theirs):
        raise click.UsageError("Give OURS and THEIRS, or --resolved FILE.")
    async with where.open() as tenant:
        merge = await tenant.merge(**asked, preview=preview, by=whoever(by))
    if merge.conflicts and conflicts:
        write(Path(conflicts), document(_file(merge)) + "\n", force=force)
        where.out.note(f"The conflicts are in {conflicts}: complete each `take`, then --resolved {conflicts}")
    where.out.show(merge, _lines(merge))
    return _CONFLICT if merge.conflicts else 0


def _file(merge: Merge) -> dict[str, Any]:
    return {
        "format": _HEADER,
        "ours": f"id:{merge.ours.id}",
        "theirs": f"id:{merge.theirs.id}",
        "base": f"id:{merge.base.id}",
        "into": merge.into,
        "conflicts": [
            {"role": each.role, **_conflict(each.conflict), "take": None, "value": None} for each in merge.conflicts
        ],
    }


def _conflict(conflict: Any) -> dict[str, Any]:
    return {"path": conflict.path, "text": conflict.text, **_sides(conflict)}


def _sides(conflict: Any) -> dict[str, Any]:
    """What each side has there, if it has anything."""
    return {name: getattr(conflict, name) for name in conflict.present}


def _short(value: Any) -> str:
    text = plain(document(value, indent=None))
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def _read(path: Path) -> dict[str, Any]:
    """What a file of resolved conflicts asks for; raises Invalid (unreadable_source, bad_argument)."""
    try:
        value = json.loads(path.read_text("utf-8"))
        is_ours = value["format"] == _HEADER
        asked = {name: value[name] for name in ("ours", "theirs", "base", "into")}
        taken = [
            (f"{each['role']:s}", f"{each['path']:s}", each["take"], each.get("value")) for each in value["conflicts"]
        ]
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise Invalid(Code.UNREADABLE_SOURCE, message, hint="Name the file that --conflicts has written.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} is no file of resolved conflicts{_fault(error)}"
        hint = "It is the file that --conflicts has written, with each `take` completed."
        raise Invalid(Code.BAD_ARGUMENT, message, hint=hint) from error
    if not is_ours:
        raise Invalid(Code.BAD_ARGUMENT, f"{path} is of another format than {_HEADER}", hint="Merge again.")
    return asked | {"resolved": [_resolution(path, *each) for each in taken]}


def _resolution(file: Path, role: str, path: str, take: Any, value: Any) -> Resolution:
    from casstore.operations.merges import Resolution, Take  # noqa: PLC0415 - only a resolved merge needs it

    if take in get_args(Take):
        return Resolution(role=role, path=path, take=take, value=value)
    said = "is not decided yet: its `take` is null" if take is None else f"has {take!a:.80} as its `take`"
    message = f"{file}: the conflict in {_place(role, path)} {said}"
    hint = 'A `take` is "ours", "theirs", "base", or "value" with the `value` that is to be there.'
    raise Invalid(Code.BAD_ARGUMENT, message, hint=hint)


def _fault(error: Exception) -> str:
    """What is wrong with a file, where Python's own words say that to people."""
    if isinstance(error, KeyError):
        return f": {error} is missing"
    return f": {error}" if isinstance(error, json.JSONDecodeError | UnicodeError) else ""


def _place(role: str, path: str) -> str:
    return f"{role or 'the version'} at {path or 'all of it'}"


def _lines(merge: Merge) -> Iterator[str]:
    for part in merge.components:
        if part.taken != "same":
            yield f"{part.role}: {part.taken if part.is_there else f'removed, as in {part.taken}'}"
    for each in merge.conflicts:
        yield plain(f"conflict in {_place(each.role, each.conflict.path)}: {each.conflict.text}")
        sides = _sides(each.conflict)
        yield from (f"  {side:6}  {_short(sides[side]) if side in sides else 'nothing'}" for side in _SIDES)
    if merge.stored:
        yield from render.stored(merge.stored)
    elif not merge.conflicts:
        yield "nothing stands against it, and nothing was stored"
