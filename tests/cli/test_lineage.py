"""Where versions come from, on the command line: sources, trees, what is stale, PROV; and bytes and pictures that are shared."""

from __future__ import annotations

import struct
import zlib

import pytest
from prov.model import ProvDerivation, ProvDocument, ProvEntity

from tests.unit.png_maker import END, assembled, ihdr


@pytest.fixture
def made(call, put):
    """A report from a workflow, which is from an SOP that has been replaced by now."""
    put("sop/login", "first")
    put("workflow/x", "flow", "--source", "sop/login@1=template")
    put("report/q", "report", "--source", "workflow/x", "--source", "sop/login@1", "--source", "sop/login@1=style")
    put("sop/login", "second")
    assert call("state", "sop/login@2", "accepted", "--by", "me").code == 0


def test_lineage_as_a_tree(call, made):
    assert call("lineage", "report/q").text.splitlines() == [
        "report/q@1  stale: sop/login@1 → @2",
        "├── workflow/x@1  stale: sop/login@1 → @2",
        "│   └── sop/login@1 as template",
        "└── sop/login@1 as source, style  (*)",
        "(*) told above",
    ]
    assert call("lineage", "report/q", "--depth", 1).text.splitlines()[1:] == [
        "├── workflow/x@1  stale: sop/login@1 → @2",
        "│   └── sop/login@1 as template",
        "└── sop/login@1 as source, style  (*)",
        "(*) told above",
    ]
    assert call("lineage", "report/q", "--depth", 0).text.splitlines() == [
        "report/q@1  stale: sop/login@1 → @2",
        "└── … 2 more",
    ]
    assert call("lineage", "sop/login@1", "--down").text.splitlines() == [
        "sop/login@1",
        "├── workflow/x@1 as template  stale: sop/login@1 → @2",
        "│   └── report/q@1  stale: sop/login@1 → @2",
        "└── report/q@1 as source, style  (*)",
        "(*) told above",
    ]


def test_what_is_stale_below_a_version(call, made, put):
    done = call("lineage", "sop/login@1", "--down", "--stale")
    assert [line.split() for line in done.text.splitlines()[1:]] == [
        ["workflow/x@1", "sop/login@1", "→", "@2"],
        ["report/q@1", "sop/login@1", "→", "@2"],
    ]
    found = call("lineage", "sop/login@1", "--down", "--stale", "--json").json
    assert [item["ref"] for item in found["items"]] == ["workflow/x@1", "report/q@1"]
    put("note/x", "note", "--source", "workflow/x")
    fresh = call("lineage", "note/x", "--stale", "--depth", 0)
    assert (fresh.text, fresh.err) == ("", "Nothing is stale.\n")


def test_a_version_that_is_stale_by_what_is_not_in_the_lineage(call, made):
    """The report is below the workflow; the SOP, which has a newer version, is not."""
    assert call("lineage", "workflow/x", "--down").text.splitlines() == [
        "workflow/x@1  stale: sop/login@1 → @2",
        "└── report/q@1  stale: sop/login@1 → @2",
    ]


def test_a_revision_is_not_stale_by_itself_or_its_successors(call, put):
    put("a/x", "one")
    put("a/x", "two", "--source", "a/x@1")
    assert call("state", "a/x", "accepted", "--by", "me").code == 0
    assert call("lineage", "a/x").text.splitlines() == ["a/x@2  accepted", "└── a/x@1"]
    put("a/x", "three", "--source", "a/x@2")
    assert call("state", "a/x", "accepted", "--by", "me").code == 0
    assert not call("lineage", "a/x@1", "--down", "--stale").text


def test_lineage_for_programs(call, made):
    found = call("lineage", "report/q", "--json").json
    assert set(found) == {"items", "is_complete"}
    assert [(item["ref"], item["depth"], item["is_stale"]) for item in found["items"]] == [
        ("report/q@1", 0, True),
        ("sop/login@1", 1, False),
        ("workflow/x@1", 1, True),
    ]
    head, sop, flow = found["items"]
    assert [(link["ref"], link["id"], link["role"], link["newer"]) for link in head["sources"]] == [
        ("workflow/x@1", flow["id"], "source", None),
        ("sop/login@1", sop["id"], "source", "sop/login@2"),
        ("sop/login@1", sop["id"], "style", "sop/login@2"),
    ]
    assert call("lineage", "report/q", "--format", "json").json == found
    below = call("lineage", "workflow/x", "--down", "--json").json["items"]
    assert below[1]["sources"] == head["sources"]


