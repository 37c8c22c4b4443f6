-- What the journal says of a tenant is sealed with a key of that tenant's, so that destroying the key erases all of it, in segments that
-- are never changed. The key is kept here and beside the journal, as an object of its own. The format: docs/format.md, "Sealed records".

create table casstore.journal_keys (
  id        uuid not null default gen_random_uuid() constraint journal_keys_key primary key,
  tenant_id int not null constraint journal_keys_tenant references casstore.tenants constraint journal_keys_tenant_key unique,
  secret    bytea constraint journal_keys_secret check (octet_length(secret) = 32),
  is_stored boolean not null default false,
  erased_at timestamptz,
  salt      bytea constraint journal_keys_salt check (octet_length(salt) = 32),
  constraint journal_keys_erased check ((secret is null) = (erased_at is not null) and (salt is null or erased_at is not null))
);
alter table casstore.journal_keys enable row level security;
comment on table  casstore.journal_keys is 'The key that seals what the journal says of a tenant; without it, what is left of an erased one.';
comment on column casstore.journal_keys.id is 'Its name, which sealed records bear.';
comment on column casstore.journal_keys.tenant_id is 'Whose records it seals.';
comment on column casstore.journal_keys.secret is '256 random bits; null when the tenant was erased.';
comment on column casstore.journal_keys.is_stored is 'Whether its object is, or may be, beside the journal.';
comment on column casstore.journal_keys.erased_at is 'When the tenant was erased, from which moment on the key is gone.';
comment on column casstore.journal_keys.salt is 'Of the hashes that are left, while the erasing is under way; then only the receipt has it.';

create table casstore.erased_parts (
  key_id     uuid not null constraint erased_parts_journal_key references casstore.journal_keys,
  hash       bytea not null,
  size_bytes bigint,
  copies     int not null,
  constraint erased_parts_key primary key (key_id, hash)
);
alter table casstore.erased_parts enable row level security;
comment on table  casstore.erased_parts is 'What the receipt of an erasing that is under way will list. Empty when none is.';
comment on column casstore.erased_parts.key_id is 'The key of the tenant.';
comment on column casstore.erased_parts.hash is 'Salted, of a version''s name and number, or of a content''s digest.';
comment on column casstore.erased_parts.size_bytes is 'Of a content; null for a version.';
comment on column casstore.erased_parts.copies is 'How many components of the tenant were this content; 1 for a version.';

-- gen_random_uuid has 122 random bits, from the strong source of the server.
create function casstore.random_secret() returns bytea
language sql volatile set search_path = pg_catalog, pg_temp as $$
  select sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
$$;
comment on function casstore.random_secret is '256 random bits.';

create function casstore.journal_key_for(p_tenant_id int) returns casstore.journal_keys
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare l_key casstore.journal_keys;
begin
  insert into casstore.journal_keys (tenant_id, secret) values (p_tenant_id, casstore.random_secret())
  on conflict on constraint journal_keys_tenant_key do nothing;
  select k.* into l_key from casstore.journal_keys k where k.tenant_id = p_tenant_id;
  return l_key;
end $$;
comment on function casstore.journal_key_for is 'The key of a tenant; makes it where there is none.';

create function casstore.keys_to_store() returns setof uuid
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  perform casstore.journal_key_for(t.id) from casstore.tenants t
   where not exists (select from casstore.journal_keys k where k.tenant_id = t.id);
  return query select k.id from casstore.journal_keys k where k.secret is not null and not k.is_stored;
end $$;
comment on function casstore.keys_to_store is 'Keys whose objects are to be written before anything is sealed with them; makes those that are missing.';

create function casstore.keys_to_remove() returns setof uuid
language sql stable set search_path = pg_catalog, pg_temp as $$
  select k.id from casstore.journal_keys k where k.secret is null and k.is_stored
$$;
comment on function casstore.keys_to_remove is 'Keys of erased tenants whose objects may still be there.';

create function casstore.key_removed(p_key uuid) returns void
language sql volatile set search_path = pg_catalog, pg_temp as $$
  update casstore.journal_keys k set is_stored = false where k.id = p_key and k.secret is null
$$;
comment on function casstore.key_removed is 'Remembers that the object of an erased tenant''s key is gone.';

create function casstore.restore_key(p_key uuid, p_tenant text, p_secret bytea) returns void
language sql volatile set search_path = pg_catalog, pg_temp as $$
  insert into casstore.journal_keys (id, tenant_id, secret, is_stored)
  select p_key, t.id, p_secret, true from casstore.tenants t where t.name = p_tenant on conflict do nothing
$$;
comment on function casstore.restore_key is 'Remembers a key that was found beside the journal.';

revoke all on all functions in schema casstore from public;
