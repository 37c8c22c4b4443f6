"""Text: what is compared applies back byte for byte, whatever it is; merges obey their laws; nothing takes long."""

from __future__ import annotations

import difflib
import json
import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats.comparison import DEPTHS, deepest
from casstore.formats.text import MARKDOWN, TEXT, unified
from casstore.formats.text.alignment import Budget, align, differing
from casstore.formats.text.lines import in_common, in_markdown, in_text
from casstore.formats.text.words import tokens
from casstore.model import Digest
from tests.support.limited import Case, limited

FORMATS = pytest.mark.parametrize("form", [TEXT, MARKDOWN], ids=lambda form: form.name)
WORDS = st.sampled_from(["a", "b", "the", "server", "é", "🙂", "#", "##", "-", "```", "---", "\t", "\ufeff", ","])
LINES = st.builds(lambda words, end: " ".join(words) + end, st.lists(WORDS, max_size=5), st.sampled_from(
    ["\n", "\r\n", "  \n", " \n", "\r", "   \r\n", " \t  \n", "  \t\n", "  \r\r\n", "\n\n"]
))  # fmt: skip
TEXTS = st.lists(LINES, max_size=9).map("".join)


@st.composite
def edited(draw, count=2):
    """A text, and others made from it by a few edits."""
    lines = draw(st.lists(LINES, max_size=9))
    texts = ["".join(lines)]
    for _ in range(count - 1):
        other = list(lines)
        for _ in range(draw(st.integers(0, 3))):
            at = draw(st.integers(0, len(other)))
            other[at : at + draw(st.integers(0, 2))] = draw(st.lists(LINES, max_size=2))
        text = "".join(other)
        texts.append(text.rstrip("\n") if draw(st.booleans()) else text)
    return [text.encode() for text in texts]


PAIRS = edited() | st.tuples(TEXTS, TEXTS).map(lambda pair: [text.encode() for text in pair])


