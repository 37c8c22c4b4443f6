"""How a test says which error it waits for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from casstore import CasstoreError
from casstore.errors import Code

__all__ = ["fails"]


@contextlib.contextmanager
def fails(kind: type[CasstoreError], code: Code) -> Iterator[Any]:
    """As `pytest.raises(kind)`, with this code, and nothing of ours unsaid: every error has a message and is JSON."""
    with pytest.raises(kind) as caught:
        yield caught
    assert type(caught.value) is kind
    assert caught.value.code is code
    assert caught.value.as_dict()["message"]
