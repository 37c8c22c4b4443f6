"""NETWORK: a store that is served over HTTP, behind the same tenant's door as one that is opened here.

Nothing of an HTTP library is imported before `connect` is called: the extra `casstore[client]` brings it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal, TypeAlias

from casstore import limits
from casstore.errors import needed_for

if TYPE_CHECKING:
    from casstore.client.blocking import RemoteTenant
    from casstore.client.tenant import AsyncRemoteTenant

__all__ = ["Progress", "Transfer", "connect", "connect_async"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """How far some content has come on its way to the server ("up") or from it ("down")."""

    direction: Literal["up", "down"]
    about: str  # the component: a name or reference, and after a `#` the role
    done_bytes: int  # begins at 0 again where an upload is repeated
    size_bytes: int


Progress: TypeAlias = Callable[[Transfer], None]


def connect_async(
    url: str | None = None,
    *,
    token: str | None = None,
    time_limit: timedelta = limits.CLIENT_TIME_LIMIT,
    progress: Progress | None = None,
    insecure: bool = False,
) -> AsyncRemoteTenant:
    """The tenant of a token, on the store that is served at a URL. Use it in an `async with` block, which connects.

    Its methods, arguments, answers and errors are those of `AsyncTenant`; what cannot be had over HTTP raises UsageError
    (not_over_http). Reading is repeated while what went wrong may pass, and so is what has an idempotency key, which `put`,
    `apply`, `merge` and `transaction` give themselves. Whole components are verified while they are read, and what was stored is
    compared with what was sent.

    Args:
        url: Where it is served; without it CASSTORE_SERVER.
        token: Without it CASSTORE_TOKEN; without that nobody's, for a server that lets in whoever connects.
        time_limit: In which the server connects, takes or sends more bytes, and answers what is no transfer of content.
        progress: Called after each piece of a component of more than one; it must not wait.
        insecure: Send the token also without TLS, to another machine.

    Raises:
        Invalid: The URL cannot be used, or what is there is no casstore; the HTTP library is not installed (bad_config).
        Denied: The token is not good (not_authenticated).
        Unavailable: Nothing answers (server_unavailable).
    """
    from casstore.config import server_of  # noqa: PLC0415 - as below

    with needed_for("connecting", extra="client"):
        from casstore.client.line import Line  # noqa: PLC0415 - here the HTTP library is imported
        from casstore.client.tenant import AsyncRemoteTenant  # noqa: PLC0415 - as above
    place, word = server_of(url, token)
    return AsyncRemoteTenant(Line(place, word, time_limit=time_limit, progress=progress, insecure=insecure))


def connect(
    url: str | None = None,
    *,
    token: str | None = None,
    time_limit: timedelta = limits.CLIENT_TIME_LIMIT,
    progress: Progress | None = None,
    insecure: bool = False,
) -> RemoteTenant:
    """The tenant of a token, on the store that is served at a URL. Use it in a `with` block.

    It is a `Tenant`: code does not care where the store is. Arguments and errors are those of `connect_async`. It is connected
    when this returns; without a `with` block call `close()` in the end. `progress` is called on a thread of its own.
    """
    twin = connect_async(url, token=token, time_limit=time_limit, progress=progress, insecure=insecure)
    from casstore.client.blocking import RemoteTenant  # noqa: PLC0415 - as above

    return RemoteTenant(twin)
