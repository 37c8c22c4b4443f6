"""JSON values that look alike, and pairs of them that have much in common, for the laws of comparing and merging."""

from __future__ import annotations

from hypothesis import strategies as st

ALIKE = st.sampled_from([0, 0.0, -0.0, False, 1, 1.0, True, "1", "", None, 2**53, 2**53 + 1, float(2**53), 10**30])
TEXT = st.sampled_from(["a", "b", "é", "~", "/", "~1", "", "0", "-", "id", "name", '"', "\\", "\u2028"])
SCALARS = ALIKE | TEXT | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.sampled_from(["id", "name", "a", "b", "c", "~/", "", "items"])


def containers(inner):
    item = st.builds(
        lambda known, rest: {**rest, "id": known}, st.integers(0, 5), st.dictionaries(KEYS, inner, max_size=3)
    )
    items = st.lists(item, max_size=6, unique_by=lambda each: each["id"])
    return st.lists(inner, max_size=6) | st.dictionaries(KEYS, inner, max_size=4) | items


VALUES = st.recursive(SCALARS, containers, max_leaves=25)


def exact(value):
    """A text in which 1, 1.0 and True differ, as do 0.0 and -0.0; not two orders of the same keys."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {exact(child)}" for key, child in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(exact, value)) + "]"
    return f"{type(value).__name__}({value!r})"


@st.composite
def edited(draw, value):
    """The value with some of it changed, moved, renamed, added or taken away."""
    if draw(st.integers(0, 9)) == 0:
        return draw(VALUES)
    if isinstance(value, dict):
        made = {key: draw(edited(child)) for key, child in value.items() if draw(st.integers(0, 6))}
        if made and draw(st.integers(0, 3)) == 0:
            made[draw(KEYS)] = made.pop(draw(st.sampled_from(sorted(made))))
        return made | (draw(st.dictionaries(KEYS, VALUES, max_size=1)) if draw(st.integers(0, 3)) == 0 else {})
    if isinstance(value, list):
        made = [draw(edited(child)) for child in value if draw(st.integers(0, 6))]
        for _ in range(draw(st.integers(0, 2))):
            if made:
                made.insert(draw(st.integers(0, len(made) - 1)), made.pop(draw(st.integers(0, len(made) - 1))))
        if draw(st.integers(0, 3)) == 0:
            made.insert(draw(st.integers(0, len(made))), draw(VALUES))
        return made
    return draw(SCALARS) if draw(st.integers(0, 4)) == 0 else value


@st.composite
def pairs(draw):
    one = draw(VALUES)
    return one, draw(edited(one))


@st.composite
def triples(draw):
    base = draw(VALUES)
    return base, draw(edited(base)), draw(edited(base))
