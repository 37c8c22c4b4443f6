"""casstore retention."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casstore.cli.options import Where, named, who
from casstore.cli.options import command as define
from casstore.cli.output import plain, size
from casstore.cli.render import instant, table
from casstore.limits import PAGE_DEFAULT

if TYPE_CHECKING:
    from casstore.operations.retaining import Retention, RetentionPreview
    from casstore.tenant import AsyncTenant

__all__ = ["command"]


@define(
    "retention",
    "Say by which rules versions are kept, and drop the others.",
    exits={5: "conflict: the policy is another than --expect says, or was changed meanwhile"},
)
@click.argument("action", type=click.Choice(["show", "set", "preview", "apply"]))
@click.argument("file", required=False)
@who("required with set and apply")
@click.option(
    "--expect", type=int, metavar="N", help="With set: only if the policy's revision is N; 0: only if none is set."
)
@click.option(
    "--limit", type=int, default=PAGE_DEFAULT, metavar="N", help=f"With preview: at most so many [{PAGE_DEFAULT}]."
)
@click.option("--cursor", help="With preview: go on where an earlier one ended.")
async def command(
    where: Where, action: str, file: str | None, *, by: str | None, expect: int | None, limit: int, cursor: str | None
) -> None:
    """Which versions are kept is said by rules, and done when you say so; what is held or used stays whatever they say.

    casstore retention set FILE --by WHO sets the rules, in JSON, or YAML where FILE ends in .yaml. Nothing is dropped by that.

    casstore retention preview tells of each version, newest first, whether it would be kept, by which rule, and why.

    casstore retention apply --by WHO puts what is not kept into the trash, and purges what it put there long enough ago.

    casstore retention show prints the rules that count now.
    """
    if (file is not None) != (action == "set"):
        raise click.UsageError("set takes a FILE, and nothing else does.")
    if action in ("set", "apply"):
        by = named(by)
    async with where.open() as tenant:
        if action == "preview":
            page = await tenant.preview_retention(limit=limit, cursor=cursor)
            where.out.show({"items": list(page), "cursor": page.cursor, "totals": page.totals}, _verdicts(page))
            if page.cursor:
                where.out.note(f"There are more: --cursor {page.cursor}")
        elif action == "apply":
            done = await tenant.apply_retention(by=named(by))
            where.out.show(
                done,
                [
                    f"dropped  {done.dropped}, kept back {done.kept_back}",
                    f"purged   {done.purged}, left in the trash {done.left_in_trash}",
                ],
            )
        else:
            found = await (tenant.retention() if file is None else _set(tenant, file, named(by), expect))
            where.out.show(found, _rules(found))


async def _set(tenant: AsyncTenant, file: str, by: str, expect: int | None) -> Retention:
    from casstore.operations.retaining import policy_in  # noqa: PLC0415 - help needs no parser

    return await tenant.set_retention(policy_in(Path(file)), by=by, expect=expect)


def _rules(found: Retention | None) -> Iterator[str]:
    if found is None:
        yield "No rules are set: everything is kept, but what has expired."
        return
    yield f"revision {found.revision}, set by {plain(found.by)} at {found.at:%Y-%m-%d %H:%M:%S} UTC"
    yield from json.dumps(found.policy.to_dict(), indent=2).splitlines()


def _verdicts(page: RetentionPreview) -> Iterator[str]:
    rows = [
        (
            each.ref,
            "DROP" if each.drops else "keep",
            each.rule or "",
            each.why,
            instant(each.expires_at) if each.expires_at else "",
        )
        for each in page
    ]
    yield from table(("version", "", "rule", "why", "expires (UTC)"), rows)
    if page.totals:
        total = page.totals
        yield (
            f"{total.drops} to be dropped, {total.keeps} kept; purging the dropped ones will free "
            f"{size(total.frees_bytes)} in {total.frees_blobs} blobs that no other version here holds"
        )
