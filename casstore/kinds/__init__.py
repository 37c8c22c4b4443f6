"""KINDS: artifact types, and what each promises about its parts. Pure functions: what a part says, and how parts belong together.

A type without a kind composes as it likes; `register` gives it one.
"""

from __future__ import annotations

from casstore.kinds.kind import ENVELOPE, Fault, Kind, Parts, Role, Rule, pointer
from casstore.kinds.models import of_model
from casstore.kinds.pieces import Piece, Source
from casstore.kinds.registry import check, compose, format_for, kind_of, names, register, words_for
from casstore.model import Relation

__all__ = [
    "ENVELOPE",
    "Fault",
    "Kind",
    "Parts",
    "Piece",
    "Relation",
    "Role",
    "Rule",
    "Source",
    "check",
    "compose",
    "format_for",
    "kind_of",
    "names",
    "of_model",
    "pointer",
    "register",
    "words_for",
]
