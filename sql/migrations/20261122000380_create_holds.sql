-- Holds: what has one is not destroyed, whoever asks. A hold is on a version, on an artifact with all it will ever have, or on all of a
-- tenant's. Whoever destroys shares a lock with all who destroy before it looks for holds; whoever places or releases one has it alone.
-- So what is destroyed had no hold, and what got one is there. The lock comes before all others: no deadlocks.

create domain casstore.hold_name as text collate "C"
  constraint hold_name_grammar check (value ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$');

create table casstore.holds (
  id          bigint generated always as identity constraint holds_id primary key,
  tenant_id   int not null constraint holds_tenant references casstore.tenants,
  hold        casstore.hold_name not null,
  artifact_id bigint constraint holds_artifact references casstore.artifacts,
  number      int constraint holds_number check (number is null or artifact_id is not null),
  at          timestamptz not null,
  actor       text not null constraint holds_actor check (char_length(actor) between 1 and 255),
  reason      text constraint holds_reason check (char_length(reason) <= 1000),
  released_at timestamptz,
  released_by text constraint holds_released_by check (char_length(released_by) between 1 and 255),
  constraint holds_key unique nulls not distinct (tenant_id, hold, artifact_id, number),
  constraint holds_released check ((released_at is null) = (released_by is null)),
  constraint holds_version foreign key (artifact_id, number) references casstore.versions
);
create index holds_on on casstore.holds (tenant_id, artifact_id, number) where released_at is null;
create index holds_newest on casstore.holds (tenant_id, at, id);
alter table casstore.holds enable row level security;
comment on table  casstore.holds is
  'What must not be deleted, purged or erased, and for what. A row is a hold on one thing; it stays when the hold is released.';
comment on column casstore.holds.id is 'Tells holds of the same instant apart.';
comment on column casstore.holds.tenant_id is 'The tenant it belongs to.';
comment on column casstore.holds.hold is 'What it is for, such as a case; one may be on many things, and a thing may have many.';
comment on column casstore.holds.artifact_id is 'The artifact held, or that of the version; null: all of the tenant''s.';
comment on column casstore.holds.number is 'The version held; null: all that the artifact has and will have.';
comment on column casstore.holds.at is 'Since when; database clock.';
comment on column casstore.holds.actor is 'Who placed it, as the caller says.';
comment on column casstore.holds.reason is 'Why, in free text.';
comment on column casstore.holds.released_at is 'Until when; null while it holds.';
comment on column casstore.holds.released_by is 'Who released it, as the caller says; why is in the log.';

-- Two numbers name the lock: that of its kind, and the tenant. The lock of writers is of kind 1.
create function casstore.share_holds(p_tenant int) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock_shared(2, p_tenant);
end $$;
comment on function casstore.share_holds is
  'From here to the end of the transaction no hold of the tenant''s is placed or released. Before whatever destroys, and before its other locks.';

create function casstore.holds_on(p_tenant int, p_artifact_id bigint, p_numbers int[]) returns text[]
language sql stable set search_path = pg_catalog, pg_temp as $$
  select array_agg(distinct h.hold::text order by h.hold::text) from casstore.holds h
   where h.tenant_id = p_tenant and h.released_at is null
     and (p_artifact_id is null or h.artifact_id is null or h.artifact_id = p_artifact_id)
     and (p_numbers is null or (h.number is null and p_numbers <> '{}') or h.number = any (p_numbers))
$$;
comment on function casstore.holds_on is
  'The holds that keep these versions of an artifact; without numbers any of it, without an artifact any of the tenant''s. Null: none does.';

create type casstore.hold_row as (
  hold text, name text, number int, at timestamptz, actor text, reason text, released_at timestamptz, released_by text, id bigint);

create function casstore.hold_told(p_hold casstore.holds) returns casstore.hold_row
language sql stable set search_path = pg_catalog, pg_temp as $$
  select (p_hold.hold, (select a.name from casstore.artifacts a where a.id = p_hold.artifact_id), p_hold.number, p_hold.at, p_hold.actor,
          p_hold.reason, p_hold.released_at, p_hold.released_by, p_hold.id)::casstore.hold_row
$$;
comment on function casstore.hold_told is 'A hold as callers see it.';

create function casstore.lock_hold(
  p_tenant int, p_name text, p_number int, p_id uuid, p_hold text, out artifact_id bigint, out number int, out hold casstore.holds)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare l_meant record;
begin
  perform pg_advisory_xact_lock(2, p_tenant);
  if p_name is not null or p_id is not null then
    l_meant := casstore.versions_named(p_tenant, p_name, p_number, p_id);
    artifact_id := (l_meant.artifact).id;
    if p_number is not null or p_id is not null then number := l_meant.numbers[1]; end if;
  end if;
  select h.* into hold from casstore.holds h
   where h.tenant_id = p_tenant and h.hold = p_hold
     and h.artifact_id is not distinct from lock_hold.artifact_id and h.number is not distinct from lock_hold.number;
end $$;
comment on function casstore.lock_hold is 'What a hold is on, and the hold if it was ever there, with all that is destroyed waiting; or a refusal.';

create function casstore.place_hold(p_tenant text, p_name text, p_number int, p_id uuid, p_hold text, p_actor text, p_reason text)
returns casstore.hold_row language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.tenant_for_put(p_tenant);
  l_locked record := casstore.lock_hold(l_tenant, p_name, p_number, p_id, p_hold);
  l_hold casstore.holds := l_locked.hold;
begin
  if l_hold.released_at is null and l_hold.id is not null then return casstore.hold_told(l_hold); end if;
  if exists (select from casstore.trash t
              where t.artifact_id = l_locked.artifact_id and t.number = l_locked.number and t.purged_at is not null) then
    perform casstore.refuse('version_purged', jsonb_build_object('number', l_locked.number,
      'name', (select a.name from casstore.artifacts a where a.id = l_locked.artifact_id)));
  end if;
  insert into casstore.holds as h (tenant_id, hold, artifact_id, number, at, actor, reason)
  values (l_tenant, p_hold, l_locked.artifact_id, l_locked.number, clock_timestamp(), p_actor, p_reason)
  on conflict on constraint holds_key do update
     set at = excluded.at, actor = excluded.actor, reason = excluded.reason, released_at = null, released_by = null
  returning h.* into l_hold;
  insert into casstore.log (at, tenant_id, op, artifact_id, number, detail)
  values (l_hold.at, l_tenant, 'hold', l_hold.artifact_id, l_hold.number,
          jsonb_strip_nulls(jsonb_build_object('hold', p_hold, 'actor', p_actor, 'reason', p_reason)));
  return casstore.hold_told(l_hold);
end $$;
comment on function casstore.place_hold is
  'Places a hold on a version, an artifact or all of the tenant''s. One that is there already stays as it is.';

create function casstore.release_hold(p_tenant text, p_name text, p_number int, p_id uuid, p_hold text, p_actor text, p_reason text)
returns casstore.hold_row language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_locked record := casstore.lock_hold(l_tenant, p_name, p_number, p_id, p_hold);
  l_hold casstore.holds := l_locked.hold;
begin
  if l_hold.id is null then perform casstore.refuse('hold_not_found', jsonb_build_object('hold', p_hold)); end if;
  if l_hold.released_at is not null then return casstore.hold_told(l_hold); end if;
  update casstore.holds h set released_at = clock_timestamp(), released_by = p_actor where h.id = l_hold.id returning h.* into l_hold;
  insert into casstore.log (at, tenant_id, op, artifact_id, number, detail)
  values (l_hold.released_at, l_tenant, 'release', l_hold.artifact_id, l_hold.number,
          jsonb_strip_nulls(jsonb_build_object('hold', p_hold, 'actor', p_actor, 'reason', p_reason)));
  return casstore.hold_told(l_hold);
end $$;
comment on function casstore.release_hold is 'Releases a hold from just what it was placed on. One that was released already stays as it is.';

create function casstore.holds_of(p_tenant text, p_released boolean, p_at timestamptz, p_id bigint, p_limit int) returns setof casstore.hold_row
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  return query
    select t.* from casstore.holds h cross join lateral casstore.hold_told(h) t
     where h.tenant_id = l_tenant and (h.released_at is not null) = p_released and (p_at is null or (h.at, h.id) < (p_at, p_id))
     order by h.at desc, h.id desc limit p_limit;
end $$;
comment on function casstore.holds_of is 'The holds there are, or those that were released; the last placed first.';

-- What is in the trash and has a hold stays there, and so does what it was made from: what can come back has sources that can.
create function casstore.kept_in_trash(p_tenant int) returns table (artifact_id bigint, number int)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with recursive kept as (
    select t.artifact_id, t.number from casstore.holds h
      join casstore.trash t on t.tenant_id = p_tenant and t.purged_at is null
       and (h.artifact_id is null or (t.artifact_id = h.artifact_id and (h.number is null or t.number = h.number)))
     where h.tenant_id = p_tenant and h.released_at is null
    union
    select t.artifact_id, t.number from kept k
      join casstore.sources s on s.artifact_id = k.artifact_id and s.number = k.number
      join casstore.trash t on t.artifact_id = s.source_artifact_id and t.number = s.source_number and t.purged_at is null)
  select k.artifact_id, k.number from kept k
$$;
comment on function casstore.kept_in_trash is 'What of the trash emptying it leaves, because of holds.';

revoke all on all functions in schema casstore from public;
