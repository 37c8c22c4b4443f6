"""Write the pages of docs/ that repeat what the code says: tables.md, reference/cli.md, reference/api.md,
and the list of decisions in index.md.

python docs/generate.py                  write all
python docs/generate.py tables cli       write these
python docs/generate.py --check          exit with 1 if one of them is stale
"""
# ruff: noqa: INP001 - a script, not a package

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final, LiteralString

import click
import psycopg
from pydantic import BaseModel

import casstore
from casstore.catalog.embedded import EmbeddedPostgres
from casstore.catalog.migrate import migrate
from casstore.cli.root import COMMANDS, commands

DOCS: Final = Path(__file__).parent
NOTE: Final = "<!-- Made by `python docs/generate.py`. Edit what it is made from, not this page. -->"
FOLDER_MODE: Final = 0o755  # as root the server runs under another account, which has to pass through


# -- tables.md: from the comments in sql/migrations ----------------------------------------------------------------------

RELATIONS: Final = """
select c.oid, case nspname when 'casstore' then '' else nspname || '.' end || c.relname, c.relkind::text,
       obj_description(c.oid, 'pg_class')
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where nspname in ('casstore', 'casstore_api') and c.relkind in ('r', 'v', 'S') order by c.oid
"""
COLUMNS: Final = """
select a.attname, replace(format_type(a.atttypid, a.atttypmod), 'casstore.', ''),
       not (a.attnotnull or coalesce(t.typnotnull, false)),
       case when a.attidentity <> '' then 'identity' else coalesce(pg_get_expr(d.adbin, d.adrelid), '') end,
       col_description(a.attrelid, a.attnum)
  from pg_attribute a join pg_type t on t.oid = a.atttypid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
 where a.attrelid = %s and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
CONSTRAINTS: Final = """
select conname, pg_get_constraintdef(oid) from pg_constraint
 where conrelid = %s and contype in ('p', 'u', 'f', 'c') order by contype = 'c', contype <> 'p', conname
"""
INDEXES: Final = """
select c.relname, regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX \\S+ ON \\S+ USING \\S+ ', '\\1')
  from pg_index i join pg_class c on c.oid = i.indexrelid
 where i.indrelid = %s and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u'))
 order by c.relname
"""
DOMAINS: Final = """
select t.typname, format_type(t.typbasetype, t.typtypmod), k.conname, pg_get_constraintdef(k.oid)
  from pg_type t join pg_constraint k on k.contypid = t.oid
 where t.typnamespace = 'casstore'::regnamespace and t.typtype = 'd' and k.contype = 'c' order by t.typname
"""
FUNCTIONS: Final = """
select p.proname, replace(pg_get_function_arguments(p.oid), 'casstore.', ''),
       replace(pg_get_function_result(p.oid), 'casstore.', ''),
       obj_description(p.oid, 'pg_proc')
  from pg_proc p where p.pronamespace = 'casstore'::regnamespace order by p.proname
"""


def tables(dsn: str) -> str:
    """The page about the schema of a migrated database."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set search_path = ''")

        def ask(sql: LiteralString, *arguments: Any) -> list[tuple[Any, ...]]:
            return connection.execute(sql, arguments or None).fetchall()

        return "\n".join(_tables(ask)).rstrip("\n") + "\n"


