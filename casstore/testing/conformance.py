"""The contract of a blob store (`casstore.blobs.contract`) made executable: every backend, also yours, has to pass it.

With pytest, in one file:

```python
import pytest
from casstore.testing import conformance

class Mine(conformance.Harness):
    def __init__(self, folder):
        self.folder = folder

    async def open(self):
        return await MyBlobs.connect(self.folder)

@pytest.mark.parametrize("case", conformance.CASES, ids=str)
def test_contract(case, tmp_path):
    conformance.run(case, Mine(tmp_path))
```

Without pytest, `check(lambda: Mine(tempfile.mkdtemp()))` answers what is broken. The other methods of `Harness` are
optional.
"""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Callable, Iterable
from typing import Final

from casstore.testing import delete_cases, journal_cases, life_cases, page_cases, put_cases, read_cases
from casstore.testing.harness import BrokenPromiseError, Case, Harness

__all__ = ["CASES", "BrokenPromiseError", "Case", "Harness", "check", "run"]

CASES: Final[tuple[Case, ...]] = (
    *put_cases.CASES,
    *read_cases.CASES,
    *delete_cases.CASES,
    *page_cases.CASES,
    *life_cases.CASES,
    *journal_cases.CASES,
)
_PATIENCE_SECONDS: Final = 60  # a hundred times what the slowest case takes on a slow disk


def run(case: Case, harness: Harness, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
    """Run one case on a fresh place, in an event loop of its own.

    Raises:
        BrokenPromiseError: The store does not keep the contract; an AssertionError.
        unittest.SkipTest: The harness lacks a hook that the case needs. pytest understands it.
        Exception: What the store let through, with a note which case it was.
    """

    async def patiently() -> None:
        try:
            async with asyncio.timeout(patience_seconds):
                await case.check(harness)
        except TimeoutError as error:
            raise BrokenPromiseError(f"no answer in {patience_seconds} seconds") from error

    try:
        asyncio.run(patiently())
    except Exception as error:
        error.add_note(f"case {case.name}: {case.promise}")
        raise


def check(make_harness: Callable[[], Harness], cases: Iterable[Case] = CASES, **options: float) -> dict[str, Exception]:
    """Run every case, each on a harness of its own; the failures by the case's name. A skipped case is none."""
    failures: dict[str, Exception] = {}
    for case in cases:
        try:
            run(case, make_harness(), **options)
        except unittest.SkipTest:
            continue
        except Exception as error:  # noqa: BLE001 - a broken store may raise anything, and that is the finding
            failures[case.name] = error
    return failures
