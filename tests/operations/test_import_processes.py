"""Work dealt over processes: every item is worked on once, errors arrive as they were, and no process is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from casstore import Conflict, Unavailable, limits
from casstore.errors import Code
from casstore.operations.import_processes import deal

pytestmark = pytest.mark.slow  # a process needs half a second to begin


async def squares(take, tell):
    while (number := await take()) is not None:
        await asyncio.sleep(0.001)  # others get some as well
        tell((number, number * number, os.getpid()))


async def lengths(take, tell):
    while (text := await take()) is not None:
        tell(len(text))


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


async def conflict(take, tell):
    await take()
    raise Conflict(Code.HEAD_MOVED, "moved", hint="look", expected=1, actual=2)


async def conflict_with_hands_out(take, tell):
    await asyncio.wait([asyncio.ensure_future(take()) for _ in range(2)], return_when=asyncio.FIRST_COMPLETED)
    raise Conflict(Code.HEAD_MOVED, "moved while another waits", expected=1, actual=2)


async def bug(take, tell):
    await take()
    raise Odd("this", "that")  # cannot be unpickled


async def leave(take, tell):
    await take()
    os._exit(3)


async def interrupt(take, tell):
    os.kill(os.getpid(), signal.SIGINT)
    await squares(take, tell)


async def wait(take, tell):
    tell("here")
    await asyncio.sleep(600)


async def talk(take, tell):
    while True:
        for _ in range(20):
            tell("here")
        await asyncio.sleep(0)


async def hang(take, tell):
    tell("here")
    time.sleep(600)


@contextlib.contextmanager
def nothing_left():
    """Neither a process nor an open file or socket more than before."""
    resource_tracker.ensure_running()  # the interpreter's own, which stays
    before = sorted(Path("/dev/fd").iterdir())
    try:
        yield
    finally:
        assert multiprocessing.active_children() == []
        assert sorted(Path("/dev/fd").iterdir()) == before


async def dealt(items, work, processes=2):
    answers = []
    with nothing_left():
        await deal(iter(items), work, processes, answers.append)
    return answers


async def test_each_item_is_worked_on_once():
    answers = await dealt(range(1, 301), squares, processes=3)
    assert sorted(answer[:2] for answer in answers) == [(n, n * n) for n in range(1, 301)]
    pids = {pid for *_, pid in answers}
    assert 1 < len(pids) <= 3
    assert os.getpid() not in pids


async def test_an_item_of_any_size():
    assert sorted(await dealt(["x" * 3_000_000, "y"], lengths)) == [1, 3_000_000]


async def test_an_error_of_ours_arrives_whole():
    with pytest.raises(Conflict) as caught:
        await dealt(range(9), conflict)
    assert caught.value.as_dict() == {
        "error": "head_moved", "message": "moved", "hint": "look", "expected": 1, "actual": 2,
    }  # fmt: skip


async def test_an_error_arrives_although_items_are_on_their_way():
    slow = (time.sleep(0.1) or n for n in range(9))  # when the second is sent, the worker has failed over the first
    with pytest.raises(Conflict, match="while another waits"):
        await dealt(slow, conflict_with_hands_out, processes=1)


async def test_a_bug_arrives_with_the_place_it_happened():
    with pytest.raises(RuntimeError, match="Odd: this and that") as caught:
        await dealt(range(9), bug)
    assert 'raise Odd("this", "that")' in caught.value.__notes__[0]


async def test_a_process_that_leaves_without_a_word():
    with pytest.raises(Unavailable, match="ended with exit code 3") as caught:
        await dealt(range(9), leave)
    assert caught.value.code is Code.PROCESS_FAILED
    assert "Standard error says why" in caught.value.hint


async def test_ctrl_c_is_for_the_first_process_to_answer():
    assert len(await dealt(range(9), interrupt)) == 9


@pytest.mark.parametrize("work", [wait, hang])
async def test_who_cancels_leaves_no_process_behind(monkeypatch, work):
    monkeypatch.setattr(limits, "WORKER_STOP_TIMEOUT", timedelta(seconds=20 if work is wait else 0.1))
    here = asyncio.Event()
    with nothing_left():
        dealing = asyncio.create_task(deal(iter(()), work, 2, lambda _answer: here.set()))
        await here.wait()
        begin = time.monotonic()
        dealing.cancel()
        await asyncio.wait([dealing])
    assert dealing.cancelled()
    assert time.monotonic() - begin < 10


async def test_who_cancels_at_once_leaves_no_process_behind():
    with nothing_left():
        dealing = asyncio.create_task(deal(iter(()), wait, 2, print))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        dealing.cancel()
        await asyncio.wait([dealing])
    assert dealing.cancelled()


async def test_a_listener_that_fails_ends_them():
    with nothing_left(), pytest.raises(KeyError):
        await deal(iter(range(9)), squares, 2, lambda answer: {}[answer])


async def test_a_process_that_cannot_be_started(monkeypatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)  # as in a worker of a pool
    with (
        nothing_left(),
        pytest.raises(Unavailable, match="daemonic processes are not allowed to have children") as caught,
    ):
        await deal(iter(()), wait, 2, print)
    assert caught.value.code is Code.PROCESS_FAILED


def program(*arguments):
    """Run one to its end, which is when the last of its processes has closed standard error."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, *arguments], check=False, capture_output=True, env=environment, timeout=60)


@pytest.mark.parametrize("work", [wait, talk])
def test_a_killed_process_takes_the_others_along(work):
    code = f"""
import asyncio, os, signal
from casstore.operations.import_processes import deal
from {__name__} import {work.__name__}
asyncio.run(deal(iter(()), {work.__name__}, 2, lambda _answer: os.kill(os.getpid(), signal.SIGKILL)))
"""
    done = program("-c", code)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, b"")


def test_a_program_that_begins_when_it_is_imported_is_told_how_to_begin(tmp_path):
    (tmp_path / "careless.py").write_text(f"""
import asyncio
from casstore import CasstoreError
from casstore.operations.import_processes import deal
from {__name__} import squares
try:
    asyncio.run(deal(iter(range(9)), squares, 2, print))
except CasstoreError as error:
    print(error.hint)
""")
    assert b'under `if __name__ == "__main__":`' in program(tmp_path / "careless.py").stdout
