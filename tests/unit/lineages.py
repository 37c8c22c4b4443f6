"""Lineages as hypothesis draws them: versions of a few names, each made from some of those before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from casstore.model import Digest, Lineage, Link, Node, Version

ROLES = st.sampled_from(["source", "template", "input"])


def version(
    place: int, name: str, number: int, *, title: str | None = None, by: str | None = None, state: str = "draft"
) -> Version:
    return Version(
        id=UUID(int=place + 1),
        name=name,
        number=number,
        type="document",
        title=title,
        labels={},
        metadata={},
        digest=Digest.of(str(place).encode()),
        components=(),
        relations=(),
        created_at=datetime(2026, 8, 1, tzinfo=UTC) + timedelta(microseconds=place),
        by=by,
        state=state,
    )


@st.composite
def lineages(draw) -> Lineage:
    """The head was made last. Some sources may be outside, as they are beyond a depth; `depth` is not the true one."""
    names = draw(st.lists(st.sampled_from(["a", "b/c", "d"]), min_size=1, max_size=9))
    numbers = [names[: place + 1].count(name) for place, name in enumerate(names)]
    titles = st.none() | st.text(max_size=5)
    makers = st.none() | st.sampled_from(["ana", "bob/for ü, 7%"])
    versions = [
        version(*row, title=draw(titles), by=draw(makers))
        for row in zip(range(len(names)), names, numbers, strict=True)
    ]
    outside = draw(st.sets(st.integers(0, len(names) - 2))) if len(names) > 1 else set()
    nodes = []
    for place, made in enumerate(versions):
        chosen = draw(st.lists(st.integers(0, place - 1), max_size=4)) if place else []
        links = tuple(
            Link(
                source=versions[each].id,
                ref=versions[each].ref,
                role=draw(ROLES),
                newer=draw(st.none() | st.integers(2, 9)),
            )
            for each in chosen
        )
        nodes.append(Node(version=made, depth=len(versions) - 1 - place, sources=links))
    kept = tuple(node for place, node in enumerate(nodes) if place not in outside)
    return Lineage(versions=tuple(reversed(kept)), is_complete=True)
