"""Listings compared with a model, and their corners."""

from __future__ import annotations

import fnmatch
import random

import pytest

from casstore.testing.gcs import GcsServer
from tests.gcs_server.raw import BUCKET, Raw

PATH = f"/storage/v1/b/{BUCKET}/o"
NAMES = sorted(
    [
        "a",
        "a/",
        "a/b",
        "a/b/c",
        "a/b/d",
        "a0",
        "b",
        "b/x/y",
        "b/x/z",
        "b/y",
        "c/",
        "ä",
        "ä/ö",
        "z~",
        "\u20ac",
        "\U0001f600",
    ]
)


@pytest.fixture
def filled(server):
    for name in random.Random(1).sample(NAMES, len(NAMES)):
        server.write(BUCKET, name, name.encode())


def pages(raw, **query):
    """What all the pages say: items, prefixes, and how much each had."""
    items, prefixes, sizes, token = [], [], [], {}
    while True:
        page = raw("GET", PATH, **query, **token).json()
        found = [item["name"] for item in page.get("items", [])]
        items += found
        prefixes += page.get("prefixes", [])
        sizes.append(len(found) + len(page.get("prefixes", [])))
        if "nextPageToken" not in page:
            return items, prefixes, sizes
        token = {"pageToken": page["nextPageToken"]}


def model(*, prefix="", delimiter=None, start="", end=None):
    items, prefixes = [], []
    for name in NAMES:
        if not name.startswith(prefix) or name < start or (end and name >= end):
            continue
        rest = name[len(prefix) :]
        if delimiter and delimiter in rest:
            folder = prefix + rest.partition(delimiter)[0] + delimiter
            prefixes += [] if folder in prefixes else [folder]
        else:
            items.append(name)
    return items, prefixes


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("delimiter", [None, "/", "b"])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a/b/", "b/x", "ä", "nothing"])
def test_prefixes_delimiters_and_pages(raw, prefix, delimiter, size):
    query = {"prefix": prefix, "maxResults": size, **({"delimiter": delimiter} if delimiter else {})}
    items, prefixes, sizes = pages(raw, **query)
    assert (items, prefixes) == model(prefix=prefix, delimiter=delimiter)
    assert all(of == size for of in sizes[:-1])
    assert len(sizes) == max(1, -(-(len(items) + len(prefixes)) // size))


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("bounds", [("a/b", "b/x/z"), ("", "a"), ("ä", None), ("x", "b"), ("a/b/", "a/b/d")])
def test_offsets(raw, bounds, size):
    start, end = bounds
    query = {"startOffset": start, "maxResults": size, **({"endOffset": end} if end else {})}
    assert pages(raw, **query)[:2] == model(start=start, end=end)
    assert pages(raw, **query, delimiter="/")[:2] == model(start=start, end=end, delimiter="/")


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*", [name for name in NAMES if "/" not in name]),
        ("**", NAMES),
        ("a/*", ["a/", "a/b"]),
        ("a/**", ["a/", "a/b", "a/b/c", "a/b/d"]),
        ("**/[cd]", ["a/b/c", "a/b/d"]),
        ("a/b/[!c]", ["a/b/d"]),
        ("?", ["a", "b", "ä", "\u20ac", "\U0001f600"]),
        ("{a,b}", ["a", "b"]),
        ("{a/b,b/x}/?", ["a/b/c", "a/b/d", "b/x/y", "b/x/z"]),
        ("a.b", []),
        ("z~", ["z~"]),
    ],
)
def test_globs(raw, glob, expected):
    assert sorted(pages(raw, matchGlob=glob, maxResults=2)[0]) == sorted(expected)


def test_a_glob_without_folders_is_a_pattern_of_the_shell(server, raw):
    names = ["ab", "a,b", "a]b", "a[b", "abc", "a.c", "a+c", "(a)"]
    for name in names:
        server.write(BUCKET, name, b"")
    for glob in ("a*", "a?b", "a?c", "a,b", "a]b", "(*)", "*c", "a[,b]?", "a[!b]b"):
        assert pages(raw, matchGlob=glob)[0] == sorted(fnmatch.filter(names, glob)), glob


def test_pages_of_versions(server, raw):
    server.create_bucket("versioned", versioning=True)
    path = "/storage/v1/b/versioned/o"
    for name in "ab":
        for _ in range(3):
            raw("POST", f"/upload{path}", b"", uploadType="media", name=name)
    found, token = [], {}
    for _ in range(3):
        page = raw("GET", path, versions="true", maxResults=2, **token).json()
        found += [(item["name"], int(item["generation"])) for item in page["items"]]
        token = {"pageToken": page.get("nextPageToken")}
    assert token == {"pageToken": None}
    assert found == sorted(found)
    assert [name for name, _ in found] == list("aaabbb")


def test_names_that_come_and_go_between_pages(server, raw):
    for name in "bdf":
        server.write(BUCKET, name, b"")
    page = raw("GET", PATH, maxResults=2).json()
    server.write(BUCKET, "a", b"")
    server.write(BUCKET, "e", b"")
    server.remove(BUCKET, "d")
    rest = raw("GET", PATH, pageToken=page["nextPageToken"]).json()["items"]
    assert [item["name"] for item in rest] == ["e", "f"]


def test_a_server_may_give_short_pages():
    with GcsServer(page_items=2) as server:
        server.create_bucket(BUCKET)
        raw = Raw(server.url)
        for name in "abcde":
            server.write(BUCKET, name, b"")
        assert pages(raw, maxResults=1000) == (list("abcde"), [], [2, 2, 1])
        raw.connection.close()


def test_an_empty_bucket_has_no_items(raw):
    assert raw("GET", PATH).json() == {"kind": "storage#objects"}


@pytest.mark.parametrize(
    "query", [{"pageToken": "nonsense"}, {"maxResults": "0"}, {"maxResults": "-1"}, {"maxResults": "x"}]
)
def test_bad_questions(raw, query):
    assert raw("GET", PATH, **query).status == 400


def test_soft_deleted_and_noncurrent_are_not_listed_together(raw):
    answer = raw("GET", f"/storage/v1/b/{BUCKET}/o", softDeleted="true", versions="true")
    assert answer.status == 400
