-- Putting: one call is one transaction and one round trip. The protocol: docs/architecture.md, "Putting".
--
-- A call puts any number of versions, each on its own: what one is refused for does not touch the others, and its answer says so.
-- Elsewhere a refusal is an exception with SQLSTATE CS000 whose CONSTRAINT is our error code and whose DETAIL is a JSON object, and
-- nothing of the refused call stays. casstore/catalog/faults.py maps both.

create function casstore.refuse(p_code text, p_detail jsonb default '{}') returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception '%', p_code using errcode = 'CS000', constraint = p_code, detail = p_detail::text;
end $$;
comment on function casstore.refuse is 'Ends the call with an error that casstore knows by its code.';

-- Pin the blobs so that no collector can claim them before this transaction ends, and say what must be uploaded.
-- KEY SHARE conflicts with the collector's FOR UPDATE and with nothing else. Rows are locked in digest order: no deadlocks.
create function casstore.pin_blobs(
  p_digests bytea[], p_sizes bigint[], p_crcs bigint[], p_tickets bigint[], p_generations bigint[], p_lease interval, p_domain bytea,
  out missing bytea[], out tickets bigint[], out dead bigint[])
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  l_all int := cardinality(p_digests);
  l_known int := 0;
  l_live int;
begin
  if p_tickets is null then
    select count(*), count(*) filter (where b.state = 'l' and b.domain is not distinct from p_domain) into l_known, l_live
      from (select x.state, x.domain from casstore.blobs x where x.digest = any (p_digests) order by x.digest for key share) b;
    if l_live = l_all then return; end if;
  end if;
  if l_all > 1 and (l_known > 0 or p_tickets is not null) then   -- the updates below lock in any order
    perform from casstore.blobs x where x.digest = any (p_digests) and x.state <> 'l' order by x.digest for no key update;
  end if;
  if p_tickets is not null then
    -- Pending and uploaded by this caller, under the ticket that is still current, to a generation that is not being deleted.
    -- (By position in the arrays: a join to unnest() may be planned as one over the whole ledger.) What the reservation said of an object
    -- that was found is said again: a power cut may have taken the reservation, and left the ticket.
    update casstore.blobs b
       set state = 'l', state_at = now(), lease_until = null, dead = null,
           generation = p_generations[array_position(p_digests, b.digest::bytea)],
           size_bytes = p_sizes[array_position(p_digests, b.digest::bytea)],
           crc32c = p_crcs[array_position(p_digests, b.digest::bytea)], domain = p_domain
     where b.digest = any (p_digests) and b.state::text = 'p'   -- the cast keeps the planner off the index of all that is pending
       and b.incarnation = p_tickets[array_position(p_digests, b.digest::bytea)]
       and b.dead is distinct from p_generations[array_position(p_digests, b.digest::bytea)];
    get diagnostics l_live = row_count;
    if l_live = l_all then return; end if;
  end if;
  if l_known > 0 or p_tickets is not null then
    -- Condemned but still there: a put takes it back.
    update casstore.blobs b set state = 'l', state_at = now(), lease_until = null
     where b.digest = any (p_digests) and b.state::text = 'c' and b.generation is not null
       and b.domain is not distinct from p_domain::casstore.digest;
    select count(*) into l_live
      from (select from casstore.blobs x
             where x.digest = any (p_digests) and x.state = 'l' and x.domain is not distinct from p_domain::casstore.digest
             order by x.digest for key share) b;
    if l_live = l_all then return; end if;
  end if;

  with reserved as (
    insert into casstore.blobs as b (digest, size_bytes, crc32c, state, lease_until, domain)
    select u.digest, u.size_bytes, u.crc32c, 'p', now() + p_lease, p_domain
      from unnest(p_digests, p_sizes, p_crcs) as u(digest, size_bytes, crc32c)
     where (select x.state from casstore.blobs x where x.digest = u.digest) is distinct from 'l'
     order by u.digest
    on conflict (digest) do update
       set state = 'p', state_at = now(), lease_until = excluded.lease_until, generation = null,
           -- Of an object that was found, nobody had said.
           size_bytes = excluded.size_bytes, crc32c = excluded.crc32c, domain = excluded.domain,
           -- Putters of the same bytes share a ticket; a collector's claim is taken over.
           incarnation = case when b.state = 'p' then b.incarnation else excluded.incarnation end
     where b.state <> 'l'
    returning b.digest, b.incarnation, b.dead)
  select array_agg(r.digest), array_agg(r.incarnation), array_agg(r.dead) into missing, tickets, dead from reserved r;
  if missing is null
     and exists (select from casstore.blobs x where x.digest = any (p_digests) and x.domain is distinct from p_domain::casstore.digest) then
    -- No bytes have the same digest under two keys: whoever names it has learned it, and not hashed the bytes.
    raise exception 'a digest is that of a blob of another isolation domain' using errcode = '42501';
  end if;
end $$;
comment on function casstore.pin_blobs is
  'Locks the blobs against collection; settles those just uploaded; reserves the others and answers a ticket for each (null when all are live).';

create function casstore.tenant_for_put(p_tenant text) returns int
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare l_id int := casstore.enter(p_tenant);
begin
  if l_id is null then
    if casstore.claimed_tenant() <> p_tenant then
      raise exception 'the claims of this transaction are not those of the tenant' using errcode = '42501';
    end if;
    insert into casstore.tenants (name) values (p_tenant) on conflict on constraint tenants_name_key do nothing;
    l_id := casstore.enter(p_tenant);
  end if;
  return l_id;
