"""What becomes of each artifact of an execution, by its type: stored, left in the result, or dropped."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, NoReturn, Self, TypeAlias, get_args

from casstore import grammar
from casstore.errors import Code, Invalid
from casstore.staging import reading

__all__ = ["Materialization", "MaterializationPolicy"]

Materialization: TypeAlias = Literal["persist", "cache", "discard"]

_DEFAULT: Final = "persist"  # what nobody thought of is rather kept than lost
_VERBS: Final[tuple[str, ...]] = get_args(Materialization)
_SHAPE: Final = "A policy is {default: persist, types: {workflow: persist, summary: cache, trace: discard}}."


@dataclass(frozen=True, slots=True)
class MaterializationPolicy:
    """Which artifacts of an execution are kept.

    - `persist`: it is stored.
    - `cache`: it is not stored, and stays in the result for as long as the caller keeps that.
    - `discard`: it is not stored, and is not in the result.

    Attributes:
        types: What becomes of artifacts of a type.
        default: What becomes of all others.
    """

    types: Mapping[str, Materialization]
    default: Materialization = _DEFAULT

    @classmethod
    def from_dict(cls, policy: Mapping[str, Any]) -> Self:
        """The policy `{"default": …, "types": {type: …}}`, each of the two optional; raises Invalid (bad_config)."""
        read = _mapping(policy, "a policy")
        if strangers := [key for key in read if key not in ("default", "types")]:
            _refuse(f"has the key {strangers[0]!a:.80}, and knows default and types")
        types = _mapping(read.get("types", {}), "types")
        return cls(
            MappingProxyType({_type(name): _verb(verb, f"types.{name}") for name, verb in types.items()}),
            _verb(read.get("default", _DEFAULT), "default"),
        )

    @classmethod
    def from_yaml(cls, source: str | os.PathLike[str]) -> Self:
        """The policy in YAML, of the shape of `from_dict`: text, or the path of a file. It needs the extra `casstore[yaml]`.

        Raises:
            Invalid: It is no YAML, has a key twice or is not of that shape (bad_config), or there is no such file
                (unreadable_source).
        """
        return cls.from_dict(_parsed(source if isinstance(source, str) else _text(Path(source))))

    def of(self, artifact_type: str) -> Materialization:
        """What becomes of artifacts of this type."""
        return self.types.get(artifact_type, self.default)


def _mapping(value: Any, what: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        _refuse(f"is not as it should be: {what} is a mapping, not a {type(value).__name__}")
    return value


def _type(name: Any) -> str:
    try:
        return grammar.check_type(name)
    except Invalid as error:
        _refuse(f"names a type that cannot be one: {error.message}")


def _verb(verb: Any, place: str) -> Materialization:
    if not isinstance(verb, str) or verb not in _VERBS:
        _refuse(f"says {verb!a:.80} at {place}, which is none of {', '.join(_VERBS)}")
    return verb  # type: ignore[return-value]  # one of them, as was just found


def _text(path: Path) -> str:
    with reading(path):
        data = path.read_bytes()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        _refuse(f"in {path} is not UTF-8 text: {error}")


def _parsed(text: str) -> Any:
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = "a policy in YAML needs PyYAML, which is not installed"
        raise Invalid(
            Code.BAD_CONFIG, message, hint="Install the extra casstore[yaml], or give a dictionary."
        ) from error

    try:
        root, policy = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        _refuse(f"is no YAML: {error}")
    _refuse_twins(root)
    for _, value in root.value if isinstance(root, yaml.MappingNode) else ():
        _refuse_twins(value)
    return policy


def _refuse_twins(node: Any) -> None:
    """PyYAML takes the last of two equal keys without a word."""
    keys = [key.value for key, _ in node.value] if node and node.id == "mapping" else []
    if twins := [key for key in keys if keys.count(key) > 1]:
        _refuse(f"has the key {twins[0]!a:.80} twice, in the mapping that begins in line {node.start_mark.line + 1}")


def _refuse(fault: str) -> NoReturn:
    raise Invalid(Code.BAD_CONFIG, f"the policy {fault}", hint=_SHAPE)
