"""The conditions a request can put on the object it is about."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

from casstore.testing.gcs.refusals import Refusal, bad_request, precondition_failed

__all__ = ["NAMES", "SOURCE_NAMES", "UNCONDITIONAL", "Preconditions"]

_KINDS: Final = ("GenerationMatch", "GenerationNotMatch", "MetagenerationMatch", "MetagenerationNotMatch")
NAMES: Final = frozenset(f"if{kind}" for kind in _KINDS)
SOURCE_NAMES: Final = frozenset(f"ifSource{kind}" for kind in _KINDS)


class Versioned(Protocol):
    """What has the two numbers that conditions are about."""

    generation: int
    metageneration: int


class Preconditions(NamedTuple):
    """Each of the four, or None where the request does not ask for it. Generation 0 means: no live object."""

    generation: int | None = None
    not_generation: int | None = None
    metageneration: int | None = None
    not_metageneration: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str], *, prefix: str = "if") -> Preconditions:
        """Those of a request; `prefix="ifSource"` for those on the source of a copy.

        Raises:
            Refusal: 400, one is not a number.
        """
        try:
            numbers = [int(query[name]) if (name := f"{prefix}{kind}") in query else None for kind in _KINDS]
        except ValueError:
            raise bad_request("a precondition is not a number") from None
        return cls(*numbers)

    def check(self, current: Versioned | None, *, reading: bool = False) -> None:
        """Compare with what is there now.

        Raises:
            Refusal: 412; 304 where a reader has what is there already.
        """
        generation = current.generation if current else 0
        metageneration = current.metageneration if current else None
        if self.generation not in (None, generation) or self.metageneration not in (None, metageneration):
            raise precondition_failed()
        if self.not_generation == generation or (metageneration and self.not_metageneration == metageneration):
            raise Refusal(HTTPStatus.NOT_MODIFIED, "") if reading else precondition_failed()


UNCONDITIONAL: Final = Preconditions()
