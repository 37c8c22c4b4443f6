"""How long does a new casstore process take, from start to exit?

python benchmarks/cold.py [TIMES]

`casstore --version`; `casstore put` of a 4 KB file while the embedded server runs, and when the put has to start and stop it
(its cluster exists). Beside `python -c pass`, the least any Python program takes. Each program runs once untimed, then in turn.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from machine import compare, describe, fresh_folder

from casstore import Store

PROGRAM = str(Path(sys.executable).with_name("casstore"))


def seconds(command: list[str], home: Path) -> float:
    environment = os.environ | {"CASSTORE_HOME": str(home)}
    begin = time.perf_counter()
    subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def measure(what: str, work: Callable[[], list[str]], home: Path, times: int, goal: str) -> None:
    ours, floor = [], []
    for _ in range(times + 1):
        ours.append(seconds(work(), home))
        floor.append(seconds([sys.executable, "-c", "pass"], home))
    compare(what, ours[1:], floor[1:], goal, "python -c pass")


def main(times: int) -> None:
    with fresh_folder() as home:

        def put() -> list[str]:
            (home / "document").write_bytes(os.urandom(4096))
            return [PROGRAM, "put", "doc/cold", str(home / "document")]

        measure("casstore --version", lambda: [PROGRAM, "--version"], home, times, "< 120 ms")
        with Store(home):
            measure("casstore put, server running", put, home, times, "< 400 ms")
        measure("casstore put, server stopped", put, home, times, "< 1000 ms")


if __name__ == "__main__":
    print(describe())
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
