-- Reading and pointing. Reads are functions, so that their plans stay cached in the server behind a transaction pooler.
-- A selector arrives parsed: kind (latest, number, pointer, digest), a number or a text, and perhaps an instant.
--
-- They run with the rights of their caller. Conditions that have to find rows are therefore comparisons of a column with a value:
-- under row-level security anything else (a function or arithmetic on columns) is looked at last, row by row.

-- One shape for every version that is read. A view, so that each function below plans it into its own statement.
create view casstore.version_details with (security_invoker = true) as
  select v.id as version_id, a.name::text as name, v.number, v.type::text as type, v.title, v.labels,
         v.manifest::bytea as manifest, v.created_at, c.roles, c.digests, c.sizes, c.media_types, v.relations,
         v.metadata, t.state, c.facts, v.seq, v.artifact_id, v.tenant_id, e.erased, v.actor
    from casstore.versions v
    join casstore.artifacts a on a.id = v.artifact_id
    cross join lateral (
      select coalesce(array_agg(x.role::text order by x.role), '{}') as roles,
             coalesce(array_agg(x.digest::bytea order by x.role), '{}') as digests,
             coalesce(array_agg(x.size_bytes order by x.role), '{}') as sizes,
             coalesce(array_agg(x.media_type order by x.role), '{}') as media_types,
             jsonb_object_agg(x.role, jsonb_build_array(encode(x.pixels, 'hex'), x.width, x.height, encode(x.meaning, 'hex'), encode(x.layout, 'hex')))
               filter (where x.pixels is not null or x.meaning is not null) as facts
        from casstore.components x where x.artifact_id = v.artifact_id and x.number = v.number) c
    cross join lateral (
      select coalesce(max(x.state), 'draft') as state
        from casstore.transitions x where x.artifact_id = v.artifact_id and x.number = v.number) t
    cross join lateral (
      select array_agg(x.role::text order by x.role) as erased
        from casstore.erased_components x where x.artifact_id = v.artifact_id and x.number = v.number) e;
comment on view casstore.version_details is 'Versions with the name of their artifact and their components, those in the order of roles.';
comment on column casstore.version_details.version_id is 'The version''s id.';
comment on column casstore.version_details.name is 'The artifact''s name.';
comment on column casstore.version_details.number is 'The version''s number.';
comment on column casstore.version_details.type is 'The artifact''s type.';
comment on column casstore.version_details.title is 'Free text for people.';
comment on column casstore.version_details.labels is 'Key/value pairs; null when there are none.';
comment on column casstore.version_details.manifest is 'Digest of the manifest.';
comment on column casstore.version_details.created_at is 'When it was made.';
comment on column casstore.version_details.roles is 'Of the components, sorted; none when it was purged.';
comment on column casstore.version_details.digests is 'Of the components, in the order of roles.';
comment on column casstore.version_details.sizes is 'In bytes, in the order of roles.';
comment on column casstore.version_details.media_types is 'In the order of roles.';
comment on column casstore.version_details.relations is 'Between components, "source name target" each; null when there are none.';
comment on column casstore.version_details.metadata is 'A JSON object; null when there is none.';
comment on column casstore.version_details.state is 'Of the lifecycle, now: draft, accepted or obsolete.';
comment on column casstore.version_details.facts is
  'Of components that were looked into, by role: [pixel digest, width, height, semantic digest, that of the layout], in hex; null when there are none.';
comment on column casstore.version_details.seq is 'Order of all versions.';
comment on column casstore.version_details.artifact_id is 'The artifact.';
comment on column casstore.version_details.tenant_id is 'The tenant it belongs to.';
comment on column casstore.version_details.erased is 'Roles of components whose bytes were erased, sorted; null when there are none.';
comment on column casstore.version_details.actor is 'Who put it; null where nobody was named.';

create function casstore.artifact_named(p_tenant int, p_name text) returns casstore.artifacts
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_artifact casstore.artifacts;
begin
  select a.* into l_artifact from casstore.artifacts a where a.tenant_id = p_tenant and a.folded = lower(p_name);
  if l_artifact.name is distinct from p_name then
    perform casstore.refuse('artifact_not_found', jsonb_build_object('name', p_name, 'similar', l_artifact.name));
  end if;
  return l_artifact;
