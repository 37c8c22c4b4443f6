"""What the settings of a bucket mean for blobs: may they be deleted behind our back, and can they be brought back?

Settings as in the JSON API's bucket resource: https://cloud.google.com/storage/docs/json_api/v1/buckets#resource
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from casstore.blobs import keys
from casstore.blobs.contract import Remark

__all__ = ["remarks", "soft_delete"]

_DAY_S: Final = 86_400
# A rule with one of these conditions is about noncurrent objects only, and a blob is never that while it is in use.
_NONCURRENT: Final = ("daysSinceNoncurrentTime", "noncurrentTimeBefore", "numNewerVersions")


def remarks(bucket: Mapping[str, Any], prefix: str) -> list[Remark]:
    """What there is to say of a bucket that holds blobs below `prefix`."""
    return [_lifecycle(bucket, prefix), _undoing(bucket), _access(bucket), *_retention(bucket)]


def soft_delete(bucket: Mapping[str, Any]) -> timedelta | None:
    """How long a bucket keeps what was deleted; None where versioning keeps it until somebody removes it."""
    if bucket.get("versioning", {}).get("enabled"):
        return None
    return timedelta(seconds=int(bucket.get("softDeletePolicy", {}).get("retentionDurationSeconds") or 0))


def _lifecycle(bucket: Mapping[str, Any], prefix: str) -> Remark:
    rules = bucket.get("lifecycle", {}).get("rule", [])
    place = prefix + keys.PREFIX
    eaters = [number for number, rule in enumerate(rules, 1) if _deletes(rule, place)]
    if not eaters:
        return Remark("lifecycle", ok=True, detail=f"{len(rules)} rules, none deletes blobs in use")
    which = ", ".join(map(str, eaters))
    return Remark(
        "lifecycle",
        ok=False,
        detail=f"lifecycle rule {which} of the bucket will delete blobs that are in use",
        hint=f"Remove it, or give it a prefix that {place} does not begin with. casstore alone may delete blobs.",
    )


def _deletes(rule: Mapping[str, Any], place: str) -> bool:
    condition = rule.get("condition", {})
    if rule.get("action", {}).get("type") != "Delete" or condition.get("isLive") is False:
        return False
    if any(name in condition for name in _NONCURRENT):
        return False
    suffixes = condition.get("matchesSuffix")
    if suffixes and not any(set(suffix) <= set("0123456789abcdef") for suffix in suffixes):
        return False  # a blob's name ends in hexadecimal digits
    prefixes = condition.get("matchesPrefix") or [""]
    return any(place.startswith(each) or each.startswith(place) for each in prefixes)


def _undoing(bucket: Mapping[str, Any]) -> Remark:
    kept_s = int(bucket.get("softDeletePolicy", {}).get("retentionDurationSeconds") or 0)
    versioned = bool(bucket.get("versioning", {}).get("enabled"))
    if kept_s:
        detail = f"soft delete keeps deleted blobs for {kept_s // _DAY_S} days"
        return Remark("undelete", ok=True, detail=detail + (", and versioning is on besides" if versioned else ""))
    if versioned:
        return Remark("undelete", ok=True, detail="versioning keeps deleted blobs, until a lifecycle rule removes them")
    return Remark(
        "undelete",
        ok=False,
        detail="neither soft delete nor versioning is on: who deletes a blob by mistake has lost it",
        hint="`gcloud storage buckets update gs://BUCKET --soft-delete-duration=7d`",
    )


def _access(bucket: Mapping[str, Any]) -> Remark:
    access = bucket.get("iamConfiguration", {})
    if access.get("uniformBucketLevelAccess", {}).get("enabled"):
        public = "" if access.get("publicAccessPrevention") == "enforced" else "; public access is not prevented"
        return Remark("access", ok=True, detail="uniform: the bucket's own roles alone decide" + public)
    return Remark(
        "access",
        ok=False,
        detail="objects may have access lists of their own, which nobody sees here",
        hint="`gcloud storage buckets update gs://BUCKET --uniform-bucket-level-access --public-access-prevention`",
    )


def _retention(bucket: Mapping[str, Any]) -> Iterator[Remark]:
    kept_s = int(bucket.get("retentionPolicy", {}).get("retentionPeriod") or 0)
    if kept_s:
        detail = f"no blob can be deleted for {kept_s / _DAY_S:g} days, whoever asks for it"
        yield Remark("retention", ok=True, detail=detail)
