"""The door over HTTP looks like the one of a store that is opened here, but for a list that is spelled out."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import casstore
from casstore.client.artifact import RemoteArtifact
from casstore.client.tenant import AsyncRemoteTenant
from casstore.client.transaction import RemoteTransaction
from casstore.errors import Code, UsageError

WEBHOOKS = {"add_webhook", "webhooks", "remove_webhook", "replay_webhook", "test_webhook"}
NOT_OVER_HTTP = {"compare", "digest_of", "events", "follow", "import_tree"} | WEBHOOKS
CALLS = {
    "compare": ("a", "b"),
    "digest_of": (b"1",),
    "events": (),
    "follow": (),
    "import_tree": ("folder",),
}


def methods(kind):
    return {name for name, value in inspect.getmembers(kind, callable) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("far", "near", "more"),
    [
        (AsyncRemoteTenant, casstore.AsyncTenant, {"open", "aclose"}),
        (RemoteTransaction, casstore.AsyncTransaction, set()),
        (RemoteArtifact, casstore.AsyncArtifact, set()),
    ],
)
def test_signatures_are_those_of_the_local_doors(far, near, more):
    assert methods(far) - methods(near) == more
    for name in methods(near):
        assert inspect.signature(getattr(far, name)) == inspect.signature(getattr(near, name)), name


def test_every_method_of_a_tenant_is_here_or_is_refused_by_name(remote):
    """None is inherited from the local door, where it would look for a store."""
    for name in methods(casstore.AsyncTenant):
        assert name in vars(AsyncRemoteTenant), name
    for name in NOT_OVER_HTTP:
        with pytest.raises(UsageError, match=f"{name} cannot be done over HTTP") as caught:
            list(found) if inspect.isgenerator(found := getattr(remote, name)(*CALLS.get(name, ()))) else None
        assert (caught.value.code, bool(caught.value.hint)) == (Code.NOT_OVER_HTTP, True)


def test_what_is_not_in_the_table_says_so():
    with pytest.raises(UsageError) as caught:
        AsyncRemoteTenant(None)._context  # noqa: B018
    assert caught.value.code is Code.NOT_OVER_HTTP


def test_the_handle_is_a_tenant(remote, tenant):
    assert isinstance(remote, casstore.Tenant)
    assert (remote.name, repr(remote)) == (tenant, f"<tenant {tenant}>")
    remote.close()
    remote.close()
    with pytest.raises(UsageError) as caught:
        remote.usage()
    assert caught.value.code is Code.STORE_CLOSED


def test_the_guide_runs(served, tenant, run):
    """Its blocks, with the URL and the token of a server that is there."""
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "use-over-http.md").read_text("utf-8")
    blocks = re.findall(r"^```py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        source = block.replace("https://store.example.com", served.url).replace("cst_…", tenant)
        code = compile(source, "use-over-http.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        work = eval(code, {})
        if inspect.iscoroutine(work):
            run(work)
