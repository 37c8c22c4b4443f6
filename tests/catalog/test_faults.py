"""Every refusal and constraint of the schema becomes an error of ours: a class, a code, a message with its values, a hint."""

from __future__ import annotations

import json
import re

import psycopg
import pytest
from psycopg_pool import PoolClosed, PoolTimeout

from casstore import (
    AsyncStore,
    CasstoreError,
    Code,
    Conflict,
    Corrupt,
    Denied,
    Invalid,
    NotFound,
    Unavailable,
    UsageError,
)
from casstore.catalog import faults
from casstore.catalog.migrate import migrations

SQL = "\n".join(re.sub(r"--.*", "", migration.sql) for migration in migrations())

# -- everything that the schema can say is known -------------------------------------------------------------------------

# What only a fault of ours or a stranger's hand in the tables can break: catalog_inconsistent.
INTERNAL = {
    "store_key",
    "store_single",
    "artifacts_head", "artifacts_key", "artifacts_latest", "artifacts_name_key", "artifacts_tenant",
    "blobs_crc32c", "blobs_key", "blobs_live_generation", "blobs_size", "blobs_state",
    "dereferenced_key", "scrubs_key", "scrubs_part", "scrubs_under_way",
    "components_blob", "components_key", "components_meaning", "components_picture", "components_version",
    "journal_first", "journal_key", "journal_last_seq", "journal_not_empty", "log_key",
    "pointers_artifact", "pointers_key", "pointers_move", "pointers_tag_once", "pointers_version",
    "requests_key", "requests_tenant", "tenants_key", "tenants_name_key",
    "sources_key", "sources_place", "sources_source", "sources_version",
    "transitions_actor", "transitions_allowed", "transitions_key", "transitions_left_once", "transitions_reason",
    "transitions_version", "versions_actor", "pointers_actor",
    "trash_actor", "trash_key", "trash_purged", "trash_purged_by", "trash_reason", "trash_version",
    "versions_artifact", "versions_id_key", "versions_key", "versions_number",
    "blobs_domain", "domains_key", "domains_name_key", "tenants_deleted", "tenants_deleted_by", "tenants_domain", "tenants_reason",
    "erased_parts_journal_key", "erased_parts_key", "journal_keys_erased", "journal_keys_key", "journal_keys_salt",
    "journal_keys_secret", "journal_keys_tenant", "journal_keys_tenant_key",
    "erased_components_actor", "erased_components_key", "erased_components_media_type", "erased_components_reason",
    "erased_components_version",
    "expiries_actor", "expiries_key", "expiries_reason", "expiries_version",
    "holds_actor", "holds_artifact", "holds_id", "holds_key", "holds_number", "holds_reason", "holds_released",
    "holds_released_by", "holds_tenant", "holds_version",
    "webhooks_failing", "webhooks_key", "webhooks_leased", "webhooks_made_by", "webhooks_secret", "webhooks_tenant", "webhooks_url",
    "retention_actor", "retention_key", "retention_policy", "retention_revision", "retention_tenant",
}  # fmt: skip


def test_every_refusal_of_the_sql_has_a_reaction():
    said = set(re.findall(r"(?:refuse\(|refused :=)\s*'(\w+)'", SQL)) | set(re.findall(r"constraint = '(\w+)'", SQL))
    said |= set(re.findall(r"then '(\w+)' else '(\w+)' end,\s*jsonb", SQL).pop())
    assert said == set(faults._REFUSALS)
    assert said <= {code.value for code in Code}


def test_every_constraint_of_the_sql_is_mapped_or_internal():
    named = set(re.findall(r"constraint (\w+)\s+(?:check|unique|primary|foreign|references)", SQL))
    named |= set(re.findall(r"create unique index (\w+_key)", SQL))
    assert named == set(faults._GRAMMAR) | INTERNAL


# -- each refusal, for real ------------------------------------------------------------------------------------------------


@pytest.fixture
def refused(run, store_urls):
    """The error of a call on a store with doc/a@1 and @2, the alias prod, the tag final."""

    def go(call):
        async def main():
            async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
                tenant = store.tenant()
                await tenant.put("doc/a", "one", idempotency_key="k")
                await tenant.put("doc/a", "two")
                await tenant.alias("doc/a@1", "prod")
                await tenant.tag("doc/a@1", "final")
                await tenant.transition("doc/a@1", "obsolete", by="me")
                await tenant.alias((await tenant.put("doc/b", "b")).ref, "prod")
                await tenant.put("doc/c", "c", sources=["doc/b"])
                await tenant.put("doc/late", "late", sources=[await tenant.put("doc/gone", "gone")])
                await tenant.put("doc/void", "void")
                await tenant.delete("doc/void@1", by="me")
                await tenant.purge("doc/void@1", by="me")
                await tenant.delete("doc/late@1", by="me")
                await tenant.delete("doc/gone@1", by="me")
                with pytest.raises(CasstoreError) as caught:
                    await call(tenant)
                return caught.value

        return run(main())

    return go


