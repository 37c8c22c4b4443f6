"""Pictures inside results: taken out before a result is stored, put back exactly as they were. Pure functions.

What may be a picture stands under a key that ends in `_visual` or `_chart`, at any depth below it. It is one if it is

- a dictionary with `image_base64`: base64 alone or in a data URL, or bytes;
- bytes, a bytearray or a memoryview of bytes;
- text that begins as one: `data:image/`, or the base64 of PNG's signature, alone or in a data URL of any type.

All else there is content: a caption, null, the description of a chart. In the place of a picture comes its *stand-in*
(`casstore.integrations.stand_ins`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias, TypeVar

from casstore import grammar, limits
from casstore.errors import Code, Invalid
from casstore.formats import png
from casstore.integrations.stand_ins import COMPONENT, IMAGE, before, is_airy, is_stand_in, reference, stand_in
from casstore.kinds import pointer
from casstore.kinds.picture import KEY_ENDS
from casstore.model import Digest

__all__ = ["Taken", "TakenPicture", "put_back", "refer", "take_pictures"]

_ENVELOPE: Final = "renderings"  # where a structured result keeps what a plain one has at its top
_BEGINNING: Final = re.compile(r"\s*(?:(?i:data:image/)|(?i:data:[^\s,]*,)?iVBORw0KGgo)")
_PLAIN_STEP: Final = re.compile(r"[a-z0-9_-]+")
_SLUG_CHARS: Final = 28  # with two dots and a hash it fits into a role
_HASH_HEX: Final = 32  # 128 bits: nobody can make two paths that share a role
_SHOWN: Final = 10  # faults in a message, a screen of a terminal; the error's fields have them all
_PATH_CHARS: Final = 200  # of a path in a message; keys may be of any length
_STEPS: Final = 20  # of a path that is too deep

_Path: TypeAlias = tuple[str | int, ...]
Given = TypeVar("Given")


@dataclass(frozen=True, slots=True)
class TakenPicture:
    """A picture that stood in a result: one component."""

    data: bytes  # the PNG, unchanged
    picture: png.Picture
    paths: tuple[str, ...]  # JSON pointers (RFC 6901) of where it stood; two, if it was also among the renderings


@dataclass(frozen=True, slots=True)
class Taken:
    """A result without its pictures, and these by role."""

    result: dict[str, Any]
    pictures: dict[str, TakenPicture]


def take_pictures(result: dict[str, Any]) -> Taken:
    """A copy of `result` with a stand-in for each picture, and the pictures. They are decoded whole: call it in a thread.

    A role is the path with dots for slashes, without a leading `renderings`: `summary_visual`, `pages.0.flow_visual`. Where that
    is no role, it is the last 28 characters of the key, two dots and a hash of the path. The `renderings` stay in the role of
    a picture that differs from the one at the same path beside them. What is no picture is not looked at: `formats.json` says
    of the rest whether it can be stored.

    Raises:
        Invalid: A picture is not sound, or a stand-in is there without its picture (bad_picture). `fields["faults"]` has each
            fault with its path, up to `limits.FAULTS_MAX` of them, and `fields["count"]` how many there are.
            Or the result is nested more than `limits.JSON_MAX_DEPTH` levels deep (bad_json).
    """
    root = [result]
    found = _read([spot for spot in _walk(root) if _is_picture(spot.node)])
    roles = _roles({spot.path: data for spot, data, _ in found})
    pictures: dict[str, TakenPicture] = {}
    for spot, data, picture in found:
        role = roles[spot.path]
        paths = pictures[role].paths if role in pictures else ()
        pictures[role] = TakenPicture(data, picture, (*paths, pointer(*spot.path)))
    # Backwards: what else is in the dictionary of a picture has its stand-in before it moves into that of the dictionary.
    for spot, _, picture in reversed(found):
        spot.replace(stand_in(roles[spot.path], picture, spot.node))
    return Taken(root[0], pictures)


def put_back(result: dict[str, Any], pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """The result that `take_pictures` was given, types and order of keys included, from its answer and the bytes by role.

    Raises:
        Invalid: A stand-in names a component that is not among `pictures`, or is not as `take_pictures` made it (bad_picture).
            Or the result is nested more than `limits.JSON_MAX_DEPTH` levels deep (bad_json).
    """
    return _replaced(result, lambda spot: _picture_of(spot, pictures), before)


def refer(result: dict[str, Any], path_of: Callable[[str], str]) -> dict[str, Any]:
    """An answer of `take_pictures` to be shown without pictures: each is told by its `storage_path`, `path_of` its role.

    In a dictionary, `storage_path`, `format`, `width` and `height` come in the place of `image_base64`.

    Raises:
        Invalid: As `put_back`, except that no picture is needed.
    """
    return _replaced(result, lambda spot: path_of(_role_in(spot)), reference)


# -- walking ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Spot:
    """A place in the copy of a result, by what holds it."""

    holder: Any
    step: Any
    path: _Path
    inside: bool  # under a key of pictures

    @property
    def node(self) -> Any:
        return self.holder[self.step]

    def replace(self, value: Any) -> None:
        self.holder[self.step] = value

    def opened(self) -> list[_Spot]:
        """The places in a dictionary or list, which becomes a copy of itself. Keys that JSON does not have lead nowhere."""
        node = self.node
        if isinstance(node, dict):
            self.replace(copy := dict(node))
            steps = [step for step in node if isinstance(step, str) and not (self.inside and step == IMAGE)]
            # A key may be of an enum, which prints as something else than the text it is.
            return [self._below(copy, step, str.__str__(step)) for step in steps]
        if isinstance(node, list):
            self.replace(row := list(node))
            return [self._below(row, index, index) for index in range(len(row))]
        return []

    def _below(self, holder: Any, step: Any, name: str | int) -> _Spot:
        inside = self.inside or (isinstance(name, str) and name.endswith(KEY_ENDS))
        return _Spot(holder, step, (*self.path, name), inside)


def _walk(root: list[Any]) -> Iterator[_Spot]:
    """The places under keys of pictures, in the order of the document; what is put into one is walked in its turn.

    Without recursion, so that depth is our limit and not the interpreter's.
    """
    todo = [_Spot(root, 0, (), inside=False)]
    while todo:
        spot = todo.pop()
        if len(spot.path) > limits.JSON_MAX_DEPTH:
            _refuse_depth(spot.path)
        if spot.inside:
            yield spot
        todo.extend(reversed(spot.opened()))


def _is_picture(node: Any) -> bool:
    """Whether something is to be decoded, or refused."""
    match node:
        case dict():
            return IMAGE in node or is_stand_in(node)
        case str():
            return _BEGINNING.match(node) is not None
        case _:
            return isinstance(node, bytes | bytearray | memoryview)


# -- reading ---------------------------------------------------------------------------------------------------------------


def _read(spots: Iterable[_Spot]) -> list[tuple[_Spot, bytes, png.Picture]]:
    """The picture in each place; raises Invalid (bad_picture) with all that are none."""
    inspect = functools.cache(png.inspect)  # the same bytes are looked into once
    found, faults = [], []
    for spot in spots:
        try:
            data = _decoded(spot.node)
            found.append((spot, data, inspect(data)))
        except Invalid as error:
            field = [IMAGE] if isinstance(spot.node, dict) and IMAGE in spot.node else []
            faults.append((pointer(*spot.path, *field), error.message))
    if faults:
        raise _refusal(faults)
    return found


def _decoded(node: Any) -> bytes:
    value = node.get(IMAGE, node) if isinstance(node, dict) else node
    if isinstance(value, memoryview) and (value.format, value.ndim) != ("B", 1):
        _refuse(f"the picture is a memoryview of {value.format!r} in {value.ndim} dimensions, not of bytes in one")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if value is node and isinstance(node, dict):
        _refuse("what is there stands in for a picture that was stored before, and is none itself")
    data = png.decode_base64(value)
    if is_airy(value, data):
        _refuse("the picture's text is for the most part whitespace")
    return data


def _refuse(fault: str) -> NoReturn:
    raise Invalid(Code.BAD_PICTURE, fault, hint="Give the picture itself, as base64 or bytes.")


def _refusal(faults: list[tuple[str, str]]) -> Invalid:
    told = "; ".join(f"{_printed(path)}: {message}" for path, message in faults[:_SHOWN])
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return Invalid(
        Code.BAD_PICTURE,
        f"the result has pictures that cannot be stored: {told}{more}",
        hint="Make these pictures again; nothing was stored.",
        faults=[{"path": path, "message": message} for path, message in faults[: limits.FAULTS_MAX]],
        count=len(faults),
    )


def _refuse_depth(path: _Path) -> NoReturn:
    place = _printed(pointer(*path[:_STEPS]))
    message = f"the result is nested more than {limits.JSON_MAX_DEPTH} levels deep, at {place}…"
    raise Invalid(Code.BAD_JSON, message, hint="Make it flatter; look for something that contains itself.", path=place)


def _printed(path: str) -> str:
    """A path as it may stand in a message, whatever its keys are made of."""
    text = ascii(path)[1:-1]
    return text if len(text) <= _PATH_CHARS else f"{text[: _PATH_CHARS // 2]}…{text[-_PATH_CHARS // 2 :]}"


# -- roles -----------------------------------------------------------------------------------------------------------------


def _roles(found: Mapping[_Path, bytes]) -> dict[_Path, str]:
    """The role of the picture at each path. Two paths share one only if their pictures are the same bytes."""
    roles = {}
    for path, data in found.items():
        short = path[1:] if path[0] == _ENVELOPE else path
        roles[path] = _role(short if found.get(short, data) == data else path)
    return roles


def _role(path: _Path) -> str:
    """A role for no other path than this."""
    steps = [str(step) for step in path]
    joined = ".".join(steps)
    if all(map(_PLAIN_STEP.fullmatch, steps)) and re.fullmatch(grammar.ROLE, joined):
        return joined
    key = next(step for step in steps if step.endswith(KEY_ENDS))
    slug = re.sub(r"[^a-z0-9]+", "-", key.lower())[-_SLUG_CHARS:].lstrip("-0123456789")
    digest = Digest.of(pointer(*path).encode(errors="surrogatepass"))
    return f"{slug}..{digest.hex()[:_HASH_HEX]}"  # two dots: no plain step is empty


# -- putting back ----------------------------------------------------------------------------------------------------------


def _replaced(
    result: dict[str, Any], given: Callable[[_Spot], Given], make: Callable[[dict[str, Any], Given], Any]
) -> dict[str, Any]:
    """A copy in which each stand-in is what is made of it and what is given for it."""
    root = [result]
    for spot in _walk(root):
        if is_stand_in(spot.node):
            material = given(spot)
            try:
                spot.replace(make(spot.node, material))
            except (KeyError, TypeError, ValueError) as error:
                _refuse_stand_in(spot, "does not say what was there before", error)
    return root[0]


def _role_in(spot: _Spot) -> str:
    role: str = spot.node["storage_path"].removeprefix(COMPONENT)
    return role


def _picture_of(spot: _Spot, pictures: Mapping[str, bytes]) -> bytes:
    role = _role_in(spot)
    if role not in pictures:
        _refuse_stand_in(spot, f"names the component {role[:_PATH_CHARS]!a}, which was not given")
    return pictures[role]


def _refuse_stand_in(spot: _Spot, fault: str, cause: Exception | None = None) -> NoReturn:
    path = pointer(*spot.path)
    message = f"what stands in for a picture at {_printed(path)} {fault}"
    hint = "Give the pictures of the same version; a result made by hand has to hold the picture itself."
    raise Invalid(Code.BAD_PICTURE, message, hint=hint, path=path) from cause
