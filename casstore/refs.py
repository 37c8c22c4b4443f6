"""References: `name@selector#component`, as text and parsed. Parsing and printing are inverse; nothing here does I/O.

```
ref       = name [ "@" selector ] [ "#" role ]        also cas://tenant/<ref>, and id:<uuid> [ "#" role ]
selector  = "3" | "v3" | "latest" | alias or tag | "b3:" hex{12,64} | ( "latest" | alias ) "~" RFC 3339 instant
```
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from casstore import grammar, limits
from casstore.errors import Code, Invalid

__all__ = ["DIGEST", "LATEST", "Ref", "Selector", "parse_instant"]

_NUMBER = re.compile(r"v?([0-9]+)", re.ASCII)
DIGEST = re.compile(rf"b3:([0-9a-f]{{{limits.DIGEST_PREFIX_MIN_HEX},64}})", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class Selector(BaseModel):
    """Which version of a name: the head, a number, an alias or tag, a manifest digest (prefix), perhaps at an instant."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["latest", "number", "pointer", "digest"] = "latest"
    number: int | None = None
    text: str | None = None
    as_of: datetime | None = None

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Read what stands after the "@"; raises Invalid (bad_selector)."""
        word, tilde, instant = text.partition("~")
        if match := _NUMBER.fullmatch(word):
            selector = cls(kind="number", number=_number(match.group(1)))
        elif word.startswith("b3:"):
            selector = cls(kind="digest", text=_digest_prefix(word))
        elif word == "latest":
            selector = LATEST
        else:
            selector = cls(kind="pointer", text=_pointer(word))
        if not tilde:
            return selector
        if selector.kind not in ("latest", "pointer"):
            raise Invalid(
                Code.BAD_SELECTOR,
                f"selector {text!a} asks for an instant of something that never moves",
                hint="Only 'latest' and aliases change: name@prod~2026-08-01T00:00:00Z.",
            )
        return selector.model_copy(update={"as_of": parse_instant(instant)})

    def __str__(self) -> str:
        word = {"latest": "latest", "number": str(self.number), "pointer": self.text, "digest": f"b3:{self.text}"}[
            self.kind
        ]
        return f"{word}~{_instant_text(self.as_of)}" if self.as_of else str(word)


LATEST: Final = Selector()


class Ref(BaseModel):
    """A parsed reference. `name` is empty exactly when `id` is given."""

    model_config = ConfigDict(frozen=True)

    name: str = ""
    selector: Selector = LATEST
    role: str | None = None
    tenant: str | None = None
    id: UUID | None = None

    @classmethod
    def parse(cls, text: str | Ref) -> Ref:
        """Read a reference; raises Invalid, with the code of the part that is wrong."""
        if isinstance(text, Ref):
            return text
        if not isinstance(text, str):
            raise Invalid(
                Code.BAD_REFERENCE, f"a reference is text, not {type(text).__name__}", hint="Such as 'sop/login@3'."
            )
        rest = text
        fields: dict[str, Any] = {}
        if rest.startswith("cas://"):
            tenant, slash, rest = rest.removeprefix("cas://").partition("/")
            fields["tenant"] = grammar.check_tenant(tenant)
            if not slash:
                raise Invalid(Code.BAD_REFERENCE, f"{text!a} has no name", hint="cas://tenant/name@3#component")
        rest, hash_sign, role = rest.partition("#")
        if hash_sign:
            fields["role"] = grammar.check_role(role)
        if rest.startswith("id:"):
            return cls(id=_version_id(rest.removeprefix("id:")), **fields)
        name, at, selector = rest.partition("@")
        parsed = Selector.parse(selector) if at else LATEST
        return cls(name=grammar.check_name(name), selector=parsed, **fields)

    def __str__(self) -> str:
        text = f"id:{self.id}" if self.id else self.name
        if self.selector != LATEST:
            text += f"@{self.selector}"
        if self.role is not None:
            text += f"#{self.role}"
        return f"cas://{self.tenant}/{text}" if self.tenant else text

    def __repr__(self) -> str:
        return f"Ref({str(self)!r})"


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 instant (seconds may be left out) as an aware UTC datetime; raises Invalid (bad_selector)."""
    try:
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # a 30th of February or a year before 1: refused below with all the rest
    raise Invalid(
        Code.BAD_SELECTOR,
        f"{text!a} is no instant",
        hint="Write a date, a time and an offset, such as 2026-08-01T00:00:00Z or 2026-08-01T02:00+02:00.",
    )


def _instant_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _number(digits: str) -> int:
    if digits.startswith("0") or len(digits) > len(str(limits.VERSION_MAX)) or int(digits) > limits.VERSION_MAX:
        raise Invalid(
            Code.BAD_SELECTOR,
            f"{digits[:20]!a} is no version number",
            hint=f"Versions count from 1 to {limits.VERSION_MAX}, without leading zeros.",
        )
    return int(digits)


def _digest_prefix(word: str) -> str:
    if match := DIGEST.fullmatch(word):
        return match.group(1)
    raise Invalid(
        Code.BAD_SELECTOR,
        f"{word[:80]!a} is no digest or prefix of one",
        hint=f"Write b3: and {limits.DIGEST_PREFIX_MIN_HEX} to 64 lower-case hex digits of a manifest digest.",
    )


def _pointer(word: str) -> str:
    try:
        return grammar.check_alias(word)
    except Invalid as error:
        raise Invalid(
            Code.BAD_SELECTOR,
            f"selector {word[:80]!a} is no version, alias, tag or digest",
            hint="After '@' stands 3, v3, latest, an alias or tag in lower case, or b3:<hex>.",
        ) from error


def _version_id(text: str) -> UUID:
    if _UUID.fullmatch(text):
        return UUID(text)
    raise Invalid(Code.BAD_REFERENCE, f"{text[:80]!a} is no version id", hint="Write id: and a UUID in lower case.")
