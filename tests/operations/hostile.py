"""A program of the tests: compares each file it is told with a plain one, itself and the file before it, in every form there is.

It says, in a line of JSON for each file, what became of it and how long the longest of them took; it may take 512 MiB more than
at first.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from casstore import Invalid, Store, reports
from casstore.formats.registry import can_mean, meaning_of
from casstore.limits import MEANING_MAX_BYTES
from tests.support.limited import MIB


def seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def said(tenant, one: Path, other: Path) -> tuple[str, float]:
    """The depth, or the code of the refusal; and the time that it took, with everything that shows it."""
    begin = seconds()
    try:
        compared = tenant.compare(one, other)
        told = compared.diff.depth
        assert "\n".join(line.text for line in reports.lines_of(compared))
        assert list(reports.stat_of(compared.diff))
        assert reports.page_of(compared).startswith("<!doctype html>")
        assert json.loads(compared.diff.model_dump_json())
        patched(compared)
    except Invalid as refused:
        told = f"refused: {refused.code}"
    return told, seconds() - begin


def patched(compared) -> None:
    try:
        reports.patch_of(compared.diff)
    except Invalid as refused:  # not every format has patches
        if refused.code != "not_comparable":
            raise


def meant(path: Path, media_type: str) -> float:
    """The time that a put takes to find out what it means."""
    begin = seconds()
    if can_mean(media_type) and path.stat().st_size <= MEANING_MAX_BYTES:
        meaning_of(media_type, path.read_bytes())
    return seconds() - begin


def main(blobs: str, catalog: str, plain: Path, files: list[Path]) -> None:
    with Store(blobs=blobs, catalog=catalog) as store:
        tenant = store.tenant("hostile")
        said(tenant, plain, plain)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MIB * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        before = plain
        for path in files:
            pairs = {"itself": (path, path), "plain": (plain, path), "before": (before, path)}
            found = {name: said(tenant, *pair) for name, pair in pairs.items()}
            media_type = tenant.compare(path, path).diff.components[0].after.media_type
            slowest = max(meant(path, media_type), *(took for _, took in found.values()))
            print(json.dumps([str(path), {name: told for name, (told, _) in found.items()}, slowest]), flush=True)
            before = path


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), [Path(each) for each in sys.argv[4:]])
