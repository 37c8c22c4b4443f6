"""casstore webhook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from casstore.cli.options import Where, named, who
from casstore.cli.options import command as define
from casstore.cli.output import plain
from casstore.cli.render import instant, table
from casstore.errors import Code, Invalid

if TYPE_CHECKING:
    from casstore.operations.subscribing import Webhook
    from casstore.tenant import AsyncTenant

__all__ = ["command"]

_FAILED: Final = 8  # as what is unavailable: later it may arrive


@define(
    "webhook", "Say who is sent events, and send them.", exits={8: "unavailable: a test or a delivery did not arrive"}
)
@click.argument("action", type=click.Choice(["add", "ls", "rm", "test", "replay", "deliver"]))
@click.argument("what", metavar="[URL|ID]", required=False)
@who("required with add")
@click.option(
    "--op", "ops", multiple=True, metavar="OP", help="With add: only these operations, such as put; repeatable."
)
@click.option("--type", "types", multiple=True, metavar="TYPE", help="With add: only artifacts of these; repeatable.")
@click.option("--prefix", metavar="TEXT", help="With add: only artifacts whose names begin so.")
@click.option(
    "--after", metavar="CURSOR", help="With add and replay: begin after this place; start: at the first event [now]."
)
@click.option("--secret-file", type=click.Path(), metavar="FILE", help="With add: a secret of yours [one is made].")
@click.option("--daemon", is_flag=True, help="With deliver: go on until interrupted.")
@click.option("--allow-private", is_flag=True, help="With add, test, deliver: private addresses too.")
@click.option("--allow-http", is_flag=True, help="With add, test, deliver: without TLS too.")
async def command(where: Where, action: str, what: str | None, **options: Any) -> int:
    """Have the events of a tenant posted to a URL, each signed, until it has arrived; see docs/events.md.

    casstore webhook add https://example.org/hook --op put --by ops

    casstore webhook deliver --daemon

    The secret is told once, by add. deliver sends the events of all tenants; any number of it may run.
    """
    guard: dict[str, Any] = {name: options[name] for name in ("allow_private", "allow_http")}
    if action == "deliver":
        return await _deliver(where, forever=options["daemon"], guard=guard)
    async with where.open() as tenant:
        if action == "add":
            await _add(where, tenant, _given(what, "URL"), options, guard)
        elif action == "ls":
            found = await tenant.webhooks()
            where.out.show({"items": found}, _listed(found))
        elif action == "rm":
            await tenant.remove_webhook(_given(what, "ID"))
            where.out.show({"id": what}, [f"removed  {what}"])
        elif action == "replay":
            where.out.show(
                again := await tenant.replay_webhook(_given(what, "ID"), after=options["after"]), _listed([again])
            )
        else:
            tested = await tenant.test_webhook(_given(what, "ID"), **guard)
            where.out.show(tested, [f"arrived  {tested.status}" if tested.arrived else f"failed   {tested.fault}"])
            return 0 if tested.arrived else _FAILED
    return 0


async def _add(where: Where, tenant: AsyncTenant, url: str, options: dict[str, Any], guard: dict[str, Any]) -> None:
    wishes: dict[str, Any] = {name: options[name] for name in ("ops", "types", "prefix")}
    after = options["after"] or "now"
    secret = _secret(options["secret_file"])
    made = await tenant.add_webhook(url, by=named(options["by"]), **wishes, **guard, after=after, secret=secret)
    where.out.show(made, [f"id      {made.webhook.id}", f"secret  {made.secret}"])
    where.out.note("Keep the secret: it is not told again.")


async def _deliver(where: Where, *, forever: bool, guard: dict[str, Any]) -> int:
    async with where.store() as store:
        done = await store.deliver_webhooks(forever=forever, **guard)
    where.out.show(done, [f"arrived {done.arrived}, failed {done.failed}"])
    return _FAILED if done.failed else 0


def _given(what: str | None, name: str) -> str:
    if what is None:
        raise click.UsageError(f"Missing argument '{name}'.")
    return what


def _secret(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        return Path(path).read_text("ascii").strip()
    except (OSError, UnicodeError) as error:
        raise Invalid(Code.UNREADABLE_SOURCE, f"cannot read a secret from {path}", hint="Check the path.") from error


def _listed(found: Iterable[Webhook]) -> Iterator[str]:
    yield from table(
        ("id", "url", "of", "state", "last arrived (UTC)", "cursor"),
        [
            (str(w.id), plain(w.url), _wish(w), _state(w), instant(w.told_at) if w.told_at else "never", w.cursor)
            for w in found
        ],
    )


def _wish(hook: Webhook) -> str:
    return " ".join((*hook.ops, *hook.types, *([f"{hook.prefix}…"] if hook.prefix else []))) or "all"


def _state(hook: Webhook) -> str:
    if hook.disabled_at:
        return f"disabled: {hook.fault}"
    return f"failed {hook.failures} times: {hook.fault}" if hook.failures else "fine"
