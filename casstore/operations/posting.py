"""One HTTP request to a place that somebody else has named, without being led astray by it.

The name is looked up once, every address it has is looked at, and the connection goes to one of these: so a name that means
something else a moment later leads nowhere else. No redirect is followed, no proxy asked, no more read than the status needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from casstore import limits
from casstore.errors import Code, Invalid

__all__ = ["Answer", "Guard", "post"]

_HINT: Final = (
    "https://host/path, without a user name. http:// needs --allow-http (allow_http=True), a private address --allow-private "
    "(allow_private=True)."
)
_PORTS: Final = {"https": 443, "http": 80}
_OURS_IN_CLOUDS: Final = frozenset(
    {ipaddress.ip_address("168.63.129.16")}
)  # Azure's own, of its machines: looks public
_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Target = tuple[socket.AddressFamily, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Guard:
    """Where requests may go to. Normally: to public addresses, over TLS."""

    allow_private: bool = False
    allow_http: bool = False

    def check_url(self, url: str) -> SplitResult:
        """The parts of a URL that may be asked; raises Invalid (bad_webhook)."""
        if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
            raise _refused("it has characters that no URL has")
        if len(url) > limits.WEBHOOK_URL_MAX_CHARS:
            raise _refused(f"it is longer than {limits.WEBHOOK_URL_MAX_CHARS} characters")
        try:
            parts = urlsplit(url)
            has_host = bool(parts.hostname) and parts.port != 0
        except ValueError as error:
            raise _refused("it cannot be parsed") from error
        if not has_host or "@" in parts.netloc or parts.fragment or "\\" in url:
            raise _refused("it has no host, or a user name, or a fragment")
        if parts.scheme != "https" and not (parts.scheme == "http" and self.allow_http):
            raise _refused(f"{parts.scheme}:// is not allowed")
        address = _literal(parts.hostname or "")
        if address and not self.allows(address):
            raise _refused("its address is a private one")
        return parts

    def allows(self, address: Address) -> bool:
        """Whether a request may go to this address."""
        meant = _meant(address)
        if meant.is_unspecified or meant.is_multicast:
            return False
        return self.allow_private or (_is_public(meant) and meant not in _OURS_IN_CLOUDS)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: a status, or what went wrong. Nothing else that the other side has said."""

    status: int | None = None
    fault: str | None = None  # None where it succeeded
    retry_after_s: int = 0


async def post(url: str, headers: Mapping[str, str], body: bytes, guard: Guard, timeout_s: float) -> Answer:
    """Post a body, and tell what came of it, whatever that is.

    It takes up to the time out each for the name, for the connection, and for the answer.
    """
    try:
        parts = guard.check_url(url)
        async with asyncio.timeout(timeout_s):
            targets = await _targets(parts, guard)
    except Invalid as error:
        return Answer(fault=error.message)
    except TimeoutError:
        return Answer(fault="its name could not be looked up in time")
    except OSError:
        return Answer(fault="its name could not be looked up")
    return await asyncio.to_thread(_exchange, parts, targets, headers, body, timeout_s)


def _literal(host: str) -> Address | None:
    """The address that a host is; None of a name, which is looked at when it is asked."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


async def _targets(parts: SplitResult, guard: Guard) -> list[Target]:
    """The addresses of a host, all of which must be allowed."""
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise _refused("its host is no name") from error
    targets: list[Target] = [(family, address) for family, _, _, _, address in found]
    if not targets or not all(guard.allows(ipaddress.ip_address(address[0])) for _, address in targets):
        raise _refused("its host leads to a private address")
    return targets


def _is_public(address: Address) -> bool:
    is_old = (
        isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    )  # fec0::/10, which is_global knows nothing of
    return address.is_global and not address.is_reserved and not is_old


def _meant(address: Address) -> Address:
    """The IPv4 address that some IPv6 addresses are only another way to write."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _TRANSLATED:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address
    return address


def _exchange(
    parts: SplitResult, targets: list[Target], headers: Mapping[str, str], body: bytes, timeout_s: float
) -> Answer:
    """In a thread: connect to one of the targets, send, and read the status."""
    late = threading.Event()
    try:
        with contextlib.closing(_connected(targets, timeout_s)) as line, _watched(line, timeout_s, late):
            return _asked(parts, line, headers, body, late)
    except TimeoutError:
        return Answer(fault=f"no answer within {timeout_s:g} s")
    except ssl.SSLCertVerificationError:
        return Answer(fault="its certificate is not good")
    except (OSError, http.client.HTTPException, ValueError):  # ValueError: of a TLS line that was shut down in between
        return Answer(
            fault=f"no answer within {timeout_s:g} s" if late.is_set() else "it could not be reached, or hung up"
        )


def _connected(targets: list[Target], timeout_s: float) -> socket.socket:
    fault: OSError = OSError("no address")
    for family, address in targets:
        line = socket.socket(family, socket.SOCK_STREAM)
        try:
            line.settimeout(timeout_s / len(targets))
            line.connect(address)
        except OSError as error:
            line.close()
            fault = error
        else:
            line.settimeout(timeout_s)
            return line
    raise fault


@contextlib.contextmanager
def _watched(line: socket.socket, timeout_s: float, late: threading.Event) -> Iterator[None]:
    """Hang up after a time. A socket's own timeout begins anew with each byte that comes."""

    def hang_up() -> None:
        late.set()
        with contextlib.suppress(OSError):  # it was over just now
            spare.shutdown(socket.SHUT_RDWR)

    spare = line.dup()  # TLS takes the first over
    timer = threading.Timer(timeout_s, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        spare.close()


def _asked(
    parts: SplitResult, line: socket.socket, headers: Mapping[str, str], body: bytes, late: threading.Event
) -> Answer:
    host = parts.hostname or ""
    # The certificate must be that of the name, although the connection was made to an address.
    is_secure = parts.scheme == "https"
    asking = http.client.HTTPConnection(host)
    asking.auto_open = 0  # never to connect by itself
    asking.sock = ssl.create_default_context().wrap_socket(line, server_hostname=host) if is_secure else line
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with contextlib.closing(asking):
        asking.request("POST", path, body, {"Host": parts.netloc, "Connection": "close", **headers})
        answer = asking.getresponse()
        if late.is_set():  # what was cut off by us may look like an answer
            raise TimeoutError
        with (
            answer,
            contextlib.suppress(OSError, http.client.HTTPException, ValueError),
        ):  # the status is all that counts
            answer.read(limits.WEBHOOK_ANSWER_BYTES)  # else the other side may see its answer cut off
    if 200 <= answer.status < 300:  # noqa: PLR2004 - success, by RFC 9110
        return Answer(answer.status)
    wait = answer.headers.get("Retry-After", "")
    retry_after_s = int(wait) if wait.isascii() and wait.isdecimal() and len(wait) < 7 else 0  # noqa: PLR2004 - 11 days
    return Answer(answer.status, f"it answered {answer.status}", retry_after_s)


def _refused(why: str) -> Invalid:
    return Invalid(Code.BAD_WEBHOOK, f"this URL is not for a webhook: {why}", hint=_HINT)
