"""Who sees and does what: the database itself keeps tenants apart, whatever a caller sets, guesses or smuggles in."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from psycopg import errors

from casstore import CasstoreError, Denied, catalog
from casstore.catalog.migrate import migrate
from casstore.model import Digest
from tests.catalog.project import (
    APP,
    CALLERS,
    CELLS,
    A,
    B,
    answer_of,
    claims,
    fill,
    make_database,
    make_logins,
    outcome_of,
)

OF_OWNERS = (
    "assigning",
    "checking",
    "content",
    "erasing",
    "journal",
    "journal_keys",
    "restoring",
)  # modules of the catalog whose functions are for the role that owns the schema
FOR_APPS = {
    *("enter", "put_versions", "put_transaction", "move_pointer", "doubt_blob", "mark_blobs", "applied_migrations"),
    "answer_to",
    *(
        "resolve",
        "resolve_id",
        "resolve_many",
        "history",
        "heads",
        "where_used",
        "usage",
        "pointers_of",
        "pointer_history",
        "shared",
    ),
    *("set_state", "transitions_of", "lineage", "same_pixels", "delete_versions", "undelete_versions", "trash_of"),
    *("erase_salt", "erase_content", "explain_erase"),
    *(
        "custody_of",
        "purge_versions",
        "empty_trash",
        "explain",
        "versions_named",
        "uses_of",
        "purgeable",
        "refuse_deleted",
    ),
    *("delete_tenant", "undelete_tenant", "show_tenant", "domain_of"),
    *("operations_of", "undo", "events_until", "events_settled", "events_of"),
    *("add_webhook", "webhooks_of", "remove_webhook", "replay_webhook", "webhook_secret"),
    *("claim_webhook", "advance_webhook", "leave_webhook", "fail_webhook"),
    *("place_hold", "release_hold", "holds_of", "holds_on", "hold_told"),
    *("set_retention", "retention_of", "expire_version", "preview_retention", "retention_totals", "apply_retention"),
    *("purge_retained", "retention_plan", "retention_decided", "seconds_told"),
    *("artifact_named", "number_of", "version_meant", "candidates", "found_by", "refuse"),
}
FOR_COLLECTORS = {
    *("gc_plan", "gc_mark", "gc_claim", "gc_target", "gc_done", "gc_strike", "gc_register"),
    *("mark_blobs", "applied_migrations"),
}
FOR_OWNERS = {  # what is about the whole store; and how a put uploads, for a repair
    *("check_ledger", "check_blob", "check_doubted", "check_uses", "check_versions", "check_artifacts", "check_log"),
    *("check_requests", "trust_blob", "distrust_blob", "scrub_coverage", "scrub_mark", "pin_blobs"),
    *("set_domain", "domains_known"),
}
RELATIONS = sorted({relation for relation, *_ in CELLS})
EVERYBODY = [(group, caller) for group, callers in CALLERS.items() for caller in callers]


@pytest.fixture(scope="module")
def project(own_server, run, tmp_path_factory):
    owner = make_database(own_server, "project")
    run(migrate(owner))
    make_logins(owner)
    return fill(owner, tmp_path_factory.mktemp("blobs").as_uri())


# -- seeing ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("relation", "group", "caller", "outcome"), CELLS)
def test_who_sees_what(project, relation, group, caller, outcome):
    assert project.seen(relation, group, caller) == project.expected(relation, outcome)


BY_TENANT = (
    *("artifacts", "versions", "components", "pointers", "sources", "transitions", "trash", "holds"),
    *("retention", "expiries", "erased_components"),
)


def test_the_table_is_about_every_relation_and_what_it_calls_a_is_not_all(project):
    found = project.ask(
        "select relnamespace::regnamespace::text || '.' || relname from pg_class"
        " where relnamespace::regnamespace::text like 'casstore%%' and relkind in ('r', 'v', 'm', 'f', 'p')"
    )
    assert {name for (name,) in found} == set(RELATIONS)
    for relation in BY_TENANT:
        assert [row[0] for row in project.ask(f"select distinct tenant_id from casstore.{relation} order by 1")] == [
            1,
            2,
        ]
    assert project.ask("select name from casstore.tenants order by id") == [(A,), (B,)]


def test_a_leaky_condition_is_shown_only_rows_that_may_be_seen(project):
    """A condition that tells what it is shown, and is so cheap that a planner would ask it first."""
    leak = (
        "create function pg_temp.leak(text) returns boolean language plpgsql cost 0.0000001 as"
        " $$ begin raise notice '%', $1; return true; end $$"
    )
    told = []
    with project.caller(APP, leak, f"select casstore.enter('{A}')") as connection:
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
        connection.execute("select from casstore.versions where pg_temp.leak(title)")
        connection.execute("select from casstore.artifacts where pg_temp.leak(name)")
    assert set(told) == {
        f"Of {A}",
        "common/name",
        "common/content",
        "common/rest",
        "common/past",
        "common/erased",
        f"only/{A}",
        "<NULL>",
    }


# -- doing -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("group", "caller"), EVERYBODY)
def test_who_may_call_what(project, group, caller):
    of_front_ends = {"claimed_tenant_id"} if group.startswith("front end") else set()  # which their policies call
    with project.caller(*CALLERS[group][caller]) as connection:
        rights = connection.execute("""
          select proname from pg_proc where pronamespace = (select oid from pg_namespace where nspname = 'casstore')
             and has_function_privilege(oid, 'execute')""").fetchall()
        assert {name for (name,) in rights} == ours_for(group) | of_front_ends
        called = {name for name, signature in functions(project) if may_call(connection, signature)}
    assert called == ours_for(group)


def ours_for(group):
    return FOR_APPS if group.startswith("app") else FOR_COLLECTORS if group == "collector" else set()


def functions(project, which="true"):
    """Names and signatures of our functions."""
    return project.ask(
        "select proname, oid::regprocedure::text from pg_proc"
        f" where pronamespace = 'casstore'::regnamespace and {which}"
    )


def test_only_what_must_runs_with_the_rights_of_the_owner(project):
    """Writes, and what looks at tables that an app or a front end may not read. A read is held by policies, not by its own care."""
    assert {name for name, _ in functions(project, "prosecdef")} == {
        *("put_versions", "put_transaction", "answer_to", "move_pointer", "set_state", "doubt_blob", "mark_blobs"),
        *("delete_tenant", "undelete_tenant", "show_tenant"),
        *("delete_versions", "undelete_versions", "purge_versions", "empty_trash", "place_hold", "release_hold"),
        *("erase_salt", "erase_content", "explain_erase"),
        *("set_retention", "expire_version", "apply_retention", "purge_retained"),
        *("operations_of", "undo", "events_until", "events_of"),
        *("add_webhook", "webhooks_of", "remove_webhook", "replay_webhook", "webhook_secret"),
        *("claim_webhook", "advance_webhook", "leave_webhook", "fail_webhook"),
        *FOR_COLLECTORS,
        *(FOR_OWNERS - {"pin_blobs"}),
        *("enter", "claimed_tenant_id", "applied_migrations", "found_by", "domain_of"),
    }


def test_an_app_may_call_what_our_code_calls(project):
    """But for what concerns all tenants: that is the owner's."""
    called = {
        module.name: set(re.findall(r"casstore\.(\w+)\(", module_source(module.name)))
        for module in pkgutil.iter_modules(catalog.__path__)
    }
    of_owners = set().union(*(called.pop(module) for module in OF_OWNERS))
    of_apps = set().union(*called.values())
    assert of_apps | of_owners <= {name for name, _ in functions(project)}
    assert of_apps <= FOR_APPS | FOR_COLLECTORS
    assert {name for name in of_apps if name.startswith("gc_")} == FOR_COLLECTORS - FOR_APPS
    assert len(of_owners) > 10
    assert of_owners >= FOR_OWNERS
    assert not of_owners & (FOR_APPS | FOR_COLLECTORS)


