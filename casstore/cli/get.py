"""casstore get."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from casstore.cli import files
from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.cli.output import plain, size
from casstore.refs import Ref

if TYPE_CHECKING:
    from casstore.operations.get import AsyncArtifact

__all__ = ["command"]


@define("get", "Fetch the bytes that a reference means.", exits={7: "the stored bytes are missing or altered"})
@click.argument("ref")
@click.option("-o", "--output", metavar="FILE", help="Where to: a file, - for standard output, a folder for all parts.")
@click.option(
    "--unverified", is_flag=True, help="Do not look at digests: where the key of an isolation domain is lost."
)
@click.option("--force", is_flag=True, help="Replace files that exist.")
async def command(where: Where, ref: str, output: str | None, unverified: bool, force: bool) -> None:  # noqa: FBT001 - click passes by name
    """Fetch what REF means, to standard output or a file.

    REF is NAME, NAME@3, NAME@ALIAS, NAME@b3:DIGEST, NAME@latest~INSTANT or id:UUID, each with #ROLE for one part of
    several. Without #ROLE all parts go to the folder FILE, one file each.

    The bytes are verified: a file appears only when it is whole and right, and the last bytes of a pipe come only after
    all were checked. With --json and a FILE, standard output lists what was written; content is never wrapped in JSON.
    """
    async with where.open() as tenant:
        artifact = await tenant.get(ref)
        artifact = artifact.unverified() if unverified else artifact
        if output in (None, "-"):
            await files.copy_out(artifact, where.out, raw=output == "-")
            return
        written = _parts(artifact, ref, Path(output or ""))
        for part, target in written:
            await files.save(part, target, where.out, force=force)
    shown = [_shown(part, target) for part, target in written]
    lines = [f"{plain(file['path'])}  {size(file['size_bytes'])}" for file in shown]
    where.out.show({"ref": artifact.version.ref, "files": shown}, lines)


def _parts(artifact: AsyncArtifact, ref: str, target: Path) -> list[tuple[AsyncArtifact, Path]]:
    if Ref.parse(ref).role or len(artifact.version.components) + len(artifact.version.erased) == 1:
        return [(artifact, target)]
    return [(artifact[role], path) for role, path in files.targets(artifact, target).items()]


def _shown(part: AsyncArtifact, target: Path) -> dict[str, Any]:
    return {**part.component.model_dump(mode="json"), "path": str(target)}
