-- What becomes of a version once it is there, and what it came from: the lifecycle, and lineage.

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
  insert into casstore.transitions (artifact_id, number, state, tenant_id, seq, before, actor, reason, at)
  values (l_at.artifact_id, l_at.number, p_state, l_tenant, l_version.seq, l_before, p_actor, p_reason, clock_timestamp())
  returning * into l_row;
  insert into casstore.log (tenant_id, op, artifact_id, number, detail)
  values (l_tenant, p_state, l_at.artifact_id, l_at.number,
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
create function casstore.newer_accepted(p_artifact_id bigint, p_number int) returns int
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return (select v.number from casstore.versions v
           where v.artifact_id = p_artifact_id and v.number > p_number
             and casstore.state_of(v.artifact_id, v.number) = 'accepted'
           order by v.number desc limit 1);
end $$;
comment on function casstore.newer_accepted is 'The newest accepted version after this one; null when there is none.';

-- The depth of a version is the length of the shortest way to it.
create function casstore.lineage(
  p_tenant text, p_name text, p_kind text, p_number int, p_text text, p_as_of timestamptz, p_down boolean, p_depth int, p_limit int)
returns table (depth int, version casstore.version_details, sources uuid[], roles text[], newer int[])
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  l_tenant int := casstore.enter(p_tenant);
  l_at record;
begin
  l_at := casstore.version_meant(l_tenant, p_name, p_kind, p_number, p_text, p_as_of);
  return query execute
    'with recursive reached (artifact_id, number, depth) as ('
    || ' select $1, $2, 0 union select '
    || case when p_down
         then 's.artifact_id, s.number, r.depth + 1 from reached r join casstore.sources s'
           || ' on s.tenant_id = $3 and s.source_artifact_id = r.artifact_id and s.source_number = r.number'
         else 's.source_artifact_id, s.source_number, r.depth + 1 from reached r join casstore.sources s'
           || ' on s.artifact_id = r.artifact_id and s.number = r.number' end
    || ' where r.depth < $4),'
    || ' nearest as (select r.artifact_id, r.number, min(r.depth) as depth from reached r group by r.artifact_id, r.number'
    || '              order by 3, 1, 2 limit $5)'
    || ' select n.depth, d, l.sources, l.roles, l.newer from nearest n'
    || ' join casstore.version_details d on d.artifact_id = n.artifact_id and d.number = n.number'
    || ' cross join lateral ('
    || '   select array_agg(v.id order by s.place) as sources, array_agg(s.role::text order by s.place) as roles,'
    || '          array_agg(casstore.newer_accepted(s.source_artifact_id, s.source_number) order by s.place) as newer'
    || '     from casstore.sources s join casstore.versions v on v.artifact_id = s.source_artifact_id and v.number = s.source_number'
    || '    where s.artifact_id = n.artifact_id and s.number = n.number) l'
    || ' order by n.depth, d.seq'
    using l_at.artifact_id, l_at.number, l_tenant, p_depth, p_limit;
end $$;
comment on function casstore.lineage is
  'A version and what it was made from (or, down, what was made from it), to a depth; each with its own sources, and of these the newest '
  'accepted version after them.';

-- Sharing: what a tenant''s versions have in common.
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
                   (array_agg(c.pixels::bytea))[1] as pixels
              from casstore.components c where c.tenant_id = l_tenant
             group by c.digest having count(*) > 1
             order by min(c.size_bytes) * (count(*) - 1) desc, c.digest limit p_limit) g
     order by 5 desc, 1;
end $$;
comment on function casstore.shared is 'Contents that several components of the tenant''s are, by the bytes this saves; with up to four of their names.';

revoke all on all functions in schema casstore from public;
