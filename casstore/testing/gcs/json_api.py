"""What the JSON API does with buckets and objects; uploads and downloads have their own files."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from casstore.testing.gcs import downloads, listing
from casstore.testing.gcs.calls import Call
from casstore.testing.gcs.objects import StoredObject, new_object, writable
from casstore.testing.gcs.preconditions import Preconditions
from casstore.testing.gcs.refusals import bad_request
from casstore.testing.gcs.storage import Storage
from casstore.testing.gcs.wire import Answer, json_answer

_MOST_SOURCES: Final = 32


# -- buckets -----------------------------------------------------------------------------------------------------------


def list_buckets(storage: Storage, call: Call) -> Answer:
    """All of them, on one page."""
    prefix = call.request.query.get("prefix", "")
    found = [bucket for name, bucket in sorted(storage.buckets.items()) if name.startswith(prefix)]
    items = [bucket.resource(call.request.origin) for bucket in found]
    return json_answer({"kind": "storage#buckets", "items": items})


def create_bucket(storage: Storage, call: Call) -> Answer:
    """A new one, with Google's defaults: a week of soft delete."""
    properties = call.request.json()
    bucket = storage.create_bucket(str(properties.get("name", "")), properties)
    return json_answer(bucket.resource(call.request.origin))


def stat_bucket(storage: Storage, call: Call) -> Answer:
    """Its resource."""
    bucket = storage.bucket(call.bucket)
    Preconditions.of(call.request.query).check(bucket, reading=True)
    return json_answer(bucket.resource(call.request.origin))


def patch_bucket(storage: Storage, call: Call) -> Answer:
    """Change its policies: PATCH merges, PUT replaces."""
    bucket = storage.bucket(call.bucket)
    Preconditions.of(call.request.query).check(bucket)
    bucket.change(call.request.json(), whole=call.request.method == "PUT")
    return json_answer(bucket.resource(call.request.origin))


def delete_bucket(storage: Storage, call: Call) -> Answer:
    """Only an empty one; what was soft-deleted in it is gone with it."""
    bucket = storage.bucket(call.bucket)
    Preconditions.of(call.request.query).check(bucket)
    bucket.check_empty()
    del storage.buckets[bucket.name]
    return Answer(HTTPStatus.NO_CONTENT)


# -- objects -----------------------------------------------------------------------------------------------------------


def list_objects(storage: Storage, call: Call) -> Answer:
    """One page."""
    bucket = storage.bucket(call.bucket)
    page = listing.page_of(bucket, call.request.query, storage.options.page_items)
    found: dict[str, Any] = {"kind": "storage#objects"}
    if page.items:
        found["items"] = [stored.resource(call.request.origin, bucket.retention) for stored in page.items]
    if page.prefixes:
        found["prefixes"] = page.prefixes
    if page.token:
        found["nextPageToken"] = page.token
    return json_answer(found)


def stat(storage: Storage, call: Call) -> Answer:
    """An object's resource; with `softDeleted=true` that of a soft-deleted generation."""
    query, bucket = call.request.query, storage.bucket(call.bucket)
    if query.get("softDeleted", "").lower() == "true":
        found = bucket.find_deleted(call.name, query.get("generation"))
    else:
        found = bucket.find(call.name, query.get("generation"))
    Preconditions.of(query).check(found, reading=True)
    return _resource(storage, call, found)


def download(storage: Storage, call: Call) -> Answer:
    """An object's bytes."""
    stored = storage.bucket(call.bucket).find(call.name, call.request.query.get("generation"))
    Preconditions.of(call.request.query).check(stored, reading=True)
    return downloads.media(stored, call.request.headers)


def patch(storage: Storage, call: Call) -> Answer:
    """Change an object's metadata: PATCH merges, PUT replaces."""
    bucket = storage.bucket(call.bucket)
    stored = bucket.find(call.name, call.request.query.get("generation"))
    Preconditions.of(call.request.query).check(stored)
    bucket.patch(stored, call.request.json(), whole=call.request.method == "PUT")
    return _resource(storage, call, stored)


