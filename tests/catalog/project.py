"""A Postgres that looks like a Supabase project to our migrations, two tenants in it, and everybody who may knock at its door."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import errors

from casstore import CasstoreError, Store
from tests.support.postgres import uri_of

__all__ = [
    "APP",
    "CALLERS",
    "CELLS",
    "COLLECTOR",
    "A",
    "B",
    "Project",
    "answer_of",
    "claims",
    "fill",
    "make_database",
    "make_logins",
    "outcome_of",
]

SHIM = Path(__file__).parents[2] / "sql" / "dev" / "supabase_shim.sql"

APP = "casstore_test_app"
"""A login role of a server of ours: in casstore_app and nothing else."""

COLLECTOR = "casstore_test_collector"
"""A login role of a collector: in casstore_collector and nothing else."""

STRANGER = "casstore_test_stranger"
"""A login role with the rights everybody has."""

A, B = "alpha", "beta"
TENANT_OF = "select a.tenant_id from casstore.artifacts a where a.id = artifact_id"


def claims(value: object) -> str:
    return f"select set_config('request.jwt.claims', '{json.dumps(value)}', true)"


def as_front_end(*more: str, role: str = "authenticated") -> tuple[str, ...]:
    """As a Data API does it: one login for all, and the role and the claims of each request in its transaction."""
    return ("authenticator", f"set local role {role}", *more)


# Who asks: a login role, and what the transaction begins with.
CALLERS: dict[str, dict[str, tuple[str, ...]]] = {
    "app": {"app": (APP,), "app, claims of a, not entered": (APP, claims({"tenant_id": A}))},
    "app in a": {
        "app": (APP, f"select casstore.enter('{A}')"),
        "app, claims of a": (APP, claims({"tenant_id": A}), f"select casstore.enter('{A}')"),
        "app, after b": (APP, f"select casstore.enter('{B}')", f"select casstore.enter('{A}')"),
    },
    "app refused": {
        "unknown tenant": (APP, "select casstore.enter('nobody')"),
        "unknown after a": (APP, f"select casstore.enter('{A}')", "select casstore.enter('nobody')"),
        "claims of b": (APP, claims({"tenant_id": B}), f"select casstore.enter('{A}')"),
        "claims of nobody": (APP, claims({"role": "authenticated"}), f"select casstore.enter('{A}')"),
    },
    "collector": {
        "collector": (COLLECTOR,),
        "collector, claims of a": (
            COLLECTOR,
            claims({"tenant_id": A}),
            "select set_config('casstore.tenant_id', '1', true)",
        ),
    },
    "front end of a": {
        "tenant_id": as_front_end(claims({"tenant_id": A})),
        "app_metadata": as_front_end(claims({"app_metadata": {"tenant_id": A}})),
        "both": as_front_end(claims({"tenant_id": A, "app_metadata": {"tenant_id": B}})),
        "user_metadata too": as_front_end(claims({"tenant_id": A, "user_metadata": {"tenant_id": B}})),
        "setting of b": as_front_end(claims({"tenant_id": A}), "select set_config('casstore.tenant_id', '2', true)"),
    },
    "front end of no one": {
        "no claims": as_front_end(),
        "empty claims": as_front_end("select set_config('request.jwt.claims', '', true)"),
        "claims without a tenant": as_front_end(claims({"role": "authenticated"})),
        "user_metadata": as_front_end(claims({"user_metadata": {"tenant_id": A}})),
        "unknown tenant": as_front_end(claims({"tenant_id": "nobody"})),
        "key of the tenant": as_front_end(claims({"tenant_id": 1})),
        "list of tenants": as_front_end(claims({"tenant_id": [A]})),
        "null, then a": as_front_end(claims({"tenant_id": None, "app_metadata": {"tenant_id": A}})),
        "app_metadata is text": as_front_end(claims({"app_metadata": A})),
        "claims are a list": as_front_end(claims([{"tenant_id": A}])),
        "claims are text": as_front_end(claims("tenant_id")),
        "no JSON": as_front_end("select set_config('request.jwt.claims', '{\"tenant_id\": ', true)"),
        "NUL": as_front_end("select set_config('request.jwt.claims', '{\"tenant_id\": \"\\u0000\"}', true)"),
        "too deep": as_front_end("select set_config('request.jwt.claims', repeat('[', 100000), true)"),
        "setting of a": as_front_end("select set_config('casstore.tenant_id', '1', true)"),
    },
    "anybody else": {
        "anon": as_front_end(claims({"tenant_id": A}), role="anon"),
        "service_role": as_front_end(claims({"tenant_id": A}), role="service_role"),
        "authenticator": ("authenticator", claims({"tenant_id": A})),
        "stranger": (STRANGER, claims({"tenant_id": A}), "select set_config('casstore.tenant_id', '1', true)"),
    },
}


# Who sees the rows of the tenant a, all, none, or is refused.
SEEN = """
select *                  | app    | app in a | app refused | collector | front end of a | front end of no one | anybody else
casstore.store            | all    | all      | all         | all       | denied         | denied              | denied
casstore.tenants          | denied | denied   | denied      | denied    | denied         | denied              | denied
casstore.blobs            | denied | denied   | denied      | denied    | denied         | denied              | denied
casstore.artifacts        | none   | a        | none        | denied    | denied         | denied              | denied
casstore.versions         | none   | a        | none        | denied    | denied         | denied              | denied
casstore.components       | none   | a        | none        | denied    | denied         | denied              | denied
casstore.pointers         | none   | a        | none        | denied    | denied         | denied              | denied
casstore.sources          | none   | a        | none        | denied    | denied         | denied              | denied
casstore.transitions      | none   | a        | none        | denied    | denied         | denied              | denied
casstore.trash            | none   | a        | none        | denied    | denied         | denied              | denied
casstore.holds            | none   | a        | none        | denied    | denied         | denied              | denied
casstore.retention        | none   | a        | none        | denied    | denied         | denied              | denied
casstore.expiries         | none   | a        | none        | denied    | denied         | denied              | denied
casstore.erased_components | none  | a        | none        | denied    | denied         | denied              | denied
casstore.dereferenced    | denied | denied   | denied      | denied    | denied         | denied              | denied
casstore.requests         | denied | denied   | denied      | denied    | denied         | denied              | denied
casstore.log              | denied | denied   | denied      | denied    | denied         | denied              | denied
casstore.scrubs           | denied | denied   | denied      | denied    | denied         | denied              | denied
casstore.domains          | denied | denied   | denied      | denied    | denied         | denied              | denied
casstore.journal          | denied | denied   | denied      | denied    | denied         | denied              | denied
casstore.journal_keys     | denied | denied   | denied      | denied    | denied         | denied              | denied
casstore.erased_parts     | denied | denied   | denied      | denied    | denied         | denied              | denied
casstore.webhooks         | denied | denied   | denied      | denied    | denied         | denied              | denied
casstore.version_details  | none   | a        | none        | denied    | denied         | denied              | denied
casstore_api.artifacts    | denied | denied   | denied      | denied    | a              | none                | denied
casstore_api.versions     | denied | denied   | denied      | denied    | a              | none                | denied
casstore_api.components   | denied | denied   | denied      | denied    | a              | none                | denied
casstore_api.pointers     | denied | denied   | denied      | denied    | a              | none                | denied
casstore_api.sources      | denied | denied   | denied      | denied    | a              | none                | denied
casstore_api.transitions  | denied | denied   | denied      | denied    | a              | none                | denied
"""


def _cells() -> Iterator[tuple[str, str, str, str]]:
    header, *rows = ([cell.strip() for cell in line.split("|")] for line in SEEN.strip().splitlines())
    for relation, *outcomes in rows:
        for group, outcome in zip(header[1:], outcomes, strict=True):
            for caller in CALLERS[group]:
                yield relation, group, caller, outcome


CELLS = list(_cells())
"""The same, one by one: relation, group of callers, caller, outcome."""


def outcome_of(connection, statement):
    """The rows, or the words of the refusal."""
    try:
        with connection.transaction():
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []
    except errors.InsufficientPrivilege:
        return "denied"


def answer_of(operation: Callable[..., Any], *arguments: Any) -> Any:
    """What a caller gets to know: the value, or all that an error says."""
    try:
        return operation(*arguments)
    except CasstoreError as error:
        return type(error), error.as_dict()


def make_database(admin: str, name: str) -> str:
    """Make a database without our tables; the DSN of its owner, who is no superuser. The first of a server makes the roles."""
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"create database {name} template template0")
    with psycopg.connect(uri_of(admin, dbname=name), autocommit=True) as connection:
        connection.execute(SHIM.read_bytes())
    return uri_of(admin, user="postgres", dbname=name)


def make_logins(owner: str) -> None:
    """The login roles of those who are not Supabase's, once for a server; the roles that they are in have to be there."""
    with psycopg.connect(owner, autocommit=True) as connection:
        if not connection.execute("select from pg_roles where rolname = %s", (APP,)).fetchall():
            connection.execute(f"create role {APP} login in role casstore_app")
            connection.execute(f"create role {COLLECTOR} login in role casstore_collector")
            connection.execute(f"create role {STRANGER} login")


