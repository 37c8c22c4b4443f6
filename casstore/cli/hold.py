"""casstore hold."""

from __future__ import annotations

from casstore.cli.holding import on_hold
from casstore.cli.options import command as define

__all__ = ["command"]

_HELP = """Place HOLD, such as case-17, on the version that REF is, such as sop/login@3, or on a whole artifact by its name.

Until `casstore release` nobody, and no rule, deletes, purges or erases it. `casstore holds` lists what is held.
"""

command = define(
    "hold",
    "Keep a version, or a whole artifact, from being deleted, purged or erased.",
    exits={5: "conflict: it was purged, and there is nothing to be kept"},
)(on_hold("hold", _HELP))
