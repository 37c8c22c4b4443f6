"""Pages of a bucket's objects: prefixes, delimiters, offsets, globs, generations."""

from __future__ import annotations

import base64
import bisect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from casstore.testing.gcs.buckets import Bucket
from casstore.testing.gcs.objects import StoredObject
from casstore.testing.gcs.refusals import bad_request

__all__ = ["PARAMETERS", "Page", "page_of"]

PARAMETERS: Final = frozenset(
    {
        "prefix",
        "delimiter",
        "startOffset",
        "endOffset",
        "versions",
        "softDeleted",
        "matchGlob",
        "maxResults",
        "pageToken",
    }
)
Place: TypeAlias = tuple[str, float]  # a name and a generation; a prefix comes after all generations of its name
_MOST: Final = 1000
_GLOB: Final = re.compile(r"\*\*/?|\*|\?|\[!?[^\]]+\]|\{|\}|,|[^*?\[{},]+|\[")


@dataclass(slots=True)
class Page:
    """One page, and the token that asks for the next if there is one."""

    items: list[StoredObject] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    token: str | None = None


def page_of(bucket: Bucket, query: Mapping[str, str], page_items: int) -> Page:
    """The page a list request asks for, of at most `page_items` items and prefixes.

    Raises:
        Refusal: 400, the token or the number of results is none.
    """
    after = _position(query.get("pageToken"))
    most = min(_number(query.get("maxResults", str(_MOST))), _MOST, page_items)
    page, last = Page(), after
    for place, found in _entries(bucket, query, after):
        if place <= last:  # on the page before, or under the prefix that was the last entry
            continue
        if len(page.items) + len(page.prefixes) == most:
            page.token = _token(last)
            break
        if isinstance(found, str):
            page.prefixes.append(found)
        else:
            page.items.append(found)
        last = place
    return page


def _entries(bucket: Bucket, query: Mapping[str, str], after: Place) -> Iterator[tuple[Place, StoredObject | str]]:
    """The objects that match, in order; instead of one in a folder the folder, once for each."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
    glob = re.compile(_pattern(query["matchGlob"])) if query.get("matchGlob") else None
    start = max(prefix, query.get("startOffset", ""), after[0])
    for stored in _candidates(bucket, query, start):
        name = stored.name
        if not name.startswith(prefix) or (query.get("endOffset") and name >= query["endOffset"]):
            return
        if glob and not glob.fullmatch(name):
            continue
        if delimiter and (cut := name.find(delimiter, len(prefix))) >= 0:
            folder = name[: cut + len(delimiter)]
            yield (folder, float("inf")), folder
        else:
            yield (name, stored.generation), stored


def _candidates(bucket: Bucket, query: Mapping[str, str], start: str) -> Iterator[StoredObject]:
    """The objects from the name `start` on, sorted by name and generation."""
    if _true(query.get("softDeleted")) and _true(query.get("versions")):
        raise bad_request("softDeleted and versions cannot both be true")
    if _true(query.get("softDeleted")):
        found = [one for name in bucket.deleted for one in bucket.recoverable(name)]
    elif _true(query.get("versions")):
        found = [*bucket.live.values(), *(one for old in bucket.noncurrent.values() for one in old)]
    else:
        names = bucket.names()
        return (bucket.live[name] for name in names[bisect.bisect_left(names, start) :])
    return iter(sorted((one for one in found if one.name >= start), key=lambda one: (one.name, one.generation)))


def _pattern(glob: str) -> str:
    """A glob of Cloud Storage as a regular expression: `*` and `?` stay within a folder, `**` does not."""
    fixed = {"*": "[^/]*", "?": "[^/]", "**": ".*", "**/": "(?:.*/)?", "{": "(?:", "}": ")", ",": "|"}
    parts: list[str] = []
    depth = 0
    for part in _GLOB.findall(glob):
        depth += (part == "{") - (part == "}")
        if part.startswith("[") and part != "[":
            parts.append(part.replace("[!", "[^"))
        elif part == "," and not depth:
            parts.append(",")
        else:
            parts.append(fixed.get(part) or re.escape(part))
    return "(?s:" + "".join(parts) + ")"


def _true(value: str | None) -> bool:
    return (value or "").lower() == "true"


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise bad_request(f"Invalid value for maxResults: {text!r}")
    return int(text)


def _token(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _position(token: str | None) -> Place:
    if not token:
        return "", 0
    try:
        name, generation = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise bad_request("Invalid pageToken") from None
    return str(name), float(generation)
