-- Retention: which versions a tenant keeps, by rules of its own and by when a version expires; told beforehand, then done. What is held,
-- pointed at, or what something that stays was made from, stays whatever a rule says. docs/decisions/0040.

create table casstore.retention (
  tenant_id int not null constraint retention_key primary key constraint retention_tenant references casstore.tenants,
  revision  int not null constraint retention_revision check (revision > 0),
  policy    jsonb not null constraint retention_policy check (jsonb_typeof(policy -> 'rules') = 'array' and pg_column_size(policy) <= 262144),
  at        timestamptz not null,
  actor     text not null constraint retention_actor check (char_length(actor) between 1 and 255)
);
alter table casstore.retention enable row level security;
comment on table  casstore.retention is 'What each tenant keeps: the policy that counts now. Those before it are in the log.';
comment on column casstore.retention.tenant_id is 'The tenant it belongs to.';
comment on column casstore.retention.revision is 'Counts the policies of the tenant from 1.';
comment on column casstore.retention.policy is 'Its rules, in the order in which they are tried; see docs/retention.md. Durations are seconds.';
comment on column casstore.retention.at is 'When it was set; database clock.';
comment on column casstore.retention.actor is 'Who set it, as the caller says.';

create table casstore.expiries (
  artifact_id bigint not null,
  number      int not null,
  tenant_id   int not null,
  expires_at  timestamptz not null,
  actor       text constraint expiries_actor check (char_length(actor) between 1 and 255),
  reason      text constraint expiries_reason check (char_length(reason) <= 1000),
  constraint expiries_key primary key (artifact_id, number),
  constraint expiries_version foreign key (artifact_id, number) references casstore.versions
);
create index expiries_due on casstore.expiries (tenant_id, expires_at);
alter table casstore.expiries enable row level security;
comment on table  casstore.expiries is 'Versions that are not wanted for ever: from then on retention drops them, whatever its rules say.';
comment on column casstore.expiries.artifact_id is 'The artifact.';
comment on column casstore.expiries.number is 'The version.';
comment on column casstore.expiries.tenant_id is 'The tenant it belongs to.';
comment on column casstore.expiries.expires_at is 'When; database clock.';
comment on column casstore.expiries.actor is 'Who said so, as the caller says; null where nobody was named, by a put.';
comment on column casstore.expiries.reason is 'Why, in free text.';

