"""Kinds from pydantic models: a component is as its model says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ValidationError

from casstore.errors import Invalid
from casstore.kinds.kind import Fault, Kind, Parts, fault_of, pointer
from casstore.kinds.pieces import Piece
from casstore.model import MAIN, Relation

__all__ = ["of_model"]


def of_model(
    name: str, model: type[BaseModel] | Mapping[str, type[BaseModel]], *, links: tuple[Relation, ...] = ()
) -> Kind:
    """A kind whose components are JSON that pydantic models accept.

    Args:
        name: The artifact type.
        model: Of the role `main`, or each by its role. These roles must be there; others may be, unchecked.
        links: The relations between roles.
    """
    models = dict(model) if isinstance(model, Mapping) else {MAIN: model}

    def rule(parts: Parts) -> Iterator[Fault]:
        for role, wanted in models.items():
            if role in parts:
                yield from _faults(parts[role], wanted)
            else:
                yield Fault(role, "", "is missing")

    return Kind(name=name, rule=rule, links=links)


def _faults(piece: Piece, model: type[BaseModel]) -> Iterator[Fault]:
    try:
        piece.json()  # by our rules first: pydantic's own parser lets NaN pass
        model.model_validate_json(piece.bytes())
    except Invalid as error:
        yield fault_of(error)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_context=False, include_input=False):
            yield Fault(piece.role, pointer(*found["loc"]), f"is refused: {found['msg']}")
