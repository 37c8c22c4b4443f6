"""The floor: what a put and a get cannot beat whatever their code, as the same few system calls and catalog calls, bare."""
# ruff: noqa: PTH108 - plain calls on strings: a Path costs more than the call it is for

from __future__ import annotations

import os
import uuid
from datetime import timedelta
from pathlib import Path

import blake3
import psycopg
from machine import PIECE

from casstore import Digest
from casstore.catalog.arrays import Bigints, Byteas, Texts, Uuids
from casstore.catalog.puts import _PUT


class Floor:
    """What a put and a get cannot beat: one fsynced file and one commit call; one query and one file read and hashed.

    Blocking code without a pool, an event loop or a check: the least any design of this kind does. The commit call is casstore's
    own function on a blob the ledger knows already (`known`), so both sides write the same rows.
    """

    def __init__(self, folder: Path, dsn: str, known: Digest) -> None:
        self.folder = folder
        self.known = known
        folder.mkdir(exist_ok=True)
        self.connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=1)

    def put(self, name: str, data: bytes) -> str:
        """One durable file and one version."""
        digest = self.write(data)
        self.commit(name)
        return digest

    def commit(self, name: str) -> None:
        """One version of one component whose blob is live."""
        none, size, content = Texts([None]), Bigints([4096]), Byteas([self.known])
        version = (
            Texts([name]),
            none,
            Uuids([uuid.uuid4()]),
            Byteas([os.urandom(32)]),
            *[none] * 5,
            Bigints([None]),
        )
        parts = (Bigints([1]), Texts(["main"]), content, size, Texts(["application/octet-stream"]))
        pictures = (None, None, None)
        blobs = (content, size, Bigints([0]), None, None, timedelta(hours=1), Texts([]), False, *[None] * 5)
        arguments = ("floor", *version, Texts(["reuse"]), none, Byteas([bytes(32)]), *parts, *pictures, *blobs)
        self.connection.execute(_PUT, arguments, binary=True).fetchone()

    def write(self, data: bytes) -> str:
        """One durable file: temp, write, fsync, link, fsync of the folder."""
        name = blake3.blake3(data).hexdigest()
        temp = self.folder / f".tmp-{name}"
        descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(descriptor, data)
        os.fsync(descriptor)
        os.close(descriptor)
        os.link(temp, self.folder / name)
        os.unlink(temp)
        folder = os.open(self.folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        return name

    def read(self, name: str) -> bytes:
        """One file, hashed."""
        data = (self.folder / name).read_bytes()
        if blake3.blake3(data).hexdigest() != name:
            raise AssertionError(name)
        return data


def copy_hashed(source: Path, target: Path | None, *, sync: bool) -> str:
    """Read and hash a file, and write it where `target` says: one thread, one pass, one buffer."""
    hasher, buffer = blake3.blake3(), memoryview(bytearray(PIECE))
    with source.open("rb", buffering=0) as reader, (target or Path(os.devnull)).open("wb", buffering=0) as writer:
        while count := reader.readinto(buffer):
            hasher.update(buffer[:count])
            if target:
                writer.write(buffer[:count])
        if sync:
            os.fsync(writer.fileno())
    return hasher.hexdigest()
