"""At which of the effects of a long operation a client dies: at some of them in a run, at every one when it is asked for."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator

EVERY = bool(os.environ.get("CASSTORE_TEST_EVERY_POINT"))


def some_points(every: int) -> Iterator[int]:
    """1, 2, 3 … without end where CASSTORE_TEST_EVERY_POINT is set; else each `every`-th, beginning somewhere in the first `every`.

    A test that fails says where, for its output names the point.
    """
    if EVERY:
        return itertools.count(1)
    return itertools.count(random.randint(1, every), every)