def _tables(ask: Callable[..., list[tuple[Any, ...]]]) -> Iterator[str]:
    yield from ("# The catalog's tables", "", NOTE, "")
    yield "Schema `casstore`, and for front ends `casstore_api`, made by `sql/migrations`. Row-level security is on everywhere."
    yield "[architecture.md](architecture.md) tells how they work together, [format.md](format.md) what must hold."
    relations = ask(RELATIONS)
    for oid, name, kind, comment in (r for r in relations if r[2] in "rv"):
        yield from ("", f"## {name}" + (" (view)" if kind == "v" else ""), "", comment, "")
        yield from _table(("column", "type", "null", "default", "meaning"), map(_column, ask(COLUMNS, oid)))
        yield ""
        yield from (f"- `{constraint}`: `{text}`" for constraint, text in ask(CONSTRAINTS, oid))
        yield from (f"- index `{index}`: `{text}`" for index, text in ask(INDEXES, oid))
    yield from ("", "## Sequences", "")
    yield from (f"- `{name}`: {comment}" for _, name, kind, comment in relations if kind == "S" and comment)
    yield from ("", "## Domains", "", "The grammar of [format.md](format.md), enforced where the values are kept.", "")
    rows = ((f"`{name}`", f"`{base}`", f"`{rule}`", f"`{text}`") for name, base, rule, text in ask(DOMAINS))
    yield from _table(("domain", "of", "constraint", "rule"), rows)
    yield from ("", "## Functions", "")
    for name, arguments, result, comment in ask(FUNCTIONS):
        yield from (f"### {name}", "", comment or "", "", "```text", f"{name}(")
        yield from (f"  {argument}" for argument in arguments.split(", ") if argument)
        yield from (f") → {result}", "```", "")


def _column(row: tuple[Any, ...]) -> tuple[str, ...]:
    name, kind, null, default, comment = row
    return f"`{name}`", f"`{kind}`", "null" if null else "", f"`{default}`" if default else "", comment or ""


def made_tables() -> str:
    """The same, of a database made for it."""
    with tempfile.TemporaryDirectory(prefix="casstore-") as folder:
        Path(folder).chmod(FOLDER_MODE)
        with EmbeddedPostgres(Path(folder) / "pg") as server:
            asyncio.run(migrate(server.dsn))
            return tables(server.dsn)


# -- reference/cli.md: from the commands themselves ----------------------------------------------------------------------


def cli() -> str:
    """The page about the command line."""
    return "\n".join(_cli()) + "\n"


def _cli() -> Iterator[str]:
    context = click.Context(commands, info_name="casstore")
    made = {name: commands.get_command(context, name) for name in COMMANDS}
    shared = _shared([command.params for command in made.values() if command])
    yield from ("# The command line", "", NOTE, "")
    yield from (inspect.cleandoc(commands.help or ""), "", "## Options of every command")
    yield from _options(shared)
    yield from ("", "`--version` stands alone: `casstore --version`. `-h` and `--help` stand anywhere.")
    yield from (
        "",
        "With `--json` a result is one JSON document on standard output, an error one on standard error.",
        "",
    )
    common = _common([_codes(command) for command in made.values() if command])
    yield from _table(
        ("exit code", "meaning, where a command says nothing else"), [(str(c), t) for c, t in common.items()]
    )
    yield from ("", "## Commands", "")
    yield from (f"- [`casstore {name}`](#casstore-{name}): {text}" for name, text in COMMANDS.items())
    for name, command in made.items():
        if command:
            usage = command.collect_usage_pieces(click.Context(command, info_name=name, parent=context))
            yield from (
                "",
                f"## casstore {name}",
                "",
                "```text",
                " ".join(["casstore", name, *filter(None, usage)]),
                "```",
                "",
            )
            yield _prose(command.help or "")
            own = [p for p in command.params if p.name not in {known.name for known in shared}]
            yield from _options(own)
            special = {code: text for code, text in _codes(command).items() if common.get(code) != text}
            if special:
                yield from ("", "Exit codes: " + "; ".join(f"{code}, {text}" for code, text in special.items()) + ".")


def _prose(text: str) -> str:
    """Help with its examples, which are paragraphs of one command, as code."""
    return re.sub(r"^(casstore [a-z].*)$", r"    \1", inspect.cleandoc(text), flags=re.MULTILINE)


def _codes(command: click.Command) -> dict[int, str]:
    return {int(code): text for code, text in re.findall(r"^ *(\d+)  (.*)$", command.epilog or "", re.MULTILINE)}


def _common(tables: Sequence[dict[int, str]]) -> dict[int, str]:
    """What each code means in most of these."""
    return {code: Counter(table[code] for table in tables).most_common(1)[0][0] for code in tables[0]}


