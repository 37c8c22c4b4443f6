-- The collector: how blobs go that no version refers to. The protocol: docs/architecture.md, "Collecting".
--
-- Whoever puts locks the ledger's rows of its blobs (KEY SHARE) and commits its references under that lock. So a collector that holds
-- a row's lock (UPDATE, which excludes the other) and looks for references *after* it got the lock sees all there are. The look must
-- be another statement than the lock: a statement sees what was committed when it began, and it may have waited for its locks. Each
-- call is one transaction, locks only what nobody else has locked, and may be repeated at any time.

create function casstore.gc_check() returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'a collector works in read committed only: elsewhere a look after a lock sees what was there before it'
      using errcode = '25001';
  end if;
end $$;
comment on function casstore.gc_check is 'Refuses a transaction in which looking again shows nothing new.';

-- Looks at a stretch of the ledger and changes nothing. Without p_full only at what has lost a reference, was never finished, or is
-- on its way out; with it at every blob. A due pending or live blob (a null due_at) is one to condemn.
create function casstore.gc_plan(
  p_after bytea, p_full boolean, p_quarantine interval, p_stuck interval, p_scan int,
  out digests bytea[], out sizes bigint[], out states text[], out state_ats timestamptz[], out due_ats timestamptz[],
  out seen_at timestamptz, out last bytea)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
-- By the keys of the stretch, whatever the planner believes of the tables.
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare l_looked bytea[];
begin
  if p_full then
    l_looked := array(select b.digest from casstore.blobs b where b.digest > p_after order by b.digest limit p_scan);
  else
    l_looked := array(
      select u.digest from (
        (select b.digest from casstore.blobs b where b.state in ('p', 'c', 'd') and b.digest > p_after order by b.digest limit p_scan)
        union (select distinct d.digest from casstore.dereferenced d where d.digest > p_after order by d.digest limit p_scan)) u
      order by u.digest limit p_scan);
  end if;
  seen_at := now();
  if cardinality(l_looked) = p_scan then last := l_looked[p_scan]; end if;
  select coalesce(array_agg(f.digest order by f.digest), '{}'), coalesce(array_agg(f.size_bytes order by f.digest), '{}'),
         coalesce(array_agg(f.state order by f.digest), '{}'), coalesce(array_agg(f.state_at order by f.digest), '{}'),
         coalesce(array_agg(f.due_at order by f.digest), '{}')
    into digests, sizes, states, state_ats, due_ats
    from (select b.digest::bytea as digest, b.size_bytes, b.state::text as state, b.state_at,
                 case b.state when 'c' then b.state_at + p_quarantine when 'd' then b.state_at + p_stuck end as due_at
            from unnest(l_looked) as l(digest) join casstore.blobs b on b.digest = l.digest
           where b.state in ('c', 'd')
              or (b.state = 'l' or b.lease_until <= now())
                 and not exists (select from casstore.components c where c.digest = b.digest)) f;
end $$;
comment on function casstore.gc_plan is
  'Blobs after a digest that are on their way out or could be sent there, and when each that is on its way may go on; `last` is null at '
  'the end of the ledger.';

create function casstore.gc_mark(p_digests bytea[], p_state_ats timestamptz[]) returns setof bytea
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare l_locked bytea[];
begin
  perform casstore.gc_check();
  l_locked := array(
    select b.digest from casstore.blobs b
     where b.digest = any (p_digests) and b.state_at = p_state_ats[array_position(p_digests, b.digest::bytea)]
       and (b.state = 'l' or b.state = 'p' and b.lease_until <= now())
     order by b.digest for update skip locked);
  return query
    update casstore.blobs b set state = 'c', state_at = now(), lease_until = null
     where b.digest = any (l_locked) and not exists (select from casstore.components c where c.digest = b.digest)
    returning b.digest::bytea;
end $$;
comment on function casstore.gc_mark is
  'Condemns those of these blobs that are still in the state they were seen in, and that no version refers to; answers them.';

