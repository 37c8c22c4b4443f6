"""Questions sent together: each caller gets its own answer, whatever happens to the others."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casstore import limits
from casstore.catalog.coalescing import Coalescer
from casstore.errors import Code, Conflict, Corrupt, Unavailable

SOON = 5


class Database:
    """Answers n with 2n, later; keeps what it was asked."""

    def __init__(self, error=None):
        self.calls = []
        self.error = error

    async def run(self, questions):
        self.calls.append(list(questions))
        await asyncio.sleep(0)
        if self.error and self.error[0] in questions:
            raise self.error[1]
        return [Conflict(Code.HEAD_MOVED, str(n)) if n < 0 else 2 * n for n in questions]


async def ask_all(coalescer, questions):
    asked = (coalescer.ask("kind", question) for question in questions)
    return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), SOON)


@given(st.lists(st.integers(-3, 100), max_size=3 * limits.QUESTIONS_A_CALL))
def test_everyone_gets_the_answer_to_their_own_question(questions):
    database = Database()
    answers = asyncio.run(ask_all(Coalescer(database.run, lambda _: None), questions))
    for question, answer in zip(questions, answers, strict=True):
        assert str(answer.message) == str(question) if question < 0 else answer == 2 * question
    assert [question for call in database.calls for question in call] == questions
    assert len(database.calls) == -(-len(questions) // limits.QUESTIONS_A_CALL)


@given(st.lists(st.integers(0, 3), max_size=40))
def test_what_clashes_never_goes_together_and_keeps_its_order(questions):
    database = Database()
    mark = 10  # a question is its place, and its mark in the last digit
    asked = [mark * place + question for place, question in enumerate(questions)]
    answers = asyncio.run(ask_all(Coalescer(database.run, lambda n: n % mark or None), asked))
    assert answers == [2 * question for question in asked]
    for call in database.calls:
        marked = [question % mark for question in call if question % mark]
        assert len(set(marked)) == len(marked)
    for each in range(1, 4):
        sent = [question for call in database.calls for question in call if question % mark == each]
        assert sent == sorted(sent)


def test_a_lone_question_is_sent_at_once_and_the_next_does_not_wait_for_company():
    async def main():
        database = Database()
        coalescer = Coalescer(database.run, lambda _: None)
        assert [await coalescer.ask("kind", n) for n in range(3)] == [0, 2, 4]
        return database.calls

    assert asyncio.run(main()) == [[0], [1], [2]]


def test_what_comes_while_a_call_is_under_way_goes_with_the_next():
    async def main():
        database = Database()
        coalescer = Coalescer(database.run, lambda _: None)
        first = asyncio.create_task(coalescer.ask("kind", 1))
        while not database.calls:
            await asyncio.sleep(0)
        assert await ask_all(coalescer, [2, 3]) == [4, 6]
        assert await first == 2
        return database.calls

    assert asyncio.run(main()) == [[1], [2, 3]]


def test_a_call_that_hangs_does_not_hold_up_those_after_it(monkeypatch):
    monkeypatch.setattr(limits, "CALL_PATIENCE", timedelta(seconds=0.05))

    async def main():
        gate = asyncio.Event()

        async def run(questions):
            if "slow" in questions:
                await gate.wait()
            return questions

        coalescer = Coalescer(run, lambda _: None)
        slow = asyncio.create_task(coalescer.ask("kind", "slow"))
        await asyncio.sleep(0)
        assert await ask_all(coalescer, ["a", "b"]) == ["a", "b"]
        await asyncio.sleep(0.1)
        assert await ask_all(coalescer, ["c"]) == ["c"]
        gate.set()
        assert await slow == "slow"
        assert await ask_all(coalescer, ["d"]) == ["d"]
        assert not coalescer._waiting

    asyncio.run(main())


def test_of_a_call_that_was_busy_those_who_can_are_answered():
    busy = Unavailable(Code.CATALOG_BUSY, "somebody holds a lock")
    database = Database((3, busy))
    assert asyncio.run(ask_all(Coalescer(database.run, lambda _: None), [1, 3, 2])) == [2, busy, 4]


def test_kinds_do_not_wait_for_each_other():
    async def main():
        gate = asyncio.Event()

        async def run(questions):
            if questions == ["slow"]:
                await gate.wait()
            return questions

        coalescer = Coalescer(run, lambda _: None)
        slow = asyncio.create_task(coalescer.ask("a", "slow"))
        assert await asyncio.wait_for(coalescer.ask("b", "quick"), SOON) == "quick"
        gate.set()
        return await slow

    assert asyncio.run(main()) == "slow"


def test_one_bad_question_does_not_fail_the_others():
    error = Corrupt(Code.CATALOG_INCONSISTENT, "a row that cannot be")
    database = Database((3, error))
    answers = asyncio.run(ask_all(Coalescer(database.run, lambda _: None), [1, 3, 2]))
    assert answers == [2, error, 4]


@pytest.mark.parametrize("error", [Unavailable(Code.CATALOG_UNAVAILABLE, "no server"), ValueError("a fault of ours")])
def test_what_fails_all_is_told_to_all_after_one_try(error):
    database = Database((3, error))
    assert asyncio.run(ask_all(Coalescer(database.run, lambda _: None), [1, 3, 2])) == [error] * 3
    assert len(database.calls) == 1


def test_after_a_failure_the_next_question_is_asked():
    async def main():
        database = Database((1, Unavailable(Code.CATALOG_UNAVAILABLE, "no server")))
        coalescer = Coalescer(database.run, lambda _: None)
        await ask_all(coalescer, [1])
        return await asyncio.wait_for(coalescer.ask("kind", 2), SOON)

    assert asyncio.run(main()) == 4


def test_a_cancelled_caller_leaves_the_others_theirs_and_waits_for_its_own():
    async def main():
        database = Database()
        coalescer = Coalescer(database.run, lambda _: None)
        tasks = [asyncio.create_task(coalescer.ask("kind", n)) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), SOON)
        assert isinstance(answers.pop(1), asyncio.CancelledError)
        assert answers == [0, 4]
        return database.calls

    assert asyncio.run(main()) == [[0, 1, 2]]
