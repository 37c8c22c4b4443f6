"""A clock of the catalog that a test can move, in whichever direction: for tests that cannot wait for days.

Every function of the schema, and every default of a column, that asks Postgres for the time asks `clock` instead: the same time,
and what a table of one row adds to it. All else is as it is in the product.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import LiteralString

import psycopg
from psycopg import sql

_CLOCK: LiteralString = """
create schema clock;
create table clock.shift (shift interval not null);
insert into clock.shift values ('0');
create function clock.now() returns timestamptz language sql stable as
  'select pg_catalog.now() + (select s.shift from clock.shift s)';
create function clock.clock_timestamp() returns timestamptz language sql volatile as
  'select pg_catalog.clock_timestamp() + (select s.shift from clock.shift s)';
"""
_FUNCTIONS: LiteralString = """
select pg_get_functiondef(p.oid) from pg_proc p
 where p.pronamespace = 'casstore'::regnamespace and p.prokind = 'f' and p.prosrc ~ '\\m(now|clock_timestamp)[(][)]'
"""
_DEFAULTS: LiteralString = """
select a.attrelid::regclass::text, a.attname, pg_get_expr(d.adbin, d.adrelid)
  from pg_attrdef d join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
  join pg_class c on c.oid = d.adrelid
 where c.relnamespace = 'casstore'::regnamespace and pg_get_expr(d.adbin, d.adrelid) in ('now()', 'clock_timestamp()')
"""


def make_movable(dsn: str) -> int:
    """Let a catalog ask a clock that can be moved; how many functions and columns ask it now."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_CLOCK)
        sources = [source for (source,) in connection.execute(_FUNCTIONS).fetchall()]
        for source in sources:
            connection.execute(re.sub(r"\b(now|clock_timestamp)\(\)", r"clock.\1()", source).encode())
        defaults = connection.execute(_DEFAULTS).fetchall()
        for table, column, expression in defaults:
            change = sql.SQL("alter table {} alter column {} set default clock.{}")
            schema, _, name = table.partition(".")
            connection.execute(change.format(sql.Identifier(schema, name), sql.Identifier(column), sql.SQL(expression)))
        return len(sources) + len(defaults)


def set_to(dsn: str, shift: timedelta) -> None:
    """Let the catalog's clock be so far from the true one."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update clock.shift set shift = %s", (shift,))
