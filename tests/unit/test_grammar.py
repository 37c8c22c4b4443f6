"""The grammar in Python: every name gets a decision, and a refusal names the rule that was broken."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casstore import errors, grammar, limits
from casstore.errors import CasstoreError, Code, Invalid
from casstore.testing import strategies as some

DECISIONS = json.loads((Path(__file__).parents[1] / "data" / "names.json").read_text("utf-8"))
CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "hostile" / "names.jsonl"
WORDS = [
    (grammar.check_role, Code.BAD_ROLE),
    (grammar.check_type, Code.BAD_TYPE),
    (grammar.check_alias, Code.BAD_POINTER),
]


def refused(check, value):
    """The code of the refusal, or None."""
    try:
        assert check(value) == value
    except Invalid as error:
        return error.code
    return None


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda decision: ascii(decision["name"])[:30])
def test_each_hostile_name_has_its_decision(decision):
    name, rule = decision["name"], decision["rule"]
    if rule is None:
        assert grammar.check_name(name) == name
        return
    with pytest.raises(Invalid) as caught:
        grammar.check_name(name)
    assert (caught.value.code, caught.value.fields["rule"]) == (Code.BAD_NAME, rule)
    assert rule in caught.value.message
    assert caught.value.hint
    assert caught.value.message.replace("…", "").isascii(), "a terminal must survive what someone else typed"


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not on this machine")
def test_decisions_cover_the_corpus():
    wanted = {json.loads(line)["name"] for line in CORPUS.read_text("utf-8").splitlines()}
    assert wanted <= {decision["name"] for decision in DECISIONS}


@given(some.names())
@example("a")
@example("/".join("a" * 8))
@example("/".join(["a" * 63] * 3) + "/" + "a" * 63)
def test_legal_names_are_accepted(name):
    assert grammar.check_name(name) is name
    assert grammar.check_name_prefix(name) is name


@given(some.illegal_names())
def test_illegal_names_are_refused_with_the_rule(name):
    with pytest.raises(Invalid) as caught:
        grammar.check_name(name)
    assert caught.value.fields["rule"] in caught.value.message


@given(some.mutations(some.names()) | st.text(max_size=300))
def test_any_text_gets_a_decision_and_nothing_else(name):
    assert refused(grammar.check_name, name) in (None, Code.BAD_NAME)


@pytest.mark.parametrize("value", [None, 3, b"a", ["a"], ("a",), 1.5], ids=repr)
@pytest.mark.parametrize("check", [grammar.check_name, grammar.check_role, grammar.check_tenant, grammar.check_title])
def test_what_is_no_text_is_refused(check, value):
    with pytest.raises(Invalid):
        check(value)


@pytest.mark.parametrize("tail", ["\n", "\r", "\r\n", "\0", " ", "\u2028", "\x85"], ids=ascii)
@pytest.mark.parametrize(
    "check",
    [grammar.check_name, grammar.check_role, grammar.check_type, grammar.check_alias, grammar.check_tenant],
    ids=lambda check: check.__name__,
)
def test_nothing_may_trail(check, tail):
    check("abc")
    with pytest.raises(Invalid):
        check("abc" + tail)
    with pytest.raises(Invalid):
        check(tail + "abc")


@pytest.mark.parametrize("text", ["асе", "ａ", "\u212a", "ß", "٣", "a٣", "a\u0301", "ı", "ſ"], ids=ascii)  # noqa: RUF001
@pytest.mark.parametrize(
    "check",
    [grammar.check_name, grammar.check_role, grammar.check_type, grammar.check_alias, grammar.check_tenant],
    ids=lambda check: check.__name__,
)
def test_look_alikes_and_foreign_digits_are_refused(check, text):
    with pytest.raises(Invalid):
        check(text)


@pytest.mark.parametrize(("check", "code"), WORDS, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("word", ["", "A", "1", "_a", "-a", ".a", "a/b", "a@b", "aB", "a" * 64])
def test_words_begin_low_and_stay_low(check, code, word):
    with pytest.raises(Invalid) as caught:
        check(word)
    assert caught.value.code is code


@given(some.roles(), some.types(), some.aliases(), some.tenants(), some.titles(), some.labels())
def test_legal_words_are_accepted(role, kind, alias, tenant, title, labels):
    assert grammar.check_role(role) is role
    assert grammar.check_type(kind) is kind
    assert grammar.check_alias(alias) is alias
    assert grammar.check_tenant(tenant) is tenant
    assert grammar.check_title(title) is title
    assert grammar.check_labels(labels) is labels


@pytest.mark.parametrize("word", ["latest", "v1", "v0", "v007", "v99999999999999999999"])
def test_an_alias_never_looks_like_a_version(word):
    with pytest.raises(Invalid) as caught:
        grammar.check_alias(word)
    assert caught.value.code is Code.BAD_POINTER
    assert caught.value.hint


@pytest.mark.parametrize("word", ["v", "v1a", "va", "v-1", "latest2", "head"])
def test_an_alias_may_come_near_to_a_version(word):
    assert grammar.check_alias(word) == word


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a.", "a/b-", "/".join("a" * 8)])
def test_a_prefix_is_the_beginning_of_some_name(prefix):
    assert grammar.check_name_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["/", "-", "a//", "a b", "a..", "a/..", "é", "a" * 64, "a/" * 8, "a\n", 3])
def test_what_begins_no_name_is_no_prefix(prefix):
    with pytest.raises(Invalid) as caught:
        grammar.check_name_prefix(prefix)
    assert caught.value.code is Code.BAD_NAME


@pytest.mark.parametrize(
    "title", ["\0", "a\0b", "\ud800", "x" * (limits.TITLE_MAX_CHARS + 1)], ids=lambda t: ascii(t)[:9]
)
def test_titles_postgres_could_not_keep_are_refused(title):
    with pytest.raises(Invalid) as caught:
        grammar.check_title(title)
    assert caught.value.code is Code.BAD_TITLE


@pytest.mark.parametrize(
    "labels",
    [
        {"": "a"},
        {"-a": "a"},
        {"a b": "a"},
        {"a\n": "a"},
        {"a": 1},
        {"a": None},
        {1: "a"},
        {"a": "\0"},
        {"a": "\udfff"},
        {"a": "x" * (limits.LABEL_VALUE_MAX_CHARS + 1)},
        {"a" * (limits.LABEL_KEY_MAX_CHARS + 1): "x"},
        {f"k{n}": "x" for n in range(limits.LABELS_MAX + 1)},
        [("a", "b")],
    ],
    ids=lambda labels: ascii(labels)[:20],
)
def test_labels_outside_the_rules_are_refused(labels):
    with pytest.raises(Invalid) as caught:
        grammar.check_labels(labels)
    assert caught.value.code is Code.BAD_LABEL


@pytest.mark.parametrize("key", ["", "\0", "\ud800", "x" * (limits.IDEMPOTENCY_KEY_MAX_CHARS + 1), 3])
def test_idempotency_keys_outside_the_rules_are_refused(key):
    with pytest.raises(Invalid) as caught:
        grammar.check_key(key)
    assert caught.value.code is Code.BAD_IDEMPOTENCY_KEY


CLASSES = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, CasstoreError)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_errors_cross_process_boundaries_whole(kind):
    error = kind(Code.BAD_NAME, "no", hint="do", name="a b", number=3)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (copy.code, copy.message, copy.hint, copy.fields) == (
        Code.BAD_NAME,
        "no",
        "do",
        {"name": "a b", "number": 3},
    )
    assert str(copy) == str(error) == "no"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_errors_are_plain_json(kind):
    shown = json.loads(json.dumps(kind(Code.BAD_NAME, "no", hint="do", name="a b").as_dict()))
    assert shown == {"error": "bad_name", "message": "no", "hint": "do", "name": "a b"}


@given(some.illegal_names() | st.sampled_from(["\ud800", "\0", "🚀"]))
def test_a_refusal_of_any_text_is_plain_json(name):
    with pytest.raises(Invalid) as caught:
        grammar.check_name(name)
    assert json.loads(json.dumps(caught.value.as_dict()))["name"] == name


def test_each_reaction_has_its_own_exit_code():
    codes = [kind.exit_code for kind in CLASSES if kind not in (CasstoreError, errors.UsageError)]
    assert len(set(codes)) == len(codes)
    assert {kind for kind in CLASSES if kind.retryable} == {errors.Unavailable}
