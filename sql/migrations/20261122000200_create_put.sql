-- Putting: one call is one transaction and one round trip. The protocol: docs/architecture.md, "Putting".
--
-- A refusal is an exception with SQLSTATE CS000 whose CONSTRAINT is our error code and whose DETAIL is a JSON object;
-- casstore/catalog/faults.py maps the two. Nothing of a refused call stays.

create function casstore.refuse(p_code text, p_detail jsonb default '{}') returns void
language plpgsql set search_path = '' as $$
begin
  raise exception '%', p_code using errcode = 'CS000', constraint = p_code, detail = p_detail::text;
end $$;
comment on function casstore.refuse is 'Ends the call with an error that casstore knows by its code.';

create function casstore.check_put(p_artifact casstore.artifacts, p_name text, p_type text, p_expect int) returns void
language plpgsql stable set search_path = '' as $$
begin
  if p_artifact.name <> p_name then
    perform casstore.refuse('name_case', jsonb_build_object('name', p_name, 'existing', p_artifact.name));
  elsif p_artifact.type <> p_type then
    perform casstore.refuse('type_mismatch', jsonb_build_object('name', p_name, 'type', p_type, 'existing', p_artifact.type));
  elsif coalesce(p_artifact.head, 0) <> p_expect then
    perform casstore.refuse('head_moved', jsonb_build_object('name', p_name, 'expected', p_expect, 'actual', coalesce(p_artifact.head, 0)));
  end if;
end $$;
comment on function casstore.check_put is 'Refuses a put whose name, type or expected version does not fit the artifact as it stands.';

-- Pin the blobs so that no collector can claim them before this transaction ends, and say what must be uploaded.
-- KEY SHARE conflicts with the collector's FOR UPDATE and with nothing else. Rows are locked in digest order: no deadlocks.
create function casstore.pin_blobs(
  p_digests bytea[], p_sizes bigint[], p_crcs bigint[], p_tickets bigint[], p_generations bigint[], p_lease interval,
  out missing bytea[], out tickets bigint[], out dead bigint[])
language plpgsql volatile set search_path = '' as $$
#variable_conflict use_column
declare
  l_all int := cardinality(p_digests);
  l_known int := 0;
  l_live int;
begin
  if p_tickets is null then
    select count(*), count(*) filter (where b.state = 'l') into l_known, l_live
      from (select x.state from casstore.blobs x where x.digest = any (p_digests) order by x.digest for key share) b;
    if l_live = l_all then return; end if;
  end if;
  if l_all > 1 and (l_known > 0 or p_tickets is not null) then   -- the updates below lock in any order
    perform from casstore.blobs x where x.digest = any (p_digests) order by x.digest for no key update;
  end if;
  if p_tickets is not null then
    -- Pending and uploaded by this caller, under the ticket that is still current, to a generation that is not being deleted.
    -- (By position in the arrays: a join to unnest() may be planned as one over the whole ledger.)
    update casstore.blobs b
       set state = 'l', state_at = now(), lease_until = null, dead = null,
           generation = p_generations[array_position(p_digests, b.digest::bytea)]
     where b.digest = any (p_digests) and b.state = 'p'
       and b.incarnation = p_tickets[array_position(p_digests, b.digest::bytea)]
       and b.dead is distinct from p_generations[array_position(p_digests, b.digest::bytea)];
    get diagnostics l_live = row_count;
    if l_live = l_all then return; end if;
  end if;
  if l_known > 0 or p_tickets is not null then
    -- Condemned but still there: a put takes it back.
    update casstore.blobs b set state = 'l', state_at = now(), lease_until = null
     where b.digest = any (p_digests) and b.state = 'c' and b.generation is not null;
    select count(*) into l_live
      from (select from casstore.blobs x where x.digest = any (p_digests) and x.state = 'l' order by x.digest for key share) b;
    if l_live = l_all then return; end if;
  end if;

  with reserved as (
    insert into casstore.blobs as b (digest, size_bytes, crc32c, state, lease_until)
    select u.digest, u.size_bytes, u.crc32c, 'p', now() + p_lease
      from unnest(p_digests, p_sizes, p_crcs) as u(digest, size_bytes, crc32c)
     where (select x.state from casstore.blobs x where x.digest = u.digest) is distinct from 'l'
     order by u.digest
    on conflict (digest) do update
       set state = 'p', state_at = now(), lease_until = excluded.lease_until, generation = null,
           -- Putters of the same bytes share a ticket; a collector's claim is taken over.
           incarnation = case when b.state = 'p' then b.incarnation else excluded.incarnation end
     where b.state <> 'l'
    returning b.digest, b.incarnation, b.dead)
  select array_agg(r.digest), array_agg(r.incarnation), array_agg(r.dead) into missing, tickets, dead from reserved r;
end $$;
comment on function casstore.pin_blobs is
  'Locks the blobs against collection; settles those just uploaded; reserves the others and answers a ticket for each (null when all are live).';

