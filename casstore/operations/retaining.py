"""retention: drop the versions that a tenant's rules do not keep; told beforehand, and nothing that is used or held.

*Look* at all versions, the newest first, then *drop* in batches: each looks again under the locks of delete, so what was used,
held or decided otherwise meanwhile stays. What was made from a version is newer than it, and goes before it: whenever this is
interrupted, what stays has all it was made from, and the next call goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from casstore import grammar, limits
from casstore.catalog import retention
from casstore.catalog.retention import Custody, Expiry, Retained, Retention, RetentionPreview, RetentionTotals, Verdict
from casstore.errors import Code, Invalid
from casstore.formats import json
from casstore.operations import Context
from casstore.operations.get import resolve, whole
from casstore.operations.listing import page_size
from casstore.operations.put import check_expect
from casstore.refs import Ref
from casstore.retention import RetentionPolicy, check_period
from casstore.staging import reading

__all__ = [
    "Custody",
    "Expiry",
    "Retained",
    "Retention",
    "RetentionPreview",
    "RetentionTotals",
    "Verdict",
    "apply",
    "custody",
    "expire",
    "policy_in",
    "preview",
    "retention_of",
    "set_policy",
]


async def set_policy(
    context: Context, policy: RetentionPolicy | Mapping[str, Any], *, by: str, expect: int | None
) -> Retention:
    """Set the tenant's policy."""
    checked = policy if isinstance(policy, RetentionPolicy) else RetentionPolicy.from_dict(policy)
    actor = grammar.check_actor(by)
    return await retention.set_policy(context.catalog, context.tenant, checked, actor, check_expect(expect))


async def retention_of(context: Context) -> Retention | None:
    """The tenant's policy; None where none was set."""
    return await retention.retention(context.catalog, context.tenant)


async def preview(context: Context, *, cursor: str | None, limit: int) -> RetentionPreview:
    """What applying retention now would do with each version."""
    return await retention.preview(context.catalog, context.tenant, cursor=cursor, limit=page_size(limit))


async def apply(context: Context, *, by: str) -> Retained:
    """Do what the preview tells, then purge what was dropped long enough ago."""
    actor, now = grammar.check_actor(by), await retention_of(context)
    dropped, kept_back = await _drop(context, now.revision if now else 0, actor)
    purged, left = 0, 0
    if now and now.policy.purge_after:
        purged, left = await _purge(context, now.policy.purge_after, actor)
    return Retained(dropped=dropped, kept_back=kept_back, purged=purged, left_in_trash=left)


async def _drop(context: Context, revision: int, by: str) -> tuple[int, int]:
    dropped, seen, before = 0, 0, None
    while found := await retention.to_drop(context.catalog, context.tenant, before):
        for start in range(0, len(found), limits.RETENTION_BATCH):
            ids = [identity for _, identity in found[start : start + limits.RETENTION_BATCH]]
            dropped += await retention.drop(context.catalog, context.tenant, revision, ids, by)
        seen += len(found)
        before = found[-1][0]
    return dropped, seen - dropped


async def _purge(context: Context, age: timedelta, by: str) -> tuple[int, int]:
    purged, left = 0, 0
    last: int | None = None
    while True:
        some, kept, last = await retention.purge(context.catalog, context.tenant, age, last, by)
        purged, left = purged + some, left + kept
        if last is None:
            return purged, left


async def custody(context: Context, ref: str | Ref) -> Custody:
    """What keeps a version, and until when it is wanted."""
    version, _ = await resolve(context, ref)
    return await retention.custody(context.catalog, context.tenant, version.id)


async def expire(
    context: Context, ref: str | Ref, when: datetime | timedelta | None, *, by: str, reason: str | None
) -> Expiry:
    """Say when a version expires: at an instant, so long from now, or never."""
    parsed = whole(context, ref)
    if parsed.id is None and parsed.selector.kind != "number":
        message = f"{parsed} may mean another version by the time it expires"
        raise Invalid(Code.BAD_REFERENCE, message, hint="Give its number, name@3, or its id.")
    if isinstance(when, timedelta):
        check_period(when)
    elif when is not None and (not isinstance(when, datetime) or when.tzinfo is None):
        raise Invalid(Code.BAD_ARGUMENT, f"{when!r} is no instant", hint="A datetime with its time zone.")
    elif when is not None and not limits.EXPIRY_MIN <= when < limits.EXPIRY_MAX:
        message = f"{when.isoformat()} is not between the years {limits.EXPIRY_MIN.year} and {limits.EXPIRY_MAX.year}"
        raise Invalid(Code.BAD_ARGUMENT, message, hint="What never expires needs no date.")
    return await retention.expire(context.catalog, context.tenant, parsed, when, grammar.check_why(by, reason))


def policy_in(path: Path) -> RetentionPolicy:
    """The policy in a file of JSON, or of YAML where its name ends so; raises Invalid (bad_retention, unreadable_source)."""
    with reading(path):
        data = path.read_bytes()
    if path.suffix.lower() in (".yaml", ".yml"):
        return RetentionPolicy.from_dict(_yaml(path, data))
    try:
        policy = json.decode(data)
    except Invalid as error:
        message = f"the policy in {path} is not read: {error.message}"
        hint = "Give it in JSON, or in YAML in a file whose name ends in .yaml."
        raise Invalid(Code.BAD_RETENTION, message, hint=hint) from error
    return RetentionPolicy.from_dict(policy)


def _yaml(path: Path, data: bytes) -> Any:
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ImportError as error:
        message = "a policy in YAML needs PyYAML, which is not installed"
        raise Invalid(Code.BAD_CONFIG, message, hint="Install the extra casstore[yaml], or give JSON.") from error
    try:
        _refuse_twins(yaml.compose(data, yaml.SafeLoader))
        return yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        raise Invalid(Code.BAD_RETENTION, f"the policy in {path} is no YAML: {error}") from error


def _refuse_twins(node: Any) -> None:
    """PyYAML takes the last of two equal keys without a word."""
    if node is None or node.id == "scalar":
        return
    keys = [key.value for key, _ in node.value] if node.id == "mapping" else []
    if twins := [key for key in keys if keys.count(key) > 1]:
        raise Invalid(Code.BAD_RETENTION, f"the policy has the key {twins[0]!a:.80} twice in one mapping")
    for child in node.value:
        _refuse_twins(child[1] if node.id == "mapping" else child)
