"""casstore put."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import click

from casstore.cli import render
from casstore.cli.files import data_of, is_long
from casstore.cli.options import Where, duration, json_object, pairs, sources, who, whoever
from casstore.cli.options import command as define
from casstore.formats.media_types import from_suffix

__all__ = ["command"]


@define(
    "put",
    "Store a file, or standard input, as the next version of a name.",
    exits={5: "conflict: --expect does not hold, --on-same error, another type, a key used for something else"},
)
@click.argument("name")
@click.argument("source", required=False, metavar="[FILE]")
@click.option(
    "--component", "components", multiple=True, metavar="ROLE=PATH", callback=pairs, help="One part of several."
)
@click.option("--type", help="What the artifact is for [the first version decides; document].")
@click.option("--title", help="Free text for people.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", callback=pairs, help="For search; repeatable.")
@click.option("--metadata", metavar="JSON|@FILE", callback=json_object, help="A JSON object, for search by programs.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="REF[=ROLE]",
    callback=sources,
    help="A version it is made from; repeatable.",
)
@click.option("--expect", type=int, metavar="N", help="Only if the newest version is N; 0: only if there is none.")
@click.option("--idempotency-key", metavar="KEY", help="Repeated with the same key, it is one put.")
@click.option(
    "--on-same",
    type=click.Choice(["reuse", "semantic", "new_version", "error"]),
    default="reuse",
    help="When the newest version has this content already, or (semantic) means the same [reuse].",
)
@click.option(
    "--ttl",
    metavar="TIME",
    callback=duration,
    help="Wanted so long: 90s, 10m, 12h, 30d, 2w; then retention drops it [for ever].",
)
@who()
@click.option("--media-type", metavar="TYPE", help="Such as application/json [by the suffix of FILE, or of NAME].")
async def command(
    where: Where,
    name: str,
    source: str | None,
    components: dict[str, str],
    **options: Any,
) -> None:
    """Store FILE, or with - standard input, as the next version of NAME.

    An artifact of several parts is stored whole, or not at all:

    casstore put plan/x --component roadmap=r.json --component risks=r.md

    What it is made from stays with it, and shows what is stale by now (see lineage):

    casstore put report/x report.md --source workflow/x@2 --source sop/login=template

    Prints the new version's reference, the beginning of its digest, its size, and whether its bytes were new.
    """
    with where.out.progress("reading") as progress:
        data = data_of(source, components, progress)
        options |= {"labels": options["labels"] or None, "by": whoever(options["by"])}
        if source == "-":
            options["media_type"] = options["media_type"] or from_suffix(PurePath(name).suffix)
        async with where.open() as tenant, where.out.busy("storing", when=is_long(source, *components.values())):
            stored = await tenant.put(name, data, **options)
    shared = stored.size_bytes - stored.new_bytes
    where.out.show(render.dump(stored, novelty=render.novelty(stored), shared_bytes=shared), render.stored(stored))
