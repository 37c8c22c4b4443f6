"""The root: finds the command, runs it, and turns whatever happens into an exit code and an error that can be read."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import importlib
import inspect
import os
import sys
import traceback
from typing import Final

import click

from casstore import __version__
from casstore.cli.output import Output, prepare_streams
from casstore.errors import CasstoreError, Code

__all__ = ["COMMANDS", "commands", "run"]

INTERRUPTED: Final = 130  # as a shell reports SIGINT
PIPE_CLOSED: Final = 141  # as a shell reports SIGPIPE
BUG: Final = 1
USAGE: Final = 2

COMMANDS: Final = {  # the module of each is its name; a test holds these lines to the commands' own
    "put": "Store a file, or standard input, as the next version of a name.",
    "get": "Fetch the bytes that a reference means.",
    "show": "Tell everything about one version.",
    "log": "List the versions of a name, newest first.",
    "ls": "List artifacts by their newest version.",
    "diff": "Tell what has changed between two versions, components or files.",
    "apply": "Put what a patch makes of a version as its next one.",
    "merge": "Merge two versions that go back to a third.",
    "alias": "Set, move, delete or list aliases: names for versions that may change their meaning.",
    "tag": "Name a version once and for ever.",
    "state": "Tell the lifecycle state of a version, or take it a step on.",
    "lineage": "Tell what a version was made from, or what was made from it, and what is stale.",
    "where-used": "List the versions that hold some content.",
    "dedup": "Tell what storing equal bytes once saves.",
    "delete": "Put a version, or a whole artifact, into the trash.",
    "op": "List what was done, newest first, or undo it.",
    "events": "List what was changed, oldest first, and follow what is being changed.",
    "webhook": "Say who is sent events, and send them.",
    "undelete": "Take a version, or a whole artifact, back from the trash.",
    "trash": "List what was deleted and can be taken back.",
    "purge": "Let go of what is in the trash, for ever.",
    "erase": "Erase one content from all versions that have it, for ever.",
    "hold": "Keep a version, or a whole artifact, from being deleted, purged or erased.",
    "release": "Release a hold.",
    "holds": "List the holds there are.",
    "retention": "Say by which rules versions are kept, and drop the others.",
    "expire": "Say when a version expires.",
    "tenant": "Delete all of a tenant, bring it back, erase it, or tell what became of it.",
    "receipt": "Tell what is still there of what was erased.",
    "gc": "Free the bytes that no version refers to any more.",
    "import": "Store a whole folder of versions; may be repeated.",
    "domain": "Make keys of isolation domains, put tenants into them, and tell which there are.",
    "fsck": "Check the whole store: catalog against blobs, and the catalog by itself.",
    "scrub": "Read blobs and verify them, those that were not read for longest first.",
    "repair": "Give blobs that are missing or altered their bytes back.",
    "journal": "Write the operation log beside the blobs, so that a lost catalog can be rebuilt.",
    "audit": "Prove that no exported row was altered, removed or added.",
    "rebuild": "Make a lost catalog again, from the journal beside the blobs.",
    "db-digest": "Tell a digest of what the catalog says, to compare it with another.",
    "db": "Bring a catalog to this release, or hand its migrations to the Supabase CLI.",
    "serve": "Serve the store over HTTP.",
    "token": "Make a token for a service that speaks to `casstore serve`.",
    "init": "Set up a store, or bring its catalog to this release.",
    "doctor": "Check everything a store needs.",
}


_OTHERWISE: Final = {  # what other programs call it
    "add": "put",
    "cat": "get",
    "check": "fsck",
    "history": "log",
    "list": "ls",
    "remove": "delete",
    "restore": "undelete",
    "rm": "delete",
    "search": "ls",
    "store": "put",
}


class _Commands(click.Group):
    """Imports a command's module when that command is run, and none for the list of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = cmd_name.replace("-", "_") + ("_" if cmd_name == "import" else "")
        command: click.Command = importlib.import_module(f"casstore.cli.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, which says of an unknown command only that it is one."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            meant = _OTHERWISE.get(args[0]) or next(iter(difflib.get_close_matches(args[0], COMMANDS)), None)
            ctx.fail(f"No such command '{args[0]}'." + (f" Did you mean '{meant}'?" if meant else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


commands = _Commands(
    "casstore",
    help="A content-addressed, versioned artifact store: every version of every artifact, by NAME@VERSION.\n\n"
    "Nothing needs to be set up: `casstore put notes/first README.md`, then `casstore get notes/first@1`.",
    epilog="`casstore COMMAND --help` tells the options and exit codes of each. Where the store is: --home, --blobs "
    "and --catalog, or CASSTORE_HOME, CASSTORE_BLOBS and CASSTORE_CATALOG; whose it is: --tenant or CASSTORE_TENANT.",
    params=[click.Option(["--version"], is_flag=True, help="Print the version and stop.")],
    callback=lambda version: None,  # noqa: ARG005 - answered in `main` and `run`
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def run(arguments: list[str]) -> int:
    """Run `casstore` with these arguments; the answer is its exit code. Never raises."""
    flags = set(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    out = Output(as_json="--json" in flags)
    try:
        prepare_streams()
        code = _invoke(arguments or ["--help"])
        out.flush()
    except BrokenPipeError:
        code = _pipe_closed()
    except (KeyboardInterrupt, click.Abort):
        code = INTERRUPTED
    except click.exceptions.Exit as end:
        code = end.exit_code
    except click.ClickException as error:
        out.error(_usage(error))
        code = USAGE
    except CasstoreError as error:
        out.error(error.as_dict())
        code = error.exit_code
    except Exception as error:  # noqa: BLE001 - the last resort: nothing goes on after it
        if "--traceback" in flags:
            out.trace(traceback.format_exc())
        out.error(_bug(error))
        code = BUG
    return code


def _invoke(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        Output(as_json=False).lines([f"casstore {__version__}"])
        return 0
    with commands.make_context("casstore", list(arguments)) as context:
        work = commands.invoke(context)
    if not inspect.iscoroutine(work):
        return 0
    with asyncio.Runner() as runner:
        try:
            return runner.run(work) or 0
        except KeyboardInterrupt:
            # The store is closed by now. Closing the runner as well would wait for a thread that reads from a terminal.
            Output(as_json=False).abandon(INTERRUPTED)


def _usage(error: click.ClickException) -> dict[str, str]:
    context = getattr(error, "ctx", None)
    hint = f"See `{context.command_path if context else 'casstore'} --help`."
    if isinstance(error, click.NoSuchOption) and context and context.command is commands:
        hint = "Options stand after the command, such as `casstore put --json …`."
    return {"error": Code.BAD_ARGUMENT.value, "message": error.format_message(), "hint": hint}


def _bug(error: Exception) -> dict[str, str]:
    hint = "Run it again with --traceback, and report what that prints."
    return {"error": "bug", "message": f"a bug in casstore: {type(error).__name__}: {error}", "hint": hint}


def _pipe_closed() -> int:
    """Who read our output has gone, as `head` does: stop without a word, also when Python flushes at its end."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED
