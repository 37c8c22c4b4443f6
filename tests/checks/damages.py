"""What may happen to a store, and what a check has to say of it: nothing more, and nothing less.

A damage is done to artifact `n/INDEX`, and answers code and place of each defect that `fsck` has to tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from casstore import Digest

Expected = set[tuple[str, str]]
BYTES: Final[dict[str, Callable]] = {}  # to objects and the ledger: a repair gets over them
LEFTOVERS: Final[dict[str, Callable]] = {}  # nobody needs them, and a collector takes them
CATALOG: Final[dict[str, Callable]] = {}  # to the catalog: nothing gets over them
SILENT: Final[dict[str, Callable]] = {}  # only reading tells


def of(group):
    def register(damage):
        group[damage.__name__] = damage
        return damage

    return register


def second(index: int) -> Digest:
    return Digest.of(f"n/{index} second".encode())


def purged(index: int) -> Digest:
    return Digest.of(f"n/{index} purged".encode())


def about(code: str, place: object) -> Expected:
    return {(code, str(place) if isinstance(place, Digest) else f"cas://acme/{place}")}


def ledger(world, digest: Digest, change: str) -> None:
    world.sql(f"update casstore.blobs set {change} where digest = %s", bytes(digest))


@of(BYTES)
def deleted(world, index):
    world.places.damage(world.url, second(index), None)
    return about("object_missing", second(index))


@of(BYTES)
def deleted_that_nobody_needs(world, index):
    world.places.damage(world.url, purged(index), None)
    return about("object_missing", purged(index))


@of(BYTES)
def deleted_and_condemned(world, index):
    """A put would take it back without looking."""
    ledger(world, purged(index), "state = 'c'")
    return deleted_that_nobody_needs(world, index)


@of(BYTES)
def emptied(world, index):
    world.places.damage(world.url, second(index), b"")
    return about("object_size", second(index))


@of(BYTES)
def truncated(world, index):
    world.places.damage(world.url, second(index), world.bytes_of(second(index))[:-1])
    return about("object_size", second(index))


@of(BYTES)
def longer(world, index):
    world.places.damage(world.url, second(index), world.bytes_of(second(index)) + b"\0")
    return about("object_size", second(index))


@of(BYTES)
def written_again(world, index):
    world.places.plant(world.url, second(index), world.bytes_of(second(index)))
    return about("object_generation", second(index))


@of(BYTES)
def added(world, index):
    orphan = Digest.of(f"orphan {index}".encode())
    world.places.plant(world.url, orphan, f"orphan {index}".encode())
    return about("object_orphaned", orphan)


@of(BYTES)
def added_wrong(world, index):
    orphan = Digest.of(f"orphan {index}".encode())
    world.places.plant(world.url, orphan, b"something else")
    return about("object_orphaned", orphan)


@of(BYTES)
def condemned(world, index):
    ledger(world, second(index), "state = 'c'")
    return about("blob_not_live", second(index))


@of(BYTES)
def condemned_by_half(world, index):
    ledger(world, second(index), "state = 'c', generation = null")
    return about("blob_not_live", second(index))


@of(BYTES)
def doubted_for_nothing(world, index):
    ledger(world, second(index), "state = 'p', generation = null, lease_until = now()")
    return about("blob_not_live", second(index))


@of(BYTES)
def doubted_of_its_generation(world, index):
    ledger(world, second(index), "state = 'p', dead = generation, generation = null, lease_until = now()")
    return about("object_altered", second(index))


@of(BYTES)
def being_deleted(world, index):
    ledger(world, second(index), "state = 'd', dead = generation, generation = null")
    return about("blob_not_live", second(index))


@of(BYTES)
def another_size_in_the_ledger(world, index):
    ledger(world, second(index), "size_bytes = size_bytes + 1")
    return about("object_size", second(index))


@of(BYTES)
def another_generation_in_the_ledger(world, index):
    ledger(world, second(index), "generation = generation + 1")
    return about("object_generation", second(index))


@of(BYTES)
def forgotten_by_the_ledger(world, index):
    world.sql("delete from casstore.blobs where digest = %s", bytes(second(index)), unchecked=True)
    return about("blob_unknown", second(index))


@of(BYTES)
def forgotten_and_deleted(world, index):
    deleted(world, index)
    return forgotten_by_the_ledger(world, index)


@of(LEFTOVERS)
def never_uploaded(world, index):
    nothing = Digest.of(f"nothing {index}".encode())
    world.sql(
        "insert into casstore.blobs (digest, size_bytes, crc32c, lease_until) values (%s, 1, 1, now() - interval '2 days')",
        bytes(nothing),
    )
    return about("upload_expired", nothing)


@of(LEFTOVERS)
def never_deleted(world, index):
    ledger(
        world, purged(index), "state = 'd', dead = generation, generation = null, state_at = now() - interval '2 days'"
    )
    return about("delete_stuck", purged(index))


@of(SILENT)
def altered(world, index):
    data = world.bytes_of(second(index))
    world.places.damage(world.url, second(index), data[:-1] + bytes([data[-1] ^ 1]))
    return about("object_crc32c", second(index))


@of(SILENT)
def another_checksum_in_the_ledger(world, index):
    ledger(world, second(index), "crc32c = (crc32c + 1) %% 4294967296")
    return about("object_crc32c", second(index))


ROW: Final = " artifact_id = (select id from casstore.artifacts where name = %s)"


@of(CATALOG)
def component_renamed(world, index):
    world.sql(f"update casstore.components set role = 'other' where number = 2 and {ROW}", f"n/{index}", unchecked=True)
    return about("manifest_wrong", f"n/{index}@2")


@of(CATALOG)
def component_lost(world, index):
    world.sql(f"delete from casstore.components where number = 2 and {ROW}", f"n/{index}")
    return about("manifest_wrong", f"n/{index}@2")


@of(CATALOG)
def component_resurrected(world, index):
    world.sql(
        "insert into casstore.components (artifact_id, number, role, tenant_id, digest, size_bytes, media_type)"
        f" select id, 1, 'main', tenant_id, %s, 10, 'text/plain' from casstore.artifacts where name = 'purged/{index}'",
        bytes(purged(index)),
    )
    return about("manifest_wrong", f"purged/{index}@1")


@of(CATALOG)
def head_ahead(world, index):
    world.sql("update casstore.artifacts set head = 4 where name = %s", f"n/{index}")
    return about("head_wrong", f"n/{index}@3")


@of(CATALOG)
def latest_behind(world, index):
    world.sql("update casstore.artifacts set latest = 2 where name = %s", f"n/{index}")
    return about("latest_wrong", f"n/{index}@3")


@of(CATALOG)
def version_lost(world, index):
    world.sql(f"delete from casstore.versions where number = 1 and {ROW}", f"n/{index}", unchecked=True)
    lost = f"n/{index}@1"
    return about("number_gap", lost) | about("log_disagrees", lost) | about("request_dangling", f"key {index}")


@of(CATALOG)
def out_of_order(world, index):
    world.sql(
        f"update casstore.versions set created_at = '2001-01-01' where number = 3 and {ROW}",
        f"n/{index}",
        unchecked=True,
    )
    return about("version_order", f"n/{index}@3")


@of(CATALOG)
def component_of_another_tenant(world, index):
    world.sql(f"update casstore.components set tenant_id = 0 where number = 2 and {ROW}", f"n/{index}", unchecked=True)
    return about("tenant_wrong", f"n/{index}@2")


@of(CATALOG)
def move_lost(world, index):
    world.sql(f"delete from casstore.pointers where move = 2 and {ROW}", f"n/{index}")
    return about("pointer_gap", f"n/{index}@3")


@of(CATALOG)
def source_in_the_trash(world, index):
    world.sql(
        "insert into casstore.trash (artifact_id, number, tenant_id, at, actor)"
        " select id, 1, tenant_id, now(), 'nobody' from casstore.artifacts where name = %s",
        f"n/{index}",
    )
    return about("source_deleted", f"n/{index}@2")


@of(CATALOG)
def source_out_of_place(world, index):
    world.sql(f"update casstore.sources set place = 2 where {ROW}", f"n/{index}", unchecked=True)
    return about("source_wrong", f"n/{index}@2")


@of(CATALOG)
def source_is_newer(world, index):
    world.sql(f"update casstore.sources set source_number = 3 where {ROW}", f"n/{index}", unchecked=True)
    return about("source_wrong", f"n/{index}@2")


@of(CATALOG)
def step_lost(world, index):
    world.sql(f"delete from casstore.transitions where state = 'accepted' and {ROW}", f"n/{index}")
    return about("lifecycle_broken", f"n/{index}@3")


@of(CATALOG)
def log_lost(world, index):
    world.sql(f"delete from casstore.log where op = 'put' and number = 2 and {ROW}", f"n/{index}", unchecked=True)
    return about("log_disagrees", f"n/{index}@2")


@of(CATALOG)
def logged_twice(world, index):
    world.sql(
        "insert into casstore.log (tenant_id, op, artifact_id, number)"
        f" select tenant_id, op, artifact_id, number from casstore.log where op = 'put' and number = 2 and {ROW}",
        f"n/{index}",
    )
    return about("log_disagrees", f"n/{index}@2")


@of(CATALOG)
def logged_of_nothing(world, index):
    world.sql(f"insert into casstore.log (tenant_id, op, artifact_id, number) values (1, 'put', {10**9 + index}, 7)")
    return {("log_disagrees", f"cas://?/{10**9 + index}@7")}


@of(CATALOG)
def request_of_nothing(world, index):
    world.sql("update casstore.requests set versions = array[gen_random_uuid()] where key = %s", f"key {index}")
    return about("request_dangling", f"key {index}")


ALL: Final = BYTES | LEFTOVERS | CATALOG | SILENT
