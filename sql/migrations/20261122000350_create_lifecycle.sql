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
        -- The name apart: joined, it may lead to a version by way of all of its artifact's.
        select array_agg(v.id order by s.place) as sources,
               array_agg((select x.name from casstore.artifacts x where x.id = s.source_artifact_id) || '@' || s.source_number
                         order by s.place) as refs,
               array_agg(s.role::text order by s.place) as roles, array_agg(a.number order by s.place) as newer
          from casstore.sources s
          join casstore.versions v on v.artifact_id = s.source_artifact_id and v.number = s.source_number
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
-- is not deleted while something live was made from it, and does not come back before its sources. Purging takes the components of
-- what is in the trash away, for ever. What can come back has sources that can: so a version is not purged before what was made from it.
create type casstore.trash_row as (
  version_id uuid, name text, number int, type text, title text, at timestamptz, actor text, reason text,
  manifest bytea, purged_at timestamptz, purged_by text);

create function casstore.trashed(p_artifact_id bigint, p_numbers int[]) returns setof casstore.trash_row
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select v.id, a.name::text, v.number, v.type::text, v.title, t.at, t.actor, t.reason, v.manifest::bytea, t.purged_at, t.purged_by
      from casstore.trash t
      join casstore.versions v on v.artifact_id = t.artifact_id and v.number = t.number
      join casstore.artifacts a on a.id = t.artifact_id
     where t.artifact_id = p_artifact_id and t.number = any (p_numbers) order by t.number;
end $$;
comment on function casstore.trashed is 'Those of these versions that are in the trash.';

create function casstore.versions_named(
  p_tenant int, p_name text, p_number int, p_id uuid, out artifact casstore.artifacts, out numbers int[])
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare l_number int := p_number;
begin
  if p_id is not null then
    select v.number into l_number from casstore.versions v where v.tenant_id = p_tenant and v.id = p_id;
    if l_number is null then perform casstore.refuse('version_not_found', jsonb_build_object('id', p_id)); end if;
    select a.* into artifact from casstore.artifacts a
     where a.id = (select v.artifact_id from casstore.versions v where v.tenant_id = p_tenant and v.id = p_id);
  else
    artifact := casstore.artifact_named(p_tenant, p_name);
  end if;
  select array_agg(v.number order by v.number) into numbers
    from casstore.versions v where v.artifact_id = artifact.id and (l_number is null or v.number = l_number);
  if numbers is null then
    perform casstore.refuse('version_not_found',
      jsonb_build_object('name', artifact.name, 'head', artifact.latest, 'kind', 'number', 'number', l_number));
  end if;
end $$;
comment on function casstore.versions_named is 'The numbers that are meant, one or all of an artifact''s, whether in the trash or not; or a refusal.';

create function casstore.lock_versions(p_tenant int, p_name text, p_number int, p_id uuid, out artifact casstore.artifacts, out numbers int[])
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  l_meant record := casstore.versions_named(p_tenant, p_name, p_number, p_id);
  l_artifact casstore.artifacts := l_meant.artifact;
begin
  perform casstore.share_holds(p_tenant);
  perform from casstore.artifacts a where a.id = l_artifact.id for no key update;
  l_meant := casstore.versions_named(p_tenant, p_name, p_number, p_id);   -- as they are under the lock
  artifact := l_meant.artifact;
  numbers := l_meant.numbers;
  perform from casstore.versions v where v.artifact_id = l_artifact.id and v.number = any (l_meant.numbers) order by v.number for update;
end $$;
comment on function casstore.lock_versions is 'A version, or all of an artifact, locked against new dependants; or a refusal.';

create function casstore.uses_of(p_artifact casstore.artifacts, p_numbers int[], p_one boolean, p_purge boolean) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  l_pointers text[];
  l_dependants text[];
  l_holds text[];
