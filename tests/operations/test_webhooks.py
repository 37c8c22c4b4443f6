"""Events are posted to who asked for them: signed, each until it has arrived, in order, whatever becomes of who sends and receives.

Laws:
- What a receiver has taken, without repetitions, is what its tenant's events are, from where it began, as far as it asked for them.
- It hears of an event before it hears of the next; what it hears again has the same id and says the same.
- Nothing goes where it may not go, and no secret is told twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest

from casstore import Code, Invalid, NotFound, limits, webhooks
from tests.support.certificates import make_authority, make_certificate

OPEN = {"allow_private": True, "allow_http": True}


class Receiver:
    """An HTTP server that does with each message what it is told to: a status, or a function of the handler."""

    def __init__(self):
        self.heard = []  # (id, body, headers) of all requests, in order
        self.taken = []  # ids that were answered 2xx
        self.then = []  # what to do with the next ones; then 204
        self.changed = threading.Condition()

    def answer(self, handler):
        body = handler.rfile.read(int(handler.headers["content-length"]))
        with self.changed:
            self.heard.append((handler.headers["webhook-id"], body, dict(handler.headers)))
            step = self.then.pop(0) if self.then else 204
            self.changed.notify_all()
        if callable(step):
            return step(handler)
        handler.send_response(step)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        if 200 <= step < 300:
            with self.changed:
                self.taken.append(handler.headers["webhook-id"])
                self.changed.notify_all()
        return None

    def wait(self, count):
        """Until so many requests have come."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.heard) >= count, 15)

    def wait_taken(self, count):
        """Until so many of them were answered well."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.taken) >= count, 15)

    @property
    def told(self):
        """The events that were taken, without repetitions."""
        bodies = {identity: json.loads(body)["data"] for identity, body, _ in self.heard}
        return [(bodies[each]["op"], bodies[each]["ref"]) for each in dict.fromkeys(self.taken)]


@contextmanager
def receiving(tls=None):
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            receiver.answer(self)

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_):
            pass  # who hangs up is part of the tests

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver.port = server.server_port
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook?of=us"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """What fails is not tried again in the time of a test, where it does not ask for that: the store is that of others, too."""
    monkeypatch.setattr(limits, "WEBHOOK_FIRST_PAUSE", timedelta(hours=1))
    monkeypatch.setattr(limits, "WEBHOOK_TIMEOUT", timedelta(seconds=1))
    monkeypatch.setattr(limits, "EVENTS_LONGEST_PAUSE", timedelta(milliseconds=100))


async def listening(t, receiver, **options):
    return await t.add_webhook(receiver.url, by="ops", **(OPEN | options))


def hang(handler):
    time.sleep(1.5)


def drip(handler):
    """Byte by byte, each in time: only a clock for the whole ends it."""
    for byte in b"HTTP/1.1 204 No Content\r\n" * 4:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.05)


def hang_up(handler):
    handler.connection.close()


def babble(handler):
    handler.wfile.write(b"what?\r\n\r\n")


def elsewhere(handler):
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:1/")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


async def test_each_event_arrives_once_signed_and_in_order(store, t, other, receiver):
    await t.put("before", b"0")
    made = await listening(t, receiver)
    for number in range(3):
        await t.put("a", b"%d" % number)
    await t.alias("a@2", "prod")
    await other.put("theirs", b"1")
    done = await store.deliver_webhooks(**OPEN)
    assert (done.arrived, done.failed) == (4, 0)
    assert receiver.told == [("put", "a@1"), ("put", "a@2"), ("put", "a@3"), ("alias", "a@2")]
    assert len(receiver.heard) == 4
    events = (await t.events()).items[1:]
    for event, (identity, body, headers) in zip(events, receiver.heard, strict=True):
        message = webhooks.verify(body, headers, made.secret)
        assert message["type"] == f"casstore.{event.op}"
        assert message["data"] == event.model_dump(mode="json") | {"tenant": t.name, "ref": event.ref}
        assert identity.endswith(f"_{event.id}")
        assert headers["Content-Type"] == "application/json"
    assert (await store.deliver_webhooks(**OPEN)).arrived == 0
    (told,) = await t.webhooks()
    assert (told.failures, told.fault, told.disabled_at) == (0, None, None)
    assert told.told_at is not None


@pytest.mark.parametrize("trouble", [500, 404, hang, drip, hang_up, babble, elsewhere])
async def test_what_fails_is_sent_again_and_nothing_overtakes_it(store, t, receiver, trouble, monkeypatch):
    monkeypatch.setattr(limits, "WEBHOOK_FIRST_PAUSE", timedelta(0))
    await listening(t, receiver)
    receiver.then = [204, trouble]
    for number in range(3):
        await t.put("a", b"%d" % number)
    done = await store.deliver_webhooks(**OPEN)
    assert (done.arrived, done.failed) == (3, 1)
    assert receiver.told == [("put", f"a@{n}") for n in (1, 2, 3)]
    ids = [identity for identity, *_ in receiver.heard]
    assert ids == [ids[0], ids[1], ids[1], ids[3]]
    assert receiver.heard[1][1] == receiver.heard[2][1]
    assert (await t.webhooks())[0].failures == 0


async def test_pauses_grow_and_a_webhook_that_fails_for_too_long_is_disabled_until_it_is_replayed(
    store, t, receiver, monkeypatch, where, databases
):
    made = await listening(t, receiver)
    monkeypatch.setattr(limits, "WEBHOOK_FIRST_PAUSE", timedelta(seconds=8))
    await t.put("a", b"1")
    receiver.then = [503] * 9
    pauses = []
    with psycopg.connect(databases.direct(where.catalog), autocommit=True) as line:
        for _ in range(3):
            assert (await store.deliver_webhooks(**OPEN)).failed == 1
            assert (await store.deliver_webhooks(**OPEN)).failed == 0  # not before its time
            (told,) = await t.webhooks()
            pauses.append(
                line.execute(
                    "select extract(epoch from next_at - now()) from casstore.webhooks where url = %s", (receiver.url,)
                ).fetchone()[0]
            )
            line.execute("update casstore.webhooks set next_at = now() where url = %s", (receiver.url,))
        assert told.failures == 3
        assert (told.fault, told.disabled_at) == ("it answered 503", None)
        assert all(
            low - 1 < float(pause) <= high for pause, low, high in zip(pauses, (4, 8, 16), (8, 16, 32), strict=True)
        )
        line.execute(
            "update casstore.webhooks set failing_since = failing_since - interval '4 days' where url = %s",
            (receiver.url,),
        )
    assert (await store.deliver_webhooks(**OPEN)).failed == 1
    assert (await t.webhooks())[0].disabled_at is not None
    assert (await store.deliver_webhooks(**OPEN)).failed == 0
    receiver.then = []
    again = await t.replay_webhook(made.webhook.id)
    assert (again.disabled_at, again.failures, again.fault) == (None, 0, None)
    assert (await store.deliver_webhooks(**OPEN)).arrived == 1


async def test_who_is_gone_is_not_asked_again_and_who_asks_for_time_gets_it(store, t, other, receiver):
    def later(handler):
        handler.send_response(429)
        handler.send_header("Retry-After", "600")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    await listening(t, receiver)
    await t.put("a", b"1")
    receiver.then = [410]
    await store.deliver_webhooks(**OPEN)
    assert (await t.webhooks())[0].disabled_at is not None
    await listening(other, receiver)
    await other.put("a", b"1")
    receiver.then = [later]
    assert (await store.deliver_webhooks(**OPEN)).failed == 1
    (told,) = await other.webhooks()
    assert told.next_at - told.failing_since > timedelta(minutes=9)
    await other.remove_webhook(told.id)


async def test_a_replay_sends_again_from_a_cursor_by_the_same_ids(store, t, receiver):
    made = await listening(t, receiver)
    for number in range(3):
        await t.put("a", b"%d" % number)
    await store.deliver_webhooks(**OPEN)
    cursor = (await t.events()).items[0].cursor
    await t.replay_webhook(str(made.webhook.id), after=cursor)
    assert (await store.deliver_webhooks(**OPEN)).arrived == 2
    assert len(receiver.heard) == 5
    assert [h[:2] for h in receiver.heard[3:]] == [h[:2] for h in receiver.heard[1:3]]
    await t.replay_webhook(made.webhook.id, after="start")
    assert (await store.deliver_webhooks(**OPEN)).arrived == 3


async def test_only_what_was_asked_for(store, t, receiver):
    await listening(t, receiver, ops=["put", "delete"], types=["sop"], prefix="w/", after="start")
    await t.put("w/a", b"1", type="sop")
    await t.put("w/b", b"1", type="note")
    await t.put("v/a", b"1", type="sop")
    await t.alias("w/a@1", "prod")
    await t.put("w/a", b"2", type="sop")
    await t.delete("w/a@2", by="me")
    await store.deliver_webhooks(**OPEN)
    assert receiver.told == [("put", "w/a@1"), ("put", "w/a@2"), ("delete", "w/a@2")]
    assert (await t.webhooks())[0].cursor == (await t.events()).cursor  # what was passed by is done with


async def test_many_workers_beside_writers_send_each_event_once(store, t, receiver):
    await listening(t, receiver)
    workers = [asyncio.create_task(store.deliver_webhooks(forever=True, **OPEN)) for _ in range(3)]
    await asyncio.gather(*(t.put(f"n{number % 4}", b"%d" % number) for number in range(24)))
    await asyncio.to_thread(receiver.wait_taken, 24)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    assert receiver.told == [(e.op, e.ref) for e in (await t.events()).items]
    assert len(receiver.heard) == 24


async def test_a_worker_that_has_lost_its_lease_writes_nothing_down(store, t, receiver, monkeypatch):
    """It was slow: meanwhile the webhook was replayed from the start. Its answer must not move the webhook on."""
    monkeypatch.setattr(limits, "WEBHOOK_TIMEOUT", timedelta(seconds=20))
    made = await listening(t, receiver)
    await t.put("a", b"1")
    await t.put("a", b"2")
    go = threading.Event()

    def slow(handler):
        go.wait(10)
        receiver.taken.append(receiver.heard[1][0])
        handler.send_response(204)
        handler.end_headers()

    receiver.then = [204, slow]
    first = asyncio.create_task(store.deliver_webhooks(**OPEN))
    await asyncio.to_thread(receiver.wait, 2)
    await t.replay_webhook(made.webhook.id, after="start")
    go.set()
    await first
    await store.deliver_webhooks(**OPEN)
    assert [json.loads(body)["data"]["number"] for _, body, _ in receiver.heard] == [1, 2, 1, 2]


PROGRAM = """
import asyncio, sys
from datetime import timedelta
from casstore import AsyncStore
async def main():
    async with AsyncStore(blobs=sys.argv[1], catalog=sys.argv[2]) as store:
        await store.deliver_webhooks(forever=True, allow_private=True, allow_http=True, lease=timedelta(seconds=1))