def module_source(name):
    return inspect.getsource(importlib.import_module(f"casstore.catalog.{name}"))


def may_call(connection, signature):
    """Called with nulls: whatever comes of it, it is allowed unless a missing right is what it fails for."""
    name, _, kinds = signature.removesuffix(")").partition("(")
    try:
        with connection.transaction():
            connection.execute(f"select {name}({', '.join(f'null::{kind}' for kind in kinds.split(',') if kind)})")
    except errors.InsufficientPrivilege:
        return False
    except psycopg.Error:
        return True
    return True


@pytest.mark.parametrize(("group", "caller"), EVERYBODY)
def test_nobody_else_changes_anything(project, group, caller):
    refusals = (errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState, errors.WrongObjectType)  # of views
    columns = project.ask(
        """
      select distinct on (attrelid) attrelid::regclass::text, attname from pg_attribute
       where attrelid::regclass::text = any (%s) and attnum > 0 and attidentity = '' and attgenerated = ''""",
        RELATIONS,
    )
    assert len(columns) == len(RELATIONS)
    with project.caller(*CALLERS[group][caller]) as connection:
        for relation, column in columns:
            for statement in (
                f"insert into {relation} ({column}) values (null)",
                f"update {relation} set {column} = {column}",
                f"delete from {relation}",
                f"truncate {relation}",
                f"copy {relation} from stdin",
                f"alter table {relation} disable row level security",
                f"create policy mine on {relation} using (true)",
                f"create trigger mine before insert on {relation} execute function casstore.refuse_change()",
                f"drop table {relation}",
            ):
                with pytest.raises(refusals), connection.transaction():
                    connection.execute(statement)


