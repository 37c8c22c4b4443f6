"""casstore receipt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from casstore.cli import custody
from casstore.cli.options import Where
from casstore.cli.options import command as define
from casstore.cli.receipts import read
from casstore.errors import Code, Invalid

if TYPE_CHECKING:
    from casstore.operations.receipts import Receipt

__all__ = ["command"]

_LEFT: Final = 7  # the exit code


@define("receipt", "Tell what is still there of what was erased.", exits={7: "something is still there"})
@click.argument("action", type=click.Choice(["verify"]))
@click.argument("file")
async def command(where: Where, action: str, file: str) -> int:  # noqa: ARG001 - there is one
    """Look whether the catalog or the journal still has something of the tenant that FILE is the receipt of. Takes the role that
    owns the schema.

    casstore receipt verify acme.receipt.json

    The receipt of one content cannot be looked up without the digest, which is not in it: then this says what can be asked instead.

    It tells the date by which backups and deleted objects have run out too. Whether others hold the same bytes it does not.
    """
    receipt = _of_a_tenant(Path(file))
    async with where.whole() as store:
        check = await store.verify_receipt(receipt)
    where.out.show({"ok": check.ok, **check.model_dump(mode="json")}, custody.receipt_check(check))
    return 0 if check.ok else _LEFT


def _of_a_tenant(file: Path) -> Receipt:
    """The receipt in a file, if it is of a tenant: what one of a content says is hashed, and is found by the digest alone."""
    from casstore.operations.receipts import ContentReceipt  # noqa: PLC0415 - help needs none

    receipt = read(file)
    if not isinstance(receipt, ContentReceipt):
        return receipt
    message = (
        f"{file} is the receipt of one content, erased {receipt.erased_at:%Y-%m-%d %H:%M:%S} UTC: it has a hash of the digest, "
        f"without which nobody can look for it; backups and deleted objects run out by {receipt.gone_at:%Y-%m-%d}"
    )
    hint = (
        "Who has the digest asks `casstore erase DIGEST --explain`, which names no version if none has it, and "
        "ContentReceipt.is_of(digest) whether this is its receipt."
    )
    raise Invalid(Code.BAD_DATA, message, hint=hint)