end $$;
comment on function casstore.artifact_named is 'The artifact of exactly this name, or a refusal that names one differing in case.';

create function casstore.refuse_deleted(p_artifact_id bigint, p_number int) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  perform casstore.refuse('version_deleted', jsonb_strip_nulls(jsonb_build_object(
    'name', (select a.name from casstore.artifacts a where a.id = p_artifact_id), 'number', p_number,
    'purged', not exists (select from casstore.trash t where t.artifact_id = p_artifact_id and t.purged_at is null
                             and (p_number is null or t.number = p_number)))));
end $$;
comment on function casstore.refuse_deleted is
  'Ends the call, for a version (or, without a number, every version) that is in the trash; says whether it can come back.';

create function casstore.number_of(p_artifact casstore.artifacts, p_kind text, p_number int, p_text text, p_as_of timestamptz)
returns int language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_number int; l_count int;
begin
  if p_kind = 'latest' and p_as_of is null then
    if p_artifact.latest = 0 then perform casstore.refuse_deleted(p_artifact.id, null); end if;
    return p_artifact.latest;
  elsif p_kind = 'latest' then
    select v.number into l_number from casstore.versions v
     where v.artifact_id = p_artifact.id and v.created_at <= p_as_of
       and not exists (select from casstore.trash t where t.artifact_id = v.artifact_id and t.number = v.number)
     order by v.number desc limit 1;
  elsif p_kind = 'number' then
    select v.number into l_number from casstore.versions v where v.artifact_id = p_artifact.id and v.number = p_number;
  elsif p_kind = 'pointer' then
    select p.number into l_number from casstore.pointers p
     where p.artifact_id = p_artifact.id and p.pointer = p_text and (p_as_of is null or p.moved_at <= p_as_of)
     order by p.move desc limit 1;
  elsif p_kind = 'digest' then
    select coalesce(max(v.number) filter (where t.number is null), max(v.number)), count(distinct v.manifest) filter (where t.number is null)
      into l_number, l_count
      from casstore.versions v left join casstore.trash t on t.artifact_id = v.artifact_id and t.number = v.number
     where v.artifact_id = p_artifact.id and v.tenant_id = p_artifact.tenant_id
       and v.manifest between decode(rpad(p_text, 64, '0'), 'hex') and decode(rpad(p_text, 64, 'f'), 'hex');
    if l_count > 1 then
      perform casstore.refuse('ambiguous_digest', jsonb_build_object('name', p_artifact.name, 'prefix', p_text, 'matches', l_count));
    end if;
  end if;
  if l_number is null then
    perform casstore.refuse(case p_kind when 'pointer' then 'pointer_not_found' else 'version_not_found' end,
      jsonb_build_object('name', p_artifact.name, 'head', p_artifact.head, 'kind', p_kind, 'number', p_number, 'text', p_text,
                         'as_of', p_as_of));
  elsif exists (select from casstore.trash t where t.artifact_id = p_artifact.id and t.number = l_number) then
    perform casstore.refuse_deleted(p_artifact.id, l_number);
  end if;
  return l_number;
end $$;
comment on function casstore.number_of is 'The version a selector means, or a refusal.';

create function casstore.resolve(p_tenant text, p_name text, p_kind text, p_number int, p_text text, p_as_of timestamptz)
returns setof casstore.version_details language plpgsql stable set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off as $$   -- as in put_versions
declare
  l_tenant int := casstore.enter(p_tenant);
  l_artifact casstore.artifacts;
  l_number int;
begin
  if p_kind = 'number' or p_kind = 'latest' and p_as_of is null then
    return query
      select d.* from casstore.artifacts a
        join casstore.version_details d on d.artifact_id = a.id and d.number = case p_kind when 'number' then p_number else a.latest end
       where a.tenant_id = l_tenant and a.folded = lower(p_name) and a.name = p_name
         and not exists (select from casstore.trash t where p_kind = 'number' and t.artifact_id = a.id and t.number = p_number);
    if found then return; end if;
  end if;
  l_artifact := casstore.artifact_named(l_tenant, p_name);
  l_number := casstore.number_of(l_artifact, p_kind, p_number, p_text, p_as_of);
  return query select d.* from casstore.version_details d where d.artifact_id = l_artifact.id and d.number = l_number;
end $$;
comment on function casstore.resolve is 'The one version a reference means.';