end $$;
comment on function casstore.tenant_for_put is 'The tenant''s key; makes the tenant when this is its first put.';

create type casstore.put_answer as (
  missing bytea[], tickets bigint[], dead bigint[],                       -- to be uploaded first, or:
  refused text, detail jsonb,                                             -- the error code and its fields, or:
  version_id uuid, name text, number int, type text, title text, labels jsonb, metadata jsonb, manifest bytea, relations text[],
  created_at timestamptz, actor text, state text, expires_at timestamptz, reused boolean, new_bytes bigint, repeated boolean,
  components jsonb);                                                      -- where they may be others than those put

create function casstore.state_of(p_artifact_id bigint, p_number int) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return coalesce((select max(t.state) from casstore.transitions t where t.artifact_id = p_artifact_id and t.number = p_number), 'draft');
end $$;
comment on function casstore.state_of is 'The lifecycle state of a version.';

create function casstore.source_refusal(p_tenant int, p_sources jsonb, p_earlier uuid[])
returns casstore.put_answer language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare l_answer casstore.put_answer;
begin
  -- Who deletes a version locks its row first and then looks for what was made from it: here the other way round.
  perform from casstore.versions v
    where v.tenant_id = p_tenant and v.id in (select (s.source ->> 0)::uuid from jsonb_array_elements(p_sources) as s(source))
    order by v.id for key share;
  select 'version_not_found', jsonb_build_object('id', s.source ->> 0) into l_answer.refused, l_answer.detail
    from jsonb_array_elements(p_sources) as s(source)
   where (s.source ->> 0)::uuid <> all (p_earlier)
     and not exists (select from casstore.versions v where v.tenant_id = p_tenant and v.id = (s.source ->> 0)::uuid
                        and not exists (select from casstore.trash t where t.artifact_id = v.artifact_id and t.number = v.number))
   limit 1;
  return l_answer;
end $$;
comment on function casstore.source_refusal is
  'Why these sources ([[id, role], …]) cannot be: one is neither a version of the tenant''s nor among the puts before. Empty when all are.';
create function casstore.sources_for(p_tenant int, p_sources jsonb, p_ids uuid[], p_answers casstore.put_answer[])
returns setof casstore.sources language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select null::bigint, null::int, s.place::int, p_tenant, v.artifact_id, v.number, (s.source ->> 1)::casstore.role_name
      from jsonb_array_elements(p_sources) with ordinality as s(source, place)
      join casstore.versions v on v.tenant_id = p_tenant
       -- Of a put of this call the answer counts: it may have reused a version.
       and v.id = coalesce((p_answers[array_position(p_ids, (s.source ->> 0)::uuid)]).version_id, (s.source ->> 0)::uuid)
     order by s.place;
end $$;
comment on function casstore.sources_for is 'These sources ([[id, role], …]) as rows for a version that is still to be named.';

create function casstore.has_sources(p_tenant int, p_artifact_id bigint, p_number int, p_sources jsonb, p_ids uuid[], p_answers casstore.put_answer[])
returns boolean language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return not exists (
    select from (select x.place, x.source_artifact_id, x.source_number, x.role from casstore.sources x
                  where x.artifact_id = p_artifact_id and x.number = p_number) has
      full join (select x.place, x.source_artifact_id, x.source_number, x.role
                   from casstore.sources_for(p_tenant, p_sources, p_ids, p_answers) x) given
        on (has.place, has.source_artifact_id, has.source_number, has.role)
         = (given.place, given.source_artifact_id, given.source_number, given.role)
     where has.place is null or given.place is null);
end $$;
comment on function casstore.has_sources is 'Whether a version was made from exactly these sources, in their order.';

create function casstore.put_refusal(
  p_name text, p_type text, p_expect int, p_kinds text[], p_artifact text, p_artifact_type text, p_head int)
returns casstore.put_answer language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare l_answer casstore.put_answer;
begin
  if p_artifact <> p_name then
    l_answer.refused := 'name_case';
    l_answer.detail := jsonb_build_object('name', p_name, 'existing', p_artifact);
  elsif p_artifact_type <> p_type then
    l_answer.refused := 'type_mismatch';
    l_answer.detail := jsonb_build_object('name', p_name, 'type', p_type, 'existing', p_artifact_type);
  elsif p_type is null and p_artifact_type = any (p_kinds) then
    l_answer.refused := 'type_unchecked';
    l_answer.detail := jsonb_build_object('name', p_name, 'type', p_artifact_type);
  elsif coalesce(p_head, 0) <> p_expect then
    l_answer.refused := 'head_moved';
    l_answer.detail := jsonb_build_object('name', p_name, 'expected', p_expect, 'actual', coalesce(p_head, 0));
  end if;
  return l_answer;
end $$;
comment on function casstore.put_refusal is
  'Why a put does not fit the artifact as it stands: its name, type or expected version. Empty when it fits. type_unchecked: the caller '
  'named no type, and has a kind for the artifact''s, which is to look at the components first.';

-- Components that are to be rows at the end of the call are in the arrays of put_versions alone: p_head_put says of which put.
create function casstore.means_same(
  p_artifact_id bigint, p_number int, p_relations text, p_put int, p_head_put int,
  p_puts bigint[], p_roles text[], p_role_digests bytea[], p_media_types text[], p_pixels bytea[], p_meanings bytea[])
