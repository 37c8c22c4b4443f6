"""Pictures inside results, as laws: any result comes back exactly, no picture stays behind, and no broken one gets through."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore import grammar
from casstore.errors import Code, Invalid
from casstore.formats import json, png
from casstore.integrations.visuals import put_back, take_pictures
from tests.unit.visuals_drawn import at, changed, exact, results, steps

pytestmark = pytest.mark.slow

SIGNATURE = "iVBORw0KGgo"  # of PNG, in base64


def restored(taken):
    """The result after a life in the store."""
    return put_back(json.decode(json.encode(taken.result)), {role: each.data for role, each in taken.pictures.items()})


@given(results())
def test_every_result_comes_back_exactly(result):
    before = exact(result)
    taken = take_pictures(result)
    assert exact(restored(taken)) == before
    assert exact(result) == before  # nobody wrote into what is the caller's


@given(results())
def test_what_is_stored_has_no_picture_in_it_and_each_by_itself(result):
    taken = take_pictures(result)
    stored = json.encode(taken.result).decode()
    assert SIGNATURE not in re.sub(r"\\[tnr]| ", "", stored)
    for role, each in taken.pictures.items():
        grammar.check_role(role)
        assert png.inspect(each.data) == each.picture
        for path in each.paths:
            shown = at(restored(taken), path)
            assert at(result, path) == shown


@given(results())
def test_each_stand_in_tells_its_component_and_size(result):
    taken = take_pictures(result)
    told = {}
    todo = [taken.result]
    while todo:
        node = todo.pop()
        if isinstance(node, dict) and str(node.get("storage_path")).startswith("cas:component:"):
            role = node["storage_path"].removeprefix("cas:component:")
            told.setdefault(role, []).append((node["format"], node["width"], node["height"]))
        todo += node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    assert told == {
        role: [("png", each.picture.width, each.picture.height)] * len(each.paths)
        for role, each in taken.pictures.items()
    }


@given(results())
def test_a_picture_has_the_same_role_alone_as_among_others(result):
    """Unless it is among the renderings: there the role depends on what is at the same path beside them."""
    for role, each in take_pictures(result).pictures.items():
        for path in each.paths:
            (alone,) = take_pictures(only(result, steps(path), each.data)).pictures
            assert alone == role or path.startswith("/renderings/")


def only(node, path, value):
    """The dictionaries and lists on the way along this path, with nothing but `value` at its end."""
    if not path:
        return value
    if isinstance(node, list):
        return [None] * int(path[0]) + [only(node[int(path[0])], path[1:], value)]
    return {path[0]: only(node[path[0]], path[1:], value)}


def broken(node):
    """A picture with its end cut off or something foreign in it, in the same form."""
    if isinstance(node, dict):
        return {**node, "image_base64": broken(node["image_base64"])}
    return node + "*" if isinstance(node, str) else type(node)(bytes(node)[:-1])


@given(results(), st.data())
def test_every_broken_picture_is_refused_with_its_path(result, data):
    paths = sorted(path for each in take_pictures(result).pictures.values() for path in each.paths)
    chosen = data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=3, unique=True))
    expected = set()
    for path in chosen:
        expected.add(path + "/image_base64" * isinstance(at(result, path), dict))
        result = changed(result, path, broken)
    with pytest.raises(Invalid) as caught:
        take_pictures(result)
    assert caught.value.code is Code.BAD_PICTURE
    assert {fault["path"] for fault in caught.value.fields["faults"]} == expected
    assert caught.value.fields["count"] == len(expected)