begin
  if p_one and not p_purge then   -- with the whole artifact go its own pointers
    select array_agg(c.pointer order by c.pointer) into l_pointers
      from (select distinct on (p.pointer) p.pointer::text, p.number from casstore.pointers p
             where p.artifact_id = p_artifact.id order by p.pointer, p.move desc) c
     where c.number = any (p_numbers)
       and not exists (select from casstore.trash t where t.artifact_id = p_artifact.id and t.number = c.number);
  end if;
  select array_agg(d.ref order by d.ref) into l_dependants
    from (select distinct a.name || '@' || s.number as ref
            from casstore.sources s join casstore.artifacts a on a.id = s.artifact_id
           where s.tenant_id = p_artifact.tenant_id and s.source_artifact_id = p_artifact.id and s.source_number = any (p_numbers)
             and not (s.artifact_id = p_artifact.id and s.number = any (p_numbers))
             and not exists (select from casstore.trash t where t.artifact_id = s.artifact_id and t.number = s.number
                                and (not p_purge or t.purged_at is not null))) d;
  l_holds := casstore.holds_on(p_artifact.tenant_id, p_artifact.id, case when p_purge then p_numbers else array(
    select n.number from unnest(p_numbers) as n(number)
     where not exists (select from casstore.trash t where t.artifact_id = p_artifact.id and t.number = n.number)) end);
  if l_pointers is null and l_dependants is null and l_holds is null then return null; end if;
  return jsonb_build_object('name', p_artifact.name, 'number', case when p_one then p_numbers[1] end,
    'holds', coalesce(l_holds[1:100], '{}'), 'pointers', coalesce(l_pointers, '{}'), 'dependants', coalesce(l_dependants[1:100], '{}'),
    'count', coalesce(cardinality(l_holds), 0) + coalesce(cardinality(l_pointers), 0) + coalesce(cardinality(l_dependants), 0));
end $$;
comment on function casstore.uses_of is
  'What keeps versions from being deleted (what points at them, or is live and was made from them) or purged (what was made from them '
  'and can still come back), and holds from both; null when nothing does.';

create function casstore.put_into_trash(
  p_artifact casstore.artifacts, p_numbers int[], p_one boolean, p_actor text, p_reason text, p_rule text default null) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  l_uses jsonb := casstore.uses_of(p_artifact, p_numbers, p_one, false);
  l_at timestamptz;
begin
  if l_uses is not null then perform casstore.refuse('still_used', l_uses); end if;
  -- Later than that of whatever was made from it, also where the clock went back: the trash is emptied by age. By their numbers, so that
  -- two calls have two instants.
  select greatest(clock_timestamp(), max(t.at) + p_numbers[1] * interval '1 microsecond') into l_at
    from casstore.sources s join casstore.trash t on t.artifact_id = s.artifact_id and t.number = s.number
   where s.tenant_id = p_artifact.tenant_id and s.source_artifact_id = p_artifact.id and s.source_number = any (p_numbers);
  with gone as (
    insert into casstore.trash (artifact_id, number, tenant_id, at, actor, reason, rule)
    select p_artifact.id, n.number, p_artifact.tenant_id, l_at, p_actor, p_reason, p_rule from unnest(p_numbers) as n(number)
    on conflict do nothing returning number, at)
  insert into casstore.log (at, tenant_id, op, artifact_id, number, detail)
  select g.at, p_artifact.tenant_id, 'delete', p_artifact.id, g.number,
         jsonb_strip_nulls(jsonb_build_object('actor', p_actor, 'reason', p_reason, 'rule', p_rule)) from gone g;
  perform casstore.settle_latest(p_artifact.id);
end $$;
comment on function casstore.put_into_trash is
  'Puts locked versions into the trash, unless something points at them (one: where not all of the artifact goes) or was made from them. '
  'What is there already stays; what goes has one instant.';

create function casstore.delete_versions(p_tenant text, p_name text, p_number int, p_id uuid, p_actor text, p_reason text)
returns setof casstore.trash_row language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_locked record := casstore.lock_versions(l_tenant, p_name, p_number, p_id);
  l_artifact casstore.artifacts := l_locked.artifact;
begin
  perform casstore.put_into_trash(l_artifact, l_locked.numbers, p_number is not null or p_id is not null, p_actor, p_reason);
  return query select * from casstore.trashed(l_artifact.id, l_locked.numbers);
end $$;
comment on function casstore.delete_versions is
  'Puts a version, or all of an artifact, into the trash, unless it is held, pointed at, or what something was made from. What is there '
  'already stays.';

