"""The formats this process knows, by media type: those of the package, and what its program registered."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from casstore.formats import media_types
from casstore.formats.comparison import Format, Meaning

__all__ = ["can_mean", "format_of", "meaning_of", "register"]

_PACKAGE: Final = {  # where each is, imported when it is first asked for: most programs compare nothing
    "json": ("casstore.formats.json", "FORMAT"),
    "bpmn": ("casstore.formats.bpmn", "FORMAT"),
    "markdown": ("casstore.formats.text", "MARKDOWN"),
    "text": ("casstore.formats.text", "TEXT"),
    "png": ("casstore.formats.png.comparing", "PNG"),
    "npy": ("casstore.formats.embeddings", "NPY"),
    "binary": ("casstore.formats.binary", "FORMAT"),
}
_BY_MEDIA_TYPE: Final = {
    media_types.JSON: "json",
    media_types.PNG: "png",
    "application/bpmn+xml": "bpmn",
    "application/x-npy": "npy",
    "application/yaml": "text",
    "text/markdown": "markdown",
}
_NOT_ASKED: Final = ("npy", "binary", "png")  # for a meaning: they have none, or the catalog has it as the pixels
_XML: Final = ("application/xml", "text/xml")
_registered: Final[dict[str, Format]] = {}


def register(format: Format) -> Format:  # noqa: A002 - the field's word
    """Make `format` the one of its media types in this process, instead of the package's, and answer it."""
    for media_type in format.media_types:
        _registered[media_types.check_media_type(media_type)] = format
    return format


def format_of(media_type: str, *contents: bytes) -> Format:
    """How contents of this media type are compared and merged: as what all of them are, at worst as bytes."""
    essence = _essence(media_type)
    if essence in _registered:
        return _registered[essence]
    return _known(_named(essence, contents))


def can_mean(media_type: str) -> bool:
    """Whether some contents of this media type have a semantic digest beside that of a picture's pixels. Imports no format."""
    essence = _essence(media_type)
    if essence in _registered:
        return _registered[essence].meaning is not None
    return _named(essence, ()) not in _NOT_ASKED


def meaning_of(media_type: str, content: bytes) -> Meaning | None:
    """The semantic digests of a content, of its format; None where it has none."""
    form = format_of(media_type, content)
    return form.meaning(content) if form.meaning else None


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _named(essence: str, contents: tuple[bytes, ...]) -> str:
    if essence in _BY_MEDIA_TYPE:
        return _BY_MEDIA_TYPE[essence]
    if essence.endswith("+json"):
        return "json"
    is_xml = essence in _XML or essence.endswith("+xml")
    if is_xml and contents and all(_is_bpmn(content) for content in contents):
        return "bpmn"
    return "text" if is_xml or essence.startswith("text/") else "binary"


def _is_bpmn(content: bytes) -> bool:
    from casstore.formats.bpmn import is_bpmn  # noqa: PLC0415 - only XML needs it

    return is_bpmn(content)


def _known(name: str) -> Format:
    module, attribute = _PACKAGE[name]
    found: Format = getattr(import_module(module), attribute)
    return found
