"""What a catalog says, in names, ids and digests, whatever its internal keys are: two that say the same have the same digest."""

from __future__ import annotations

from typing import Final, LiteralString

from blake3 import blake3

from casstore.catalog.connection import Catalog
from casstore.model import Digest

__all__ = ["digests"]

# A row is one JSON text, in the order of names. Left out: internal keys, transaction ids, and what the ledger believes.
_CONTENT: Final[dict[str, LiteralString]] = {
    "store": "select jsonb_build_array(s.identity)::text from casstore.store s",
    "tenants": """
select jsonb_build_array(t.name, casstore.micros(t.created_at), casstore.micros(t.deleted_at), t.deleted_by, t.reason,
         casstore.digest_text(t.domain))::text
  from casstore.tenants t
 where t.id in (select l.tenant_id from casstore.log l) order by t.name""",
    "domains": """
select jsonb_build_array(d.name, casstore.digest_text(d.check_value), casstore.micros(d.made_at))::text from casstore.domains d
 where exists (select from casstore.tenants t where t.domain = d.check_value) order by d.name""",
    "artifacts": """
select jsonb_build_array(t.name, a.name, a.type, a.head, a.latest, casstore.micros(a.head_at), casstore.micros(a.created_at))::text
  from casstore.artifacts a join casstore.tenants t on t.id = a.tenant_id order by t.name, a.name""",
    "versions": """
select jsonb_build_array(t.name, a.name, v.number, v.seq, v.id, v.type, casstore.digest_text(v.manifest), v.relations, v.title,
         v.labels, v.metadata, casstore.micros(v.created_at), v.actor)::text
  from casstore.versions v join casstore.artifacts a on a.id = v.artifact_id join casstore.tenants t on t.id = v.tenant_id
 order by t.name, a.name, v.number""",
    "components": """
select jsonb_build_array(t.name, a.name, c.number, c.role, casstore.digest_text(c.digest), c.size_bytes, c.media_type,
         casstore.digest_text(c.pixels), c.width, c.height, casstore.digest_text(c.meaning), casstore.digest_text(c.layout),
         b.size_bytes, b.crc32c, casstore.digest_text(b.domain))::text
  from casstore.components c join casstore.artifacts a on a.id = c.artifact_id join casstore.tenants t on t.id = c.tenant_id
  left join casstore.blobs b on b.digest = c.digest order by t.name, a.name, c.number, c.role""",
    "erased_components": """
select jsonb_build_array(t.name, a.name, e.number, e.role, encode(e.hash, 'hex'), e.size_bytes, e.media_type, casstore.micros(e.at),
         e.actor, e.reason)::text
  from casstore.erased_components e join casstore.artifacts a on a.id = e.artifact_id join casstore.tenants t on t.id = e.tenant_id
 order by t.name, a.name, e.number, e.role""",
    "sources": """
select jsonb_build_array(t.name, a.name, s.number, s.place, b.name, s.source_number, s.role)::text
  from casstore.sources s join casstore.artifacts a on a.id = s.artifact_id join casstore.tenants t on t.id = s.tenant_id
  join casstore.artifacts b on b.id = s.source_artifact_id order by t.name, a.name, s.number, s.place""",
    "transitions": """
select jsonb_build_array(t.name, a.name, x.number, x.before, x.state, x.seq, x.actor, x.reason, casstore.micros(x.at))::text
  from casstore.transitions x join casstore.artifacts a on a.id = x.artifact_id join casstore.tenants t on t.id = x.tenant_id
 order by t.name, a.name, x.number, x.state""",
    "pointers": """
select jsonb_build_array(t.name, a.name, p.pointer, p.move, p.is_tag, p.number, casstore.micros(p.moved_at), p.actor)::text
  from casstore.pointers p join casstore.artifacts a on a.id = p.artifact_id join casstore.tenants t on t.id = p.tenant_id
 order by t.name, a.name, p.pointer, p.move""",
    "trash": """
select jsonb_build_array(t.name, a.name, x.number, casstore.micros(x.at), x.actor, x.reason, casstore.micros(x.purged_at),
         x.purged_by, x.rule)::text
  from casstore.trash x join casstore.artifacts a on a.id = x.artifact_id join casstore.tenants t on t.id = x.tenant_id
 order by t.name, a.name, x.number""",
    "holds": """
select jsonb_build_array(t.name, h.hold, a.name, h.number, casstore.micros(h.at), h.actor, h.reason, casstore.micros(h.released_at),
         h.released_by)::text
  from casstore.holds h join casstore.tenants t on t.id = h.tenant_id left join casstore.artifacts a on a.id = h.artifact_id
 order by t.name, h.hold, a.name nulls first, h.number nulls first""",
    "retention": """
select jsonb_build_array(t.name, r.revision, r.policy, casstore.micros(r.at), r.actor)::text
  from casstore.retention r join casstore.tenants t on t.id = r.tenant_id order by t.name""",
    "expiries": """
select jsonb_build_array(t.name, a.name, e.number, casstore.micros(e.expires_at), e.actor, e.reason)::text
  from casstore.expiries e join casstore.artifacts a on a.id = e.artifact_id join casstore.tenants t on t.id = e.tenant_id
 order by t.name, a.name, e.number""",
    "requests": """
select jsonb_build_array(t.name, r.key, casstore.digest_text(r.fingerprint), r.versions, r.reused, casstore.micros(r.made_at))::text
  from casstore.requests r join casstore.tenants t on t.id = r.tenant_id order by t.name, r.key""",
    "log": """
select jsonb_build_array(t.name, l.seq, casstore.micros(l.at), l.op, a.name, l.number, l.detail, l.key)::text
  from casstore.log l join casstore.tenants t on t.id = l.tenant_id left join casstore.artifacts a on a.id = l.artifact_id
 order by l.seq""",
}
_ROWS_AT_ONCE: Final = 1_000


async def digests(catalog: Catalog) -> dict[str, tuple[int, Digest]]:
    """Of each table the number of rows and the digest of what they say, as of one instant. Writers need not wait."""
    found: dict[str, tuple[int, Digest]] = {}
    async with catalog.transaction() as connection:
        await connection.execute("set transaction isolation level repeatable read, read only")
        for table, sql in _CONTENT.items():
            hasher, count = blake3(), 0
            async with connection.cursor(f"casstore_{table}") as cursor:
                cursor.itersize = _ROWS_AT_ONCE
                await cursor.execute(sql)
                async for (row,) in cursor:
                    hasher.update(f"{row}\n".encode())  # a line each: JSON text has no line ends
                    count += 1
            found[table] = count, Digest(hasher.digest())
    return found
