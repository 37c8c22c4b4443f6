-- The journal: the log, exported in segments beside the blobs, from which a lost catalog is made again. The format: docs/format.md.
--
-- A record is one row of the log with the rows of other tables that were written with it, by names and ids instead of internal keys:
-- what `journal_records` makes of them, `restore_records` makes them of. All of it is the operator's, by the role that owns the schema.

create table casstore.journal (
  first    bigint not null constraint journal_key primary key constraint journal_first check (first > 0),
  last     bigint not null,
  last_seq bigint not null constraint journal_last_seq unique,
  digest   casstore.digest,
  constraint journal_not_empty check (last >= first)
);
alter table casstore.journal enable row level security;
comment on table  casstore.journal is 'How far the log has been exported: a row is a segment. Its range is written down before its object is written.';
comment on column casstore.journal.first is 'Place of its first record; records count from 1 without gaps.';
comment on column casstore.journal.last is 'Place of its last record.';
comment on column casstore.journal.last_seq is 'The row of the log that its last record is about: the next segment begins after it.';
comment on column casstore.journal.digest is 'BLAKE3-256 of the object; null until it is known to be there.';

create function casstore.micros(p_at timestamptz) returns bigint
language sql immutable set search_path = pg_catalog, pg_temp as $$ select (extract(epoch from p_at) * 1000000)::bigint $$;
comment on function casstore.micros is 'An instant as microseconds since 1970, exactly.';
create function casstore.instant(p_micros bigint) returns timestamptz
language sql immutable set search_path = pg_catalog, pg_temp as $$
  -- Hours and the rest apart: an interval is multiplied as a double is, which has no microseconds before 1684 nor after 2255.
  select timestamptz '1970-01-01 00:00:00+00' + p_micros / 3600000000 * interval '1 hour' + p_micros % 3600000000 * interval '1 microsecond'
$$;
comment on function casstore.instant is 'The inverse of micros.';
create function casstore.digest_text(p_digest bytea) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$ select 'b3:' || encode(p_digest, 'hex') $$;
comment on function casstore.digest_text is 'A digest as text.';
create function casstore.digest_bytes(p_text text) returns bytea
language sql immutable set search_path = pg_catalog, pg_temp as $$ select decode(substr(p_text, 4), 'hex') $$;
comment on function casstore.digest_bytes is 'The inverse of digest_text.';

-- Up to where the log is final. A transaction takes numbers of the log only after it has a transaction id, for it has locked what it
-- changes. So whoever took one up to `seq` has an id below ours, which is drawn after `seq` was read: when all of these have ended,
-- every row up to `seq` that will ever be there is there. In the order of seq a row comes after those it depends on; in that of
-- transaction ids it need not: the later of two may have been the first to get the lock.
create function casstore.log_horizon(out seq bigint, out until xid8)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  select case when s.is_called then s.last_value else 0 end into seq from casstore.log_seq_seq s;
  until := pg_current_xact_id();
end $$;
comment on function casstore.log_horizon is 'The last number given in the log, and the transaction id below which all must have ended until that is final.';

create function casstore.has_settled(p_until xid8) returns boolean
language sql volatile set search_path = pg_catalog, pg_temp as $$ select pg_snapshot_xmin(pg_current_snapshot()) >= p_until $$;
comment on function casstore.has_settled is 'Whether all transactions below this id have ended.';