def _shared(params: Sequence[Sequence[click.Parameter]]) -> list[click.Parameter]:
    """Options that every command has, and that are shown."""
    common = set.intersection(*({p.name for p in some} for some in params))
    return [p for p in params[0] if p.name in common and isinstance(p, click.Option) and not p.hidden]


def _options(options: Sequence[click.Parameter]) -> Iterator[str]:
    rows = []
    for option in options:
        if isinstance(option, click.Option) and not option.hidden:
            name = ", ".join(option.opts)
            takes = option.metavar or ("" if option.is_flag else _kind(option))
            rows.append((f"`{name} {takes}`".replace(" `", "`"), option.help or ""))
    if rows:
        yield ""
        yield from _table(("option", "meaning"), rows)


def _kind(option: click.Option) -> str:
    return "|".join(option.type.choices) if isinstance(option.type, click.Choice) else "TEXT"


# -- reference/api.md: from casstore.__all__ -----------------------------------------------------------------------------

CHAPTERS: Final = {
    "Blocking code": "Store Tenant Artifact Reader Check",
    "Async code": "AsyncStore AsyncTenant AsyncArtifact AsyncReader AsyncCheck",
    "Over HTTP": "connect connect_async RemoteTenant AsyncRemoteTenant Transfer",
    "What goes in": "Components Part Source Ref Selector RetentionPolicy RetentionRule RetentionMatch RetentionKeep",
    "What comes out": (
        "Version Stored Component Manifest Digest Pointer Transition Lineage Node Link Deleted Hold Retention Expiry Custody "
        "Page Usage "
        "Shared TenantState"
    ),
    "What is compared and merged": (
        "Diff Side ComponentDiff Comparison Change Compared Merge MergedPart PartConflict MergeConflict Resolution"
    ),
    "What is reported": (
        "Prepared Finding ImportReport Imported Impact Candidate Collected Uncollected Defect Checked Scrubbed Repaired "
        "JournalExport JournalAudit JournalFault Rebuilt CatalogDigest Receipt ContentReceipt ErasedContent ReceiptCheck "
        "Verdict RetentionPreview RetentionTotals Retained"
    ),
    "Errors": "CasstoreError NotFound Conflict Invalid Denied Corrupt Unavailable UsageError Code",
}


def api() -> str:
    """The page about the public names."""
    return "\n".join(_api()) + "\n"


def _api() -> Iterator[str]:
    listed = [name for names in CHAPTERS.values() for name in names.split()]
    others = " ".join(name for name in casstore.__all__ if name not in listed)
    yield from ("# The library", "", NOTE, "")
    yield "Every public name, with the first words of its docstring; `help(casstore.Tenant.put)` prints the rest."
    yield "Causes of errors are in [errors.md](errors.md), settings in [settings.md](settings.md)."
    for chapter, names in {**CHAPTERS, **({"More": others} if others else {})}.items():
        yield from ("", f"## {chapter}")
        for name in names.split():
            thing = getattr(casstore, name)
            yield from ("", f"### {name}", "", _first(thing))
            if isinstance(thing, type) and issubclass(thing, BaseModel):
                fields = [
                    f"`{field}: {kind}`" for field, kind in thing.__annotations__.items() if field != "model_config"
                ]
                yield from ("", "Fields: " + ", ".join(fields) + ".")
            rows = list(_members(thing))
            if rows:
                yield ""
                yield from _table(("member", "meaning"), rows)


def _members(thing: object) -> Iterator[tuple[str, str]]:
    if not isinstance(thing, type) or issubclass(thing, Enum):
        return
    # A tenant's door is made of parts, one for each subject. One over HTTP has what the local one has, and more.
    is_remote = thing.__module__.startswith("casstore.client.")
    told = set(dir(thing.__base__)) if is_remote else set()
    parts = [part for part in thing.__mro__ if part is thing or part.__module__.startswith("casstore.tenant.")]
    for name, member in ((name, member) for part in parts for name, member in vars(part).items()):
        method = inspect.unwrap(member.__func__ if isinstance(member, classmethod | staticmethod) else member)
        if name in told or name.startswith(("_", "model_")) or not (callable(method) or isinstance(method, property)):
            continue
        if isinstance(method, property):
            yield f"`{name}`", _first(method)
        else:
            yield f"`{'async ' if _is_async(thing, member) else ''}{name}({_parameters(method)})`", _first(method)


