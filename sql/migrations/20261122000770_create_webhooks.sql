-- Webhooks: who is sent a tenant's events. A row says where to and how far; it is configuration, and no change of state of the store:
-- the log does not have it (docs/decisions/0043).

create table casstore.webhooks (
  id            uuid not null constraint webhooks_key primary key,
  tenant_id     int not null constraint webhooks_tenant references casstore.tenants,
  url           text not null constraint webhooks_url check (char_length(url) <= 2000),
  secret        bytea not null constraint webhooks_secret check (octet_length(secret) between 24 and 64),
  ops           text[],
  types         text[],
  prefix        text,
  made_at       timestamptz not null default now(),
  made_by       text not null constraint webhooks_made_by check (char_length(made_by) between 1 and 255),
  position      bigint not null,
  failures      int not null default 0,
  failing_since timestamptz,
  fault         text,
  next_at       timestamptz not null default now(),
  told_at       timestamptz,
  disabled_at   timestamptz,
  lease         uuid,
  leased_until  timestamptz,
  constraint webhooks_failing check ((failing_since is null) = (failures = 0)),
  constraint webhooks_leased check ((lease is null) = (leased_until is null))
);
create index webhooks_of_tenant on casstore.webhooks (tenant_id);
alter table casstore.webhooks enable row level security;
comment on table  casstore.webhooks is 'Who is sent the events of a tenant, and how far they were told. Configuration: neither the log nor the journal has it.';
comment on column casstore.webhooks.id is 'Made by the client: a repeated call makes one.';
comment on column casstore.webhooks.tenant_id is 'The tenant it belongs to.';
comment on column casstore.webhooks.url is 'Where events are posted to.';
comment on column casstore.webhooks.secret is 'What they are signed with. Only who delivers reads it.';
comment on column casstore.webhooks.ops is 'Only these operations; null: all.';
comment on column casstore.webhooks.types is 'Only artifacts of these types; null: all.';
comment on column casstore.webhooks.prefix is 'Only artifacts whose names begin so; null: all.';
comment on column casstore.webhooks.made_at is 'Since when it is there.';
comment on column casstore.webhooks.made_by is 'Who made it, as the caller says.';
comment on column casstore.webhooks.position is 'The row of the log up to which all was told, or was not asked for.';
comment on column casstore.webhooks.failures is 'Attempts that failed since the last that did not.';
comment on column casstore.webhooks.failing_since is 'When the first of these was; null: there are none.';
comment on column casstore.webhooks.fault is 'What was wrong with the last of these. Never what the other side has said.';
comment on column casstore.webhooks.next_at is 'Not tried before.';
comment on column casstore.webhooks.told_at is 'When an event last arrived.';
comment on column casstore.webhooks.disabled_at is 'When it was given up: it failed for too long, or was told that nobody is there any more. A replay enables it.';
comment on column casstore.webhooks.lease is 'Who is delivering: a number that is never given twice. Whoever holds another has lost.';
comment on column casstore.webhooks.leased_until is 'Until then nobody else takes it.';

create type casstore.webhook_row as (
  id uuid, url text, ops text[], types text[], prefix text, made_at timestamptz, made_by text, "position" bigint, failures int,
  failing_since timestamptz, fault text, next_at timestamptz, told_at timestamptz, disabled_at timestamptz);

create function casstore.webhook_told(p_hook casstore.webhooks) returns casstore.webhook_row
language sql stable set search_path = pg_catalog, pg_temp as $$
  select (p_hook.id, p_hook.url, p_hook.ops, p_hook.types, p_hook.prefix, p_hook.made_at, p_hook.made_by, p_hook.position, p_hook.failures,
          p_hook.failing_since, p_hook.fault, p_hook.next_at, p_hook.told_at, p_hook.disabled_at)::casstore.webhook_row
$$;
comment on function casstore.webhook_told is 'A webhook as callers see it: without its secret.';

create function casstore.webhook_meant(p_tenant text, p_id uuid) returns casstore.webhooks
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_hook casstore.webhooks;
begin
  select w.* into l_hook from casstore.webhooks w where w.id = p_id and w.tenant_id = l_tenant for update;
  if l_hook.id is null then perform casstore.refuse('webhook_not_found', jsonb_build_object('id', p_id)); end if;
  return l_hook;
end $$;
comment on function casstore.webhook_meant is 'A webhook of the tenant''s, locked; or a refusal.';

create function casstore.add_webhook(
  p_tenant text, p_id uuid, p_url text, p_secret bytea, p_ops text[], p_types text[], p_prefix text, p_actor text, p_position bigint,
  p_most int)
returns casstore.webhook_row language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.tenant_for_put(p_tenant);
  l_hook casstore.webhooks;
begin
  perform from casstore.tenants t where t.id = l_tenant for no key update;   -- one after the other: else two could pass the limit
  select w.* into l_hook from casstore.webhooks w where w.id = p_id and w.tenant_id = l_tenant;
  if l_hook.id is null then
    if (select count(*) from casstore.webhooks w where w.tenant_id = l_tenant) >= p_most then
      perform casstore.refuse('too_many_webhooks', jsonb_build_object('most', p_most));
    end if;
    insert into casstore.webhooks as w (id, tenant_id, url, secret, ops, types, prefix, made_by, position)
    values (p_id, l_tenant, p_url, p_secret, p_ops, p_types, p_prefix, p_actor, p_position) returning w.* into l_hook;
  end if;
  return casstore.webhook_told(l_hook);
