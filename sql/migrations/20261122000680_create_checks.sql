-- Checking: what fsck, scrub and repair ask of the catalog. They are the operator's, not a tenant's: nobody but the owner may call
-- these until he grants it, and they see the rows of all tenants. (With a caller's own rights, row-level security would hide rows, and
-- every object of a hidden one would look like an orphan.)
--
-- Each look is one statement, so it sees the store as it was at one instant: what a transaction writes together, it sees together. No
-- look locks anything. What is left of a tenant while it is being erased obeys no law: it goes in many transactions, the log first.

create type casstore.ledger_row as (
  digest bytea, size_bytes bigint, crc32c bigint, state text, incarnation bigint, generation bigint, dead bigint,
  state_at timestamptz,
  needed bigint,        -- the size that a component says; null when there is none, or (in check_ledger, of a live blob) nobody asked
  is_leftover boolean,  -- pending or being deleted for so long that whoever did it is gone
  domain bytea);        -- whose key the digest is made with

create function casstore.check_ledger(p_after bytea, p_before bytea, p_limit int, p_leftover interval)
returns setof casstore.ledger_row language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select b.digest::bytea, b.size_bytes, b.crc32c, b.state::text, b.incarnation, b.generation, b.dead, b.state_at,
           case when b.state <> 'l' then (select c.size_bytes from casstore.components c where c.digest = b.digest limit 1) end,
           b.state in ('p', 'd') and coalesce(b.lease_until, b.state_at) < now() - p_leftover, b.domain::bytea
      from casstore.blobs b
     where b.digest > p_after and (p_before is null or b.digest < p_before)
     order by b.digest limit p_limit;
end $$;
comment on function casstore.check_ledger is 'A part of the ledger, in the order of digests.';

create function casstore.check_blob(p_digest bytea, p_leftover interval) returns casstore.ledger_row
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select p_digest, b.size_bytes, b.crc32c, b.state::text, b.incarnation, b.generation, b.dead, b.state_at,
         (select c.size_bytes from casstore.components c where c.digest = p_digest limit 1),
         b.state in ('p', 'd') and coalesce(b.lease_until, b.state_at) < now() - p_leftover, b.domain::bytea
    from (select) one left join casstore.blobs b on b.digest = p_digest
$$;
comment on function casstore.check_blob is 'What the ledger says of one blob, and whether a version needs it; a null state where it says nothing.';

create function casstore.check_doubted(p_after bytea, p_limit int) returns setof bytea
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select b.digest::bytea from casstore.blobs b
   where b.state in ('p', 'c', 'd') and b.digest > p_after and exists (select from casstore.components c where c.digest = b.digest)
   order by b.digest limit p_limit
$$;
comment on function casstore.check_doubted is 'Blobs that versions need and that are not known good.';

create function casstore.check_uses(p_digest bytea, p_limit int)
returns table (tenant text, name text, number int, role text, uses bigint)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select t.name::text, a.name::text, c.number, c.role::text, count(*) over ()
    from casstore.components c join casstore.artifacts a on a.id = c.artifact_id join casstore.tenants t on t.id = a.tenant_id
   where c.digest = p_digest order by t.name, a.name, c.number, c.role limit p_limit
$$;
comment on function casstore.check_uses is 'The components that a blob is, of all tenants; of how many these are the first.';