create function casstore.journal_records(p_after bigint, p_until bigint, p_limit int)
returns table (seq bigint, record jsonb, purged boolean, erased text[], key uuid, secret bytea, salt bytea) language sql stable set search_path = pg_catalog, pg_temp
set enable_seqscan = off as $$
  select l.seq, jsonb_strip_nulls(jsonb_build_object(
    'log', jsonb_build_array(l.seq, casstore.micros(l.at), l.op, l.number, l.detail::text),
    'tenant', (select jsonb_build_array(t.name, casstore.micros(t.created_at)) from casstore.tenants t where t.id = l.tenant_id),
    'artifact', (select jsonb_build_array(a.name, a.type, casstore.micros(a.created_at)) from casstore.artifacts a where a.id = l.artifact_id),
    'request', case when l.key is not null then coalesce(
      (select jsonb_build_array(r.key, casstore.digest_text(r.fingerprint), r.versions, r.reused, casstore.micros(r.made_at))
         from casstore.requests r where r.tenant_id = l.tenant_id and r.key = l.key), jsonb_build_array(l.key)) end,
    'version', case when l.op = 'put' and (l.detail is null or not l.detail ? 'reused') then
      (select jsonb_build_array(v.id, v.seq, v.type, casstore.digest_text(v.manifest), v.relations, v.title, v.labels::text, v.metadata::text,
                                casstore.micros(v.created_at))
         from casstore.versions v where v.artifact_id = l.artifact_id and v.number = l.number) end,
    'components', case when l.op = 'put' and (l.detail is null or not l.detail ? 'reused') then
      (select jsonb_agg(jsonb_build_array(c.role, casstore.digest_text(c.digest), c.size_bytes, c.media_type, b.crc32c,
                                          casstore.digest_text(c.pixels), c.width, c.height)
                        || case when c.meaning is null then '[]' else
                             jsonb_build_array(casstore.digest_text(c.meaning), casstore.digest_text(c.layout)) end order by c.role)
         from casstore.components c left join casstore.blobs b on b.digest = c.digest
        where c.artifact_id = l.artifact_id and c.number = l.number) end,
    'sources', case when l.op = 'put' and (l.detail is null or not l.detail ? 'reused') then
      (select jsonb_agg(jsonb_build_array(v.id, s.role) order by s.place)
         from casstore.sources s left join casstore.versions v on v.artifact_id = s.source_artifact_id and v.number = s.source_number
        where s.artifact_id = l.artifact_id and s.number = l.number) end,
    -- A step that was undone has no row any more: the log alone says what it was.
    'transition', case when l.op in ('accepted', 'obsolete') then case when casstore.is_undone(l.artifact_id, l.seq)
      then jsonb_build_array(l.detail ->> 'before', l.op, l.detail ->> 'actor', l.detail ->> 'reason', casstore.micros(l.at))
      else (select jsonb_build_array(t.before, t.state, t.actor, t.reason, casstore.micros(t.at))
              from casstore.transitions t where t.artifact_id = l.artifact_id and t.number = l.number and t.state = l.op) end end,
    'pointer', case when l.op in ('alias', 'tag', 'unalias') then
      (select jsonb_build_array(p.pointer, p.move, p.is_tag, p.number, casstore.micros(p.moved_at))
         from casstore.pointers p
        where p.artifact_id = l.artifact_id and p.pointer = l.detail ->> 'pointer' and p.move = (l.detail ->> 'move')::int) end)),
    l.op = 'put' and exists (select from casstore.trash t
                              where t.artifact_id = l.artifact_id and t.number = l.number and t.purged_at is not null),
    case when l.op = 'put' then array(
      select e.role::text from casstore.erased_components e where e.artifact_id = l.artifact_id and e.number = l.number) end,
    k.id, k.secret, k.salt
    from casstore.log l left join casstore.journal_keys k on k.tenant_id = l.tenant_id where l.seq > p_after and l.seq <= p_until order by l.seq limit p_limit
$$;
comment on function casstore.journal_records is
  'Rows of the log as records of the journal, in their order, each with the key of its tenant; of a version that was purged since, the '
  'components are missing, and those that were erased, by their roles. By key all the way: any stretch costs the same.';

create function casstore.plan_segment(p_first bigint, p_last bigint, p_last_seq bigint) returns void
language sql volatile set search_path = pg_catalog, pg_temp as $$
  insert into casstore.journal (first, last, last_seq) values (p_first, p_last, p_last_seq) on conflict do nothing
$$;
comment on function casstore.plan_segment is 'Writes down the range of the next segment, unless another exporter has done so: then that one''s counts.';

create function casstore.confirm_segment(p_first bigint, p_digest bytea) returns void
language sql volatile set search_path = pg_catalog, pg_temp as $$
  update casstore.journal j set digest = p_digest where j.first = p_first and j.digest is null
$$;
comment on function casstore.confirm_segment is 'Remembers that a segment''s object is there, and its digest.';

