-- What becomes of a version once it is there, and what it came from: the lifecycle, lineage, and the trash.

create function casstore.version_meant(
  p_tenant int, p_name text, p_kind text, p_number int, p_text text, p_as_of timestamptz, out artifact_id bigint, out number int)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare l_artifact casstore.artifacts;
begin
  if p_kind = 'id' then
    select v.artifact_id, v.number into version_meant.artifact_id, version_meant.number
      from casstore.versions v where v.tenant_id = p_tenant and v.id = p_text::uuid;
    if version_meant.artifact_id is null then perform casstore.refuse('version_not_found', jsonb_build_object('id', p_text)); end if;
    select a.* into l_artifact from casstore.artifacts a where a.id = version_meant.artifact_id;
    version_meant.number := casstore.number_of(l_artifact, 'number', version_meant.number, null, null);
  else
    l_artifact := casstore.artifact_named(p_tenant, p_name);
    version_meant.artifact_id := l_artifact.id;
    version_meant.number := casstore.number_of(l_artifact, p_kind, p_number, p_text, p_as_of);
  end if;
end $$;
comment on function casstore.version_meant is 'The version a reference means, by its id too, or a refusal.';

create type casstore.transition_row as (state text, before text, actor text, reason text, at timestamptz, number int, name text);

-- A version that is in the state already is left alone, and that is a success: so a call whose answer was lost may be repeated.
create function casstore.set_state(
  p_tenant text, p_name text, p_kind text, p_number int, p_text text, p_as_of timestamptz, p_state text, p_actor text, p_reason text)
returns casstore.transition_row language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_at record;
  l_name text;
  l_version casstore.versions;
  l_row casstore.transitions;
  l_before text;
  l_since timestamptz;
begin
  l_at := casstore.version_meant(l_tenant, p_name, p_kind, p_number, p_text, p_as_of);
  select a.name into l_name from casstore.artifacts a where a.id = l_at.artifact_id for no key update;
  l_at := casstore.version_meant(l_tenant, p_name, p_kind, p_number, p_text, p_as_of);   -- a head read under the lock
  select * into l_version from casstore.versions v where v.artifact_id = l_at.artifact_id and v.number = l_at.number;
  l_before := casstore.state_of(l_at.artifact_id, l_at.number);
  if l_before = p_state then
    select * into l_row from casstore.transitions t
     where t.artifact_id = l_at.artifact_id and t.number = l_at.number and t.state = p_state;
    return (p_state, l_row.before, l_row.actor, l_row.reason, l_row.at, l_at.number, l_name)::casstore.transition_row;
  elsif p_state = 'draft' or l_before = 'obsolete' then
    perform casstore.refuse('bad_transition',
      jsonb_build_object('name', l_name, 'number', l_at.number, 'before', l_before, 'state', p_state));
  end if;
  select coalesce(max(t.at), l_version.created_at) into l_since
    from casstore.transitions t where t.artifact_id = l_at.artifact_id and t.number = l_at.number;
  insert into casstore.transitions (artifact_id, number, state, tenant_id, seq, before, actor, reason, at)
  values (l_at.artifact_id, l_at.number, p_state, l_tenant, l_version.seq, l_before, p_actor, p_reason,
          greatest(clock_timestamp(), l_since + interval '1 microsecond'))
  returning * into l_row;
  insert into casstore.log (at, tenant_id, op, artifact_id, number, detail)
  values (l_row.at, l_tenant, p_state, l_at.artifact_id, l_at.number,
          jsonb_strip_nulls(jsonb_build_object('before', l_before, 'actor', p_actor, 'reason', p_reason)));
  return (p_state, l_before, p_actor, p_reason, l_row.at, l_at.number, l_name)::casstore.transition_row;
end $$;
comment on function casstore.set_state is 'Takes a version a step on in its lifecycle, under the artifact''s lock.';

create function casstore.transitions_of(p_tenant text, p_name text, p_kind text, p_number int, p_text text, p_as_of timestamptz)
returns setof casstore.transition_row language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_at record;
begin
  l_at := casstore.version_meant(l_tenant, p_name, p_kind, p_number, p_text, p_as_of);
  return query
    select t.state, t.before, t.actor, t.reason, t.at, t.number, a.name::text
      from casstore.transitions t join casstore.artifacts a on a.id = t.artifact_id
     where t.artifact_id = l_at.artifact_id and t.number = l_at.number order by t.state;
end $$;
comment on function casstore.transitions_of is 'Every step of a version''s lifecycle, in their order.';

-- A version is stale if one of its sources has a newer version that is accepted. `newer` of a link is the newest such.
-- Step by step, each version once: in a query that calls itself a version would come back by each length of a way to it.
create function casstore.lineage(
  p_tenant text, p_name text, p_kind text, p_number int, p_text text, p_as_of timestamptz, p_down boolean, p_depth int, p_limit int)
