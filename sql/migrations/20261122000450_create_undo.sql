-- The operation log, read by the tenant it is about, and undone. An undo does what is needed by the ordinary functions, whose rows of the
-- log say what changed; after them it writes rows of its own, one for each row that it undoes. So nothing is ever taken out of the log.

create function casstore.is_undone(p_artifact_id bigint, p_seq bigint) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return exists (select from casstore.log u
                  where u.op = 'undo' and u.artifact_id = p_artifact_id and (u.detail ->> 'undoes')::bigint = p_seq);
end $$;
comment on function casstore.is_undone is 'Whether a row of the log, of this artifact, was undone.';

create type casstore.operation_row as (
  seq bigint, at timestamptz, op text, name text, number int, detail jsonb, key text, undone_by bigint);

create function casstore.operations_of(
  p_tenant text, p_name text, p_number int, p_id uuid, p_op text, p_before bigint, p_limit int)
returns setof casstore.operation_row language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_meant record;
  l_artifact casstore.artifacts;
  l_number int;
begin
  if p_name is not null or p_id is not null then
    l_meant := casstore.versions_named(l_tenant, p_name, p_number, p_id);
    l_artifact := l_meant.artifact;
    if p_number is not null or p_id is not null then l_number := l_meant.numbers[1]; end if;
  end if;
  return query execute
    'select h.seq, h.at, h.op, a.name::text, h.number, h.detail, h.key, u.seq'
    || '  from (select l.* from casstore.log l where l.tenant_id = $1'
    || case when l_artifact.id is null then '' else ' and l.artifact_id = $2' end
    || case when l_number is null then '' else ' and l.number = $3' end
    || case when p_op is null then '' else ' and l.op = $4' end
    || case when p_before is null then '' else ' and l.seq < $5' end
    || '         order by l.seq desc limit $6) h'
    || '  left join casstore.artifacts a on a.id = h.artifact_id'
    || '  left join casstore.log u on u.op = ''undo'' and u.artifact_id = h.artifact_id and (u.detail ->> ''undoes'')::bigint = h.seq'
    || ' order by h.seq desc'
    using l_tenant, l_artifact.id, l_number, p_op, p_before, p_limit;
end $$;
comment on function casstore.operations_of is
  'Rows of the tenant''s log, of one artifact or version perhaps, the newest first. With its owner''s rights: nobody else reads the log.';

create function casstore.refuse_superseded(p_row casstore.log, p_artifact casstore.artifacts, p_by bigint) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  perform casstore.refuse('undo_superseded', jsonb_build_object('id', p_row.seq, 'op', p_row.op, 'name', p_artifact.name, 'by', p_by,
    'by_op', (select l.op from casstore.log l where l.seq = p_by)));
end $$;
comment on function casstore.refuse_superseded is 'Ends an undo, because something came after what it would undo.';