returns boolean language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return not exists (
      with given as (
        select u.put, u.role, u.digest, u.media_type, coalesce(u.meaning, u.pixels) as meaning
          from unnest(p_puts, p_roles, p_role_digests, p_media_types, p_pixels, p_meanings)
            as u(put, role, digest, media_type, pixels, meaning)
         where u.put in (p_put, p_head_put))
      select from (select c.role::text, c.digest::bytea, c.media_type, coalesce(c.meaning, c.pixels)::bytea as meaning
                     from casstore.components c
                    where p_head_put is null and c.artifact_id = p_artifact_id and c.number = p_number
                   union all select g.role, g.digest, g.media_type, g.meaning from given g where g.put = p_head_put) h
        full join (select * from given g where g.put = p_put) g on g.role = h.role
       where (h.media_type = g.media_type and (h.digest = g.digest or h.meaning = g.meaning)) is not true)
    and (select v.relations is not distinct from string_to_array(p_relations, chr(10))
           from casstore.versions v where v.artifact_id = p_artifact_id and v.number = p_number);
end $$;
comment on function casstore.means_same is
  'Whether each component of a put has the bytes of the version''s of that role, or a digest of its meaning that is the same. What has no such '
  'digest is the same by its bytes only.';

-- Whoever put the same content relies on the version: it lives as long as the longest of them asked for, and for ever where one did not say.
create function casstore.outlive(p_tenant int, p_artifact_id bigint, p_number int, p_ttl bigint, p_actor text) returns timestamptz
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  l_now timestamptz := clock_timestamp();
  l_asked timestamptz := l_now + p_ttl * interval '1 second';
  l_until timestamptz := (select e.expires_at from casstore.expiries e where e.artifact_id = p_artifact_id and e.number = p_number);
begin
  if l_until is null or l_asked <= l_until then return l_until; end if;
  if l_asked is null then
    delete from casstore.expiries e where e.artifact_id = p_artifact_id and e.number = p_number;
  else
    update casstore.expiries e set expires_at = l_asked, actor = p_actor, reason = null
     where e.artifact_id = p_artifact_id and e.number = p_number;
  end if;
  insert into casstore.log (at, tenant_id, op, artifact_id, number, detail)
  values (l_now, p_tenant, 'expire', p_artifact_id, p_number,
          jsonb_strip_nulls(jsonb_build_object('expires_at', casstore.micros(l_asked), 'actor', p_actor)));
  return l_asked;
end $$;
comment on function casstore.outlive is
  'Lets a version that answers one more put live as long as that put asks for: so many seconds, or for ever; never shorter than before. '
  'Answers when it expires now. Its artifact is locked.';

create function casstore.put_answer_for(p_tenant int, p_id uuid, p_reused boolean, p_repeated boolean)
returns casstore.put_answer language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_answer casstore.put_answer;
begin
  select null, null, null, null, null, v.id, a.name, v.number, v.type, v.title, v.labels, v.metadata, v.manifest, v.relations,
         v.created_at, v.actor, casstore.state_of(v.artifact_id, v.number), e.expires_at, p_reused, 0, p_repeated, null
    into l_answer
    from casstore.versions v join casstore.artifacts a on a.id = v.artifact_id
    left join casstore.expiries e on e.artifact_id = v.artifact_id and e.number = v.number
   where v.tenant_id = p_tenant and v.id = p_id;
  return l_answer;
end $$;
comment on function casstore.put_answer_for is 'The answer a put gave when it made or reused this version.';

-- The version that answers a put is not always of the put's own bytes: it may mean the same.
create function casstore.with_components(p_answer casstore.put_answer, p_manifest bytea)
returns casstore.put_answer language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if p_answer.manifest <> p_manifest then
    select coalesce(jsonb_agg(jsonb_build_array(c.role, encode(c.digest, 'hex'), c.size_bytes, c.media_type, encode(c.pixels, 'hex'), c.width,
                                                c.height, encode(c.meaning, 'hex'), encode(c.layout, 'hex')) order by c.role), '[]')
      into p_answer.components
      from casstore.versions v join casstore.components c on c.artifact_id = v.artifact_id and c.number = v.number
     where v.id = p_answer.version_id;
  end if;
  return p_answer;
end $$;
comment on function casstore.with_components is
  'The answer of a put, with the components of its version unless the put had this manifest; none where the version was purged.';

create function casstore.answered(p_tenant int, p_id uuid, p_again boolean, p_key text, p_fingerprint bytea)
returns casstore.put_answer language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare l_request casstore.requests; l_answer casstore.put_answer;
begin
  if p_key is not null then
    select * into l_request from casstore.requests r where r.tenant_id = p_tenant and r.key = p_key;
    if l_request.fingerprint <> p_fingerprint then
      l_answer.refused := 'idempotency_key_reused';
      l_answer.detail := jsonb_build_object('key', p_key);
    elsif l_request.key is not null then
      l_answer := casstore.put_answer_for(p_tenant, l_request.versions[1], l_request.reused[1], l_request.versions[1] <> p_id);
    end if;
  elsif p_again then
    l_answer := casstore.put_answer_for(p_tenant, p_id, false, false);
  end if;
  return l_answer;
end $$;
comment on function casstore.answered is
  'The answer of an earlier call of the same request, found by its idempotency key or, after a lost answer, by the version''s own id.';

