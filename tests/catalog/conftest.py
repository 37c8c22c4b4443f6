"""What tests of roles share: servers of their own, because roles are a whole server's."""

from __future__ import annotations

from pathlib import Path

import pytest

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="module", params=[None, POSTGRES_15], ids=["embedded", "postgres 15"])
def own_server(request, other_server):
    """The DSN of the superuser of a throwaway server: of the version we ship, and of the oldest that we support."""
    if request.param and not request.param.exists():
        pytest.skip("no Postgres 15 on this machine")
    with other_server(request.param) as dsn:
        yield dsn
