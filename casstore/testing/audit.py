"""Is a store whole? Everything the catalog says is checked against itself and against the bytes, by means of its own.

For tests: it reads every byte and looks at the tables, not through the store's functions. An empty answer means whole.
"""

from __future__ import annotations

from typing import Any, Final, LiteralString

from casstore import limits
from casstore.catalog.rows import relations_of
from casstore.domains import Domain
from casstore.hashing import Hasher
from casstore.model import Component, Digest, Manifest
from casstore.store import AsyncStore

__all__ = ["audit"]

_RULES: Final[dict[str, LiteralString]] = {
    "a number is missing, or a head is not the newest version": """
      select a.name, a.head, count(v.number), max(v.number) from casstore.artifacts a
        left join casstore.versions v on v.artifact_id = a.id
       group by a.id having a.head = 0 or count(v.number) <> a.head or max(v.number) <> a.head""",
    "the latest version is not the newest outside the trash": """
      select a.name, a.latest, max(v.number) from casstore.artifacts a
        left join casstore.versions v on v.artifact_id = a.id
         and not exists (select from casstore.trash t where t.artifact_id = v.artifact_id and t.number = v.number)
       group by a.id having a.latest <> coalesce(max(v.number), 0)""",
    "a version can come back, but not what it was made from": """
      select s.artifact_id, s.number, s.source_artifact_id, s.source_number
        from casstore.sources s join casstore.trash t on t.artifact_id = s.source_artifact_id and t.number = s.source_number
       where t.purged_at is not null
         and not exists (select from casstore.trash x where x.artifact_id = s.artifact_id and x.number = s.number
                            and x.purged_at is not null)""",
    "a version was purged and has components": """
      select c.artifact_id, c.number, c.role from casstore.components c join casstore.trash t using (artifact_id, number)
       where t.purged_at is not null""",
    "a component was erased and is there": """
      select artifact_id, number, role
        from casstore.components join casstore.erased_components using (artifact_id, number, role)""",
    "a version was deleted or purged under a hold": """
      select h.hold, t.artifact_id, t.number from casstore.holds h join casstore.trash t on t.tenant_id = h.tenant_id
         and (h.artifact_id is null or h.artifact_id = t.artifact_id and (h.number is null or h.number = t.number))
       where (t.at > h.at and (h.released_at is null or t.at < h.released_at))
          or (t.purged_at > h.at and (h.released_at is null or t.purged_at < h.released_at))""",
    "a content was erased under a hold": """
      select h.hold, e.artifact_id, e.number from casstore.holds h join casstore.erased_components e on e.tenant_id = h.tenant_id
         and (h.artifact_id is null or h.artifact_id = e.artifact_id and (h.number is null or h.number = e.number))
       where e.at > h.at and (h.released_at is null or e.at < h.released_at)""",
    "a version was made from what is in the trash, and is not there itself": """
      select s.artifact_id, s.number, s.source_artifact_id, s.source_number
        from casstore.sources s join casstore.trash t on t.artifact_id = s.source_artifact_id and t.number = s.source_number
       where not exists (select from casstore.trash x where x.artifact_id = s.artifact_id and x.number = s.number)""",
    "versions are not in the order of their numbers": """
      select * from (select artifact_id, number, created_at <= lag(created_at) over w or seq <= lag(seq) over w as wrong
                       from casstore.versions window w as (partition by artifact_id order by number)) x where wrong""",
    "the log and the versions disagree": """
      select artifact_id, number, count(l.seq) from casstore.versions v
        full join (select * from casstore.log where op = 'put' and (detail is null or not detail ? 'reused')) l
             using (artifact_id, number)
       group by artifact_id, number, v.id, v.actor
      having v.id is null or count(l.seq) <> 1 or min(l.detail ->> 'actor') is distinct from v.actor""",
    "the log and the pointers disagree": """
      select artifact_id, pointer, move from casstore.pointers p
        full join (select artifact_id, number, op, detail ->> 'pointer' as pointer, (detail ->> 'move')::int as move, detail
                     from casstore.log where op in ('alias', 'tag', 'unalias')) l using (artifact_id, pointer, move)
       where p.moved_at is null or l.op is null or (p.number, p.actor) is distinct from (l.number, l.detail ->> 'actor')
          or (l.op = 'tag') <> p.is_tag or (l.op = 'unalias') <> (p.number is null)""",
    "the log and what expires disagree": """
      select artifact_id, number, e.expires_at, l.at from casstore.expiries e
        full join (select distinct on (artifact_id, number) artifact_id, number, detail ->> 'actor' as actor,
                          timestamptz 'epoch' + (detail ->> 'expires_at')::bigint * interval '1 microsecond' as at
                     from casstore.log where op = 'expire' or op = 'put' and detail ? 'expires_at'
                    order by artifact_id, number, seq desc) l using (artifact_id, number)
       where e.expires_at is distinct from l.at or l.at is not null and e.actor is distinct from l.actor""",
    "a pointer's moves have a gap or are out of order": """
      select * from (select artifact_id, pointer, move, lag(move, 1, 0) over w <> move - 1
                            or moved_at <= lag(moved_at) over w as wrong
                       from casstore.pointers window w as (partition by artifact_id, pointer order by move)) x
       where wrong""",
    "an idempotency key stands for a version that is not there": """
      select r.key, u.id from casstore.requests r, unnest(r.versions) as u(id)
       where not exists (select from casstore.versions v where v.id = u.id)""",
    "a source is not older than what was made from it, or another tenant's": """
      select s.artifact_id, s.number, s.place from casstore.sources s
        join casstore.versions v using (artifact_id, number)
        join casstore.versions o on o.artifact_id = s.source_artifact_id and o.number = s.source_number
       where o.seq >= v.seq or o.tenant_id <> v.tenant_id or s.tenant_id <> v.tenant_id""",
    "the sources of a version are not counted from 1": """
      select artifact_id, number from casstore.sources
       group by artifact_id, number having min(place) <> 1 or max(place) <> count(*)""",
    "a version's steps are no way through its lifecycle": """
      select * from (select t.*, t.before is distinct from lag(t.state, 1, 'draft') over w
                            or t.at <= lag(t.at, 1, v.created_at) over w or t.seq <> v.seq or t.tenant_id <> v.tenant_id as wrong
                       from casstore.transitions t join casstore.versions v using (artifact_id, number)
                     window w as (partition by artifact_id, number order by t.at, t.state)) x where wrong""",
    "the log and the steps disagree": """
      select artifact_id, number, state from casstore.transitions t
        full join (select artifact_id, number, op as state, detail from casstore.log l
                    where op in ('accepted', 'obsolete')
                      and not exists (select from casstore.log u where u.op = 'undo' and u.detail -> 'undoes' = to_jsonb(l.seq))) l
             using (artifact_id, number, state)
       group by artifact_id, number, state
      having count(*) <> 1 or count(t.at) <> 1 or count(l.detail) <> 1
          or min(l.detail ->> 'before') <> min(t.before) or min(l.detail ->> 'actor') <> min(t.actor)""",
    "one digest has the pixels of several pictures": """
      select digest from casstore.components where pixels is not null
       group by digest having count(distinct (pixels, width, height)) > 1""",
    "a picture has no size, or what has a size is no picture": """
      select artifact_id, number, role from casstore.components
       where pixels is not null and not (width > 0 and height > 0 and media_type ilike 'image/png%')
          or num_nonnulls(pixels, width, height) not in (0, 3)""",
    "a blob is in another domain than a tenant that has it": """
      select t.name, c.digest from casstore.components c join casstore.tenants t on t.id = c.tenant_id
        join casstore.blobs b using (digest) where b.domain is distinct from t.domain""",
    "a version's blob is not known good": """
      select c.artifact_id, c.number, c.role, b.state
        from casstore.components c left join casstore.blobs b using (digest)
       where b.state is distinct from 'l' or b.size_bytes <> c.size_bytes""",
}
_VERSIONS: Final = """
select v.artifact_id, v.number, v.manifest, v.relations,
       array_agg(c.role::text), array_agg(c.digest::bytea), array_agg(c.size_bytes), array_agg(c.media_type)
  from casstore.versions v left join casstore.components c using (artifact_id, number)
 where not exists (select from casstore.trash t
                    where t.artifact_id = v.artifact_id and t.number = v.number and t.purged_at is not null)
   and not exists (select from casstore.erased_components e where e.artifact_id = v.artifact_id and e.number = v.number)
 group by v.artifact_id, v.number
"""
_LEDGER: Final = """
select b.digest, b.state, b.generation, b.domain, exists (select from casstore.components c where c.digest = b.digest)
  from casstore.blobs b
"""


