-- Events: the log, as its tenant may follow it. The log is the outbox: a row is written in the transaction that makes the change.
--
-- Rows become visible out of order: who drew number 7 may commit after who drew 8. So a reader that goes on after the last row it
-- saw would miss one. It reads up to a number only when all who may still write below it have ended (log_horizon).

create function casstore.events_until(p_tenant text, p_after bigint, out seq bigint, out until text, out settled boolean)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  -- Who looks for news and finds none draws no transaction id: followers ask every second, and most find none.
  if p_after is null or exists (select from casstore.log l where l.tenant_id = l_tenant and l.seq > p_after) then
    select h.seq, h.until::text into events_until.seq, events_until.until from casstore.log_horizon() h;
    settled := casstore.has_settled(events_until.until::xid8);
  end if;
end $$;
comment on function casstore.events_until is
  'Up to where to read on, below which transaction all must have ended before that is final, and whether they have. Nulls: there is '
  'nothing after this row. Without a row: where the log is now.';

create function casstore.events_settled(p_until text) returns boolean
language sql volatile set search_path = pg_catalog, pg_temp as $$
  select pg_snapshot_xmin(pg_current_snapshot()) >= p_until::xid8
$$;
comment on function casstore.events_settled is 'Whether all transactions below this one have ended.';

create type casstore.event_row as (
  seq bigint, at timestamptz, op text, name text, type text, number int, version uuid, detail jsonb);

create function casstore.events_of(p_tenant text, p_after bigint, p_until bigint, p_limit int)
returns setof casstore.event_row language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  return query
    select l.seq, l.at, l.op, a.name::text, a.type::text, l.number, v.id, l.detail
      from casstore.log l
      left join casstore.artifacts a on a.id = l.artifact_id
      left join casstore.versions v on v.artifact_id = l.artifact_id and v.number = l.number
     where l.tenant_id = l_tenant and l.seq > p_after and l.seq <= p_until
       -- What says nothing any more, and what changed nothing: an answer under a key.
       and l.op not in ('erased', 'erase_tenant', 'transaction') and (l.op <> 'put' or l.detail is null or not l.detail ? 'reused')
     order by l.seq limit p_limit;
end $$;
comment on function casstore.events_of is
  'What was changed of the tenant''s, in the order of the log, after one row and up to another. With its owner''s rights: nobody else '
  'reads the log.';

revoke all on all functions in schema casstore from public;
grant execute on function casstore.events_until, casstore.events_settled, casstore.events_of to casstore_app;
