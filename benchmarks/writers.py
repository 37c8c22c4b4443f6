"""How much do 16 concurrent putters of 4 KB documents get done, beside the floor (`floor.Floor`) at the same concurrency?

python benchmarks/writers.py [ROUNDS]

One process with 16 tasks, and 4 processes with 4, against as many processes of as many threads, each thread with a connection of
its own. To one name and to 100. Every side starts its processes, warms them, and is timed from the common start to the last put.
"""
# ruff: noqa: PLR0917 - a child process gets all it knows as arguments

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from floor import Floor
from machine import describe, fresh_folder, milliseconds

from casstore import AsyncStore, Digest

PUTTERS = 16
PUTS = 50  # of each putter
WARM = 5
SPAWN = multiprocessing.get_context("spawn")


def casstore_process(home: Path, prefix: str, names: int, putters: range, gate, results) -> None:
    async def run() -> None:
        async with AsyncStore(home) as store:
            tenant, samples = store.tenant("bench"), []

            async def putter(number: int, count: int) -> None:
                for index in range(count):
                    data, begin = os.urandom(4096), time.perf_counter()
                    await tenant.put(f"{prefix}/n{(number * count + index) % names}", data)
                    samples.append(time.perf_counter() - begin)

            async def together(count: int) -> None:
                await asyncio.gather(*(putter(number, count) for number in putters))

            await together(WARM)
            samples.clear()
            await asyncio.to_thread(gate.wait)
            begin = time.perf_counter()
            await together(PUTS)
            results.put((begin, time.perf_counter(), samples))

    asyncio.run(run())


def floor_process(home: Path, prefix: str, names: int, putters: range, gate, results, dsn: str, known: list[Digest]):
    samples: list[float] = []
    ready = threading.Barrier(len(putters) + 1)

    def putter(number: int) -> None:
        floor = Floor(home / prefix, dsn, known[number])  # a blob of its own: the putters share no row but the name's
        for index in range(WARM + PUTS):
            if index == WARM:
                ready.wait(), ready.wait()
            data, begin = os.urandom(4096), time.perf_counter()
            floor.put(f"{prefix}/n{(number * PUTS + index) % names}", data)
            if index >= WARM:
                samples.append(time.perf_counter() - begin)

    with ThreadPoolExecutor(len(putters)) as threads:
        for number in putters:
            threads.submit(putter, number)
        ready.wait(), gate.wait()
        begin = time.perf_counter()
        ready.wait()
    results.put((begin, time.perf_counter(), samples))


def run(side, processes: int, *arguments) -> tuple[float, list[float]]:
    """Puts a second, and seconds of each put."""
    gate, results = SPAWN.Barrier(processes), SPAWN.Queue()
    each = PUTTERS // processes
    home, prefix, names, *rest = arguments
    shares = [range(first, first + each) for first in range(0, PUTTERS, each)]
    children = [SPAWN.Process(target=side, args=(home, prefix, names, s, gate, results, *rest)) for s in shares]
    for child in children:
        child.start()
    answers = [results.get(timeout=300) for _ in children]
    for child in children:
        child.join()
    samples = [sample for *_, part in answers for sample in part]
    if len(samples) != PUTTERS * PUTS:
        raise AssertionError(len(samples))
    return len(samples) / (max(end for _, end, _ in answers) - min(begin for begin, *_ in answers)), samples


async def main(rounds: int) -> None:
    for processes in (1, 4):
        for names in (1, 100):
            ours, floor = [], []
            with fresh_folder() as home:
                async with AsyncStore(home) as store:
                    tenant, dsn = store.tenant("bench"), store._catalog._server.dsn
                    known = [(await tenant.put(f"k{n}", os.urandom(4096))).components[0].digest for n in range(PUTTERS)]
                    for turn in range(rounds):
                        for mine in (True, False, False, True) if turn % 2 else (False, True, True, False):
                            arguments = (processes, home, f"r{turn}-{len(ours)}-{len(floor)}", names)
                            if mine:
                                ours.append(await asyncio.to_thread(run, casstore_process, *arguments))
                            else:
                                floor.append(await asyncio.to_thread(run, floor_process, *arguments, dsn, known))
                    made, expected = (await tenant.usage()).versions, len(ours) * PUTTERS * (PUTS + WARM) + PUTTERS
                    if made != expected:
                        raise AssertionError(f"{expected - made} puts lost")
            report(f"{processes} x {PUTTERS // processes} putters, {names} name(s)", ours, floor)


def report(what, ours, floor):
    sides = []
    for name, answers in (("casstore", ours), ("floor", floor)):
        latencies = [sample for _, samples in answers for sample in samples]
        sides.append(statistics.median(rate for rate, _ in answers))
        print(f"{what}: {name:8} {sides[-1]:7.0f} puts/s   {milliseconds(latencies)}")
    print(f"{what}: ratio {sides[0] / sides[1]:.2f} (goal >= 0.7; load {os.getloadavg()[0]:.1f})", flush=True)


if __name__ == "__main__":
    print(describe())
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
