"""JSON values: what is stored comes back exactly, and what would not is refused with its place."""

from __future__ import annotations

import decimal
import enum
import json as standard
import math
import sys
from collections import OrderedDict

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats import json

BIG = st.integers(-(10**400), 10**400)
TEXT = st.text()  # never a lone surrogate
SCALARS = st.none() | st.booleans() | st.integers() | BIG | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))


def exact(value):
    """A text in which 1, 1.0 and True differ, as do 0.0 and -0.0 and two orders of the same keys."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {exact(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(exact, value)) + "]"
    return f"{type(value).__name__}({value!r})"


@given(VALUES)
@example([1, 1.0, True, 0, 0.0, -0.0, False, None, ""])
@example({"z": 1, "a": {"": [[], {}]}})
@example([5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1e22, 1e23])
@example(["\x00\x1f\x7f\u2028\ufeff\U0010ffff", "é" * 3, '\\"/\b'])
@example([2**53 + 1, 10**639, -(10**700), 10 ** (sys.get_int_max_str_digits() - 1)])
def test_every_json_value_comes_back_exactly(value):
    assert exact(json.decode(json.encode(value))) == exact(value)


@given(VALUES)
def test_the_bytes_are_json_for_others_too(value):
    encoded = json.encode(value)
    assert exact(standard.loads(encoded.decode("utf-8"))) == exact(value)
    assert b"\n" not in encoded


def test_equal_values_have_equal_bytes_and_order_is_content():
    assert json.encode({"a": 1, "b": 2}) == b'{"a":1,"b":2}'
    assert json.encode({"b": 2, "a": 1}) == b'{"b":2,"a":1}'
    assert json.encode(["ü"]) == '["ü"]'.encode()


def test_subclasses_that_come_back_equal_are_taken():
    class Colour(enum.IntEnum):
        RED = 7

    class Word(str):
        __slots__ = ()

    value = OrderedDict({Word("a"): Word("b"), "c": Colour.RED})
    assert json.decode(json.encode(value)) == value


circular_list: list = [1]
circular_list.append(circular_list)
circular_dict: dict = {}
circular_dict["self"] = circular_dict


def nested(levels):
    value = "bottom"
    for _ in range(levels):
        value = [value]
    return value


REFUSED = {
    "nan": ({"a": [0, math.nan]}, "$['a'][1]", "nan"),
    "inf": ([math.inf], "$[0]", "inf"),
    "-inf": (-math.inf, "$", "-inf"),
    "surrogate value": ({"t": "a\ud800b"}, "$['t']", r"'\ud800'"),
    "surrogate key": ({"x": {"\udfff": 1}}, "$['x']", r"'\udfff'"),
    "surrogate in unicode": (["é\udc80"], "$[0]", r"'\udc80'"),
    "int key": ({"a": {1: 2}}, "$['a']", "the key 1 of type int"),
    "None key": ({None: 2}, "$", "NoneType"),
    "bool key": ({True: 2}, "$", "bool"),
    "float key": ({1.5: 2}, "$", "float"),
    "tuple key": ({(1, 2): 2}, "$", "tuple"),
    "tuple": ({"a": (1, 2)}, "$['a']", "tuple"),
    "set": ([{1}], "$[0]", "set"),
    "Decimal": ([decimal.Decimal("1.5")], "$[0]", "Decimal"),
    "bytes": ({"b": b"raw"}, "$['b']", "bytes"),
    "object": ([object()], "$[0]", "object"),
    "generator": ([(each for each in ())], "$[0]", "generator"),
    "circular list": (circular_list, "$[1][1]", "levels deep"),
    "circular dict": (circular_dict, "$['self']['self']", "levels deep"),
    "too deep": (nested(limits.JSON_MAX_DEPTH + 1), "$[0][0]", "levels deep"),
    "much too deep": (nested(100_000), "$[0][0]", "levels deep"),
    "huge int": ({"n": [10 ** sys.get_int_max_str_digits()]}, "$['n'][0]", "digits"),  # regression: was a ValueError
    "huge negative int": (-(10**50_000), "$", "digits"),
}


@pytest.mark.parametrize(("value", "place", "fault"), REFUSED.values(), ids=REFUSED)
def test_what_would_not_come_back_is_refused_with_its_place(value, place, fault):
    with pytest.raises(Invalid) as caught:
        json.encode(value)
    error = caught.value
    assert error.code is Code.BAD_JSON
    assert error.fields["path"].startswith(place)
    assert place in error.message
    assert fault in error.message
    assert error.hint
    error.message.encode()  # whatever was in the value, the message can be printed
    assert len(error.message) < 2_000


def test_the_deepest_value_comes_back():
    value = nested(limits.JSON_MAX_DEPTH)
    assert json.decode(json.encode(value)) == value


def test_the_shallowest_fault_is_enough_of_a_deep_value():
    with pytest.raises(Invalid):
        json.encode({"deep": nested(150), "wide": [1] * 100_000, "bad": {1, 2}})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b"[1,]",
        b"\xff\xfe\xfd",
        b"nul",
        b"NaN",  # regression: Python's decoder takes these three for JSON
        b"[Infinity]",
        b'{"a":-Infinity}',
        b"[" * 100_000,
        b"1" * (sys.get_int_max_str_digits() + 1),
        b'{"a":1}{"b":2}',
        b"\x89PNG\r\n\x1a\n",
    ],
    ids=lambda data: ascii(data[:12]),
)
def test_what_is_not_json_is_refused_when_read(data):
    with pytest.raises(Invalid) as caught:
        json.decode(data)
    assert caught.value.code is Code.BAD_JSON
