"""Executions: all artifacts that one execution of an orchestrator made, stored together or not at all, and read back.

A result is a dictionary of artifacts by key. What is a dictionary in it is an artifact, of the type that it tells:

1. its `result_type`, or else its `artifact_type`, if that is text;
2. else its `type`, or else its key, if the policy names that type or it has a kind;
3. else its key, if that can be a type; else "document".

What is none (a status, a list of warnings) stays in the result as it is, but for what stands under a key of an artifact: a
workflow or a picture that is no dictionary is refused rather than left out without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final
from uuid import UUID

from casstore import grammar, kinds
from casstore.errors import Code, Conflict, Invalid
from casstore.integrations.materialization import Materialization, MaterializationPolicy
from casstore.integrations.reading import read_result, storage_path
from casstore.integrations.registry import actor_of
from casstore.integrations.results import ResultComponents, to_components
from casstore.integrations.stand_ins import IMAGE
from casstore.kinds.picture import KEY_ENDS
from casstore.model import Digest, Version
from casstore.operations.pending import Pending
from casstore.operations.transaction import AsyncTransaction
from casstore.tenant import AsyncTenant

__all__ = ["StoredExecution", "load_execution", "store_execution"]

_ID: Final = "_artifact_id"
_PATH: Final = "_storage_path"
_SOURCES: Final = "source_artifact_ids"
_STATE: Final = "lifecycle_state"
_DOCUMENT: Final = "document"  # what an artifact is that nobody names a type for
_WRAPPER: Final = "artifact_visual"  # the key a picture stands under that is an artifact by itself
_PLAIN_SEGMENT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SHORT_SEGMENT: Final = re.compile(r"(?:.*-)?b3-[0-9a-f]{32}")
_SLUG_CHARS: Final = 27  # with "-b3-" and 32 digits it fits into a segment
_HASH_HEX: Final = 32  # 128 bits: nobody can make two keys that share a name


@dataclass(frozen=True, slots=True)
class StoredExecution:
    """What an execution made, stored.

    Attributes:
        result: The result, as it was given, with `<key>_artifact_id` and `<key>_storage_path` beside each artifact that is stored,
            and without those that the policy discards.
        references: These ids and paths alone: what goes into the state of the execution.
    """

    result: dict[str, Any]
    references: dict[str, str]


async def store_execution(
    tenant: AsyncTenant,
    result: dict[str, Any],
    policy: MaterializationPolicy,
    *,
    execution_id: str,
    metadata: Mapping[str, Any] | None = None,
) -> StoredExecution:
    """Store what the policy persists of an execution's result, all of it in one transaction; on return it is durable.

    Each artifact is version 1 of `<type>/<execution_id>/<key>`, each step of which is shortened to 27 characters and 32 digits of
    its digest where it cannot stand in a name. The same call again, from any process, also after a crash, stores nothing and
    gives the same references. The `source_artifact_ids` of an artifact, or of its `metadata`, become its sources: keys of
    this result, ids, or references. One that is not persisted is left out.

    Args:
        tenant: Whose the artifacts are.
        result: Artifacts by key.
        policy: What is stored, and what is not.
        execution_id: Names this execution, for ever.
        metadata: What the registry keeps of each artifact: session_id, intent_type, realm … The `source_artifact_ids` in it
            become sources of all.

    Raises:
        Invalid: An artifact cannot be stored; `fields["key"]` says which, and the message where in it (bad_picture,
            bad_composition, bad_json …). Or the metadata or the sources. Nothing was stored.
        NotFound: A source that is a reference (artifact_not_found, version_not_found …).
        Conflict: This execution was stored with another result (idempotency_key_reused). Or its names are taken, or there is no
            version with the id of a source (transaction_refused).
        Unavailable: As `AsyncTenant.put`. Call it again.
    """
    registry = _registry(metadata or {}, execution_id)
    of_all = _sources(metadata or {})
    artifacts = _artifacts(result, policy)
    persisted = _in_order({key: each for key, each in artifacts.items() if each.fate == "persist"})
    contents = await asyncio.to_thread(_contents, persisted)
    puts: dict[str, Pending] = {}
    async with _execution(tenant, execution_id) as tx:
        for each in persisted:
            own = [puts.get(source, source) for source in each.sources if source in puts or source not in artifacts]
            with _about(each.key):
                puts[each.key] = await tx.put(
                    "/".join(map(_segment, (each.type, execution_id, each.key))),
                    contents[each.key],
                    type=each.type,
                    metadata=registry,
                    sources=[_version(source) for source in (*own, *of_all)],
                    expect=0,
                )
    return _told(result, artifacts, {key: _references(tenant, key, put.stored) for key, put in puts.items()})


async def load_execution(
    tenant: AsyncTenant, references: Mapping[str, Any], *, include_visuals: bool = False
) -> dict[str, dict[str, Any]]:
    """The artifacts that the references of `store_execution` mean, by key, as they were given.

    Args:
        tenant: Whose they are.
        references: `<key>_artifact_id` for each; all other keys are left alone.
        include_visuals: Whether pictures are put back, and all is exactly as it was. Else the dictionary of a picture has
            `storage_path`, `format`, `width` and `height` instead of `image_base64`.

    Raises:
        NotFound: One is not there, or another tenant's.
        Invalid: What is no id (bad_reference), or the id of something that was not stored as a result (bad_components).
        Corrupt, Unavailable: As any read.
    """
    ids = {key.removesuffix(_ID): identity for key, identity in references.items() if key.endswith(_ID)}
    artifacts = {key: await tenant.get(f"id:{identity}") for key, identity in ids.items()}
    return {
        key: _unwrapped(await read_result(artifact, tenant.name, visuals=include_visuals))
        for key, artifact in artifacts.items()
    }


# -- what a result has -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Artifact:
    """An artifact of a result: what it is, what becomes of it, and what it says that it was made from."""

    key: str
    data: dict[str, Any]
    type: str
    fate: Materialization
    sources: list[str]


def _artifacts(result: dict[str, Any], policy: MaterializationPolicy) -> dict[str, _Artifact]:
    """The artifacts of a result, by key; raises Invalid for what is no result, and what could be meant as one but is none."""
    if not isinstance(result, dict) or not all(isinstance(key, str) for key in result):
        raise Invalid(Code.BAD_DATA, "the result of an execution is a dictionary whose keys are text")
    found = {}
    for key, value in result.items():
        with _about(key):
            if isinstance(value, dict):
                kind = _type_of(key, value, policy)
                found[key] = _Artifact(key, value, kind, policy.of(kind), _sources(value))
            elif value is not None and (key.endswith(KEY_ENDS) or _is_known(key, policy)):
                message = f"it is a {type(value).__name__}, and an artifact is a dictionary"
                raise Invalid(Code.BAD_DATA, message, hint="Put it into one, or under a key that is no artifact's.")
    for key, suffix in itertools.product(found, (_ID, _PATH)):
        if key + suffix in found:
            message = f"{key + suffix!a:.80} is an artifact, and where the reference to {key!a:.80} is to stand"
            raise Invalid(Code.BAD_DATA, message, hint="Give one of them another key.")
    return found


def _type_of(key: str, artifact: dict[str, Any], policy: MaterializationPolicy) -> str:
    for said in (artifact.get("result_type"), artifact.get("artifact_type")):
        if isinstance(said, str):
            return grammar.check_type(said)
    for perhaps in (artifact.get("type"), key):
        if isinstance(perhaps, str) and _is_known(perhaps, policy):
            return perhaps
    return key if re.fullmatch(grammar.TYPE, key, re.ASCII) else _DOCUMENT


def _is_known(name: str, policy: MaterializationPolicy) -> bool:
    return name in policy.types or kinds.kind_of(name) is not None


def _registry(metadata: Mapping[str, Any], execution_id: str) -> dict[str, Any]:
    """What each version's metadata is: the same text for whoever repeats the execution."""
    if not isinstance(execution_id, str) or not execution_id:
        raise Invalid(Code.BAD_ARGUMENT, f"execution_id={execution_id!a:.80} is no text, or empty")
    if not isinstance(metadata, Mapping) or metadata.get("execution_id", execution_id) != execution_id:
        message = "the metadata of an execution is a mapping, and has no other execution_id than the execution"
        raise Invalid(Code.BAD_METADATA, message)
    if metadata.get(_STATE, "draft") != "draft":
        message = f"an execution makes drafts, and nothing that is {metadata[_STATE]!a:.80}"
        raise Invalid(Code.BAD_METADATA, message, hint="Take it on with `tenant.transition`, which keeps who and when.")
    kept = {key: value for key, value in metadata.items() if key not in (_SOURCES, _STATE)} | {
        "execution_id": execution_id
    }
    return dict(sorted(kept.items(), key=lambda item: str(item[0])))


