"""casstore doctor."""

from __future__ import annotations

from casstore.cli import render
from casstore.cli.options import Where
from casstore.cli.options import command as define

__all__ = ["command"]


@define("doctor", "Check everything a store needs.", exits={0: "all is well", 8: "something is not"})
async def command(where: Where) -> int:
    """Check everything a store needs, and say what to do about what is wrong. Writes and deletes one small blob."""
    found = await where.store().doctor()
    well = all(finding.ok for finding in found)
    where.out.show({"ok": well, "findings": found}, render.findings(found))
    return 0 if well else 8
