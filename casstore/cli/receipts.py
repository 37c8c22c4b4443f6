"""Receipts in files: of a tenant that was erased, or of one content."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from casstore.errors import Code, Invalid

if TYPE_CHECKING:
    from casstore.operations.receipts import ContentReceipt, Receipt

__all__ = ["read"]


def read(file: Path) -> Receipt | ContentReceipt:
    """The receipt in a file; raises Invalid (unreadable_source, bad_data)."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - help needs none

    from casstore.operations.receipts import ContentReceipt, Receipt  # noqa: PLC0415

    kinds: TypeAdapter[Receipt | ContentReceipt] = TypeAdapter(Receipt | ContentReceipt)
    try:
        return kinds.validate_json(file.read_bytes())
    except OSError as error:
        message = f"cannot read {file}: {error.strerror or error}"
        raise Invalid(Code.UNREADABLE_SOURCE, message, hint="Check the path.") from error
    except ValueError as error:
        hint = "It is the file that `casstore tenant erase` or `casstore erase` wrote."
        raise Invalid(Code.BAD_DATA, f"{file} is no receipt", hint=hint) from error
