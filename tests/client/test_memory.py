"""Large contents pass through the client in little memory: in a process of its own, from a file and into one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from casstore.testing.harness import sample

SIZE_BYTES = 256 * 2**20
MOST_MIB = 64
PROGRAM = """
import sys
from pathlib import Path
import casstore

def peak_mib():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

url, token, source, target = sys.argv[1:]
with casstore.connect(url, token=token) as tenant:
    tenant.put("small", b"1")
    tenant.get("small").bytes()
    before = peak_mib()
    tenant.put("large", Path(source))
    with tenant.get("large").open() as reader, open(target, "wb") as file:
        while piece := reader.read(2**18):
            file.write(piece)
print(peak_mib() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak of memory")
def test_256_mib_go_and_come_in_little_memory(served, tenant, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(sample(SIZE_BYTES))
    command = [sys.executable, "-c", PROGRAM, served.url, tenant, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= MOST_MIB
    assert target.read_bytes() == source.read_bytes()