def _is_async(thing: type, member: Any) -> bool:
    return thing.__name__.startswith("Async") and inspect.iscoroutinefunction(member)


def _parameters(method: Any) -> str:
    """Their names, with a star before the first that only goes by name."""
    words: list[str] = []
    for p in list(inspect.signature(method).parameters.values())[1:]:
        if p.kind is p.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        prefix = "**" if p.kind is p.VAR_KEYWORD else "*" if p.kind is p.VAR_POSITIONAL else ""
        words.append(f"{prefix}{p.name}{'' if p.default is p.empty else '=…'}")
    return ", ".join(words)


def _first(thing: Any) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


# -- index.md: only its list of decisions --------------------------------------------------------------------------------


def index() -> str:
    """The index as it stands, with all decisions listed."""
    pages = sorted((DOCS / "decisions").glob("*.md"))
    titles = {page.name: re.sub(r"^# (\d+):?", r"\1", page.read_text("utf-8").partition("\n")[0]) for page in pages}
    listed = "\n".join(f"- [{title}](decisions/{name})" for name, title in titles.items())
    return re.sub(
        r"(?<=^## Decisions\n).*?(?=\n\n## )",
        lambda _: listed,
        (DOCS / "index.md").read_text("utf-8"),
        flags=re.MULTILINE | re.DOTALL,
    )


# -- reference/diff.schema.json: from the values that a comparison answers ------------------------------------------------


def schema() -> str:
    """The JSON Schema (draft 2020-12) of what `casstore diff --json` prints."""
    said = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **casstore.Diff.model_json_schema(mode="serialization"),
    }
    return json.dumps(said, indent=1, ensure_ascii=False) + "\n"


# -- together ------------------------------------------------------------------------------------------------------------


def _table(header: Sequence[str], rows: Any) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    yield from ("| " + " | ".join(map(_cell, row)) + " |" for row in rows)


def _cell(text: str) -> str:
    """Text that stays what it is inside a table: outside of code a "<" would begin a tag."""
    return text.replace("|", "\\|") if "`" in text else text.replace("|", "\\|").replace("<", "&lt;")


PAGES: Final[dict[str, tuple[str, Callable[[], str]]]] = {
    "tables": ("tables.md", made_tables),
    "cli": ("reference/cli.md", cli),
    "api": ("reference/api.md", api),
    "schema": ("reference/diff.schema.json", schema),
    "index": ("index.md", index),
}


def main() -> int:
    """Write or check the pages that were asked for."""
    parser = argparse.ArgumentParser(description="Write, or check, the pages of docs/ that repeat what the code says.")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"Of {', '.join(PAGES)}; all when none is named.")
    parser.add_argument("--check", action="store_true", help="Write nothing; exit with 1 if a page is stale.")
    asked = parser.parse_args()
    unknown = set(asked.pages) - set(PAGES)
    if unknown:
        parser.error(f"there is no page {', '.join(sorted(unknown))}")
    stale = [name for name in asked.pages or PAGES if not _done(*PAGES[name], check=asked.check)]
    if stale:
        sys.stderr.write(f"stale: {', '.join(stale)}. Run `python docs/generate.py`.\n")
    return 1 if stale else 0


def _done(path: str, make: Callable[[], str], *, check: bool) -> bool:
    page, text = DOCS / path, make()
    if check:
        return page.exists() and page.read_text("utf-8") == text
    page.parent.mkdir(exist_ok=True)
    page.write_text(text, "utf-8")
    return True


if __name__ == "__main__":
    sys.exit(main())
