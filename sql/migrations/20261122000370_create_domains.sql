-- Isolation domains: which tenant's digests are made with which key. The keys themselves never come here; a domain is known by its
-- check value, which follows from its key. See docs/format.md, "Isolation domains", and docs/decisions/0036.

create function casstore.domain_of(p_tenant text) returns table (name text, check_value bytea)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  return query
    select d.name::text, d.check_value::bytea
      from casstore.tenants t join casstore.domains d on d.check_value = t.domain where t.id = l_tenant;
end $$;
comment on function casstore.domain_of is 'The isolation domain of a tenant; no row where it has none, or does not exist.';

create function casstore.domains_known() returns table (name text, check_value bytea, made_at timestamptz, tenants text[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select d.name::text, d.check_value::bytea, d.made_at,
         array(select t.name::text from casstore.tenants t where t.domain = d.check_value order by t.name)
    from casstore.domains d order by d.name
$$;
comment on function casstore.domains_known is 'All isolation domains and the tenants in each. For the role that owns the schema.';

create function casstore.set_domain(p_tenant text, p_name text, p_check bytea, p_actor text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare l_tenant casstore.tenants; l_domain casstore.domains;
begin
  insert into casstore.tenants (name) values (p_tenant) on conflict on constraint tenants_name_key do nothing;
  -- A put that makes the first artifact holds this row by its foreign key, or waits for it here and then looks at the domain again.
  select * into l_tenant from casstore.tenants t where t.name = p_tenant for update;
  lock table casstore.domains in share row exclusive mode;
  insert into casstore.domains (check_value, name) values (p_check, p_name) on conflict do nothing;
  -- What a key is called is for whoever uses it: where that is nobody any more, it may get another name.
  update casstore.domains d set name = p_name
   where d.check_value = p_check and d.name <> p_name and not exists (select from casstore.tenants t where t.domain = p_check)
     and not exists (select from casstore.domains x where x.name = p_name);
  select * into l_domain from casstore.domains d where d.name = p_name;
  if l_domain.check_value is distinct from p_check::casstore.digest then
    perform casstore.refuse('domain_key_wrong', jsonb_build_object('name', p_name, 'known',
      (select d.name from casstore.domains d where d.check_value = p_check)));
  end if;
  if l_tenant.domain = p_check then return false; end if;
  if exists (select from casstore.artifacts a where a.tenant_id = l_tenant.id) then
    perform casstore.refuse('tenant_not_empty', jsonb_build_object('tenant', p_tenant));
  end if;
  update casstore.tenants t set domain = p_check where t.id = l_tenant.id;
  insert into casstore.log (tenant_id, op, detail)
  values (l_tenant.id, 'domain', jsonb_build_object('actor', p_actor, 'domain', p_name, 'check', casstore.digest_text(p_check),
                                                    'made_at', casstore.micros(l_domain.made_at)));
  return true;
end $$;
comment on function casstore.set_domain is
  'Puts a tenant that has no artifacts into an isolation domain, which is made when it is not known. False when it is in it already. For '
  'the role that owns the schema.';

revoke all on all functions in schema casstore from public;
