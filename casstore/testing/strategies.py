"""Hypothesis strategies for everything a caller may give a store, and for what is nearly legal. Needs `hypothesis`.

Legal values are drawn from the rules spelled out here, not from the patterns in `casstore.grammar`, so that a slip in a
pattern shows as a disagreement.
"""

from __future__ import annotations

import string
from datetime import UTC, datetime
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from casstore import limits
from casstore.refs import LATEST, Ref, Selector

__all__ = [
    "aliases",
    "illegal_names",
    "instants",
    "json_values",
    "labels",
    "metadata",
    "mutations",
    "names",
    "payloads",
    "refs",
    "roles",
    "selectors",
    "tenants",
    "titles",
    "types",
]

_LOWER: Final = string.ascii_lowercase
_ALNUM: Final = string.ascii_letters + string.digits
_WORD: Final = _LOWER + string.digits + "._-"
_HEX: Final = "0123456789abcdef"
# What slips through careless checks: blanks, line ends, controls, invisible signs, the grammar's own signs,
_FOREIGN: Final = (
    " \t\n\r\0\x7f\x85\xa0\u2028\u200b\u202e\ufeff@#:~/\\.-_%$'\"Aa03"
    "\u212a\u0130\u0131\ufb01\xdf\xe9\u0435\u0308\u0663\u0968\U0001d7db🚀"  # look-alikes, odd case, other digits
)


def _word(first: str, rest: str, most: int) -> SearchStrategy[str]:
    return st.builds(str.__add__, st.sampled_from(first), st.text(rest, max_size=most - 1))


def names() -> SearchStrategy[str]:
    """Legal artifact names of one to eight segments."""
    segment = _word(_ALNUM, _ALNUM + "._-", limits.SEGMENT_MAX_CHARS).map(_without_two_dots)
    joined = st.lists(segment, min_size=1, max_size=limits.NAME_MAX_SEGMENTS).map("/".join)
    return joined.map(lambda name: name[: limits.NAME_MAX_BYTES].rstrip("/"))


def _without_two_dots(text: str) -> str:
    while ".." in text:
        text = text.replace("..", ".")
    return text


def roles() -> SearchStrategy[str]:
    """Legal component roles."""
    return _word(_LOWER, _WORD, 63)


def types() -> SearchStrategy[str]:
    """Legal artifact types."""
    return roles()


def aliases() -> SearchStrategy[str]:
    """Legal aliases and tags."""
    return _word(_LOWER, _WORD, 63).filter(
        lambda word: word != "latest" and not (len(word) > 1 and word[0] == "v" and word[1:].isdigit())
    )


def tenants() -> SearchStrategy[str]:
    """Legal tenants."""
    return _word(_ALNUM, _ALNUM + "._-", limits.TENANT_MAX_CHARS)


def _free_text(most: int) -> SearchStrategy[str]:
    return st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=most)


def titles() -> SearchStrategy[str]:
    """Legal titles: Unicode without NUL and lone surrogates."""
    return _free_text(limits.TITLE_MAX_CHARS)


def labels() -> SearchStrategy[dict[str, str]]:
    """Legal labels, a few of them."""
    key = _word(_ALNUM, _ALNUM + "._/-", limits.LABEL_KEY_MAX_CHARS)
    return st.dictionaries(key, _free_text(20), max_size=4)


def metadata() -> SearchStrategy[dict[str, Any]]:
    """Legal metadata: JSON objects of a few keys, some of them often, with objects, lists and every kind of scalar in them."""
    key = st.sampled_from(["a", "b", ""]) | _free_text(5)
    number = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
    leaf = st.none() | st.booleans() | st.sampled_from([0, 1, 1.0, "", "a"]) | number | _free_text(5)
    value = st.recursive(leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(key, inner, max_size=3))
    return st.dictionaries(key, value, max_size=4)


def instants() -> SearchStrategy[datetime]:
    """Aware UTC datetimes of any year."""
    return st.datetimes(timezones=st.just(UTC))


def selectors() -> SearchStrategy[Selector]:
    """Every kind of selector."""
    moment = st.none() | instants()
    return st.one_of(
        st.just(LATEST),
        st.builds(lambda at: LATEST.model_copy(update={"as_of": at}), instants()),
        st.builds(lambda n: Selector(kind="number", number=n), st.integers(1, limits.VERSION_MAX)),
        st.builds(lambda word, at: Selector(kind="pointer", text=word, as_of=at), aliases(), moment),
        st.builds(lambda text: Selector(kind="digest", text=text), st.text(_HEX, min_size=12, max_size=64)),
    )


def refs() -> SearchStrategy[Ref]:
    """Every kind of reference."""
    role, tenant = st.none() | roles(), st.none() | tenants()
    named = st.builds(
        lambda name, selector, role, tenant: Ref(name=name, selector=selector, role=role, tenant=tenant),
        names(),
        selectors(),
        role,
        tenant,
    )
    by_id = st.builds(
        lambda identity, role, tenant: Ref(id=identity, role=role, tenant=tenant), st.uuids(), role, tenant
    )
    return named | by_id


def mutations(legal: SearchStrategy[str]) -> SearchStrategy[str]:
    """A legal text with one careless change: a character put in, taken out or replaced, or the text made longer."""

    def change(text: str, place: int, foreign: str, how: int) -> str:
        at = place % (len(text) + 1)
        return (
            text[:at] + foreign + text[at:],
            text[:at] + text[at + 1 :],
            text[:at] + foreign + text[at + 1 :],
            text + foreign,
            text + text[-1:] * 64,
            f"{text}/{text}",
            text.swapcase(),
        )[how]

    return st.builds(change, legal, st.integers(0, 300), st.sampled_from(_FOREIGN), st.integers(0, 6))


def illegal_names() -> SearchStrategy[str]:
    """Near-misses: each breaks a rule of names."""
    foreign = st.sampled_from([c for c in _FOREIGN if c not in _ALNUM + "._-/"])
    return st.one_of(
        st.just(""),
        st.builds(lambda name, bad, at: name[:at] + bad + name[at:], names(), foreign, st.integers(0, 300)),
        st.builds(lambda name, sign: sign + name, names(), st.sampled_from("._-/")),
        st.builds(lambda name: name + "/", names()),
        st.builds(lambda name: name + "..", names()),
        st.builds(lambda name: f"{name}//a", names()),
        st.builds(lambda char: char * (limits.SEGMENT_MAX_CHARS + 1), st.sampled_from(_ALNUM)),
        st.builds(lambda char: "/".join(char * (limits.NAME_MAX_SEGMENTS + 1)), st.sampled_from(_ALNUM)),
        st.builds(lambda char: "/".join([char * 63] * 4), st.sampled_from(_ALNUM)).map(lambda name: name + "a"),
    )


def json_values() -> SearchStrategy[dict[str, Any] | list[Any]]:
    """Dicts and lists of anything JSON can hold, integers of any size included."""
    text = st.text(st.characters(exclude_categories=["Cs"]))
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text

    def grow(inner: SearchStrategy[Any]) -> SearchStrategy[Any]:
        return st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4)

    return grow(st.recursive(leaves, grow, max_leaves=12))


def payloads() -> SearchStrategy[bytes | str | dict[str, Any] | list[Any]]:
    """Something to put: bytes, text or a JSON value."""
    return st.binary(max_size=2_000) | st.text(st.characters(exclude_categories=["Cs"])) | json_values()
