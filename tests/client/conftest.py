"""The server of tests/http, and a client of it: each test has a tenant of its own."""

from __future__ import annotations

import pytest

import casstore
from tests.http.conftest import serve, served, tenant

__all__ = ["serve", "served", "tenant"]


@pytest.fixture
def remote(served, tenant):
    with casstore.connect(served.url, token=tenant) as found:
        yield found


@pytest.fixture
def local(served, tenant):
    """The same tenant's door, on the server's own loop: `call(local.get("a"))`."""
    return served.store.tenant(tenant)
