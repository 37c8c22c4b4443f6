"""Lay out what successive releases of packages contain as histories, which `diff_json.py` and `diff_bpmn.py` compare.

python benchmarks/histories.py OUT NAME ARCHIVE ARCHIVE [ARCHIVE …] [--most 40]

The archives are releases of one package in their order, as `npm pack NAME@VERSION` or `pip download --no-deps NAME==VERSION` leave
them (.tgz, .tar.gz, .whl, .zip). Each JSON, notebook or BPMN file that changed from one to another becomes OUT/NAME/FILE/v0001.json
and so on; at most so many files of a package, taken evenly over their names. Nothing is unpacked but these.
"""

from __future__ import annotations

import argparse
import re
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

SUFFIXES = {
    ".json": ".json",
    ".ipynb": ".json",
    ".geojson": ".json",
    ".jsonld": ".json",
    ".bpmn": ".bpmn",
    ".bpmn2": ".bpmn",
}
MAX_BYTES = 2**23


def files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Path and content of each file that matters; in a tar without the folder that everything is in."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if PurePosixPath(info.filename).suffix in SUFFIXES and info.file_size <= MAX_BYTES:
                    yield info.filename, opened.read(info)
    else:
        with tarfile.open(archive) as opened:
            for member in opened:
                content = opened.extractfile(member) if member.isfile() and member.size <= MAX_BYTES else None
                if content and PurePosixPath(member.name).suffix in SUFFIXES:
                    yield member.name.partition("/")[2], content.read()


def main(out: Path, name: str, archives: list[Path], most: int) -> None:
    histories: dict[str, list[bytes]] = defaultdict(list)
    for archive in archives:
        for path, content in files(archive):
            if histories[path][-1:] != [content]:
                histories[path].append(content)
    changed = sorted(path for path, contents in histories.items() if len(contents) > 1)
    chosen = changed if len(changed) <= most else [changed[len(changed) * place // most] for place in range(most)]
    for path in chosen:
        folder = out / name / re.sub(r"[^\w.-]+", "_", path)
        folder.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(histories[path], 1):
            (folder / f"v{number:04}{SUFFIXES[PurePosixPath(path).suffix]}").write_bytes(content)
    print(f"{name}: {len(chosen)} of {len(changed)} files that changed in {len(archives)} releases")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("name")
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("--most", type=int, default=40)
    given = parser.parse_args()
    main(given.out, given.name, given.archives, given.most)
