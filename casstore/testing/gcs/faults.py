"""What goes wrong on demand: which requests, and what becomes of them.

Rules are added to the `faults` of a server, from any thread:

    rule = server.faults.add(drop_after(), operation="upload", name="sop/")  # the next one only
    server.faults.add(status(503, retry_after_s=1), operation="download", nth=2, times=3)
    server.faults.unleash(Chaos(seed=7, rate=0.05))                          # a soak
    …
    assert rule.struck == 1
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final

from casstore.testing.gcs.calls import Call
from casstore.testing.gcs.refusals import Refusal
from casstore.testing.gcs.uploads import content_range, payload_span
from casstore.testing.gcs.wire import Answer, Hitch, Request, refusal_answer

__all__ = [
    "Chaos",
    "Effect",
    "Faults",
    "Rule",
    "corrupt_byte",
    "corrupt_upload",
    "cut_body",
    "drop_after",
    "drop_before",
    "keep_part",
    "stall",
    "status",
]

_SETTLE_S: Final = 0.05  # what was sent before a reset has to arrive before it
_DROPPED: Final = Hitch(None, reset=True)


@dataclass(frozen=True, slots=True)
class Effect:
    """One way for a request to go wrong.

    Attributes:
        operations: Those it is for; none are all. See `Call.operation`.
        wait_s: How long the request lies about before it is looked at.
        before: Makes another request of it; or an answer, and then the request has no effect.
        after: Makes another answer of the true one.
    """

    kind: str
    operations: frozenset[str] = frozenset()
    wait_s: float = 0
    before: Callable[[Request], Request | Answer] | None = None
    after: Callable[[Answer], Answer] | None = None

    def fits(self, call: Call) -> bool:
        """Whether it is for such a request."""
        return not self.operations or call.operation in self.operations


def drop_before() -> Effect:
    """The connection is reset, and the request has no effect."""
    return Effect("drop_before", before=lambda _: Answer(HTTPStatus.SERVICE_UNAVAILABLE, hitch=_DROPPED))


def drop_after() -> Effect:
    """The request has its effect, then the connection is reset without an answer."""
    return Effect("drop_after", after=lambda answer: replace(answer, hitch=_DROPPED))


def status(code: int, *, retry_after_s: int | None = None, after: bool = False) -> Effect:
    """An error (429, 503, 500, 408, …) is answered instead; with `after` although the request had its effect."""
    headers = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    refused = refusal_answer(Refusal(code, "this is a test", headers))
    if after:
        return Effect(f"{code}_after", after=lambda _: refused)
    return Effect(f"{code}_before", before=lambda _: refused)


def stall(seconds: float, *, after: bool = False, after_bytes: int | None = None) -> Effect:
    """Silence for a while: before the effect; with `after` between the effect and the answer; with `after_bytes`
    in the middle of the answer's body. Then all goes on, also when the client has left meanwhile.
    """
    if after or after_bytes is not None:
        return Effect("stall_after", after=lambda answer: replace(answer, hitch=Hitch(after_bytes, seconds)))
    return Effect("stall_before", wait_s=seconds)


def cut_body(after_bytes: int | None = None) -> Effect:
    """The answer declares its whole length, and after so many bytes of its body (by default half of them) the
    connection is reset.
    """

    def cut(answer: Answer) -> Answer:
        at = len(answer.body) // 2 if after_bytes is None else after_bytes
        return replace(answer, hitch=Hitch(at, _SETTLE_S, reset=True))

    return Effect("cut_body", after=cut)


def corrupt_byte(offset: int | None = None) -> Effect:
    """One byte of a download (by default the middle one) is another; the headers are those of the true one. Of a
    range the offset counts within the range. An empty body, and one that ends before the byte, stay as they are.
    """

    def corrupt(answer: Answer) -> Answer:
        return replace(answer, body=_altered(bytes(answer.body), offset))

    return Effect("corrupt_byte", frozenset({"download"}), after=corrupt)


def corrupt_upload(offset: int | None = None) -> Effect:
    """One byte of the object (by default the middle one) arrives as another, in an upload or a chunk of one."""

    def corrupt(request: Request) -> Request:
        start, end = payload_span(request)
        body = request.body[:start] + _altered(request.body[start:end], offset) + request.body[end:]
        return replace(request, body=body)

    return Effect("corrupt_upload", frozenset({"upload", "upload_chunk"}), before=corrupt)


def keep_part(size_bytes: int) -> Effect:
    """Of a chunk of a resumable upload only the first so many bytes are kept, as a server under load may do. They
    have to be a multiple of 256 KiB, or none.
    """

    def keep(request: Request) -> Request:
        first, last, total = content_range(request) if "content-range" in request.headers else (None, None, None)
        if first is None or last is None or size_bytes > last - first:
            return request
        end = "*" if size_bytes == 0 else f"{first}-{first + size_bytes - 1}"
        headers = request.headers | {"content-range": f"bytes {end}/{'*' if total is None else total}"}
        return replace(request, headers=headers, body=request.body[:size_bytes])

    return Effect("keep_part", frozenset({"upload_chunk"}), before=keep)


def _altered(data: bytes, offset: int | None) -> bytes:
    at = len(data) // 2 if offset is None else offset
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if at < len(data) else data


@dataclass(slots=True)
class Rule:
    """An effect on the requests that match all that is given, from the `nth` on, so many `times` (None: for ever).

    Attributes:
        operations: See `Call.operation`; none are all.
        path: What stands in the path. Also `name`: in the object's name.
        struck: How often it has.
    """

    effect: Effect
    operations: frozenset[str] = frozenset()
    method: str = ""
    path: str = ""
    name: str = ""
    nth: int = 1
    times: int | None = 1
    struck: int = 0
    _seen: int = field(default=0, repr=False)

    def strike(self, call: Call) -> Effect | None:
        """The effect on this request, if its time has come."""
        if not self._matches(call) or (self.times is not None and self.struck >= self.times):
            return None
        self._seen += 1
        if self._seen < self.nth:
            return None
        self.struck += 1
        return self.effect

    def _matches(self, call: Call) -> bool:
        return (
            self.effect.fits(call)
            and (not self.operations or call.operation in self.operations)
            and self.method in ("", call.request.method)
            and self.path in call.request.path
            and self.name in call.name
        )


ALL_KINDS: Final = (
    drop_before(),
    drop_after(),
    status(503),
    status(503, after=True),
    status(429, retry_after_s=0),
    status(408),
    status(500, after=True),
    cut_body(),
    stall(0.05, after=True),
)


@dataclass(slots=True)
class Chaos:
    """Each request meets one of `kinds` with the probability `rate`. The same seed and requests: the same faults."""

    seed: int
    rate: float
    kinds: Sequence[Effect] = ALL_KINDS
    operations: frozenset[str] = frozenset()
    struck: int = 0
    _random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - to be repeated, not to be secret

    def strike(self, call: Call) -> Effect | None:
        """The effect on this request, if it is unlucky."""
        if (self.operations and call.operation not in self.operations) or self._random.random() >= self.rate:
            return None
        fitting = [kind for kind in self.kinds if kind.fits(call)]
        self.struck += bool(fitting)
        return self._random.choice(fitting) if fitting else None


class Faults:
    """The rules of a server, in the order they were added: the first that matches a request strikes. Thread-safe."""

    def __init__(self) -> None:
        self._rules: list[Rule | Chaos] = []
        self._lock = threading.Lock()

    def add(
        self,
        effect: Effect,
        *,
        operation: str | Sequence[str] = (),
        method: str = "",
        path: str = "",
        name: str = "",
        nth: int = 1,
        times: int | None = 1,
    ) -> Rule:
        """Let the effect happen to the requests that match; see `Rule`. By default to the next one."""
        operations = frozenset((operation,) if isinstance(operation, str) else operation)
        rule = Rule(effect, operations, method, path, name, nth, times)
        with self._lock:
            self._rules.append(rule)
        return rule

    def unleash(self, chaos: Chaos) -> None:
        """Let chaos happen to all requests that meet no rule before it."""
        with self._lock:
            self._rules.append(chaos)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._rules.clear()

    def strike(self, call: Call) -> Effect | None:
        """What happens to this request. Every rule before the one that strikes has counted it."""
        with self._lock:
            return next((effect for rule in self._rules if (effect := rule.strike(call))), None)
