"""From a request to its answer: understood, perhaps struck by a fault, done, recorded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import NamedTuple

from casstore.testing.gcs import routes
from casstore.testing.gcs.calls import Call
from casstore.testing.gcs.faults import Effect, Faults
from casstore.testing.gcs.refusals import Refusal, unsupported
from casstore.testing.gcs.storage import Options, Storage
from casstore.testing.gcs.wire import Answer, Request, refusal_answer

__all__ = ["Seen", "Service"]


class Seen(NamedTuple):
    """One request as the server saw it.

    Attributes:
        operation: See `Call.operation`; empty if it was not understood.
        name: Of the object, empty if it was about none.
        status: What was answered; 0 if the connection was reset without an answer.
        body_bytes: How long the request's body was.
        fault: The kind of the effect that struck it; empty if none did.
    """

    method: str
    operation: str
    bucket: str
    name: str
    status: int
    body_bytes: int
    fault: str


class Service:
    """Answers requests. One at a time has its effect, so that conditions are atomic.

    Args:
        record: Is told of every request, before its answer is on its way.
    """

    def __init__(self, options: Options, faults: Faults, record: Callable[[Seen], object]) -> None:
        self.storage = Storage(options)
        self.lock = threading.Lock()  # whoever touches the storage from another thread holds it
        self._faults = faults
        self._record = record

    async def respond(self, request: Request) -> Answer:
        """The answer to a request, or what a fault makes of it."""
        call = self._recognise(request)
        if isinstance(call, Answer):
            return self._recorded(request, None, call, "")
        effect = self._faults.strike(call)
        answer = await self._struck(call, effect) if effect else self._perform(call)
        return self._recorded(request, call, answer, effect.kind if effect else "")

    async def _struck(self, call: Call, effect: Effect) -> Answer:
        await asyncio.sleep(effect.wait_s)
        if effect.before:
            altered = effect.before(call.request)
            understood = altered if isinstance(altered, Answer) else self._recognise(altered)
            if isinstance(understood, Answer):
                return understood
            call = understood
        answer = self._perform(call)
        return effect.after(answer) if effect.after else answer

    def _recognise(self, request: Request) -> Call | Answer:
        try:
            with self.lock:
                return routes.recognise(self.storage, request)
        except Refusal as refusal:
            return refusal_answer(refusal)

    def _perform(self, call: Call) -> Answer:
        try:
            with self.lock:
                return routes.perform(self.storage, call)
        except Exception as error:  # noqa: BLE001 - our own mistake: say so, in a status that no client tries again
            return refusal_answer(unsupported(f"this {call.operation}: {type(error).__name__}: {error}"))

    def _recorded(self, request: Request, call: Call | None, answer: Answer, fault: str) -> Answer:
        operation, bucket, name = (call.operation, call.bucket, call.name) if call else ("", "", "")
        status = int(answer.status) if answer.arrives else 0
        self._record(Seen(request.method, operation, bucket, name, status, len(request.body), fault))
        return answer
