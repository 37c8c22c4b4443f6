"""casstore release."""

from __future__ import annotations

from casstore.cli.holding import on_hold
from casstore.cli.options import command as define

__all__ = ["command"]

_HELP = "Release HOLD from just the REF that it was placed on. Others on the same, or on more, go on holding."

command = define("release", "Release a hold.", exits={4: "not found, or there never was such a hold on it"})(
    on_hold("release", _HELP)
)
