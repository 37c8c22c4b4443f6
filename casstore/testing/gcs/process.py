"""The server as a process of its own: it does not share this one's interpreter, so it can be measured against."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

__all__ = ["gcs_process"]


@contextlib.contextmanager
def gcs_process(*buckets: str) -> Iterator[str]:
    """A server with these buckets while the context lasts, and no longer than this process. Gives its URL.

    Raises:
        OSError: It did not start.
    """
    options = [part for bucket in buckets for part in ("--bucket", bucket)]
    command = [sys.executable, "-m", "casstore.testing.gcs", "--while-stdin", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        if process.stdin is None or process.stdout is None or not (url := process.stdout.readline().strip()):
            raise OSError(f"{' '.join(command)} did not start")
        try:
            yield url
        finally:
            process.stdin.close()
