"""casstore serve."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from casstore.cli.options import Where, size_bytes
from casstore.cli.options import command as define
from casstore.errors import Code, Invalid, needed_for
from casstore.urls import is_loopback

__all__ = ["command"]


@define("serve", "Serve the store over HTTP.")
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="Where to listen [127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, metavar="N", help="[8080]; 0: any that is free.")
@click.option(
    "--insecure-dev-tenant",
    metavar="NAME",
    help="Whoever connects is this tenant, and may do everything. Refused on addresses that others can reach.",
)
@click.option("--metrics", is_flag=True, help="Answer /metrics, for Prometheus; without a token.")
@click.option(
    "--max-body", metavar="SIZE", callback=size_bytes, help="The longest content that is taken, such as 20GB [5 GiB]."
)
@click.option(
    "--webhooks", is_flag=True, help="Send events to webhooks too, as `casstore webhook deliver --daemon` does."
)
@click.option("--allow-private", is_flag=True, help="With --webhooks: to private addresses too.")
@click.option("--allow-http", is_flag=True, help="With --webhooks: without TLS too.")
async def command(
    where: Where,
    host: str,
    port: int,
    insecure_dev_tenant: str | None,
    *,
    metrics: bool,
    max_body: int | None,
    webhooks: bool,
    **guard: Any,
) -> None:
    """Serve the store over HTTP until interrupted: see docs/how-to/serve.md."""
    if any(guard.values()) and not webhooks:
        raise click.UsageError("--allow-private and --allow-http are about --webhooks.")
    if insecure_dev_tenant and not is_loopback(host):
        message = f"--insecure-dev-tenant lets in whoever can reach {host}"
        raise Invalid(Code.BAD_CONFIG, message, hint="Listen on 127.0.0.1 or ::1.")
    from casstore.config import ServerSettings  # noqa: PLC0415 - help needs no web framework
    from casstore.http import app  # noqa: PLC0415
    from casstore.web import routers  # noqa: PLC0415

    with needed_for("serving", extra="server"):
        from casstore.http.events import make_router  # noqa: PLC0415
        from casstore.http.guard import Bounds  # noqa: PLC0415
        from casstore.http.server import serve  # noqa: PLC0415
        from casstore.http.settings import access_of  # noqa: PLC0415
    access = access_of(ServerSettings.load(), dev_tenant=insecure_dev_tenant)

    def ready(url: str) -> None:
        where.out.show({"url": url}, [f"casstore serves on {url}"])
        where.out.flush()  # whoever started this waits for the line

    bounds = Bounds() if max_body is None else Bounds(body_bytes=max_body)
    async with where.whole() as store:
        more = [make_router(), *routers()]
        served = app(store, access=access, routers=more, metrics=metrics, bounds=bounds)
        deliver = partial(store.deliver_webhooks, forever=True, **guard) if webhooks else None
        await serve(served, host, port, ready=ready, beside=deliver)