create function casstore.gc_claim(p_digests bytea[], p_state_ats timestamptz[], p_quarantine interval, p_stuck interval)
returns table (digest bytea, claim bigint, dead bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare l_locked bytea[];
begin
  perform casstore.gc_check();
  l_locked := array(
    select b.digest from casstore.blobs b
     where b.digest = any (p_digests) and b.state_at = p_state_ats[array_position(p_digests, b.digest::bytea)]
       and (b.state = 'c' and b.state_at <= now() - p_quarantine or b.state = 'd' and b.state_at <= now() - p_stuck)
     order by b.digest for update skip locked);
  update casstore.blobs b set state = 'l', state_at = now()
   where b.digest = any (l_locked) and b.state = 'c' and b.generation is not null
     and exists (select from casstore.components c where c.digest = b.digest);
  return query
    update casstore.blobs b
       set state = 'd', state_at = now(), incarnation = default,
           dead = coalesce(b.generation, b.dead), generation = null
     where b.digest = any (l_locked) and not exists (select from casstore.components c where c.digest = b.digest)
    returning b.digest::bytea, b.incarnation, b.dead;
end $$;
comment on function casstore.gc_claim is
  'Claims those of these blobs that have been condemned for long enough, or whose collector has died, and that no version refers to. '
  'A null `dead`: nobody knows the object''s generation.';

create function casstore.gc_target(p_digest bytea, p_claim bigint, p_generation bigint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update casstore.blobs b set dead = p_generation where b.digest = p_digest and b.state = 'd' and b.incarnation = p_claim;
  return found;
end $$;
comment on function casstore.gc_target is
  'Writes down, before the delete is sent, which generation it will name; false when the claim was lost.';

-- The foreign key of components is the last alarm: it fails this call if a version refers to what was deleted.
create function casstore.gc_done(p_digests bytea[], p_claims bigint[]) returns setof bytea
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform from casstore.blobs b where b.digest = any (p_digests) order by b.digest for update;
  return query
    delete from casstore.blobs b
     where b.digest = any (p_digests) and b.state = 'd' and b.incarnation = p_claims[array_position(p_digests, b.digest::bytea)]
    returning b.digest::bytea;
end $$;
comment on function casstore.gc_done is 'Removes the rows of objects that are gone, where the claim still holds; answers them.';

-- One statement: where it sees a loss it sees the reference gone, and a reference that it sees will be a loss of its own one day. What
-- could not be condemned, because a put held it, stays in the queue.
create function casstore.gc_strike(p_after bytea, p_last bytea) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from casstore.dereferenced d
   where (d.digest, d.seq) in (
     select x.digest, x.seq from casstore.dereferenced x
      where x.digest > p_after and (p_last is null or x.digest <= p_last)
        and (exists (select from casstore.components c where c.digest = x.digest)
             or not exists (select from casstore.blobs b where b.digest = x.digest and b.state = 'l'))
        for update skip locked);
end $$;
comment on function casstore.gc_strike is
  'Strikes losses out of the queue, in a stretch of it, that leave nothing to do: others refer to the blob, or it is on its way out.';

create function casstore.gc_register(p_digests bytea[], p_sizes bigint[]) returns setof bytea
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query
    insert into casstore.blobs as b (digest, size_bytes, crc32c, state, lease_until, domain)
    select u.digest, u.size_bytes, 0, 'p', now(),
           -- Of one that a version needs, and whose row was lost.
           (select t.domain from casstore.components c join casstore.tenants t on t.id = c.tenant_id where c.digest = u.digest limit 1)
      from unnest(p_digests, p_sizes) as u(digest, size_bytes) order by u.digest
    on conflict (digest) do nothing
    returning b.digest::bytea;
end $$;
comment on function casstore.gc_register is
  'Makes the missing rows of objects that were found, as of uploads that were never finished; answers them.';

revoke all on all functions in schema casstore from public;

grant usage on schema casstore to casstore_collector;
grant select on casstore.store to casstore_collector;
create policy collector_sees_the_store on casstore.store for select to casstore_collector using (true);
grant execute on function
  casstore.applied_migrations, casstore.mark_blobs,
  casstore.gc_plan, casstore.gc_mark, casstore.gc_claim, casstore.gc_target, casstore.gc_done, casstore.gc_strike,
  casstore.gc_register
   to casstore_collector;
