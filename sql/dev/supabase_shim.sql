-- Makes a plain Postgres enough of a Supabase project to test migrations and policies on: its roles, and how it tells who asks.
-- For tests, never for a Supabase project, never shipped. Run it as a superuser not called postgres, once for each database.

do $$
declare l_role record;
begin
  for l_role in
    select * from (values
      ('anon', 'nologin'),
      ('authenticated', 'nologin'),
      ('service_role', 'nologin bypassrls'),
      ('authenticator', 'login noinherit'),                                         -- as whom a Data API connects
      ('postgres', 'login nosuperuser createdb createrole replication bypassrls')   -- the owner of a project is no superuser
    ) as r(name, attributes)
  loop
    if not exists (select from pg_catalog.pg_roles r where r.rolname = l_role.name) then
      execute format('create role %I %s', l_role.name, l_role.attributes);
    end if;
  end loop;
  execute format('grant all on database %I to postgres', current_database());
end $$;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;

create schema auth;
grant usage on schema auth to anon, authenticated, service_role, postgres;

create function auth.jwt() returns jsonb language sql stable as $$
  select nullif(current_setting('request.jwt.claims', true), '')::jsonb
$$;
create function auth.uid() returns uuid language sql stable as $$
  select (auth.jwt() ->> 'sub')::uuid
$$;
create function auth.role() returns text language sql stable as $$
  select auth.jwt() ->> 'role'
$$;
