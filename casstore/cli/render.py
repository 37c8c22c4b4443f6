"""Values as lines for people, and as values for JSON where a bare dump would leave something out."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from casstore.cli.output import plain, size
from casstore.cli.tree import newer, staleness
from casstore.limits import DIGEST_PREFIX_MIN_HEX

if TYPE_CHECKING:
    from casstore.catalog.oplog import Operation
    from casstore.collection import Collected
    from casstore.model import (
        Depth,
        Digest,
        Lineage,
        Node,
        Pointer,
        Shared,
        Stored,
        Transition,
        Usage,
        Version,
    )
    from casstore.operations.doctor import Finding
    from casstore.operations.following import Event
    from casstore.operations.importing import Imported, ImportReport

__all__ = [
    "collected",
    "dump",
    "findings",
    "heads",
    "history",
    "instant",
    "moves",
    "node",
    "novelty",
    "operations",
    "pointed",
    "pointers",
    "report",
    "shared",
    "sources",
    "stale",
    "stepped",
    "steps",
    "stored",
    "table",
    "undone",
    "version",
]

_TITLE_CHARS: Final = 60
_DEPTHS: Final[dict[Depth | None, str]] = {
    "encoding": "encoded anew",
    "formatting": "formatting only",
    "layout": "layout only",
}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Aligned columns, without those that say nothing; nothing at all when there are no rows."""
    cells = list(zip(*rows, strict=True)) or [()] * len(header)
    columns = [[name.upper(), *map(plain, said)] for name, said in zip(header, cells, strict=True) if any(said)]
    widths = [max(map(_width, column)) for column in columns]
    for row in zip(*columns, strict=True):
        yield "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()


def _width(text: str) -> int:
    """Columns of a terminal that `text` takes."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def dump(value: Version, **more: Any) -> dict[str, Any]:
    """A version for JSON, with the reference and the size that are derived from it."""
    return {"ref": value.ref, **value.model_dump(mode="json"), "size_bytes": value.size_bytes, **more}


def novelty(value: Stored) -> str:
    """What was new about a put, in a word."""
    if value.repeated:
        return "already there"
    if value.reused:
        return "reused" if value.differs == "same" else f"reused: {_DEPTHS.get(value.differs, 'it means the same')}"
    return "new" if value.new_bytes else "deduplicated"


def stored(value: Stored) -> list[str]:
    """The answer of a put."""
    saved = value.size_bytes - value.new_bytes
    had = f", {size(saved)} shared" if saved and not (value.reused or value.repeated) else ""
    until = f"  expires {instant(value.expires_at)} UTC" if value.expires_at else ""
    return [f"{value.ref}  {_short(value.digest)}  {size(value.size_bytes)}  ({novelty(value)}{had}){until}"]


def version(
    value: Version,
    points: Iterable[Pointer],
    moved: Iterable[Transition],
    made_from: Iterable[Mapping[str, Any]],
    kept: Mapping[str, str],
) -> Iterator[str]:
    """Everything about one version; `made_from` is what `sources` says of it, `kept` what `custody.kept` does."""
    yield value.ref
    fields = {"id": str(value.id), "type": value.type, "title": value.title or "", "digest": str(value.digest)}
    fields["state"] = value.state
    fields |= {f"label {key}": text for key, text in value.labels.items()}
    fields["metadata"] = json.dumps(value.metadata, ensure_ascii=False) if value.metadata else ""
    fields["created"] = value.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    fields["by"] = value.by or ""
    fields["size"] = f"{value.size_bytes} bytes"
    fields["relations"] = ", ".join(map(str, value.relations))
    here = [point for point in points if point.number == value.number]
    fields["aliases"] = ", ".join(point.pointer for point in here if not point.is_tag)
    fields["tags"] = ", ".join(point.pointer for point in here if point.is_tag)
    fields |= kept
    shown = [(name, text) for name, text in fields.items() if text]
    width = max(len(name) for name, _ in shown)
    for name, text in shown:
        yield f"  {name:{width}}  {plain(text)}"
    yield ""
    yield from table(
        ("component", "size", "media type", "digest"),
        [(part.role, size(part.size_bytes), part.media_type, str(part.digest)) for part in value.components]
        + [(role, "", "", "erased") for role in value.erased],
    )
    for rows in (_steps(moved), _sources(made_from)):
        yield from ("", *rows) if rows else ()


def sources(value: Node) -> list[dict[str, Any]]:
    """What a version was made from, for JSON."""
    return [
        {"ref": link.ref, "id": str(link.source), "role": link.role, "newer": newer(link)} for link in value.sources
    ]


def node(value: Node) -> dict[str, Any]:
    """A version of a lineage for JSON."""
    return dump(value.version, depth=value.depth, is_stale=value.is_stale, sources=sources(value))


def stale(found: Lineage) -> Iterator[str]:
    """What is stale in a lineage, and what is newer."""
    yield from table(("stale", "newer"), [(each.version.ref, staleness(each)) for each in found if each.is_stale])


def _sources(made_from: Iterable[Mapping[str, Any]]) -> list[str]:
    rows = [(each["ref"], each["role"], each["newer"] or "") for each in made_from]
    return list(table(("made from", "as", "newer, accepted"), rows))


def stepped(step: Transition) -> list[str]:
    """The answer of a step in the lifecycle."""
    return [f"{step.name}@{step.number}  {step.before} → {step.state}  by {plain(step.by)}"]


def steps(ref: str, state: str, moved: Sequence[Transition]) -> Iterator[str]:
    """The lifecycle of a version."""
    yield f"{ref}  {state}"
    yield from ("", *_steps(moved)) if moved else ()


def _steps(moved: Iterable[Transition]) -> list[str]:
    rows = [(step.state, step.by, instant(step.at), step.reason or "") for step in moved]
    return list(table(("state", "by", "since (UTC)", "reason"), rows))


def shared(usage: Usage, found: Iterable[Shared]) -> Iterator[str]:
    """What is saved by storing equal bytes once."""
    saved = usage.logical_bytes - usage.stored_bytes
    share = 100 * saved / usage.logical_bytes if saved else 0
    yield f"Versions: {usage.versions} of {usage.artifacts} artifacts"
    yield (
        f"Bytes: {size(usage.logical_bytes)} in all versions · {size(usage.stored_bytes)} stored · "
        f"{size(saved)} saved ({share:.1f} %)"
    )
    rows = [
        (
            size(each.saved_bytes),
            str(each.uses),
            size(each.size_bytes),
            each.media_type,
            _short(each.digest),
            ", ".join(each.names),
        )
        for each in found
    ]
    yield from ("", *table(("saved", "uses", "size", "media type", "digest", "names"), rows)) if rows else ()


def history(versions: Sequence[Version], points: Iterable[Pointer], depths: Sequence[Depth | None]) -> Iterator[str]:
    """Versions of one name; `depths` says of each how deep it differs from the version before it, where that is known."""
    names: dict[int | None, list[str]] = {}
    for point in points:
        names.setdefault(point.number, []).append(point.pointer + (" (tag)" if point.is_tag else ""))
    rows = [
        (
            str(value.number),
            value.state,
            instant(value.created_at),
            value.by or "",
            size(value.size_bytes),
            _short(value.digest) + (" =" if depth == "same" else ""),
            _DEPTHS.get(depth, ""),
            ", ".join(names.get(value.number, [])),
            _title(value),
        )
        for value, depth in zip(versions, depths, strict=True)
    ]
    yield from table(
        ("version", "state", "created (UTC)", "by", "size", "digest", "change", "aliases, tags", "title"), rows
    )
    if "same" in depths:
        yield "= same content as the version before"


def heads(versions: Iterable[Version]) -> Iterator[str]:
    """Versions of several names."""
    yield from table(
        ("version", "type", "state", "created (UTC)", "size", "title"),
        [(v.ref, v.type, v.state, instant(v.created_at), size(v.size_bytes), _title(v)) for v in versions],
    )


def pointers(points: Iterable[Pointer]) -> Iterator[str]:
    """Aliases and tags of one name."""
    yield from table(("name", "kind", "version", "since (UTC)", "by"), [_pointer(point) for point in points])


def pointed(point: Pointer) -> list[str]:
    """The answer of moving an alias or setting a tag."""
    target = f"{point.name}@{point.number}" if point.number else "(deleted)"
    return [f"{point.name}@{point.pointer} → {target}"]


def moves(points: Iterable[Pointer]) -> Iterator[str]:
    """The history of one alias."""
    yield from table(("name", "kind", "version", "from (UTC)", "by"), [_pointer(point) for point in points])


def _pointer(point: Pointer) -> tuple[str, ...]:
    number = str(point.number) if point.number else "(deleted)"
    return point.pointer, "tag" if point.is_tag else "alias", number, instant(point.moved_at), point.by or ""


def collected(value: Collected) -> Iterator[str]:
    """What a collection did."""
    if value.registered:
        yield f"registered  {value.registered} object(s) that the catalog did not know"
    yield f"condemned   {value.condemned} blob(s), {size(value.condemned_bytes)}"
    yield f"waiting     {value.waiting} condemned before"
    yield f"deleted     {value.deleted} blob(s), {size(value.deleted_bytes)}"
    if value.kept:
        yield f"kept        {value.kept} that changed meanwhile"
    if value.failed:
        yield f"failed      {value.failed}, to be tried again later:"
    for failure in value.failures:
        yield f"  {failure.digest}: {plain(failure.message)} [{failure.code}]"


def report(value: ImportReport) -> Iterator[str]:
    """What an import did."""
    counts = {
        "new": value.stored,
        "deduplicated": value.deduplicated,
        "already there": value.already_there,
        "refused": value.refused,
    }
    yield "Versions: " + " · ".join(f"{number} {word}" for word, number in counts.items())
    saved = value.bytes_read - value.bytes_added
    yield f"Bytes: {size(value.bytes_read)} read · {size(value.bytes_added)} added · {size(saved)} saved, being there already"
    yield f"Files skipped: {value.skipped}"
    yield from _section("Remarks", [entry for entry in value.entries if entry.ref and entry.reason])
    yield from _section("Refused", [entry for entry in value.entries if entry.status == "refused"])
    yield from _section("Skipped", [entry for entry in value.entries if entry.status == "skipped"])


def _section(title: str, entries: list[Imported]) -> Iterator[str]:
    if entries:
        yield ""
        yield f"{title}:"
        for entry in entries:
            yield f"  {plain(entry.path)}: {plain(entry.reason)}" + (f" [{entry.code}]" if entry.code else "")


def findings(found: Iterable[Finding]) -> Iterator[str]:
    """What a doctor found."""
    for finding in found:
        detail = "\n      ".join(plain(line.strip()) for line in finding.detail.splitlines())
        yield f"{'ok  ' if finding.ok else 'FAIL'}  {finding.check}: {detail}"
        if finding.hint:
            yield f"      → {plain(finding.hint)}"


def _short(digest: Digest) -> str:
    """As many digits as a reference takes."""
    return f"b3:{digest.hex()[:DIGEST_PREFIX_MIN_HEX]}"


def instant(moment: datetime) -> str:
    """An instant as people read it, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _title(value: Version) -> str:
    title = value.title or ""
    return title if len(title) <= _TITLE_CHARS else title[: _TITLE_CHARS - 1] + "…"