create function casstore.answer_to(p_tenant text, p_key text, p_fingerprint bytea) returns setof casstore.put_answer
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_answer casstore.put_answer := casstore.answered(l_tenant, null, false, p_key, p_fingerprint);
begin
  if l_answer.refused is not null then
    return next l_answer;
  elsif l_answer.version_id is not null then
    l_answer.repeated := true;
    return next casstore.with_components(l_answer, '');
  end if;
end $$;
comment on function casstore.answer_to is
  'What was answered under an idempotency key: for who has to know it before the put can be made. No row where the key is free.';

-- FOR UPDATE keeps the inner query apart, so that each name is looked up by its key whatever the planner believes of the table.
create function casstore.lock_artifacts(
  p_tenant int, p_lower text[],
  out ids bigint[], out names text[], out types text[], out heads int[], out latests int[], out head_ats timestamptz[])
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
  select array_agg(a.id), array_agg(a.name::text), array_agg(a.type::text), array_agg(a.head), array_agg(a.latest),
         array_agg(a.head_at)
    into ids, names, types, heads, latests, head_ats
    from unnest(p_lower) as w(name)
    left join lateral (
      select x.* from casstore.artifacts x where x.tenant_id = p_tenant and x.folded = w.name for no key update) a on true;
end $$;
comment on function casstore.lock_artifacts is 'The artifacts of these names (in lower case), locked in their order; nulls where there is none.';

-- Put versions, each on its own, and answer one row for each, in their order. A row has `missing` with tickets when bytes have to be
-- uploaded first: then call again with the tickets and the generations of the uploaded objects. Or it says what the put is refused
-- for. Otherwise the version is made: this function's COMMIT is the commit point. No idempotency key may stand in a call twice.
-- With p_whole all are made or none: none while bytes of any have to be uploaded, and the call fails if any is refused.
-- Lock order: blobs (by digest), requests (by key), heads (by name).
create function casstore.put_versions(
  p_tenant text, p_names text[], p_types text[], p_ids uuid[], p_manifests bytea[],       -- one per put, down to p_fingerprints
  p_relations text[], p_titles text[], p_labels jsonb[], p_metadatas jsonb[], p_sources jsonb[],
  p_expects bigint[], p_on_same text[], p_keys text[], p_fingerprints bytea[],
  p_puts bigint[], p_roles text[], p_role_digests bytea[], p_role_sizes bigint[], p_media_types text[],   -- one per component
  p_pixels bytea[], p_widths bigint[], p_heights bigint[],                                -- likewise; null where nothing is a picture
  p_digests bytea[], p_sizes bigint[], p_crcs bigint[],                                                   -- one per distinct blob
  p_tickets bigint[], p_generations bigint[], p_lease interval, p_kinds text[], p_again boolean, p_whole boolean,
  p_also text[] default '{}',                                                                             -- locked with the names
  p_domain bytea default null,                                                                            -- that the digests are made in
  p_meanings bytea[] default null, p_layouts bytea[] default null,                                        -- one per component
  p_ttls bigint[] default null, p_actors text[] default null)                                             -- one per put: seconds, and who
returns setof casstore.put_answer language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
-- All statements below are look-ups by key: one plan fits all arguments, and planning again would double the time of a put.
set plan_cache_mode = 'force_generic_plan' set enable_seqscan = off as $$
declare
  l_tenant int := casstore.tenant_for_put(p_tenant);
  l_open boolean[] := array_fill(true, array[cardinality(p_ids)]);
  l_answers casstore.put_answer[];
  l_answer casstore.put_answer;
  l_keyed boolean := array_remove(p_keys, null) <> '{}';
  l_missing bytea[]; l_tickets bigint[]; l_dead bigint[];
  l_row record;
  l_locked record;
  -- The artifacts of the call, locked, in the order of their names, and their latest versions as the puts below move them. (The head
  -- is the last number that was given: another one where that version is in the trash.)
  l_lower text[];
  l_artifacts bigint[]; l_names text[]; l_types text[];
  l_heads int[]; l_latests int[]; l_head_ats timestamptz[]; l_head_ids uuid[]; l_head_manifests bytea[]; l_head_titles text[]; l_head_labels jsonb[];
  l_head_metadatas jsonb[]; l_head_actors text[];
  l_made_ats timestamptz[];
  l_losers jsonb;
  l_at int;   -- an artifact's place in these arrays
  l_unsent casstore.put_answer[];   -- by put: what is to be uploaded first, unless the head means the same
  l_head_puts int[];   -- which put of this call has made the head, if any
  l_is_same boolean;
  l_made int[] := '{}'; l_made_artifacts bigint[] := '{}'; l_made_numbers int[] := '{}';
  l_novel bytea[];
  l_durable boolean := false;
