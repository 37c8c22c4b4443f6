"""From a method of a tenant's door to its route: how arguments are told, and how answers are read. The one table is `tenant.py`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import quote
from uuid import UUID

from pydantic import BaseModel, TypeAdapter, ValidationError

from casstore import grammar
from casstore.client.line import KEY, Request
from casstore.client.problems import no_casstore
from casstore.client.sending import Document, document
from casstore.errors import Code, Invalid, UsageError
from casstore.model import Digest, Version
from casstore.operations import Asking
from casstore.operations.deleting import one_version
from casstore.operations.get import own
from casstore.operations.listing import digest_prefix
from casstore.operations.put import check_expect, check_metadata
from casstore.refs import Ref
from casstore.retention import RetentionPolicy

__all__ = [
    "Parse",
    "Route",
    "all_of",
    "expecting",
    "field_of",
    "header",
    "model",
    "not_over_http",
    "one_of",
    "place",
    "ref_text",
]

T = TypeVar("T")
Parse: TypeAlias = Callable[[bytes], Any]
_HOLE: Final = re.compile(r"\{(\w+)\}")
_IN_PATH: Final = "/@:~"


class _Items(BaseModel, Generic[T]):
    items: tuple[T, ...]


def model(kind: Any) -> Parse:
    """Reads an answer that is such a value."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def parse(body: bytes) -> Any:
        try:
            return adapter.validate_json(body)
        except ValidationError as error:
            raise no_casstore(f"an answer cannot be read ({error.error_count()} faults)") from error

    return parse


def all_of(kind: Any) -> Parse:
    """Reads an answer that has all there are."""
    parse = model(_Items[kind])
    return lambda body: parse(body).items


def one_of(kind: Any) -> Parse:
    """Reads an answer that has just one of several that there could be."""
    parse = all_of(kind)

    def read(body: bytes) -> Any:
        found = parse(body)
        if len(found) != 1:
            raise no_casstore(f"an answer has {len(found)} items in place of one")
        return found[0]

    return read


def field_of(name: str, kind: Any) -> Parse:
    """Reads an answer of which one field counts."""
    parse = model(dict[str, kind])

    def read(body: bytes) -> Any:
        found = parse(body)
        if name not in found:
            raise no_casstore(f"an answer has no {name!r}")
        return found[name]

    return read


class Route:
    """A route: `GET /lineage/{ref}`. What is not in its path goes into the query, or into the body as JSON.

    Args:
        text: The verb and the path.
        parse: Reads the answer.
        whole: It is about one version for ever: `ref` may be no name alone, which would mean the artifact.
    """

    def __init__(self, text: str, parse: Parse, *, whole: bool = False) -> None:
        self._verb, self._path = text.split()
        self._whole = whole
        self.parse = parse

    def request(
        self, asking: Asking, method: Callable[..., Any], arguments: tuple[Any, ...], **options: Any
    ) -> Request:
        """The request of a call with these arguments; raises Invalid as the method itself would, before anything is sent."""
        bound = inspect.signature(method).bind(None, *arguments, **options)
        bound.apply_defaults()
        values = dict(list(bound.arguments.items())[1:])  # without self
        if self._whole:
            one_version(asking, values["ref"], method.__name__)
        headers = expecting(values.pop("expect", None)) | _key(values.pop("idempotency_key", None))
        told = {name: _TOLD[name](asking, value) if name in _TOLD else value for name, value in values.items()}
        if "when" in told:
            told |= _when(told.pop("when"))
        path = _HOLE.sub(lambda hole: place(str(told.pop(hole[1]))), self._path)
        if self._verb in ("GET", "DELETE"):
            return Request(self._verb, path, _query(told), headers)
        return Request(self._verb, path, (), headers, Document(document(told)) if told else None)


def place(text: str) -> str:
    """A part of a path, quoted; raises Invalid (bad_argument) for what would lead elsewhere."""
    try:
        quoted = quote(text, safe=_IN_PATH)
    except UnicodeEncodeError as error:
        raise Invalid(Code.BAD_TEXT, f"an argument cannot be sent: {error}") from error
    if any(part in ("", ".", "..") for part in text.split("/")):
        raise Invalid(Code.BAD_ARGUMENT, f"{text!a:.80} cannot be part of a path")
    return quoted


