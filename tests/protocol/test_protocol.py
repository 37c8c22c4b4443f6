"""Every order in which two putters, collectors, a reader and trouble can meet at one blob: the protocol holds in all of them, and a
protocol that lacks one piece does not. A shortest story of how it fails is printed.

Measured on two busy cores: the usual bounds are 84,000 worlds, and all of this file takes 22 s of a processor.
CASSTORE_TEST_PROTOCOL=deep looks further, at more of everything at the same time: another 1,400,000 worlds, in 160 s and 1.1 GiB.
"""

from __future__ import annotations

import os

import pytest

from tests.protocol.checker import Bounds, check

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600)]

USUAL = {
    "a crash of anybody": Bounds(crashes=1),
    "a second collector takes over": Bounds(putters=1, puts=2, purges=2, collectors=2, crashes=0),
    "a request that arrives again later": Bounds(crashes=0, delays=1),
    "bytes that rot, and a reader who doubts": Bounds(putters=1, puts=2, damages=1, crashes=0),
    "a power cut of the catalog": Bounds(crashes=0, power_cuts=1),
    "put and purged again and again": Bounds(crashes=0, puts=2, purges=2, looks=3),
    "a repair of bytes that rot": Bounds(putters=1, damages=1, repairs=1, looks=1, crashes=0),
    "a repair beside a collector": Bounds(putters=1, repairs=1, crashes=0),
}
DEEP = {
    "two putters, two collectors": Bounds(collectors=2, crashes=1),
    "two putters, two collectors, a power cut": Bounds(collectors=2, crashes=0, power_cuts=1),
    "rot under two putters": Bounds(damages=1, crashes=1),
    "late requests and crashes": Bounds(delays=2, crashes=1),
    "three putters": Bounds(putters=3, crashes=1),
    "a repair, rot and a collector": Bounds(putters=1, puts=2, damages=1, repairs=1, looks=1, crashes=1),
    "a repair and late requests": Bounds(putters=1, puts=2, repairs=1, crashes=0, delays=1),
    "a repair and a power cut": Bounds(putters=1, damages=1, repairs=1, looks=1, crashes=0, power_cuts=1),
    "long lives": Bounds(puts=2, purges=3, looks=4, crashes=1),
}
BOUNDS = USUAL | (DEEP if os.environ.get("CASSTORE_TEST_PROTOCOL") == "deep" else {})
ALONE, TOGETHER = USUAL["a crash of anybody"], USUAL["a second collector takes over"]
MENDED, BESIDE = USUAL["a repair of bytes that rot"], USUAL["a repair beside a collector"]
CUT, ROT = USUAL["a power cut of the catalog"], USUAL["bytes that rot, and a reader who doubts"]


@pytest.mark.parametrize("name", BOUNDS)
def test_the_protocol_keeps_every_law(name):
    result = check(BOUNDS[name])
    print(result)
    assert not result.broken, str(result)
    assert result.worlds > 1_000, "this was no search"


FLAWS = {  # what is missing, within which bounds that shows, and the law that is broken then
    "look": (ALONE, "condemned"),
    "look of the mark": (ALONE, "condemned"),
    "look after the lock": (ALONE, "condemned"),
    "lock of the put": (ALONE, "condemned"),
    "lock of the collector": (ALONE, "condemned"),
    "state of a known row": (ALONE, "can never succeed"),
    "ticket": (ALONE, "object of a version is gone"),
    "dead of an upload": (ALONE, "can never succeed"),
    "dead of a take-over": (ALONE, "object of a version is gone"),
    "dead of an upload and dead of a settlement": (ALONE, "object of a version is gone"),
    "new ticket of a claim": (TOGETHER, "object of a version is gone"),
    "plan": (TOGETHER, "quarantine"),
    "lease": (ALONE, "lease"),
    "generation of a delete": (ALONE, "object of a version is gone"),
    "claim of a target": (ALONE, "object of a version is gone"),
    "claim of the end": (TOGETHER, "object of a version is gone"),
    "row of an orphan": (ALONE, "object of a version is gone"),
    "object before row": (ALONE, "object of a version is gone"),
    "numbers given once": (CUT, "object of a version is gone"),
    "dead of a doubt": (ROT, "believes again"),
    "domain of a settlement": (CUT, "domain that nobody knows"),
    "domain of a reservation and domain of a settlement": (ALONE, "domain that nobody knows"),
    "row of a trust": (BESIDE, "can never succeed"),
    "row of a distrust": (MENDED, "good object is doubted"),
    "dead of a distrust": (MENDED, "believes again"),
    "state of a claim and new ticket of a take-over": (ALONE, "refers to the row that goes"),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_without_it_there_is_a_story_that_ends_badly(flaw):
    bounds, law = FLAWS[flaw]
    result = check(bounds, *flaw.split(" and "))
    print(flaw, "is missing:", result)
    assert law in result.broken, str(result)


SPARE = {
    "look of the claim": ALONE,
    "dead of a settlement": ALONE,
    "new ticket of a take-over": ALONE,
    "domain of a reservation": CUT,
    "dead of a trust": BESIDE,
}


@pytest.mark.parametrize("piece", SPARE)
def test_a_piece_that_others_make_up_for(piece):
    """A belt beside braces. When this fails, what made up for it is gone: then it is no longer spare."""
    assert not check(SPARE[piece], piece).broken