asyncio.run(main())
"""


async def test_a_worker_that_is_killed_in_mid_delivery_loses_nothing(store, t, receiver, where):
    await listening(t, receiver)
    receiver.then = [204, hang]
    for number in range(3):
        await t.put("a", b"%d" % number)
    with subprocess.Popen([sys.executable, "-c", PROGRAM, where.blobs, where.catalog], env=os.environ) as worker:
        try:
            await asyncio.to_thread(receiver.wait, 2)
        finally:
            worker.send_signal(signal.SIGKILL)
    assert (await store.deliver_webhooks(**OPEN)).arrived == 0  # the dead one's lease
    await _until_taken(store, receiver, 3)
    assert receiver.told == [("put", f"a@{n}") for n in (1, 2, 3)]
    assert receiver.heard[1][:2] == receiver.heard[2][:2]


async def _until_taken(store, receiver, count):
    worker = asyncio.create_task(store.deliver_webhooks(forever=True, **OPEN))
    await asyncio.to_thread(receiver.wait_taken, count)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)


async def test_of_a_deleted_tenant_nothing_is_sent_until_it_is_back_and_of_an_erased_one_never(store, t, receiver):
    await listening(t, receiver)
    await t.put("secret", b"1")
    await store.delete_tenant(t.name, by="ops")
    assert (await store.deliver_webhooks(**OPEN)).arrived == 0
    await store.undelete_tenant(t.name, by="ops")
    assert (await store.deliver_webhooks(**OPEN)).arrived == 3  # the put, and both of these
    await t.put("secret", b"2")
    await store.delete_tenant(t.name, by="ops")
    await store.erase_tenant(t.name, by="ops")
    assert (await store.deliver_webhooks(**OPEN)).arrived == 0
    assert await t.webhooks() == ()
    assert len(receiver.heard) == 3


async def test_a_test_tells_what_came_of_it(t, receiver):
    made = await listening(t, receiver)
    assert (await t.test_webhook(made.webhook.id, **OPEN)).model_dump() == {
        "arrived": True,
        "status": 204,
        "fault": None,
    }
    message = webhooks.verify(receiver.heard[0][1], receiver.heard[0][2], made.secret)
    assert (message["type"], message["data"]) == ("casstore.test", {"tenant": t.name})
    receiver.then = [500]
    tested = await t.test_webhook(made.webhook.id, **OPEN)
    assert (tested.arrived, tested.status, tested.fault) == (False, 500, "it answered 500")
    refused = await t.test_webhook(made.webhook.id)
    assert (refused.arrived, refused.status) == (False, None)
    assert "not allowed" in refused.fault
    assert len(receiver.heard) == 2


async def test_a_worker_that_may_not_send_there_does_not(store, t, receiver):
    await listening(t, receiver)
    await t.put("a", b"1")
    for given, why in (({}, "http:// is not allowed"), ({"allow_http": True}, "its address is a private one")):
        assert (await store.deliver_webhooks(**given)).failed >= 1
        (told,) = await t.webhooks()
        assert why in told.fault
        await t.replay_webhook(told.id)
    assert receiver.heard == []


async def test_what_is_not_there_and_what_is_wrong_is_refused(t, other, receiver):
    made = await listening(t, receiver)
    for call in (other.remove_webhook, other.replay_webhook, other.test_webhook):
        with pytest.raises(NotFound) as caught:
            await call(made.webhook.id)
        assert caught.value.code is Code.WEBHOOK_NOT_FOUND
    for wrong in (
        {"url": "https://user:pw@example.org/"},
        {"url": "ftp://example.org/"},
        {"url": "http://example.org/"},
        {"url": "https://10.0.0.1/"},
        {"url": "https://example.org/\r\nX: y"},
        {"secret": "whsec_c2hvcnQ="},
        {"secret": "no base64!"},
        {"ops": ["put; drop"]},
    ):
        with pytest.raises(Invalid) as caught:
            await t.add_webhook(**({"url": "https://example.org/hook", "by": "ops"} | wrong))
        assert caught.value.code is Code.BAD_WEBHOOK
        assert wrong.get("secret", "\0") not in str(caught.value)
    with pytest.raises(Invalid):
        await t.replay_webhook(made.webhook.id, after="nonsense")


async def test_a_tenant_has_a_bounded_number_of_them(t, monkeypatch):
    monkeypatch.setattr(limits, "WEBHOOKS_MAX", 3)
    adding = [t.add_webhook("https://example.org/", by="ops") for _ in range(5)]
    done = await asyncio.gather(*adding, return_exceptions=True)
    assert [getattr(each, "code", None) for each in done].count(Code.TOO_MANY_WEBHOOKS) == 2
    assert len(await t.webhooks()) == 3


async def test_a_secret_is_told_once_and_stands_nowhere_else(store, t, receiver, caplog, monkeypatch):
    caplog.set_level("DEBUG")
    made = await listening(t, receiver)
    receiver.then = [500]
    await t.put("a", b"1")
    await store.deliver_webhooks(**OPEN)
    key = made.secret.removeprefix("whsec_")
    answers = [
        made,
        await t.webhooks(),
        await t.operations(),
        await t.events(),
        await t.replay_webhook(made.webhook.id),
    ]
    for text in (*map(repr, answers), repr(answers), caplog.text, *(repr(h) for h in receiver.heard)):
        assert key not in text
    await t.remove_webhook(made.webhook.id)  # it was to be tried again at once, by whoever delivers next
    given = webhooks.new_secret()
    assert (await listening(t, receiver, secret=given)).secret == given


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority that this machine is told to trust, and what it says of two hosts; another authority that nobody trusts."""
    folder, stranger = tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("others")
    ours = make_authority(folder, "ours")
    return {
        "authority": ours,
        "good": make_certificate(folder, ours, "localhost"),
        "of another host": make_certificate(folder, ours, "elsewhere.example"),
        "of nobody": make_certificate(stranger, make_authority(stranger, "theirs"), "localhost"),
    }


@pytest.mark.parametrize(
    ("certificate", "fault"),
    [
        ("good", None),
        ("of another host", "its certificate is not good"),
        ("of nobody", "its certificate is not good"),
    ],
)
async def test_a_receiver_over_tls_must_be_who_it_is_asked_as(store, t, certificates, monkeypatch, certificate, fault):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates["authority"]))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*certificates[certificate])
    with receiving(tls) as receiver:
        url = f"https://localhost:{receiver.port}/hook"
        made = await t.add_webhook(url, by="ops", allow_private=True)
        await t.put("a", b"1")
        await store.deliver_webhooks(allow_private=True)
        assert len(receiver.heard) == (fault is None), "nothing is said to somebody else"
        for _, body, headers in receiver.heard:
            assert webhooks.verify(body, headers, made.secret)["data"]["ref"] == "a@1"
        (told,) = await t.webhooks()
        assert (told.failures, told.fault) == (fault is not None, fault)