-- What the log alone can tell of the catalog's other rows: rows that it does not know, and state that is not what it says. Each check
-- is one statement, and what one transaction has written is in all of it or in none: so writers cause no false alarm.
create function casstore.strays(p_limit int) returns table (table_name text, place text, what text)
language plpgsql stable set search_path = pg_catalog, pg_temp
set enable_nestloop = off as $$   -- whole tables are compared: a loop would be the square of them
begin
  return query
    with found as (
      select 'artifacts' as table_name, a.id as artifact_id, null::int as number, 'head or latest is not what its versions say' as what
        from casstore.artifacts a
        left join (select v.artifact_id, max(v.number) as head, max(v.number) filter (where t.number is null) as latest,
                          max(v.created_at) as head_at
                     from casstore.versions v left join casstore.trash t on t.artifact_id = v.artifact_id and t.number = v.number
                    group by v.artifact_id) h on h.artifact_id = a.id
       where (a.head, a.latest, a.head_at) is distinct from (h.head, coalesce(h.latest, 0), h.head_at)
      union all
      select 'versions', v.artifact_id, v.number, case when l.seq is null then 'not in the log' else 'put by another than the log says' end
        from casstore.versions v
        left join casstore.log l on l.op = 'put' and (l.detail is null or not l.detail ? 'reused')
                                and l.artifact_id = v.artifact_id and l.number = v.number
       where l.seq is null or v.actor is distinct from l.detail ->> 'actor'
      union all
      select 'pointers', p.artifact_id, p.number,
             format(case when l.seq is null then 'move %s of %s is not in the log' else 'move %s of %s was made by another than the log says' end,
                    p.move, p.pointer)
        from casstore.pointers p
        left join casstore.log l on l.op in ('alias', 'tag', 'unalias') and l.artifact_id = p.artifact_id
                                and l.detail ->> 'pointer' = p.pointer and (l.detail ->> 'move')::int = p.move
       where l.seq is null or p.actor is distinct from l.detail ->> 'actor'
      union all
      select 'transitions', t.artifact_id, t.number, format('%s is not in the log', t.state) from casstore.transitions t
       where not exists (select from casstore.log l
                          where l.op = t.state and l.artifact_id = t.artifact_id and l.number = t.number and l.at = t.at
                            and not exists (select from casstore.log u
                                             where u.op = 'undo' and u.artifact_id = l.artifact_id
                                               and (u.detail ->> 'undoes')::bigint = l.seq))
      union all
      select 'transitions', t.artifact_id, t.number, format('%s is not where its version is in the order of all', t.state)
        from casstore.transitions t join casstore.versions v on v.artifact_id = t.artifact_id and v.number = t.number where v.seq <> t.seq
      union all
      select 'trash', coalesce(t.artifact_id, l.artifact_id), coalesce(t.number, l.number), 'not what the log says'
        from casstore.trash t
        full join (select x.* from (select distinct on (y.artifact_id, y.number) y.* from casstore.log y
                                     where y.op in ('delete', 'undelete') order by y.artifact_id, y.number, y.seq desc) x
                    where x.op = 'delete') l on l.artifact_id = t.artifact_id and l.number = t.number
        left join casstore.log p
          on p.op = 'purge' and p.artifact_id = coalesce(t.artifact_id, l.artifact_id) and p.number = coalesce(t.number, l.number)
       where (t.at, t.actor, t.reason, t.rule, t.purged_at, t.purged_by)
             is distinct from (l.at, l.detail ->> 'actor', l.detail ->> 'reason', l.detail ->> 'rule', p.at, p.detail ->> 'actor')
      union all
      select 'holds', coalesce(h.artifact_id, l.artifact_id), coalesce(h.number, l.number),
             format('%s is not what the log says', coalesce(h.hold, l.hold))
        from casstore.holds h
        full join (select y.tenant_id, y.artifact_id, y.number, y.hold, y.at, y.detail, r.at as released_at, r.detail as released
                     from (select distinct on (x.tenant_id, x.artifact_id, x.number, x.detail ->> 'hold') x.*, x.detail ->> 'hold' as hold
                             from casstore.log x where x.op = 'hold'
                            order by x.tenant_id, x.artifact_id, x.number, x.detail ->> 'hold', x.seq desc) y
                     left join casstore.log r
                       on r.op = 'release' and r.tenant_id = y.tenant_id and r.detail ->> 'hold' = y.hold and r.seq > y.seq
                      and coalesce(r.artifact_id, 0) = coalesce(y.artifact_id, 0) and coalesce(r.number, 0) = coalesce(y.number, 0)) l
          on l.hold = h.hold and l.tenant_id = h.tenant_id and coalesce(l.artifact_id, 0) = coalesce(h.artifact_id, 0)
         and coalesce(l.number, 0) = coalesce(h.number, 0)
       where (h.at, h.actor, h.reason, h.released_at, h.released_by)
             is distinct from (l.at, l.detail ->> 'actor', l.detail ->> 'reason', l.released_at, l.released ->> 'actor')
      union all
      select 'expiries', coalesce(e.artifact_id, l.artifact_id), coalesce(e.number, l.number), 'not what the log says'
        from casstore.expiries e
        full join (select x.* from (select distinct on (y.artifact_id, y.number) y.* from casstore.log y
                                     where y.op = 'expire' or y.op = 'put' and y.detail ? 'expires_at'
                                     order by y.artifact_id, y.number, y.seq desc) x
                    where x.detail ? 'expires_at') l on l.artifact_id = e.artifact_id and l.number = e.number
       where (e.expires_at, e.actor, e.reason)
             is distinct from (casstore.instant((l.detail ->> 'expires_at')::bigint), l.detail ->> 'actor', l.detail ->> 'reason')
      union all
      select 'erased_components', coalesce(e.artifact_id, l.artifact_id), coalesce(e.number, l.number),
             format('%s is not what the log says', coalesce(e.role, l.role))
        from casstore.erased_components e
        full join (select y.artifact_id, y.number, y.at, y.detail, p.value ->> 0 as role, (p.value ->> 1)::bigint as size_bytes,
                          p.value ->> 2 as media_type
                     from casstore.log y cross join lateral jsonb_array_elements(y.detail -> 'parts') p where y.op = 'erase_content') l
          on l.artifact_id = e.artifact_id and l.number = e.number and l.role = e.role
       where (e.at, e.actor, e.reason, encode(e.hash, 'hex'), e.size_bytes, e.media_type)
             is distinct from (l.at, l.detail ->> 'actor', l.detail ->> 'reason', l.detail ->> 'hash', l.size_bytes, l.media_type)
      union all
      select 'components', c.artifact_id, c.number, format('%s was erased, and is there', c.role)
        from casstore.components c
        join casstore.erased_components e on e.artifact_id = c.artifact_id and e.number = c.number and e.role = c.role
      union all
      select u.table_name, u.artifact_id, u.number, 'belongs to another tenant than its artifact'
        from (select 'versions' as table_name, x.artifact_id, x.number, x.tenant_id from casstore.versions x
              union all select 'components', x.artifact_id, x.number, x.tenant_id from casstore.components x
              union all select 'sources', x.artifact_id, x.number, x.tenant_id from casstore.sources x
              union all select 'transitions', x.artifact_id, x.number, x.tenant_id from casstore.transitions x
              union all select 'pointers', x.artifact_id, x.number, x.tenant_id from casstore.pointers x
              union all select 'trash', x.artifact_id, x.number, x.tenant_id from casstore.trash x
              union all select 'holds', x.artifact_id, x.number, x.tenant_id from casstore.holds x where x.artifact_id is not null
              union all select 'expiries', x.artifact_id, x.number, x.tenant_id from casstore.expiries x
              union all select 'erased_components', x.artifact_id, x.number, x.tenant_id from casstore.erased_components x
              union all select 'log', x.artifact_id, x.number, x.tenant_id from casstore.log x where x.artifact_id is not null) u
       where u.tenant_id is distinct from (select a.tenant_id from casstore.artifacts a where a.id = u.artifact_id))
    select f.table_name, coalesce((select n.name || ' ' || a.name from casstore.artifacts a join casstore.tenants n on n.id = a.tenant_id
                                    where a.id = f.artifact_id), f.artifact_id::text, 'all of a tenant') || coalesce('@' || f.number, ''), f.what
      from found f
     where not exists (select from casstore.artifacts a join casstore.journal_keys k on k.tenant_id = a.tenant_id
                        where a.id = f.artifact_id and k.salt is not null)   -- its erasing is under way
    union all
    select 'tenants', n.name, 'whether it is deleted is not what the log says'
      from casstore.tenants n
      left join (select distinct on (l.tenant_id) l.* from casstore.log l
                  where l.op in ('delete_tenant', 'undelete_tenant', 'erase_tenant') order by l.tenant_id, l.seq desc) l
        on l.tenant_id = n.id and l.op <> 'undelete_tenant'
     where (n.deleted_at, n.deleted_by, n.reason) is distinct from (l.at, l.detail ->> 'actor', l.detail ->> 'reason')
    union all
    select 'tenants', t.name, 'not of the domain that the log says'
      from casstore.tenants t
      left join (select distinct on (y.tenant_id) y.tenant_id, casstore.digest_bytes(y.detail ->> 'check') as domain
                   from casstore.log y where y.op = 'domain' order by y.tenant_id, y.seq desc) l on l.tenant_id = t.id
     where t.domain is distinct from l.domain
       and not exists (select from casstore.journal_keys k where k.tenant_id = t.id and k.salt is not null)
    union all
    select 'retention', n.name, 'not what the log says'
      from casstore.retention r
      full join (select distinct on (y.tenant_id) y.* from casstore.log y where y.op = 'retention' order by y.tenant_id, y.seq desc) l
        on l.tenant_id = r.tenant_id
      join casstore.tenants n on n.id = coalesce(r.tenant_id, l.tenant_id)
     where (r.revision, r.policy, r.at, r.actor)
           is distinct from ((l.detail ->> 'revision')::int, l.detail -> 'policy', l.at, l.detail ->> 'actor')
    union all
    select 'requests', n.name || ' key ' || r.key, 'not in the log' from casstore.requests r join casstore.tenants n on n.id = r.tenant_id
     where not exists (select from casstore.log l where l.tenant_id = r.tenant_id and l.key = r.key)
       and not exists (select from casstore.journal_keys k where k.tenant_id = r.tenant_id and k.salt is not null)
     limit p_limit;
