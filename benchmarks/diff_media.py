"""How fast are pictures, embeddings and texts compared, beside what a programmer would write with Pillow, numpy and difflib?

python benchmarks/diff_media.py DIR

DIR has folders of versions (`name/v0001.png`, `.npy`, `.md`, `.txt` …, also `name/v0001/file.png`); each is compared with the next,
from its bytes. Peers answer less: Pillow the box around changed pixels of pictures of one size, numpy whether numbers are within
noise by their place, difflib the unified diff by lines. CPU seconds of the process, the best of three, pair by pair in turn; pairs
that one side refuses count for neither.
"""

from __future__ import annotations

import argparse
import difflib
import io
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from machine import describe
from PIL import Image, ImageChops

from casstore.errors import CasstoreError
from casstore.formats import media_types
from casstore.formats.registry import format_of

ROUNDS = 3
Pair = tuple[bytes, bytes]
Work = Callable[[bytes, bytes], object]


class Refused(Exception):
    """A peer that has no answer."""


def pairs(folder: Path, suffix: str) -> Iterator[Pair]:
    """Consecutive versions of each file that differ."""
    histories = defaultdict(list)
    for path in sorted(folder.rglob(f"*{suffix}")):
        versioned = path.parent.parent / path.name if path.parent.name.startswith("v0") else path.parent
        histories[versioned].append(path.read_bytes())
    for history in histories.values():
        yield from (pair for pair in itertools.pairwise(history) if pair[0] != pair[1])


def pillow(older: bytes, newer: bytes) -> object:
    try:
        one, other = (Image.open(io.BytesIO(data)).convert("RGBA") for data in (older, newer))
    except (OSError, SyntaxError) as error:
        raise Refused from error
    if one.size != other.size:
        raise Refused
    return ImageChops.difference(one, other).getbbox(alpha_only=False)


def allclose(older: bytes, newer: bytes) -> object:
    one, other = (np.load(io.BytesIO(data), allow_pickle=False) for data in (older, newer))
    if one.shape != other.shape:
        raise Refused
    return np.allclose(one, other)


def lines(older: bytes, newer: bytes) -> object:
    return [*difflib.unified_diff(older.decode().splitlines(), newer.decode().splitlines())]


def best(work: Work, pair: Pair) -> float:
    """CPU seconds of the quickest of some calls."""
    samples = []
    for _ in range(ROUNDS):
        begin = time.process_time_ns()
        work(*pair)
        samples.append((time.process_time_ns() - begin) / 1e9)
    return min(samples)


def beside(name: str, found: list[Pair], ours: Work, peer: str, theirs: Work) -> None:
    spent = []
    for pair in found:
        try:
            spent.append((best(ours, pair), best(theirs, pair)))
        except (CasstoreError, Refused):
            continue
    if not spent:
        return
    one, other = (sum(each) for each in zip(*spent, strict=True))
    print(
        f"{name:10} {len(spent):5} of {len(found):5} pairs   casstore {len(spent) / one:8,.0f}/s   "
        f"{peer} {len(spent) / other:8,.0f}/s   ratio {other / one:.2f}",
        flush=True,
    )


PEERS: Final = {
    ".png": ("Pillow", pillow),
    ".npy": ("numpy", allclose),
    ".md": ("difflib", lines),
    ".txt": ("difflib", lines),
}


if __name__ == "__main__":
    print(describe())
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    for suffix, (peer, theirs) in PEERS.items():
        form = format_of(media_types.from_suffix(suffix))
        beside(suffix[1:], [*pairs(given.folder, suffix)], form.diff, peer, theirs)