async def undo_of_a_put(tenant):
    (put, *_) = [each for each in await tenant.operations(limit=1000) if each.op == "put"]
    await tenant.undo(put.id, by="me")


REFUSALS = {
    "artifact_not_found": (NotFound, lambda t: t.get("doc/none"), {"name": "doc/none"}),
    "version_not_found": (NotFound, lambda t: t.get("doc/a@3"), {"number": 3, "head": 2}),
    "pointer_not_found": (NotFound, lambda t: t.get("doc/a@none"), {"text": "none"}),
    "name_case": (Conflict, lambda t: t.put("DOC/a", "x"), {"existing": "doc/a"}),
    "type_mismatch": (Conflict, lambda t: t.put("doc/a", "x", type="sop"), {"existing": "document"}),
    "head_moved": (Conflict, lambda t: t.put("doc/a", "x", expect=1), {"expected": 1, "actual": 2}),
    "same_content": (Conflict, lambda t: t.put("doc/a", "two", on_same="error"), {"number": 2}),
    "idempotency_key_reused": (Conflict, lambda t: t.put("doc/a", "other", idempotency_key="k"), {"key": "k"}),
    "alias_moved": (Conflict, lambda t: t.alias("doc/a@2", "prod", expect=2), {"expected": 2, "actual": 1}),
    "tag_frozen": (Conflict, lambda t: t.tag("doc/a@2", "final"), {"number": 1}),
    "pointer_kind": (Conflict, lambda t: t.tag("doc/a@1", "prod"), {"pointer": "prod"}),
    "version_deleted": (NotFound, lambda t: t.get("doc/gone@1"), {"name": "doc/gone", "number": 1}),
    "still_used": (
        Conflict,
        lambda t: t.delete("doc/b@1", by="me"),
        {"name": "doc/b", "number": 1, "pointers": ["prod"], "dependants": ["doc/c@1"], "count": 2},
    ),
    "source_deleted": (Conflict, lambda t: t.undelete("doc/late@1", by="me"), {"sources": ["doc/gone@1"]}),
    "not_deleted": (Conflict, lambda t: t.purge("doc/a@1", by="me"), {"name": "doc/a"}),
    "version_purged": (Conflict, lambda t: t.undelete("doc/void@1", by="me"), {"name": "doc/void"}),
    "bad_transition": (
        Conflict,
        lambda t: t.transition("doc/a@1", "accepted", by="me"),
        {"name": "doc/a", "number": 1, "before": "obsolete", "state": "accepted"},
    ),
    "webhook_not_found": (NotFound, lambda t: t.replay_webhook("00000000-0000-7000-8000-000000000000"), {}),
    "hold_not_found": (NotFound, lambda t: t.release("doc/a", "case-17", by="me"), {"hold": "case-17"}),
    "content_not_found": (NotFound, lambda t: t.erase_content("b3:" + "0" * 64, by="me"), {"digest": "b3:" + "0" * 64}),
    "operation_not_found": (NotFound, lambda t: t.undo(10**9, by="me"), {}),
    "not_undoable": (Invalid, undo_of_a_put, {}),
    "retention_moved": (
        Conflict,
        lambda t: t.set_retention({"rules": []}, by="me", expect=7),
        {"expected": 7, "actual": 0},
    ),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_refusal(refused, code):
    kind, call, fields = REFUSALS[code]
    error = refused(call)
    assert type(error) is kind
    assert error.code == code
    assert fields.items() <= error.fields.items()
    assert "{" not in error.message + error.hint, "a value was not filled in"
    json.dumps(error.as_dict())


def test_refusals_not_raised_by_a_call_alone():
    """These need another hand: test_raw_violations, a digest prefix shared by two contents, transactions and kinds, or are
    of the whole store, or of what came in between (tests/domains, tests/operations).
    """
    elsewhere = {"ambiguous_digest", "not_permitted", "transaction_refused", "type_unchecked", "undo_superseded"}
    elsewhere |= {"domain_changed", "domain_key_wrong", "too_many_webhooks"}
    elsewhere |= {"tenant_deleted", "tenant_not_deleted", "tenant_not_empty", "tenant_not_found"}
    assert set(faults._REFUSALS) - set(REFUSALS) == elsewhere


def test_an_artifact_that_differs_in_case_is_hinted_at(refused):
    assert "'doc/a'" in refused(lambda t: t.get("DOC/A")).hint


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("doc/a@9", "no version 9"),
        ("doc/a@b3:000000000000", "no version with digest b3:000000000000"),
        ("doc/a@latest~2001-01-01T00:00:00Z", "no version at 2001-01-01"),
        ("id:01890000-0000-7000-8000-000000000000", "id 01890000-0000-7000-8000-000000000000"),
    ],
)
def test_a_version_that_is_not_there_is_named_as_it_was_asked_for(refused, ref, said):
    error = refused(lambda t: t.get(ref))
    assert error.code == "version_not_found"
    assert said in error.message