-- The two halves of undoing that are not the whole of it: a pointer's move, and a step of the lifecycle. The artifact is locked.
create function casstore.undo_move(p_tenant text, p_row casstore.log, p_artifact casstore.artifacts, p_actor text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  l_pointer text := p_row.detail ->> 'pointer';
  l_before int := (p_row.detail ->> 'before')::int;
  l_by bigint;
begin
  select min(l.seq) into l_by from casstore.log l
   where l.artifact_id = p_artifact.id and l.seq > p_row.seq and l.op in ('alias', 'unalias') and l.detail ->> 'pointer' = l_pointer;
  if l_by is not null then perform casstore.refuse_superseded(p_row, p_artifact, l_by); end if;
  perform casstore.move_pointer(p_tenant, p_artifact.name, case when l_before is not null then 'number' end, l_before, null, null,
    l_pointer, false, null, p_actor);
end $$;
comment on function casstore.undo_move is 'Moves an alias back to where it was before a move, unless it has moved since.';

create function casstore.undo_step(p_row casstore.log, p_artifact casstore.artifacts) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare l_by bigint;
begin
  if exists (select from casstore.trash t where t.artifact_id = p_artifact.id and t.number = p_row.number) then
    perform casstore.refuse_deleted(p_artifact.id, p_row.number);
  end if;
  select min(l.seq) into l_by from casstore.log l
   where l.artifact_id = p_artifact.id and l.seq > p_row.seq and l.number = p_row.number and l.op in ('accepted', 'obsolete')
     and not casstore.is_undone(l.artifact_id, l.seq);
  if l_by is not null then perform casstore.refuse_superseded(p_row, p_artifact, l_by); end if;
  delete from casstore.transitions t where t.artifact_id = p_artifact.id and t.number = p_row.number and t.state = p_row.op;
end $$;
comment on function casstore.undo_step is 'Takes back the last step of a version in its lifecycle, unless it is in the trash.';

create function casstore.undo_trash(p_row casstore.log, p_artifact casstore.artifacts, p_numbers int[], p_actor text, p_reason text)
returns void language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
  l_by bigint;
  l_some boolean;
begin
  select min(l.seq) into l_by from casstore.log l
   where l.artifact_id = p_artifact.id and l.seq > p_row.seq and l.number = any (p_numbers) and l.op in ('delete', 'undelete', 'purge')
     and (l.op, l.at) <> (p_row.op, p_row.at);
  if l_by is not null then perform casstore.refuse_superseded(p_row, p_artifact, l_by); end if;
  perform from casstore.versions v where v.artifact_id = p_artifact.id and v.number = any (p_numbers) order by v.number for update;
  if p_row.op = 'delete' then
    perform casstore.take_from_trash(p_artifact, p_numbers, p_actor, p_reason);
  else
    l_some := exists (select from casstore.versions v
                       where v.artifact_id = p_artifact.id and v.number <> all (p_numbers)
                         and not exists (select from casstore.trash t where t.artifact_id = v.artifact_id and t.number = v.number));
    perform casstore.put_into_trash(p_artifact, p_numbers, l_some, p_actor, p_reason);
  end if;
end $$;
comment on function casstore.undo_trash is
  'Takes back what one call has deleted, or deletes again what one call took back, unless any of it was touched since.';

-- A row that is undone already is left alone, and that is a success: so a call whose answer was lost may be repeated.
create function casstore.undo(p_tenant text, p_seq bigint, p_actor text, p_reason text)
returns setof casstore.operation_row language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_row casstore.log;
  l_artifact casstore.artifacts;
  l_rows bigint[];
  l_numbers int[];
begin
  select * into l_row from casstore.log l where l.seq = p_seq and l.tenant_id = l_tenant;
  if l_row.seq is null then
    perform casstore.refuse('operation_not_found', jsonb_build_object('id', p_seq));
  elsif l_row.op not in ('alias', 'unalias', 'accepted', 'obsolete', 'delete', 'undelete') then
    perform casstore.refuse('not_undoable', jsonb_build_object('id', p_seq, 'op', l_row.op));
  end if;
  perform casstore.share_holds(l_tenant);   -- to undo an undelete is to delete
  select * into l_artifact from casstore.artifacts a where a.id = l_row.artifact_id for no key update;
  if not casstore.is_undone(l_artifact.id, p_seq) then
    l_rows := array[p_seq]; l_numbers := array[l_row.number];
    if l_row.op in ('alias', 'unalias') then
      perform casstore.undo_move(p_tenant, l_row, l_artifact, p_actor);
    elsif l_row.op in ('accepted', 'obsolete') then
      perform casstore.undo_step(l_row, l_artifact);
    else
      select array_agg(l.seq order by l.seq), array_agg(l.number order by l.seq) into l_rows, l_numbers from casstore.log l
       where l.artifact_id = l_artifact.id and l.op = l_row.op and l.at = l_row.at;
      perform casstore.undo_trash(l_row, l_artifact, l_numbers, p_actor, p_reason);
    end if;
    insert into casstore.log (tenant_id, op, artifact_id, number, detail)
    select l_tenant, 'undo', l_artifact.id, r.number,
           jsonb_strip_nulls(jsonb_build_object('undoes', r.seq, 'op', l_row.op, 'actor', p_actor, 'reason', p_reason))
      from unnest(l_rows, l_numbers) with ordinality as r(seq, number, place) order by r.place;
  end if;
  return query
    select u.seq, u.at, u.op, l_artifact.name::text, u.number, u.detail, u.key, null::bigint from casstore.log u
     where u.op = 'undo' and u.artifact_id = l_artifact.id and (u.detail ->> 'undoes')::bigint = p_seq;
end $$;
comment on function casstore.undo is
  'Takes an operation back, and what the same call did with it, under the artifact''s lock; or refuses, when anything came after it. '
  'Answers the row of the undo.';

revoke all on all functions in schema casstore from public;
grant execute on function casstore.operations_of, casstore.undo to casstore_app;
