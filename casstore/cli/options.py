"""What every command has in common: its options for where and how, its exit codes, and the opening of the store."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

from casstore.cli.output import Output
from casstore.errors import Code, Invalid, NotFound

if TYPE_CHECKING:
    from casstore.model import Source
    from casstore.store import AsyncStore
    from casstore.tenant import AsyncTenant

__all__ = [
    "Body",
    "Where",
    "command",
    "duration",
    "json_object",
    "named",
    "pairs",
    "size_bytes",
    "sources",
    "target",
    "who",
    "whoever",
]

Body: TypeAlias = Callable[..., Awaitable[int | None]]

_EXITS: Final = {
    0: "done",
    1: "a bug in casstore",
    2: "the call is wrong: arguments, names, data, settings",
    4: "not found",
    5: "conflict: the store is not in the state you expected",
    6: "not permitted",
    7: "what is stored is damaged",
    8: "unavailable: try again later",
    130: "interrupted",
}


@dataclass(frozen=True, slots=True)
class Where:
    """Which store a command works on, and how it answers."""

    out: Output
    tenant: str | None
    home: str | None
    blobs: str | None
    catalog: str | None

    def store(self) -> AsyncStore:
        """The store, not yet open."""
        from casstore.store import AsyncStore  # noqa: PLC0415 - help and wrong arguments need no database driver

        return AsyncStore(self.home, blobs=self.blobs, catalog=self.catalog)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncTenant]:
        """The tenant's view of the open store."""
        store = self.store()
        tenant = store.tenant(self.tenant)
        async with self._opened(store):
            yield tenant

    @asynccontextmanager
    async def whole(self) -> AsyncIterator[AsyncStore]:
        """The open store, for what concerns all tenants."""
        store = self.store()
        async with self._opened(store):
            yield store

    @asynccontextmanager
    async def _opened(self, store: AsyncStore) -> AsyncIterator[None]:
        """An embedded catalog is started if it is not running, and made the first time, which takes seconds."""
        async with AsyncExitStack() as stack:
            async with self.out.busy("starting the catalog", when=store.settings.catalog.startswith("embedded:")):
                await stack.enter_async_context(store)
            yield


def command(name: str, short_help: str, *, exits: Mapping[int, str] | None = None) -> Callable[[Body], click.Command]:
    """Make a command of an async function that is given a `Where` and the command's own arguments.

    Args:
        name: What people type.
        short_help: One line for the list of commands.
        exits: Exit codes that mean something more special here.
    """
    codes = "\n".join(f"  {code:3}  {meaning}" for code, meaning in sorted({**_EXITS, **(exits or {})}.items()))

    def decorate(body: Body) -> click.Command:
        def callback(
            *, as_json: bool, tenant: str | None, home: str | None, blobs: str | None, catalog: str | None, **own: Any
        ) -> Awaitable[int | None]:
            own.pop("traceback")  # the root looks for it before anything is parsed
            where = Where(Output(as_json=as_json), tenant, home, blobs, catalog)
            return _of_this_command(click.get_current_context(), where, body(where, **own))

        own_params: Sequence[click.Parameter] = getattr(body, "__click_params__", [])
        return click.Command(
            name,
            callback=callback,
            params=[*reversed(own_params), *_shared()],
            help=body.__doc__,
            short_help=short_help,
            epilog=f"\b\nExit codes:\n{codes}",
        )

    return decorate


async def _of_this_command(context: click.Context, where: Where, work: Awaitable[int | None]) -> int | None:
    """The work of a command, awaited when click has forgotten whose it is: a wrong call points to this command's help."""
    try:
        return await work
    except click.UsageError as error:
        error.ctx = error.ctx or context
        raise
    except NotFound as error:
        if error.code is Code.ARTIFACT_NOT_FOUND and not error.hint and where.tenant is None:
            tenant = where.store().tenant().name  # nobody named it in this call: perhaps another was meant
            error.hint = f"Nothing of that name in tenant {tenant!r}; `casstore ls` lists what there is."
        raise