create function casstore.resolve_id(p_tenant text, p_id uuid)
returns setof casstore.version_details language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_row casstore.version_details;
begin
  select d.* into l_row from casstore.version_details d where d.tenant_id = l_tenant and d.version_id = p_id;
  if l_row.version_id is null then
    perform casstore.refuse('version_not_found', jsonb_build_object('id', p_id));
  elsif exists (select from casstore.trash t where t.artifact_id = l_row.artifact_id and t.number = l_row.number) then
    perform casstore.refuse_deleted(l_row.artifact_id, l_row.number);
  end if;
  return next l_row;
end $$;
comment on function casstore.resolve_id is 'The version of this id.';

create function casstore.resolve_many(
  p_tenant text, p_names text[], p_kinds text[], p_numbers bigint[], p_texts text[], p_as_ofs timestamptz[],
  out refused text, out refusal jsonb, out version casstore.version_details)
returns setof record language plpgsql stable set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off as $$   -- as in put_versions
declare
  l_tenant int := casstore.enter(p_tenant);
begin
  for i in 1 .. cardinality(p_names) loop
    refused := null; refusal := null; version := null;
    if p_kinds[i] = 'number' or p_kinds[i] = 'latest' and p_as_ofs[i] is null then   -- without what a handler of errors costs
      select d.* into version from casstore.artifacts a
        join casstore.version_details d on d.artifact_id = a.id
                                       and d.number = case p_kinds[i] when 'number' then p_numbers[i]::int else a.latest end
       where a.tenant_id = l_tenant and a.folded = lower(p_names[i]) and a.name = p_names[i]
         and not exists (select from casstore.trash t where p_kinds[i] = 'number' and t.artifact_id = a.id and t.number = p_numbers[i]);
    end if;
    if version.version_id is null then
      begin
        if p_kinds[i] = 'id' then
          select d.* into version from casstore.resolve_id(p_tenant, p_texts[i]::uuid) d;
        else
          select d.* into version from casstore.resolve(p_tenant, p_names[i], p_kinds[i], p_numbers[i]::int, p_texts[i], p_as_ofs[i]) d;
        end if;
      exception when sqlstate 'CS000' then
        get stacked diagnostics refused = constraint_name, refusal = pg_exception_detail;
      end;
    end if;
    return next;
  end loop;
end $$;
comment on function casstore.resolve_many is
  'What resolve and resolve_id (kind "id", the id in the texts) answer of each reference, in their order: a version, or a refusal by its '
  'code and what it is about, which concerns none of the others.';

create function casstore.history(p_tenant text, p_name text, p_before int, p_limit int)
returns setof casstore.version_details language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_artifact casstore.artifacts := casstore.artifact_named(casstore.enter(p_tenant), p_name);
begin
  if l_artifact.latest = 0 then perform casstore.refuse_deleted(l_artifact.id, null); end if;
  return query
    select d.* from (
      select v.number from casstore.versions v
       where v.artifact_id = l_artifact.id and (p_before is null or v.number < p_before)
         and not exists (select from casstore.trash t where t.artifact_id = v.artifact_id and t.number = v.number)
       order by v.number desc limit p_limit) h
     -- One by one: where most artifacts have a version 1, the planner takes a number for common, and would look at all versions.
     cross join lateral (
       select x.* from casstore.version_details x where x.artifact_id = l_artifact.id and x.number = h.number offset 0) d
     order by d.number desc;
end $$;
comment on function casstore.history is 'Versions of a name, newest first, below a number.';

create function casstore.found_by(p_labels jsonb, p_metadata jsonb, p_most int) returns setof bigint
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
set enable_seqscan = off set enable_indexscan = off as $$   -- what is left is the index on terms, which serves bitmaps only
declare l_tenant int := nullif(current_setting('casstore.tenant_id', true), '')::int;
begin
  return query
    with found as materialized (
      select v.artifact_id from casstore.versions v
       where casstore.terms(v.tenant_id, v.labels, v.metadata) @> casstore.terms(l_tenant, p_labels, p_metadata)
         and (v.labels is not null or v.metadata is not null) and v.tenant_id = l_tenant)
    select f.artifact_id from found f limit p_most;
end $$;
comment on function casstore.found_by is
  'Artifacts, of the tenant entered, of versions that contain these labels and metadata, up to so many versions. With its owner''s rights: '
  'containment is not among the comparisons that may use an index under row-level security.';