def expecting(number: int | None) -> dict[str, str]:
    """The header for the version that must be there now; 0: none."""
    if check_expect(number) is None:
        return {}
    return {"If-Match": f'"{number}"'} if number else {"If-None-Match": "*"}


def _key(key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    return {KEY: header(grammar.check_key(key))}


def header(text: str) -> str:
    """Text as the value of a header; raises Invalid (bad_idempotency_key) for what a header cannot hold."""
    if text.isascii() and text.isprintable() and text.strip() == text:
        return text
    hint = "Over HTTP it is printable ASCII, without spaces at its ends."
    raise Invalid(Code.BAD_IDEMPOTENCY_KEY, f"idempotency key {text!a:.80} does not fit into a header", hint=hint)


def ref_text(asking: Asking, ref: str | Ref) -> str:
    """A reference as the caller wrote it, without the tenant, which is the token's; raises Invalid, and NotFound for another's."""
    parsed = own(asking, ref)
    return str(ref).removeprefix(f"cas://{parsed.tenant}/") if parsed.tenant else str(ref)


def not_over_http(what: str, hint: str) -> UsageError:
    """What has no route."""
    return UsageError(Code.NOT_OVER_HTTP, f"{what} cannot be done over HTTP", hint=hint)


def _ref(asking: Asking, ref: str | Ref | None) -> str | None:
    return None if ref is None else ref_text(asking, ref)


def _target(asking: Asking, target: str | Ref | None) -> str | None:
    """What the server takes apart: one version, a whole artifact, or a content by its digest."""
    return _ref(asking, target) if str(target).startswith("cas://") else None if target is None else str(target)


def _side(asking: Asking, target: object) -> str:
    match target:
        case Version() | UUID():
            return f"id:{target if isinstance(target, UUID) else target.id}"
        case str() | Ref():
            return ref_text(asking, target)
    raise not_over_http("comparing with data that is not stored", "Put it under a name first, and compare that.")


def _policy(_asking: Asking, policy: RetentionPolicy | Mapping[str, Any]) -> dict[str, Any]:
    return (policy if isinstance(policy, RetentionPolicy) else RetentionPolicy.from_dict(policy)).to_dict()


def _digest(_asking: Asking, digest: str | Digest) -> str:
    return str(digest) if isinstance(digest, Digest) else f"b3:{digest_prefix(digest)}"


def _plain(check: Callable[[Any], Any]) -> Callable[[Asking, Any], Any]:
    return lambda _asking, value: None if value is None else check(value)


# How arguments are told, by their names; the others are told as they are.
_TOLD: Final[dict[str, Callable[[Asking, Any], Any]]] = {
    **dict.fromkeys(("ref", "ours", "theirs", "base"), _ref),
    **dict.fromkeys(("a", "b"), _side),
    **dict.fromkeys(("name", "into"), _plain(grammar.check_name)),
    **dict.fromkeys(("alias", "tag", "pointer"), _plain(grammar.check_alias)),
    "target": _target,
    "by": _plain(grammar.check_actor),
    "reason": _plain(grammar.check_reason),
    "component": _plain(grammar.check_role),
    "digest": _digest,
    "policy": _policy,
    "label": _plain(lambda labels: [f"{key}={value}" for key, value in grammar.check_labels(labels).items()]),
    "metadata": _plain(check_metadata),
    "resolved": _plain(list),
}


def _when(when: Any) -> dict[str, Any]:
    return {"after" if isinstance(when, timedelta) else "at": when}


def _query(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs = [(name, each) for name, value in told.items() for each in (value if isinstance(value, list) else [value])]
    return [(name, _word(value)) for name, value in pairs if value is not None]


def _word(value: Any) -> str:
    word = str(value).lower() if isinstance(value, bool) else str(value)
    try:
        word.encode()
    except UnicodeEncodeError as error:
        raise Invalid(Code.BAD_TEXT, f"an argument cannot be sent: {error}") from error
    return word
