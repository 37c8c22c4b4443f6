"""What placing and releasing a hold have in common: the two commands differ in a verb."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import click

from casstore.cli import custody
from casstore.cli.options import Body, Where, named, who

__all__ = ["on_hold"]


def on_hold(verb: Literal["hold", "release"], text: str) -> Body:
    """The body of one of the commands, with its arguments; `text` is its help."""

    @click.argument("words", nargs=-1, required=True, metavar="[REF] HOLD")
    @click.option("--everything", is_flag=True, help="Instead of REF: all that is the tenant's, and will be.")
    @who("required")
    @click.option("--reason", metavar="TEXT", help="Why: kept with it.")
    async def body(where: Where, words: Sequence[str], *, everything: bool, by: str | None, reason: str | None) -> None:
        if len(words) != (1 if everything else 2):
            raise click.UsageError("Give a REF and a HOLD, or a HOLD and --everything.")
        actor = named(by)
        async with where.open() as tenant:
            act = tenant.hold if verb == "hold" else tenant.release
            done = await act(None if everything else words[0], words[-1], by=actor, reason=reason)
        where.out.show(done, custody.held([done]))

    body.__doc__ = text
    return body