def operations(found: Iterable[Operation]) -> Iterator[str]:
    """What was done."""
    yield from table(
        ("id", "op", "of", "what", "when (UTC)", "by", "reason"),
        [
            (str(each.id), each.op, each.ref or "", _done(each), instant(each.at), each.by or "", each.reason or "")
            for each in found
        ],
    )


def events(found: Iterable[Event]) -> Iterator[str]:
    """What was changed."""
    yield from table(
        ("id", "op", "of", "what", "when (UTC)", "by", "reason"),
        [
            (str(each.id), each.op, each.ref or "", _changed(each), instant(each.at), each.by or "", each.reason or "")
            for each in found
        ],
    )


def event(value: Event) -> str:
    """One event as a line."""
    parts = (instant(value.at), value.op, value.ref or "", _changed(value), f"by {value.by}" if value.by else "")
    return plain("  ".join(part for part in parts if part))


def undone(value: Operation) -> list[str]:
    """The answer of an undo."""
    return [f"{value.ref}  {value.undoes} is undone, by {value.id}"]


def _done(value: Operation) -> str:
    """What an operation changed, in a few words, and what became of it."""
    parts = [
        _changed(value),
        f"key {value.key}" if value.key else "",
        f"(undone by {value.undone_by})" if value.undone_by else "",
    ]
    return " ".join(part for part in parts if part)


def _changed(value: Operation | Event) -> str:
    change = f"{value.before or 'nothing'} → {value.after or 'nothing'}" if value.before or value.after else ""
    parts = [
        f"{value.pointer}: {change}" if value.pointer else change,
        f"undoes {value.undoes}" if value.undoes else "",
    ]
    return " ".join(part for part in parts if part)
