"""What does the store cost beside a bare server: small hot reads over HTTP at once, and one large download?

python benchmarks/serving.py [SECONDS] [SIZE_MIB]

Small: a component of 4 KB asked for by 32 connections, each asking again when it was answered, of `casstore serve` and of a FastAPI
route that answers the same bytes from memory on the same uvicorn; both by a client that shares the machine, in turn. Large: a
download of a blob on one connection, beside uvicorn streaming a file in pieces as long, and how much memory the server takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse
from machine import describe, fresh_folder, random_file

from casstore import Store, limits

CONNECTIONS = 32
SMALL_BYTES = 4096
ROUNDS = 3


class Asking(asyncio.Protocol):
    """One connection that asks for one path again and again, and how long each answer took."""

    def __init__(self, path: str, until: float) -> None:
        self.request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        self.until = until
        self.seconds: list[float] = []
        self.done = asyncio.get_running_loop().create_future()
        self.buffer = b""

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.begun = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or len(body) < SMALL_BYTES:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            raise AssertionError(head)
        self.buffer = b""
        self.seconds.append(time.perf_counter() - self.begun)
        if time.perf_counter() < self.until:
            self.ask()
        else:
            self.transport.close()
            self.done.set_result(None)


async def rate(port: int, path: str, seconds: float) -> tuple[float, list[float]]:
    """Answers a second, and the seconds that each took."""
    loop, begin = asyncio.get_running_loop(), time.perf_counter()
    asking = [
        (await loop.create_connection(lambda: Asking(path, begin + seconds), "127.0.0.1", port))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(each.done for each in asking))
    took = [one for each in asking for one in each.seconds]
    return len(took) / (time.perf_counter() - begin), took


def download(port: int, path: str, size_bytes: int) -> float:
    """Bytes a second."""
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb", 2**20) as answer:
        begin = time.perf_counter()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        while answer.readline() != b"\r\n":
            pass
        got, piece = 0, bytearray(2**20)
        while count := answer.readinto(piece):
            got += count
    if got != size_bytes:
        raise AssertionError(got)
    return got / (time.perf_counter() - begin)


def bare(port: int, small: Path, large: Path) -> None:
    """The server beside which ours is measured."""
    app, data = FastAPI(), small.read_bytes()

    @app.get("/small")
    async def answer() -> Response:
        return Response(data, media_type="application/octet-stream")

    @app.get("/large")
    async def stream() -> StreamingResponse:
        async def pieces():
            with large.open("rb") as file:
                while piece := await asyncio.to_thread(file.read, limits.CHUNK_BYTES):
                    yield piece

        return StreamingResponse(pieces(), headers={"Content-Length": str(large.stat().st_size)})

    uvicorn.run(app, port=port, log_level="error", access_log=False)


@contextlib.contextmanager
def server(*command: object, **environment: str) -> Iterator[tuple[int, int]]:
    """A server's process: its port and its id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [str(port) if word == "PORT" else str(word) for word in command]
    process = subprocess.Popen([sys.executable, *words], env=os.environ | environment, stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                yield port, process.pid
                return
            time.sleep(0.02)
        raise AssertionError(words)
    finally:
        process.terminate()
        process.wait()


def peak_mib(pid: int) -> float:
    """The most memory that a process has had, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def processor_s(pid: int) -> float:
    """How long a process has had a processor, in seconds: what others on the machine take is not in it."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def report_small(ours: tuple[int, int], other: tuple[int, int], seconds: float) -> None:
    rates: dict[int, list[float]] = {ours[0]: [], other[0]: []}
    costs: dict[int, list[float]] = {ours[0]: [], other[0]: []}
    took: list[float] = []
    for _ in range(ROUNDS):
        for (port, pid), path in ((ours, "/v1/components/small@1/main"), (other, "/small")):
            begin = processor_s(pid)
            found, each = asyncio.run(rate(port, path, seconds))
            costs[port].append((processor_s(pid) - begin) / len(each))
            rates[port].append(found)
            took += each if port == ours[0] else []
    mine, floor = (statistics.median(rates[port]) for port, _ in (ours, other))
    p99 = sorted(took)[int(len(took) * 0.99)] * 1e3
    said = f"casstore {mine:,.0f}/s, p99 {p99:.1f} ms   bare {floor:,.0f}/s   ratio {mine / floor:.2f}"
    print(f"4 KB, {CONNECTIONS} connections: {said}")
    mine, floor = (statistics.median(costs[port]) for port, _ in (ours, other))
    print(f"  processor time of the server for an answer: casstore {mine * 1e3:.2f} ms   bare {floor * 1e3:.2f} ms")


def report_large(ours: tuple[int, int], other: int, size_mib: int) -> None:
    rates: dict[int, list[float]] = {ours[0]: [], other: []}
    before = peak_mib(ours[1])
    for _ in range(ROUNDS):
        for port, path in ((ours[0], "/v1/components/large@1/main"), (other, "/large")):
            rates[port].append(download(port, path, size_mib * 2**20))
    mine, floor = (statistics.median(rates[port]) / 2**20 for port in (ours[0], other))
    grown = peak_mib(ours[1]) - before
    said = f"casstore {mine:,.0f} MiB/s   uvicorn from a file {floor:,.0f} MiB/s   ratio {mine / floor:.2f}"
    print(f"{size_mib} MiB: {said}   +{grown:.0f} MiB")


def main(seconds: float = 5, size_mib: int = 1024) -> None:
    print(describe())
    with fresh_folder() as folder:
        small = random_file(folder / "small", SMALL_BYTES)
        large = random_file(folder / "large", size_mib * 2**20)
        with Store(home=folder / "home") as store:
            tenant = store.tenant("bench")
            tenant.put("small", small)
            tenant.put("large", large)
            program = "import sys; from casstore.cli import main; sys.exit(main())"
            command = ("-c", program, "serve", "--port", "PORT", "--insecure-dev-tenant", "bench")
            with (
                server(*command, CASSTORE_HOME=str(folder / "home")) as ours,
                server(__file__, "--bare", "PORT", small, large) as other,
            ):
                report_small(ours, other, seconds)
                report_large(ours, other[0], size_mib)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--bare"]:
        bare(int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main(*map(int, sys.argv[1:]))
