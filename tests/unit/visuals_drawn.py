"""Results with pictures anywhere, in every form, and what tells two results apart that == takes for one."""

from __future__ import annotations

import base64
import functools

from hypothesis import strategies as st

from tests.unit.kind_parts import png_bytes

DATA_URL = "data:image/png;base64,"
PLAIN_KEYS = [
    "a",
    "b",
    "a.b",
    "",
    "A",
    "ü",
    "~",
    "/",
    "~1",
    "0",
    "renderings",
    "storage_path",
    "original",
    "keys",
    "format",
]
PICTURE_KEYS = ["a_visual", "b_chart", "A_visual", "_visual", "ü_chart", "a.b_visual", "x" * 70 + "_visual", "~/_chart"]
COVERED = ["storage_path", "format", "width", "height", "original", "title"]

pngs = st.builds(png_bytes, st.integers(1, 6), st.integers(1, 6))
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
whitespace = st.text(" \t\r\n", min_size=1, max_size=3)


def encoded(data):
    return base64.b64encode(data).decode()


@st.composite
def spelled(draw, data):
    """Base64 of `data`, broken into lines or anywhere, or not at all."""
    text = encoded(data)
    match draw(st.sampled_from(["whole", "lines", "anywhere"])):
        case "lines":
            width, end = draw(st.integers(1, 80)), draw(st.sampled_from(["\n", "\r\n"]))
            text = end.join(text[at : at + width] for at in range(0, len(text), width)) + draw(
                st.sampled_from(["", end])
            )
        case "anywhere":
            for at in sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)), reverse=True):
                text = text[:at] + draw(whitespace) + text[at:]
    return text


@st.composite
def urls(draw, data):
    return draw(st.sampled_from([DATA_URL, DATA_URL.upper(), "Data:image/PNG;base64,"])) + draw(spelled(data))


@st.composite
def pictures(draw, inner):
    """A picture by itself, or a dictionary with one and more."""
    data = draw(pngs)
    binary = st.sampled_from([data, bytearray(data), memoryview(data)])
    if draw(st.booleans()):
        return draw(binary | urls(data) | st.just(encoded(data)))
    others = draw(st.dictionaries(st.sampled_from([*COVERED, *PLAIN_KEYS]), inner, max_size=3))
    value = draw(binary | urls(data) | spelled(data))
    return dict(draw(st.permutations([*others.items(), ("image_base64", value)])))


def grown(inner, keys):
    return st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys), inner, max_size=3)


inside = st.recursive(
    scalars | pictures(scalars),
    lambda inner: grown(inner, [*PLAIN_KEYS, *PICTURE_KEYS]) | pictures(inner),
    max_leaves=6,
)
below_keys = st.dictionaries(st.sampled_from(PICTURE_KEYS), inside, min_size=1, max_size=2)
values = st.recursive(
    scalars | below_keys, lambda inner: grown(inner, [*PLAIN_KEYS, "image_base64"]) | below_keys, max_leaves=6
)


@st.composite
def results(draw):
    """At least one picture, and now and then the same or another at the same path among the renderings."""
    result = draw(st.dictionaries(st.sampled_from(PLAIN_KEYS), values, max_size=2)) | draw(below_keys)
    result["a_visual"] = draw(pictures(inside))
    if draw(st.booleans()):
        result["renderings"] = {"a_visual": draw(st.just(result["a_visual"]) | pictures(scalars)), **draw(below_keys)}
    return dict(draw(st.permutations(list(result.items()))))


def exact(value):
    """A text in which types, the order of keys, and 0.0 and -0.0 differ."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key!r}: {exact(child)}" for key, child in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(exact, value)) + "]"
        case memoryview():
            return f"memoryview({bytes(value)!r})"
    return f"{type(value).__name__}({value!r})"


def steps(pointer):
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def at(result, pointer):
    """What is at this path."""
    return functools.reduce(
        lambda node, step: node[int(step) if isinstance(node, list) else step], steps(pointer), result
    )


def changed(node, pointer, change):
    """A copy in which `change` was made to what is at this path."""
    path = steps(pointer) if isinstance(pointer, str) else pointer
    if not path:
        return change(node)
    if isinstance(node, list):
        return [
            changed(child, path[1:], change) if str(index) == path[0] else child for index, child in enumerate(node)
        ]
    return {key: changed(child, path[1:], change) if key == path[0] else child for key, child in node.items()}