create function casstore.check_versions(p_artifact_id bigint, p_number int, p_limit int)
returns table (
  artifact_id bigint, number int, tenant text, name text, manifest bytea, relations text[], is_purged boolean,
  roles text[], digests bytea[], sizes bigint[], media_types text[], unknown bytea[], is_astray boolean, erased text[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select v.artifact_id, v.number, t.name::text, a.name::text, v.manifest, v.relations,
         exists (select from casstore.trash x where x.artifact_id = v.artifact_id and x.number = v.number and x.purged_at is not null),
         c.roles, c.digests, c.sizes, c.media_types, c.unknown, c.is_astray,
         array(select e.role::text from casstore.erased_components e where e.artifact_id = v.artifact_id and e.number = v.number)
    from (select x.* from casstore.versions x
           where (x.artifact_id, x.number) > (p_artifact_id, p_number)
             and x.tenant_id <> all (array(select k.tenant_id from casstore.journal_keys k where k.salt is not null))
           order by x.artifact_id, x.number limit p_limit) v
    join casstore.artifacts a on a.id = v.artifact_id
    join casstore.tenants t on t.id = a.tenant_id
    cross join lateral (
      select coalesce(array_agg(x.role::text), '{}') as roles, coalesce(array_agg(x.digest::bytea), '{}') as digests,
             coalesce(array_agg(x.size_bytes), '{}') as sizes, coalesce(array_agg(x.media_type), '{}') as media_types,
             array_agg(x.digest::bytea) filter (where b.digest is null) as unknown,
             coalesce(bool_or(b.domain is distinct from t.domain) filter (where b.digest is not null), false) as is_astray
        from casstore.components x left join casstore.blobs b on b.digest = x.digest
       where x.artifact_id = v.artifact_id and x.number = v.number) c
   order by v.artifact_id, v.number
$$;
comment on function casstore.check_versions is 'Versions with all that their manifests are made of, which of their blobs the ledger does not know, and whether any is of another domain than its tenant.';

-- Broken laws, by artifact: [{"code", "tenant", "name", "number" (the first concerned), "count"}, …]
create function casstore.check_told(p_broken jsonb) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(jsonb_agg(to_jsonb(told) order by told.tenant, told.name, told.code), '[]') from (
    select x.code, t.name as tenant, coalesce(a.name, x.artifact_id::text) as name, min(x.number) as number, count(*) as count
      from jsonb_to_recordset(p_broken) as x(code text, artifact_id bigint, number int)
      left join casstore.artifacts a on a.id = x.artifact_id
      left join casstore.tenants t on t.id = a.tenant_id
     where not exists (select from casstore.journal_keys k where k.tenant_id = a.tenant_id and k.salt is not null)
     group by x.code, x.artifact_id, t.name, a.name) told
$$;
comment on function casstore.check_told is
  'Broken laws ([{code, artifact_id, number}, …]) as they are told: one for each artifact, but for those of a tenant that is being erased.';

create function casstore.check_artifacts(p_after bigint, p_limit int, out artifacts int, out last bigint, out broken jsonb)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = 'force_custom_plan' as $$
#variable_conflict use_column
begin
  select count(*), max(x.id) into artifacts, last
    from (select a.id from casstore.artifacts a where a.id > p_after order by a.id limit p_limit) x;
  select casstore.check_told(coalesce(jsonb_agg(to_jsonb(r)), '[]')) into broken from (
    select 'number_gap' as code, artifact_id, before + 1 as number
      from (select v.artifact_id, v.number, lag(v.number, 1, 0) over (partition by v.artifact_id order by v.number) as before
              from casstore.versions v where v.artifact_id > p_after and v.artifact_id <= last) x where number <> before + 1
    union all
    select case when x.newest is distinct from x.head then 'head_wrong' else 'latest_wrong' end, x.id, x.newest
      from (select a.id, a.head, a.latest, max(v.number) as newest,
                   max(v.number) filter (where not exists (select from casstore.trash t
                                                            where t.artifact_id = v.artifact_id and t.number = v.number)) as live
              from casstore.artifacts a left join casstore.versions v on v.artifact_id = a.id
             where a.id > p_after and a.id <= last group by a.id) x
     where x.newest is distinct from x.head or x.latest <> coalesce(x.live, 0)
    union all
    select 'version_order', artifact_id, number
      from (select v.artifact_id, v.number, v.created_at <= lag(v.created_at) over w or v.seq <= lag(v.seq) over w as is_wrong
              from casstore.versions v where v.artifact_id > p_after and v.artifact_id <= last
            window w as (partition by v.artifact_id order by v.number)) x where is_wrong
    union all
    select 'tenant_wrong', x.artifact_id, x.number
      from (select v.artifact_id, v.number, v.tenant_id from casstore.versions v
            union all select c.artifact_id, c.number, c.tenant_id from casstore.components c
            union all select e.artifact_id, e.number, e.tenant_id from casstore.erased_components e
            union all select s.artifact_id, s.number, s.tenant_id from casstore.sources s
            union all select t.artifact_id, t.number, t.tenant_id from casstore.transitions t
            union all select p.artifact_id, p.number, p.tenant_id from casstore.pointers p
            union all select t.artifact_id, t.number, t.tenant_id from casstore.trash t
            union all select h.artifact_id, h.number, h.tenant_id from casstore.holds h
            union all select e.artifact_id, e.number, e.tenant_id from casstore.expiries e) x
      join casstore.artifacts a on a.id = x.artifact_id
     where x.artifact_id > p_after and x.artifact_id <= last and x.tenant_id <> a.tenant_id
    union all
    select 'pointer_gap', artifact_id, number
      from (select p.artifact_id, p.number, lag(p.move, 1, 0) over w <> p.move - 1 or p.moved_at <= lag(p.moved_at) over w
                   or p.is_tag <> first_value(p.is_tag) over w as is_wrong
              from casstore.pointers p where p.artifact_id > p_after and p.artifact_id <= last
            window w as (partition by p.artifact_id, p.pointer order by p.move)) x where is_wrong
    union all
    select 'source_deleted', s.artifact_id, s.number
      from casstore.sources s
      join casstore.trash t on t.artifact_id = s.source_artifact_id and t.number = s.source_number
     where s.artifact_id > p_after and s.artifact_id <= last
       and not exists (select from casstore.trash x where x.artifact_id = s.artifact_id and x.number = s.number)
    union all
    select 'source_wrong', artifact_id, number
      from (select s.artifact_id, s.number, o.seq >= v.seq or o.tenant_id <> s.tenant_id
                   or lag(s.place, 1, 0) over (partition by s.artifact_id, s.number order by s.place) <> s.place - 1 as is_wrong
              from casstore.sources s
              join casstore.versions v on v.artifact_id = s.artifact_id and v.number = s.number
              join casstore.versions o on o.artifact_id = s.source_artifact_id and o.number = s.source_number
             where s.artifact_id > p_after and s.artifact_id <= last) x where is_wrong
    union all
    select 'lifecycle_broken', artifact_id, number
      from (select t.artifact_id, t.number, t.seq <> v.seq
                   or lag(t.state, 1, 'draft') over (partition by t.artifact_id, t.number order by t.state) <> t.before as is_wrong
              from casstore.transitions t join casstore.versions v on v.artifact_id = t.artifact_id and v.number = t.number
             where t.artifact_id > p_after and t.artifact_id <= last) x where is_wrong) r;
end $$;
comment on function casstore.check_artifacts is
  'The laws of each artifact that tables can tell: numbers, head and latest, tenants, pointers, sources, lifecycle. `last` is null after '
  'the last artifact.';

-- Apart from the others, because it reads the log: many artifacts in each call.
create function casstore.check_log(p_after bigint, p_limit int, out last bigint, out broken jsonb)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = 'force_custom_plan' as $$
#variable_conflict use_column
begin
  select x.id into last from casstore.artifacts x where x.id > p_after order by x.id offset p_limit - 1 limit 1;
  select casstore.check_told(coalesce(jsonb_agg(to_jsonb(r)), '[]')) into broken from (
    select 'log_disagrees' as code, artifact_id, number
      from (select v.artifact_id, v.number, v.id from casstore.versions v
             where v.artifact_id > p_after and (last is null or v.artifact_id <= last)) v
      full join (select l.artifact_id, l.number, count(*) as puts from casstore.log l
                  where l.op = 'put' and (l.detail is null or not l.detail ? 'reused') and l.artifact_id > p_after and (last is null or l.artifact_id <= last)
                  group by l.artifact_id, l.number) l using (artifact_id, number)
     where v.id is null or l.puts is distinct from 1) r;
end $$;
comment on function casstore.check_log is
  'Versions that the log does not have exactly once, and those that only it has. `last` is null when the last artifact was among them.';

create function casstore.check_requests(p_tenant_id int, p_key text, p_limit int)
returns table (tenant_id int, key text, tenant text, is_broken boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select r.tenant_id, r.key, t.name::text,
         exists (select from unnest(r.versions) as u(id) left join casstore.versions v on v.id = u.id
                  where v.tenant_id is distinct from r.tenant_id)
    from casstore.requests r join casstore.tenants t on t.id = r.tenant_id
   where (r.tenant_id, r.key) > (p_tenant_id, p_key collate "C") order by r.tenant_id, r.key limit p_limit
$$;
comment on function casstore.check_requests is 'Idempotency keys, and whether each stands for versions that are there.';

-- What an operator's programs have read tells the ledger what to believe. Each names what it saw: a row that has changed since stays.
create function casstore.trust_blob(
  p_digest bytea, p_incarnation bigint, p_state_at timestamptz, p_size bigint, p_crc bigint, p_generation bigint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update casstore.blobs b
     set state = 'l', state_at = clock_timestamp(), lease_until = null, dead = null, size_bytes = p_size, crc32c = p_crc,
         generation = p_generation
   where b.digest = p_digest and b.incarnation = p_incarnation and b.state_at = p_state_at
     and b.state <> 'd' and b.dead is distinct from p_generation;
  return found;
end $$;
comment on function casstore.trust_blob is
  'This generation was read, and its bytes are those of the digest: the row becomes live. False where the row has changed, or the '
  'generation may be on its way out.';

create function casstore.distrust_blob(p_digest bytea, p_incarnation bigint, p_state_at timestamptz, p_bad_generation bigint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update casstore.blobs b
     set state = 'p', state_at = clock_timestamp(), lease_until = now(), incarnation = default,
         dead = coalesce(p_bad_generation, b.dead), generation = null
   where b.digest = p_digest and b.incarnation = p_incarnation and b.state_at = p_state_at and b.state <> 'd';
  return found;
end $$;
comment on function casstore.distrust_blob is
  'The object is missing, or this generation of it was read and found altered: as doubt_blob, for whoever looks after the whole store.';

-- Scrubbing. Digests are evenly spread, so their first byte divides the store in 256 equal parts; what is remembered is when each was
-- last read, in as many rows however large the store.
create table casstore.scrubs (
  part     smallint not null constraint scrubs_key primary key constraint scrubs_part check (part between 0 and 255),
  began_at timestamptz,
  after    casstore.digest,
  read_at  timestamptz,
  constraint scrubs_under_way check (began_at is not null or after is null)
);
alter table casstore.scrubs enable row level security;
comment on table  casstore.scrubs is 'When each part of the store was last read and verified. A part is the digests that begin with one byte.';
comment on column casstore.scrubs.part is 'That byte.';
comment on column casstore.scrubs.began_at is 'When the reading that is under way began; null when none is.';
comment on column casstore.scrubs.after is 'How far that has come: it goes on after this digest.';
comment on column casstore.scrubs.read_at is 'When the last reading that came to its end began: every blob of the part was read since, or is newer.';

create function casstore.scrub_coverage() returns table (part smallint, began_at timestamptz, after bytea, read_at timestamptz, seen_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select p.part::smallint, s.began_at, s.after::bytea, s.read_at, now()
    from generate_series(0, 255) as p(part) left join casstore.scrubs s on s.part = p.part order by p.part
$$;
comment on function casstore.scrub_coverage is 'What was read when, of all parts.';

create function casstore.scrub_mark(p_part int, p_after bytea, p_is_done boolean) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into casstore.scrubs as s (part, began_at, after, read_at) values (p_part, now(), p_after, null)
  on conflict on constraint scrubs_key do update
     set began_at = case when p_is_done then null else coalesce(s.began_at, now()) end,
         after = case when p_is_done then null else p_after end,
         read_at = case when p_is_done then coalesce(s.began_at, now()) else s.read_at end;
end $$;
comment on function casstore.scrub_mark is 'Remembers that the reading of a part has begun, how far it has come, or that it is done.';

revoke all on all functions in schema casstore from public;