def test_two_contents_of_one_digest_prefix_are_ambiguous(run, store_urls):
    async def main():
        async with AsyncStore(blobs=store_urls.blobs, catalog=store_urls.catalog) as store:
            tenant = store.tenant()
            for text in ("one", "two"):
                await tenant.put("doc/a", text)
            async with await psycopg.AsyncConnection.connect(store_urls.catalog, autocommit=True) as admin:
                await admin.execute("alter table casstore.versions disable trigger versions_immutable")
                await admin.execute(
                    "update casstore.versions set manifest = decode(repeat('ab', 31) || '0' || number, 'hex')"
                )
            return await tenant.get("doc/a@b3:" + "ab" * 6)

    with pytest.raises(Conflict, match="2 contents of 'doc/a' begin with b3:abababababab") as caught:
        run(main())
    assert caught.value.code == "ambiguous_digest"


# -- each constraint, by raw SQL: what the checks in Python let through, the database does not -----------------------------

ARTIFACT = "insert into casstore.artifacts (tenant_id, name, type) values (1, {!r}, {!r})"
PUT = (
    "select casstore.put_versions({tenant}, array['doc/new'], array[null], array[gen_random_uuid()], array[{digest}],"
    " array[null], array[{title}], array[{labels}], array[{metadata}], array[null::jsonb], array[null::bigint], array['reuse'],"
    " array[{key}], array[{digest}],"
    " array[1::bigint], array['{role}'], array[{digest}], array[3::bigint], array[{media_type}], {pictures},"
    " array[{digest}]::bytea[], array[3::bigint], array[1::bigint], null, null, interval '1 h', '{{}}', false, false)"
)
SOURCE = "insert into casstore.sources select id, 1, {}, 1, id, {}, 'source' from casstore.artifacts"
TRANSITION = (
    "insert into casstore.transitions select id, 1, '{}', 1, 1, '{}', 'me', null, now() from casstore.artifacts"
)
SET_STATE = "casstore.set_state('default', 'doc/a', 'latest', null, null, null, 'accepted', {}, {})"
ACCEPT = "select " + SET_STATE.format("'me'", "null")
GOOD = {
    "tenant": "'default'", "role": "main", "digest": "(select digest::bytea from casstore.blobs limit 1)",
    "media_type": "'text/plain'", "title": "null::text", "labels": "null::jsonb", "key": "null::text",
    "metadata": "null::jsonb", "pictures": "null, null, null",
}  # fmt: skip


def put(**changes):
    return PUT.format(**GOOD | changes)


