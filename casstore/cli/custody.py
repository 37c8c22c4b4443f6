"""What keeps and what ends a tenant's versions, as lines for people: holds, deletion, erasure and its receipt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from casstore.cli.output import plain, size
from casstore.cli.render import instant, table

if TYPE_CHECKING:
    from casstore.model import Hold, TenantState
    from casstore.operations.receipts import ContentReceipt, Receipt, ReceiptCheck

__all__ = ["content_receipt", "held", "receipt", "receipt_check", "tenant"]


def tenant(state: TenantState) -> Iterator[str]:
    """A tenant as such."""
    yield f"tenant   {plain(state.name)}"
    yield f"since    {instant(state.created_at)}"
    if state.deleted_at:
        why = f": {plain(state.reason)}" if state.reason else ""
        yield f"deleted  {instant(state.deleted_at)} by {plain(state.deleted_by or '')}{why}"


def held(holds: Iterable[Hold]) -> Iterator[str]:
    """Holds, and what they are on."""
    yield from table(
        ("hold", "on", "placed (UTC)", "by", "reason", "released (UTC)"),
        [
            (
                each.hold,
                each.ref or "everything",
                instant(each.at),
                each.by,
                each.reason or "",
                f"{instant(each.released_at)} by {each.released_by}" if each.released_at else "",
            )
            for each in holds
        ],
    )


def receipt(value: Receipt) -> Iterator[str]:
    """What an erasing has done."""
    contents = sum(each.size_bytes for each in value.contents)
    yield f"erased   {len(value.versions)} version(s), {len(value.contents)} content(s) of {size(contents)}"
    yield from _ends(value)


def content_receipt(value: ContentReceipt) -> Iterator[str]:
    """What the erasing of a content has done."""
    yield f"erased   {size(value.size_bytes)}, in {value.copies} component(s) of"
    yield from (f"         {plain(ref)}" for ref in value.versions)
    yield from _ends(value)
    if value.may_be_shared:
        yield "         as long as another tenant has the same bytes, they stay for it"


def _ends(value: Receipt | ContentReceipt) -> Iterator[str]:
    yield f"gone by  {instant(value.gone_at)}, if `casstore gc` runs daily"
    if value.soft_delete is None:
        yield "         plus what the bucket keeps of deleted objects, which nobody could tell"


def receipt_check(value: ReceiptCheck) -> Iterator[str]:
    """What is still there of what was erased."""
    for table_name, count in value.rows.items():
        yield f"still there  {count} row(s) of {table_name}"
    if value.key_is_there:
        yield "still there  the key beside the journal"
    if value.ok:
        yield "nothing of it is left in the catalog or the journal"
    yield f"backups and deleted objects run out by {instant(value.gone_at)}"
