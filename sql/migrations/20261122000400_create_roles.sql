-- Who else than the owner may do what. Four kinds of callers, from most to least trusted:
--
-- casstore_app   A server of ours, through a login role in casstore_app. It says whose tenant it works for (casstore.enter) and sees
--                that one only. It changes rows through the functions below and no other way: it can neither write a row by hand nor
--                rewrite the log, and of the ledger, where all tenants' blobs are, it reads nothing.
-- casstore_collector
--                The collector, through a login role in it. It may take blobs away that no version refers to, by the functions of
--                create_collector, and reads no tenant's rows.
-- authenticated  Someone's browser, through the Data API of a Supabase project. Reads the views of casstore_api, of the tenant that its
--                verified claims name. (The API lets nobody set claims or run SQL. Who can do either is trusted, as in all of Supabase.)
-- everybody else Nothing.

do $$
declare l_role text;
begin
  foreach l_role in array array['casstore_app', 'casstore_collector'] loop
    begin
      if not exists (select from pg_catalog.pg_roles r where r.rolname = l_role) then
        execute format('create role %I nologin nosuperuser nobypassrls', l_role);
      end if;
    exception
      when duplicate_object or unique_violation then null;   -- roles are the whole server's: another of its databases was faster
      when insufficient_privilege then
        raise insufficient_privilege using message = format('the role %s is not there, and this role may not create it', l_role),
          hint = 'Have an administrator of the server run once: create role casstore_app nologin; create role casstore_collector nologin;'
                 ' then migrate again.';
    end;
    if exists (select from pg_catalog.pg_roles r where r.rolname = l_role and (r.rolsuper or r.rolbypassrls)) then
      raise insufficient_privilege using message = format('the role %s is exempt from row-level security', l_role),
        hint = format('Have an administrator of the server run: alter role %s nosuperuser nobypassrls; then migrate again.', l_role);
    end if;
  end loop;
end $$;

-- The role of servers: rows of the tenant entered. The sub-select makes the planner evaluate the setting once for a statement.

grant usage on schema casstore to casstore_app;
grant select on casstore.store, casstore.artifacts, casstore.versions, casstore.components, casstore.pointers, casstore.sources,
  casstore.transitions, casstore.trash, casstore.holds, casstore.retention, casstore.expiries, casstore.erased_components,
  casstore.version_details
   to casstore_app;
create policy app_sees_the_store on casstore.store for select to casstore_app using (true);
create policy app_sees_the_tenant_entered on casstore.artifacts for select to casstore_app
  using (tenant_id = (select nullif(current_setting('casstore.tenant_id', true), '')::int));
create policy app_sees_the_tenant_entered on casstore.versions for select to casstore_app
  using (tenant_id = (select nullif(current_setting('casstore.tenant_id', true), '')::int));
create policy app_sees_the_tenant_entered on casstore.components for select to casstore_app
  using (tenant_id = (select nullif(current_setting('casstore.tenant_id', true), '')::int));
create policy app_sees_the_tenant_entered on casstore.pointers for select to casstore_app
  using (tenant_id = (select nullif(current_setting('casstore.tenant_id', true), '')::int));
create policy app_sees_the_tenant_entered on casstore.sources for select to casstore_app
  using (tenant_id = (select nullif(current_setting('casstore.tenant_id', true), '')::int));
create policy app_sees_the_tenant_entered on casstore.trash for select to casstore_app
  using (tenant_id = (select nullif(current_setting('casstore.tenant_id', true), '')::int));
create policy app_sees_the_tenant_entered on casstore.holds for select to casstore_app
  using (tenant_id = (select nullif(current_setting('casstore.tenant_id', true), '')::int));
create policy app_sees_the_tenant_entered on casstore.retention for select to casstore_app
  using (tenant_id = (select nullif(current_setting('casstore.tenant_id', true), '')::int));
