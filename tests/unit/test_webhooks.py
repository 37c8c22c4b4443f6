"""Signatures agree with those of others, and a request goes nowhere where it may not."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore import Code, Denied, Invalid, webhooks
from casstore.operations.posting import Guard, post

# The example in the documentation of Standard Webhooks' first library.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
NOW = 1614265330


def test_signatures_are_those_of_the_standard():
    assert webhooks.verify(BODY, HEADERS, SECRET, now=NOW) == {"test": 2432232314}
    assert webhooks.verify(BODY, {name.title(): v for name, v in HEADERS.items()}, SECRET, now=NOW)
    several = HEADERS | {"webhook-signature": f"v1a,x v1,bm8= {HEADERS['webhook-signature']}"}
    assert webhooks.verify(BODY, several, [webhooks.new_secret(), SECRET], now=NOW)


@pytest.mark.parametrize(
    ("body", "changed", "now"),
    [
        (BODY + b" ", {}, NOW),
        (BODY, {"webhook-id": "msg_other"}, NOW),
        (BODY, {"webhook-timestamp": "1614265331"}, NOW),
        (BODY, {"webhook-timestamp": "٣"}, NOW),
        (BODY, {"webhook-timestamp": "-1"}, NOW),
        (BODY, {"webhook-signature": ""}, NOW),
        (BODY, {"webhook-signature": "v1,"}, NOW),
        (BODY, {"webhook-signature": "v1,ünicode"}, NOW),
        (BODY, {"webhook-signature": HEADERS["webhook-signature"].removeprefix("v1,")}, NOW),
        (BODY, {}, NOW + 301),
        (BODY, {}, NOW - 301),
    ],
)
def test_what_was_altered_or_is_old_is_no_message(body, changed, now):
    with pytest.raises(Denied) as caught:
        webhooks.verify(body, HEADERS | changed, SECRET, now=now)
    assert caught.value.code is Code.BAD_SIGNATURE


@given(text=st.binary(), message_id=st.text("abc_019", min_size=1))
def test_what_is_signed_is_verified_and_by_no_other_secret(text, message_id):
    body = b'"' + text.hex().encode() + b'"'
    secret, other = webhooks.new_secret(), webhooks.new_secret()
    signature = webhooks.sign(webhooks.secret_bytes(secret), message_id, NOW, body)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(NOW), "webhook-signature": signature}
    webhooks.verify(body, headers, secret, now=NOW)
    with pytest.raises(Denied):
        webhooks.verify(body, headers, other, now=NOW)


PRIVATE = [
    *(
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.100.100.200",
    ),
    *(
        "0.0.0.0",
        "0.1.2.3",
        "255.255.255.255",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "192.0.0.1",
        "198.18.0.1",
        "168.63.129.16",
    ),
    *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "::127.0.0.1", "64:ff9b:1::1", "fec0::1"),
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
NEVER = ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "::ffff:224.0.0.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(address):
    assert not Guard().allows(ipaddress.ip_address(address))
    assert Guard(allow_private=True).allows(ipaddress.ip_address(address)) == (
        address not in NEVER and not multicast(address)
    )


def multicast(address):
    return ipaddress.ip_address(address).is_multicast


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_not(address):
    assert Guard().allows(ipaddress.ip_address(address))


URLS = [
    *("", "example.org", "//example.org/", "https://", "https:///x", "https://@example.org/", "https://u@example.org/"),
    *(
        "https://example.org:99999/",
        "https://example.org:0/",
        "https://example.org:x/",
        "https://[::1",
        "https://[::1]/",
    ),
    *("https://127.0.0.1/", "https://[::ffff:127.0.0.1]/", "https://example.org\\@127.0.0.1/", "https://exämple.org/"),
    *(
        "https://example.org/ x",
        "https://example.org/\n",
        "https://example.org/#x",
        "http://example.org/",
        "file:///etc/passwd",
    ),
    *("gopher://example.org/", f"https://example.org/{'x' * 2000}"),
]


@pytest.mark.parametrize("url", URLS)
def test_urls_that_lead_astray_are_refused(url):
    with pytest.raises(Invalid) as caught:
        Guard().check_url(url)
    assert caught.value.code is Code.BAD_WEBHOOK


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1", "017700000001", "localhost."])
def test_a_name_that_leads_to_a_private_address_is_not_connected_to(host):
    """However it is written: what the system makes of it is looked at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        url = f"http://{host}:{server.getsockname()[1]}/"
        answer = asyncio.run(post(url, {}, b"", Guard(allow_http=True), 5))
        assert answer.fault
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_name_is_looked_up_once_and_its_address_is_kept(monkeypatch):
    """It means something allowed when it is looked at, and something else a moment later."""
    asked = []
    real = socket.getaddrinfo

    def changing(host, port, *rest, **more):
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        url = f"http://changes.example:{server.getsockname()[1]}/x"

        async def ask():
            asking = asyncio.create_task(post(url, {}, b"body", Guard(allow_http=True, allow_private=True), 5))
            line, _ = await asyncio.to_thread(server.accept)
            with line:
                request = line.recv(1000)
                line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                return request, await asking

        request, answer = asyncio.run(ask())
    assert (answer.status, answer.fault) == (200, None)
    assert b"Host: changes.example:" in request
    assert asked == ["changes.example"]