create function casstore.candidates(p_tenant int, p_type text, p_labels jsonb, p_metadata jsonb, p_state text, p_prefix text)
returns bigint[] language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = off as $$
declare
  l_many constant int := 5001;   -- to look at so many takes some 30 ms; what more fit is met soon by walking
  l_found bigint[];
  l_candidates bigint[];
begin
  for l_found in
    select array(select a.id from casstore.artifacts a where a.tenant_id = p_tenant and a.type = p_type limit l_many)
     where p_type is not null
    union all
    select array(select casstore.found_by(p_labels, p_metadata, l_many))
     where jsonb_path_exists(jsonb_build_array(coalesce(p_labels, '{}'), coalesce(p_metadata, '{}')),
                             'strict $.** ? (@.type() != "object" && @.type() != "array")')   -- of {"a": {}} the index knows nothing
    union all
    select array(select t.artifact_id from casstore.transitions t where t.tenant_id = p_tenant and t.state = p_state limit l_many)
     where p_state <> 'draft'
    union all
    select array(select a.id from casstore.artifacts a
                  where a.tenant_id = p_tenant and a.folded >= lower(p_prefix) and a.folded < lower(p_prefix) || chr(127) limit l_many)
     where p_prefix is not null
  loop
    if cardinality(l_found) < l_many then
      l_candidates := array(select unnest(l_found) intersect select unnest(coalesce(l_candidates, l_found)));
    end if;
  end loop;
  return l_candidates;
end $$;
comment on function casstore.candidates is
  'The artifacts that may fit these filters, found through indexes; null where each filter alone leaves more than it pays to look at.';

-- The head of each artifact as it was when the first page was read, newest first. `until`, the greatest seq then, is answered
-- with every row and given back for the next page. Numbers agree with seq, so a version was the head exactly if its successor is not
-- there or came later. LIMIT stands in the subquery on versions; names are joined afterwards (the plain join is 100 times slower
-- under row-level security).
-- With filters the newest thousand are walked first: what most versions fit fills a page from there. Then the few that may fit are looked
-- up, or, where there are many, the walk goes on. A prefix is looked up at once: how many names begin with it is counted fast.
create function casstore.heads(
  p_tenant text, p_type text, p_labels jsonb, p_metadata jsonb, p_state text, p_prefix text, p_before bigint, p_until bigint, p_limit int)
returns table (version casstore.version_details, until bigint) language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_until bigint := coalesce(p_until, (select max(v.seq) from casstore.versions v where v.tenant_id = l_tenant));
  l_below bigint := least(coalesce(p_before, l_until + 1), l_until + 1);
  l_floor bigint := 0;
  l_candidates bigint[];
  l_trash boolean := exists (select from casstore.trash t where t.tenant_id = l_tenant);
  l_walked text := 'select v.* from casstore.versions v where v.tenant_id = $1 and v.seq < $2 and v.seq >= $3'
    || ' and (select w.seq from casstore.versions w where w.artifact_id = v.artifact_id and w.number > v.number'
    || case when l_trash then ' and not exists (select from casstore.trash t where t.artifact_id = w.artifact_id and t.number = w.number)' else '' end
    || '       order by w.number limit 1) <= $4 is not true'
    || case when l_trash then ' and not exists (select from casstore.trash t where t.artifact_id = v.artifact_id and t.number = v.number)' else '' end;
  l_looked_up text := 'select v.* from unnest($11) c(id) cross join lateral ('
    || '   select w.* from casstore.versions w where w.artifact_id = c.id and w.seq <= $4'
    || case when l_trash then ' and not exists (select from casstore.trash t where t.artifact_id = w.artifact_id and t.number = w.number)' else '' end
    || '    order by w.number desc limit 1) v where v.seq < $2';
  l_filter text := '';
  l_page text := ' order by v.seq desc limit $5) h'
    || ' join casstore.version_details d on d.artifact_id = h.artifact_id and d.number = h.number order by h.seq desc';
  l_found int := 0;
