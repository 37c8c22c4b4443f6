"""What a user may type: names, roles, references. The one definition of the grammar, with the rule each fault breaks.

The patterns of names, roles, types, pointers and tenants are enforced again by CHECK constraints in `sql/migrations`;
`tests/catalog/test_grammar_agrees.py` feeds both with the same inputs. Patterns are ASCII-only and matched whole: `$` would let a
trailing newline pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from casstore import limits
from casstore.errors import Code, Invalid

__all__ = [
    "ALIAS",
    "NAME",
    "ROLE",
    "SEGMENT",
    "TENANT",
    "TYPE",
    "check_alias",
    "check_hold",
    "check_key",
    "check_labels",
    "check_name",
    "check_name_prefix",
    "check_role",
    "check_tenant",
    "check_title",
    "check_type",
]

SEGMENT: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
NAME: Final = rf"{SEGMENT}(/{SEGMENT}){{0,7}}"
ROLE: Final = r"[a-z][a-z0-9_.-]{0,62}"
TYPE: Final = ROLE
ALIAS: Final = r"[a-z][a-z0-9._-]{0,62}"  # also the grammar of tags
TENANT: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"

_SEGMENT = re.compile(SEGMENT, re.ASCII)
_ROLE = re.compile(ROLE, re.ASCII)
_ALIAS = re.compile(ALIAS, re.ASCII)
_HOLD = re.compile(SEGMENT, re.ASCII)
_TENANT = re.compile(TENANT, re.ASCII)
_NAME = re.compile(NAME, re.ASCII)
_LABEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}", re.ASCII)
_NUMBER_LIKE = re.compile(r"v[0-9]+", re.ASCII)
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9._/-]", re.ASCII)


def check_name(name: str) -> str:
    """Return `name` if it is a legal artifact name; raise Invalid (bad_name) naming the first rule it breaks."""
    if _is_name(name):
        return name
    for rule, broken in _name_rules(name):
        if broken:
            hint = "A name is for machines; put free text, in any language, into the title."
            if isinstance(name, str) and _is_name(name.partition("@")[0]):
                hint = f"A name alone is meant here: {name.partition('@')[0]}."
            raise Invalid(
                Code.BAD_NAME, f"name {_shown(name)} breaks a rule: {rule}", hint=hint, name=str(name), rule=rule
            )
    raise AssertionError(name)  # the rules above are the pattern, spelled out


def _name_rules(name: str) -> Iterable[tuple[str, bool]]:
    yield "it must be text", not isinstance(name, str)
    yield "it must not be empty", not name
    foreign = _NOT_IN_NAME.search(name)
    yield f"only A-Z a-z 0-9 . _ - and / are allowed, not {_character(foreign)}", foreign is not None
    yield (
        f"it must not be longer than {limits.NAME_MAX_BYTES} bytes (it has {len(name)})",
        len(name) > limits.NAME_MAX_BYTES,
    )
    segments = name.split("/")
    yield "it must not begin with '/', end with '/' or have '//' inside", "" in segments
    most = limits.NAME_MAX_SEGMENTS
    yield f"it must not have more than {most} segments (it has {len(segments)})", len(segments) > most
    yield "'..' is not allowed", ".." in name
    first = next((s for s in segments if s and not s[0].isalnum()), None)
    yield f"a segment begins with a letter or digit, unlike {first!r}", first is not None
    long = next((s for s in segments if len(s) > limits.SEGMENT_MAX_CHARS), "")
    yield f"a segment has at most {limits.SEGMENT_MAX_CHARS} characters (one has {len(long)})", bool(long)


def check_name_prefix(prefix: str) -> str:
    """Return `prefix` if some legal name could begin with it; raise Invalid (bad_name) otherwise."""
    if prefix and not (isinstance(prefix, str) and _is_name(prefix + "a")):
        check_name(prefix)
    return prefix


def _is_name(name: str) -> bool:
    fits = isinstance(name, str) and _NAME.fullmatch(name) and len(name) <= limits.NAME_MAX_BYTES
    return bool(fits) and ".." not in name


def check_role(role: str) -> str:
    """Return `role` if it may name a component; raise Invalid (bad_role) otherwise."""
    return _check(role, _ROLE, Code.BAD_ROLE, "role", "a-z first, then a-z 0-9 _ . -, at most 63 characters")


def check_type(kind: str) -> str:
    """Return `kind` if it may name an artifact type; raise Invalid (bad_type) otherwise."""
    return _check(kind, _ROLE, Code.BAD_TYPE, "artifact type", "a-z first, then a-z 0-9 _ . -, at most 63 characters")


def check_tenant(tenant: str) -> str:
    """Return `tenant` if it may name a tenant; raise Invalid (bad_tenant) otherwise."""
    rule = "a letter or digit first, then A-Z a-z 0-9 . _ -, at most 128 characters"
    return _check(tenant, _TENANT, Code.BAD_TENANT, "tenant", rule)


def check_domain(domain: str) -> str:
    """Return `domain` if it may name an isolation domain; raise Invalid (bad_domain) otherwise."""
    rule = "a letter or digit first, then A-Z a-z 0-9 . _ -, at most 128 characters"
    return _check(domain, _TENANT, Code.BAD_DOMAIN, "isolation domain", rule)


def check_alias(alias: str) -> str:
    """Return `alias` if it may name an alias or a tag; raise Invalid (bad_pointer) otherwise."""
    _check(alias, _ALIAS, Code.BAD_POINTER, "alias or tag", "a-z first, then a-z 0-9 . _ -, at most 63 characters")
    if alias == "latest" or _NUMBER_LIKE.fullmatch(alias):
        message = (
            f"alias or tag {alias!r} breaks a rule: 'latest' and v<digits> are always the head and the numbered version"
        )
        raise Invalid(Code.BAD_POINTER, message, hint="Choose another word, such as 'prod' or 'release-3'.")
    return alias


def check_hold(hold: str) -> str:
    """Return `hold` if it may name a hold; raise Invalid (bad_hold) otherwise."""
    rule = "a letter or digit first, then A-Z a-z 0-9 . _ -, at most 63 characters"
    return _check(hold, _HOLD, Code.BAD_HOLD, "hold", rule)


def _check(value: str, pattern: re.Pattern[str], code: Code, what: str, rule: str) -> str:
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    raise Invalid(
        code,
        f"{what} {_shown(value)} breaks its rule: {rule}",
        hint=f"Choose another {what}.",
        value=str(value),
        rule=rule,
    )


def _shown(value: object) -> str:
    text = ascii(value) if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:60] + "…" + text[-10:]  # noqa: PLR2004 - a line of a terminal


def _character(match: re.Match[str] | None) -> str:
    return f"{match.group()!a} (U+{ord(match.group()):04X}) at position {match.start() + 1}" if match else ""


def check_title(title: str) -> str:
    """Return `title` if it is Unicode text of a reasonable length; raise Invalid (bad_title) otherwise."""
    if isinstance(title, str) and _is_text(title) and len(title) <= limits.TITLE_MAX_CHARS:
        return title
    rule = f"Unicode text of at most {limits.TITLE_MAX_CHARS} characters, without NUL"
    raise Invalid(Code.BAD_TITLE, f"title {_shown(title)} breaks its rule: {rule}", rule=rule)


def check_labels(labels: Mapping[str, str]) -> Mapping[str, str]:
    """Return `labels` if all keys and values are within the rules; raise Invalid (bad_label) naming the one that is not."""
    if not isinstance(labels, Mapping) or len(labels) > limits.LABELS_MAX:
        raise Invalid(Code.BAD_LABEL, f"labels are a mapping of at most {limits.LABELS_MAX} keys to text")
    for key, value in labels.items():
        if not (isinstance(key, str) and _LABEL_KEY.fullmatch(key)):
            rule = f"a key is A-Z a-z 0-9 . _ - and /, letter or digit first, at most {limits.LABEL_KEY_MAX_CHARS} characters"
            raise Invalid(Code.BAD_LABEL, f"label {_shown(key)} breaks a rule: {rule}", rule=rule)
        if not (isinstance(value, str) and _is_text(value) and len(value) <= limits.LABEL_VALUE_MAX_CHARS):
            rule = f"a value is Unicode text of at most {limits.LABEL_VALUE_MAX_CHARS} characters, without NUL"
            raise Invalid(Code.BAD_LABEL, f"label {key}={_shown(value)} breaks a rule: {rule}", rule=rule)
    return labels


def check_actor(actor: str) -> str:
    """Return `actor` if it may say who did something; raise Invalid (bad_argument) otherwise."""
    return _check_text(actor, "by", 1, limits.ACTOR_MAX_CHARS)


def check_by(by: str | None) -> str | None:
    """Return `by` if it may say who did something, or says nothing; raise Invalid (bad_argument) otherwise."""
    return None if by is None else check_actor(by)


def check_reason(reason: str) -> str:
    """Return `reason` if it may say why; raise Invalid (bad_argument) otherwise."""
    return _check_text(reason, "reason", 0, limits.REASON_MAX_CHARS)


def check_why(by: str, reason: str | None) -> tuple[str, str | None]:
    """Return who does something and why, where both are as they may be; raise Invalid (bad_argument) otherwise."""
    return check_actor(by), None if reason is None else check_reason(reason)


def _check_text(text: str, what: str, least: int, most: int) -> str:
    if isinstance(text, str) and _is_text(text) and least <= len(text) <= most:
        return text
    rule = f"Unicode text of {least} to {most} characters, without NUL"
    raise Invalid(Code.BAD_ARGUMENT, f"{what} {_shown(text)} breaks its rule: {rule}", rule=rule)


def check_key(key: str) -> str:
    """Return `key` if it may be an idempotency key; raise Invalid (bad_idempotency_key) otherwise."""
    if isinstance(key, str) and _is_text(key) and 1 <= len(key) <= limits.IDEMPOTENCY_KEY_MAX_CHARS:
        return key
    rule = f"Unicode text of 1 to {limits.IDEMPOTENCY_KEY_MAX_CHARS} characters, without NUL"
    raise Invalid(Code.BAD_IDEMPOTENCY_KEY, f"idempotency key {_shown(key)} breaks its rule: {rule}", rule=rule)


def _is_text(text: str) -> bool:
    """Whether Postgres can keep it: no NUL, no lone surrogates."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
