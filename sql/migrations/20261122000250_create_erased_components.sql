-- Erasing one content: every component of a tenant's that is these bytes goes for ever, and its version stays with all else that it has.
-- What is left of a component is a row without its digest: a salted hash, by which only who has the salt or the digest knows it.

create table casstore.erased_components (
  artifact_id bigint not null,
  number      int not null,
  role        casstore.role_name not null,
  tenant_id   int not null,
  hash        casstore.digest not null,
  size_bytes  bigint not null,
  media_type  text not null constraint erased_components_media_type check (char_length(media_type) <= 127),
  at          timestamptz not null,
  actor       text not null constraint erased_components_actor check (char_length(actor) between 1 and 255),
  reason      text constraint erased_components_reason check (char_length(reason) <= 1000),
  constraint erased_components_key primary key (artifact_id, number, role),
  constraint erased_components_version foreign key (artifact_id, number) references casstore.versions
);
create index erased_components_hash on casstore.erased_components (tenant_id, hash);
alter table casstore.erased_components enable row level security;
comment on table  casstore.erased_components is 'Components whose bytes were erased: of these versions the rest is there, and their digest still says what they were.';
comment on column casstore.erased_components.artifact_id is 'The artifact.';
comment on column casstore.erased_components.number is 'The version.';
comment on column casstore.erased_components.role is 'The part''s name.';
comment on column casstore.erased_components.tenant_id is 'The tenant it belongs to.';
comment on column casstore.erased_components.hash is 'Of the digest, salted: HMAC-SHA256. The receipt has the salt.';
comment on column casstore.erased_components.size_bytes is 'How long the bytes were.';
comment on column casstore.erased_components.media_type is 'Their format.';
comment on column casstore.erased_components.at is 'When; what one call has erased has one instant.';
comment on column casstore.erased_components.actor is 'Who erased it, as the caller says.';
comment on column casstore.erased_components.reason is 'Why, in free text.';

create function casstore.erase_salt(p_tenant text, p_digest bytea) returns bytea
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  if l_tenant is null then perform casstore.refuse('content_not_found', jsonb_build_object('digest', casstore.digest_text(p_digest))); end if;
  return sha256((casstore.journal_key_for(l_tenant)).secret || convert_to('casstore erased content', 'UTF8') || p_digest);
end $$;
comment on function casstore.erase_salt is
  'What the digest of an erased content is hashed with: made of the tenant''s key and the digest, the same for the same call again.';

create type casstore.erased_row as (
  ref text, role text, size_bytes bigint, at timestamptz, actor text, reason text, is_shared boolean);

create function casstore.erased_of(p_tenant int, p_hash bytea) returns setof casstore.erased_row
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  return query
    select a.name || '@' || e.number, e.role::text, e.size_bytes, e.at, e.actor, e.reason, t.domain is null
      from casstore.erased_components e join casstore.artifacts a on a.id = e.artifact_id join casstore.tenants t on t.id = e.tenant_id
     where e.tenant_id = p_tenant and e.hash = p_hash order by a.name, e.number, e.role;
end $$;
comment on function casstore.erased_of is 'What was erased of the content that has this hash.';

create function casstore.holds_on_content(p_tenant int, p_digest bytea) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare l_holds text[];
begin
  select array_agg(distinct h.hold order by h.hold) into l_holds
    from (select c.artifact_id, array_agg(distinct c.number) as numbers from casstore.components c
           where c.tenant_id = p_tenant and c.digest = p_digest group by c.artifact_id) v
   cross join lateral unnest(casstore.holds_on(p_tenant, v.artifact_id, v.numbers)) as h(hold);
  if l_holds is null then return null; end if;
  return jsonb_build_object('name', casstore.digest_text(p_digest), 'number', null, 'holds', l_holds[1:100], 'pointers', '[]'::jsonb,
    'dependants', '[]'::jsonb, 'count', cardinality(l_holds));
end $$;
comment on function casstore.holds_on_content is 'The holds on versions that have this content, as a refusal tells them; null: there are none.';

-- The artifacts are locked in the order of their names. A put may have made another hold the content meanwhile: then once more.
create function casstore.lock_content(p_tenant int, p_digest bytea) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare l_locked bigint[] := '{}'; l_found bigint[];
begin
  loop
    select coalesce(array_agg(distinct c.artifact_id), '{}') into l_found
      from casstore.components c where c.tenant_id = p_tenant and c.digest = p_digest;
    exit when l_found <@ l_locked;
    perform from casstore.artifacts a where a.id = any (l_found) order by a.folded for no key update;
    l_locked := l_locked || l_found;
  end loop;
end $$;
comment on function casstore.lock_content is 'Locks all artifacts of the tenant that have versions with this content.';

create function casstore.erase_content(p_tenant text, p_digest bytea, p_hash bytea, p_actor text, p_reason text)
returns setof casstore.erased_row language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_tenant int := casstore.enter(p_tenant);
  l_at timestamptz;
  l_holds jsonb;
begin
  perform casstore.share_holds(l_tenant);
  perform casstore.lock_content(l_tenant, p_digest);
  l_holds := casstore.holds_on_content(l_tenant, p_digest);
  if l_holds is not null then perform casstore.refuse('still_used', l_holds); end if;
  l_at := clock_timestamp();   -- later than whatever it waited for
  with gone as (
    delete from casstore.components c where c.tenant_id = l_tenant and c.digest = p_digest returning c.*),
  kept as (
    insert into casstore.erased_components (artifact_id, number, role, tenant_id, hash, size_bytes, media_type, at, actor, reason)
    select g.artifact_id, g.number, g.role, l_tenant, p_hash, g.size_bytes, g.media_type, l_at, p_actor, p_reason from gone g),
  told as (insert into casstore.dereferenced (digest) select p_digest where exists (select from gone))
  insert into casstore.log (at, tenant_id, op, artifact_id, number, detail)
  select l_at, l_tenant, 'erase_content', g.artifact_id, g.number,
         jsonb_strip_nulls(jsonb_build_object('actor', p_actor, 'reason', p_reason, 'hash', encode(p_hash, 'hex'),
           'parts', jsonb_agg(jsonb_build_array(g.role, g.size_bytes, g.media_type) order by g.role)))
    from gone g group by g.artifact_id, g.number order by g.artifact_id, g.number;
  return query select * from casstore.erased_of(l_tenant, p_hash);
  if not found then perform casstore.refuse('content_not_found', jsonb_build_object('digest', casstore.digest_text(p_digest))); end if;
end $$;
comment on function casstore.erase_content is
  'Erases a content from all versions of a tenant, unless any is held; answers all that was erased of it, now or by an earlier call.';

create function casstore.explain_erase(p_tenant text, p_digest bytea, p_hash bytea, out refs text[], out uses jsonb, out bytes bigint)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare l_tenant int := casstore.enter(p_tenant);
begin
  select array_agg(v.ref order by v.name, v.number), max(v.size_bytes) into refs, bytes
    from (select distinct a.name, c.number, a.name || '@' || c.number as ref, c.size_bytes
            from casstore.components c join casstore.artifacts a on a.id = c.artifact_id
           where c.tenant_id = l_tenant and c.digest = p_digest) v;
  uses := casstore.holds_on_content(l_tenant, p_digest);
  if refs is null and not exists (select from casstore.erased_of(l_tenant, p_hash)) then
    perform casstore.refuse('content_not_found', jsonb_build_object('digest', casstore.digest_text(p_digest)));
  end if;
end $$;
comment on function casstore.explain_erase is 'What erasing a content would do now: the versions that lose it, the holds that keep it, and its size.';

revoke all on all functions in schema casstore from public;
