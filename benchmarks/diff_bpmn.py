"""How fast are two BPMN documents compared, beside bpmn-js-differ?

python benchmarks/diff_bpmn.py DIR [--npm FOLDER]

DIR has folders of versions of BPMN files (`name/v0001.bpmn` …); each is compared with the next. casstore begins with the bytes,
and its result has words and values. Where FOLDER has them (`npm install bpmn-js-differ bpmn-moddle`), bpmn-js-differ is measured
over the same pairs in a process of node, after a round to warm up: comparing what was read before, and reading and comparing.
CPU time of the process, the best of three rounds.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from machine import describe

from casstore.formats import bpmn
from casstore.formats.bpmn.diff import compare
from casstore.formats.bpmn.model import read

ROUNDS = 3
NODE = """
const fs = require('fs'), [folder, file] = process.argv.slice(1);
const load = async name => {
  const home = folder + '/node_modules/' + name, about = JSON.parse(fs.readFileSync(home + '/package.json'));
  const entry = about.exports?.['.']?.import ?? about.exports?.['.'] ?? about.module ?? about.main;
  return import(home + '/' + (entry?.default ?? entry));
};
const spent = async work => {
  let best = Infinity;
  for (let n = 0; n < 4; n++) {
    const begin = process.cpuUsage(); await work(); const used = process.cpuUsage(begin);
    if (n) best = Math.min(best, (used.user + used.system) / 1e6);
  }
  return best;
};
(async () => {
  const { diff } = await load('bpmn-js-differ'), { BpmnModdle } = await load('bpmn-moddle');
  const read = async text => (await new BpmnModdle().fromXML(text)).rootElement;
  const pairs = [];
  for (const [a, b] of JSON.parse(fs.readFileSync(file))) {
    try { const one = await read(a), other = await read(b); diff(one, other); pairs.push([a, b, one, other]); } catch (error) {}
  }
  const alone = await spent(async () => { for (const [, , a, b] of pairs) diff(a, b); });
  const whole = await spent(async () => { for (const [a, b] of pairs) diff(await read(a), await read(b)); });
  console.log(JSON.stringify([pairs.length, alone, whole]));
})();
"""


def documents(folder: Path) -> Iterator[tuple[bytes, bytes]]:
    """Consecutive versions of each file that can both be read."""
    for _, paths in itertools.groupby(sorted(folder.rglob("*.bpmn")), key=lambda path: path.parent):
        contents = [path.read_bytes() for path in paths]
        yield from itertools.pairwise([content for content in contents if bpmn.is_bpmn(content)])


def row(name: str, pairs: int, seconds: float) -> None:
    print(f"{name:44} {pairs:5} pairs   {pairs / seconds:7,.0f} a CPU second", flush=True)


def main(folder: Path, npm: Path | None) -> None:
    pairs = list(documents(folder))
    samples = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for older, newer in pairs:
            bpmn.diff(older, newer)
        samples.append(time.process_time() - begin)
    row("casstore, reading and comparing", len(pairs), min(samples))
    models = [(read(older), read(newer)) for older, newer in pairs if older != newer]
    samples = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for one, other in models:
            compare(one, other)
        samples.append(time.process_time() - begin)
    row("casstore, comparing what was read", len(models), min(samples))
    if npm:
        texts = [[content.decode("utf-8", "replace") for content in pair] for pair in pairs]
        file = npm / "pairs.json"
        file.write_text(json.dumps(texts))
        answer = subprocess.run(
            ["node", "-e", NODE, str(npm), str(file)], check=True, stdout=subprocess.PIPE, text=True
        )
        count, alone, whole = json.loads(answer.stdout)
        row("bpmn-js-differ, comparing what was read", count, alone)
        row("bpmn-js-differ, reading and comparing", count, whole)


if __name__ == "__main__":
    print(describe())
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--npm", type=lambda text: Path(text).absolute())
    given = parser.parse_args()
    main(given.folder, given.npm)