def _shared() -> list[click.Parameter]:
    return [
        click.Option(["--json", "as_json"], is_flag=True, help="Answer, and report errors, as JSON."),
        click.Option(["--tenant"], help="Whose artifacts [CASSTORE_TENANT, else default]."),
        click.Option(["--home"], metavar="FOLDER", help="Where the store is by default [CASSTORE_HOME]."),
        click.Option(["--blobs"], metavar="URL", help="Where bytes are: file:///folder [CASSTORE_BLOBS]."),
        click.Option(
            ["--catalog"],
            metavar="URL",
            help="Where names are: embedded:///folder or postgresql://… [CASSTORE_CATALOG].",
        ),
        click.Option(["--traceback"], is_flag=True, hidden=True),
    ]


def duration(_context: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    """A click callback: 90s, 10m, 12h, 7d, 2w or 0 as a time."""
    found = re.fullmatch(r"(\d{1,6})([smhdw]?)", value or "", re.ASCII)
    if value is None:
        return None
    if not found or (not found[2] and int(found[1])):
        raise click.BadParameter(f"{value!r} is no time: 90s, 10m, 12h, 7d, 2w or 0.", param=parameter)
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks", "": "days"}
    return timedelta(**{units[found[2]]: int(found[1])})


def who(note: str = "") -> Callable[[Body], Body]:
    """Make the option that says who does it, and in the note when that is required; `whoever` and `named` tell it."""
    otherwise = f"{note}, or CASSTORE_BY" if note else "CASSTORE_BY"
    return click.option(
        "--by", metavar="WHO", help=f"Who does it, kept with it: rather a role than a name [{otherwise}]."
    )


def whoever(by: str | None) -> str | None:
    """Who does it: as this call says, or for all calls CASSTORE_BY; None where nobody is named."""
    from casstore.config import actor  # noqa: PLC0415 - help needs no settings

    return actor() if by is None else by


def named(by: str | None) -> str:
    """Who does it, or the end of a wrong call: only asking what would happen needs no name."""
    name = whoever(by)
    if name is None:
        raise click.UsageError("Missing option '--by': who does it? (CASSTORE_BY says it for all calls.)")
    return name


def pairs(_context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, str]:
    """A click callback: repeated KEY=VALUE options as a dict; a key given twice is an error."""
    found: dict[str, str] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} has no '='.", param=parameter)
        if key in found:
            raise click.BadParameter(f"{key!r} is given twice.", param=parameter)
        found[key] = value
    return found


_SIZES: Final = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def size_bytes(_context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """A click callback: a number of bytes, such as 500000, 500KB or 50MB."""
    if value is None:
        return None
    number = value.rstrip("BKMGT")
    unit = value[len(number) :] or "B"
    if not number.isascii() or not number.isdigit() or unit not in _SIZES:
        raise click.BadParameter(f"{value!r} is no size, such as 500000, 500KB or 50MB.", param=parameter)
    return int(number) * _SIZES[unit]


def json_object(_context: click.Context, _parameter: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """A click callback: a JSON object, or @ and a file with one; raises Invalid (bad_metadata, unreadable_source)."""
    if value is None:
        return None
    from casstore.formats import json  # noqa: PLC0415 - most calls have none

    fault = ""
    try:
        found = json.decode(_text(value).encode("utf-8", "surrogateescape"))
    except Invalid as error:
        if error.code is not Code.BAD_JSON:
            raise
        found, fault = None, f": {error.message}"
    if isinstance(found, dict):
        return found
    hint = """Such as '{"team": "support"}', or @FILE for one in a file."""
    raise Invalid(Code.BAD_METADATA, f"{value!a:.80} is no JSON object{fault}", hint=hint)


def _text(value: str) -> str:
    """The value itself, or what is in the file it names."""
    if not value.startswith("@"):
        return value
    path = Path(value[1:])
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise Invalid(Code.UNREADABLE_SOURCE, message, hint="Check the path and its permissions.") from error


def sources(_context: click.Context, _parameter: click.Parameter, values: Sequence[str]) -> list[Source] | None:
    """A click callback: repeated REF=ROLE options, or REF alone, as sources in their order; None where there are none."""
    from casstore.model import Source  # noqa: PLC0415 - most calls have none

    parts = [text.partition("=") for text in values]  # neither a reference nor a role has an "="
    return [Source(ref, role) if equals else Source(ref) for ref, equals, role in parts] or None


def target(_context: click.Context, _parameter: click.Parameter, value: str) -> str | Path:
    """A click callback: a reference, or a path, which begins as no name does."""
    return Path(value) if value.startswith((".", "/")) else value