async def audit(store: AsyncStore) -> list[str]:
    """What is wrong with an open store that nobody is writing to, one sentence each."""
    wrong = [f"{rule}: {row}" for rule, sql in _RULES.items() for row in await _rows(store, sql)]
    for artifact, number, manifest, relations, *parts in await _rows(store, _VERSIONS):
        if parts[0] == [None] or _manifest(relations, *parts) != manifest:
            wrong.append(f"version {number} of artifact {artifact} has not the components of its manifest")
    return wrong + await _objects(store)


async def _objects(store: AsyncStore) -> list[str]:
    blobs = store._blobs  # noqa: SLF001 - an audit looks inside
    assert blobs  # noqa: S101 - the caller opened the store
    wrong: list[str] = []
    found: dict[bytes, int] = {}
    ledger = {row[0]: row[1:] for row in await _rows(store, _LEDGER)}
    after = None
    while page := await blobs.page(after=after):
        after = page[-1].digest
        for thing in page:
            found[thing.digest] = thing.generation
            if not await _is_right(store, thing.digest, ledger.get(thing.digest, (None, None, None, False))):
                wrong.append(f"the object of {thing.digest} has other bytes")
    wrong += [f"no row of the ledger for the object of {Digest(d)}" for d in found.keys() - ledger.keys()]
    for digest, (state, generation, _, used) in ledger.items():
        if (used or state == "l") and found.get(digest) != generation:
            wrong.append(f"{Digest(digest)}: the ledger says generation {generation}, the store {found.get(digest)}")
    return wrong


