"""What the tests of staging share: to stage, to read back, to be refused, and a stream in pieces."""

from __future__ import annotations

import asyncio

import pytest

from casstore import limits
from casstore.errors import Invalid
from casstore.model import MAIN
from casstore.staging import stage


def staged(data, media_type=None):
    return asyncio.run(stage(data, media_type))[MAIN]


def content(one):
    with one.open() as source:
        return b"".join(iter(lambda: source.read(limits.HASH_BYTES), b""))


def refused(data, code, **options):
    with pytest.raises(Invalid) as caught:
        asyncio.run(stage(data, **options))
    assert caught.value.code is code
    return caught.value


async def pieces(data, size):
    for at in range(0, len(data), size):
        await asyncio.sleep(0)
        yield data[at : at + size]
