-- Erasing a tenant. The first step is one transaction and the point of no return: the key is gone, and the name. What follows takes the
-- rows away in batches, and goes on where an interrupted one ended. By the role that owns the schema.

-- The one change of the log that there is: a row of a tenant that was erased becomes a hash, of itself, and says nothing else any more.
create function casstore.refuse_change_of_log() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  if (new.seq, new.xid, new.tenant_id) is distinct from (old.seq, old.xid, old.tenant_id)
     or old.op = 'erase_tenant' or new.op <> 'erased' or new.artifact_id is not null or new.number is not null or new.key is not null
     or new.detail is distinct from jsonb_build_object('hash', new.detail ->> 'hash')
     or coalesce(new.detail ->> 'hash' !~ '^[0-9a-f]{64}$', true)
     or old.op = 'erased' and new.detail is distinct from old.detail
     or not exists (select from casstore.journal_keys k where k.tenant_id = new.tenant_id and k.erased_at = new.at) then
    raise exception 'rows of casstore.log are never changed or deleted' using errcode = '42501', constraint = 'not_permitted';
  end if;
  return new;
end $$;
comment on function casstore.refuse_change_of_log is 'Guards the log: a row of an erased tenant may become its hash, and nothing else may be done.';
create trigger log_immutable before update on casstore.log for each row execute function casstore.refuse_change_of_log();

create function casstore.erase_key(p_tenant text, out key uuid, out secret bytea)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare l_tenant casstore.tenants := casstore.tenant_meant(p_tenant);
begin
  if l_tenant.deleted_at is null then perform casstore.refuse('tenant_not_deleted', jsonb_build_object('tenant', p_tenant)); end if;
  select k.id, k.secret into key, secret from casstore.journal_key_for(l_tenant.id) k;
  -- Somebody erased it since it was looked up.
  if secret is null then perform casstore.refuse('tenant_not_found', jsonb_build_object('tenant', p_tenant)); end if;
end $$;
comment on function casstore.erase_key is 'The key of a tenant that is deleted, and could be erased.';

create function casstore.erase_begin(p_key uuid, p_salt bytea, p_told jsonb, out erased_at timestamptz, out tenant text)
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  l_key casstore.journal_keys;
  l_tenant casstore.tenants;
begin
  select k.* into l_key from casstore.journal_keys k where k.id = p_key;
  perform pg_advisory_xact_lock(1, l_key.tenant_id);
  select k.* into l_key from casstore.journal_keys k where k.id = p_key for update;
  select t.* into l_tenant from casstore.tenants t where t.id = l_key.tenant_id;
  erase_begin.erased_at := l_key.erased_at;
  erase_begin.tenant := 'erased-' || p_key;
  if l_key.erased_at is not null then return; end if;
  if l_tenant.deleted_at is null then perform casstore.refuse('tenant_not_deleted', jsonb_build_object('tenant', l_tenant.name)); end if;
  erase_begin.erased_at := clock_timestamp();
  update casstore.tenants t set name = erase_begin.tenant, deleted_at = erase_begin.erased_at, deleted_by = 'erased', reason = null, domain = null
   where t.id = l_key.tenant_id;
  -- A domain is often called by its only tenant's name. Its row stays for the blobs that are made with its key.
  lock table casstore.domains in share row exclusive mode;
  update casstore.domains d set name = erase_begin.tenant
   where d.check_value = l_tenant.domain and not exists (select from casstore.tenants t where t.domain = d.check_value);
  update casstore.journal_keys k set secret = null, salt = p_salt, erased_at = erase_begin.erased_at, is_stored = true where k.id = p_key;
  insert into casstore.log (at, tenant_id, op, detail)
  values (erase_begin.erased_at, l_key.tenant_id, 'erase_tenant', p_told || jsonb_build_object('actor', 'erased', 'key', p_key));
end $$;
comment on function casstore.erase_begin is 'Destroys the key and the name of a deleted tenant, for ever. Again it answers the same.';