end $$;
comment on function casstore.strays is 'Rows that the log does not account for: the table, whose or which row, and what is wrong.';

-- Making a catalog again. The functions below are called in one transaction, on a catalog that has no rows.

create function casstore.begin_restore() returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  lock table casstore.log, casstore.blobs in exclusive mode;   -- whoever put meanwhile has put before, or waits
  return not exists (select from casstore.store s where s.blobs_marked)
     and not exists (select from casstore.tenants) and not exists (select from casstore.log)
     and not exists (select from casstore.blobs) and not exists (select from casstore.journal);
end $$;
comment on function casstore.begin_restore is 'Whether this catalog is empty, which it then stays until the end of the transaction.';

create function casstore.records_meant(p_records jsonb)
returns table (r jsonb, seq bigint, op text, tenant_id int, artifact_id bigint, number int)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select e.value, (e.value #>> '{log,0}')::bigint, e.value #>> '{log,2}', t.id,
         -- The limit keeps this look-up apart: as a join it is planned through all of a tenant's artifacts while the table is new.
         (select a.id from casstore.artifacts a where a.tenant_id = t.id and a.folded = lower(e.value #>> '{artifact,0}') limit 1),
         (e.value #>> '{log,3}')::int
    from jsonb_array_elements(p_records) e join casstore.tenants t on t.name = e.value #>> '{tenant,0}'
$$;
comment on function casstore.records_meant is 'Records, with the internal keys of what they are about.';

create function casstore.restore_hold(p_seq bigint) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  insert into casstore.holds (tenant_id, hold, artifact_id, number, at, actor, reason)
  select l.tenant_id, l.detail ->> 'hold', l.artifact_id, l.number, l.at, l.detail ->> 'actor', l.detail ->> 'reason'
    from casstore.log l where l.seq = p_seq and l.op = 'hold'
  on conflict on constraint holds_key do update
     set at = excluded.at, actor = excluded.actor, reason = excluded.reason, released_at = null, released_by = null;
  update casstore.holds h set released_at = l.at, released_by = l.detail ->> 'actor'
    from casstore.log l
   where l.seq = p_seq and l.op = 'release' and h.tenant_id = l.tenant_id and h.hold = l.detail ->> 'hold'
     and h.artifact_id is not distinct from l.artifact_id and h.number is not distinct from l.number;
end $$;
comment on function casstore.restore_hold is 'Does again what this row of the log did to a hold.';

create function casstore.restore_retention(p_seq bigint) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  insert into casstore.retention (tenant_id, revision, policy, at, actor)
  select l.tenant_id, (l.detail ->> 'revision')::int, l.detail -> 'policy', l.at, l.detail ->> 'actor'
    from casstore.log l where l.seq = p_seq and l.op = 'retention'
  on conflict on constraint retention_key do update
     set revision = excluded.revision, policy = excluded.policy, at = excluded.at, actor = excluded.actor;
  delete from casstore.expiries e using casstore.log l
   where l.seq = p_seq and l.op = 'expire' and e.artifact_id = l.artifact_id and e.number = l.number;
  insert into casstore.expiries (artifact_id, number, tenant_id, expires_at, actor, reason)
  select l.artifact_id, l.number, l.tenant_id, casstore.instant((l.detail ->> 'expires_at')::bigint), l.detail ->> 'actor',
         l.detail ->> 'reason'
    from casstore.log l where l.seq = p_seq and l.op in ('expire', 'put') and l.detail ? 'expires_at';
end $$;
comment on function casstore.restore_retention is 'Does again what this row of the log did to a policy of retention, or to when a version expires.';

create function casstore.restore_erased(p_seq bigint) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  insert into casstore.erased_components (artifact_id, number, role, tenant_id, hash, size_bytes, media_type, at, actor, reason)
  select l.artifact_id, l.number, p.value ->> 0, l.tenant_id, decode(l.detail ->> 'hash', 'hex'), (p.value ->> 1)::bigint, p.value ->> 2,
         l.at, l.detail ->> 'actor', l.detail ->> 'reason'
    from casstore.log l cross join lateral jsonb_array_elements(l.detail -> 'parts') p where l.seq = p_seq;
  with gone as (
    delete from casstore.components c using casstore.log l
     where l.seq = p_seq and c.artifact_id = l.artifact_id and c.number = l.number
       and exists (select from jsonb_array_elements(l.detail -> 'parts') p where p.value ->> 0 = c.role) returning c.digest)
  insert into casstore.dereferenced (digest) select distinct g.digest from gone g;
end $$;
comment on function casstore.restore_erased is 'Does again what this row of the log did to components of a version.';

create function casstore.restore_records(p_records jsonb) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
-- By key, whatever the planner believes of tables that were empty a moment ago.
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare l_row record;
begin
  insert into casstore.tenants (name, created_at)
  select distinct e.value #>> '{tenant,0}', casstore.instant((e.value #>> '{tenant,1}')::bigint) from jsonb_array_elements(p_records) e
  on conflict on constraint tenants_name_key do nothing;
  insert into casstore.domains (check_value, name, made_at)
  select distinct on (1) casstore.digest_bytes(d ->> 'check'), d ->> 'domain', casstore.instant((d ->> 'made_at')::bigint)
    from jsonb_array_elements(p_records) e cross join lateral (select (e.value #>> '{log,4}')::jsonb as d) x
   where e.value #>> '{log,2}' = 'domain' order by 1
  on conflict do nothing;
  update casstore.tenants t set domain = x.domain
    from (select distinct on (1) e.value #>> '{tenant,0}' as name, casstore.digest_bytes((e.value #>> '{log,4}')::jsonb ->> 'check') as domain
            from jsonb_array_elements(p_records) e
           where e.value #>> '{log,2}' = 'domain' order by 1, (e.value #>> '{log,0}')::bigint desc) x
   where t.name = x.name;
  insert into casstore.artifacts (tenant_id, name, type, created_at)
  select distinct t.id, e.value #>> '{artifact,0}', e.value #>> '{artifact,1}', casstore.instant((e.value #>> '{artifact,2}')::bigint)
    from jsonb_array_elements(p_records) e join casstore.tenants t on t.name = e.value #>> '{tenant,0}' where e.value ? 'artifact'
  on conflict on constraint artifacts_name_key do nothing;
  insert into casstore.versions
    (artifact_id, number, tenant_id, seq, id, type, manifest, relations, title, labels, metadata, created_at, actor) overriding system value
  select m.artifact_id, m.number, m.tenant_id, (v ->> 1)::bigint, (v ->> 0)::uuid, v ->> 2, casstore.digest_bytes(v ->> 3),
         case when jsonb_typeof(v -> 4) = 'array' then array(select jsonb_array_elements_text(v -> 4)) end,
         v ->> 5, (v ->> 6)::jsonb, (v ->> 7)::jsonb, casstore.instant((v ->> 8)::bigint), (m.r #>> '{log,4}')::jsonb ->> 'actor'
    from casstore.records_meant(p_records) m cross join lateral (select m.r -> 'version' as v) x where m.r ? 'version';
  insert into casstore.blobs (digest, size_bytes, crc32c, lease_until, domain)
  select distinct on (1) casstore.digest_bytes(c.value ->> 1), (c.value ->> 2)::bigint, (c.value ->> 4)::bigint, now(), t.domain
    from jsonb_array_elements(p_records) e join casstore.tenants t on t.name = e.value #>> '{tenant,0}' cross join lateral jsonb_array_elements(e.value -> 'components') c order by 1
  on conflict do nothing;
  insert into casstore.components (artifact_id, number, role, tenant_id, digest, size_bytes, media_type, pixels, width, height, meaning, layout)
  select m.artifact_id, m.number, c.value ->> 0, m.tenant_id, casstore.digest_bytes(c.value ->> 1), (c.value ->> 2)::bigint, c.value ->> 3,
         casstore.digest_bytes(c.value ->> 5), (c.value ->> 6)::int, (c.value ->> 7)::int,
         casstore.digest_bytes(c.value ->> 8), casstore.digest_bytes(c.value ->> 9)
    from casstore.records_meant(p_records) m cross join lateral jsonb_array_elements(m.r -> 'components') c;
  insert into casstore.sources (artifact_id, number, place, tenant_id, source_artifact_id, source_number, role)
  select m.artifact_id, m.number, s.place, m.tenant_id, v.artifact_id, v.number, s.value ->> 1
    from casstore.records_meant(p_records) m cross join lateral jsonb_array_elements(m.r -> 'sources') with ordinality as s(value, place)
    join casstore.versions v on v.id = (s.value ->> 0)::uuid;
  -- Of a state that was entered, undone and entered again the last step counts: what this segment undoes goes first, and is not made.
  delete from casstore.transitions t using casstore.records_meant(p_records) m
   where m.op = 'undo' and t.artifact_id = m.artifact_id and t.number = m.number and t.state = ((m.r #>> '{log,4}')::jsonb ->> 'op');
  insert into casstore.transitions (artifact_id, number, state, tenant_id, seq, before, actor, reason, at)
  select m.artifact_id, m.number, t ->> 1, m.tenant_id, v.seq, t ->> 0, t ->> 2, t ->> 3, casstore.instant((t ->> 4)::bigint)
    from casstore.records_meant(p_records) m cross join lateral (select m.r -> 'transition' as t) x
    join casstore.versions v on v.artifact_id = m.artifact_id and v.number = m.number
   where m.r ? 'transition'
     and not exists (select from jsonb_array_elements(p_records) u
                      where u.value #>> '{log,2}' = 'undo' and ((u.value #>> '{log,4}')::jsonb ->> 'undoes')::bigint = m.seq);
  insert into casstore.pointers (artifact_id, pointer, move, tenant_id, is_tag, number, moved_at, actor)
  select m.artifact_id, p ->> 0, (p ->> 1)::int, m.tenant_id, (p ->> 2)::boolean, (p ->> 3)::int, casstore.instant((p ->> 4)::bigint),
         (m.r #>> '{log,4}')::jsonb ->> 'actor'
    from casstore.records_meant(p_records) m cross join lateral (select m.r -> 'pointer' as p) x where m.r ? 'pointer';
  insert into casstore.requests (tenant_id, key, fingerprint, versions, reused, made_at)
  select m.tenant_id, q ->> 0, casstore.digest_bytes(q ->> 1), array(select jsonb_array_elements_text(q -> 2)::uuid),
         array(select jsonb_array_elements_text(q -> 3)::boolean), casstore.instant((q ->> 4)::bigint)
    from casstore.records_meant(p_records) m cross join lateral (select m.r -> 'request' as q) x where m.r ? 'request';
  insert into casstore.log (seq, at, tenant_id, op, artifact_id, number, detail, key) overriding system value
  select m.seq, casstore.instant((m.r #>> '{log,1}')::bigint), m.tenant_id, m.op, m.artifact_id, m.number, (m.r #>> '{log,4}')::jsonb,
         m.r #>> '{request,0}'
    from casstore.records_meant(p_records) m order by m.seq;
  for l_row in select m.* from casstore.records_meant(p_records) m where m.op = 'erase_tenant' order by m.seq
  loop   -- what was sealed for this tenant came before, and nobody could read it
    update casstore.tenants t set created_at = casstore.instant((l_row.r #>> '{tenant,1}')::bigint) where t.id = l_row.tenant_id;
    insert into casstore.journal_keys (id, tenant_id, erased_at)
    select (l.detail ->> 'key')::uuid, l.tenant_id, l.at from casstore.log l where l.seq = l_row.seq;
    update casstore.log l set at = k.erased_at from casstore.journal_keys k
     where k.tenant_id = l_row.tenant_id and l.tenant_id = l_row.tenant_id and l.op = 'erased';
  end loop;
  for l_row in
    select m.* from casstore.records_meant(p_records) m
     where m.op in ('delete', 'undelete', 'purge', 'hold', 'release', 'retention', 'expire', 'erase_content')
        or m.op = 'put' and (m.r #>> '{log,4}')::jsonb ? 'expires_at' order by m.seq
  loop
    if l_row.op = 'delete' then
      insert into casstore.trash (artifact_id, number, tenant_id, at, actor, reason, rule)
      select l.artifact_id, l.number, l.tenant_id, l.at, l.detail ->> 'actor', l.detail ->> 'reason', l.detail ->> 'rule'
        from casstore.log l where l.seq = l_row.seq;
    elsif l_row.op = 'undelete' then
      delete from casstore.trash t where t.artifact_id = l_row.artifact_id and t.number = l_row.number;
    elsif l_row.op in ('hold', 'release') then
      perform casstore.restore_hold(l_row.seq);
    elsif l_row.op in ('retention', 'expire', 'put') then
      perform casstore.restore_retention(l_row.seq);
    elsif l_row.op = 'erase_content' then
      perform casstore.restore_erased(l_row.seq);
    else
      with gone as (
        delete from casstore.components c where c.artifact_id = l_row.artifact_id and c.number = l_row.number returning c.digest)
      insert into casstore.dereferenced (digest) select distinct g.digest from gone g;
      update casstore.trash t set purged_at = l.at, purged_by = l.detail ->> 'actor'
        from casstore.log l where l.seq = l_row.seq and t.artifact_id = l.artifact_id and t.number = l.number;
    end if;
  end loop;
  for l_row in
    select m.artifact_id, max(m.number) filter (where m.r ? 'version') as head
      from casstore.records_meant(p_records) m where m.op in ('put', 'delete', 'undelete') group by m.artifact_id
  loop
    update casstore.artifacts a set head = v.number, head_at = v.created_at
      from casstore.versions v where a.id = l_row.artifact_id and v.artifact_id = a.id and v.number = l_row.head;
    perform casstore.settle_latest(l_row.artifact_id);
  end loop;
end $$;
comment on function casstore.restore_records is 'Makes the rows that records are about, those of one segment, after all segments before it.';

create function casstore.restore_segment(p_first bigint, p_last bigint, p_last_seq bigint, p_digest bytea) returns void
language sql volatile set search_path = pg_catalog, pg_temp as $$
  insert into casstore.journal (first, last, last_seq, digest) values (p_first, p_last, p_last_seq, p_digest)
$$;
comment on function casstore.restore_segment is 'Remembers a segment that is there, so that exports go on after it.';

create function casstore.restore_blobs(p_digests bytea[], p_sizes bigint[], p_generations bigint[]) returns int
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare l_count int;
begin
  update casstore.blobs b set state = 'l', state_at = now(), lease_until = null, generation = o.generation
    from unnest(p_digests, p_sizes, p_generations) as o(digest, size_bytes, generation)
   where b.digest = o.digest and b.size_bytes = o.size_bytes;
  get diagnostics l_count = row_count;
  update casstore.blobs b set dead = o.generation
    from unnest(p_digests, p_sizes, p_generations) as o(digest, size_bytes, generation)
   where b.digest = o.digest and b.size_bytes <> o.size_bytes;
  perform casstore.gc_register(p_digests, p_sizes);
  return l_count;
end $$;
comment on function casstore.restore_blobs is
  'Believes in the objects that are there with the right size; the next put of the others'' bytes heals them. What no version ever used '
  'is the collector''s.';

create function casstore.end_restore(p_identity uuid, out records bigint, out versions bigint, out missing bigint)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare l_log bigint; l_versions bigint;
begin
  select count(*), coalesce(max(l.seq), 0) into records, l_log from casstore.log l;
  select count(*), coalesce(max(v.seq), 0) into versions, l_versions from casstore.versions v;
  perform setval('casstore.log_seq_seq', l_log + 1, false), setval('casstore.versions_seq_seq', l_versions + 1, false);
  select count(*) into missing from casstore.blobs b
   where b.state <> 'l' and exists (select from casstore.components c where c.digest = b.digest);
  -- Not before: no row of the log is written for a tenant that is deleted.
  update casstore.tenants t set deleted_at = l.at, deleted_by = l.detail ->> 'actor', reason = l.detail ->> 'reason'
    from (select distinct on (x.tenant_id) x.* from casstore.log x
           where x.op in ('delete_tenant', 'undelete_tenant', 'erase_tenant') order by x.tenant_id, x.seq desc) l
   where l.tenant_id = t.id and l.op <> 'undelete_tenant';
  update casstore.store set identity = p_identity, blobs_marked = true where is_only;
end $$;
comment on function casstore.end_restore is
  'Goes on numbering after what was restored, and takes the identity of the store that was lost; `missing` blobs have no object.';

revoke all on all functions in schema casstore from public;