def common(a, b):
    """The length of a longest common subsequence, the slow way."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(st.text("abcd", max_size=30), st.text("abcd", max_size=30))
@example("abcd" * 7, "dcba" * 7)  # more edits than are looked for one by one
def test_an_alignment_is_the_longest_there_is(a, b):
    partners = align(a, b, Budget())
    kept = [(i, j) for i, j in enumerate(partners) if j >= 0]
    assert all(a[i] == b[j] for i, j in kept)
    assert [j for _, j in kept] == sorted({j for _, j in kept})
    assert len(kept) == common(a, b)


@given(st.text("abcd", max_size=14), st.text("abcd", max_size=14), st.integers(0, 30))
def test_an_alignment_without_time_is_still_right(a, b, steps):
    partners = align(a, b, Budget(steps))
    kept = [(i, j) for i, j in enumerate(partners) if j >= 0]
    assert all(a[i] == b[j] for i, j in kept)
    assert [j for _, j in kept] == sorted({j for _, j in kept})
    rest = list(a)
    for block in reversed(list(differing(partners, len(b)))):
        rest[block.a0 : block.a1] = b[block.b0 : block.b1]
    assert "".join(rest) == b


@given(st.text("ab", max_size=40), st.text("ab", max_size=40))
def test_what_is_in_common_is_counted_exactly(a, b):
    most = min(len(a), len(b))
    expected = next((at for at in range(most) if a[at] != b[at]), most)
    assert in_common(most, lambda low, high: a[low:high] == b[low:high]) == expected


@given(st.text())
def test_tokens_are_the_text(text):
    assert "".join(tokens(text)) == text


@FORMATS
@given(pair=PAIRS)
def test_a_patch_applies_back_exactly(form, pair):
    before, after = pair
    found = form.diff(before, after)
    assert (found.depth == "same") == (before == after)
    if before != after:
        patch = json.loads(json.dumps(found.patch))
        assert form.apply(before, patch) == after


@FORMATS
@given(pair=PAIRS)
def test_changes_are_counted_and_as_deep_as_the_whole(form, pair):
    before, after = pair
    found = form.diff(before, after)
    assert found.total == len(found.changes)
    assert (found.total > 0) == (before != after) == bool(found.summary)
    assert deepest([change.depth for change in found.changes]) == found.depth
    lines = [change.path for change in found.changes if change.what == "line"]
    assert len(set(lines)) == len(lines)
    assert set(found.details.get("words", {})) <= set(lines)


@FORMATS
@given(pair=PAIRS)
def test_formatting_is_what_means_the_same(form, pair):
    before, after = pair
    same = form.meaning(before) == form.meaning(after)
    assert same == (DEPTHS.index(form.diff(before, after).depth) <= DEPTHS.index("formatting"))


@given(TEXTS)
def test_what_counts_of_a_document_is_what_counts_of_its_lines(text):
    for form, name, normal in ((TEXT, b"text", in_text), (MARKDOWN, b"markdown", in_markdown)):
        lines = [normal(line) for line in text.removeprefix("\ufeff").split("\n")]
        expected = b"casstore/" + name + b"/1\n" + "\n".join(lines).rstrip("\n").encode()
        assert form.meaning(text.encode()).digest == Digest.of(expected)


@FORMATS
@given(texts=edited(3))
def test_merging_obeys_its_laws(form, texts):
    base, ours, theirs = texts
    merge = form.merge
    assert merge(base, ours, base).data == merge(base, base, ours).data == ours
    assert merge(base, ours, ours).data == ours
    one, other = merge(base, ours, theirs), merge(base, theirs, ours)
    assert one.data == other.data
    assert [(c.path, c.base, c.ours, c.theirs) for c in one.conflicts] == [
        (c.path, c.base, c.theirs, c.ours) for c in other.conflicts
    ]
    assert (one.data is None) == bool(one.conflicts)


@pytest.mark.skipif(not shutil.which("git"), reason="no git")
@pytest.mark.parametrize("context", [0, 3])
@settings(max_examples=20)
@given(pair=PAIRS)
def test_git_applies_the_unified_diff(context, pair, tmp_path_factory):
    before, after = pair
    text = unified(before, after, older="a/file", newer="b/file", context=context)
    assert (text == "") == (before == after)
    if text and after:
        folder = tmp_path_factory.mktemp("git")
        (folder / "file").write_bytes(before)
        command = ["git", "apply", "--unidiff-zero", "--whitespace=nowarn", "-"]
        subprocess.run(command, cwd=folder, input=text.encode(), check=True, capture_output=True)
        assert (folder / "file").read_bytes() == after
        shutil.rmtree(folder)


def test_a_unified_diff_looks_as_pythons_does():
    before = [f"line {number}\n" for number in range(40)]
    after = [*before[:7], "new\n", *before[7:30], "other\n", *before[31:]]
    expected = "".join(difflib.unified_diff(before, after, "before", "after"))
    assert unified("".join(before).encode(), "".join(after).encode()) == expected


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"caf\xe9", "no UTF-8 at byte 3"), (b"a\0b", "zero byte at 1"), (b"\xff\xfea\0", "zero byte")],
)
@FORMATS
def test_what_is_no_text_is_refused_and_has_no_meaning(form, data, why):
    for call in (
        lambda: form.diff(data, b"x"),
        lambda: form.diff(b"x", data),
        lambda: form.merge(b"", b"", data),
    ):
        with pytest.raises(Invalid, match=why) as refused:
            call()
        assert refused.value.code == Code.NOT_COMPARABLE
    assert form.meaning(data) is None


@pytest.mark.parametrize(
    "patch",
    [
        None,
        {},
        [],
        ["casstore/text-patch/2", 0, []],
        ["casstore/text-patch/1", 0, []],
        ["casstore/text-patch/1", 2659403885, [0, 3, ""]],
        ["casstore/text-patch/1", 2659403885, [-1, 0, ""]],
        ["casstore/text-patch/1", 2659403885, [True, 0, ""]],
        ["casstore/text-patch/1", 2659403885, [0, 0, 1]],
        ["casstore/text-patch/1", 2659403885, [0, 0]],
        ["casstore/text-patch/1", 2659403885, [0, 0, "\ud800"]],
    ],
)
def test_a_patch_that_is_none_or_of_another_content_is_refused(patch):
    assert TEXT.apply(b"ab", ["casstore/text-patch/1", 2659403885, [0, 1, "c"]]) == b"cb"
    with pytest.raises(Invalid) as refused:
        TEXT.apply(b"ab", patch)
    assert refused.value.code == Code.BAD_PATCH


def test_words_are_marked_within_a_line():
    found = TEXT.diff(b"one\nthe quick brown fox\ntwo\n", b"one\nthe slow brown fox\ntwo\nthree\n")
    assert [(change.op, change.path, change.before, change.after) for change in found.changes] == [
        ("changed", "-2+2", "the quick brown fox\n", "the slow brown fox\n"),
        ("added", "+4", None, "three\n"),
    ]
    assert found.details["words"] == {"-2+2": {"before": [[4, 9]], "after": [[4, 8]]}}
    assert found.summary == ("1 line changed, 1 added",)
    assert found.patch[2] == [8, 5, "slow", 15, 0, "three\n"]


def test_a_long_line_is_shown_around_its_change():
    line = "word " * 1000
    found = TEXT.diff(f"{line}old {line}".encode(), f"{line}new {line}".encode())
    (change,) = found.changes
    marks = found.details["words"][change.path]
    assert [change.before[a:b] for a, b in marks["before"]] == ["old"]
    assert [change.after[a:b] for a, b in marks["after"]] == ["new"]
    assert len(change.before) == limits.SHOWN_CHARS + 2


@pytest.mark.parametrize(
    ("before", "after", "depth"),
    [
        (b"a\nb\n", b"a\r\nb\r\n", "formatting"),
        (b"a\nb\n", b"\xef\xbb\xbfa  \nb", "formatting"),
        (b"a\nb\n", b"a\n\nb\n", "meaning"),
        (b"a b\n", b"a  b\n", "meaning"),
        ("é\n".encode(), "e\u0301\n".encode(), "meaning"),
    ],
)
def test_white_space_at_the_end_of_lines_does_not_count(before, after, depth):
    assert TEXT.diff(before, after).depth == depth


@pytest.mark.parametrize(
    ("after", "depth"),
    [(b"a  \nb\n", "meaning"), (b"a \nb\n", "formatting"), (b"a\t\nb\n   ", "formatting")],
)
def test_a_hard_break_of_markdown_counts(after, depth):
    assert MARKDOWN.diff(b"a\nb\n", after).depth == depth
    assert MARKDOWN.diff(b"a  \nb\n", b"a     \r\nb").depth == "formatting"


def test_changes_of_different_words_of_a_line_are_merged():
    base = b"The server restarts every night at two.\n"
    ours = b"The old server restarts every night at two.\n"
    theirs = b"The server restarts every night at three.\n"
    assert TEXT.merge(base, ours, theirs).data == b"The old server restarts every night at three.\n"


def test_a_conflict_says_what_each_side_has_and_leaves_no_markers():
    merged = TEXT.merge(b"a\nb\nc\n", b"a\nours\nc\n", b"a\ntheirs\nc\n")
    (conflict,) = merged.conflicts
    assert merged.data is None
    assert conflict.model_dump() == {
        "path": "-2",
        "text": "both sides changed line 2 differently",
        "present": ("base", "ours", "theirs"),
        "base": "b\n",
        "ours": "ours\n",
        "theirs": "theirs\n",
    }
    (gone,) = TEXT.merge(b"a\nb\nc\n", b"a\nc\n", b"a\nB!\nc\n").conflicts
    assert gone.present == ("base", "theirs")


HOSTILE = {
    "a line of 10 MB": ("b'x' * 10_000_000", "b'x' * 5_000_000 + b'y' + b'x' * 5_000_000", True),
    "a line of 10 MB of words": ("b'do re mi ' * 1_000_000", "b'do re ' + b'mi do re ' * 1_000_000 + b'fa'", True),
    "1,000,000 equal lines and one": ("b'same\\n' * 1_000_000", "b'same\\n' * 1_000_001", True),
    "1,000,000 lines of two ends": ("b'same\\n' * 1_000_000", "b'same\\r\\n' * 1_000_000", False),
    "45,000 lines of two ends": ("b'same\\n' * 45_000", "b'same\\r\\n' * 45_000", True),
    "a shuffle": ("b'\\n'.join(b'%d' % n for n in range(45_000))",
                  "b'\\n'.join(b'%d' % (n * 7919 % 45_001) for n in range(45_000))", True),
    "two letters": ("b'\\n'.join(b'%d' % (n * n % 7 % 2) for n in range(45_000))",
                    "b'\\n'.join(b'%d' % (n * n * n % 11 % 2) for n in range(45_000))", True),
    "headings": ("b''.join(b'# %d\\n' % n for n in range(19_000))",
                 "b''.join(b'# %d\\nx\\n' % (n * 7919 % 22_501) for n in range(19_000))", True),
    "line ends only": ("b'\\n' * 2**25", "b'\\n' * (2**25 - 1) + b'x'", True),
    "noise": ("__import__('random').Random(1).randbytes(10**7)", "b'x'", False),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", ["TEXT", "MARKDOWN"])
def test_hostile_text_is_answered_in_bounded_time_and_memory(form, name):
    before, after, comparable = HOSTILE[name]
    case = Case(setup="from casstore.formats.text import TEXT, MARKDOWN", arguments=(before, after))
    assert limited(case, f"{form}.diff(*arguments)") == ("answered" if comparable else "not_comparable")
