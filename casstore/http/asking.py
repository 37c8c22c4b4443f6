"""What requests have in common: pages, who and why, what state of the store they expect."""

from __future__ import annotations

import json as stdlib_json
from typing import Annotated, Any, TypeAlias

from fastapi import Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from casstore import limits
from casstore.errors import Code, Invalid
from casstore.formats import json

__all__ = [
    "Behalf",
    "Expected",
    "Expecting",
    "Paging",
    "Turning",
    "Why",
    "expected",
    "json_object",
    "no_parameters",
    "pairs",
]


class Paging(BaseModel):
    """Which part of a list."""

    cursor: str | None = None
    limit: int = Field(limits.PAGE_DEFAULT, ge=1, le=limits.PAGE_MAX)


Turning: TypeAlias = Annotated[Paging, Query()]


class Behalf(BaseModel):
    """On whose behalf: kept behind the actor of the token."""

    model_config = ConfigDict(extra="forbid")

    by: str | None = None


class Why(Behalf):
    """On whose behalf (kept behind the actor of the token), and why."""

    reason: str | None = None


class Expected(BaseModel):
    """The state of the store that a request expects, and the key that makes its repetitions one."""

    if_match: str | None = Field(None, description='The number of the version that is there now, such as "3"')
    if_none_match: str | None = Field(None, description="`*`: there must be none")
    idempotency_key: str | None = None


Expecting: TypeAlias = Annotated[Expected, Header()]


def no_parameters(request: Request) -> None:
    """Raise Invalid (bad_argument) for parameters, of which the route has none: what they say would be lost."""
    if request.query_params:
        raise Invalid(
            Code.BAD_ARGUMENT, "there are no parameters here", hint="Whatever is asked is in the body, as JSON."
        )


def expected(asked: Expected) -> int | None:
    """The number that the preconditions of a request expect, 0 for none; raises Invalid (bad_argument)."""
    if asked.if_none_match is not None:
        if asked.if_none_match.strip() != "*" or asked.if_match is not None:
            raise Invalid(Code.BAD_ARGUMENT, "If-None-Match is `*` here, and not together with If-Match")
        return 0
    if asked.if_match is None:
        return None
    number = asked.if_match.strip().removeprefix('"').removesuffix('"')
    if not (number.isascii() and number.isdigit() and len(number) <= len(str(limits.VERSION_MAX))):
        raise Invalid(Code.BAD_ARGUMENT, f"If-Match is the number of a version in quotes, not {asked.if_match[:40]!a}")
    return int(number)


def pairs(what: str, given: list[str]) -> dict[str, str] | None:
    """Repeated KEY=VALUE parameters; raises Invalid (bad_argument)."""
    parts = [text.partition("=") for text in given]
    if any(not equals for _, equals, _ in parts) or len({key for key, _, _ in parts}) < len(parts):
        raise Invalid(Code.BAD_ARGUMENT, f"{what} is KEY=VALUE, each key once")
    return {key: value for key, _, value in parts} or None


def json_object(what: str, given: str | None) -> dict[str, Any] | None:
    """A parameter that is a JSON object; raises Invalid (bad_argument, bad_json)."""
    if given is None:
        return None
    found = json.decode(given.encode("utf-8", "surrogatepass"))
    if not isinstance(found, dict):
        raise Invalid(Code.BAD_ARGUMENT, f"{what} is a JSON object, not {stdlib_json.dumps(found)[:80]}")
    return found