create function casstore.tenant_for_put(p_tenant text) returns int
language plpgsql volatile set search_path = '' as $$
declare l_id int;
begin
  select t.id into l_id from casstore.tenants t where t.name = p_tenant;
  if l_id is null then
    insert into casstore.tenants (name) values (p_tenant) on conflict on constraint tenants_name_key do nothing;
    select t.id into l_id from casstore.tenants t where t.name = p_tenant;
  end if;
  return l_id;
end $$;
comment on function casstore.tenant_for_put is 'The tenant''s key; makes the tenant when this is its first put.';

create type casstore.put_answer as (
  missing bytea[], tickets bigint[], dead bigint[],                       -- to be uploaded first, or:
  version_id uuid, name text, number int, type text, title text, labels jsonb, manifest bytea, created_at timestamptz,
  reused boolean, new_bytes bigint, repeated boolean);

create function casstore.put_answer_for(p_tenant int, p_id uuid, p_reused boolean, p_repeated boolean)
returns casstore.put_answer language plpgsql stable set search_path = '' as $$
declare l_answer casstore.put_answer;
begin
  select null, null, null, v.id, a.name, v.number, v.type, v.title, v.labels, v.manifest, v.created_at, p_reused, 0, p_repeated
    into l_answer
    from casstore.versions v join casstore.artifacts a on a.id = v.artifact_id
   where v.tenant_id = p_tenant and v.id = p_id;
  return l_answer;
end $$;
comment on function casstore.put_answer_for is 'The answer a put gave when it made or reused this version.';

create function casstore.answered(p_tenant int, p_id uuid, p_again boolean, p_key text, p_fingerprint bytea)
returns casstore.put_answer language plpgsql volatile set search_path = '' as $$
declare l_request casstore.requests; l_answer casstore.put_answer;
begin
  if p_key is not null then
    select * into l_request from casstore.requests r where r.tenant_id = p_tenant and r.key = p_key;
    if l_request.fingerprint <> p_fingerprint then
      perform casstore.refuse('idempotency_key_reused', jsonb_build_object('key', p_key));
    end if;
    if l_request.key is not null then
      l_answer := casstore.put_answer_for(p_tenant, l_request.versions[1], l_request.reused, l_request.versions[1] <> p_id);
    end if;
  elsif p_again then
    l_answer := casstore.put_answer_for(p_tenant, p_id, false, false);
  end if;
  return l_answer;
end $$;
comment on function casstore.answered is
  'The answer of an earlier call of the same request, found by its idempotency key or, after a lost answer, by the version''s own id.';

-- Put one version. Answers `missing` with tickets when bytes have to be uploaded first: then call again with tickets and
-- the generations of the uploaded objects. Otherwise the version is made: this function's COMMIT is the commit point.
-- Lock order: blobs (by digest), then the request's key, then the head.
create function casstore.put_version(
  p_tenant text, p_name text, p_type text, p_id uuid, p_manifest bytea,
  p_roles text[], p_role_digests bytea[], p_role_sizes bigint[], p_media_types text[],    -- one per component
  p_digests bytea[], p_sizes bigint[], p_crcs bigint[],                                   -- one per distinct blob
  p_tickets bigint[], p_generations bigint[], p_lease interval,
  p_title text, p_labels jsonb, p_expect int, p_on_same text,
  p_key text, p_fingerprint bytea, p_again boolean)
returns casstore.put_answer language plpgsql volatile set search_path = ''
-- All statements below are look-ups by key: one plan fits all arguments, and planning again would double the time of a put.
set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off as $$
declare
  l_tenant int := casstore.tenant_for_put(p_tenant);
  l_artifact casstore.artifacts;
  l_head casstore.versions;
  l_answer casstore.put_answer;
  l_twin casstore.put_answer;
  l_at timestamptz;