create function casstore.erasures() returns table (key uuid, salt bytea, erased_at timestamptz, name text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select k.id, k.salt, k.erased_at, l.detail ->> 'name'
    from casstore.journal_keys k join casstore.log l on l.tenant_id = k.tenant_id and l.op = 'erase_tenant' where k.salt is not null
$$;
comment on function casstore.erasures is 'Erasings under way, each with the hash of the tenant''s name.';

create function casstore.erase_records(p_key uuid, p_after bigint, p_limit int) returns table (seq bigint, record jsonb)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select r.seq, r.record
    from (select l.seq from casstore.log l
           where l.tenant_id = (select k.tenant_id from casstore.journal_keys k where k.id = p_key) and l.seq > p_after
             and l.op not in ('erased', 'erase_tenant') order by l.seq limit p_limit) l
   cross join lateral casstore.journal_records(l.seq - 1, l.seq, 1) r order by r.seq
$$;
comment on function casstore.erase_records is 'Rows of the log that still say something of an erased tenant.';

create function casstore.erase_log(
  p_key uuid, p_seqs bigint[], p_hashes text[], p_parts bytea[], p_sizes bigint[], p_copies bigint[]) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare l_key casstore.journal_keys;
begin
  -- Two who erase the same tenant go one after the other, and the second finds the rows done.
  select k.* into l_key from casstore.journal_keys k where k.id = p_key for update;
  if not exists (select from casstore.log l where l.seq = p_seqs[1] and l.op <> 'erased') then return; end if;
  insert into casstore.erased_parts as e (key_id, hash, size_bytes, copies)
  select p_key, u.hash, u.size_bytes, u.copies from unnest(p_parts, p_sizes, p_copies) as u(hash, size_bytes, copies)
  on conflict on constraint erased_parts_key do update set copies = e.copies + excluded.copies;
  update casstore.log l
     set at = l_key.erased_at, op = 'erased', artifact_id = null, number = null, key = null, detail = jsonb_build_object('hash', u.hash)
    from unnest(p_seqs, p_hashes) as u(seq, hash)
   where l.seq = u.seq and l.tenant_id = l_key.tenant_id and l.op <> 'erased';
end $$;
comment on function casstore.erase_log is 'Puts hashes into the place of rows of the log, and what they were about into the receipt.';

create function casstore.erase_rows(p_key uuid, p_limit int) returns int
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := (select k.tenant_id from casstore.journal_keys k where k.id = p_key and k.erased_at is not null);
  l_table text;
  l_count int;
begin
  with gone as (
    delete from casstore.components c
     where c.ctid in (select x.ctid from casstore.components x where x.tenant_id = l_tenant limit p_limit) returning c.digest),
  told as (insert into casstore.dereferenced (digest) select distinct g.digest from gone g)
  select count(*) into l_count from gone;
  -- In an order in which nothing that is left refers to what is gone.
  foreach l_table in array array['webhooks', 'holds', 'retention', 'expiries', 'erased_components', 'sources', 'transitions', 'pointers', 'trash', 'requests', 'versions', 'artifacts'] loop
    exit when l_count > 0;
    execute format('delete from casstore.%1$I x where x.ctid = any (array(select y.ctid from casstore.%1$I y where y.tenant_id = $1 limit $2))',
      l_table) using l_tenant, p_limit;
    get diagnostics l_count = row_count;
  end loop;
  return l_count;
end $$;
comment on function casstore.erase_rows is 'Takes some rows of an erased tenant away, and tells the collector of the bytes; answers how many. Zero: none is left.';

create function casstore.erase_parts(p_key uuid) returns table (hash bytea, size_bytes bigint, copies int)
language sql stable set search_path = pg_catalog, pg_temp as $$
  select e.hash, e.size_bytes, e.copies from casstore.erased_parts e where e.key_id = p_key order by e.hash
$$;
comment on function casstore.erase_parts is 'What the receipt of an erasing lists.';

create function casstore.erase_end(p_key uuid) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  delete from casstore.erased_parts e where e.key_id = p_key;
  update casstore.journal_keys k set salt = null where k.id = p_key and k.erased_at is not null;
end $$;
comment on function casstore.erase_end is 'Forgets the salt: from now on only the receipt can tell what the hashes are of.';

create function casstore.erase_left(p_key uuid) returns table (table_name text, rows bigint)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := (select k.tenant_id from casstore.journal_keys k where k.id = p_key);
  l_table text;
begin
  foreach l_table in array array['artifacts', 'versions', 'components', 'webhooks', 'holds', 'retention', 'expiries', 'erased_components', 'sources', 'transitions', 'pointers', 'trash', 'requests'] loop
    return query execute format('select $2, count(*) from casstore.%I x where x.tenant_id = $1 having count(*) > 0', l_table) using l_tenant, l_table;
  end loop;
  return query select 'log', count(*) from casstore.log l where l.tenant_id = l_tenant and l.op not in ('erased', 'erase_tenant') having count(*) > 0;
  return query select 'journal_keys', count(*) from casstore.journal_keys k
                where k.id = p_key and (k.secret is not null or k.salt is not null) having count(*) > 0;
end $$;
comment on function casstore.erase_left is 'What there still is of a tenant that was to be erased, by table.';

revoke all on all functions in schema casstore from public;