begin
  if p_type is not null then l_filter := l_filter || ' and v.type = $6'; end if;
  if p_labels is not null then l_filter := l_filter || ' and v.labels @> $7'; end if;
  if p_metadata is not null then l_filter := l_filter || ' and v.metadata @> $8'; end if;
  if p_state is not null then
    l_filter := l_filter || ' and coalesce((select max(t.state) from casstore.transitions t'
      || ' where t.artifact_id = v.artifact_id and t.number = v.number), ''draft'') = $9';
  end if;
  if p_prefix is not null then
    l_filter := l_filter || ' and (select starts_with(a.name, $10) from casstore.artifacts a where a.id = v.artifact_id)';
  end if;
  if p_prefix is not null then
    l_floor := l_below;
  elsif l_filter <> '' then
    select coalesce((select v.seq from casstore.versions v where v.tenant_id = l_tenant and v.seq < l_below
                      order by v.seq desc offset 1000 limit 1) + 1, 0) into l_floor;
  end if;
  if l_floor < l_below then
    return query execute 'select d, $4 from (' || l_walked || l_filter || l_page
      using l_tenant, l_below, l_floor, l_until, p_limit, p_type, p_labels, p_metadata, p_state, p_prefix;
    get diagnostics l_found = row_count;
  end if;
  if l_found < p_limit and l_floor > 0 then
    l_candidates := casstore.candidates(l_tenant, p_type, p_labels, p_metadata, p_state, p_prefix);
    return query execute
      'select d, $4 from (' || case when l_candidates is null then l_walked else l_looked_up end || l_filter || l_page
      using l_tenant, l_floor, 0::bigint, l_until, p_limit - l_found, p_type, p_labels, p_metadata, p_state, p_prefix, l_candidates;
  end if;
end $$;
comment on function casstore.heads is 'Artifacts by their newest version, filtered, newest first. The state is the one of now.';

create function casstore.where_used(p_tenant text, p_low bytea, p_high bytea, p_before bigint, p_limit int)
returns setof casstore.version_details language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  return query
    select d.* from (
      select v.artifact_id, v.number, v.seq
        from casstore.versions v
       where v.tenant_id = l_tenant and (p_before is null or v.seq < p_before)
         and (v.artifact_id, v.number) in (
           select c.artifact_id, c.number from casstore.components c where c.tenant_id = l_tenant and c.digest between p_low and p_high
           union select m.artifact_id, m.number from casstore.versions m where m.tenant_id = l_tenant and m.manifest between p_low and p_high)
         and not exists (select from casstore.trash t where t.artifact_id = v.artifact_id and t.number = v.number)
       order by v.seq desc limit p_limit) h
      join casstore.version_details d on d.artifact_id = h.artifact_id and d.number = h.number
     order by h.seq desc;
end $$;
comment on function casstore.where_used is 'Versions that hold these bytes in a component, or have this manifest, newest first.';

create function casstore.usage(p_tenant text, out artifacts bigint, out versions bigint, out logical_bytes bigint, out stored_bytes bigint)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  select count(*) into artifacts from casstore.artifacts a
   where a.tenant_id = l_tenant
     and (a.latest > 0 or exists (select from casstore.trash t where t.artifact_id = a.id and t.purged_at is null));
  select (select count(*) from casstore.versions v where v.tenant_id = l_tenant)
       - (select count(*) from casstore.trash t where t.tenant_id = l_tenant and t.purged_at is not null) into versions;
  select coalesce(sum(c.size_bytes), 0) into logical_bytes from casstore.components c where c.tenant_id = l_tenant;
  select coalesce(sum(d.size_bytes), 0) into stored_bytes
    from (select distinct on (c.digest) c.size_bytes from casstore.components c where c.tenant_id = l_tenant) d;
end $$;
comment on function casstore.usage is
  'What a tenant has stored, the trash included, what was purged not; stored_bytes counts each content once within the tenant.';

create type casstore.pointer_row as (pointer text, is_tag boolean, number int, moved_at timestamptz, actor text);

-- Point at the version a selector means; a null kind removes the alias. A pointer that is there already is a success:
-- so a call whose answer was lost may be repeated.
create function casstore.move_pointer(
  p_tenant text, p_name text, p_kind text, p_number int, p_text text, p_as_of timestamptz,
  p_pointer text, p_is_tag boolean, p_expect int, p_actor text default null)
returns casstore.pointer_row language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_artifact casstore.artifacts := casstore.artifact_named(casstore.enter(p_tenant), p_name);
  l_number int;
  l_last casstore.pointers;
  l_at timestamptz;
