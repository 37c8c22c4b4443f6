"""casstore receipt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from casstore.cli import custody
from casstore.cli.options import Where
from casstore.cli.options import command as define
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

    It tells the date by which backups and deleted objects have run out too. Whether others hold the same bytes it does not.
    """
    receipt = _read(Path(file))
    async with where.whole() as store:
        check = await store.verify_receipt(receipt)
    where.out.show({"ok": check.ok, **check.model_dump(mode="json")}, custody.receipt_check(check))
    return 0 if check.ok else _LEFT


def _read(file: Path) -> Receipt:
    from casstore.operations.receipts import Receipt  # noqa: PLC0415 - help needs none

    try:
        return Receipt.model_validate_json(file.read_bytes())
    except OSError as error:
        message = f"cannot read {file}: {error.strerror or error}"
        raise Invalid(Code.UNREADABLE_SOURCE, message, hint="Check the path.") from error
    except ValueError as error:
        message = f"{file} is no receipt"
        raise Invalid(Code.BAD_DATA, message, hint="It is the file that `casstore tenant erase` wrote.") from error