# -- sources ---------------------------------------------------------------------------------------------------------------


def _sources(holder: Mapping[str, Any]) -> list[str]:
    """The `source_artifact_ids` of an artifact, or of the metadata; of an artifact also those in its own metadata."""
    inner = holder.get("metadata")
    found: list[str] = []
    for said in (holder.get(_SOURCES), inner.get(_SOURCES) if isinstance(inner, Mapping) else None):
        if not isinstance(said, list | tuple | None) or not all(isinstance(each, str) for each in said or ()):
            raise Invalid(Code.BAD_ARGUMENT, f"{_SOURCES} is a list of ids, keys or references, not {said!a:.80}")
        found += said or ()
    return list(dict.fromkeys(found))


def _in_order(artifacts: dict[str, _Artifact]) -> list[_Artifact]:
    """Each after its sources among these, else by key: in the order of whoever repeats the execution."""
    among = {key: sorted(artifacts.keys() & artifacts[key].sources) for key in sorted(artifacts)}
    try:
        return [artifacts[key] for key in TopologicalSorter(among).static_order()]
    except CycleError as error:
        told = " → ".join(f"{key!a:.80}" for key in error.args[1])
        raise Invalid(
            Code.BAD_ARGUMENT, f"artifacts are made from each other: {told}", hint=f"Mend {_SOURCES}."
        ) from error