def test_lineage_as_prov_in_a_file(call, made, tmp_path):
    target = tmp_path / "lineage.json"
    done = call("lineage", "report/q", "--format", "prov", "-o", target)
    assert done.text.startswith(f"{target}  ")
    document = ProvDocument.deserialize(content=target.read_text(), format="json")
    assert len(list(document.get_records(ProvEntity))) == 3
    assert len(list(document.get_records(ProvDerivation))) == 4
    assert call("lineage", "report/q", "--format", "prov").text == target.read_text()
    again = call("lineage", "report/q", "-o", target, "--json")
    assert (again.code, again.error["error"]) == (2, "unwritable_target")
    replaced = call("lineage", "report/q", "-o", target, "--force", "--format", "text", "--json")
    assert replaced.json == {"path": str(target), "size_bytes": target.stat().st_size}
    assert target.read_text().startswith("report/q@1  stale")


def test_nothing_to_tell_is_said(call, put):
    put("a/x", "one")
    assert call("lineage", "a/x").text == "a/x@1\n"
    assert "Nobody said" in call("lineage", "a/x").err
    assert call("lineage", "a/x", "--down").err == "Nothing was made from it.\n"
    put("a/x", "two")
    assert "below that one: a/x@1" in call("lineage", "a/x", "--down", "--stale").err


def test_show_tells_what_a_version_was_made_from(call, made):
    document = call("show", "report/q", "--json").json
    assert [(link["ref"], link["role"], link["newer"]) for link in document["sources"]] == [
        ("workflow/x@1", "source", None),
        ("sop/login@1", "source", "sop/login@2"),
        ("sop/login@1", "style", "sop/login@2"),
    ]
    lines = [line.split() for line in call("show", "report/q").text.splitlines()]
    assert ["sop/login@1", "style", "sop/login@2"] in lines
    assert "MADE FROM" not in call("show", "sop/login@1").text


def test_the_same_content_from_other_sources_is_another_version(call, put, tmp_path):
    for name in ("a/x", "a/y"):
        put(name, name)
    first = put("b/x", "same", "--source", "a/x")
    assert put("b/x", "same")["number"] == first["number"]
    assert put("b/x", "same", "--source", "a/x@1")["reused"]
    assert put("b/x", "same", "--source", "a/y")["number"] == 2


def test_dedup(call, put, tmp_path):
    assert call("dedup").text.splitlines() == [
        "Versions: 0 of 0 artifacts",
        "Bytes: 0 B in all versions · 0 B stored · 0 B saved (0.0 %)",
    ]
    put("a/x", "0123456789")
    put("a/y", "0123456789")
    put("a/z", "other")
    put("b/x", "ab", "--on-same", "new_version")
    put("b/x", "ab", "--on-same", "new_version")
    told = call("dedup").text.splitlines()
    assert told[:2] == [
        "Versions: 5 of 4 artifacts",
        "Bytes: 29 B in all versions · 17 B stored · 12 B saved (41.4 %)",
    ]
    assert [line.split()[:6] for line in told[4:]] == [
        ["10", "B", "2", "10", "B", "text/plain"],
        ["2", "B", "2", "2", "B", "text/plain"],
    ]
    assert told[4].endswith("a/x, a/y")
    document = call("dedup", "--json", "--limit", 1).json
    assert (document["logical_bytes"], document["stored_bytes"], document["saved_bytes"]) == (29, 17, 12)
    assert [(item["uses"], item["saved_bytes"], item["names"]) for item in document["items"]] == [
        (2, 10, ["a/x", "a/y"])
    ]
    assert len(call("dedup", "--json").json["items"]) == 2


def grey(tmp_path, name, level):
    """A grey picture of two pixels, compressed at this level."""
    scanline = b"\x00" + struct.pack("BB", 7, 200)
    path = tmp_path / f"{name}.png"
    path.write_bytes(assembled([ihdr(2, 1, 8, 0), (b"IDAT", zlib.compress(scanline, level)), END]))
    return path


def test_the_same_picture_however_it_is_encoded(call, tmp_path):
    for name, level in (("a", 0), ("b", 9)):
        assert call("put", f"visual/{name}", grey(tmp_path, name, level)).code == 0
    assert "No version" not in call("where-used", "visual/a#main").err
    assert [item["ref"] for item in call("where-used", "visual/a#main", "--json").json["items"]] == ["visual/a@1"]
    found = call("where-used", "visual/a", "--pixels", "--json").json
    assert set(found) == {"pixels", "items", "cursor"}
    assert [item["ref"] for item in found["items"]] == ["visual/b@1", "visual/a@1"]
    assert {item["components"][0]["pixels"] for item in found["items"]} == {found["pixels"]}
    page = call("where-used", "visual/a", "--pixels", "--limit", 1)
    assert [line.split()[0] for line in page.text.splitlines()] == ["VERSION", "visual/b@1"]
    cursor = page.err.split("--cursor ")[1].strip()
    rest = call("where-used", "visual/a", "--pixels", "--cursor", cursor, "--json").json
    assert [item["ref"] for item in rest["items"]] == ["visual/a@1"]