returns table (depth int, version casstore.version_details, sources uuid[], refs text[], roles text[], newer int[])
language plpgsql stable set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_custom_plan' as $$   -- the plan of a step goes by how many versions it begins with
#variable_conflict use_column
declare
  l_tenant int := casstore.enter(p_tenant);
  l_at record;
  l_artifacts bigint[]; l_numbers int[]; l_depths int[];   -- reached so far
  l_last_artifacts bigint[]; l_last_numbers int[];         -- by the last step
begin
  l_at := casstore.version_meant(l_tenant, p_name, p_kind, p_number, p_text, p_as_of);
  l_artifacts := array[l_at.artifact_id]; l_numbers := array[l_at.number]; l_depths := array[0];
  l_last_artifacts := l_artifacts; l_last_numbers := l_numbers;
  for i in 1 .. p_depth loop
    select array_agg(n.artifact_id), array_agg(n.number) into l_last_artifacts, l_last_numbers
      from (select x.artifact_id, x.number
              from (select s.artifact_id, s.number
                      from unnest(l_last_artifacts, l_last_numbers) f(artifact_id, number)
                      join casstore.sources s on s.source_artifact_id = f.artifact_id and s.source_number = f.number
                     where p_down and s.tenant_id = l_tenant
                       and not exists (select from casstore.trash t where t.artifact_id = s.artifact_id and t.number = s.number)
                    union
                    select s.source_artifact_id, s.source_number
                      from unnest(l_last_artifacts, l_last_numbers) f(artifact_id, number)
                      join casstore.sources s on s.artifact_id = f.artifact_id and s.number = f.number
                     where not p_down) x
             where not exists (select from unnest(l_artifacts, l_numbers) r(artifact_id, number)
                                where r.artifact_id = x.artifact_id and r.number = x.number)
             order by 1, 2 limit p_limit - cardinality(l_artifacts)) n;
    exit when l_last_artifacts is null;
    l_artifacts := l_artifacts || l_last_artifacts; l_numbers := l_numbers || l_last_numbers;
    l_depths := l_depths || array_fill(i, array[cardinality(l_last_artifacts)]);
  end loop;
  return query
    select n.depth, d, l.sources, l.refs, l.roles, l.newer
      from unnest(l_artifacts, l_numbers, l_depths) n(artifact_id, number, depth)
      join casstore.version_details d on d.artifact_id = n.artifact_id and d.number = n.number
      cross join lateral (
        select array_agg(v.id order by s.place) as sources, array_agg(x.name || '@' || v.number order by s.place) as refs,
               array_agg(s.role::text order by s.place) as roles, array_agg(a.number order by s.place) as newer
          from casstore.sources s
          join casstore.versions v on v.artifact_id = s.source_artifact_id and v.number = s.source_number
          join casstore.artifacts x on x.id = v.artifact_id
          left join lateral (
            select t.number from casstore.transitions t
             where t.artifact_id = v.artifact_id and t.number > v.number and t.state = 'accepted'
               and t.artifact_id <> n.artifact_id   -- a version made from an earlier one of its name succeeds it
               and not exists (select from casstore.trash g where g.artifact_id = t.artifact_id and g.number = t.number)
               and not exists (select from casstore.transitions o
                                where o.artifact_id = t.artifact_id and o.number = t.number and o.state = 'obsolete')
             order by t.number desc limit 1) a on true
         where s.artifact_id = n.artifact_id and s.number = n.number) l
     order by n.depth, d.seq;
end $$;
comment on function casstore.lineage is
  'A version and what it was made from (or, down, what was made from it), to a depth; each with its own sources, and of these the newest '
  'accepted version after them.';

-- Sharing: what a tenant's versions have in common.
create function casstore.same_pixels(p_tenant text, p_pixels bytea, p_before bigint, p_limit int)
returns setof casstore.version_details language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  return query
    select d.* from (
      select v.artifact_id, v.number, v.seq from casstore.versions v
       where v.tenant_id = l_tenant and (p_before is null or v.seq < p_before)
         and (v.artifact_id, v.number) in (
           select c.artifact_id, c.number from casstore.components c where c.tenant_id = l_tenant and c.pixels = p_pixels)
         and not exists (select from casstore.trash t where t.artifact_id = v.artifact_id and t.number = v.number)
       order by v.seq desc limit p_limit) h
      join casstore.version_details d on d.artifact_id = h.artifact_id and d.number = h.number
     order by h.seq desc;
end $$;
comment on function casstore.same_pixels is 'Versions that hold this picture, however it is encoded, newest first.';