create policy app_sees_the_tenant_entered on casstore.expiries for select to casstore_app
  using (tenant_id = (select nullif(current_setting('casstore.tenant_id', true), '')::int));
create policy app_sees_the_tenant_entered on casstore.erased_components for select to casstore_app
  using (tenant_id = (select nullif(current_setting('casstore.tenant_id', true), '')::int));
create policy app_sees_the_tenant_entered on casstore.transitions for select to casstore_app
  using (tenant_id = (select nullif(current_setting('casstore.tenant_id', true), '')::int));

-- What casstore calls, and what reads call in turn with the rights of their caller. A write's helpers are called by its owner.
grant execute on function
  casstore.applied_migrations, casstore.enter, casstore.mark_blobs,
  casstore.put_versions, casstore.put_transaction, casstore.answer_to, casstore.doubt_blob, casstore.move_pointer,
  casstore.delete_tenant, casstore.undelete_tenant, casstore.show_tenant,
  casstore.set_state, casstore.delete_versions, casstore.undelete_versions, casstore.purge_versions, casstore.empty_trash,
  casstore.erase_salt, casstore.erase_content, casstore.explain_erase,
  casstore.place_hold, casstore.release_hold, casstore.holds_of, casstore.holds_on, casstore.hold_told,
  casstore.set_retention, casstore.retention_of, casstore.expire_version, casstore.custody_of, casstore.preview_retention, casstore.retention_totals,
  casstore.apply_retention, casstore.purge_retained, casstore.retention_plan, casstore.retention_decided, casstore.seconds_told,
  casstore.resolve, casstore.resolve_id, casstore.resolve_many, casstore.history, casstore.heads, casstore.where_used, casstore.usage,
  casstore.pointers_of, casstore.pointer_history, casstore.transitions_of, casstore.trash_of, casstore.explain, casstore.lineage,
  casstore.same_pixels, casstore.shared, casstore.domain_of,
  casstore.artifact_named, casstore.number_of, casstore.version_meant, casstore.candidates, casstore.found_by,
  casstore.refuse, casstore.refuse_deleted, casstore.versions_named, casstore.uses_of, casstore.purgeable
   to casstore_app;

-- The read-only face for front ends. The schema casstore itself stays closed to them, so they can name neither a table nor a function.

create schema casstore_api;
comment on schema casstore_api is 'What front ends may read: expose this schema, and only this, in a Data API.';

create view casstore_api.artifacts with (security_invoker = true) as
  select v.id, a.name::text as name, v.number, a.type::text as type, v.title, v.labels, 'b3:' || encode(v.manifest, 'hex') as digest,
         v.created_at, v.metadata,
         coalesce((select max(t.state) from casstore.transitions t
                    where t.artifact_id = v.artifact_id and t.number = v.number), 'draft') as state, v.seq, a.id as artifact_id, v.actor
    from casstore.artifacts a join casstore.versions v on v.artifact_id = a.id and v.number = a.latest;
comment on view casstore_api.artifacts is 'Artifacts by their newest version. What is in the trash is in none of these views.';
comment on column casstore_api.artifacts.id is 'Id of the newest version.';
comment on column casstore_api.artifacts.name is 'The artifact''s name.';
comment on column casstore_api.artifacts.number is 'Number of the newest version.';
comment on column casstore_api.artifacts.type is 'What the artifact is for.';
comment on column casstore_api.artifacts.title is 'Free text for people.';
comment on column casstore_api.artifacts.labels is 'Key/value pairs; null when there are none.';
comment on column casstore_api.artifacts.digest is 'Of the manifest, as text: the identity of the content.';
comment on column casstore_api.artifacts.created_at is 'When the newest version was made.';
comment on column casstore_api.artifacts.metadata is 'A JSON object; null when there is none.';
comment on column casstore_api.artifacts.state is 'Of the lifecycle: draft, accepted or obsolete.';
comment on column casstore_api.artifacts.seq is 'Order of all versions: newer is greater. Pages go by it.';
comment on column casstore_api.artifacts.artifact_id is 'What the views are joined by.';
comment on column casstore_api.artifacts.actor is 'Who put the newest version; null where nobody was named.';

