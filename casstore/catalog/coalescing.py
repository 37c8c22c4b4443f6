"""Coalescing: what several callers ask at the same time goes to the database as one call.

A call costs the client and the server far more than what stands in it (docs/decisions/0016). Nobody waits for company: a question
is sent at once, unless a call of its kind is under way, and then, as soon as that has ended, with all that have come meanwhile.
What only reads may have several calls under way, and be given up by who asked: `companions.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeAlias, TypeVar

from casstore import limits
from casstore.errors import CasstoreError, Code, Unavailable, UsageError

__all__ = ["Asked", "Coalescer", "Run", "answer"]

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Run: TypeAlias = Callable[[Sequence[Question]], Awaitable[Sequence[Answer | BaseException]]]
Asked: TypeAlias = tuple[Question, asyncio.Future[Answer]]


class Coalescer(Generic[Question, Answer]):
    """Sends questions of one kind together, and gives each caller its own answer or error.

    Args:
        run: Asks the database; answers one answer or error for each question, in their order.
        apart: What two questions of one call may not share: the value of each, or None where a question clashes with no other.
    """

    def __init__(self, run: Run[Question, Answer], apart: Callable[[Question], Hashable | None]) -> None:
        self._run = run
        self._apart = apart
        self._waiting: dict[Hashable, deque[Asked[Question, Answer]]] = {}  # a key: a call of this kind is under way
        self._senders: set[asyncio.Task[None]] = set()

    async def ask(self, kind: Hashable, question: Question) -> Answer:
        """The answer to a question, which is sent together with others of its kind.

        A caller that is cancelled waits for its answer first: it leaves all of it or nothing, never half a conversation.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if kind in self._waiting:
            self._waiting[kind].append((question, future))
        else:
            self._waiting[kind] = deque([(question, future)])
            self._start(kind)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    def _start(self, kind: Hashable) -> None:
        sender = asyncio.create_task(self._send(kind))
        self._senders.add(sender)  # the loop itself holds tasks weakly
        sender.add_done_callback(self._senders.discard)

    async def _send(self, kind: Hashable) -> None:
        waiting, hangs = self._waiting[kind], False

        def leave_to_another() -> None:  # a call that waits for somebody's lock must not hold up those after it
            nonlocal hangs
            hangs = True
            self._start(kind)

        while waiting and not hangs:
            alarm = asyncio.get_running_loop().call_later(limits.CALL_PATIENCE.total_seconds(), leave_to_another)
            await answer(self._run, self._together(waiting))
            alarm.cancel()
        if not hangs:
            del self._waiting[kind]

    def _together(self, waiting: deque[Asked[Question, Answer]]) -> list[Asked[Question, Answer]]:
        """Take from the line what can go as one call: those that clash with one before them stay, in their order."""
        call: list[Asked[Question, Answer]] = []
        kept: list[Asked[Question, Answer]] = []
        marks: set[Hashable] = set()
        while waiting and len(call) < limits.QUESTIONS_A_CALL:
            asked = waiting.popleft()
            mark = self._apart(asked[0])
            if mark is not None and mark in marks:
                kept.append(asked)
                continue
            marks.add(mark)
            call.append(asked)
        waiting.extendleft(reversed(kept))
        return call


async def answer(run: Run[Question, Answer], call: Sequence[Asked[Question, Answer]]) -> None:
    """Ask as one call, and give each who asked, and still waits, its own answer or error."""
    try:
        answers = await run([question for question, _ in call])
    except BaseException as error:  # noqa: BLE001 - goes to those who asked, whatever it is
        if len(call) > 1 and _concerns_one(error):  # the others are not to suffer for it
            await asyncio.gather(*(answer(run, [asked]) for asked in call))
            return
        answers = [error] * len(call)
    for (_, future), found in zip(call, answers, strict=True):
        if future.done():  # who asked is gone
            continue
        if isinstance(found, BaseException):
            future.set_exception(found)
        else:
            future.set_result(found)


def _concerns_one(error: BaseException) -> bool:
    """Whether a call may have failed for one of its questions: a row that is refused, or a lock that is held."""
    is_down = isinstance(error, Unavailable) and error.code is not Code.CATALOG_BUSY
    return isinstance(error, CasstoreError) and not isinstance(error, UsageError) and not is_down
