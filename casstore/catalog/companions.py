"""Companions: what several callers read at the same time is asked of the database as one call (docs/decisions/0047).

Nobody waits for company: the first questions of a kind are sent at once, each in the task of who asks, as if it were alone.
Only what comes while so many calls are under way as there may be waits for the first of them to end, and then goes together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic

from casstore import limits
from casstore.catalog.coalescing import Answer, Asked, Question, Run, answer
from casstore.errors import Code, UsageError

__all__ = ["Companions"]


@dataclass(slots=True)
class _Line(Generic[Question, Answer]):
    """The questions of one kind: how many calls are under way, who waits, and what ends a wait that takes too long."""

    under_way: int = 0
    waiting: deque[Asked[Question, Answer]] = field(default_factory=deque)
    alarm: asyncio.TimerHandle | None = None


class Companions(Generic[Question, Answer]):
    """Asks questions that change nothing. Who is cancelled leaves at once, and none of the others notices.

    Args:
        run: Asks the database; answers one answer or error for each question, in their order.
        at_once: How many calls of a kind may be under way.
    """

    def __init__(self, run: Run[Question, Answer], at_once: int) -> None:
        self._run = run
        self._at_once = at_once
        self._lines: dict[Hashable, _Line[Question, Answer]] = {}
        self._senders: set[asyncio.Task[None]] = set()

    async def ask(self, kind: Hashable, question: Question) -> Answer:
        """The answer to a question, told by a statement that began after it was asked."""
        line = self._lines.get(kind)
        if line is None:
            line = self._lines[kind] = _Line()
        if line.under_way >= self._at_once:
            return await self._join(kind, line, question)
        line.under_way += 1
        try:
            (found,) = await self._run([question])
        finally:
            self._is_over(kind, line)
        if isinstance(found, BaseException):
            raise found
        return found

    async def aclose(self) -> None:
        """End what is under way for others; those who still wait for it are told that the store is closed."""
        while self._senders:
            senders = list(self._senders)
            for sender in senders:
                sender.cancel()
            await asyncio.wait(senders)

    async def _join(self, kind: Hashable, line: _Line[Question, Answer], question: Question) -> Answer:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        line.waiting.append((question, future))
        if not line.alarm:  # a call that waits for somebody's lock must not hold up those after it
            line.alarm = loop.call_later(limits.CALL_PATIENCE.total_seconds(), self._start, kind, line)
        return await future

    def _start(self, kind: Hashable, line: _Line[Question, Answer]) -> None:
        """Send those who wait, and have not left, as one call."""
        if line.alarm:
            line.alarm.cancel()
            line.alarm = None
        call: list[Asked[Question, Answer]] = []
        while line.waiting and len(call) < limits.QUESTIONS_A_CALL:
            asked = line.waiting.popleft()
            if not asked[1].done():
                call.append(asked)
        line.under_way += 1
        sender = asyncio.create_task(self._send(kind, line, call))
        self._senders.add(sender)  # the loop itself holds tasks weakly
        sender.add_done_callback(self._senders.discard)

    async def _send(self, kind: Hashable, line: _Line[Question, Answer], call: list[Asked[Question, Answer]]) -> None:
        try:
            if call:
                await answer(self._ask, call)
        finally:
            self._is_over(kind, line)

    async def _ask(self, questions: Sequence[Question]) -> Sequence[Answer | BaseException]:
        try:
            return await self._run(questions)
        except asyncio.CancelledError:  # by `aclose`: a sender is nobody else's
            raise UsageError(Code.STORE_CLOSED, "the store is closed", hint="Use it inside its `with` block.") from None

    def _is_over(self, kind: Hashable, line: _Line[Question, Answer]) -> None:
        line.under_way -= 1
        if line.waiting:
            self._start(kind, line)
        elif not line.under_way:
            del self._lines[kind]