async def _is_right(store: AsyncStore, digest: Digest, row: tuple[Any, ...]) -> bool:
    (state, _, domain, used), keys = row, store.settings.domains
    candidates = [keys.checked_by(domain) if domain else None]
    if domain is None and state != "l" and not used:  # an object whose row was lost: nobody knows of which domain it is
        candidates += keys
    for candidate in candidates:
        if await _hash(store._blobs, digest, candidate) == digest:  # noqa: SLF001
            return True
    return False


async def _hash(blobs: Any, digest: Digest, domain: Domain | None) -> Digest:
    reader, hasher = await blobs.open(digest), Hasher(domain)
    try:
        while chunk := await reader.read(limits.CHUNK_BYTES):
            hasher.update(chunk)
    finally:
        await reader.aclose()
    return hasher.digest


def _manifest(
    relations: list[str] | None, roles: list[str], digests: list[bytes], sizes: list[int], media_types: list[str]
) -> Digest:
    parts = {
        role: Component(role=role, digest=Digest(digest), size_bytes=size, media_type=media_type)
        for role, digest, size, media_type in zip(roles, digests, sizes, media_types, strict=True)
    }
    return Manifest.build(parts, relations_of(relations)).digest


async def _rows(store: AsyncStore, sql: LiteralString) -> list[tuple[Any, ...]]:
    assert store._catalog  # noqa: S101, SLF001
    async with store._catalog._pool.connection() as connection:  # noqa: SLF001
        cursor = await connection.execute(sql, binary=True)
        return list(await cursor.fetchall())