create view casstore_api.versions with (security_invoker = true) as
  select v.id, a.name::text as name, v.number, v.type::text as type, v.title, v.labels, 'b3:' || encode(v.manifest, 'hex') as digest,
         v.created_at, v.metadata,
         coalesce((select max(t.state) from casstore.transitions t
                    where t.artifact_id = v.artifact_id and t.number = v.number), 'draft') as state, v.seq, v.artifact_id, v.actor
    from casstore.versions v join casstore.artifacts a on a.id = v.artifact_id
   where not exists (select from casstore.trash t where t.artifact_id = v.artifact_id and t.number = v.number);
comment on view casstore_api.versions is 'All versions of all artifacts.';
comment on column casstore_api.versions.id is 'The version''s id.';
comment on column casstore_api.versions.name is 'The artifact''s name.';
comment on column casstore_api.versions.number is 'Counts from 1 along the artifact.';
comment on column casstore_api.versions.type is 'What the artifact is for.';
comment on column casstore_api.versions.title is 'Free text for people.';
comment on column casstore_api.versions.labels is 'Key/value pairs; null when there are none.';
comment on column casstore_api.versions.digest is 'Of the manifest, as text: the identity of the content.';
comment on column casstore_api.versions.created_at is 'When it was made.';
comment on column casstore_api.versions.metadata is 'A JSON object; null when there is none.';
comment on column casstore_api.versions.state is 'Of the lifecycle: draft, accepted or obsolete.';
comment on column casstore_api.versions.seq is 'Order of all versions: newer is greater. Pages go by it.';
comment on column casstore_api.versions.artifact_id is 'What the views are joined by.';
comment on column casstore_api.versions.actor is 'Who put it; null where nobody was named.';

create view casstore_api.components with (security_invoker = true) as
  select a.name::text as name, c.number, c.role::text as role, 'b3:' || encode(c.digest, 'hex') as digest, c.size_bytes, c.media_type,
         c.artifact_id
    from casstore.components c join casstore.artifacts a on a.id = c.artifact_id
   where not exists (select from casstore.trash t where t.artifact_id = c.artifact_id and t.number = c.number);
comment on view casstore_api.components is 'What versions consist of. Their bytes are not in the database.';
comment on column casstore_api.components.name is 'The artifact''s name.';
comment on column casstore_api.components.number is 'The version''s number.';
comment on column casstore_api.components.role is 'The part''s name; "main" where there is only one.';
comment on column casstore_api.components.digest is 'Of the bytes, as text.';
comment on column casstore_api.components.size_bytes is 'Their length.';
comment on column casstore_api.components.media_type is 'Their format.';
comment on column casstore_api.components.artifact_id is 'What the views are joined by, with the number.';

create view casstore_api.sources with (security_invoker = true) as
  select a.name::text as name, s.number, s.place, s.role::text as role, b.name::text as source_name, s.source_number,
         s.artifact_id, s.source_artifact_id
    from casstore.sources s
    join casstore.artifacts a on a.id = s.artifact_id
    join casstore.artifacts b on b.id = s.source_artifact_id
   where not exists (select from casstore.trash t where t.artifact_id = s.artifact_id and t.number = s.number);
comment on view casstore_api.sources is 'What versions were made from.';
comment on column casstore_api.sources.name is 'The artifact that was made.';
comment on column casstore_api.sources.number is 'The version of it.';
comment on column casstore_api.sources.place is 'Counts the sources of a version from 1.';
comment on column casstore_api.sources.role is 'As what the source served.';
comment on column casstore_api.sources.source_name is 'The artifact it was made from.';
comment on column casstore_api.sources.source_number is 'The version of that.';
comment on column casstore_api.sources.artifact_id is 'What the views are joined by, with the number.';
comment on column casstore_api.sources.source_artifact_id is 'Likewise, of the source.';