create function casstore.set_retention(
  p_tenant text, p_policy jsonb, p_actor text, p_expect int, out policy jsonb, out revision int, out at timestamptz, out actor text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.tenant_for_put(p_tenant);
  l_row casstore.retention;
begin
  perform pg_advisory_xact_lock(3, l_tenant);   -- the first policy has no row to lock
  select r.* into l_row from casstore.retention r where r.tenant_id = l_tenant;
  if coalesce(l_row.revision, 0) <> p_expect then
    perform casstore.refuse('retention_moved', jsonb_build_object('actual', coalesce(l_row.revision, 0), 'expected', p_expect));
  end if;
  if l_row.policy is distinct from p_policy then
    insert into casstore.retention as r (tenant_id, revision, policy, at, actor)
    values (l_tenant, coalesce(l_row.revision, 0) + 1, p_policy, clock_timestamp(), p_actor)
    on conflict on constraint retention_key do update
       set revision = excluded.revision, policy = excluded.policy, at = excluded.at, actor = excluded.actor
    returning r.* into l_row;
    insert into casstore.log (at, tenant_id, op, detail)
    values (l_row.at, l_tenant, 'retention', jsonb_build_object('actor', p_actor, 'revision', l_row.revision, 'policy', p_policy));
  end if;
  policy := l_row.policy; revision := l_row.revision; at := l_row.at; actor := l_row.actor;
end $$;
comment on function casstore.set_retention is
  'Sets the policy of a tenant, if the one there is has the revision expected. The same policy again stays as it was set.';

create function casstore.retention_of(p_tenant text) returns table (policy jsonb, revision int, at timestamptz, actor text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  return query select r.policy, r.revision, r.at, r.actor from casstore.retention r where r.tenant_id = l_tenant;
end $$;
comment on function casstore.retention_of is 'The policy of a tenant; no row where none was set.';

create function casstore.expire_version(
  p_tenant text, p_name text, p_number int, p_id uuid, p_at timestamptz, p_after interval, p_actor text, p_reason text,
  out name text, out number int, out expires_at timestamptz, out actor text, out reason text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_locked record := casstore.lock_versions(l_tenant, p_name, p_number, p_id);
  l_artifact casstore.artifacts := l_locked.artifact;
  l_number int := l_locked.numbers[1];
  l_now timestamptz := clock_timestamp();
  l_row casstore.expiries;
begin
  name := l_artifact.name; number := l_number;
  expires_at := coalesce(p_at, l_now + p_after); actor := p_actor; reason := p_reason;
  select e.* into l_row from casstore.expiries e where e.artifact_id = l_artifact.id and e.number = l_number;
  if l_row.expires_at is not distinct from expires_at then
    actor := l_row.actor; reason := l_row.reason;
    return;
  end if;
  if expires_at is null then
    delete from casstore.expiries e where e.artifact_id = l_artifact.id and e.number = l_number;
  else
    insert into casstore.expiries (artifact_id, number, tenant_id, expires_at, actor, reason)
    values (l_artifact.id, l_number, l_tenant, expire_version.expires_at, p_actor, p_reason)
    on conflict on constraint expiries_key do update
       set expires_at = excluded.expires_at, actor = excluded.actor, reason = excluded.reason;
  end if;
  insert into casstore.log (at, tenant_id, op, artifact_id, number, detail)
  values (l_now, l_tenant, 'expire', l_artifact.id, l_number, jsonb_strip_nulls(jsonb_build_object(
    'expires_at', (extract(epoch from expire_version.expires_at) * 1000000)::bigint, 'actor', p_actor, 'reason', p_reason)));
end $$;
comment on function casstore.expire_version is 'Says when a version expires, at an instant or so long from now; neither: never. The same instant again changes nothing.';

create function casstore.custody_of(p_tenant text, p_id uuid)
returns table (
  name text, number int, expires_at timestamptz, expires_actor text, expires_reason text,
  hold text, hold_name text, hold_number int, placed_at timestamptz, actor text, reason text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  return query
    select a.name::text, v.number, e.expires_at, e.actor, e.reason, h.hold::text, case when h.artifact_id is not null then a.name::text end,
           h.number, h.at, h.actor, h.reason
      from casstore.versions v
      join casstore.artifacts a on a.id = v.artifact_id
      left join casstore.expiries e on e.artifact_id = v.artifact_id and e.number = v.number
      left join casstore.holds h on h.tenant_id = l_tenant and h.released_at is null
       and (h.artifact_id is null or h.artifact_id = v.artifact_id and (h.number is null or h.number = v.number))
     where v.tenant_id = l_tenant and v.id = p_id
     order by h.at desc, h.id desc;
  if not found then perform casstore.refuse('version_not_found', jsonb_build_object('id', p_id)); end if;
end $$;
comment on function casstore.custody_of is 'When a version expires, and each hold that keeps it: a row for each hold, or one without any.';

create function casstore.seconds_told(p_seconds bigint) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when u.count = 1 then '1 ' || u.unit else u.count || ' ' || u.unit || 's' end
    from (select p_seconds / x.seconds as count, x.unit from (values (86400, 'day'), (3600, 'hour'), (60, 'minute'), (1, 'second')) x(seconds, unit)
           where p_seconds % x.seconds = 0 order by x.seconds desc limit 1) u
$$;
comment on function casstore.seconds_told is 'A time in its largest whole unit, up to days.';

-- Each version by itself, whatever was made from it. The newest of a rule are counted among those of one artifact that the rule decides.
create function casstore.retention_decided(p_tenant int, p_artifacts bigint[])
returns table (artifact_id bigint, number int, seq bigint, rule text, keeps text[], expired timestamptz)
language plpgsql stable set search_path = pg_catalog, pg_temp
set plan_cache_mode = 'force_custom_plan' as $$   -- some artifacts, or all of a tenant: two ways
#variable_conflict use_column
begin
  return query
  with rules as materialized (
    select x.place, x.rule ->> 'name' as name, x.rule #>> '{match,type}' as type, x.rule #> '{match,labels}' as labels,
           lower(x.rule #>> '{match,name_prefix}') as prefix, (x.rule #>> '{keep,last}')::int as last,
           (x.rule #>> '{keep,for}')::bigint as seconds,
           casstore.seconds_told((x.rule #>> '{keep,for}')::bigint) as told, coalesce((x.rule #>> '{keep,accepted}')::boolean, false) as accepted,
           coalesce((x.rule #>> '{keep,tagged}')::boolean, false) as tagged
      from casstore.retention r cross join lateral jsonb_array_elements(r.policy -> 'rules') with ordinality as x(rule, place)
     where r.tenant_id = p_tenant),
  matched as (
    select v.artifact_id, v.number, v.seq, v.created_at, m.*, case when e.expires_at <= now() then e.expires_at end as expired
      from casstore.versions v
      join casstore.artifacts a on a.id = v.artifact_id
      left join casstore.trash g on g.artifact_id = v.artifact_id and g.number = v.number
      left join casstore.expiries e on e.artifact_id = v.artifact_id and e.number = v.number
      left join lateral (
        select r.* from rules r
         where (e.expires_at is null or e.expires_at > now()) and (r.type is null or r.type = v.type)
           and (r.labels is null or coalesce(v.labels, '{}') @> r.labels) and (r.prefix is null or starts_with(a.folded, r.prefix))
         order by r.place limit 1) m on true
     where v.tenant_id = p_tenant and (p_artifacts is null or v.artifact_id = any (p_artifacts)) and g.number is null),
  ranked as (
    select m.*, row_number() over (partition by m.artifact_id, m.place order by m.number desc) as nth from matched m),
  pointing as (
    select p.artifact_id, p.number, array_agg(p.pointer order by p.pointer) as names,
           array_agg(p.pointer order by p.pointer) filter (where p.is_tag) as tags
      from (select distinct on (x.artifact_id, x.pointer) x.artifact_id, x.pointer::text, x.number, x.is_tag from casstore.pointers x
             where x.tenant_id = p_tenant and (p_artifacts is null or x.artifact_id = any (p_artifacts))
             order by x.artifact_id, x.pointer, x.move desc) p
     where p.number is not null group by 1, 2),
  states as (
    select t.artifact_id, t.number, max(t.state) as state from casstore.transitions t
     where t.tenant_id = p_tenant and (p_artifacts is null or t.artifact_id = any (p_artifacts)) group by 1, 2),
  held as materialized (
    select h.artifact_id, h.number, array_agg(h.hold::text order by h.hold) as holds from casstore.holds h
     where h.tenant_id = p_tenant and h.released_at is null group by 1, 2)
  select r.artifact_id, r.number, r.seq, case when r.expired is not null then 'ttl' else r.name end,
         array_remove(array[
           case when r.place is null and r.expired is null then 'no rule is about it' end,
           case when r.nth <= r.last then case when r.last = 1 then 'the last' else 'last ' || r.last end end,
           case when r.created_at > now() - r.seconds * interval '1 second' then 'younger than ' || r.told end,
           case when r.accepted and s.state = 'accepted' then 'accepted' end,
           case when r.tagged and p.tags is not null then 'tagged ' || p.tags[1] end,
           'held by ' || array_to_string(nullif(coalesce(e.holds, '{}') || coalesce(a.holds, '{}') || coalesce(v.holds, '{}'), '{}'), ', '),
           array_to_string(p.names, ', ') || case when cardinality(p.names) = 1 then ' points at it' else ' point at it' end], null),
         r.expired
    from ranked r
    left join states s on s.artifact_id = r.artifact_id and s.number = r.number
    left join pointing p on p.artifact_id = r.artifact_id and p.number = r.number
    left join held v on v.artifact_id = r.artifact_id and v.number = r.number
    left join held a on a.artifact_id = r.artifact_id and a.number is null
    left join held e on e.artifact_id is null;
end $$;
comment on function casstore.retention_decided is
  'What becomes of the live versions of a tenant, or of some artifacts of it, by its rules and by what holds or points at each: what keeps '
  'it, in words; nothing: it is dropped, unless something that stays was made from it.';

create function casstore.retention_plan(p_tenant int)
returns table (artifact_id bigint, number int, seq bigint, rule text, drops boolean, why text)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query
  with recursive decided as materialized (select d.* from casstore.retention_decided(p_tenant, null) d),
  kept as (
    select d.artifact_id, d.number from decided d where d.keeps <> '{}'
    union
    select s.source_artifact_id, s.source_number
      from kept k join casstore.sources s on s.artifact_id = k.artifact_id and s.number = k.number),
  needed as (
    select s.source_artifact_id, s.source_number, (array_agg(a.name || '@' || s.number order by a.name, s.number))[1] as ref
      from kept k
      join casstore.sources s on s.artifact_id = k.artifact_id and s.number = k.number
      join casstore.artifacts a on a.id = s.artifact_id
     group by 1, 2)
  select d.artifact_id, d.number, d.seq, d.rule, d.keeps = '{}' and n.ref is null,
         coalesce(nullif(array_to_string(d.keeps, '; '), ''), n.ref || ' was made from it',
                  'expired on ' || to_char(d.expired at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), 'nothing keeps it')
    from decided d left join needed n on n.source_artifact_id = d.artifact_id and n.source_number = d.number;
end $$;
comment on function casstore.retention_plan is
  'What applying retention now would drop, and of all else of a tenant''s why it stays. What stays has all it was made from.';

create function casstore.preview_retention(p_tenant text, p_drops boolean, p_before bigint, p_limit int)
returns table (
  seq bigint, id uuid, name text, number int, type text, created_at timestamptz, rule text, drops boolean, why text, expires_at timestamptz)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare l_tenant int := casstore.enter(p_tenant);
begin
  return query
    select p.seq, v.id, a.name::text, p.number, v.type::text, v.created_at, p.rule, p.drops, p.why, e.expires_at
      from (select x.* from casstore.retention_plan(l_tenant) x
             where (x.drops or not p_drops) and (p_before is null or x.seq < p_before) order by x.seq desc limit p_limit) p
      join casstore.versions v on v.artifact_id = p.artifact_id and v.number = p.number
      join casstore.artifacts a on a.id = p.artifact_id
      left join casstore.expiries e on e.artifact_id = p.artifact_id and e.number = p.number
     order by p.seq desc;
end $$;
comment on function casstore.preview_retention is 'What retention would do with each version now, or those that it would drop; the newest first.';

create function casstore.retention_totals(p_tenant text, out drops bigint, out keeps bigint, out blobs bigint, out bytes bigint)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  with plan as materialized (select p.* from casstore.retention_plan(l_tenant) p),
  freed as (
    select c.digest, min(c.size_bytes) as size_bytes
      from casstore.components c left join plan p on p.artifact_id = c.artifact_id and p.number = c.number and p.drops
     where c.tenant_id = l_tenant group by c.digest having count(*) = count(p.number))
  select (select count(*) from plan p where p.drops), (select count(*) from plan p where not p.drops),
         (select count(*) from freed), (select coalesce(sum(f.size_bytes), 0) from freed f)
    into drops, keeps, blobs, bytes;
end $$;
comment on function casstore.retention_totals is
  'How many versions retention would drop and keep now, and the contents that none but the dropped hold: what purging these lets go of.';

create function casstore.apply_retention(p_tenant text, p_revision int, p_ids uuid[], p_actor text) returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_artifacts bigint[];
  l_revision int;
  l_row record;
  l_dropped int := 0;
begin
  perform casstore.share_holds(l_tenant);
  select r.revision into l_revision from casstore.retention r where r.tenant_id = l_tenant for share;
  if coalesce(l_revision, 0) <> p_revision then
    perform casstore.refuse('retention_moved', jsonb_build_object('actual', coalesce(l_revision, 0), 'expected', p_revision));
  end if;
  select array_agg(distinct v.artifact_id) into l_artifacts from casstore.versions v where v.tenant_id = l_tenant and v.id = any (p_ids);
  perform from casstore.artifacts a where a.id = any (l_artifacts) order by a.folded for no key update;
  perform from casstore.versions v where v.tenant_id = l_tenant and v.id = any (p_ids) order by v.id for update;
  -- As it is under the locks. What was made from a version is newer than it, and goes before it.
  for l_row in
    select a as artifact, d.number, d.rule from casstore.retention_decided(l_tenant, l_artifacts) d
      join casstore.versions v on v.artifact_id = d.artifact_id and v.number = d.number
      join casstore.artifacts a on a.id = d.artifact_id
     where v.id = any (p_ids) and d.keeps = '{}' order by d.seq desc
  loop
    if casstore.uses_of(l_row.artifact, array[l_row.number], true, false) is null then
      perform casstore.put_into_trash(l_row.artifact, array[l_row.number], true, p_actor, 'retention: ' || l_row.rule, l_row.rule);
      l_dropped := l_dropped + 1;
    end if;
  end loop;
  return l_dropped;
end $$;
comment on function casstore.apply_retention is
  'Drops those of these versions that the policy of this revision drops now, and answers how many. What was used or held meanwhile stays.';

create function casstore.purge_retained(
  p_tenant text, p_age interval, p_before bigint, p_limit int, p_actor text, out purged int, out kept int, out last bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_seqs bigint[];
  l_row record;
begin
  purged := 0; kept := 0;
  perform casstore.share_holds(l_tenant);
  select array_agg(o.seq) into l_seqs
    from (select v.seq from casstore.trash t join casstore.versions v on v.artifact_id = t.artifact_id and v.number = t.number
           where t.tenant_id = l_tenant and t.rule is not null and t.purged_at is null and t.at <= now() - p_age
             and (p_before is null or v.seq < p_before) order by v.seq desc limit p_limit) o;
  perform from casstore.artifacts a
    where a.id in (select v.artifact_id from casstore.versions v where v.tenant_id = l_tenant and v.seq = any (l_seqs))
    order by a.folded for no key update;
  for l_row in   -- what was made from a version is newer than it, and goes before it
    select a as artifact, t.number from casstore.versions v
      join casstore.trash t on t.artifact_id = v.artifact_id and t.number = v.number
      join casstore.artifacts a on a.id = v.artifact_id
     where v.tenant_id = l_tenant and v.seq = any (l_seqs) and t.rule is not null and t.purged_at is null and t.at <= now() - p_age
     order by v.seq desc
  loop
    if casstore.uses_of(l_row.artifact, array[l_row.number], true, true) is null then
      perform casstore.purge_rows(l_tenant, array[(l_row.artifact).id], array[l_row.number], p_actor, 'retention');
      purged := purged + 1;
    else
      kept := kept + 1;
    end if;
  end loop;
  last := (select min(s) from unnest(l_seqs) s);
end $$;
comment on function casstore.purge_retained is
  'Purges of what retention has dropped so long ago what nothing keeps, up to a number of versions, the newest first. `last` is where to '
  'go on; null: that was all.';

revoke all on all functions in schema casstore from public;
