"""How fast are two JSON documents compared, and how small is the patch, beside other libraries?

python benchmarks/diff_json.py DIR [--npm FOLDER]

DIR has folders of versions of JSON files (`name/v0001.json` …, also with components); each is compared with the next, loaded
before. Every patch is applied, and the result compared with types. `jsonpatch` is measured in the same run, pair by pair in turn;
where FOLDER has them (`npm install fast-json-patch jsondiffpatch`), so are these, in a process of node: wall time there, CPU time
here, the best of three.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import statistics
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonpatch
from machine import describe

from casstore.formats.json import FORMAT, make_patch
from casstore.formats.json.exact import same, size_of

ROUNDS = 3
NODE = """
const fs = require('fs'), [folder, tool, file] = process.argv.slice(1), load = require('module').createRequire(folder + '/x.js');
(async () => {
  const m = tool === 'fast-json-patch' ? load(tool) : await import(folder + '/node_modules/jsondiffpatch/lib/index.js');
  const diff = tool === 'fast-json-patch' ? m.compare : m.create().diff.bind(m.create());
  const out = [];
  for (const [a, b] of JSON.parse(fs.readFileSync(file))) {
    let best = 1e9, delta;
    for (let n = 0; n < 3; n++) {
      const x = process.cpuUsage(), t = process.hrtime.bigint(); delta = diff(a, b);
      best = Math.min(best, Number(process.hrtime.bigint() - t) / 1e9);
    }
    out.push([best, Buffer.byteLength(JSON.stringify(delta ?? null))]);
  }
  console.log(JSON.stringify(out));
})();
"""


def documents(folder: Path) -> Iterator[tuple[bytes, bytes]]:
    """Consecutive versions of each file that are both JSON."""
    histories = defaultdict(list)
    for path in sorted(filter(Path.is_file, folder.rglob("*.json"))):
        versioned = path.parent.parent / path.name if path.parent.name.startswith("v0") else path.parent
        histories[versioned].append(path.read_bytes())
    for history in histories.values():
        for older, newer in itertools.pairwise(history):
            try:
                json.loads(older), json.loads(newer)
            except (ValueError, RecursionError):
                continue
            yield older, newer


def best(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of the quickest of some calls, and the answer."""
    samples = []
    for _ in range(ROUNDS):
        begin = time.process_time_ns()
        answer = work()
        samples.append((time.process_time_ns() - begin) / 1e9)
    return min(samples), answer


def row(name: str, seconds: list[float], shares: list[float], right: str) -> None:
    places = [statistics.median(shares), statistics.quantiles(shares, n=20)[-1]]
    print(
        f"{name:24} {len(seconds) / sum(seconds):8,.0f} pairs/s   median {statistics.median(seconds) * 1e3:7.3f} ms   "
        f"patch/new median {places[0]:.4f}  p95 {places[1]:.4f}   larger than new {sum(s > 1 for s in shares):3}   {right}",
        flush=True,
    )


def main(folder: Path, npm: Path | None) -> None:
    pairs = list(documents(folder))
    loaded = [(json.loads(older), json.loads(newer)) for older, newer in pairs]
    sizes = [size_of(newer) for _, newer in loaded]
    results: dict[str, list[tuple[float, list[Any]]]] = {"casstore": [], "jsonpatch": []}
    for older, newer in loaded:
        results["casstore"].append(best(lambda a=older, b=newer: make_patch(a, b)))
        results["jsonpatch"].append(best(lambda a=older, b=newer: jsonpatch.make_patch(a, b).patch))
    whole = [best(lambda a=older, b=newer: FORMAT.diff(a, b))[0] for older, newer in pairs]
    for name, found in results.items():
        right = sum(
            same(jsonpatch.apply_patch(copy.deepcopy(older), copy.deepcopy(patch)), newer)
            for (older, newer), (_, patch) in zip(loaded, found, strict=True)
        )
        shares = [size_of(patch) / size for (_, patch), size in zip(found, sizes, strict=True)]
        row(name, [seconds for seconds, _ in found], shares, f"exact {right} of {len(found)}")
    print(f"{'casstore, from bytes':24} {len(whole) / sum(whole):8,.0f} pairs/s   with reading, words and values")
    for tool in ("fast-json-patch", "jsondiffpatch") if npm else ():
        beside(tool, npm, loaded, sizes)
    large = [{"id": n, "name": f"item {n}", "text": "words " * 12, "n": n / 7} for n in range(40_000)]
    other = [each | {"n": 0} if each["id"] % 1000 == 7 else each for each in large[5:]]
    older, newer = json.dumps(large).encode(), json.dumps(other).encode()
    print(f"{len(older) / 1e6:.1f} MB, from bytes: {best(lambda: FORMAT.diff(older, newer))[0]:.2f} s")


def beside(tool: str, npm: Path, loaded: list[Any], sizes: list[int]) -> None:
    """Measure a library of npm over the same pairs; its numbers are floats, so whether it is exact is not asked."""
    file = npm / "pairs.json"
    file.write_text(json.dumps(loaded))
    answer = subprocess.run(
        ["node", "-e", NODE, str(npm), tool, str(file)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    found = json.loads(answer)
    row(tool, [seconds for seconds, _ in found], [size / new for (_, size), new in zip(found, sizes, strict=True)], "")


if __name__ == "__main__":
    print(describe())
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--npm", type=lambda text: Path(text).absolute())
    given = parser.parse_args()
    main(given.folder, given.npm)
