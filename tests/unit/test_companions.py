"""Questions asked together that change nothing: each has its own answer, not older than the question; who leaves, leaves alone."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from casstore import limits
from casstore.catalog.companions import Companions
from casstore.errors import Code, Corrupt, NotFound, Unavailable, UsageError

SOON = 5


class Database:
    """Answers each question with itself and the time when its call began; keeps what it was asked."""

    def __init__(self, steps=1, error=None):
        self.now = 0
        self.calls = []
        self.under_way = self.most = 0
        self.steps = steps
        self.error = error

    async def run(self, questions):
        self.calls.append(list(questions))
        began = self.now
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(self.steps):
                await asyncio.sleep(0)
            if self.error and self.error[0] in questions:
                raise self.error[1]
            return [NotFound(Code.VERSION_NOT_FOUND, str(n)) if n < 0 else (n, began) for n in questions]
        finally:
            self.under_way -= 1


async def ask_all(companions, questions):
    asked = (companions.ask("kind", question) for question in questions)
    return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), SOON)


plans = st.lists(  # when each is asked, what, and after how many steps it is given up
    st.tuples(st.integers(0, 6), st.integers(-3, 100), st.none() | st.integers(0, 6)), max_size=90
)


@given(plans, st.integers(1, 4), st.integers(1, 4))
@example([(0, 1, None), (0, 2, 1), (0, 3, None)], 2, 1)  # one of a call leaves
@example([(0, 1, 1), (0, 2, None), (1, 3, None)], 3, 1)  # the first, which asks for itself, leaves
@example([(0, 1, None), (0, 2, 1), (0, 3, 1), (3, 4, None)], 2, 1)  # all of a call leave before it is sent
@example([(0, n, None) for n in range(1, 2 * limits.QUESTIONS_A_CALL + 3)], 1, 1)  # more than one call holds
def test_who_stays_is_answered_by_a_call_that_began_after_the_question(plan, steps, at_once):
    async def main():
        database = Database(steps)
        companions = Companions(database.run, at_once)

        async def one(start, question):
            while database.now < start:
                await asyncio.sleep(0)
            asked = database.now
            return asked, await companions.ask("kind", question)

        tasks = [asyncio.create_task(one(start, question)) for start, question, _ in plan]
        for _ in range(14):
            await asyncio.sleep(0)
            database.now += 1
            for task, (_, _, gone) in zip(tasks, plan, strict=True):
                if gone == database.now:
                    task.cancel()
        answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), SOON)
        while companions._senders:  # a call of which all are gone
            await asyncio.sleep(0)
        assert not companions._lines
        return database, answers

    database, answers = asyncio.run(main())
    assert database.most <= at_once
    assert all(0 < len(call) <= limits.QUESTIONS_A_CALL for call in database.calls)
    check_answers(plan, answers)


def check_answers(plan, answers):
    for (_, question, gone), answer in zip(plan, answers, strict=True):
        if isinstance(answer, asyncio.CancelledError):
            assert gone is not None
        elif question < 0:
            assert (answer.code, answer.message) == (Code.VERSION_NOT_FOUND, str(question))
        else:
            asked, (answered, began) = answer
            assert answered == question
            assert asked <= began


def test_a_lone_question_is_asked_in_the_task_of_who_asks():
    async def main():
        tasks = []

        async def run(questions):
            tasks.append(asyncio.current_task())
            return questions

        assert await Companions(run, 1).ask("kind", 1) == 1
        return tasks == [asyncio.current_task()]

    assert asyncio.run(main())


def test_what_comes_while_calls_are_under_way_goes_together():
    async def main():
        database = Database(steps=3)
        answers = await ask_all(Companions(database.run, 2), [1, 2, 3, 4, 5])
        assert [question for question, _ in answers] == [1, 2, 3, 4, 5]
        return database.calls

    assert asyncio.run(main()) == [[1], [2], [3, 4, 5]]


def test_a_call_that_hangs_does_not_hold_up_those_after_it(monkeypatch):
    monkeypatch.setattr(limits, "CALL_PATIENCE", timedelta(seconds=0.05))

    async def main():
        gate = asyncio.Event()

        async def run(questions):
            if "slow" in questions:
                await gate.wait()
            return questions

        companions = Companions(run, 1)
        slow = asyncio.create_task(companions.ask("kind", "slow"))
        await asyncio.sleep(0)
        assert await ask_all(companions, ["a", "b"]) == ["a", "b"]
        assert await ask_all(companions, ["c"]) == ["c"]
        gate.set()
        assert await slow == "slow"
        assert not companions._lines

    asyncio.run(main())


def test_kinds_do_not_wait_for_each_other():
    async def main():
        gate = asyncio.Event()

        async def run(questions):
            if questions == ["slow"]:
                await gate.wait()
            return questions

        companions = Companions(run, 1)
        slow = asyncio.create_task(companions.ask("a", "slow"))
        await asyncio.sleep(0)
        assert await asyncio.wait_for(companions.ask("b", "quick"), SOON) == "quick"
        gate.set()
        return await slow

    assert asyncio.run(main()) == "slow"


def test_one_bad_question_does_not_fail_the_others():
    error = Corrupt(Code.CATALOG_INCONSISTENT, "a row that cannot be")
    database = Database(error=(3, error))
    answers = asyncio.run(ask_all(Companions(database.run, 1), [1, 2, 3, 4]))
    assert [answers[0][0], answers[1][0], answers[2], answers[3][0]] == [1, 2, error, 4]


@pytest.mark.parametrize("error", [Unavailable(Code.CATALOG_UNAVAILABLE, "no server"), ValueError("a fault of ours")])
def test_what_fails_all_of_a_call_is_told_to_all_after_one_try(error):
    database = Database(error=(3, error))
    answers = asyncio.run(ask_all(Companions(database.run, 1), [1, 2, 3, 4]))
    assert answers[0][0] == 1
    assert answers[1:] == [error] * 3
    assert len(database.calls) == 2


def test_those_who_wait_when_the_store_is_closed_are_told_so():
    async def main():
        started = []

        async def run(questions):
            started.append(questions)
            if len(started) > 1:
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            return questions

        companions = Companions(run, 1)
        asked = [asyncio.create_task(companions.ask("kind", n)) for n in range(4)]
        while len(started) < 2:
            await asyncio.sleep(0)
        asked[3].cancel()
        await asyncio.wait_for(companions.aclose(), SOON)
        return started, await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), SOON)

    started, (first, *others, gone) = asyncio.run(main())
    assert started == [[0], [1, 2, 3]]
    assert first == 0
    assert isinstance(gone, asyncio.CancelledError)
    assert [type(error) for error in others] == [UsageError] * 2
    assert {error.code for error in others} == {Code.STORE_CLOSED}