def test_nobody_else_holds_a_right_to_change(project):
    """What the catalog of rights says, whatever the statements above forget."""
    rights = project.ask("""
      select distinct c.relname, a.privilege_type, coalesce(r.rolname, 'public')
        from pg_class c cross join aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee
       where c.relnamespace::regnamespace::text like 'casstore%%' and a.grantee <> c.relowner""")
    assert {privilege for _, privilege, _ in rights} == {"SELECT"}
    assert {role for _, _, role in rights} == {"casstore_app", "casstore_collector", "authenticated"}
    assert {relation for relation, _, role in rights if role == "casstore_collector"} == {"store"}
    assert project.ask("""
      select distinct coalesce(r.rolname, 'public'), n.nspname, a.privilege_type
        from pg_namespace n cross join aclexplode(n.nspacl) a left join pg_roles r on r.oid = a.grantee
       where n.nspname like 'casstore%%' and a.grantee <> n.nspowner order by 1""") == [
        ("authenticated", "casstore_api", "USAGE"),
        ("casstore_app", "casstore", "USAGE"),
        ("casstore_collector", "casstore", "USAGE"),
    ]


# -- what belongs to another -----------------------------------------------------------------------------------------------

OPERATIONS = {
    "resolve": lambda tenant, ref: tenant.resolve(ref),
    "resolve in another case": lambda tenant, ref: tenant.resolve(ref.upper()),
    "resolve a number": lambda tenant, ref: tenant.resolve(f"{ref}@2"),
    "resolve an alias": lambda tenant, ref: tenant.resolve(f"{ref}@prod"),
    "resolve an instant": lambda tenant, ref: tenant.resolve(f"{ref}@latest~2099-01-01T00:00Z"),
    "history": lambda tenant, ref: tenant.history(ref),
    "list": lambda tenant, ref: tenant.list(),
    "list a prefix": lambda tenant, ref: tenant.list(name_prefix=ref, label={"of": B}),
    "list by labels": lambda tenant, ref: tenant.list(label={"of": B}),
    "list by metadata": lambda tenant, ref: tenant.list(metadata={"of": B}),
    "list by state": lambda tenant, ref: tenant.list(state="accepted"),
    "transition": lambda tenant, ref: tenant.transition(ref, "accepted", by="me"),
    "transitions": lambda tenant, ref: tenant.transitions(f"{ref}@1"),
    "sources": lambda tenant, ref: tenant.lineage(f"only/{B}"),
    "dependants": lambda tenant, ref: tenant.lineage("common/content", "down"),
    "shared": lambda tenant, ref: tenant.shared(),
    "events": lambda tenant, ref: tenant.events().items,
    "webhooks": lambda tenant, ref: tenant.webhooks(),
    "remove a webhook": lambda tenant, ref: tenant.remove_webhook("00000000-0000-7000-8000-000000000000"),
    "replay a webhook": lambda tenant, ref: tenant.replay_webhook("00000000-0000-7000-8000-000000000000"),
    "delete": lambda tenant, ref: tenant.delete(f"{ref}@2", by="me"),
    "delete an artifact": lambda tenant, ref: tenant.delete_artifact(ref, by="me"),
    "undelete": lambda tenant, ref: tenant.undelete("common/rest@1", by="me"),
    "undelete an artifact": lambda tenant, ref: tenant.undelete_artifact("common/rest", by="me"),
    "trash": lambda tenant, ref: tenant.trash(),
    "what was purged": lambda tenant, ref: tenant.trash(purged=True),
    "purge": lambda tenant, ref: tenant.purge("common/rest@1", by="me"),
    "purge an artifact": lambda tenant, ref: tenant.purge_artifact("common/rest", by="me"),
    "empty the trash": lambda tenant, ref: tenant.empty_trash(timedelta(), by="me"),
    "hold": lambda tenant, ref: tenant.hold(f"{ref}@1", "case", by="me"),
    "hold an artifact": lambda tenant, ref: tenant.hold(ref, "case", by="me"),
    "put a hold on everything": lambda tenant, ref: tenant.hold(None, "case", by="me"),
    "release": lambda tenant, ref: tenant.release(ref, "case", by="me"),
    "release everything": lambda tenant, ref: tenant.release(None, "case", by="me"),
    "holds": lambda tenant, ref: tenant.holds(),
    "set retention": lambda tenant, ref: tenant.set_retention({"rules": [{"name": "all", "keep": {}}]}, by="me"),
    "retention": lambda tenant, ref: tenant.retention(),
    "preview": lambda tenant, ref: tenant.preview_retention(),
    "apply retention": lambda tenant, ref: tenant.apply_retention(by="me"),
    "expire": lambda tenant, ref: tenant.expire(f"{ref}@1", timedelta(days=1), by="me"),
    "explain": lambda tenant, ref: tenant.explain("delete", f"{ref}@2"),
    "explain a purge": lambda tenant, ref: tenant.explain("purge_artifact", "common/rest"),
    "from what is theirs": lambda tenant, ref: tenant.put("mine", b"mine", sources=[ref]),
    "where used": lambda tenant, ref: tenant.where_used(Digest.of(b"the same")),
    "usage": lambda tenant, ref: tenant.usage(),
    "pointers": lambda tenant, ref: tenant.pointers(ref),
    "history of a pointer": lambda tenant, ref: tenant.pointer_history(ref, "prod"),
    "alias": lambda tenant, ref: tenant.alias(ref, "mine"),
    "unalias": lambda tenant, ref: tenant.unalias(ref, "prod"),
    "tag": lambda tenant, ref: tenant.tag(ref, "mine"),
    "put": lambda tenant, ref: tenant.put(ref, b"mine"),
    "put what is there": lambda tenant, ref: tenant.put("common/content", b"the same"),
    "put with a key that was used": lambda tenant, ref: tenant.put("common/content", b"another", idempotency_key="key"),
    "put with an expectation": lambda tenant, ref: tenant.put(ref, b"mine", expect=99),
}
COUNTS = """
select (select count(*) from casstore.tenants), (select count(*) from casstore.versions), (select count(*) from casstore.pointers),
       (select count(*) from casstore.components), (select count(*) from casstore.log),
       (select count(*) from casstore.requests), (select count(*) from casstore.blobs)
"""


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "claimed", [{"tenant_id": A}, {"app_metadata": {"tenant_id": A}}, {"role": "authenticated"}, "nonsense"]
)
def test_with_claims_of_another_a_tenant_is_as_if_it_were_not_there(project, operation, claimed):
    before = project.ask(COUNTS)
    with project.store(APP, options=f"-c request.jwt.claims={json.dumps(claimed).replace(' ', '')}") as store:
        work = OPERATIONS[operation]
        assert answer_of(work, store.tenant(B), "common/name") == answer_of(work, store.tenant("nobody"), "common/name")
        if operation.startswith("put"):
            assert answer_of(work, store.tenant(B), "common/name")[0] is Denied
    assert project.ask(COUNTS) == before