def _version(source: str | Pending) -> str | Pending | UUID:
    """An id as the store takes it; a reference as it is."""
    if isinstance(source, str):
        with contextlib.suppress(ValueError):
            return UUID(source)
    return source


@contextlib.asynccontextmanager
async def _execution(tenant: AsyncTenant, execution_id: str) -> AsyncIterator[AsyncTransaction]:
    """The one transaction of this execution."""
    try:
        key, by = f"execution {_segment(execution_id)}", actor_of(execution_id)
        async with tenant.transaction(idempotency_key=key, by=by) as tx:
            yield tx
    except Conflict as error:
        if error.code is not Code.IDEMPOTENCY_KEY_REUSED:
            raise
        message = f"the execution {execution_id!a:.80} was stored with another result, policy or metadata"
        hint = "An execution has one result, for ever; give another one an id of its own."
        raise Conflict(Code.IDEMPOTENCY_KEY_REUSED, message, hint=hint, execution_id=execution_id) from error


# -- components ------------------------------------------------------------------------------------------------------------


def _contents(artifacts: list[_Artifact]) -> dict[str, ResultComponents]:
    """What to store of each, by key. It decodes all pictures: call it in a thread."""
    contents = {}
    for each in artifacts:
        with _about(each.key):
            contents[each.key] = to_components(each.type, _wrapped(each))
    return contents


def _wrapped(artifact: _Artifact) -> dict[str, Any]:
    """Pictures are looked for below keys that end as theirs do: an artifact that is one is put below such a key.

    What looks as if it had been is put there, too, so that `_unwrapped` is never wrong.
    """
    is_picture = artifact.key.endswith(KEY_ENDS) and IMAGE in artifact.data
    return {_WRAPPER: artifact.data} if is_picture or _looks_wrapped(artifact.data) else artifact.data


def _unwrapped(data: dict[str, Any]) -> dict[str, Any]:
    return data[_WRAPPER] if _looks_wrapped(data) else data


def _looks_wrapped(data: dict[str, Any]) -> bool:
    return list(data) == [_WRAPPER] and isinstance(data[_WRAPPER], dict)


# -- names and references --------------------------------------------------------------------------------------------------


def _segment(text: str) -> str:
    """A step of a name, for no other text than this; in lower case, because names that differ in it alone are one."""
    if _PLAIN_SEGMENT.fullmatch(text) and ".." not in text and not _SHORT_SEGMENT.fullmatch(text):
        return text
    slug = re.sub(r"[^a-z0-9_]+", "-", text.lower(), flags=re.ASCII)[:_SLUG_CHARS].strip("-_")
    digits = Digest.of(text.encode(errors="surrogatepass")).hex()[:_HASH_HEX]
    return f"{slug}-b3-{digits}".lstrip("-")


def _references(tenant: AsyncTenant, key: str, version: Version) -> dict[str, str]:
    return {key + _ID: str(version.id), key + _PATH: storage_path(version, tenant.name)}


def _told(
    result: dict[str, Any], artifacts: dict[str, _Artifact], stored: dict[str, dict[str, str]]
) -> StoredExecution:
    references = {name: value for key in result for name, value in stored.get(key, {}).items()}
    told: dict[str, Any] = {}
    for key, value in result.items():
        is_discarded = key in artifacts and artifacts[key].fate == "discard"
        if not is_discarded and key not in references:  # those of an earlier call are replaced
            told |= {key: value, **stored.get(key, {})}
    return StoredExecution(told, references)


@contextlib.contextmanager
def _about(key: str) -> Iterator[None]:
    """Say of which artifact an error tells."""
    try:
        yield
    except Invalid as error:
        fields = {**error.fields, "key": key}
        raise Invalid(error.code, f"the artifact {key!a:.80}: {error.message}", hint=error.hint, **fields) from error