VIOLATIONS = {
    "tenant_name_grammar": (Invalid, "bad_tenant", "insert into casstore.tenants (name) values ('no/slash')"),
    "artifact_name_grammar": (Invalid, "bad_name", ARTIFACT.format("a//b", "document")),
    "type_name_grammar": (Invalid, "bad_type", ARTIFACT.format("a/b", "No")),
    "role_name_grammar": (Invalid, "bad_role", put(role="No")),
    "pointer_name_grammar": (
        Invalid,
        "bad_pointer",
        "select casstore.move_pointer('default', 'doc/a', 'latest', null, null, null, 'latest', false, null)",
    ),
    "digest_length": (
        Invalid,
        "bad_digest",
        "insert into casstore.blobs (digest, size_bytes, crc32c) values ('x', 1, 1)",
    ),
    "components_media_type": (Invalid, "bad_media_type", put(media_type="repeat('x', 128)")),
    "requests_key_length": (Invalid, "bad_idempotency_key", put(key="repeat('x', 256)")),
    "versions_title": (Invalid, "bad_title", put(title="repeat('x', 501)")),
    "versions_labels": (Invalid, "bad_label", put(labels="'[1]'::jsonb")),
    "versions_metadata": (Invalid, "bad_metadata", put(metadata="'[1]'::jsonb")),
    "components_picture": (Corrupt, "catalog_inconsistent", put(pictures="array[sha256('x')], array[1::bigint], null")),
    "sources_place": (Corrupt, "catalog_inconsistent", SOURCE.format(0, 1)),
    "sources_source": (Corrupt, "catalog_inconsistent", SOURCE.format(1, 9)),
    "transitions_allowed": (Corrupt, "catalog_inconsistent", TRANSITION.format("draft", "accepted")),
    "transitions_allowed twice": (Corrupt, "catalog_inconsistent", TRANSITION.format("accepted", "accepted")),
    "transitions_left_once": (Corrupt, "catalog_inconsistent", f"{ACCEPT}; " + TRANSITION.format("obsolete", "draft")),
    "transitions_key": (Corrupt, "catalog_inconsistent", f"{ACCEPT}; " + TRANSITION.format("accepted", "draft")),
    "transitions_actor": (Corrupt, "catalog_inconsistent", "select " + SET_STATE.format("''", "null")),
    "transitions_reason": (Corrupt, "catalog_inconsistent", "select " + SET_STATE.format("'me'", "repeat('x', 1001)")),
    "not_permitted": (Denied, "not_permitted", "delete from casstore.log"),
    "not_permitted by truncate": (Denied, "not_permitted", "truncate casstore.log"),
    "not_permitted on versions": (Denied, "not_permitted", "update casstore.versions set title = 'x'"),
    "not_permitted on transitions": (Denied, "not_permitted", "update casstore.transitions set actor = 'x'"),
    "not_permitted on sources": (Denied, "not_permitted", "update casstore.sources set role = 'x'"),
    "not_permitted on components": (Denied, "not_permitted", "update casstore.components set size_bytes = 1"),
    "blobs_size": (Corrupt, "catalog_inconsistent", "update casstore.blobs set size_bytes = -1"),
    "blobs_crc32c": (Corrupt, "catalog_inconsistent", "update casstore.blobs set crc32c = 4294967296"),
    "blobs_state": (Corrupt, "catalog_inconsistent", "update casstore.blobs set state = 'x'"),
    "blobs_live_generation": (Corrupt, "catalog_inconsistent", "update casstore.blobs set generation = null"),
    "components_blob": (Corrupt, "catalog_inconsistent", "delete from casstore.blobs"),
    "versions_artifact": (Corrupt, "catalog_inconsistent", "delete from casstore.artifacts"),
    "artifacts_latest": (Corrupt, "catalog_inconsistent", "update casstore.artifacts set latest = 2"),
    "trash_version": (
        Corrupt,
        "catalog_inconsistent",
        "insert into casstore.trash select id, 9, 1, now(), 'me' from casstore.artifacts",
    ),
    "trash_actor": (
        Corrupt,
        "catalog_inconsistent",
        "insert into casstore.trash select id, 1, 1, now(), '' from casstore.artifacts",
    ),
    "artifacts_head": (Corrupt, "catalog_inconsistent", "update casstore.artifacts set head = -1"),
    "pointers_move": (Corrupt, "catalog_inconsistent", "update casstore.pointers set move = 0"),
    "pointers_tag_once": (Corrupt, "catalog_inconsistent", "update casstore.pointers set is_tag = true, move = 2"),
    "pointers_version": (Corrupt, "catalog_inconsistent", "update casstore.pointers set number = 9"),
    "tenants_name_key": (Corrupt, "catalog_inconsistent", "insert into casstore.tenants (name) values ('default')"),
    "artifacts_name_key": (Corrupt, "catalog_inconsistent", ARTIFACT.format("DOC/A", "document")),
    "a function that is not there": (Unavailable, "catalog_unavailable", "select casstore.nothing()"),
    "a table that is not there": (Unavailable, "catalog_unavailable", "select from casstore.nothing"),
    "a column that is not there": (Corrupt, "catalog_inconsistent", "select nothing from casstore.blobs"),
    "a read-only server": (
        Unavailable,
        "catalog_unavailable",
        "set transaction read only; insert into casstore.tenants (name) values ('x')",
    ),
}


@pytest.fixture(scope="module")
def stocked(run, databases, new_blobs):
    """A database with doc/a@1, its blob, and the alias prod. Nobody commits to it."""

    async def stock(dsn):
        async with AsyncStore(blobs=new_blobs(), catalog=dsn) as store:
            await store.tenant().put("doc/a", "one")
            await store.tenant().alias("doc/a@1", "prod")

    with databases.fresh() as dsn:
        run(stock(dsn))
        yield dsn


