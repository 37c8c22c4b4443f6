"""Calls in a process of their own, which may take two seconds of processor time and 512 MiB of address space more than at first."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

SECONDS = 2
SLOWEST = 4  # times longer on a machine that has other things to do: its cores share their caches and their clock
MIB = 512
_PROGRAM = """
import resource, sys
from casstore.errors import Invalid
{setup}
arguments = ({arguments},)
pages = int(open("/proc/self/statm").read().split()[0]) if sys.platform == "linux" else 0
most = pages * resource.getpagesize() + {mib} * 2**20
if pages:
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
used = resource.getrusage(resource.RUSAGE_SELF)
def seconds():
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
try:
    {call}
    said = "answered"
except Invalid as error:
    said = error.code.value
print(said, f"{{seconds():.2f}}")
"""


def allowed_s() -> float:
    """The two seconds of a quiet machine, as long as they take here and now."""
    return SECONDS * min(SLOWEST, 1 + os.getloadavg()[0] / (os.cpu_count() or 1))


@dataclass(frozen=True)
class Case:
    """What a call needs: imports, and Python expressions that make its arguments."""

    setup: str
    arguments: tuple[str, ...]


def limited(case: Case, call: str) -> str:
    """ "answered", or the code of the refusal; an AssertionError if it took too long, or more memory than there was."""
    program = _PROGRAM.format(setup=case.setup, arguments=", ".join(case.arguments), mib=MIB, call=call)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said, seconds = done.stdout.split()
    assert float(seconds) <= allowed_s(), seconds
    return said
