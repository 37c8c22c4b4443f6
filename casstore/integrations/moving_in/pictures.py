"""Pictures of an old document: objects of their own, which it refers to by `storage_path`, and where they belong. Pure functions.

A reference is an object with a text as `storage_path` and without `image_base64`: below a key that ends in `_visual` or `_chart`,
or anywhere if its `format` is "png". An envelope may also name pictures in its `visual_paths`, by their keys.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final, NoReturn

from casstore.errors import Code, Invalid
from casstore.formats import png
from casstore.integrations.moving_in.layout import Document
from casstore.integrations.stand_ins import IMAGE
from casstore.kinds.picture import KEY_ENDS

__all__ = ["paths_in", "with_pictures"]

_PATH: Final = "storage_path"
_FORMAT: Final = "format"
_RENDERINGS: Final = "renderings"


def paths_in(document: Document) -> tuple[str, ...]:
    """The path of each picture that a document refers to; raises Invalid (bad_picture) where one is said to be no PNG."""
    paths = [_path_of(node) for node in _references(document.result)]
    return tuple(dict.fromkeys([*paths, *_named(document).values()]))


def with_pictures(document: Document, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """The document's result, changed to have its pictures in it as `image_base64`, as the platform had them.

    That comes in the place of `storage_path` and `format`. A picture that only `visual_paths` names comes under its key into the
    `renderings` of the result; where there are none, into the result itself.

    Args:
        document: As it was opened, and of no use afterwards.
        pictures: By their paths. They are decoded whole: call it in a thread.

    Raises:
        Invalid: One is damaged, or has no place (bad_picture).
    """
    texts = {path: _encoded(path, data) for path, data in pictures.items()}
    references = _references(document.result)
    placed = {_path_of(node) for node in references}
    for node in references:
        _restore(node, texts[_path_of(node)])
    for key, path in _named(document).items():
        if path not in placed:
            _put_under(document.result, key, texts[path])
    return document.result


def _references(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Without recursion: what is nested too deeply is told where it is stored."""
    found: list[dict[str, Any]] = []
    todo: list[tuple[Any, bool]] = [(result, False)]
    while todo:
        node, inside = todo.pop()
        if isinstance(node, dict):
            if _is_reference(node, inside=inside):
                found.append(node)
            todo += [(child, inside or key.endswith(KEY_ENDS)) for key, child in node.items()]
        elif isinstance(node, list):
            todo += [(child, inside) for child in node]
    return found


def _is_reference(node: dict[str, Any], *, inside: bool) -> bool:
    path = node.get(_PATH)
    return isinstance(path, str) and path != "" and not node.get(IMAGE) and (inside or _format_of(node) == "png")


def _path_of(node: dict[str, Any]) -> str:
    path, kind = node[_PATH], _format_of(node)
    if kind not in (None, "png"):
        _refuse(f"the format of {path!a:.200} is {kind!a:.80}, and only PNG pictures are kept")
    return str(path)


def _format_of(node: dict[str, Any]) -> Any:
    kind = node.get(_FORMAT)
    return kind.lower() if isinstance(kind, str) else kind


def _named(document: Document) -> dict[str, str]:
    """The paths in `visual_paths`, each of an object with it or by itself."""
    paths = {}
    for key, value in document.visual_paths.items():
        if value is not None:
            node = value if isinstance(value, dict) else {_PATH: value}
            if not isinstance(node.get(_PATH), str):
                _refuse(f"visual_paths has no path for {key!a:.80}")
            paths[key] = _path_of(node)
    return paths


def _encoded(path: str, data: bytes) -> str:
    try:
        png.inspect(data)
    except Invalid as error:
        _refuse(f"the picture {path!a:.200} is damaged: {error.message}", error)
    return b64encode(data).decode()


def _restore(node: dict[str, Any], text: str) -> None:
    before = dict(node)
    place = IMAGE if IMAGE in before else _PATH
    node.clear()
    for key, value in before.items():
        if key == place:
            node[IMAGE] = text
        elif key not in (_PATH, _FORMAT):
            node[key] = value


def _put_under(result: dict[str, Any], key: str, text: str) -> None:
    renderings = result.get(_RENDERINGS)
    holder = renderings if isinstance(renderings, dict) else result
    if holder.get(key) is not None:
        _refuse(f"visual_paths has a picture for {key!a:.80}, and something else is there")
    holder[key] = {IMAGE: text}


def _refuse(fault: str, cause: Exception | None = None) -> NoReturn:
    raise Invalid(Code.BAD_PICTURE, fault, hint="Mend the picture or the document, and run it again.") from cause
