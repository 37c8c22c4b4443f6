"""JSON: values as bytes and back without losing anything, and contents compared, patched and merged.

`encode` and `decode` are what storing needs; the rest is imported only where it is used.
"""

from __future__ import annotations

from typing import Any

from casstore.formats.json.values import decode, encode

__all__ = ["FORMAT", "apply_patch", "decode", "encode", "json_format", "make_patch"]

_HOME_OF = {"FORMAT": "format", "json_format": "format", "apply_patch": "patching", "make_patch": "diffing"}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - most who import this only encode and decode

    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
