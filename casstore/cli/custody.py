"""What keeps and what ends a tenant's versions, as lines for people: holds, deletion, erasure and its receipt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from casstore.cli.output import plain, size
from casstore.cli.render import instant, table
from casstore.limits import BLOCKERS_SHOWN

if TYPE_CHECKING:
    from casstore.model import Deleted, Hold, Impact, TenantState
    from casstore.operations.receipts import ContentReceipt, Receipt, ReceiptCheck
    from casstore.operations.retaining import Custody

__all__ = [
    "content_receipt",
    "dump_deleted",
    "held",
    "impact",
    "kept",
    "receipt",
    "receipt_check",
    "tenant",
    "trash",
]


def tenant(state: TenantState) -> Iterator[str]:
    """A tenant as such."""
    yield f"tenant   {plain(state.name)}"
    yield f"since    {instant(state.created_at)}"
    if state.deleted_at:
        why = f": {plain(state.reason)}" if state.reason else ""
        yield f"deleted  {instant(state.deleted_at)} by {plain(state.deleted_by or '')}{why}"


def kept(value: Custody) -> dict[str, str]:
    """What keeps a version and what ends it, by what each is called; nothing where there is nothing."""
    holds = ", ".join(f"{hold.hold} (on {hold.ref or 'everything'})" for hold in value.holds)
    return {"held by": holds, "expires": f"{instant(value.expiry.at)} UTC" if value.expiry.at else ""}


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


def dump_deleted(value: Deleted) -> dict[str, Any]:
    """A version in the trash for JSON."""
    return {"ref": value.ref, **value.model_dump(mode="json")}


def trash(deleted: Iterable[Deleted]) -> Iterator[str]:
    """Versions in the trash."""
    yield from table(
        ("version", "type", "deleted (UTC)", "by", "reason"),
        [(each.ref, each.type, instant(each.at), each.by, each.reason or "") for each in deleted],
    )


def impact(value: Impact) -> Iterator[str]:
    """What deleting or purging would do."""
    verb, end = ("hides", "it is purged") if value.is_reversible else ("purges", "")
    yield f"{verb}  {_some(value.versions, len(value.versions)) or 'nothing: it is done already'}"
    if value.blockers:
        yield f"blocked by  {_some((*value.holds, *value.pointers, *value.dependants), value.blockers)}"
    yield f"can be taken back  {'until ' + end if end else 'never'}"
    freed = f"{size(value.frees_bytes)} in {value.frees_blobs} blob(s) that no other version of yours holds"
    yield f"frees  {freed}, {value.kept_for.days} days after a collection that follows the purge"


def _some(refs: Sequence[str], count: int) -> str:
    more = f" and {count - BLOCKERS_SHOWN} more" if count > BLOCKERS_SHOWN else ""
    return plain(", ".join(refs[:BLOCKERS_SHOWN])) + more


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