create view casstore_api.transitions with (security_invoker = true) as
  select a.name::text as name, t.number, t.state, t.before, t.actor, t.reason, t.at, t.artifact_id
    from casstore.transitions t join casstore.artifacts a on a.id = t.artifact_id
   where not exists (select from casstore.trash x where x.artifact_id = t.artifact_id and x.number = t.number);
comment on view casstore_api.transitions is 'The steps of versions in their lifecycle.';
comment on column casstore_api.transitions.name is 'The artifact''s name.';
comment on column casstore_api.transitions.number is 'The version''s number.';
comment on column casstore_api.transitions.state is 'The state it came into.';
comment on column casstore_api.transitions.before is 'The state it left.';
comment on column casstore_api.transitions.actor is 'Who did it.';
comment on column casstore_api.transitions.reason is 'Why.';
comment on column casstore_api.transitions.at is 'When.';
comment on column casstore_api.transitions.artifact_id is 'What the views are joined by, with the number.';

create view casstore_api.pointers with (security_invoker = true) as
  select a.name::text as name, p.pointer::text as pointer, p.is_tag, p.number, p.moved_at, p.artifact_id, p.actor
    from casstore.pointers p join casstore.artifacts a on a.id = p.artifact_id
   where p.number is not null
     and not exists (select from casstore.trash t where t.artifact_id = p.artifact_id and t.number = p.number)
     and not exists (select from casstore.pointers q
                      where q.artifact_id = p.artifact_id and q.pointer = p.pointer and q.move > p.move);
comment on view casstore_api.pointers is 'Where each alias and tag points now.';
comment on column casstore_api.pointers.name is 'The artifact''s name.';
comment on column casstore_api.pointers.pointer is 'The alias or tag.';
comment on column casstore_api.pointers.is_tag is 'True: set once and for ever.';
comment on column casstore_api.pointers.number is 'Number of the version it points at.';
comment on column casstore_api.pointers.moved_at is 'Since when.';
comment on column casstore_api.pointers.artifact_id is 'What the views are joined by, with the number.';
comment on column casstore_api.pointers.actor is 'Who made it point there; null where nobody was named.';

do $$
begin
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'authenticated') then
    grant usage on schema casstore_api to authenticated;
    grant select on all tables in schema casstore_api to authenticated;
    -- Views look at these with the rights of their reader, who cannot name them: it has no usage of their schema.
    grant select on casstore.artifacts, casstore.versions, casstore.components, casstore.pointers, casstore.sources, casstore.transitions,
      casstore.trash to authenticated;
    grant execute on function casstore.claimed_tenant_id to authenticated;
    create policy front_end_sees_the_tenant_claimed on casstore.artifacts for select to authenticated
      using (tenant_id = (select casstore.claimed_tenant_id()));
    create policy front_end_sees_the_tenant_claimed on casstore.versions for select to authenticated
      using (tenant_id = (select casstore.claimed_tenant_id()));
    create policy front_end_sees_the_tenant_claimed on casstore.components for select to authenticated
      using (tenant_id = (select casstore.claimed_tenant_id()));
    create policy front_end_sees_the_tenant_claimed on casstore.pointers for select to authenticated
      using (tenant_id = (select casstore.claimed_tenant_id()));
    create policy front_end_sees_the_tenant_claimed on casstore.sources for select to authenticated
      using (tenant_id = (select casstore.claimed_tenant_id()));
    create policy front_end_sees_the_tenant_claimed on casstore.trash for select to authenticated
      using (tenant_id = (select casstore.claimed_tenant_id()));
    create policy front_end_sees_the_tenant_claimed on casstore.transitions for select to authenticated
      using (tenant_id = (select casstore.claimed_tenant_id()));
  end if;
end $$;
