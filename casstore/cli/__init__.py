"""SCREEN: the command line, `casstore COMMAND …`. Thin: parse, one call of the store, show."""

from __future__ import annotations

import sys

from casstore import __version__

__all__ = ["main"]


def main() -> None:
    """Run the program on its arguments and end it with its exit code."""
    if sys.argv[1:] == ["--version"]:  # before anything is imported that takes time
        sys.stdout.write(f"casstore {__version__}\n")
        return
    from casstore.cli.root import run  # noqa: PLC0415 - see above

    sys.exit(run(sys.argv[1:]))