begin
  l_answer := casstore.answered(l_tenant, p_id, p_again, p_key, p_fingerprint);
  if l_answer.version_id is not null then return l_answer; end if;

  select p.missing, p.tickets, p.dead into l_answer.missing, l_answer.tickets, l_answer.dead
    from casstore.pin_blobs(p_digests, p_sizes, p_crcs, p_tickets, p_generations, p_lease) p;
  if l_answer.missing is not null then
    -- What cannot succeed must not cost an upload: look here, and again under the lock. The artifact is read before the answer
    -- is looked for: a twin that commits between the two is found, never mistaken for someone who moved the head.
    select * into l_artifact from casstore.artifacts a where a.tenant_id = l_tenant and lower(a.name) = lower(p_name);
    l_twin := casstore.answered(l_tenant, p_id, p_again, p_key, p_fingerprint);
    if l_twin.version_id is not null then return l_twin; end if;
    perform casstore.check_put(l_artifact, p_name, p_type, p_expect);
    -- A lost reservation costs an orphan at most (the second call would not find its ticket and reserve anew): no need to
    -- wait for the disk here. See docs/decisions/0006.
    perform set_config('synchronous_commit', 'off', true);
    return l_answer;
  end if;

  if p_key is not null then
    -- Waits for a twin in flight; then either the key is ours, or the twin's answer is visible to the next statement.
    insert into casstore.requests (tenant_id, key, fingerprint, versions) values (l_tenant, p_key, p_fingerprint, array[p_id])
      on conflict on constraint requests_key do nothing;
    if not found then return casstore.answered(l_tenant, p_id, p_again, p_key, p_fingerprint); end if;
  end if;

  loop
    select * into l_artifact from casstore.artifacts a
     where a.tenant_id = l_tenant and lower(a.name) = lower(p_name) for no key update;
    exit when found;
    insert into casstore.artifacts (tenant_id, name, type) values (l_tenant, p_name, coalesce(p_type, 'document'))
      on conflict do nothing;
  end loop;
  if p_again and p_key is null then
    l_answer := casstore.answered(l_tenant, p_id, p_again, p_key, p_fingerprint);   -- the first call may have ended meanwhile
    if l_answer.version_id is not null then return l_answer; end if;
  end if;
  perform casstore.check_put(l_artifact, p_name, p_type, p_expect);

  if l_artifact.head > 0 and p_on_same <> 'new_version' then
    select * into l_head from casstore.versions v where v.artifact_id = l_artifact.id and v.number = l_artifact.head;
    if l_head.manifest = p_manifest and coalesce(p_title = l_head.title, p_title is null)
       and coalesce(p_labels, l_head.labels, '{}') = coalesce(l_head.labels, '{}') then
      if p_on_same = 'error' then
        perform casstore.refuse('same_content', jsonb_build_object('name', p_name, 'number', l_head.number));
      end if;
      insert into casstore.log (tenant_id, op, artifact_id, number, detail)
      values (l_tenant, 'put', l_artifact.id, l_head.number, '{"reused": true}');
      if p_key is not null then
        update casstore.requests r set versions = array[l_head.id], reused = true where r.tenant_id = l_tenant and r.key = p_key;
      end if;
      return casstore.put_answer_for(l_tenant, l_head.id, true, false);
    end if;
  end if;

  select coalesce(sum(u.size_bytes), 0) into l_answer.new_bytes
    from unnest(p_digests, p_sizes) as u(digest, size_bytes)
   where (select true from casstore.components c where c.tenant_id = l_tenant and c.digest = u.digest limit 1) is null;

  l_at := greatest(clock_timestamp(), l_artifact.head_at + interval '1 microsecond');
  update casstore.artifacts a set head = a.head + 1, head_at = l_at where a.id = l_artifact.id;
  insert into casstore.versions (artifact_id, number, tenant_id, id, type, manifest, title, labels, created_at)
  values (l_artifact.id, l_artifact.head + 1, l_tenant, p_id, l_artifact.type, p_manifest, p_title, nullif(p_labels, '{}'), l_at);
  insert into casstore.components (artifact_id, number, role, tenant_id, digest, size_bytes, media_type)
  select l_artifact.id, l_artifact.head + 1, u.role, l_tenant, u.digest, u.size_bytes, u.media_type
    from unnest(p_roles, p_role_digests, p_role_sizes, p_media_types) as u(role, digest, size_bytes, media_type);
  insert into casstore.log (tenant_id, op, artifact_id, number) values (l_tenant, 'put', l_artifact.id, l_artifact.head + 1);

  l_answer.version_id := p_id; l_answer.name := p_name; l_answer.number := l_artifact.head + 1;
  l_answer.type := l_artifact.type; l_answer.title := p_title; l_answer.labels := nullif(p_labels, '{}');
  l_answer.manifest := p_manifest; l_answer.created_at := l_at; l_answer.reused := false; l_answer.repeated := false;
  return l_answer;
end $$;
comment on function casstore.put_version is 'Puts one version, or says which bytes have to be uploaded first. Its COMMIT is the commit point.';

-- A reader found the object missing or altered: the next put of these bytes uploads them. Where someone has repaired it since, the
-- doubt is needless and costs that put one look at the object, which it then adopts. A collector keeps what is referenced.
create function casstore.doubt_blob(p_digest bytea, p_bad_generation bigint) returns boolean
language sql volatile set search_path = '' as $$
  with doubted as (
    update casstore.blobs b
       set state = 'p', state_at = now(), lease_until = now(), incarnation = nextval('casstore.incarnations'),
           dead = p_bad_generation, generation = null
     where b.digest = p_digest and b.state = 'l'
    returning 1)
  select exists (select from doubted)
$$;
comment on function casstore.doubt_blob is 'Takes back the belief that an object is good, so that the next put of the same bytes heals it.';

revoke all on all functions in schema casstore from public;