begin
  if current_setting('casstore.domain') <> coalesce(encode(p_domain, 'hex'), '') and cardinality(p_ids) > 0 then
    perform casstore.refuse('domain_changed', jsonb_build_object('tenant', p_tenant));
  end if;
  if l_keyed or p_again then
    for i in 1 .. cardinality(p_ids) loop
      l_answers[i] := casstore.answered(l_tenant, p_ids[i], p_again, p_keys[i], p_fingerprints[i]);
      l_open[i] := (l_answers[i]).version_id is null and (l_answers[i]).refused is null;
    end loop;
  end if;

  if true = any (l_open) then
    select b.missing, b.tickets, b.dead into l_missing, l_tickets, l_dead
      from casstore.pin_blobs(p_digests, p_sizes, p_crcs, p_tickets, p_generations, p_lease, p_domain) b;
    if l_missing is not null then
      -- What cannot succeed must not cost an upload: look here, and again under the lock. The artifact is read before the answer
      -- is looked for: a twin that commits between the two is found, never mistaken for someone who moved the head.
      for l_row in
        select u.put, m.missing, m.tickets, m.dead, a.name, a.type, a.latest,
               exists (select from unnest(p_names) with ordinality as e(name, put) where e.put < u.put and lower(e.name) = lower(u.name))
                 as follows
          from unnest(p_names) with ordinality as u(name, put)
          left join (select r.put, array_agg(b.digest) as missing, array_agg(b.ticket) as tickets, array_agg(b.dead) as dead
                       from (select distinct c.put, c.digest from unnest(p_puts, p_role_digests) as c(put, digest)) r
                       join unnest(l_missing, l_tickets, l_dead) as b(digest, ticket, dead) on b.digest = r.digest
                      group by r.put) m on m.put = u.put
          left join casstore.artifacts a on a.tenant_id = l_tenant and a.folded = lower(u.name)
         where l_open[u.put] and (m.put is not null or p_whole)
      loop
        l_answer := null;
        if l_keyed or p_again then
          l_answer := casstore.answered(l_tenant, p_ids[l_row.put], p_again, p_keys[l_row.put], p_fingerprints[l_row.put]);
        end if;
        if l_answer.version_id is null and l_answer.refused is null then
          if not (p_whole and l_row.follows) then   -- one that follows another of the call meets what that one leaves
            l_answer := casstore.put_refusal(
              p_names[l_row.put], p_types[l_row.put], p_expects[l_row.put]::int, p_kinds, l_row.name, l_row.type, l_row.latest);
          end if;
          if l_answer.refused is null and p_sources[l_row.put] is not null then
            l_answer := casstore.source_refusal(l_tenant, p_sources[l_row.put], p_ids[1:l_row.put - 1]);
          end if;
          if l_answer.refused is null then
            l_answer.missing := l_row.missing; l_answer.tickets := l_row.tickets; l_answer.dead := l_row.dead;
            if p_on_same[l_row.put] = 'semantic' and l_row.latest > 0 and not p_whole then   -- bytes that nobody may need
              l_unsent[l_row.put] := l_answer;
              continue;
            end if;
          end if;
        end if;
        l_answers[l_row.put] := l_answer;
        l_open[l_row.put] := false;
      end loop;
    end if;
  end if;

  if l_keyed then
    -- Waits for a twin in flight; then either the key is ours, or the twin's answer is visible to the next statement.
    for l_row in
      with asked as (
        select u.put, u.key, u.fingerprint, u.id
          from unnest(p_keys, p_fingerprints, p_ids) with ordinality as u(key, fingerprint, id, put)
         where u.key is not null and l_open[u.put]),
      taken as (
        insert into casstore.requests (tenant_id, key, fingerprint, versions, reused)
        select l_tenant, a.key, a.fingerprint, array[a.id], array[false] from asked a order by a.key
        on conflict on constraint requests_key do nothing
        returning key)
      select a.put from asked a where a.key not in (select t.key from taken t)
    loop
      l_answers[l_row.put] := casstore.answered(l_tenant, p_ids[l_row.put], p_again, p_keys[l_row.put], p_fingerprints[l_row.put]);
      l_open[l_row.put] := false;
    end loop;
  end if;

  if true = any (l_open) or (l_missing is null and p_also <> '{}') then
    select array_agg(distinct lower(u.name) collate "C") into l_lower
      from unnest(p_names || p_also) with ordinality as u(name, put) where coalesce(l_open[u.put], true);
    select * into l_locked from casstore.lock_artifacts(l_tenant, l_lower);
    -- After the artifacts that are there are locked, as who deletes a version does it, and before any is made: a put that is refused
    -- must not leave one without versions.
    for i in 1 .. cardinality(p_ids) loop
      continue when not l_open[i] or p_sources[i] is null;
      l_answer := casstore.source_refusal(l_tenant, p_sources[i], p_ids[1:i - 1]);
      if l_answer.refused is not null then
        l_answers[i] := l_answer; l_open[i] := false;
        delete from casstore.requests r where r.tenant_id = l_tenant and r.key = p_keys[i];   -- a refusal uses up no key
      end if;
    end loop;
    if array_position(l_locked.ids, null) is not null then
      -- Names that are new, unless no put may make them.
      insert into casstore.artifacts (tenant_id, name, type)
      select distinct on (lower(u.name)) l_tenant, u.name, coalesce(u.type, 'document')
        from unnest(p_names, p_types, p_expects) with ordinality as u(name, type, expect, put)
       where l_open[u.put] and coalesce(u.expect, 0) = 0
       order by lower(u.name), u.put
      on conflict do nothing;
      -- The first artifact's foreign key has waited for who was giving the tenant a domain.
      if (select t.domain from casstore.tenants t where t.id = l_tenant) is distinct from p_domain::casstore.digest then
        perform casstore.refuse('domain_changed', jsonb_build_object('tenant', p_tenant));
      end if;
      select * into l_locked from casstore.lock_artifacts(l_tenant, l_lower);
    end if;
    l_artifacts := l_locked.ids; l_names := l_locked.names; l_types := l_locked.types;
    l_heads := l_locked.heads; l_latests := l_locked.latests; l_head_ats := l_locked.head_ats;
    select array_agg(v.id order by h.place), array_agg(v.manifest::bytea order by h.place), array_agg(v.title order by h.place),
           array_agg(v.labels order by h.place), array_agg(v.metadata order by h.place), array_agg(v.created_at order by h.place),
           array_agg(v.actor order by h.place)
      into l_head_ids, l_head_manifests, l_head_titles, l_head_labels, l_head_metadatas, l_made_ats, l_head_actors
      from unnest(l_artifacts, l_latests) with ordinality as h(artifact_id, number, place)
      left join casstore.versions v on v.artifact_id = h.artifact_id and v.number = h.number;
  end if;

  for i in 1 .. cardinality(p_ids) loop
    continue when not l_open[i];
    if p_again and p_keys[i] is null then
      l_answers[i] := casstore.answered(l_tenant, p_ids[i], p_again, null, null);   -- the first call may have ended meanwhile
      continue when (l_answers[i]).version_id is not null;
    end if;
    l_at := array_position(l_lower, lower(p_names[i]));
    l_answer := case when l_heads[l_at] > 0
      then casstore.put_refusal(p_names[i], p_types[i], p_expects[i]::int, p_kinds, l_names[l_at], l_types[l_at], l_latests[l_at])
      else casstore.put_refusal(p_names[i], p_types[i], p_expects[i]::int, null, null, null, 0) end;   -- who makes it gave it its name
    l_is_same := l_head_manifests[l_at] = p_manifests[i];
    if l_answer.refused is null and l_latests[l_at] > 0 and p_on_same[i] = 'semantic' and not l_is_same then
      l_is_same := casstore.means_same(l_artifacts[l_at], l_latests[l_at], p_relations[i], i, l_head_puts[l_at],
        p_puts, p_roles, p_role_digests, p_media_types, p_pixels, p_meanings);
    end if;
    if l_answer.refused is null and l_latests[l_at] > 0 and p_on_same[i] <> 'new_version'
       and not exists (select from casstore.erased_components e where e.artifact_id = l_artifacts[l_at] and e.number = l_latests[l_at])
       and l_is_same and coalesce(p_titles[i] = l_head_titles[l_at], p_titles[i] is null)
       and coalesce(p_labels[i], l_head_labels[l_at], '{}') = coalesce(l_head_labels[l_at], '{}')
       and coalesce(p_metadatas[i], l_head_metadatas[l_at], '{}') = coalesce(l_head_metadatas[l_at], '{}')
       and (p_sources[i] is null
            or casstore.has_sources(l_tenant, l_artifacts[l_at], l_latests[l_at], p_sources[i], p_ids, l_answers)) then
      if p_on_same[i] = 'error' then
        l_answer.refused := 'same_content';
        l_answer.detail := jsonb_build_object('name', p_names[i], 'number', l_latests[l_at]);
      else
        l_answer.reused := true;
        if p_keys[i] is not null then
          update casstore.requests r set versions = array[l_head_ids[l_at]], reused = array[true]
           where r.tenant_id = l_tenant and r.key = p_keys[i];
        end if;
      end if;
    end if;
    if l_answer.refused is null and l_answer.reused is null and (l_unsent[i]).missing is not null then
      l_answer := l_unsent[i];
    end if;
    if l_answer.refused is not null or l_answer.missing is not null then
      if p_keys[i] is not null then
        delete from casstore.requests r where r.tenant_id = l_tenant and r.key = p_keys[i];   -- a refusal uses up no key
      end if;
    else
      if l_answer.reused is null then
        l_answer.reused := false;
        l_heads[l_at] := l_heads[l_at] + 1; l_latests[l_at] := l_heads[l_at];
        l_head_ats[l_at] := greatest(clock_timestamp(), l_head_ats[l_at] + interval '1 microsecond');
        l_head_puts[l_at] := i;
        l_made_ats[l_at] := l_head_ats[l_at]; l_head_ids[l_at] := p_ids[i]; l_head_manifests[l_at] := p_manifests[i]; l_head_titles[l_at] := p_titles[i];
        l_head_labels[l_at] := nullif(p_labels[i], '{}'); l_head_metadatas[l_at] := nullif(p_metadatas[i], '{}');
        l_head_actors[l_at] := p_actors[i];
        update casstore.artifacts a set head = l_heads[l_at], latest = l_heads[l_at], head_at = l_head_ats[l_at]
         where a.id = l_artifacts[l_at];
        insert into casstore.versions
          (artifact_id, number, tenant_id, id, type, manifest, relations, title, labels, metadata, created_at, actor)
        values (l_artifacts[l_at], l_heads[l_at], l_tenant, p_ids[i], l_types[l_at], p_manifests[i],
                string_to_array(p_relations[i], chr(10)), p_titles[i], l_head_labels[l_at], l_head_metadatas[l_at], l_head_ats[l_at], p_actors[i]);
        if p_sources[i] is not null then
          insert into casstore.sources (artifact_id, number, place, tenant_id, source_artifact_id, source_number, role)
          select l_artifacts[l_at], l_heads[l_at], s.place, l_tenant, s.source_artifact_id, s.source_number, s.role
            from casstore.sources_for(l_tenant, p_sources[i], p_ids, l_answers) s;
        end if;
        l_answer.expires_at := l_head_ats[l_at] + p_ttls[i] * interval '1 second';
        if l_answer.expires_at is not null then
          insert into casstore.expiries (artifact_id, number, tenant_id, expires_at, actor)
          values (l_artifacts[l_at], l_heads[l_at], l_tenant, l_answer.expires_at, p_actors[i]);
        end if;
        l_made := l_made || i; l_made_artifacts := l_made_artifacts || l_artifacts[l_at]; l_made_numbers := l_made_numbers || l_heads[l_at];
      else
        l_answer.expires_at := casstore.outlive(l_tenant, l_artifacts[l_at], l_latests[l_at], p_ttls[i], p_actors[i]);
      end if;
      insert into casstore.log (tenant_id, op, artifact_id, number, detail, key)
      values (l_tenant, 'put', l_artifacts[l_at], l_latests[l_at],
              nullif(jsonb_strip_nulls(jsonb_build_object(
                'reused', nullif(l_answer.reused, false), 'differs', nullif(l_head_manifests[l_at] <> p_manifests[i], false),
                'expires_at', case when not l_answer.reused then casstore.micros(l_answer.expires_at) end, 'actor', p_actors[i])), '{}'),
              p_keys[i]);
      l_durable := true;
      l_answer.version_id := l_head_ids[l_at]; l_answer.name := p_names[i]; l_answer.number := l_latests[l_at];
      l_answer.type := l_types[l_at]; l_answer.title := l_head_titles[l_at]; l_answer.labels := l_head_labels[l_at];
      l_answer.metadata := l_head_metadatas[l_at];
      l_answer.state := case when l_answer.reused then casstore.state_of(l_artifacts[l_at], l_latests[l_at]) else 'draft' end;
      if p_tickets is not null and l_answer.reused and l_head_manifests[l_at] <> p_manifests[i] then
        -- Bytes were uploaded that nobody refers to: for the collector.
        insert into casstore.dereferenced (digest)
        select distinct u.digest from unnest(p_puts, p_role_digests) as u(put, digest) where u.put = i;
      end if;
      l_answer.manifest := l_head_manifests[l_at]; l_answer.relations := string_to_array(p_relations[i], chr(10));
      l_answer.created_at := l_made_ats[l_at]; l_answer.actor := l_head_actors[l_at]; l_answer.new_bytes := 0; l_answer.repeated := false;
    end if;
    l_answers[i] := l_answer;
  end loop;

  if p_whole then
    select jsonb_agg(u.detail || jsonb_build_object('code', u.refused, 'put', u.put - 1) order by u.put) into l_losers
      from (select x.put, (x.answer).refused, (x.answer).detail
              from (select g.put, l_answers[g.put] as answer from generate_series(1, cardinality(p_ids)) as g(put)) x) u
     where u.refused is not null;
    if l_losers is not null then perform casstore.refuse('transaction_refused', jsonb_build_object('refused', l_losers)); end if;
  end if;

  if l_made <> '{}' then
    -- What the tenant did not hold before, counted for the first put of the call that brings it.
    select array_agg(u.digest) into l_novel from unnest(p_digests) as u(digest)
     where (select true from casstore.components x where x.tenant_id = l_tenant and x.digest = u.digest limit 1) is null;
    if l_novel is not null then
      for l_row in
        select f.put, sum(f.size_bytes) as size_bytes
          from (select distinct on (c.digest) c.put, c.size_bytes
                  from unnest(p_puts, p_role_digests, p_role_sizes) as c(put, digest, size_bytes)
                 where c.put = any (l_made) and c.digest = any (l_novel) order by c.digest, c.put) f
         group by f.put
      loop
        l_answer := l_answers[l_row.put]; l_answer.new_bytes := l_row.size_bytes; l_answers[l_row.put] := l_answer;
      end loop;
    end if;
    insert into casstore.components (artifact_id, number, role, tenant_id, digest, size_bytes, media_type, pixels, width, height, meaning, layout)
    select l_made_artifacts[c.place], l_made_numbers[c.place], c.role, l_tenant, c.digest, c.size_bytes, c.media_type,
           c.pixels, c.width, c.height, c.meaning, c.layout
      from (select array_position(l_made, u.put::int) as place, u.*
              from unnest(p_puts, p_roles, p_role_digests, p_role_sizes, p_media_types, p_pixels, p_widths, p_heights, p_meanings, p_layouts)
                as u(put, role, digest, size_bytes, media_type, pixels, width, height, meaning, layout)) c
     where c.place is not null;
  end if;
  if not l_durable and (l_missing is not null or not p_whole) then
    -- A lost reservation costs an orphan at most (the second call would not find its ticket and reserve anew): no need to
    -- wait for the disk here. See docs/decisions/0006.
    perform set_config('synchronous_commit', 'off', true);
  end if;

  for i in 1 .. cardinality(p_ids) loop return next casstore.with_components(l_answers[i], p_manifests[i]); end loop;
