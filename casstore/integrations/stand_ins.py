"""Stand-ins: what a stored result has in the place of a picture, and how what was there is made again. Pure functions.

    {"storage_path": "cas:component:summary_visual", "format": "png", "width": 640, "height": 480, …, "original": {…}}

Where the picture was the `image_base64` of a dictionary, its other keys stay. `original` has what the bytes of the component do
not tell:

- `type`: str, bytes, bytearray or memoryview;
- `prefix` of a data URL;
- `layout` of base64 with whitespace: after so many characters this whitespace, so many times, and so on;
- `keys` of the dictionary, in their order, and of these, as `covered`, the values of those that a stand-in has itself.
"""

from __future__ import annotations

import itertools
import re
from base64 import b64encode
from typing import Any, Final

from casstore.formats import png

__all__ = ["COMPONENT", "IMAGE", "before", "is_airy", "is_stand_in", "reference", "stand_in"]

IMAGE: Final = "image_base64"  # the key of a picture in its dictionary
COMPONENT: Final = "cas:component:"  # before the role

_ORIGINAL: Final = "original"
_TYPES: Final = {"bytes": bytes, "bytearray": bytearray, "memoryview": memoryview}
_WHITESPACE: Final = re.compile(r"([ \t\r\n]+)")
_WHITESPACE_MAX: Final = 3  # times the base64 it is in: a small component cannot be made a text of any size


def is_stand_in(node: Any) -> bool:
    """Whether this is one, or pretends to be."""
    path = node.get("storage_path") if isinstance(node, dict) else None
    return isinstance(path, str) and path.startswith(COMPONENT)


def is_airy(text: str, data: bytes) -> bool:
    """Whether this base64 of `data` has more whitespace than a stand-in tells of."""
    return len(text) - len(_prefix(text)) > (1 + _WHITESPACE_MAX) * len(b64encode(data))


def stand_in(role: str, picture: png.Picture, node: Any) -> dict[str, Any]:
    """What comes in the place of `node`: a picture, or the dictionary that has it as `image_base64`."""
    ours = {"storage_path": COMPONENT + role, "format": "png", "width": picture.width, "height": picture.height}
    if not isinstance(node, dict):
        return {**ours, _ORIGINAL: _form(node)}
    covered = {key: child for key, child in node.items() if key in ours or key == _ORIGINAL}
    others = {key: child for key, child in node.items() if key not in covered and key != IMAGE}
    original = {**_form(node[IMAGE]), "keys": list(node), **({"covered": covered} if covered else {})}
    return {**ours, **others, _ORIGINAL: original}


def before(node: dict[str, Any], data: bytes) -> Any:
    """What was in the place of the stand-in `node` for the picture `data`.

    Raises:
        KeyError, TypeError, ValueError: It was not made by `stand_in`.
    """
    original = node[_ORIGINAL]
    value = _formed(data, original)
    if "keys" not in original:
        return value
    there = {**node, **original.get("covered", {}), IMAGE: value}
    return {key: there[key] for key in original["keys"]}


def reference(node: dict[str, Any], path: str) -> dict[str, Any]:
    """What is shown in the place of the stand-in `node`: the picture told by `path`, and what else its dictionary had.

    Raises:
        KeyError, TypeError, ValueError: It was not made by `stand_in`.
    """
    shown = {"storage_path": path, **{key: node[key] for key in ("format", "width", "height")}}
    original = node[_ORIGINAL]
    if "keys" not in original:
        return shown
    there = {**node, **original.get("covered", {})}
    keys = [key for key in original["keys"] if key not in shown]
    place = keys.index(IMAGE)
    return {
        **{key: there[key] for key in keys[:place]},
        **shown,
        **{key: there[key] for key in keys[place + 1 :]},
    }


def _form(value: Any) -> dict[str, Any]:
    """How `value` is made from the bytes of its picture."""
    if not isinstance(value, str):
        return {"type": next(name for name, kind in _TYPES.items() if isinstance(value, kind))}
    prefix = _prefix(value)
    layout = _layout(value[len(prefix) :])
    return {"type": "str", **({"prefix": prefix} if prefix else {}), **({"layout": layout} if layout else {})}


def _formed(data: bytes, form: dict[str, Any]) -> Any:
    if form["type"] != "str":
        return _TYPES[form["type"]](data)
    return form.get("prefix", "") + _laid_out(b64encode(data).decode(), form.get("layout", []))


def _prefix(text: str) -> str:
    """What is before the base64 in a data URL, comma included; base64 has no comma."""
    return text[: text.find(",") + 1]


def _layout(text: str) -> list[list[Any]]:
    pieces = _WHITESPACE.split(text)
    runs = itertools.groupby(zip(map(len, pieces[::2]), pieces[1::2], strict=False))
    return [[chars, space, sum(1 for _ in same)] for (chars, space), same in runs]


def _laid_out(digits: str, layout: list[tuple[int, str, int]]) -> str:
    if sum(max(1, len(space)) * abs(times) for _, space, times in layout) > _WHITESPACE_MAX * len(digits):
        raise ValueError("more whitespace than a picture's text has")
    pieces: list[str] = []
    at = 0
    for chars, space, times in layout:
        for _ in range(times):
            pieces += digits[at : at + chars], space
            at += chars
    return "".join(pieces) + digits[at:]