def delete(storage: Storage, call: Call) -> Answer:
    """Delete the live object, or one generation."""
    query = call.request.query
    storage.bucket(call.bucket).delete(call.name, query.get("generation"), Preconditions.of(query))
    return Answer(HTTPStatus.NO_CONTENT)


def restore(storage: Storage, call: Call) -> Answer:
    """Make a live copy of a soft-deleted generation; that one stays where it is until its time is over."""
    query, bucket = call.request.query, storage.bucket(call.bucket)
    deleted = bucket.find_deleted(call.name, query.get("generation"))
    restored = _copy_of(storage, deleted, call.bucket, call.name, {})
    bucket.put(restored, Preconditions.of(query))
    return _resource(storage, call, restored)


# -- copies ------------------------------------------------------------------------------------------------------------


def compose(storage: Storage, call: Call) -> Answer:
    """An object of the bytes of up to 32 others, one after the other."""
    bucket, body = storage.bucket(call.bucket), call.request.json()
    sources = [_component(storage, call.bucket, one) for one in body.get("sourceObjects", [])]
    if not 1 <= len(sources) <= _MOST_SOURCES:
        raise bad_request(f"The number of source components provided ({len(sources)}) is not between 1 and 32")
    composed = new_object(
        call.bucket,
        call.name,
        b"".join(source.data for source in sources),
        writable(body.get("destination", {})),
        generation=storage.next_generation(),
        components=sum(source.components or 1 for source in sources),
    )
    bucket.put(composed, Preconditions.of(call.request.query))
    return _resource(storage, call, composed)


def _component(storage: Storage, bucket: str, described: dict[str, Any]) -> StoredObject:
    generation = described.get("generation")
    found = storage.bucket(bucket).find(str(described.get("name", "")), None if generation is None else str(generation))
    Preconditions.of(described.get("objectPreconditions", {})).check(found)
    return found


def copy(storage: Storage, call: Call) -> Answer:
    """Copy an object, also to another bucket."""
    return json_answer(_copied(storage, call).resource(call.request.origin))


def rewrite(storage: Storage, call: Call) -> Answer:
    """Copy an object; always in one call here, as within one place and storage class."""
    stored = _copied(storage, call)
    size = str(len(stored.data))
    return json_answer(
        {
            "kind": "storage#rewriteResponse",
            "done": True,
            "totalBytesRewritten": size,
            "objectSize": size,
            "resource": stored.resource(call.request.origin, storage.bucket(call.target_bucket).retention),
        }
    )


def move(storage: Storage, call: Call) -> Answer:
    """Rename an object within its bucket, in one step."""
    bucket, source = storage.bucket(call.bucket), _source(storage, call)
    moved = _copy_of(storage, source, call.bucket, call.target_name, {})
    bucket.move(source, moved, Preconditions.of(call.request.query))
    return _resource(storage, call, moved)


def _copied(storage: Storage, call: Call) -> StoredObject:
    source, target = _source(storage, call), storage.bucket(call.target_bucket)
    stored = _copy_of(storage, source, call.target_bucket, call.target_name, writable(call.request.json()))
    target.put(stored, Preconditions.of(call.request.query))
    return stored


def _source(storage: Storage, call: Call) -> StoredObject:
    query = call.request.query
    found = storage.bucket(call.bucket).find(call.name, query.get("sourceGeneration"))
    Preconditions.of(query, prefix="ifSource").check(found)
    return found


def _copy_of(storage: Storage, source: StoredObject, bucket: str, name: str, changes: dict[str, Any]) -> StoredObject:
    metadata = {**source.metadata, **changes}
    for hold in ("temporaryHold", "eventBasedHold"):  # a hold is on one object, not on its copies
        if hold not in changes:
            metadata.pop(hold, None)
    generation = storage.next_generation()
    return new_object(bucket, name, source.data, metadata, generation=generation, components=source.components)


def _resource(storage: Storage, call: Call, stored: StoredObject) -> Answer:
    return json_answer(stored.resource(call.request.origin, storage.bucket(stored.bucket).retention))