@dataclass(frozen=True)
class Project:
    """A migrated database with the artifacts of two tenants."""

    owner: str
    blobs: str

    def store(self, role: str, **parameters: str) -> Store:
        """The store through another role."""
        return Store(blobs=self.blobs, catalog=uri_of(self.owner, user=role, **parameters))

    @contextmanager
    def caller(self, login: str, *begin: str) -> Iterator[psycopg.Connection[Any]]:
        """A transaction of someone, which is taken back."""
        with psycopg.connect(uri_of(self.owner, user=login)) as connection:
            for statement in begin:
                connection.execute(statement)
            yield connection
            connection.rollback()

    def seen(self, relation: str, group: str, caller: str) -> Any:
        """What somebody sees of a relation: its rows, or "denied"."""
        with self.caller(*CALLERS[group][caller]) as connection:
            return outcome_of(connection, f"select * from {relation} t order by t::text")

    def expected(self, relation: str, outcome: str) -> Any:
        """The rows that an outcome of the table means."""
        if outcome in ("denied", "none"):
            return "denied" if outcome == "denied" else []
        tenant = "tenant_id" if relation.startswith("casstore.") else f"({TENANT_OF})"
        which = f"where {tenant} = 1" if outcome == "a" else ""
        return self.ask(f"select * from {relation} t {which} order by t::text")

    def ask(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """What the owner, whom nothing is hidden from, is answered."""
        with psycopg.connect(self.owner, autocommit=True) as connection:
            return connection.execute(statement, arguments or None).fetchall()


def fill(owner: str, blobs: str) -> Project:
    """Both tenants have every kind of row, and one name and one content in common."""
    with Store(blobs=blobs, catalog=owner) as store:
        for name, versions in ((A, 2), (B, 3)):
            tenant = store.tenant(name)
            for number in range(versions):
                tenant.put(
                    "common/name", f"{number} of {name}", title=f"Of {name}", labels={"of": name}, metadata={"of": name}
                )
            content = tenant.put("common/content", "the same", idempotency_key="key")
            tenant.put(f"only/{name}", f"secret of {name}", sources=[content])
            tenant.transition("common/name@1", "accepted", by="somebody", reason=f"Of {name}")
            tenant.alias("common/name@1", "prod")
            tenant.alias("common/name@2", "prod")
            tenant.alias("common/name@1", "gone")
            tenant.unalias("common/name", "gone")
            tenant.tag("common/name@1", "first")
            tenant.put("common/rest", f"rest of {name}")
            tenant.put("common/rest", f"more of {name}")
            tenant.delete("common/rest@1", by="somebody", reason=f"Of {name}")
            tenant.delete(tenant.put("common/past", f"past of {name}").ref, by="somebody")
            tenant.purge("common/past@1", by="somebody", reason=f"Of {name}")
            tenant.put("common/erased", "to be erased")
            tenant.erase_content(tenant.digest_of(b"to be erased"), by="somebody", reason=f"Of {name}")
            tenant.hold(f"only/{name}@1", "case", by="somebody", reason=f"Of {name}")
            tenant.hold("common/content", "case", by="somebody")
            tenant.release("common/content", "case", by="somebody")
            tenant.release(f"only/{name}@1", "case", by="somebody")
            tenant.set_retention({"rules": [{"name": name, "match": {"type": "none"}, "keep": {}}]}, by="somebody")
            tenant.expire("common/content@1", timedelta(days=1), by="somebody", reason=f"Of {name}")
    return Project(owner, blobs)
