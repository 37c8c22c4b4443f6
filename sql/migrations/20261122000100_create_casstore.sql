-- The catalog of casstore: names, versions and what is believed about each blob. Bytes are never in here.
--
-- Every table carries the tenant it belongs to, except the ledger of blobs: bytes are shared physically and separated
-- logically. Row-level security is on from birth; who else than the owner sees anything is said in create_roles.
-- Grammar: the same patterns as casstore/grammar.py; tests/catalog/test_grammar_agrees.py feeds both with the same inputs.

create schema casstore;
comment on schema casstore is 'Content-addressed, versioned artifact store. Keep it out of the exposed schemas of a Data API.';

create domain casstore.tenant_name as text collate "C"
  constraint tenant_name_grammar check (value ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$');
create domain casstore.artifact_name as text collate "C"
  constraint artifact_name_grammar check (octet_length(value) <= 255 and value !~ '[.][.]'
    and value ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}(/[A-Za-z0-9][A-Za-z0-9._-]{0,62}){0,7}$');
create domain casstore.role_name as text collate "C"
  constraint role_name_grammar check (value ~ '^[a-z][a-z0-9_.-]{0,62}$');
create domain casstore.type_name as text collate "C"
  constraint type_name_grammar check (value ~ '^[a-z][a-z0-9_.-]{0,62}$');
create domain casstore.pointer_name as text collate "C"
  constraint pointer_name_grammar check (value ~ '^[a-z][a-z0-9._-]{0,62}$' and value <> 'latest' and value !~ '^v[0-9]+$');
create domain casstore.digest as bytea
  constraint digest_length check (octet_length(value) = 32);

create table casstore.store (
  is_only      boolean not null default true constraint store_key primary key constraint store_single check (is_only),
  identity     uuid not null default gen_random_uuid(),
  blobs_marked boolean not null default false
);
insert into casstore.store default values;
comment on table  casstore.store is 'The one row that says which store this is.';
comment on column casstore.store.is_only is 'Always true: there is one row.';
comment on column casstore.store.identity is 'Made with the schema; the blobs carry it too, so that no catalog works with another''s blobs.';
comment on column casstore.store.blobs_marked is 'Whether blobs have been marked with the identity: from then on, blobs without it are the wrong ones.';

create table casstore.domains (
  check_value casstore.digest not null constraint domains_key primary key,
  name        casstore.tenant_name not null constraint domains_name_key unique,
  made_at     timestamptz not null default now()
);
comment on table  casstore.domains is
  'Isolation domains: tenants in one have digests that are made with its key, which is not in here. A row is made by the first assignment.';
comment on column casstore.domains.check_value is 'What tells the right key from another; it follows from the key, and the key does not follow from it.';
comment on column casstore.domains.name is 'What people and settings call the key.';
comment on column casstore.domains.made_at is 'When the first tenant was assigned to it.';

create table casstore.tenants (
  id         int generated always as identity constraint tenants_key primary key,
  name       casstore.tenant_name not null constraint tenants_name_key unique,
  domain     casstore.digest constraint tenants_domain references casstore.domains,
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  deleted_by text constraint tenants_deleted_by check (char_length(deleted_by) between 1 and 255),
  reason     text constraint tenants_reason check (char_length(reason) <= 1000),
  constraint tenants_deleted check ((deleted_at is null) = (deleted_by is null) and (reason is null or deleted_at is not null))
);
comment on table  casstore.tenants is 'Whose artifacts they are. A row is made by a tenant''s first put, or hold.';
comment on column casstore.tenants.id is 'Internal key; never leaves the database.';
comment on column casstore.tenants.name is 'What callers say: a slug or a UUID.';
comment on column casstore.tenants.domain is 'The isolation domain its digests are made in; null: plain digests. Set before its first artifact, and never changed after.';
comment on column casstore.tenants.created_at is 'When the first put arrived.';
comment on column casstore.tenants.deleted_at is 'Since when nobody can enter it; null while everybody can who may.';
comment on column casstore.tenants.deleted_by is 'Who deleted it, as the caller says.';
comment on column casstore.tenants.reason is 'Why, in free text.';

create table casstore.blobs (
  digest      casstore.digest not null constraint blobs_key primary key,
  size_bytes  bigint not null constraint blobs_size check (size_bytes >= 0),
  crc32c      bigint not null constraint blobs_crc32c check (crc32c between 0 and 4294967295),
  state       "char" not null default 'p' constraint blobs_state check (state in ('p', 'l', 'c', 'd')),
  -- Drawn by lot: reservations do not wait for the disk, and a sequence would give the numbers that a power cut took once more.
  incarnation bigint not null default hashtextextended(gen_random_uuid()::text, 0),
  generation  bigint constraint blobs_live_generation check (generation is not null or state <> 'l'),
  dead        bigint,
  domain      casstore.digest constraint blobs_domain references casstore.domains,
  lease_until timestamptz,
  state_at    timestamptz not null default now()
) with (fillfactor = 90);
alter table casstore.blobs alter column digest set storage plain;
create index blobs_collectable on casstore.blobs (digest) where state in ('p', 'c', 'd');
comment on table  casstore.blobs is 'The ledger: what is believed about the object of each digest. A row is written before its object.';
comment on column casstore.blobs.digest is 'BLAKE3-256 of the bytes, with the key of the domain if there is one; the object''s key is artifacts/blobs/<hex>.';
comment on column casstore.blobs.size_bytes is 'Length of the object.';
comment on column casstore.blobs.crc32c is 'CRC32C of the object, as object stores report it.';
comment on column casstore.blobs.state is
  'p pending: an upload holds a ticket. l live: the object is known good. c condemned: unreferenced when looked at; soft. d deleting: a collector has claimed it.';
comment on column casstore.blobs.incarnation is 'The ticket of the current upload (p) or the claim of the current collector (d): a number that is never given twice. Whoever holds another has lost.';
comment on column casstore.blobs.generation is 'The object''s generation while it is known good: what a delete is fenced by.';
comment on column casstore.blobs.dead is 'A generation that a collector may still be deleting, or that was read and found altered: never relied on again.';
comment on column casstore.blobs.domain is 'The isolation domain whose key the digest is made with; null: it is a plain one, or an object of which nobody knows.';
comment on column casstore.blobs.lease_until is 'Until then a pending upload is not collected.';
comment on column casstore.blobs.state_at is 'When the state last changed.';

create table casstore.artifacts (
  id         bigint generated always as identity constraint artifacts_key primary key,
  tenant_id  int not null constraint artifacts_tenant references casstore.tenants,
  name       casstore.artifact_name not null,
  -- A column, not an index on lower(name): under row-level security an index is used only by operators that cannot leak what they
  -- compare, and lower() is not held to be one. Every look-up would read all names of the tenant.
  folded     text collate "C" not null generated always as (lower(name) collate "C") stored,
  type       casstore.type_name not null,
  head       int not null default 0 constraint artifacts_head check (head >= 0),
  latest     int not null default 0 constraint artifacts_latest check (latest between 0 and head),
  head_at    timestamptz not null default '-infinity',
  created_at timestamptz not null default now(),
  constraint artifacts_name_key unique (tenant_id, folded)
) with (fillfactor = 70);   -- the head moves often: room for the new row on the same page, and no index on what moves
create index artifacts_type on casstore.artifacts (tenant_id, type);
comment on table  casstore.artifacts is 'A named line of versions. The head is the one thing that moves, and only by compare-and-set.';
comment on column casstore.artifacts.id is 'Internal key.';
comment on column casstore.artifacts.tenant_id is 'The tenant it belongs to.';
comment on column casstore.artifacts.name is 'Its name: unique in the tenant, ignoring case.';
comment on column casstore.artifacts.folded is 'The name in lower case, by which it is unique and found.';
comment on column casstore.artifacts.type is 'What it is for (workflow, sop, blueprint …): set by the first version, never changed.';
comment on column casstore.artifacts.head is 'The last number that was given; 0 only inside the transaction that makes the first version.';
comment on column casstore.artifacts.latest is 'Number of the newest version that is not in the trash; 0 when all are.';
comment on column casstore.artifacts.head_at is 'When the head was made: the next version is strictly later.';
comment on column casstore.artifacts.created_at is 'When the name was first used.';

create table casstore.versions (
  artifact_id bigint not null constraint versions_artifact references casstore.artifacts,
  number      int not null constraint versions_number check (number > 0),
  tenant_id   int not null,
  seq         bigint generated always as identity,
  id          uuid not null constraint versions_id_key unique,
  type        casstore.type_name not null,
  manifest    casstore.digest not null,
  relations   text[],
  title       text constraint versions_title check (char_length(title) <= 500),
  labels      jsonb constraint versions_labels check (jsonb_typeof(labels) = 'object' and pg_column_size(labels) <= 262144),
  metadata    jsonb constraint versions_metadata check (jsonb_typeof(metadata) = 'object' and pg_column_size(metadata) <= 262144),
  created_at  timestamptz not null,
  actor       text constraint versions_actor check (char_length(actor) between 1 and 255),
  constraint versions_key primary key (artifact_id, number)
);
create unique index versions_newest on casstore.versions (tenant_id, seq desc);
create index versions_manifest on casstore.versions (tenant_id, manifest);

-- The tenant is the outermost key: the index hashes whole paths, so that its entries are of one tenant each.
create function casstore.terms(p_tenant_id int, p_labels jsonb, p_metadata jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object(p_tenant_id,
       case when p_labels is null then '{}' else jsonb_build_object('labels', p_labels) end
    || case when p_metadata is null then '{}' else jsonb_build_object('metadata', p_metadata) end)
$$;
comment on function casstore.terms is 'What a version is found by, in one value for the index: {tenant: {"labels": …, "metadata": …}}.';
create index versions_terms on casstore.versions using gin (casstore.terms(tenant_id, labels, metadata) jsonb_path_ops)
  where labels is not null or metadata is not null;
comment on table  casstore.versions is 'One numbered, immutable state of an artifact. Rows are inserted, never changed.';
comment on column casstore.versions.artifact_id is 'The artifact.';
comment on column casstore.versions.number is 'Counts from 1 without gaps; never reused.';
comment on column casstore.versions.tenant_id is 'The tenant it belongs to.';
comment on column casstore.versions.seq is 'Order of all versions: newer is greater; taken under the head''s lock, so it agrees with number.';
comment on column casstore.versions.id is 'UUIDv7, made by the client before the commit: a repeated commit finds its own version by it.';
comment on column casstore.versions.type is 'The artifact''s type, kept here for listing.';
comment on column casstore.versions.manifest is 'BLAKE3-256 of the manifest: the identity of the content.';
comment on column casstore.versions.relations is 'How components stand to each other, as in the manifest: "source name target" each; null when there are none.';
comment on column casstore.versions.title is 'Free text for people, in any language.';
comment on column casstore.versions.labels is 'Key/value pairs for search; null when there are none.';
comment on column casstore.versions.metadata is 'What a program wants to find the version by: a JSON object; null when there is none.';
comment on column casstore.versions.created_at is 'Database clock; strictly increasing along an artifact''s versions.';
comment on column casstore.versions.actor is 'Who put it, as the caller says; null where nobody was named.';

create table casstore.components (
  artifact_id bigint not null,
  number      int not null,
  role        casstore.role_name not null,
  tenant_id   int not null,
  digest      casstore.digest not null constraint components_blob references casstore.blobs,
  size_bytes  bigint not null,
  media_type  text not null constraint components_media_type check (char_length(media_type) <= 127),
  pixels      casstore.digest,
  width       int,
  height      int,
  meaning     casstore.digest,
  layout      casstore.digest,
  constraint components_key primary key (artifact_id, number, role),
  constraint components_version foreign key (artifact_id, number) references casstore.versions,
  constraint components_picture check ((pixels is null) = (width is null) and (pixels is null) = (height is null)),
  constraint components_meaning check (layout is null or meaning is not null)
);
create index components_digest on casstore.components (tenant_id, digest);
create index components_blob on casstore.components (digest);   -- who else, of any tenant, refers to these bytes
create index components_pixels on casstore.components (tenant_id, pixels) where pixels is not null;
comment on table  casstore.components is 'What a version consists of: the rows of its manifest. Holding one is what lets a tenant read a blob.';
comment on column casstore.components.artifact_id is 'The artifact.';
comment on column casstore.components.number is 'The version.';
comment on column casstore.components.role is 'The part''s name; "main" where there is only one.';
comment on column casstore.components.tenant_id is 'The tenant it belongs to.';
comment on column casstore.components.digest is 'The bytes.';
comment on column casstore.components.size_bytes is 'Their length, as in the manifest.';
comment on column casstore.components.media_type is 'Their format, as in the manifest.';
comment on column casstore.components.pixels is 'Of a PNG: BLAKE3-256 of what it shows, however it is encoded; null where it does not decode.';
comment on column casstore.components.width is 'Of such a picture, in pixels.';
comment on column casstore.components.height is 'Of such a picture, in pixels.';
comment on column casstore.components.meaning is 'BLAKE3-256 of what it says, however it is written; null where nobody has looked, or could read it.';
comment on column casstore.components.layout is 'The same of what it says and how that is laid out, where the format tells the two apart.';

create table casstore.sources (
  artifact_id        bigint not null,
  number             int not null,
  place              int not null constraint sources_place check (place > 0),
  tenant_id          int not null,
  source_artifact_id bigint not null,
  source_number      int not null,
  role               casstore.role_name not null,
  constraint sources_key primary key (artifact_id, number, place),
  constraint sources_version foreign key (artifact_id, number) references casstore.versions,
  constraint sources_source foreign key (source_artifact_id, source_number) references casstore.versions
);
create index sources_dependants on casstore.sources (tenant_id, source_artifact_id, source_number);
comment on table  casstore.sources is
  'What a version was made from. Written with the version and never changed: a source is older than what is made from it, so there are no cycles.';
comment on column casstore.sources.artifact_id is 'The artifact that was made.';
comment on column casstore.sources.number is 'Its version.';
comment on column casstore.sources.place is 'Counts the sources of a version from 1, in the order they were given.';
comment on column casstore.sources.tenant_id is 'The tenant both belong to.';
comment on column casstore.sources.source_artifact_id is 'The artifact it was made from.';
comment on column casstore.sources.source_number is 'The version of that.';
comment on column casstore.sources.role is 'As what the source served; "source" where nothing was said.';

create table casstore.transitions (
  artifact_id bigint not null,
  number      int not null,
  state       text collate "C" not null,
  tenant_id   int not null,
  seq         bigint not null,
  before      text collate "C" not null,
  actor       text not null constraint transitions_actor check (char_length(actor) between 1 and 255),
  reason      text constraint transitions_reason check (char_length(reason) <= 1000),
  at          timestamptz not null,
  constraint transitions_key primary key (artifact_id, number, state),
  constraint transitions_left_once unique (artifact_id, number, before),
  constraint transitions_allowed check ((before, state) in (('draft', 'accepted'), ('draft', 'obsolete'), ('accepted', 'obsolete'))),
  constraint transitions_version foreign key (artifact_id, number) references casstore.versions
);
create index transitions_state on casstore.transitions (tenant_id, state, seq desc);
comment on table  casstore.transitions is
  'The lifecycle of versions: draft (no row), accepted, obsolete. A state is entered once and left once. In the order of the alphabet they follow each other: the greatest is the present one. A step that was undone has no row; the log has both.';
comment on column casstore.transitions.artifact_id is 'The artifact.';
comment on column casstore.transitions.number is 'The version.';
comment on column casstore.transitions.state is 'The state it came into: accepted or obsolete.';
comment on column casstore.transitions.tenant_id is 'The tenant it belongs to.';
comment on column casstore.transitions.seq is 'The version''s place in the order of all versions, for listing.';
comment on column casstore.transitions.before is 'The state it left: draft or accepted.';
comment on column casstore.transitions.actor is 'Who did it, as the caller says.';
comment on column casstore.transitions.reason is 'Why, in free text.';
comment on column casstore.transitions.at is 'Database clock; later than the version, and than its step before.';

create table casstore.pointers (
  artifact_id bigint not null constraint pointers_artifact references casstore.artifacts,
  pointer     casstore.pointer_name not null,
  move        int not null constraint pointers_move check (move > 0),
  tenant_id   int not null,
  is_tag      boolean not null,
  number      int,
  moved_at    timestamptz not null,
  actor       text constraint pointers_actor check (char_length(actor) between 1 and 255),
  constraint pointers_key primary key (artifact_id, pointer, move),
  constraint pointers_version foreign key (artifact_id, number) references casstore.versions,
  constraint pointers_tag_once check (not is_tag or (move = 1 and number is not null))
);
comment on table  casstore.pointers is 'Aliases and tags with their whole history: a row is one move, the greatest move is where it points now.';
comment on column casstore.pointers.artifact_id is 'The artifact whose versions it points at.';
comment on column casstore.pointers.pointer is 'The alias or tag; a name is one or the other for ever.';
comment on column casstore.pointers.move is 'Counts the moves of this pointer from 1.';
comment on column casstore.pointers.tenant_id is 'The tenant it belongs to.';
comment on column casstore.pointers.is_tag is 'True: write-once, a single move and no removal.';
comment on column casstore.pointers.number is 'The version it points at from this move on; null where an alias was removed.';
comment on column casstore.pointers.moved_at is 'Database clock; strictly increasing along a pointer''s moves.';
comment on column casstore.pointers.actor is 'Who moved it, as the caller says; null where nobody was named.';

create table casstore.trash (
  artifact_id bigint not null,
  number      int not null,
  tenant_id   int not null,
  at          timestamptz not null,
  actor       text not null constraint trash_actor check (char_length(actor) between 1 and 255),
  reason      text constraint trash_reason check (char_length(reason) <= 1000),
  purged_at   timestamptz,
  purged_by   text constraint trash_purged_by check (char_length(purged_by) between 1 and 255),
  rule        text,
  constraint trash_key primary key (artifact_id, number),
  constraint trash_purged check ((purged_at is null) = (purged_by is null)),
  constraint trash_version foreign key (artifact_id, number) references casstore.versions
);
create index trash_newest on casstore.trash (tenant_id, at, artifact_id, number) where purged_at is null;
create index trash_tenant on casstore.trash (tenant_id);
comment on table  casstore.trash is
  'Versions that were deleted: hidden from every reading, and nothing of them gone until they are purged. Numbers and names stay taken.';
comment on column casstore.trash.artifact_id is 'The artifact.';
comment on column casstore.trash.number is 'The version.';
comment on column casstore.trash.tenant_id is 'The tenant it belongs to.';
comment on column casstore.trash.at is 'Since when; what one call has deleted has one instant.';
comment on column casstore.trash.actor is 'Who deleted it, as the caller says.';
comment on column casstore.trash.reason is 'Why, in free text.';
comment on column casstore.trash.purged_at is 'When its components were taken away, for ever; null while it can come back.';
comment on column casstore.trash.purged_by is 'Who purged it, as the caller says; why is in the log.';
comment on column casstore.trash.rule is 'The rule of retention that dropped it, or ttl; null: somebody did.';

create table casstore.dereferenced (
  digest casstore.digest not null,
  seq    bigint generated always as identity,
  constraint dereferenced_key primary key (digest, seq)
);
comment on table  casstore.dereferenced is 'Blobs that have lost a reference since a collector last looked at them: a queue. A row is one loss.';
comment on column casstore.dereferenced.digest is 'The blob; others may refer to it still.';
comment on column casstore.dereferenced.seq is 'Tells the losses of one blob apart: only those that were seen are struck out.';

create table casstore.requests (
  tenant_id   int not null constraint requests_tenant references casstore.tenants,
  key         text collate "C" not null constraint requests_key_length check (char_length(key) between 1 and 255),
  fingerprint casstore.digest not null,
  versions    uuid[] not null,
  reused      boolean[] not null,
  made_at     timestamptz not null default now(),
  constraint requests_key primary key (tenant_id, key)
);
comment on table  casstore.requests is 'What each idempotency key was answered with, so that a retry gets the same answer.';
comment on column casstore.requests.tenant_id is 'The tenant it belongs to.';
comment on column casstore.requests.key is 'The caller''s key.';
comment on column casstore.requests.fingerprint is 'BLAKE3-256 of what was asked: the same key for something else is a conflict.';
comment on column casstore.requests.versions is 'Ids of the versions that were the answer, in order.';
comment on column casstore.requests.reused is 'Of each, whether it existed already.';
comment on column casstore.requests.made_at is 'When it was answered.';

create table casstore.log (
  seq         bigint generated always as identity constraint log_key primary key,
  at          timestamptz not null default clock_timestamp(),
  xid         xid8 not null default pg_current_xact_id(),
  tenant_id   int not null,
  op          text not null,
  artifact_id bigint,
  number      int,
  detail      jsonb,
  key         text collate "C"
);
create index log_tenant on casstore.log (tenant_id, seq);
create index log_artifact on casstore.log (artifact_id, seq) where artifact_id is not null;
create unique index log_undone on casstore.log (artifact_id, ((detail ->> 'undoes')::bigint)) where op = 'undo';
comment on table  casstore.log is
  'Every change of state, append-only: a row, and what else the journal tells of it, is all that is needed to make the change again.';
comment on column casstore.log.seq is
  'Order of insertion, taken under the locks of what is changed: a row comes after those it depends on. Visible out of order.';
comment on column casstore.log.at is 'Database clock; of the row that was written with it, where that has an instant of its own.';
comment on column casstore.log.xid is 'The transaction: all rows below a snapshot''s xmin are final.';
comment on column casstore.log.tenant_id is 'The tenant it belongs to.';
comment on column casstore.log.op is
  'put, alias, tag, unalias, accepted, obsolete, delete, undelete, purge, hold, release, retention, expire, erase_content, delete_tenant, '
  'undelete_tenant, erase_tenant, domain; erased: what is left of a row; undo, after the rows of what it did; or transaction: one that was answered under a key.';
comment on column casstore.log.artifact_id is 'The artifact concerned.';
comment on column casstore.log.number is 'The version concerned: of a pointer the one it points at now; null where an alias was removed.';
comment on column casstore.log.detail is
  'What else there is to know: what was before, who did it and why, as {"before": 3, "pointer": "prod", "move": 2} or {"actor": "ops"}; of '
  'an undo also the row it undoes, as {"undoes": 17, "op": "alias"}. '
  'Of a put that made a version also when that expires, as {"expires_at": microseconds}; of one that made none {"reused": true}, with '
  '"differs" if its bytes are others and mean the same. Null where there is nothing to tell.';
comment on column casstore.log.key is 'The idempotency key that this put or transaction was answered under.';

create function casstore.refuse_change() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'rows of %.% are never changed or deleted', tg_table_schema, tg_table_name
    using errcode = '42501', constraint = 'not_permitted';
end $$;
comment on function casstore.refuse_change() is 'Guards tables whose rows are facts.';
create trigger log_append_only before delete or truncate on casstore.log
  for each statement execute function casstore.refuse_change();
create trigger versions_immutable before update on casstore.versions
  for each statement execute function casstore.refuse_change();
create trigger components_immutable before update on casstore.components
  for each statement execute function casstore.refuse_change();
create trigger sources_immutable before update on casstore.sources
  for each statement execute function casstore.refuse_change();
create trigger transitions_immutable before update on casstore.transitions
  for each statement execute function casstore.refuse_change();

-- Who sees what. Reads run with the rights of their caller, under policies that go by the tenant entered; writes run with those of
-- the owner. Such a function must not find a caller's temporary type where it says text: so pg_temp stands last in every search path.

create function casstore.claimed_tenant() returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  l_claims text := current_setting('request.jwt.claims', true);   -- set by a Data API from a token it has verified
  l_tenant jsonb;
begin
  if l_claims is null or l_claims = '' then return null; end if;
  begin
    l_tenant := coalesce(l_claims::jsonb -> 'tenant_id', l_claims::jsonb -> 'app_metadata' -> 'tenant_id');
  exception when data_exception or program_limit_exceeded then   -- no JSON, or nested beyond reason
    return '';
  end;
  return case when jsonb_typeof(l_tenant) = 'string' then l_tenant #>> '{}' else '' end;
end $$;
comment on function casstore.claimed_tenant is
  'The tenant that the claims of this transaction name: tenant_id, at the top or in app_metadata, which users cannot edit. '
  'Null without claims; empty where they name none.';

create function casstore.claimed_tenant_id() returns int
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select t.id from casstore.tenants t where t.name = casstore.claimed_tenant() and t.deleted_at is null
$$;
comment on function casstore.claimed_tenant_id is 'The key of the claimed tenant, for policies; null where there is none.';

-- Every function that is given a tenant begins with this: so entering costs no round trip, and ends with the transaction, which is
-- what a pooler between the transactions of many needs.
create function casstore.enter(p_tenant text) returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  l_id int;
  l_deleted_at timestamptz;
  l_domain bytea;
begin
  if coalesce(casstore.claimed_tenant(), p_tenant) = p_tenant then
    select t.id, t.deleted_at, t.domain into l_id, l_deleted_at, l_domain from casstore.tenants t where t.name = p_tenant;
  end if;
  if l_deleted_at is not null then
    perform set_config('casstore.tenant_id', '', true);
    perform casstore.refuse('tenant_deleted', jsonb_build_object('tenant', p_tenant));
  end if;
  perform set_config('casstore.tenant_id', coalesce(l_id::text, ''), true),
          set_config('casstore.domain', coalesce(encode(l_domain, 'hex'), ''), true);
  return l_id;
end $$;
comment on function casstore.enter is
  'Makes this transaction one of the tenant''s and answers its key. Null, and nothing to be seen, where there is no such tenant or the '
  'claims are another''s: the two are told apart by nothing. Refuses the tenant that was deleted.';

create function casstore.mark_blobs() returns uuid
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  update casstore.store set blobs_marked = true where not blobs_marked returning identity
$$;
comment on function casstore.mark_blobs is 'Remembers that the blobs carry the identity from now on; null when that was known.';

create function casstore.applied_migrations() returns table (version text, sha256 bytea)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
begin
  if to_regclass('supabase_migrations.schema_migrations') is null then return; end if;   -- applied by hand, and not recorded
  return query
    select m.version, case when cardinality(m.statements) = 1 then sha256(convert_to(m.statements[1], 'UTF8')) end
      from supabase_migrations.schema_migrations m;
end $$;
comment on function casstore.applied_migrations is
  'The history of migrations, for who may not read it: versions, and the digest of each file that was recorded whole.';

alter table casstore.store      enable row level security;
alter table casstore.domains    enable row level security;
alter table casstore.tenants    enable row level security;
alter table casstore.blobs      enable row level security;
alter table casstore.artifacts  enable row level security;
alter table casstore.versions   enable row level security;
alter table casstore.components enable row level security;
alter table casstore.sources    enable row level security;
alter table casstore.transitions enable row level security;
alter table casstore.pointers   enable row level security;
alter table casstore.trash      enable row level security;
alter table casstore.dereferenced enable row level security;
alter table casstore.requests   enable row level security;
alter table casstore.log        enable row level security;

revoke all on all functions in schema casstore from public;
