"""casstore apply."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from casstore import limits
from casstore.cli import render
from casstore.cli.options import Where, json_object, pairs, who, whoever
from casstore.cli.options import command as define
from casstore.errors import Code, Invalid

__all__ = ["command"]

_HINT = "Such as casstore diff --format patch writes it."


@define(
    "apply",
    "Put what a patch makes of a version as its next one.",
    exits={5: "conflict: the version is not the newest any more, --on-same error"},
)
@click.argument("ref")
@click.argument("patch", metavar="FILE")
@click.option(
    "--component", metavar="ROLE", help="The one that the patch is for [those that it names, or the only one]."
)
@click.option("--into", metavar="NAME", help="Put the new version under this name [that of REF].")
@click.option("--title", help="Free text for people [that of REF].")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="KEY=VALUE",
    callback=pairs,
    help="For search; repeatable [those of REF].",
)
@click.option("--metadata", metavar="JSON|@FILE", callback=json_object, help="A JSON object [that of REF].")
@click.option("--idempotency-key", metavar="KEY", help="Repeated with the same key, it is one put.")
@click.option(
    "--on-same",
    type=click.Choice(["reuse", "semantic", "new_version", "error"]),
    default="reuse",
    help="When the newest version has the content that would come of it [reuse].",
)
@who()
async def command(where: Where, ref: str, patch: str, labels: dict[str, str], by: str | None, **options: Any) -> None:
    """Put what the patch in FILE, or with - on standard input, makes of REF as the next version: all of it, or nothing.

    REF is the version that the patch was made for, and must be the newest. Components without a patch stay as they are.

    casstore diff plan/x@2 ./x.json --format patch -o p.json; casstore apply plan/x@2 p.json
    """
    value = _read(patch)
    async with where.open() as tenant:
        stored = await tenant.apply(ref, value, labels=labels or None, by=whoever(by), **options)
    shared = stored.size_bytes - stored.new_bytes
    where.out.show(render.dump(stored, novelty=render.novelty(stored), shared_bytes=shared), render.stored(stored))


def _read(name: str) -> Any:
    """The patch; raises Invalid (unreadable_source, bad_patch)."""
    from casstore.formats import json  # noqa: PLC0415 - help needs no formats

    most = limits.COMPARED_MAX_BYTES
    try:
        if name == "-":
            data = sys.stdin.buffer.read(most + 1) if sys.stdin else b""
        else:
            with Path(name).open("rb") as file:
                data = file.read(most + 1)
    except OSError as error:
        message = f"cannot read {name}: {error.strerror or error}"
        raise Invalid(Code.UNREADABLE_SOURCE, message, hint="Name a file, or - for standard input.") from error
    if len(data) > most:
        raise Invalid(Code.BAD_PATCH, f"{name} has more than {most} bytes, which no patch has", hint=_HINT)
    try:
        return json.decode(data)
    except Invalid as error:
        raise Invalid(Code.BAD_PATCH, f"{name} is no patch: {error.message}", hint=_HINT) from error