def test_readers_at_once_see_their_own_tenant_each(project):
    """They share calls, and one setting makes a call a tenant's."""

    def read(store, tenant, ref):
        return answer_of(lambda t, what: t.resolve(what), store.tenant(tenant), ref)

    asked = [
        (tenant, ref)
        for _ in range(8)
        for tenant in (A, B, "nobody")
        for ref in ("common/name", "common/name@prod", f"only/{A}", f"only/{B}")
    ]
    with project.store(APP) as store, ThreadPoolExecutor(32) as threads:
        alone = {each: read(store, *each) for each in asked}
        assert len({str(each) for each in alone.values()}) > len("ABN")
        assert dict(zip(asked, threads.map(lambda each: read(store, *each), asked), strict=True)) == alone


def test_with_its_own_claims_a_tenant_is_there(project):
    with project.store(APP, options=f'-c request.jwt.claims={{"tenant_id":"{A}"}}') as store:
        assert store.tenant(A).resolve("common/name").number == 2
        assert store.tenant(A).put("common/content", "the same").reused


def test_what_a_tenant_guesses_of_anothers_is_as_if_it_were_not_there(project):
    """Its names, ids and digests; the answers differ from those about nothing at all in what was asked for only."""
    ((theirs, manifest),) = project.ask(
        "select v.id, encode(v.manifest, 'hex') from casstore.versions v join casstore.artifacts a on a.id = v.artifact_id"
        f" where a.name = 'only/{B}'"
    )
    ((digest,),) = project.ask(
        "select encode(c.digest, 'hex') from casstore.components c join casstore.artifacts a on a.id = c.artifact_id"
        f" where a.name = 'only/{B}'"
    )
    pairs = [
        (lambda t, what: t.resolve(f"id:{what}"), str(theirs), str(uuid.uuid4())),
        (lambda t, what: t.put("mine", b"mine", sources=[f"id:{what}"]), str(theirs), str(uuid.uuid4())),
        (lambda t, what: t.transition(f"id:{what}", "obsolete", by="me"), str(theirs), str(uuid.uuid4())),
        (lambda t, what: t.lineage(f"id:{what}"), str(theirs), str(uuid.uuid4())),
        (lambda t, what: t.delete(f"id:{what}", by="me"), str(theirs), str(uuid.uuid4())),
        (lambda t, what: t.undelete(f"id:{what}", by="me"), str(theirs), str(uuid.uuid4())),
        (lambda t, what: t.purge(f"id:{what}", by="me"), str(theirs), str(uuid.uuid4())),
        (lambda t, what: t.explain("purge", f"id:{what}"), str(theirs), str(uuid.uuid4())),
        (lambda t, what: t.resolve(what), f"only/{B}", "only/none"),
        (lambda t, what: t.resolve(what.upper()), f"only/{B}", "only/none"),
        (lambda t, what: t.resolve(f"common/name@b3:{what[:20]}"), manifest, "f" * 64),
        (lambda t, what: t.where_used(f"b3:{what}"), digest, "f" * 64),
        (lambda t, what: t.where_used(f"b3:{what}"), manifest, "f" * 64),
        (lambda t, what: t.alias(f"id:{what}", "mine"), str(theirs), str(uuid.uuid4())),
    ]
    with project.store(APP) as store:
        for work, real, made_up in pairs:
            found, nothing = (mask(str(answer_of(work, store.tenant(A), what)), what) for what in (real, made_up))
            assert found == nothing