end $$;
comment on function casstore.put_versions is
  'Puts versions, each on its own, or says which bytes have to be uploaded first. Its COMMIT is the commit point.';

-- Put versions and move pointers, all or none, under one idempotency key. Answers as put_versions; with `missing` nothing has been done.
create function casstore.put_transaction(
  p_tenant text, p_key text, p_fingerprint bytea,
  p_names text[], p_types text[], p_ids uuid[], p_manifests bytea[], p_relations text[], p_titles text[], p_labels jsonb[],
  p_metadatas jsonb[], p_sources jsonb[], p_expects bigint[], p_on_same text[],
  p_puts bigint[], p_roles text[], p_role_digests bytea[], p_role_sizes bigint[], p_media_types text[],
  p_pixels bytea[], p_widths bigint[], p_heights bigint[],
  p_digests bytea[], p_sizes bigint[], p_crcs bigint[],
  p_tickets bigint[], p_generations bigint[], p_lease interval, p_kinds text[],
  p_move_names text[], p_move_kinds text[], p_move_numbers bigint[], p_move_texts text[], p_move_instants timestamptz[],
  p_move_pointers text[], p_move_tags boolean[], p_move_expects bigint[],                 -- an alias or tag, or
  p_move_states text[], p_move_actors text[], p_move_reasons text[],                      -- a step of the lifecycle
  p_domain bytea default null, p_meanings bytea[] default null, p_layouts bytea[] default null, p_ttls bigint[] default null,
  p_actor text default null)                                                              -- of the puts, aliases and tags
