"""The real program against the embedded default. A handle held open keeps the server up, so that each call is quick.

`cli(*arguments)` runs it in a process of its own; `call(*arguments)` runs the same root in this process, where speed matters.
Both work on the module's `home`, unless `--home` or another tenant is given; each test has a tenant of its own.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from casstore.catalog.embedded import EmbeddedPostgres
from casstore.cli.root import run

PROGRAM = Path(sys.executable).with_name("casstore")
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Done:
    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error(self):
        return json.loads(self.err)


@pytest.fixture(scope="module")
def home():
    folder = Path(tempfile.mkdtemp(prefix="casstore-cli-"))
    folder.chmod(0o755)
    with EmbeddedPostgres(folder / "catalog"):
        yield folder
    shutil.rmtree(folder)


@pytest.fixture
def environment(home, monkeypatch):
    for name in [name for name in os.environ if name.startswith("CASSTORE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CASSTORE_HOME", str(home))
    monkeypatch.setenv("CASSTORE_TENANT", f"tenant-{next(NUMBERS)}")


@pytest.fixture
def cli(environment):
    def start(*arguments, stdin=b"", **options):
        done = subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, capture_output=True, check=False, **options)
        return Done(done.returncode, done.stdout, done.stderr.decode())

    return start


@pytest.fixture
def call(environment, capsysbinary):
    def start(*arguments):
        capsysbinary.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsysbinary.readouterr()
        return Done(code, captured.out, captured.err.decode())

    return start


@pytest.fixture
def put(call, tmp_path):
    """Store some text as the next version of a name, and answer what `put --json` says."""

    def store(name, text, *options):
        source = tmp_path / f"source-{next(NUMBERS)}.txt"
        source.write_text(text)
        done = call("put", name, source, "--json", *options)
        assert done.code == 0, done.err
        return done.json

    return store
