"""Content there and back: whatever it is, wherever it comes from, verified on both ways."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import casstore
from casstore import limits
from casstore.errors import Code, Conflict, Denied, Invalid, NotFound

LARGE = bytes(range(256)) * 12_000  # three pieces, and not a round number of them


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"", "application/octet-stream"),
        (b"\0\xff", "application/octet-stream"),
        ("ä\n", "text/plain"),
        ({"b": [1, 2.5, None], "a": "ä"}, "application/json"),
        (casstore.Part(b"<svg/>", "image/svg+xml"), "image/svg+xml"),
        (casstore.Part(b"a=1", "application/x-www-form-urlencoded"), "application/x-www-form-urlencoded"),
        (LARGE, "application/octet-stream"),
    ],
    ids=["empty", "bytes", "text", "json", "part", "form-like", "large"],
)
def test_what_was_put_is_got(served, remote, local, data, media_type):
    stored = remote.put("x", data)
    beside = served.call(local.put("y", data))
    assert stored.digest == beside.digest  # the same bytes and the same media type, whichever way they came
    assert stored.components[0].media_type == media_type
    artifact = remote.get("x")
    assert artifact.version == remote.resolve("x@1")
    assert artifact.bytes() == served.call(served.call(local.get("x")).bytes())


def test_sources_of_bytes(remote, tmp_path):
    path = tmp_path / "model.bpmn"
    path.write_bytes(LARGE)
    assert remote.put("path", path).components[0].digest == casstore.Digest.of(LARGE)
    with path.open("rb") as file:
        assert remote.put("file", file).components[0].digest == casstore.Digest.of(LARGE)
    assert remote.put("memory", io.BytesIO(b"m")).components[0].digest == casstore.Digest.of(b"m")


def test_a_patch_arrives_as_it_is(remote):
    value = {"i": 2**70, "f": 1.0, "z": -0.0, "t": True, "n": None, "s": "\u2028é\x00", "small": 5e-324}
    remote.put("x", {"i": 2**70 - 1, "f": 1, "z": 0.0, "t": 1, "gone": 1})
    patch = [{"op": "add", "path": f"/{key}", "value": each} for key, each in value.items()]
    stored = remote.apply("x@1", [*patch, {"op": "remove", "path": "/gone"}], title="T")
    assert (stored.ref, stored.title) == ("x@2", "T")
    assert repr(sorted(remote.get("x").json().items())) == repr(sorted(value.items()))
    with pytest.raises(Invalid) as caught:
        remote.apply("x", [{"op": "remove", "path": "/gone"}])
    assert (caught.value.code, caught.value.fields["operation"]) == (Code.BAD_PATCH, 0)


def test_several_components(served, remote, local):
    parts = casstore.Components(main=b"1", big=LARGE, note=casstore.Part("ä", "text/markdown"))
    stored = remote.put("x", parts, type="plan", title="T", labels={"k": "v"}, metadata={"n": 1})
    beside = served.call(local.put("y", parts, type="plan", title="T", labels={"k": "v"}, metadata={"n": 1}))
    assert stored.digest == beside.digest
    artifact = remote.get("x")
    assert (artifact["big"].bytes(), artifact["note"].text(), remote.get("x#main").bytes()) == (LARGE, "ä", b"1")
    with pytest.raises(NotFound) as caught:
        artifact["none"]
    assert caught.value.code is Code.COMPONENT_NOT_FOUND
    with pytest.raises(Invalid) as caught:
        artifact.bytes()
    assert caught.value.code is Code.BAD_COMPONENTS


def test_options_too_long_for_a_query(served, remote, local):
    options = {"metadata": {"text": "ä" * 5_000}, "title": "T" * 400}
    remote.put("x", b"1", **options)
    served.call(local.put("y", b"1", **options))
    far, near = remote.resolve("x"), remote.resolve("y")
    assert (far.metadata, far.title, far.digest) == (near.metadata, near.title, near.digest)


@given(st.binary(max_size=5_000), st.integers(0, 5_001), st.none() | st.integers(0, 5_001))
@settings(max_examples=12)
def test_parts_of_bytes(served, run, data, start, end):
    async def main():
        async with casstore.connect_async(served.url, token="parts") as tenant:
            stored = await tenant.put("x", data, on_same="new_version")
            async with await (await tenant.get(stored.ref)).open(start=start, end=end) as reader:
                found = b""
                while piece := await reader.read(700):
                    assert len(piece) <= 700
                    found += piece
            assert found == data[start:end]

    run(main())


def test_a_file_of_the_bytes(remote):
    remote.put("x", LARGE)
    with remote.get("x").open() as file:
        assert file.read(10) == LARGE[:10]
        assert file.read() == LARGE[10:]


def test_progress_is_told_of_large_components(served, tenant):
    told = []
    with casstore.connect(served.url, token=tenant, progress=told.append) as remote:
        remote.put("small", b"1")
        remote.get("small").bytes()
        assert told == []
        remote.put("x", casstore.Components(main=LARGE))
        remote.get("x").bytes()
    for direction in ("up", "down"):
        steps = [each for each in told if each.direction == direction]
        done = [each.done_bytes for each in steps]
        assert (done, done[-1]) == (sorted(set(done)), len(LARGE))
        assert {(each.size_bytes, each.about.partition("#")[2]) for each in steps} == {(len(LARGE), "main")}
        assert len(steps) >= len(LARGE) // limits.CHUNK_BYTES


def test_a_source_that_changes_on_its_way_stores_nothing(served, tenant, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(LARGE)

    def change(transfer):
        if transfer.done_bytes == limits.CHUNK_BYTES:
            path.write_bytes(LARGE[::-1])

    with casstore.connect(served.url, token=tenant, progress=change) as remote:
        with pytest.raises(Invalid) as caught:
            remote.put("x", path)
        assert caught.value.code is Code.SOURCE_CHANGED
        assert not remote.list().items


def test_transactions(served, remote, local):
    remote.put("old", b"0")
    with remote.transaction() as tx:
        first = tx.put("a", {"k": 1}, title="T", labels={"l": "v"}, metadata={"m": 1})
        second = tx.put("b", casstore.Components(main=LARGE, note="n"), sources=[(first), "old@1"])
        tx.alias("b", "prod", expect=0)
        tx.tag("a@1", "release")
        tx.transition("a", "accepted", by="me", reason="why")
    assert [each.ref for each in (first.stored, second.stored)] == ["a@1", "b@1"]
    assert not first.stored.repeated
    assert remote.get("b@prod#main").bytes() == LARGE
    assert [link.ref for link in remote.lineage("b").versions[0].sources] == ["a@1", "old@1"]
    assert remote.resolve("a@release").state == "accepted"
    assert served.call(local.resolve("a")) == remote.resolve("a")


def test_a_transaction_is_all_or_nothing(remote):
    remote.put("a", b"0")
    with pytest.raises(Conflict) as caught, remote.transaction() as tx:  # noqa: PT012 - the end of the block raises
        tx.put("b", b"1")
        tx.put("a", b"1", expect=0)
    assert caught.value.code is Code.TRANSACTION_REFUSED
    assert [each["error"] for each in caught.value.fields["refused"]] == ["head_moved"]
    with pytest.raises(RuntimeError), remote.transaction() as tx:  # noqa: PT012 - as above
        tx.put("c", b"1")
        raise RuntimeError
    assert [each.ref for each in remote.list()] == ["a@1"]


def test_a_key_makes_repetitions_one(remote):
    first = remote.put("a", b"1", idempotency_key="k")
    again = remote.put("a", b"1", idempotency_key="k")
    assert (first.id, first.repeated, again.repeated) == (again.id, False, True)
    for _ in range(2):
        with remote.transaction(idempotency_key="t") as tx:
            pending = tx.put("b", b"1", on_same="new_version")
    assert (pending.stored.ref, pending.stored.repeated) == ("b@1", True)
    with pytest.raises(Conflict) as caught:
        remote.put("a", b"2", idempotency_key="k")
    assert caught.value.code is Code.IDEMPOTENCY_KEY_REUSED


@pytest.mark.parametrize("verb", ["delete", "undelete", "purge"])
@pytest.mark.parametrize("ref", ["a", "a@latest", "a@prod"])
def test_a_name_never_means_the_whole_artifact_where_one_version_is_meant(remote, verb, ref):
    """The route takes a name alone for all of an artifact."""
    remote.put("a", b"1")
    with pytest.raises(Invalid) as caught:
        getattr(remote, verb)(ref, by="me")
    assert caught.value.code is Code.BAD_REFERENCE
    assert remote.resolve("a@1").number == 1


@pytest.mark.parametrize("name", ["../session", "a/../b", "a//b", "/a", "a?x=1", "a%2e", "a b", "a@1", "\ud800", ""])
def test_names_lead_nowhere_else(remote, name):
    with pytest.raises(Invalid):
        remote.put(name, b"1")
    with pytest.raises(Invalid):
        remote.history(name)
    with pytest.raises(Invalid):
        remote.alias("a", name)


def test_references_name_their_tenant(remote, tenant):
    remote.put("a", b"1")
    assert remote.get(f"cas://{tenant}/a@1").bytes() == b"1"
    with pytest.raises(NotFound):
        remote.get("cas://another/a@1")


def test_who_may_not(served, tenant):
    with pytest.raises(Denied) as caught:
        casstore.connect(served.url)
    assert caught.value.code is Code.NOT_AUTHENTICATED
    with casstore.connect(served.url, token=f"{tenant}:read") as reader, pytest.raises(Denied) as caught:
        reader.put("a", b"1")
    assert caught.value.code is Code.NOT_PERMITTED


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("store.example.com", {}),
        ("ftp://store.example.com", {}),
        ("https://user:word@store.example.com", {}),
        ("https://store.example.com?x=1", {}),
        ("http://store.example.com", {"token": "secret"}),
        ("https://store.example.com", {"token": "two\nlines"}),
        ("https://store.example.com", {"time_limit": timedelta()}),
        (None, {}),
    ],
)
def test_what_cannot_be_connected_to(url, options):
    with pytest.raises(Invalid) as caught:
        casstore.connect(url, **options)
    assert caught.value.code in (Code.BAD_CONFIG, Code.BAD_ARGUMENT)
    assert "secret" not in str(caught.value) + caught.value.hint


def test_another_server(served):
    with pytest.raises(Invalid, match="no casstore") as caught:
        casstore.connect(f"{served.url}/elsewhere", token="t")
    assert caught.value.code is Code.BAD_CONFIG


def test_server_and_token_of_the_environment(served, tenant, monkeypatch):
    monkeypatch.setenv("CASSTORE_SERVER", served.url)
    monkeypatch.setenv("CASSTORE_TOKEN", tenant)
    with casstore.connect() as remote:
        assert remote.name == tenant
