-- Deleting a tenant: one row says so, and nobody enters it any more. All of it stays as it was until it is erased.
--
-- Whoever writes for a tenant writes a row of the log, under a lock that all writers of the tenant share; whoever deletes the tenant has
-- that lock alone. So a writer under way ends before, with its row, or comes after, sees that the tenant is deleted and fails.

create function casstore.tenant_meant(p_tenant text) returns casstore.tenants
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_tenant casstore.tenants;
begin
  if coalesce(casstore.claimed_tenant(), p_tenant) = p_tenant then
    select t.* into l_tenant from casstore.tenants t
     where t.name = p_tenant and not exists (select from casstore.journal_keys k where k.tenant_id = t.id and k.erased_at is not null);
  end if;
  if l_tenant.id is null then perform casstore.refuse('tenant_not_found', jsonb_build_object('tenant', p_tenant)); end if;
  return l_tenant;
end $$;
comment on function casstore.tenant_meant is 'The tenant of this name, deleted or not; a refusal where there is none or the claims are another''s.';

-- Two numbers name the lock: that of its kind, and the tenant. The locks of requests have one, of another kind.
create function casstore.refuse_writing() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock_shared(1, new.tenant_id);
  if exists (select from casstore.tenants t where t.id = new.tenant_id and t.deleted_at is not null) then
    perform casstore.refuse('tenant_deleted', jsonb_build_object('tenant', (select t.name from casstore.tenants t where t.id = new.tenant_id)));
  end if;
  return new;
end $$;
comment on function casstore.refuse_writing is 'Lets nothing be written for a tenant that was deleted, also by who entered it before.';
create trigger log_of_the_living before insert on casstore.log for each row
  when (new.op not in ('delete_tenant', 'undelete_tenant', 'erase_tenant')) execute function casstore.refuse_writing();

create type casstore.tenant_row as (name text, created_at timestamptz, deleted_at timestamptz, deleted_by text, reason text);

create function casstore.delete_tenant(p_tenant text, p_actor text, p_reason text) returns casstore.tenant_row
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant casstore.tenants := casstore.tenant_meant(p_tenant);
  l_holds text[];
begin
  perform casstore.share_holds(l_tenant.id);
  perform pg_advisory_xact_lock(1, l_tenant.id);
  l_tenant := casstore.tenant_meant(p_tenant);   -- as it is under the lock
  if l_tenant.deleted_at is null then
    l_holds := casstore.holds_on(l_tenant.id, null, null);
    if l_holds is not null then
      perform casstore.refuse('still_used', jsonb_build_object('name', p_tenant, 'number', null, 'holds', l_holds[1:100], 'pointers', '[]'::jsonb,
        'dependants', '[]'::jsonb, 'count', cardinality(l_holds)));
    end if;
    update casstore.tenants t set deleted_at = clock_timestamp(), deleted_by = p_actor, reason = p_reason
     where t.id = l_tenant.id returning * into l_tenant;
    insert into casstore.log (at, tenant_id, op, detail)
    values (l_tenant.deleted_at, l_tenant.id, 'delete_tenant', jsonb_strip_nulls(jsonb_build_object('actor', p_actor, 'reason', p_reason)));
  end if;
  return (l_tenant.name, l_tenant.created_at, l_tenant.deleted_at, l_tenant.deleted_by, l_tenant.reason)::casstore.tenant_row;
end $$;
comment on function casstore.delete_tenant is 'Hides all of a tenant at once, unless any of it is held; one that is deleted already stays as it is.';

create function casstore.undelete_tenant(p_tenant text, p_actor text, p_reason text) returns casstore.tenant_row
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare l_tenant casstore.tenants := casstore.tenant_meant(p_tenant);
begin
  perform pg_advisory_xact_lock(1, l_tenant.id);
  l_tenant := casstore.tenant_meant(p_tenant);   -- as it is under the lock
  if l_tenant.deleted_at is not null then
    update casstore.tenants t set deleted_at = null, deleted_by = null, reason = null where t.id = l_tenant.id;
    insert into casstore.log (tenant_id, op, detail)
    values (l_tenant.id, 'undelete_tenant', jsonb_strip_nulls(jsonb_build_object('actor', p_actor, 'reason', p_reason)));
  end if;
  return (l_tenant.name, l_tenant.created_at, null, null, null)::casstore.tenant_row;
end $$;
comment on function casstore.undelete_tenant is 'Brings all of a tenant back as it was; one that is not deleted stays as it is.';

create function casstore.show_tenant(p_tenant text) returns casstore.tenant_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare l_tenant casstore.tenants := casstore.tenant_meant(p_tenant);
begin
  return (l_tenant.name, l_tenant.created_at, l_tenant.deleted_at, l_tenant.deleted_by, l_tenant.reason)::casstore.tenant_row;
end $$;
comment on function casstore.show_tenant is 'A tenant, and whether it was deleted.';

revoke all on all functions in schema casstore from public;