def mask(text, what):
    """`text` without what was asked for."""
    for form in (what, what.upper(), what[:20]):
        text = text.replace(form, "…")
    return text


def test_a_doubt_tells_nothing_and_touches_only_what_the_tenant_holds(project):
    digests = dict(
        project.ask("select name::text, digest from casstore.components join casstore.artifacts on id = artifact_id")
    )
    answers = []
    for held in (f"only/{A}", f"only/{B}", None):
        with project.caller(APP) as connection:
            digest = digests[held] if held else bytes(32)
            answers.append(connection.execute("select casstore.doubt_blob(%s, %s, 1)", (A, digest)).fetchall())
            connection.commit()
    assert answers[0] == answers[1] == answers[2]
    state = "select name from casstore.components join casstore.artifacts on id = artifact_id join casstore.blobs using (digest)"
    assert project.ask(f"{state} where state = 'p'") == [(f"only/{A}",)]
    project.ask("update casstore.blobs set state = 'l', generation = 1, dead = null where state = 'p' returning 1")


def test_a_tenant_is_entered_for_one_transaction(project):
    with project.caller(APP, f"select casstore.enter('{A}')") as connection:
        assert connection.execute("select count(*) > 0 from casstore.versions").fetchone() == (True,)
        connection.commit()
        assert connection.execute("select count(*) > 0 from casstore.versions").fetchone() == (False,)


