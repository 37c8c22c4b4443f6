"""What is stored becomes a page in three ways: as Markdown, as a tree, as a drawing. Each has laws that hold for any content."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casstore import limits
from casstore.grammar import check_role
from casstore.model import Digest, Lineage, Link, Node, Version
from casstore.web.graph import graph_of
from casstore.web.markdown import html_of
from casstore.web.rendering import size, url
from casstore.web.tree import tree_of
from casstore.web.uploading import roles_of
from tests.web.conftest import Parsed

PROSE = {
    "p",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "li",
    "em",
    "strong",
    "s",
    "a",
    "code",
    "pre",
    "blockquote",
    "hr",
    "br",
    "span",
}
PROSE |= {"table", "thead", "tbody", "tr", "th", "td"}
MARKS = st.text(st.sampled_from("<>\"'&[]()!*_`#|-:/\\\n aexjs"), max_size=60)
HOSTILE = st.sampled_from(
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt&colon;alert(1))",
        "<javascript:alert(1)>",
        "![x](https://elsewhere.example/x.png)",
        "![x](data:image/svg+xml;base64,AAAA)",
        '[x](https://a.example "\\" onclick=\\"alert(1)")',
        "[a]: javascript:alert(1)\n\n[a]",
        "<svg/onload=alert(1)>",
        "```<script>\nx\n```",
        "<!-- x --><style>*{}</style>",
        "<!-- <script>alert(1)</script> -->",
        "<!--",
        "-->",
        "---\nk: </pre><script>alert(1)</script>\n---",
        "[x](docs/x.md)",
        '[x](x.md "" onclick="alert(1)")',
    ]
)
DOCUMENT = st.lists(st.one_of(MARKS, HOSTILE, st.text(max_size=20)), max_size=6).map("\n".join)


@settings(max_examples=60)
@given(DOCUMENT)
@example("[x](//elsewhere.example)")
def test_no_markdown_does_anything(text):
    """LAW: of any document only known elements come, with known attributes, and links that are http, https or mailto."""
    for tag, attributes in Parsed(html_of(text)).elements:
        assert tag in PROSE, tag
        assert set(attributes) <= {"href", "title", "rel", "class", "start"}
        assert tag == "a" or "href" not in attributes
        if "href" in attributes:
            assert attributes["href"].lower().startswith(("http://", "https://", "mailto:", "#"))
            assert "noopener" in attributes["rel"]


def test_headings_of_content_are_below_those_of_the_page():
    assert [tag for tag, _ in Parsed(html_of("# a\n## b\n##### c\n")).elements] == ["h3", "h4", "h6"]


def words(text):
    return "".join(Parsed(html_of(text)).text).split()


@pytest.mark.parametrize("end", ["---", "..."])
def test_front_matter_is_apart_from_the_text(end):
    """It was one bold heading."""
    made = Parsed(html_of(f"---\r\ncover: a.png\r\n\r\ntags: [*a*, <b>]\r\n{end}\r\n# Deputy\r\n"))
    assert made.elements == [("pre", {"class": "front"}), ("h3", {})]
    assert "".join(made.text).split() == ["cover:", "a.png", "tags:", "[*a*,", "<b>]", "Deputy"]


@pytest.mark.parametrize("text", ["---\n# A\n\n---\n", "---\n\nk: v\n\n---\n", "a\n\n---\nk: v\n---\n", "---\nk: v\n"])
def test_a_rule_begins_no_front_matter(text):
    assert "pre" not in {tag for tag, _ in Parsed(html_of(text)).elements}


@pytest.mark.parametrize("to", ["docs/x.md", "/x", "../x.md#a", "?x", "//elsewhere.example/x", "x%20y", ""])
def test_a_link_to_a_place_in_its_repository_is_its_words(to):
    """It was shown as it is written."""
    for text in (f"see [*these* words]({to}), please", f"see [*these* words][r], please\n\n[r]: <{to}>"):
        assert words(text) == ["see", "these", "words,", "please"]
        assert not Parsed(html_of(text)).named("a")
    assert words(f"![a drawing]({to})") == ["picture:", "a", "drawing"]


def test_a_link_to_another_place_stays_one():
    for to in ("https://a.example", "http://a.example", "mailto:a@a.example", "#part"):
        (link,) = Parsed(html_of(f"[x]({to})")).named("a")
        assert link["href"] == to
    assert words("[x](javascript:alert(1))") == ["[x](javascript:alert(1))"]


@pytest.mark.parametrize(
    "text",
    [
        "a\n\n<!-- one line -->\nb",
        "a\n<!-- one line -->\nb",
        "a <!-- *within* a line --> b",
        "a <!-- over\ntwo lines --> b",
        "<!-- over\n\n# many\n\n```\nblocks -->\n\na\n\nb",
        "a\n<!--\nbefore\n\na list\n-->\n\nb",
        "<!-- before -->a b",
        "<!--a--><!--b-->a b",
    ],
)
def test_comments_are_left_out(text):
    assert words(text) == ["a", "b"]


def test_comments_in_lists_and_quotations_are_left_out():
    made = Parsed(html_of("- a <!-- x -->\n  <!-- y -->\n- b\n\n> <!-- z\n>\n> z -->\n> c\n"))
    assert "".join(made.text).split() == ["a", "b", "c"]
    assert [tag for tag, _ in made.elements] == ["ul", "li", "li", "blockquote", "p"]


@pytest.mark.parametrize(
    "text", ["`<!-- a -->`", "```\n<!-- a -->\n```", "    <!-- a -->", "\\<!-- a -->", "<!-- a --", "<! a >"]
)
def test_what_is_no_comment_stays(text):
    assert "a" in words(text)


@pytest.mark.parametrize(
    "mark", ["[", "*", "`", "> ", "<", "![", "- ", "|a", "\\", "<!--", "<!--\n", "<!-- -->", "<!-- -->\n", "[a](b) "]
)
def test_no_markdown_takes_long(mark):
    """Hostile repetitions of the largest document that is shown; the timeout of the test is the bound."""
    html_of(mark * (limits.PAGE_MARKDOWN_BYTES // 16 // len(mark)))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text() | HOSTILE,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8) | HOSTILE, inner, max_size=5),
    max_leaves=30,
)


def nodes(value):
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(nodes, inside))


@settings(max_examples=50)
@given(VALUES)
def test_a_tree_says_all_and_does_nothing(value):
    """LAW: each node of the value is one item of the tree, with its text as it is, and nothing else is there."""
    html, is_whole = tree_of(value)
    parsed = Parsed(html)
    assert is_whole
    assert {tag for tag, _ in parsed.elements} <= {"ul", "li", "details", "summary", "span"}
    assert {name for _, attributes in parsed.elements for name in attributes} <= {"class", "open"}
    assert len(parsed.named("li")) == nodes(value)


@given(st.text())
def test_a_scalar_is_shown_as_json_has_it(text):
    shown = "".join(Parsed(tree_of(text)[0]).text)
    assert shown.replace("\r\n", "\n") == json.dumps(text, ensure_ascii=False).replace("\r\n", "\n")


@pytest.mark.parametrize("value", [list(range(100_000)), {str(n): [n] for n in range(20_000)}, [[[1] * 9] * 9] * 9999])
def test_a_tree_ends(value):
    html, is_whole = tree_of(value)
    assert not is_whole
    assert html.count("<li>") == limits.PAGE_TREE_NODES


def test_a_deep_tree_ends():
    value = []
    for _ in range(900):
        value = [value]
    assert not tree_of(value)[1]


def version(number, name="a/thing"):
    return Version(
        id=UUID(int=number),
        name=f"{name}-{number}",
        number=1,
        type="document",
        title=None,
        labels={},
        metadata={},
        digest=Digest.of(b""),
        components=(),
        relations=(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        state="draft",
    )


def node(number, depth, sources=()):
    links = tuple(Link(source=UUID(int=each), ref=f"a/thing-{each}@1", role="source", newer=None) for each in sources)
    return Node(version=version(number), depth=depth, sources=links)


@st.composite
def lineages(draw):
    """A version, at most so many before and after it, each linked to some one step nearer to the beginning."""
    up, down, number = [], [], 1
    before = [0]
    for depth in (1, 2):
        made = range(number, number + draw(st.integers(0, 12)))
        number = made.stop
        up.append((depth, list(made)))
        before = list(made) or before
    layers = [up[1][1], up[0][1], [0]]
    nodes_up = [node(0, 0, up[0][1])]
    nodes_up += [node(each, 1, up[1][1]) for each in up[0][1]] + [node(each, 2) for each in up[1][1]]
    for depth in (1, 2):
        made = list(range(number, number + draw(st.integers(0, 12))))
        number += len(made)
        down += [node(each, depth, layers[-1]) for each in made]
        layers.append(made)
    return (
        Lineage(versions=tuple(nodes_up), is_complete=True),
        Lineage(versions=(nodes_up[0], *down), is_complete=True),
    )


@settings(max_examples=50)
@given(lineages())
def test_a_drawing_is_clear(lineage):
    """LAW: boxes are inside and do not overlap, the version itself is there once, and each line joins two boxes."""
    graph = graph_of(*lineage)
    places = [(box.x, box.y) for box in graph.boxes]
    assert sum(box.is_center for box in graph.boxes) == 1
    for place, (x, y) in enumerate(places):
        assert 0 <= x <= graph.width - graph.box_width
        assert 0 <= y <= graph.height - graph.box_height
        for other_x, other_y in places[place + 1 :]:
            assert abs(x - other_x) >= graph.box_width or abs(y - other_y) >= graph.box_height
    middles = {y + graph.box_height // 2 for _, y in places}
    for line in graph.lines:
        start, end = line[1:].split("C")[0].split(), line.split()[-2:]
        assert int(start[0]) - graph.box_width in {x for x, _ in places}
        assert int(end[0]) in {x for x, _ in places}
        assert {int(start[1]), int(end[1])} <= middles
    hidden = sum(int(box.label.split()[1]) for box in graph.boxes if not box.ref)
    assert hidden + sum(bool(box.ref) for box in graph.boxes) == len({n.version.id for each in lineage for n in each})


@given(st.integers(0, 10**18))
def test_sizes_are_short(count):
    number, unit = size(count).split()
    assert len(number) <= 5
    assert unit in ("byte", "bytes", "kB", "MB", "GB", "TB", "PB")


FILES = (
    st.text(st.sampled_from("aB9 ._-äß日/()"), max_size=8) | st.text(max_size=80) | st.sampled_from(["a-2.txt", "A.md"])
)


@given(st.lists(FILES, max_size=8))
@example(["a", "a", "a-2", "a-2"])
@example(["x" * 100] * 12)
def test_every_file_has_a_role_of_its_own(names):
    """LAW: whatever files are called, each has a role, which follows the grammar, and no two have one."""
    roles = roles_of(names)
    assert len(set(roles)) == len(roles) == len(names)
    for role in roles:
        check_role(role)


@pytest.mark.parametrize(
    ("file", "role"),
    [
        ("Current_State.md", "current_state"),
        ("A b.txt", "a-b"),
        ("Bericht (neu) für Öl.final.md", "bericht-neu-fur-ol.final"),
        ("2026 plan.md", "file-2026-plan"),
        ("日本.png", "file"),
        ("Straße №3.txt", "strasse-no3"),
        (".env", "env"),
        ("", "file"),
    ],
)
def test_a_role_is_told_from_the_name_of_a_file(file, role):
    assert roles_of([file]) == [role]


def test_files_of_one_name_are_numbered():
    assert roles_of(["A b.txt", "a-b.md", "a b.json", "a-b-2"]) == ["a-b", "a-b-2", "a-b-3", "a-b-2-2"]


@given(st.text(), st.text())
def test_addresses_stay_addresses(path, value):
    """LAW: nothing in a name or a value ends the path or the parameter it stands in."""
    made = url(f"/version/{path}".encode("utf-8", "replace").decode(), q=value.encode("utf-8", "replace").decode())
    assert made.count("?") == bool(value)
    assert not set(made) & set(" \"'<>\\\n#")