returns setof casstore.put_answer language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.tenant_for_put(p_tenant);
  l_request casstore.requests;
  l_answers casstore.put_answer[];
  l_none text[] := array_fill(null::text, array[cardinality(p_ids)]);
  l_state text;
begin
  perform pg_advisory_xact_lock(hashtextextended(p_key, l_tenant));   -- twins go one after the other
  select * into l_request from casstore.requests r where r.tenant_id = l_tenant and r.key = p_key;
  if l_request.fingerprint <> p_fingerprint then
    perform casstore.refuse('idempotency_key_reused', jsonb_build_object('key', p_key));
  elsif l_request.key is not null then
    return query
      select a.* from unnest(l_request.versions, l_request.reused) with ordinality as v(id, reused, place)
        cross join lateral casstore.put_answer_for(l_tenant, v.id, v.reused, not l_request.versions && p_ids) f
        cross join lateral casstore.with_components(f, p_manifests[v.place]) a
       order by v.place;
    return;
  end if;

  select array_agg(a) into l_answers
    from casstore.put_versions(
      p_tenant, p_names, p_types, p_ids, p_manifests, p_relations, p_titles, p_labels, p_metadatas, p_sources, p_expects, p_on_same,
      l_none, p_manifests,
      p_puts, p_roles, p_role_digests, p_role_sizes, p_media_types, p_pixels, p_widths, p_heights, p_digests, p_sizes, p_crcs,
      p_tickets, p_generations, p_lease, p_kinds, false, true, p_move_names, p_domain, p_meanings, p_layouts, p_ttls,
      array_fill(p_actor, array[cardinality(p_ids)])) a;
  if not exists (select from unnest(l_answers) a where a.missing is not null) then
    for i in 1 .. cardinality(p_move_names) loop
      if p_move_states[i] is not null then
        perform casstore.set_state(p_tenant, p_move_names[i], p_move_kinds[i], p_move_numbers[i]::int, p_move_texts[i],
          p_move_instants[i], p_move_states[i], p_move_actors[i], p_move_reasons[i]);
      else
        perform casstore.move_pointer(p_tenant, p_move_names[i], p_move_kinds[i], p_move_numbers[i]::int, p_move_texts[i],
          p_move_instants[i], p_move_pointers[i], p_move_tags[i], p_move_expects[i]::int, p_actor);
      end if;
    end loop;
    if array_remove(p_move_states, null) <> '{}' then
      for i in 1 .. cardinality(p_ids) loop
        select casstore.state_of(v.artifact_id, v.number) into l_state from casstore.versions v
         where v.id = (l_answers[i]).version_id;
        l_answers[i].state := l_state;
      end loop;
    end if;
    insert into casstore.requests (tenant_id, key, fingerprint, versions, reused)
    select l_tenant, p_key, p_fingerprint, coalesce(array_agg(a.version_id), '{}'), coalesce(array_agg(a.reused), '{}')
      from unnest(l_answers) a
    on conflict on constraint requests_key do nothing;
    if not found then   -- a single put took the key meanwhile
      perform casstore.refuse('idempotency_key_reused', jsonb_build_object('key', p_key));
    end if;
    insert into casstore.log (tenant_id, op, detail, key)
    values (l_tenant, 'transaction', case when p_actor is not null then jsonb_build_object('actor', p_actor) end, p_key);
  end if;
  return query select a.* from unnest(l_answers) a;
end $$;
comment on function casstore.put_transaction is
  'Puts versions and moves pointers, all or none, or says which bytes have to be uploaded first. Its COMMIT is the commit point.';

-- A reader found the object missing or altered: the next put of these bytes uploads them. Where someone has repaired it since, the
-- doubt is needless and costs that put one look at the object, which it then adopts. A collector keeps what is referenced.
create function casstore.doubt_blob(p_tenant text, p_digest bytea, p_bad_generation bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  update casstore.blobs b
     set state = 'p', state_at = now(), lease_until = now(), incarnation = default,
         dead = p_bad_generation, generation = null
   where b.digest = p_digest and b.state = 'l'
     and exists (select from casstore.components c where c.tenant_id = l_tenant and c.digest = p_digest);
end $$;
comment on function casstore.doubt_blob is 'Takes back the belief that an object of the tenant''s is good, so that the next put of the same bytes heals it.';

revoke all on all functions in schema casstore from public;
