"""Embeddings: rows are matched, changed ones told from noise and from another encoding; what is no array of numbers is refused."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats.embeddings import NPY, diff_json, diff_maps, diff_npy
from tests.support.limited import Case, limited

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
SHAPES = st.tuples(st.integers(0, 6), st.integers(0, 5))
TYPES = st.sampled_from(["<f2", "<f4", ">f4", "<f8", "<i4", "|u1", "|b1"])


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


@st.composite
def arrays(draw, shape=None):
    rows, width = shape or draw(SHAPES)
    numbers = st.integers(0, 200) if shape is None else st.integers(0, 2)
    return np.array(draw(st.lists(numbers, min_size=rows * width, max_size=rows * width))).reshape(rows, width)


@given(arrays(), TYPES, st.booleans(), TYPES, st.booleans())
def test_the_same_numbers_otherwise_kept_differ_in_encoding_only(array, one, fortran, other, also):
    if "b1" in one + other:
        array = array % 2
    before = npy(array.astype(one, order="F" if fortran else "C"))
    after = npy(array.astype(other, order="F" if also else "C"))
    assert NPY.diff(before, after).depth == ("same" if before == after else "encoding")


@given(st.data(), SHAPES, st.integers(0, 6))
def test_rows_are_counted_as_a_plain_loop_does(data, shape, more):
    old, new = data.draw(arrays(shape)).astype("<f4"), data.draw(arrays((more, shape[1]))).astype("<f4")
    found = NPY.diff(npy(old), npy(new))
    common = min(len(old), len(new))
    changed = [i for i in range(common) if old[i].tolist() != new[i].tolist()]
    rows = found.details.get("rows")
    if found.depth in ("same", "encoding"):
        assert (len(old), changed) == (len(new), [])
    else:
        assert rows["changed"] == len(changed)
        assert (rows["added"], rows["removed"]) == (len(new) - common, len(old) - common)
        assert [change.path for change in found.changes if change.op == "changed"] == [str(i) for i in changed]
    assert found.total == len(found.changes)


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)))
def test_rows_are_matched_by_their_keys(order, gone, edited):
    old = np.eye(6, dtype="<f4")
    kept = [i for i in order if i not in gone]
    new = old[kept].copy()
    for at, i in enumerate(kept):
        if i in edited:
            new[at] *= -1
    found = diff_npy(npy(old), npy(new), [f"k{i}" for i in range(6)], [f"k{i}" for i in kept])
    paths = {
        op: {change.path for change in found.changes if change.op == op and change.path}
        for op in ("removed", "changed")
    }
    assert paths["removed"] == {f"k{i}" for i in gone}
    if found.depth == "meaning":
        assert paths["changed"] == {f"k{i}" for i in kept if i in edited}


@pytest.mark.parametrize(("dtype", "far"), [("<f2", 1), ("<f4", 20), ("<f8", 20)])
def test_what_is_within_the_error_of_arithmetic_is_noise(dtype, far):
    old = np.random.default_rng(1).normal(size=(50, 32)).astype(dtype)
    eps = np.finfo(dtype).eps
    new = (old.astype("f8") * (1 + far * eps)).astype(dtype)
    found = NPY.diff(npy(old), npy(new))
    assert (found.depth, found.details["rows"]["changed"]) == ("noise", 0)
    new[3] = new[3] * (1 + 400 * eps)
    found = NPY.diff(npy(old), npy(new))
    assert (found.depth, found.details["rows"]["changed"]) == ("meaning", 1)
    assert [change.path for change in found.changes if change.depth == "meaning"] == ["3"]


def test_rows_are_told_by_their_place_in_all_of_the_array(monkeypatch):
    monkeypatch.setattr(limits, "COMPARED_NUMBERS", 6)
    old = np.ones((20, 3), "f4")
    new = old.copy()
    new[[1, 7, 8, 19]] *= [[2], [-1], [3], [1 + 1e-6]]
    for keys in ((), ([*map(str, range(20))],) * 2):
        found = diff_npy(npy(old), npy(new), *keys)
        assert [(change.path, change.depth) for change in found.changes] == [
            ("1", "meaning"), ("7", "meaning"), ("8", "meaning"), ("19", "noise")
        ]  # fmt: skip


def test_whole_numbers_have_no_noise():
    assert NPY.diff(npy(np.array([[10**6]])), npy(np.array([[10**6 + 1]]))).depth == "meaning"


def test_the_shifts_are_those_of_the_cosines():
    old = np.array([[1, 0], [1, 0], [1, 0], [0, 0], [1, 1]], "f8")
    new = np.array([[0, 1], [-1, 0], [2, 0], [1, 0], [1, 1]], "f8")
    found = NPY.diff(npy(old), npy(new))
    assert found.details["cosine_shift"] == {"min": 0.0, "median": 1.0, "p95": 2.0, "max": 2.0}
    assert found.details["rows"] == {"added": 0, "removed": 0, "changed": 4, "noise": 0, "moved": 0}
    assert found.details["largest_difference"] == 2.0


def test_what_is_no_number_is_compared_as_itself():
    old = np.array([[np.nan, 1], [np.inf, 1], [-0.0, 1]], "f4")
    assert NPY.diff(npy(old), npy(old.astype("f8"))).depth == "encoding"
    assert NPY.diff(npy(old), npy(np.abs(old))).depth == "noise"
    other = old.copy()
    other[1, 0] = -np.inf
    found = NPY.diff(npy(old), npy(other))
    assert (found.details["rows"]["changed"], found.details["cosine_shift"]) == (1, None)


def test_rows_of_another_length_are_told_and_not_compared():
    found = NPY.diff(npy(np.zeros((2, 3))), npy(np.zeros((3, 4))))
    assert [change.what for change in found.changes] == ["shape", "row"]
    assert found.summary[1] == "rows are of 4 numbers, were of 3: they are not compared"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "does not begin as one"),
        (npy(np.zeros((2, 2)))[:-1], "its header promises"),
        (npy(np.zeros((2, 2), "c8")), "numbers that are not compared"),
        (npy(np.array([2**60])), "above 2\\^53"),
    ],
)
def test_what_is_no_array_to_be_compared_is_refused(data, why):
    for pair in ((data, npy(np.zeros((1, 1)))), (npy(np.zeros((1, 1))), data)):
        with pytest.raises(Invalid, match=why) as refused:
            NPY.diff(*pair)
        assert refused.value.code == Code.NOT_COMPARABLE


def test_json_rows_are_matched_by_id_or_position():
    rows = [{"id": name, "vector": [number, 1]} for number, name in enumerate("abc")]
    other = [rows[2], {"id": "b", "vector": [5, 1]}, {"id": "d", "vector": [0, 0]}]
    found = diff_json(json.dumps(rows).encode(), json.dumps(other).encode())
    assert [(change.op, change.path) for change in found.changes] == [
        ("removed", "a"),
        ("changed", "b"),
        ("added", "d"),
    ]
    plain = diff_json(b"[[1, 2], [3, 4]]", b"[[1.0, 2], [3, 5]]")
    assert [(change.op, change.path) for change in plain.changes] == [("changed", "1")]
    assert diff_json(b"[[1, 2]]", b"[[1.0,2]]").depth == "encoding"


@pytest.mark.parametrize(
    "data", [b"{}", b"[1]", b"[[1],[1,2]]", b'[["1"]]', b"[[true]]", b'[{"id": "a"}]', b"[[1e308]]"]
)
def test_json_that_is_no_array_of_rows_is_refused(data):
    with pytest.raises(Invalid) as refused:
        diff_json(data, b"[[1]]")
    assert refused.value.code == Code.NOT_COMPARABLE


def test_maps_are_compared_by_what_they_refer_to():
    links = [
        {"row": 0, "document": "a", "nearest": [{"row": 1, "document": "b", "cosine": 0.5}]},
        {"row": 1, "document": "b", "nearest": [{"row": 0, "document": "a", "cosine": 0.5}]},
    ]
    encoded = json.dumps({"rows": 2, "links": links}).encode()
    assert diff_maps(encoded, json.dumps({"links": links[::-1], "rows": 2}).encode()).depth == "formatting"
    shifted = json.loads(encoded.replace(b'"row": 1', b'"row": 7'))
    names = {0: "a#0", 1: "b#0"}, {0: "a#0", 7: "b#0"}
    assert diff_maps(encoded, json.dumps(shifted).encode(), *names).depth == "formatting"
    assert diff_maps(encoded, json.dumps(shifted).encode()).depth == "meaning"
    found = diff_maps(encoded, encoded.replace(b"0.5}]}]", b"0.6}]}]"))
    assert [(c.path, c.before, c.after) for c in found.changes] == [
        ("links / document b, row 1 / nearest / document a, row 0 / cosine", 0.5, 0.6)
    ]
    assert diff_maps(encoded, encoded.replace(b"0.5", b"0.500001")).depth == "noise"


def test_the_extra_is_named_where_numpy_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(Invalid) as refused:
        NPY.diff(b"", b"")
    assert refused.value.code == Code.BAD_CONFIG
    assert "casstore[embeddings]" in refused.value.hint


SETUP = """
import numpy as np, io
from casstore.formats.embeddings import NPY
def made(seed, rows=43690, width=384):
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(seed).random((rows, width), dtype='f4'))
    return buffer.getvalue()
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", ["made(2)", "made(1)[:-4] + bytes(4)"])
def test_64_mib_are_compared_in_bounded_time_and_memory(after):
    assert limited(Case(SETUP, ("made(1)", after)), "NPY.diff(*arguments)") == "answered"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the checkout")
def test_real_and_hostile_arrays():
    v1, v2 = ((CORPUS / "embedding" / "sop-hybrid" / f"v000{n}" / "unstructured.npy").read_bytes() for n in (1, 2))
    assert NPY.diff(v1, v2).depth == "meaning"
    again = (CORPUS / "embedding" / "sop-hybrid-reembedded" / "v0001" / "unstructured.npy").read_bytes()
    assert NPY.diff(v1, again).depth == "noise"
    hostile = {path.parent.name + path.stem[-1]: path.read_bytes() for path in (CORPUS / "hostile").glob("npy-*/*.npy")}
    for number in "2345":
        assert NPY.diff(hostile["npy-orders1"], hostile["npy-orders" + number]).depth == "encoding"
    assert NPY.diff(hostile["npy-ulp1"], hostile["npy-ulp2"]).depth == "noise"
    assert NPY.diff(hostile["npy-nan1"], hostile["npy-nan2"]).depth in ("noise", "encoding")
    for name, data in hostile.items():
        if name.startswith(("npy-cut", "npy-lying", "npy-object")):
            with pytest.raises(Invalid):
                NPY.diff(data, v1)
        else:
            NPY.diff(data, v1)
