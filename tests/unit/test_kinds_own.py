"""Kinds of one's own: functions and models, registered once; and the parts as they reach them."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel, Field

from casstore import Components, Invalid, UsageError, kinds, limits
from casstore.errors import Code
from casstore.kinds import Fault, Kind, Relation, Role, registry
from casstore.staging import stage
from tests.unit.kind_parts import JSON, MARKDOWN, TEXT, Part, as_json, faults, npy_bytes, told


@pytest.fixture
def registered(monkeypatch):
    """Registers kinds for one test."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))
    return kinds.register


# -- kinds of one's own -----------------------------------------------------------------------------------------------------


def test_a_function_is_a_kind(registered):
    def rule(parts):
        if parts["main"].json().get("total", 0) < 0:
            yield Fault("main", "/total", "is negative")

    registered(Kind(name="invoice", rule=rule, links=(Relation("main", "answers", "order"),)))
    assert faults("invoice", main=as_json({"total": 1}), anything=TEXT) == []
    assert faults("invoice", main=as_json({"total": -1})) == ["main/total is negative"]
    assert faults("invoice", main=Part(b"{", JSON))[0].startswith("main is not JSON: ")
    assert told(kinds.compose("invoice", {"main": as_json({}), "order": TEXT})) == ["main answers order"]


def test_a_function_may_answer_a_list(registered):
    registered(Kind(name="invoice", rule=lambda parts: [Fault(role, "", "is here") for role in parts]))
    assert faults("invoice", a=TEXT, b=TEXT) == ["a is here", "b is here"]


def test_one_composition_may_be_part_of_another(registered):
    number, scan = Role(name="number"), Role(name="scan")
    registered(Kind(name="invoice", compositions=((number, scan), (number,))))
    assert faults("invoice", number=TEXT) == []
    assert faults("invoice", number=TEXT, scan=TEXT) == []
    assert faults("invoice", scan=TEXT) == ["number is missing"]


@pytest.mark.parametrize(
    "rule",
    [lambda _: 1 / 0, lambda _: None, lambda _: ["text"], lambda parts: parts["x"], lambda _: iter(lambda: 1 / 0, 0)],
)
def test_a_check_that_fails_is_a_bug_of_its_program(registered, rule):
    registered(Kind(name="invoice", rule=rule))
    with pytest.raises(UsageError, match="the check of invoice failed: ") as failed:
        kinds.compose("invoice", {"main": TEXT})
    assert failed.value.code is Code.KIND_FAILED


def test_the_check_of_a_role_that_fails_names_the_role(registered):
    registered(Kind(name="invoice", compositions=((Role(name="main", check=lambda _: 1 / 0),),)))
    with pytest.raises(UsageError, match="the check of main failed: ZeroDivisionError"):
        kinds.compose("invoice", {"main": TEXT})


class Line(BaseModel):
    price: int = Field(ge=0)


class Invoice(BaseModel):
    lines: list[Line]


def test_a_model_is_a_kind_of_the_role_main(registered):
    registered(kinds.of_model("invoice", Invoice))
    assert faults("invoice", main=as_json({"lines": [{"price": 3}]}), scan=TEXT) == []
    assert faults("invoice", scan=TEXT) == ["main is missing"]
    assert faults("invoice", main=as_json({"lines": [{"price": 3}, {"price": -3}, {}]})) == [
        "main/lines/1/price is refused: Input should be greater than or equal to 0",
        "main/lines/2/price is refused: Field required",
    ]


@pytest.mark.parametrize("data", [b"", b"{", b'{"lines": NaN}', b"\xff\xfe", b"[" * 5_000, b'"\\ud800"', b"1" * 5_000])
def test_a_model_refuses_what_is_no_json(registered, data):
    registered(kinds.of_model("invoice", Invoice))
    (fault,) = kinds.check("invoice", {"main": Part(data, JSON)})
    assert (fault.role, fault.path) == ("main", "")


def test_models_by_role_are_all_checked(registered):
    registered(kinds.of_model("order", {"line": Line, "invoice": Invoice, "other": Line}))
    found = faults("order", line=Part(b"?", JSON), invoice=as_json({}))
    assert [text.split(" is ")[0] for text in found] == ["line", "invoice/lines", "other"]


def test_a_name_is_registered_once_unless_it_is_to_be_replaced(registered):
    first, second = Kind(name="invoice"), kinds.of_model("invoice", Invoice)
    assert registered(first) is first
    with pytest.raises(UsageError) as refused:
        registered(second)
    assert refused.value.code is Code.KIND_EXISTS
    assert kinds.kind_of("invoice") is first
    registered(second, replace=True)
    assert kinds.kind_of("invoice") is second


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind(name="Invoice"), Code.BAD_TYPE),
        (Kind(name="invoice", links=(Relation("main", "Is A", "main"),)), Code.BAD_ROLE),
        (Kind(name="invoice", links=(Relation("", "is", "main"),)), Code.BAD_ROLE),
    ],
)
def test_words_that_enter_the_catalog_keep_its_grammar(registered, kind, code):
    with pytest.raises(Invalid) as refused:
        registered(kind)
    assert refused.value.code is code
    assert kinds.kind_of(kind.name) is None


# -- pieces -----------------------------------------------------------------------------------------------------------------


def test_what_a_put_has_staged_is_a_source(tmp_path):
    path = tmp_path / "vectors.npy"
    path.write_bytes(npy_bytes())

    async def main():
        data = Components(structured=[1, 2, 3], unstructured=path, correlation_map={"links": [{"row": 3}]})
        return await stage(data)

    staged = asyncio.run(main())
    found = list(map(str, kinds.check("hybrid_embedding", staged)))
    assert found == [
        "correlation_map/links/0/row points to row 3, and structured has 3 rows",
        "correlation_map/links/0/row points to row 3, and unstructured has 3 rows",
    ]


class Huge:
    """A source that must not be opened for as many bytes as it says it has."""

    media_type = JSON
    size_bytes = limits.CHECKED_MAX_BYTES + 1

    def open(self):
        raise AssertionError("opened")


@pytest.mark.parametrize("name", ["roadmap", "mine"])
def test_what_is_too_large_to_check_is_a_fault(registered, name):
    registered(kinds.of_model("mine", Invoice))
    (fault,) = kinds.check(name, {"main": Huge()})
    assert (fault.role, fault.path) == ("main", "")
    assert fault.message == "has 33554433 bytes, and up to 33554432 can be checked"


class Lost:
    media_type = JSON
    size_bytes = 10

    def open(self):
        raise FileNotFoundError(2, "No such file or directory")


@pytest.mark.parametrize(("name", "role"), [("roadmap", "main"), ("hybrid_embedding", "structured")])
def test_a_piece_that_cannot_be_read_is_not_the_fault_of_its_content(name, role):
    with pytest.raises(Invalid, match=f"the component {role} cannot be read: No such file") as refused:
        kinds.check(name, {role: Lost()})
    assert refused.value.code is Code.UNREADABLE_SOURCE


def test_short_reads_are_continued():
    class Trickle(Part):
        def open(self):
            source = super().open()
            whole = source.read
            source.read = None  # never the whole at once

            class One:
                def __enter__(self):
                    return self

                def __exit__(self, *exc):
                    source.close()

                def read(self, size):
                    return whole(min(size, 3))

            return One()

    piece = kinds.Piece("main", Trickle(b"0123456789", MARKDOWN))
    assert (piece.bytes(), piece.head(4), piece.head(99)) == (b"0123456789", b"0123", b"0123456789")