begin
  perform from casstore.artifacts a where a.id = l_artifact.id for no key update;
  if p_kind is not null then
    l_artifact := casstore.artifact_named(l_artifact.tenant_id, p_name);   -- a head read under the lock
    l_number := casstore.number_of(l_artifact, p_kind, p_number, p_text, p_as_of);
  end if;
  select * into l_last from casstore.pointers p
   where p.artifact_id = l_artifact.id and p.pointer = p_pointer order by p.move desc limit 1;
  if l_last.is_tag <> p_is_tag then
    perform casstore.refuse('pointer_kind', jsonb_build_object('name', p_name, 'pointer', p_pointer, 'is_tag', l_last.is_tag));
  elsif l_last.move is not null and l_last.number is not distinct from l_number then
    return (l_last.pointer::text, l_last.is_tag, l_last.number, l_last.moved_at, l_last.actor)::casstore.pointer_row;
  elsif l_last.is_tag then
    perform casstore.refuse('tag_frozen', jsonb_build_object('name', p_name, 'pointer', p_pointer, 'number', l_last.number));
  elsif coalesce(l_last.number, 0) <> p_expect then
    perform casstore.refuse('alias_moved', jsonb_build_object('name', p_name, 'pointer', p_pointer,
      'expected', p_expect, 'actual', coalesce(l_last.number, 0)));
  elsif l_last.move is null and p_kind is null then
    perform casstore.refuse('pointer_not_found', jsonb_build_object('name', p_name, 'kind', 'pointer', 'text', p_pointer));
  end if;
  l_at := greatest(clock_timestamp(), l_last.moved_at + interval '1 microsecond');
  insert into casstore.pointers (artifact_id, pointer, move, tenant_id, is_tag, number, moved_at, actor)
  values (l_artifact.id, p_pointer, coalesce(l_last.move, 0) + 1, l_artifact.tenant_id, p_is_tag, l_number, l_at, p_actor);
  insert into casstore.log (at, tenant_id, op, artifact_id, number, detail)
  values (l_at, l_artifact.tenant_id, case when p_is_tag then 'tag' when p_kind is null then 'unalias' else 'alias' end, l_artifact.id, l_number,
          jsonb_build_object('pointer', p_pointer, 'move', coalesce(l_last.move, 0) + 1, 'before', l_last.number)
            || case when p_actor is null then '{}' else jsonb_build_object('actor', p_actor) end);
  return (p_pointer, p_is_tag, l_number, l_at, p_actor)::casstore.pointer_row;
end $$;
comment on function casstore.move_pointer is 'Moves an alias, sets a tag or removes an alias, under the artifact''s lock.';

create function casstore.pointers_of(p_tenant text, p_name text)
returns setof casstore.pointer_row language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_artifact casstore.artifacts := casstore.artifact_named(casstore.enter(p_tenant), p_name);
begin
  return query
    select c.pointer, c.is_tag, c.number, c.moved_at, c.actor
      from (select distinct on (p.pointer) p.pointer::text, p.is_tag, p.number, p.moved_at, p.actor
              from casstore.pointers p where p.artifact_id = l_artifact.id order by p.pointer, p.move desc) c
     where c.number is not null order by c.pointer collate "C";
end $$;
comment on function casstore.pointers_of is 'Where each alias and tag of an artifact points now.';

create function casstore.pointer_history(p_tenant text, p_name text, p_pointer text, p_before int, p_limit int)
returns table (pointer text, is_tag boolean, number int, moved_at timestamptz, actor text, move int)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_artifact casstore.artifacts := casstore.artifact_named(casstore.enter(p_tenant), p_name);
begin
  return query
    select p.pointer::text, p.is_tag, p.number, p.moved_at, p.actor, p.move from casstore.pointers p
     where p.artifact_id = l_artifact.id and p.pointer = p_pointer and (p_before is null or p.move < p_before)
     order by p.move desc limit p_limit;
  if not found and p_before is null then
    perform casstore.refuse('pointer_not_found', jsonb_build_object('name', p_name, 'kind', 'pointer', 'text', p_pointer));
  end if;
end $$;
comment on function casstore.pointer_history is 'Every move of one alias or tag, newest first.';

revoke all on all functions in schema casstore from public;
