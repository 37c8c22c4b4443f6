"""The floor that speed is measured against is called as casstore's own functions are now."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_small_puts_and_gets_are_measured_beside_their_floor(tmp_path):
    """Regression: a parameter that a put's statement got was not given by the floor, and nothing was measured any more."""
    command = [sys.executable, "benchmarks/small.py", "1"]
    tmp_path.chmod(0o755)  # as root the server runs under another account
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"BENCH_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ratio") == 4
