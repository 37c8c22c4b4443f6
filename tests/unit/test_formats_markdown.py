"""Markdown: sections are found as CommonMark has them, and told as added, removed, renamed, moved or changed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore.errors import Invalid
from casstore.formats.text import MARKDOWN
from casstore.formats.text.sections import sections

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
SOP = b"""---
owner: ops
---
# Restart

Before you begin, tell the team.

## Steps

1. Stop the server.
2. Start the server.

## Rollback

Start the old server.
Tell the team.

## Contacts

The team is in the room.
"""


def test_a_changed_section_is_told_with_its_lines():
    found = MARKDOWN.diff(SOP, SOP.replace(b"old server.\n", b"old server.\nWait.\nLook again.\n"))
    assert found.summary == ("section 'Rollback' changed: 2 lines added",)
    assert [change.path for change in found.changes] == ["+16", "+17"]
    assert found.details["sections"]["changed"] == ["Restart / Rollback"]


def test_a_moved_section_is_no_removed_and_added_one():
    steps, rest = SOP.split(b"## Rollback")
    rollback, contacts = rest.split(b"## Contacts")
    moved = steps + b"## Contacts" + contacts + b"\n## Rollback" + rollback.replace(b"old", b"older")
    found = MARKDOWN.diff(SOP, moved)
    assert {change.op for change in found.changes if change.what == "section"} == {"moved"}
    assert found.details["sections"]["moved"] in (["Restart / Contacts"], ["Restart / Rollback"])
    assert [(c.before, c.after) for c in found.changes if c.what == "line" and c.before and c.before.strip()] == [
        ("Start the old server.\n", "Start the older server.\n")
    ]


@pytest.mark.parametrize(
    ("old", "new", "summary"),
    [
        (b"## Rollback", b"## Going back", "section 'Rollback' is now 'Going back'"),
        (b"## Contacts\n\nThe team is in the room.\n", b"", "section 'Contacts' removed, 3 lines"),
        (b"## Steps", b"## Tools\n\nA key.\n\n## Steps", "section 'Tools' added, 4 lines"),
        (b"## Rollback", b"### Rollback", "section 'Rollback' moved from 'Restart' to 'Restart / Steps'"),
        (b"owner: ops", b"owner: dev", "front matter changed: 1 line changed"),
    ],
)
def test_what_became_of_a_section_is_told(old, new, summary):
    assert summary in MARKDOWN.diff(SOP, SOP.replace(old, new)).summary


def test_children_of_a_renamed_section_have_not_moved():
    found = MARKDOWN.diff(SOP, SOP.replace(b"# Restart", b"# Restarting"))
    assert [change.op for change in found.changes] == ["renamed"]


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("# a #\n## b##\n#c\n####### d\n    # e\n", [("a", 1), ("b##", 2)]),
        ("```\n# a\n```\n~~~~\n# b\n~~~\n# c\n~~~~\n# d\n", [("", 0), ("d", 1)]),
        ("a\n===\n\nb\n---\n\n- c\n---\n\n---\n", [("a", 1), ("b", 2)]),
        ("---\nx: 1\n---\n# a\n", [("front matter", 0), ("a", 1)]),
        ("---\nx: 1\n---\nb\n# a\n", [("front matter", 0), ("", 0), ("a", 1)]),
        ("---\nx: 1\n---\n", [("front matter", 0)]),
        ("\ufeff# a\n", [("a", 1)]),
        ("", []),
    ],
)
def test_headings_are_those_of_commonmark(text, titles):
    assert [(section.title, section.level) for section in sections(text.splitlines(keepends=True))] == titles


LINES = st.sampled_from(["# a\n", "## a\n", "## b\n", "### c ###\n", "d\n", "---\n", "===\n", "```\n", "\n", "- e\n"])


@given(st.lists(LINES, max_size=14))
def test_sections_are_all_of_the_document(lines):
    found = sections(lines)
    assert "".join(section.heading + section.body for section in found) == "".join(lines)
    at = 0
    for section in found:
        assert section.line == at
        at += (section.heading + section.body).count("\n")


def documents():
    """Each Markdown file of the corpus with the next version of it."""
    for folder in sorted({path.parent for path in CORPUS.rglob("*.md") if path.parent != CORPUS}):
        files = [path.read_bytes() for path in sorted(folder.glob("v*.md"))]
        yield from itertools.pairwise(files)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the checkout")
@pytest.mark.slow
def test_real_documents_apply_back_and_their_patches_are_small():
    sizes = []
    for before, after in documents():
        try:
            found = MARKDOWN.diff(before, after)
        except Invalid as error:
            assert "UTF-8" in error.message  # noqa: PT017 - every other pair must go through
            continue
        if before != after:
            assert MARKDOWN.apply(before, found.patch) == after
            assert found.total == len(found.changes) > 0
            patch = json.dumps(found.patch, ensure_ascii=False, separators=(",", ":")).encode()
            sizes.append(len(patch) / max(1, len(after)))
    assert len(sizes) > 300
    assert sorted(sizes)[len(sizes) // 2] < 0.1  # of git's diffs 0.31