create function casstore.shared(p_tenant text, p_limit int)
returns table (digest bytea, size_bytes bigint, media_type text, uses bigint, saved_bytes bigint, pixels bytea, names text[])
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare l_tenant int := casstore.enter(p_tenant);
begin
  return query
    select g.digest, g.size_bytes, g.media_type, g.uses, g.size_bytes * (g.uses - 1), g.pixels,
           (select array_agg(x.name order by x.name) from (
              select distinct a.name::text as name from casstore.components c join casstore.artifacts a on a.id = c.artifact_id
               where c.tenant_id = l_tenant and c.digest = g.digest order by 1 limit 4) x)
      from (select c.digest::bytea as digest, min(c.size_bytes) as size_bytes, min(c.media_type) as media_type, count(*) as uses,
                   (array_agg(c.pixels::bytea) filter (where c.pixels is not null))[1] as pixels
              from casstore.components c where c.tenant_id = l_tenant
             group by c.digest having count(*) > 1
             order by min(c.size_bytes) * (count(*) - 1) desc, c.digest limit p_limit) g
     order by 5 desc, 1;
end $$;
comment on function casstore.shared is 'Contents that several components of the tenant''s are, by the bytes this saves; with up to four of their names.';

-- The trash. Deleting hides; what it needs to be whole (numbers, sources, history) stays. Live versions have live sources: so a version
-- is not deleted while something live was made from it, and does not come back before its sources.
create type casstore.trash_row as (version_id uuid, name text, number int, type text, title text, at timestamptz, actor text, reason text);

create function casstore.trashed(p_artifact_id bigint, p_numbers int[]) returns setof casstore.trash_row
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select v.id, a.name::text, v.number, v.type::text, v.title, t.at, t.actor, t.reason
      from casstore.trash t
      join casstore.versions v on v.artifact_id = t.artifact_id and v.number = t.number
      join casstore.artifacts a on a.id = t.artifact_id
     where t.artifact_id = p_artifact_id and t.number = any (p_numbers) order by t.number;
end $$;
comment on function casstore.trashed is 'Those of these versions that are in the trash.';

-- The numbers that are meant, all of the artifact's or one, whether in the trash or not; the artifact is locked.
create function casstore.lock_versions(p_tenant int, p_name text, p_number int, p_id uuid, out artifact casstore.artifacts, out numbers int[])
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare l_number int := p_number;
begin
  if p_id is not null then
    select v.number into l_number from casstore.versions v where v.tenant_id = p_tenant and v.id = p_id;
    select a.* into artifact from casstore.artifacts a
     where a.id = (select v.artifact_id from casstore.versions v where v.tenant_id = p_tenant and v.id = p_id) for no key update;
    if l_number is null then perform casstore.refuse('version_not_found', jsonb_build_object('id', p_id)); end if;
  else
    artifact := casstore.artifact_named(p_tenant, p_name);
    select a.* into artifact from casstore.artifacts a where a.id = artifact.id for no key update;
  end if;
  select array_agg(l.number) into numbers
    from (select v.number from casstore.versions v
           where v.artifact_id = artifact.id and (l_number is null or v.number = l_number) order by v.number for update) l;
  if numbers is null then
    perform casstore.refuse('version_not_found',
      jsonb_build_object('name', artifact.name, 'head', artifact.latest, 'kind', 'number', 'number', l_number));
  end if;
end $$;
comment on function casstore.lock_versions is 'A version, or all of an artifact, locked against new dependants; or a refusal.';

create function casstore.delete_versions(p_tenant text, p_name text, p_number int, p_id uuid, p_actor text, p_reason text)
returns setof casstore.trash_row language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_locked record := casstore.lock_versions(l_tenant, p_name, p_number, p_id);
  l_artifact casstore.artifacts := l_locked.artifact;
  l_numbers int[] := l_locked.numbers;
  l_one boolean := p_number is not null or p_id is not null;
  l_pointers text[];
  l_dependants text[];