create function casstore.take_from_trash(p_artifact casstore.artifacts, p_numbers int[], p_actor text, p_reason text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  l_sources text[];
  l_at timestamptz := clock_timestamp();
begin
  -- Who deletes a source locks its row: it waits for this, or this for it.
  perform from casstore.versions v
     join casstore.sources s on s.source_artifact_id = v.artifact_id and s.source_number = v.number
    where s.artifact_id = p_artifact.id and s.number = any (p_numbers) order by v.id for key share of v;
  select array_agg(d.ref order by d.ref) into l_sources
    from (select distinct a.name || '@' || s.source_number as ref
            from casstore.sources s
            join casstore.trash t on t.artifact_id = s.source_artifact_id and t.number = s.source_number
            join casstore.artifacts a on a.id = s.source_artifact_id
           where s.artifact_id = p_artifact.id and s.number = any (p_numbers)
             and not (s.source_artifact_id = p_artifact.id and s.source_number = any (p_numbers))) d;
  if l_sources is not null then
    perform casstore.refuse('source_deleted', jsonb_build_object('name', p_artifact.name, 'sources', l_sources));
  end if;
  with back as (
    delete from casstore.trash t where t.artifact_id = p_artifact.id and t.number = any (p_numbers) returning t.number)
  insert into casstore.log (at, tenant_id, op, artifact_id, number, detail)
  select l_at, p_artifact.tenant_id, 'undelete', p_artifact.id, b.number,
         jsonb_strip_nulls(jsonb_build_object('actor', p_actor, 'reason', p_reason)) from back b;
  perform casstore.settle_latest(p_artifact.id);
end $$;
comment on function casstore.take_from_trash is
  'Takes locked versions from the trash, unless something they were made from is still there. What comes back has one instant in the log.';

create function casstore.undelete_versions(p_tenant text, p_name text, p_number int, p_id uuid, p_actor text, p_reason text)
returns setof casstore.version_details language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_locked record := casstore.lock_versions(l_tenant, p_name, p_number, p_id);
  l_artifact casstore.artifacts := l_locked.artifact;
  l_numbers int[];
begin
  select array_agg(n.number) into l_numbers from unnest(l_locked.numbers) as n(number)
   where not exists (select from casstore.trash t where t.artifact_id = l_artifact.id and t.number = n.number and t.purged_at is not null);
  if l_numbers is null then
    perform casstore.refuse('version_purged', jsonb_build_object('name', l_artifact.name,
      'number', case when p_number is not null or p_id is not null then l_locked.numbers[1] end));
  end if;
  perform casstore.take_from_trash(l_artifact, l_numbers, p_actor, p_reason);
  return query
    select d.* from casstore.version_details d where d.artifact_id = l_artifact.id and d.number = any (l_numbers) order by d.number;
end $$;
comment on function casstore.undelete_versions is
  'Takes a version, or all of an artifact that can come back, from the trash, unless something it was made from is still there.';

-- The numbers among these that a purge takes: what is in the trash, and was not purged before.
create function casstore.purgeable(p_artifact casstore.artifacts, p_numbers int[], p_one boolean) returns int[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if not exists (select from casstore.trash t where t.artifact_id = p_artifact.id and t.number = any (p_numbers)) then
    perform casstore.refuse('not_deleted',
      jsonb_build_object('name', p_artifact.name, 'number', case when p_one then p_numbers[1] end));
  end if;
  return coalesce((select array_agg(t.number order by t.number) from casstore.trash t
                    where t.artifact_id = p_artifact.id and t.number = any (p_numbers) and t.purged_at is null), '{}');
end $$;
comment on function casstore.purgeable is 'Those of these versions that are in the trash with their components; a refusal when none is in the trash.';

create function casstore.purge_rows(p_tenant int, p_artifacts bigint[], p_numbers int[], p_actor text, p_reason text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare l_at timestamptz := clock_timestamp();   -- later than whatever it waited for, such as the release of a hold
begin
  with gone as (
    delete from casstore.components c using unnest(p_artifacts, p_numbers) as p(artifact_id, number)
     where c.artifact_id = p.artifact_id and c.number = p.number returning c.digest)
  insert into casstore.dereferenced (digest) select distinct g.digest from gone g;
  update casstore.trash t set purged_at = l_at, purged_by = p_actor
    from unnest(p_artifacts, p_numbers) as p(artifact_id, number)
   where t.artifact_id = p.artifact_id and t.number = p.number;
  insert into casstore.log (at, tenant_id, op, artifact_id, number, detail)
  select l_at, p_tenant, 'purge', p.artifact_id, p.number, jsonb_strip_nulls(jsonb_build_object('actor', p_actor, 'reason', p_reason))
    from unnest(p_artifacts, p_numbers) as p(artifact_id, number);
end $$;
comment on function casstore.purge_rows is 'Takes the components of these versions away, and tells the collector. Their artifacts are locked.';

create function casstore.purge_versions(p_tenant text, p_name text, p_number int, p_id uuid, p_actor text, p_reason text)
returns setof casstore.trash_row language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_one boolean := p_number is not null or p_id is not null;
  l_locked record := casstore.lock_versions(l_tenant, p_name, p_number, p_id);
  l_artifact casstore.artifacts := l_locked.artifact;
  l_numbers int[] := casstore.purgeable(l_artifact, l_locked.numbers, l_one);
  l_uses jsonb := casstore.uses_of(l_artifact, l_numbers, l_one, true);
begin
  if l_uses is not null then perform casstore.refuse('still_used', l_uses); end if;
  perform casstore.purge_rows(l_tenant, array_fill(l_artifact.id, array[cardinality(l_numbers)]), l_numbers, p_actor, p_reason);
  return query select * from casstore.trashed(l_artifact.id, l_locked.numbers);
end $$;
comment on function casstore.purge_versions is
  'Purges a version, or what of an artifact is in the trash, unless it is held, or something that can come back was made from it. Again '
  'does no harm.';

-- The oldest first: what was made from a version was deleted before it or, of the same artifact, with it.
create function casstore.empty_trash(p_tenant text, p_age interval, p_actor text, p_reason text, p_limit int) returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_locked bigint[];
  l_artifacts bigint[];
  l_numbers int[];
begin
  perform casstore.share_holds(l_tenant);
  select array_agg(distinct o.artifact_id) into l_locked
    from (select t.artifact_id from casstore.trash t
           where t.tenant_id = l_tenant and t.purged_at is null and t.at <= now() - p_age
             and (t.artifact_id, t.number) not in (select k.artifact_id, k.number from casstore.kept_in_trash(l_tenant) k)
           order by t.at limit p_limit) o;
  -- Who deletes or takes back locks the artifact first; many are locked in the order of their names.
  perform from casstore.artifacts a where a.id = any (l_locked) order by a.folded for no key update;
  select array_agg(o.artifact_id), array_agg(o.number) into l_artifacts, l_numbers
    from (select t.artifact_id, t.number from casstore.trash t
           where t.artifact_id = any (l_locked) and t.purged_at is null and t.at <= now() - p_age
             and (t.artifact_id, t.number) not in (select k.artifact_id, k.number from casstore.kept_in_trash(l_tenant) k)
           order by t.at, t.artifact_id, t.number desc limit p_limit) o;
  if l_numbers is null then return 0; end if;
  perform casstore.purge_rows(l_tenant, l_artifacts, l_numbers, p_actor, p_reason);
  return cardinality(l_numbers);
end $$;
comment on function casstore.empty_trash is
  'Purges what was deleted so long ago, up to a number of versions, and answers how many. Zero: nothing is left but what holds keep.';

-- What a tenant may know: bytes that no other version of its own holds. Whether another tenant holds them is not said.
create function casstore.explain(
  p_tenant text, p_purge boolean, p_name text, p_number int, p_id uuid,
  out name text, out numbers int[], out uses jsonb, out blobs bigint, out bytes bigint)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  l_tenant int := casstore.enter(p_tenant);
  l_one boolean := p_number is not null or p_id is not null;
  l_meant record := casstore.versions_named(l_tenant, p_name, p_number, p_id);
  l_artifact casstore.artifacts := l_meant.artifact;
begin
  name := l_artifact.name;
  if p_purge then
    numbers := casstore.purgeable(l_artifact, l_meant.numbers, l_one);
  else
    numbers := array(select n.number from unnest(l_meant.numbers) as n(number)
                      where not exists (select from casstore.trash t where t.artifact_id = l_artifact.id and t.number = n.number)
                      order by n.number);
  end if;
  uses := casstore.uses_of(l_artifact, case when p_purge then numbers else l_meant.numbers end, l_one, p_purge);
  select count(*), coalesce(sum(d.size_bytes), 0) into blobs, bytes
    from (select distinct on (c.digest) c.digest, c.size_bytes from casstore.components c
           where c.artifact_id = l_artifact.id and c.number = any (numbers)) d
   where not exists (select from casstore.components o
                      where o.tenant_id = l_tenant and o.digest = d.digest and not (o.artifact_id = l_artifact.id and o.number = any (numbers)));
end $$;
comment on function casstore.explain is
  'What deleting or purging would do now: the versions that it takes, what keeps them, and the contents that no other version holds.';

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

create function casstore.trash_of(p_tenant text, p_purged boolean, p_at timestamptz, p_artifact_id bigint, p_number int, p_limit int)
returns table (entry casstore.trash_row, artifact_id bigint) language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare l_tenant int := casstore.enter(p_tenant);
begin
  return query execute
    'select (v.id, a.name::text, v.number, v.type::text, v.title, t.at, t.actor, t.reason, v.manifest, t.purged_at, t.purged_by)'
    || '::casstore.trash_row, t.artifact_id'
    || '  from casstore.trash t'
    || '  join casstore.versions v on v.artifact_id = t.artifact_id and v.number = t.number'
    || '  join casstore.artifacts a on a.id = t.artifact_id'
    || ' where t.tenant_id = $1 and t.purged_at is ' || case when p_purged then 'not null' else 'null' end
    || '   and ($2 is null or (t.at, t.artifact_id, t.number) < ($2, $3, $4))'
    || ' order by t.at desc, t.artifact_id desc, t.number desc limit $5'
    using l_tenant, p_at, p_artifact_id, p_number, p_limit;
end $$;
comment on function casstore.trash_of is 'What is in the trash and can come back, or what was purged; the last deleted first.';

revoke all on all functions in schema casstore from public;
