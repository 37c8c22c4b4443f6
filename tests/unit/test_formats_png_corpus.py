"""Real pictures are taken, hostile ones are answered, and neither takes much memory."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from casstore import limits
from casstore.formats import png
from tests.unit.png_maker import ADAM7, CHANNELS, END, assembled, ihdr

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
MEMORY_MAX = 256 * 2**20  # bytes, of the whole process
HANG = 60  # seconds: all answers together take one or two, where nobody else is working

# Inspects the files it is given, in a process whose peak memory is its own: one that was just started may have
# inherited that of the process that started it.
ANSWERS = """
import os, resource, sys
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
from pathlib import Path
from casstore.errors import Invalid
from casstore.formats import png
for path in sys.argv[1:]:
    try:
        print(png.inspect(Path(path).read_bytes()).pixels)
    except Invalid as error:
        print(error.code)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


def answers(*paths: Path) -> tuple[list[str], int]:
    """For each file the digest or the code, and the peak memory of all in bytes."""
    command = [sys.executable, "-c", ANSWERS, *paths]
    *said, peak = subprocess.run(command, check=True, capture_output=True, text=True, timeout=HANG).stdout.split()
    return said, int(peak)


@functools.cache
def bomb() -> bytes:
    """150 MiB of zeros in a few hundred kilobytes."""
    deflater, megabyte = zlib.compressobj(1), bytes(2**20)
    return b"".join(deflater.compress(megabyte) for _ in range(150)) + deflater.flush()


def hostile(name: str) -> list[Path]:
    found = sorted((CORPUS / "hostile" / name).glob("*.png"))
    assert found
    return found


@needs_corpus
@pytest.mark.slow
def test_real_pictures_are_taken():
    notes = {}
    paths = sorted((CORPUS / "visual").glob("*/*.png"))
    for path in paths:
        for note in png.inspect(path.read_bytes()).notes:
            notes.setdefault(note.partition(" at byte ")[0], []).append(path.parent.name)
    assert len(paths) == 196
    assert {note: len(names) for note, names in notes.items()} == {"iCCP": 5, "9036 bytes after the end,": 1}
    assert all(name.startswith("pagerduty") for name in notes["iCCP"])


@needs_corpus
@pytest.mark.slow
def test_hostile_pictures_get_the_answer_they_are_kept_for():
    expected = {}
    for line in (CORPUS / "index.jsonl").read_text("utf-8").splitlines():
        entry = json.loads(line)
        if entry["path"].startswith("hostile/png-"):
            expected[entry["path"]] = entry["expect"]
    assert len(expected) == 24
    said, peak = answers(*(CORPUS / name for name in expected))
    taken = {name: "accept" if each.startswith("b3:") else "refuse" for name, each in zip(expected, said, strict=True)}
    assert taken == expected
    assert peak < MEMORY_MAX


@needs_corpus
def test_equal_pixels_are_one_picture_and_one_pixel_makes_another():
    same = {png.inspect(path.read_bytes()).pixels for path in hostile("png-same-pixels")}
    other = {png.inspect(path.read_bytes()).pixels for path in hostile("png-one-pixel")}
    assert (len(same), len(other), len(same | other)) == (1, 2, 2)


@pytest.mark.parametrize(
    "header",
    [
        ihdr(20_000, 20_000, 1, 0),
        ihdr(2**31 - 1, 2**31 - 1),
        ihdr(0, 10),
        ihdr(100, 100),  # and far more data than that
    ],
    ids=["20000", "2147483647", "0", "100"],
)
def test_bombs_are_refused_in_little_memory(header, tmp_path):
    (tmp_path / "bomb.png").write_bytes(assembled([header, (b"IDAT", bomb()), END]))
    said, peak = answers(tmp_path / "bomb.png")
    assert said == ["bad_picture"]
    assert peak < MEMORY_MAX / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "colour_type", "interlace", "most"),
    [(8, 6, 0, MEMORY_MAX / 2), (16, 2, 0, MEMORY_MAX / 2), (1, 0, 1, MEMORY_MAX), (16, 2, 1, MEMORY_MAX)],
)
def test_the_largest_picture_fits_into_memory(depth, colour_type, interlace, most, tmp_path):
    """All bytes are zero: no filters, and black or unseen pixels."""
    side = 4096 if depth == 16 else 5792
    assert side * (side + 2) * (8 if depth == 16 else 4) > limits.PICTURE_DECODED_BYTES_MAX
    data = zlib.compress(bytes(scanline_bytes(side, CHANNELS[colour_type] * depth, interlace)), 1)
    whole = assembled([ihdr(side, side, depth, colour_type, interlace=interlace), (b"IDAT", data), END])
    (tmp_path / "largest.png").write_bytes(whole)
    (said,), peak = answers(tmp_path / "largest.png")
    assert said.startswith("b3:")
    assert peak < most


def scanline_bytes(side, pixel_bits, interlace):
    """Of a square picture of a side that is a multiple of 8, with the filter types."""
    passes = [(side // dx, side // dy) for _, _, dx, dy in (ADAM7 if interlace else [(0, 0, 1, 1)])]
    return sum((1 + -(-columns * pixel_bits // 8)) * rows for columns, rows in passes)