@pytest.mark.parametrize("what", VIOLATIONS)
def test_raw_violations(stocked, what):
    kind, code, statement = VIOLATIONS[what]
    with psycopg.connect(stocked) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(statement)
    if what.partition(" ")[0] in {*faults._REFUSALS, *faults._GRAMMAR, *INTERNAL}:
        assert caught.value.diag.constraint_name == what.partition(" ")[0], caught.value
    error = faults.translate(caught.value)
    assert type(error) is kind
    assert error.code == code
    assert error.message
    assert error.hint


def test_the_put_used_above_is_a_good_one(stocked):
    with psycopg.connect(stocked) as connection:
        connection.execute(put())
        connection.rollback()


# -- what is no refusal ----------------------------------------------------------------------------------------------------

# What servers and poolers say to those they do not let in: psycopg has the text only. Supavisor's are from its source.
FULL = (
    "sorry, too many clients already",
    'too many connections for role "me"',
    "remaining connection slots are reserved for roles with the SUPERUSER attribute",
    "no more connections allowed (max_client_conn)",
    "Max client connections reached",
    "MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size",
    "Unable to check out process from the pool due to timeout",
)
UNSAFE = (
    "SSL required",
    "SSL connection is required",
    'no pg_hba.conf entry for host "10.0.0.1", user "me", database "x", no encryption',
)


def fatal(text):
    """An error in the middle of a session, as a pooler that ends it says it, with a state of no class in particular."""
    field = psycopg.pq.DiagnosticField
    info = {field.SEVERITY_NONLOCALIZED: b"FATAL", field.SQLSTATE: b"XX000", field.MESSAGE_PRIMARY: text.encode()}
    return psycopg.errors.InternalError_(text, info=info)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (PoolTimeout("time is up"), Unavailable, "catalog_busy"),
        (PoolClosed("closed"), UsageError, "store_closed"),
        (OSError("no network"), Unavailable, "catalog_unavailable"),
        (psycopg.OperationalError("the socket closed"), Unavailable, "catalog_unavailable"),
        (psycopg.errors.AdminShutdown("going down"), Unavailable, "catalog_unavailable"),
        (psycopg.errors.DiskFull("no space"), Unavailable, "disk_full"),
        (psycopg.errors.DeadlockDetected("deadlock"), Unavailable, "catalog_unavailable"),
        (psycopg.errors.InsufficientPrivilege("no"), Denied, "not_permitted"),
        (psycopg.errors.QueryCanceled("canceling statement due to statement timeout"), Unavailable, "catalog_busy"),
        (psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"), Unavailable, "catalog_busy"),
        (psycopg.errors.TooManyConnections("no more"), Unavailable, "catalog_busy"),
        (faults.NoAnswer("nothing"), Unavailable, "catalog_busy"),
        (psycopg.OperationalError("SSL connection has been closed unexpectedly"), Unavailable, "catalog_unavailable"),
        *(
            (psycopg.OperationalError(f"connection failed: FATAL:  {text}"), Unavailable, "catalog_busy")
            for text in FULL
        ),
        *((psycopg.OperationalError(f"connection failed: FATAL:  {text}"), Invalid, "bad_config") for text in UNSAFE),
    ],
)
def test_other_failures(error, kind, code):
    translated = faults.translate(error)
    assert type(translated) is kind
    assert translated.code == code
    assert translated.hint


@pytest.mark.parametrize(
    ("error", "lost", "retryable"),
    [
        (psycopg.OperationalError("the socket closed"), True, True),
        (psycopg.errors.AdminShutdown(), True, True),
        (psycopg.errors.CrashShutdown(), True, True),
        (psycopg.errors.CannotConnectNow(), True, True),
        (psycopg.errors.ConnectionException(), True, True),
        (fatal("DbHandler exited"), True, True),
        (fatal(FULL[-1]), False, False),
        (psycopg.errors.InternalError_("not the end of the session"), False, False),
        (faults.NoAnswer(), True, True),
        *((psycopg.OperationalError(text), False, False) for text in (*FULL, *UNSAFE)),
        (psycopg.errors.DeadlockDetected(), False, True),
        (psycopg.errors.SerializationFailure(), False, True),
        (psycopg.errors.QueryCanceled(), False, False),
        (psycopg.errors.UniqueViolation(), False, False),
        (psycopg.errors.DiskFull(), False, False),
        (PoolTimeout(), False, False),  # nothing was sent; found by tests/faults/test_catalog_down.py
        (PoolClosed(), False, False),
    ],
)
def test_what_may_be_sent_again(error, lost, retryable):
    assert faults.is_lost_connection(error) is lost
    assert faults.is_retryable(error) is retryable