begin
  if l_one then   -- with the whole artifact go its own pointers
    select array_agg(c.pointer order by c.pointer) into l_pointers
      from (select distinct on (p.pointer) p.pointer::text, p.number from casstore.pointers p
             where p.artifact_id = l_artifact.id order by p.pointer, p.move desc) c
     where c.number = any (l_numbers)
       and not exists (select from casstore.trash t where t.artifact_id = l_artifact.id and t.number = c.number);
  end if;
  select array_agg(d.ref order by d.ref) into l_dependants
    from (select distinct a.name || '@' || s.number as ref
            from casstore.sources s join casstore.artifacts a on a.id = s.artifact_id
           where s.tenant_id = l_tenant and s.source_artifact_id = l_artifact.id and s.source_number = any (l_numbers)
             and not (s.artifact_id = l_artifact.id and s.number = any (l_numbers))
             and not exists (select from casstore.trash t where t.artifact_id = s.artifact_id and t.number = s.number)) d;
  if l_pointers is not null or l_dependants is not null then
    perform casstore.refuse('still_used', jsonb_build_object('name', l_artifact.name, 'number', case when l_one then l_numbers[1] end,
      'pointers', coalesce(l_pointers, '{}'), 'dependants', coalesce(l_dependants[1:100], '{}'),
      'count', coalesce(cardinality(l_pointers), 0) + coalesce(cardinality(l_dependants), 0)));
  end if;
  with gone as (
    insert into casstore.trash (artifact_id, number, tenant_id, at, actor, reason)
    select l_artifact.id, n.number, l_tenant, now(), p_actor, p_reason from unnest(l_numbers) as n(number)
    on conflict do nothing returning number, at)
  insert into casstore.log (at, tenant_id, op, artifact_id, number, detail)
  select g.at, l_tenant, 'delete', l_artifact.id, g.number, jsonb_strip_nulls(jsonb_build_object('actor', p_actor, 'reason', p_reason)) from gone g;
  perform casstore.settle_latest(l_artifact.id);
  return query select * from casstore.trashed(l_artifact.id, l_numbers);
end $$;
comment on function casstore.delete_versions is
  'Puts a version, or all of an artifact, into the trash, unless something points at it or was made from it. What is there already stays.';

create function casstore.undelete_versions(p_tenant text, p_name text, p_number int, p_id uuid, p_actor text, p_reason text)
returns setof casstore.version_details language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_locked record := casstore.lock_versions(l_tenant, p_name, p_number, p_id);
  l_artifact casstore.artifacts := l_locked.artifact;
  l_numbers int[] := l_locked.numbers;
  l_sources text[];
begin
  -- Who deletes a source locks its row: it waits for this, or this for it.
  perform from casstore.versions v
     join casstore.sources s on s.source_artifact_id = v.artifact_id and s.source_number = v.number
    where s.artifact_id = l_artifact.id and s.number = any (l_numbers) order by v.id for key share of v;
  select array_agg(d.ref order by d.ref) into l_sources
    from (select distinct a.name || '@' || s.source_number as ref
            from casstore.sources s
            join casstore.trash t on t.artifact_id = s.source_artifact_id and t.number = s.source_number
            join casstore.artifacts a on a.id = s.source_artifact_id
           where s.artifact_id = l_artifact.id and s.number = any (l_numbers)
             and not (s.source_artifact_id = l_artifact.id and s.source_number = any (l_numbers))) d;
  if l_sources is not null then
    perform casstore.refuse('source_deleted', jsonb_build_object('name', l_artifact.name, 'sources', l_sources));
  end if;
  with back as (
    delete from casstore.trash t where t.artifact_id = l_artifact.id and t.number = any (l_numbers) returning t.number)
  insert into casstore.log (tenant_id, op, artifact_id, number, detail)
  select l_tenant, 'undelete', l_artifact.id, b.number, jsonb_strip_nulls(jsonb_build_object('actor', p_actor, 'reason', p_reason)) from back b;
  perform casstore.settle_latest(l_artifact.id);
  return query
    select d.* from casstore.version_details d where d.artifact_id = l_artifact.id and d.number = any (l_numbers) order by d.number;
end $$;
comment on function casstore.undelete_versions is
  'Takes a version, or all of an artifact, back from the trash, unless something it was made from is still there.';

create function casstore.settle_latest(p_artifact_id bigint) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  update casstore.artifacts a
     set latest = coalesce((select max(v.number) from casstore.versions v
                             where v.artifact_id = a.id
                               and not exists (select from casstore.trash t where t.artifact_id = v.artifact_id and t.number = v.number)), 0)
   where a.id = p_artifact_id;
end $$;
comment on function casstore.settle_latest is 'Sets an artifact''s latest version to the newest that is not in the trash.';

create function casstore.trash_of(p_tenant text, p_at timestamptz, p_artifact_id bigint, p_number int, p_limit int)
returns table (entry casstore.trash_row, artifact_id bigint) language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare l_tenant int := casstore.enter(p_tenant);
begin
  return query
    select (v.id, a.name::text, v.number, v.type::text, v.title, t.at, t.actor, t.reason)::casstore.trash_row, t.artifact_id
      from casstore.trash t
      join casstore.versions v on v.artifact_id = t.artifact_id and v.number = t.number
      join casstore.artifacts a on a.id = t.artifact_id
     where t.tenant_id = l_tenant
       and (p_at is null or (t.at, t.artifact_id, t.number) < (p_at, p_artifact_id, p_number))
     order by t.at desc, t.artifact_id desc, t.number desc limit p_limit;
end $$;
comment on function casstore.trash_of is 'What is in the trash, the last deleted first.';

revoke all on all functions in schema casstore from public;
