"""Results as components: what an orchestrator hands back, stored as one artifact, and made again exactly. Pure functions.

A result is a dictionary. Its pictures are components of their own (`casstore.integrations.visuals`). Where its type has a kind of
several parts with an `envelope`, and the result, or its `semantic_payload`, has these parts, each is a component of its own, too,
and the envelope has what is left:

    {"parts": {"roadmap": "/semantic_payload/roadmap", …}, "result": {"semantic_payload": {"roadmap": null, …}, …}}

It names the parts and where they stood, and nothing of what they say: who changes one part changes one component. Otherwise all
of the result is the component `main`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from casstore import kinds
from casstore.errors import Code, Invalid
from casstore.formats import json, media_types
from casstore.integrations.visuals import Taken, TakenPicture, put_back, refer, take_pictures
from casstore.kinds import ENVELOPE, pointer
from casstore.kinds.picture import KEY_ENDS
from casstore.model import MAIN
from casstore.staging import Components, Part

__all__ = ["ResultComponents", "to_components", "to_result"]

_PAYLOAD: Final = "semantic_payload"  # of a structured result: where its parts are
_PLACES: Final = ((), (_PAYLOAD,))


class ResultComponents(Components):
    """The components of a result.

    Attributes:
        visuals: The role of each picture by the key that it stood under; by the role itself, where another has the key.
    """

    def __init__(self, parts: Mapping[str, Part], visuals: dict[str, str]) -> None:
        super().__init__(parts)
        self.visuals = visuals


def to_components(artifact_type: str, result: dict[str, Any]) -> ResultComponents:
    """The components to store `result` as, by role. Pictures are decoded whole: call it in a thread.

    Raises:
        Invalid: It is no dictionary (bad_data), has a picture that is not sound (bad_picture), or has what JSON cannot hold
            (bad_json). Whether the parts are what the type promises is looked at by whoever puts them.
    """
    if not isinstance(result, dict):
        raise Invalid(Code.BAD_DATA, f"a result is a dictionary, not a {type(result).__name__}")
    taken = take_pictures(result)
    whole = json.encode(taken.result)  # even if it is split: faults are told with the path from the top
    documents = _split(artifact_type, taken) or {MAIN: whole}
    parts = {role: Part(data, media_types.JSON) for role, data in documents.items()}
    pictures = {role: Part(each.data, media_types.PNG) for role, each in taken.pictures.items()}
    return ResultComponents(parts | pictures, _visuals(taken.pictures))


def to_result(components: Mapping[str, bytes], *, visuals: bool, path_of: Callable[[str], str]) -> dict[str, Any]:
    """The result that `to_components` was given, from the bytes of its components. It parses all of it: call it in a thread.

    Args:
        components: By role. Those of pictures may be missing unless `visuals`.
        visuals: Whether pictures are put back; else each is told by `storage_path`, `format`, `width` and `height`.
        path_of: The storage path of a picture, by its role.

    Raises:
        Invalid: The components are not those of a result (bad_components), or a picture is missing (bad_picture).
    """
    result = _joined(components) if ENVELOPE in components else _parsed(components, MAIN)
    if not isinstance(result, dict):
        raise _no_result(f"what they hold is a {type(result).__name__} and no dictionary")
    return put_back(result, components) if visuals else refer(result, path_of)


# -- splitting -------------------------------------------------------------------------------------------------------------


def _split(artifact_type: str, taken: Taken) -> dict[str, bytes] | None:
    """The parts and the envelope, or None where the result does not have them."""
    for place in _PLACES:
        holder = _inside(taken.result, place)
        for needed, allowed in _divisions(artifact_type):
            parts = [role for role in allowed if _is_part(holder, role) and role not in taken.pictures]
            if parts and needed <= set(parts):
                return {role: json.encode(holder[role]) for role in parts} | {ENVELOPE: _envelope(taken, place, parts)}
    return None


def _divisions(artifact_type: str) -> Iterator[tuple[set[str], list[str]]]:
    """The parts that have to be there, and all there may be, of each composition with an envelope."""
    kind = kinds.kind_of(artifact_type)
    for composition in kind.compositions if kind else ():
        if any(role.name == ENVELOPE for role in composition):
            roles = [role for role in composition if role.pattern is None and role.name != ENVELOPE]
            yield {role.name for role in roles if not role.optional}, [role.name for role in roles]


def _inside(result: dict[str, Any], place: tuple[str, ...]) -> Any:
    holder: Any = result
    for key in place:
        holder = holder.get(key) if isinstance(holder, dict) else None
    return holder


def _is_part(holder: Any, role: str) -> bool:
    return isinstance(holder, dict) and isinstance(holder.get(role), dict | list | str)


def _envelope(taken: Taken, place: tuple[str, ...], parts: list[str]) -> bytes:
    left = {key: None if key in parts else value for key, value in _inside(taken.result, place).items()}
    if place:
        left = {**taken.result, _PAYLOAD: left}
    places = json.encode({role: pointer(*place, role) for role in parts})
    # Put together as bytes: the envelope may be a level deeper than JSON of others, so that every result within that fits.
    return b'{"parts":%b,"result":%b}' % (places, json.encode(left))


def _visuals(pictures: Mapping[str, TakenPicture]) -> dict[str, str]:
    found: dict[str, str] = {}
    for role, picture in pictures.items():
        steps = [step.replace("~1", "/").replace("~0", "~") for step in picture.paths[0].split("/")]
        key = next(step for step in reversed(steps) if step.endswith(KEY_ENDS))
        found[role if key in found or key in pictures else key] = role
    return found


# -- joining ---------------------------------------------------------------------------------------------------------------


def _joined(components: Mapping[str, bytes]) -> Any:
    match _parsed(components, ENVELOPE):
        case {"parts": dict(parts), "result": dict(result), **more} if not more:
            for role, path in parts.items():
                _holder(result, role, path)[role] = _parsed(components, role)
            return result
    raise _no_result(f"the component {ENVELOPE} is none")


def _holder(result: dict[str, Any], role: str, path: Any) -> dict[str, Any]:
    """The dictionary in which a part left its gap."""
    for place in _PLACES:
        holder = _inside(result, place)
        if path == pointer(*place, role) and isinstance(holder, dict) and holder.get(role, path) is None:
            return holder
    raise _no_result(f"the component {ENVELOPE} has no place for the part {role!a:.80}")


def _parsed(components: Mapping[str, bytes], role: str) -> Any:
    if role not in components:
        raise _no_result(f"there is no component {role}")
    try:
        return json.decode(components[role])
    except Invalid as error:
        raise _no_result(f"the component {role} is no JSON") from error


def _no_result(fault: str) -> Invalid:
    message = f"the components are not those of a result: {fault}"
    return Invalid(Code.BAD_COMPONENTS, message, hint="Read them one by one; they were not stored as a result.")
