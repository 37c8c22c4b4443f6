"""Policies of retention: ordered rules that say which versions a tenant keeps. Values only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any, Final, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from casstore import grammar, limits
from casstore.errors import Code, Invalid

__all__ = ["TTL", "Period", "RetentionKeep", "RetentionMatch", "RetentionPolicy", "RetentionRule", "check_period"]

TTL: Final = "ttl"  # what decides about a version that has expired; no rule has this name

_PERIOD: Final = re.compile(r"(\d{1,10})([smhdw])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PREFIX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*", re.ASCII)
_SHAPE: Final = (
    'A policy is {"rules": [{"name": "sops", "match": {"type": "sop"}, "keep": {"last": 3, "for": "30d"}}]}.'
)


def check_period(value: timedelta) -> timedelta:
    """Return a time that is whole seconds, of one to a hundred years; raise Invalid (bad_argument) otherwise."""
    if isinstance(value, timedelta) and not value.microseconds and timedelta() < value <= limits.PERIOD_MAX:
        return value
    said = repr(str(value)) if isinstance(value, timedelta) else f"{value!r:.80}"
    message = f"{said} is no time for which anything is kept: that is whole seconds, at least one, and up to 100 years"
    raise Invalid(Code.BAD_ARGUMENT, message, hint="Such as timedelta(days=30), or 30d.")


def _period(value: object) -> timedelta:
    """Seconds, or such as 30d, as a time."""
    found = _PERIOD.fullmatch(value) if isinstance(value, str) else None
    if found and not int(found[1]):
        raise ValueError(f"{value!r} is no time at all: give at least one second, as 1s, or leave it out")
    try:
        if found:
            value = timedelta(**{_UNITS[found[2]]: int(found[1])})
        elif isinstance(value, int) and not isinstance(value, bool):
            value = timedelta(seconds=value)
    except OverflowError as error:
        raise ValueError("it is longer than 100 years") from error
    if not isinstance(value, timedelta):
        raise ValueError("it is neither a number of seconds nor such as 30d, 12h or 2w")  # noqa: TRY004 - pydantic's
    with _as_value_error():
        return check_period(value)


_SHAPES: Final = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "description": "Seconds"},
        {"type": "string", "pattern": r"^\d{1,10}[smhdw]$"},
    ],
    "examples": ["30d"],
}
Period = Annotated[timedelta, BeforeValidator(_period), WithJsonSchema(_SHAPES)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @model_serializer
    def _said(self) -> dict[str, Any]:
        """Only what is said, durations in seconds: what is equal is written equally."""
        found = {field.alias or name: getattr(self, name) for name, field in type(self).model_fields.items()}
        return {name: _plain(value) for name, value in found.items() if value is not None and value is not False}


def _plain(value: object) -> object:
    return int(value.total_seconds()) if isinstance(value, timedelta) else value


class RetentionMatch(_Part):
    """Which versions a rule is about: all that is said must be so. Nothing said: all versions."""

    type: str | None = None
    labels: dict[str, str] | None = None  # that the version has, and perhaps others
    name_prefix: str | None = None  # of the artifact's name, whatever the case

    @field_validator("type", "labels", "name_prefix")
    @classmethod
    def _within_the_rules(cls, value: Any, info: Any) -> Any:
        with _as_value_error():
            if value is not None and info.field_name == "type":
                grammar.check_type(value)
            elif value is not None and info.field_name == "labels":
                grammar.check_labels(value)
            elif value is not None and not (_PREFIX.fullmatch(value) and len(value) <= limits.NAME_MAX_BYTES):
                raise ValueError("no name begins like this")
        return value


class RetentionKeep(_Part):
    """What keeps a version that a rule is about: any of these. Nothing said: nothing keeps it."""

    last: StrictInt | None = Field(None, ge=1, le=limits.VERSION_MAX)  # the newest so many of an artifact
    for_: Period | None = Field(None, alias="for")  # so long after it was made
    accepted: StrictBool = False  # while that is its state
    tagged: StrictBool = False


class RetentionRule(_Part):
    """A rule: the versions it is about, and what keeps them."""

    name: str
    match: RetentionMatch = RetentionMatch()
    keep: RetentionKeep

    @field_validator("name")
    @classmethod
    def _of_the_grammar(cls, value: str) -> str:
        if value == TTL:
            raise ValueError("'ttl' stands for what decides about versions that have expired")
        with _as_value_error():
            return grammar.check_hold(value)


class RetentionPolicy(_Part):
    """Ordered rules: the first that is about a version decides. What none is about is kept."""

    rules: tuple[RetentionRule, ...] = Field(max_length=limits.RETENTION_RULES_MAX)
    purge_after: Period | None = None  # what retention has dropped so long ago is purged

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [rule.name for rule in self.rules]
        if twins := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two rules have the name {twins[0]!r}")
        return self

    @classmethod
    def from_dict(cls, policy: Mapping[str, Any]) -> Self:
        """The policy that JSON, or a dictionary of the same shape, says; raises Invalid (bad_retention), which names the place."""
        try:
            return cls.model_validate(policy)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = "".join(f"[{at}]" if isinstance(at, int) else f".{at}" for at in first["loc"]).lstrip(".")
            message = (
                f"the policy is refused{f' at {place}' if place else ''}: {first['msg'].removeprefix('Value error, ')}"
            )
            raise Invalid(Code.BAD_RETENTION, message, hint=_SHAPE) from error

    def to_dict(self) -> dict[str, Any]:
        """The inverse of `from_dict`, as JSON values; durations are seconds."""
        return self.model_dump(mode="json")


@contextmanager
def _as_value_error() -> Iterator[None]:
    """Pydantic gathers ValueErrors, and tells where they were."""
    try:
        yield
    except Invalid as error:
        raise ValueError(error.message) from error