end $$;
comment on function casstore.add_webhook is 'Makes a webhook that is told what comes after a row of the log; again it answers the same.';

create function casstore.webhooks_of(p_tenant text) returns setof casstore.webhook_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  return query select (casstore.webhook_told(w)).* from casstore.webhooks w where w.tenant_id = l_tenant order by w.made_at, w.id;
end $$;
comment on function casstore.webhooks_of is 'The webhooks of a tenant, the oldest first.';

create function casstore.remove_webhook(p_tenant text, p_id uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  delete from casstore.webhooks w where w.id = p_id and w.tenant_id = l_tenant;
  return found;
end $$;
comment on function casstore.remove_webhook is 'Takes a webhook away; answers whether it was there.';

create function casstore.replay_webhook(p_tenant text, p_id uuid, p_position bigint) returns casstore.webhook_row
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare l_hook casstore.webhooks := casstore.webhook_meant(p_tenant, p_id);
begin
  update casstore.webhooks w
     set position = coalesce(p_position, w.position), failures = 0, failing_since = null, fault = null, next_at = now(), disabled_at = null,
         lease = null, leased_until = null
   where w.id = l_hook.id returning w.* into l_hook;
  return casstore.webhook_told(l_hook);
end $$;
comment on function casstore.replay_webhook is
  'Enables a webhook, and lets it begin again after a row of the log; without one, where it was. Who is delivering loses its lease.';

create function casstore.webhook_secret(p_tenant text, p_id uuid, out url text, out secret bytea)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare l_hook casstore.webhooks := casstore.webhook_meant(p_tenant, p_id);
begin
  url := l_hook.url; secret := l_hook.secret;
end $$;
comment on function casstore.webhook_secret is 'What a test of a webhook is sent to and signed with.';

-- Delivering. Nothing is locked while a request is under way: who delivers has a lease, and whoever has another may write nothing down.
create function casstore.claim_webhook(p_lease uuid, p_time interval)
returns table (tenant text, id uuid, url text, secret bytea, ops text[], types text[], prefix text, "position" bigint, failures int,
               store uuid)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare l_id uuid;
begin
  -- All tenants' webhooks are delivered by one: it is no business of a transaction that carries somebody's claims.
  if casstore.claimed_tenant() is not null then return; end if;
  select w.id into l_id
    from casstore.webhooks w join casstore.tenants t on t.id = w.tenant_id
   where w.lease = p_lease   -- a repeated call: the first one got it
      or (w.disabled_at is null and t.deleted_at is null and w.next_at <= clock_timestamp()
          and (w.leased_until is null or w.leased_until <= clock_timestamp())
          and exists (select from casstore.log l where l.tenant_id = w.tenant_id and l.seq > w.position))
   order by w.lease is not distinct from p_lease desc, w.next_at limit 1 for update of w skip locked;
  update casstore.webhooks w set lease = p_lease, leased_until = clock_timestamp() + p_time where w.id = l_id;
  return query
    select t.name::text, w.id, w.url, w.secret, w.ops, w.types, w.prefix, w.position, w.failures, s.identity
      from casstore.webhooks w join casstore.tenants t on t.id = w.tenant_id cross join casstore.store s where w.id = l_id;
end $$;
comment on function casstore.claim_webhook is 'A webhook of any tenant that has something to be told, for a while nobody else''s; no row: there is none.';

create function casstore.advance_webhook(p_id uuid, p_lease uuid, p_position bigint, p_time interval) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update casstore.webhooks w
     set position = p_position, failures = 0, failing_since = null, fault = null, told_at = clock_timestamp(),
         leased_until = clock_timestamp() + p_time
   where w.id = p_id and w.lease = p_lease;
  return found;
end $$;
comment on function casstore.advance_webhook is 'Writes down that an event has arrived, and renews the lease. False: it is somebody else''s by now.';

create function casstore.leave_webhook(p_id uuid, p_lease uuid, p_position bigint, p_pause interval) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update casstore.webhooks w
     set position = p_position, next_at = clock_timestamp() + p_pause, lease = null, leased_until = null
   where w.id = p_id and w.lease = p_lease;
  return found;
end $$;
comment on function casstore.leave_webhook is 'Gives a webhook back, up to where everything was told.';

create function casstore.fail_webhook(p_id uuid, p_lease uuid, p_fault text, p_pause interval, p_patience interval) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare l_now timestamptz := clock_timestamp();
begin
  update casstore.webhooks w
     set failures = w.failures + 1, failing_since = coalesce(w.failing_since, l_now), fault = p_fault, next_at = l_now + p_pause,
         disabled_at = case when l_now - coalesce(w.failing_since, l_now) >= p_patience then l_now end, lease = null, leased_until = null
   where w.id = p_id and w.lease = p_lease;
  return found;
end $$;
comment on function casstore.fail_webhook is 'Gives a webhook back that could not be told; one that has failed for longer than the patience is disabled.';

revoke all on all functions in schema casstore from public;
grant execute on function casstore.add_webhook, casstore.webhooks_of, casstore.remove_webhook, casstore.replay_webhook,
  casstore.webhook_secret, casstore.claim_webhook, casstore.advance_webhook, casstore.leave_webhook, casstore.fail_webhook
   to casstore_app;