def test_of_a_deleted_tenant_front_ends_see_nothing_and_apps_are_refused(project):
    query = "select count(*) from casstore_api.artifacts"
    front_end = CALLERS["front end of a"]["tenant_id"]
    try:
        with project.store(APP) as store:
            store.delete_tenant(A, by="ops")
            with pytest.raises(CasstoreError, match="was deleted"):
                store.tenant(A).list()
        with project.caller(*front_end) as connection:
            assert connection.execute(query).fetchone() == (0,)
        with project.store(APP, options=f'-c request.jwt.claims={{"tenant_id":"{B}"}}') as store:
            for work in (lambda t: t.list(), lambda t: t.resolve("a"), lambda t: t.usage()):  # to others it never was
                assert answer_of(work, store.tenant(A)) == answer_of(work, store.tenant("nobody"))
            with pytest.raises(CasstoreError, match="there is no tenant"):
                store.show_tenant(A)
    finally:
        with project.store(APP) as store:
            store.undelete_tenant(A, by="ops")
    with project.caller(*front_end) as connection:
        assert connection.execute(query).fetchone()[0] > 0


# -- becoming someone else -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trick",
    [
        "select set_config('casstore.tenant_id', '2', true)",
        "set local casstore.tenant_id = 2",
        f"select casstore.enter('{B}')",
        "set local role casstore_app",
        "select set_config('role', 'casstore_app', true)",
        f"set local role {APP}",
        "set local role postgres",
        "set local role casstore",
        "set session authorization postgres",
        "set local row_security = off",
        "reset role",
    ],
)
@pytest.mark.parametrize("view", [name for name in RELATIONS if name.startswith("casstore_api.")])
def test_a_front_end_cannot_change_who_it_is(project, trick, view):
    with project.caller(*CALLERS["front end of a"]["tenant_id"]) as connection:
        before = outcome_of(connection, f"select * from {view}")
        outcome_of(connection, trick)
        assert outcome_of(connection, f"select * from {view}") in (before, "denied")
        assert len(before) > 0


@pytest.mark.parametrize(
    "statement",
    [
        "set local role postgres",
        "set local role casstore",
        "set local role authenticated",
        "set session authorization postgres",
        "set local session_replication_role = replica",
        "alter role casstore_app bypassrls",
        f"alter role {APP} bypassrls",
        f"grant postgres to {APP}",
        f"alter table casstore.versions owner to {APP}",
        "create table casstore.mine (a int)",
        "create function casstore.mine() returns int language sql as 'select 1'",
        "alter function casstore.enter(text) security invoker",
        "select nextval('casstore.log_seq_seq')",
        "set local row_security = off; select * from casstore.versions",
        "select * from supabase_migrations.schema_migrations",
    ],
)
def test_an_app_cannot_become_more(project, statement):
    with project.caller(APP, f"select casstore.enter('{A}')") as connection:
        assert outcome_of(connection, statement) == "denied"


def test_nothing_that_a_caller_makes_runs_with_the_rights_of_the_owner(project):
    """A temporary domain called text could be what a function's `text` means, and its check would run as the function's owner."""
    told = []
    with project.caller(APP) as connection:
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
        connection.execute(
            "create function pg_temp.spy(kind pg_catalog.text) returns pg_catalog.bool language plpgsql as"
            " $$ begin raise notice '% as %', kind, current_user; return true; end $$"
        )
        for kind in ("text", "jsonb", "bytea", "uuid", "timestamptz"):
            connection.execute(f"create domain pg_temp.{kind} as pg_catalog.{kind} check (pg_temp.spy('{kind}'))")
        connection.execute("select 'x'::pg_temp.text")
        assert told == [f"text as {APP}"]
        connection.execute(claims({"tenant_id": A}))
        connection.execute(f"select casstore.enter('{A}')")
        connection.execute(
            f"select casstore.move_pointer('{A}', 'common/name', 'number', 1, null, null, 'prod', false, 2)"
        )
        connection.execute(
            f"select casstore.doubt_blob('{A}', sha256('x'), 1), casstore.mark_blobs(), casstore.applied_migrations()"
        )
        for (signature,) in project.ask("select oid::regprocedure::pg_catalog.text from pg_proc where prosecdef"):
            may_call(connection, signature)
    assert {line.split(" as ")[1] for line in told} == {APP}


def test_front_ends_find_every_view_and_column_explained(project):
    assert (
        project.ask("""
          select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum >= 0
           where c.relnamespace = 'casstore_api'::regnamespace
             and coalesce(col_description(c.oid, a.attnum), '') = ''
          union select c.relname, null from pg_class c
           where c.relnamespace = 'casstore_api'::regnamespace and coalesce(obj_description(c.oid, 'pg_class'), '') = ''""")
        == []
    )
