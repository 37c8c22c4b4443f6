"""Bytes that somebody else uploads: whatever arrives, a version has the bytes that its digest says, or there is none."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, CasstoreError, Components, Digest, Uploaded, limits
from casstore.blobs.gcs_client import Bucket
from casstore.testing.audit import audit
from tests.direct.conftest import upload

DATA, OTHER = b"the bytes that were promised", b"other bytes, just as many as"
assert len(DATA) == len(OTHER)


async def offered(tenant, data=DATA, sent=None):
    """An offer by which bytes were uploaded."""
    offer = await tenant.offer_upload(len(data))
    assert (await asyncio.to_thread(upload, offer, data if sent is None else sent))[0] == 200
    return offer


async def read(tenant, ref):
    return await (await tenant.get(ref)).bytes()


def code_of(call):
    async def called():
        try:
            return await call
        except CasstoreError as error:
            return error.code

    return called()


def blobs_of(bucket):
    return {name.removeprefix("here/artifacts/blobs/") for name in bucket.objects("blobs") if "/blobs/" in name}


def test_what_was_uploaded_is_copied_by_the_bucket_and_read_by_everyone(run, bucket, opened):
    async def main():
        async with opened() as store:
            tenant = store.tenant()
            offer = await offered(tenant)
            stored = await tenant.put("x", Uploaded(offer.id, Digest.of(DATA)), media_type="text/plain")
            assert (await read(tenant, "x@1"), stored.components[0].media_type) == (DATA, "text/plain")
            assert stored.components[0].digest == Digest.of(DATA)
            assert await audit(store) == []

    run(main())
    assert blobs_of(bucket) == {Digest.of(DATA).hex()}
    written = [
        (seen.operation, "/incoming/" in seen.name) for seen in bucket.requests if seen.method in ("PUT", "POST")
    ]
    assert [each for each in written if each[0] != "list"][-2:] == [("upload", True), ("rewrite", True)]


contents = st.sampled_from([b"", b"a", DATA, b"\0" * 70_000])
arrivals = st.sampled_from(
    [lambda data: data, lambda data: data, lambda data: data[:-1] + b"?" if data else b"", lambda data: data + b"!"]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(parts=st.lists(st.tuples(contents, arrivals, st.booleans(), st.booleans()), min_size=1, max_size=3))
@example(parts=[(DATA, lambda _: OTHER, True, True), (DATA, lambda data: data, False, False)])
@example(parts=[(DATA, lambda _: OTHER, True, False), (b"", lambda data: data, True, True)])
def test_a_version_has_the_promised_bytes_or_is_not_there(run, bucket, opened, parts):
    """Of several components some are uploaded directly: what was promised, or something else of any length, named or not."""

    async def main():
        async with opened() as store:
            tenant, data, is_good = store.tenant(), {}, True
            expected = {}
            for place, (promised, arrive, is_direct, is_named) in enumerate(parts):
                role, sent = f"r{place}", arrive(promised)
                expected[role] = promised
                if not is_direct:
                    data[role] = promised
                    continue
                offer = await tenant.offer_upload(len(promised))
                status, _ = await asyncio.to_thread(upload, offer, sent)
                assert (status == 200) == (len(sent) == len(promised))
                data[role] = Uploaded(offer.id, Digest.of(promised) if is_named else None)
                expected[role] = promised if is_named else sent
                is_good &= status == 200 and (sent == promised or not is_named)
            got = await code_of(tenant.put("x", Components(data)))
            if not is_good:
                assert got in ("upload_altered", "upload_not_found")
                assert await code_of(tenant.resolve("x")) == "artifact_not_found"
                return
            assert {role: await read(tenant, f"x#{role}") for role in data} == expected

    run(main())


def test_other_bytes_poison_nobody(run, bucket, opened):
    """Another tenant puts the promised bytes while other ones lie there: it neither adopts them nor hears of them."""

    async def main():
        async with opened() as store:
            mallory, alice = store.tenant("mallory"), store.tenant("alice")
            offer = await offered(mallory, DATA, OTHER)
            assert await code_of(mallory.put("x", Uploaded(offer.id, Digest.of(DATA)))) == "upload_altered"
            assert await code_of(mallory.resolve("x")) == "artifact_not_found"
            assert blobs_of(bucket) == set()
            assert (await alice.put("x", DATA)).new_bytes == len(DATA)
            assert await read(alice, "x") == DATA
            await mallory.put("y", Uploaded(offer.id))  # who promises nothing gets what arrived
            assert await read(mallory, "y") == OTHER
            assert await audit(store) == []

    run(main())


def test_an_upload_is_the_tenants_that_asked_for_it(run, opened):
    async def main():
        async with opened() as store:
            offer = await offered(store.tenant("a"))
            assert await code_of(store.tenant("b").put("x", Uploaded(offer.id))) == "upload_not_found"
            assert await code_of(store.tenant("a").put("x", Uploaded(offer.id, Digest.of(OTHER)))) == "upload_altered"
            missing = await store.tenant("a").offer_upload(3)
            assert await code_of(store.tenant("a").put("x", Uploaded(missing.id))) == "upload_not_found"

    run(main())


def tampered(url):
    return re.sub(r"(X-Goog-Signature=.)(.)", lambda m: m[1] + ("0" if m[2] != "0" else "1"), url)


@pytest.mark.parametrize(
    ("how", "status", "told"),
    [
        ({"data": OTHER + b"!"}, 400, "EntityTooLarge"),
        ({"data": OTHER[1:]}, 400, "EntityTooSmall"),
        ({"forge": tampered}, 403, "SignatureDoesNotMatch"),
        (
            {"forge": lambda url: url.replace("/here/artifacts/incoming/", "/here/artifacts/blobs/")},
            403,
            "SignatureDoes",
        ),
        (
            {"forge": lambda url: url.replace("X-Goog-Expires=3600", "X-Goog-Expires=9999")},
            403,
            "SignatureDoesNotMatch",
        ),
        ({"headers": {"x-goog-if-generation-match": None}}, 400, "MalformedSecurityHeader"),
        ({"headers": {"x-goog-if-generation-match": "1"}}, 403, "SignatureDoesNotMatch"),
        ({"headers": {"x-goog-content-length-range": "0,99"}}, 403, "SignatureDoesNotMatch"),
        ({"headers": {"x-goog-meta-k": "v"}}, 400, "MalformedSecurityHeader"),
    ],
)
def test_the_bucket_refuses_what_was_not_offered(run, bucket, opened, how, status, told):
    async def main():
        async with opened() as store:
            offer = await store.tenant().offer_upload(len(DATA))
            url = how.get("forge", str)(offer.url)
            found = await asyncio.to_thread(upload, offer, how.get("data", DATA), url=url, **how.get("headers", {}))
            assert (found[0], told in found[1]) == (status, True), found
            assert await code_of(store.tenant().put("x", Uploaded(offer.id))) == "upload_not_found"

    run(main())
    assert not any("/incoming/" in name or "/blobs/" in name for name in bucket.objects("blobs"))


def test_an_offer_is_good_once_and_for_a_while(run, bucket, opened, monkeypatch):
    async def main():
        async with opened() as store:
            tenant = store.tenant()
            offer = await offered(tenant)
            again = await asyncio.to_thread(upload, offer, OTHER)
            assert (again[0], "PreconditionFailed" in again[1]) == (412, True)
            await tenant.put("x", Uploaded(offer.id, Digest.of(DATA)))
            assert await read(tenant, "x") == DATA
            monkeypatch.setattr(limits, "DIRECT_UPLOAD", timedelta(seconds=1))
            offer = await tenant.offer_upload(3)
            time.sleep(2.1)  # the bucket counts whole seconds, by its own clock
            late = await asyncio.to_thread(upload, offer, b"abc")
            assert (late[0], "ExpiredToken" in late[1]) == (400, True)

    run(main())


def test_what_is_stored_encoded_is_refused(run, opened):
    """It would be answered decoded to some, and those bytes nobody has hashed."""

    async def main():
        async with opened() as store:
            tenant = store.tenant()
            offer = await tenant.offer_upload(len(DATA))
            assert (await asyncio.to_thread(upload, offer, DATA, **{"content-encoding": "gzip"}))[0] == 200
            assert await code_of(tenant.put("x", Uploaded(offer.id))) == "upload_altered"

    run(main())


def test_a_put_of_an_upload_is_repeated_as_any_other(run, opened):
    async def main():
        async with opened() as store:
            tenant = store.tenant()
            offer = await offered(tenant)
            first = await tenant.put("x", Uploaded(offer.id), idempotency_key="k")
            second = await tenant.put("x", Uploaded(offer.id), idempotency_key="k")
            assert (second.id, second.repeated) == (first.id, True)
            async with tenant.transaction() as tx:
                await tx.put("y", Uploaded(offer.id, Digest.of(DATA)))
            assert await read(tenant, "y") == DATA

    run(main())


@pytest.mark.parametrize("replaced", [False, True])
def test_what_changes_after_it_was_read_is_not_what_is_stored(run, bucket, opened, monkeypatch, replaced):
    """It is gone, or another generation, when the bucket is to copy it: the bytes that were hashed are stored."""
    real, touched = Bucket.copy, []

    def late(self, source, key, match):
        if not touched:
            touched.append(source)
            self.delete(source.key, source.generation)
            if replaced:
                bucket.write("blobs", f"here/{source.key}", OTHER)
        return real(self, source, key, match)

    monkeypatch.setattr(Bucket, "copy", late)

    async def main():
        async with opened() as store:
            tenant = store.tenant()
            offer = await offered(tenant)
            await tenant.put("x", Uploaded(offer.id, Digest.of(DATA)))
            assert await read(tenant, "x") == DATA
            assert await audit(store) == []

    run(main())
    assert touched


def test_what_was_never_put_is_a_collectors_after_a_day(run, bucket, opened, monkeypatch):
    """As after a crash between the upload and the put; and so is what is none of ours there."""

    def arrived():
        return [name for name in bucket.objects("blobs") if "/incoming/" in name]

    async def main():
        async with opened() as store:
            tenant = store.tenant()
            kept, left = await offered(tenant), await offered(tenant, OTHER)
            await tenant.put("x", Uploaded(kept.id))
            bucket.write("blobs", "here/artifacts/incoming/stranger", b"?")
            await store.collect()
            assert len(arrived()) == 2
            await tenant.put("y", Uploaded(left.id))  # young enough, whatever was collected
            monkeypatch.setattr(limits, "DIRECT_KEPT", timedelta())
            await store.collect()
            assert arrived() == []
            assert await code_of(tenant.put("z", Uploaded(left.id))) == "upload_not_found"
            assert [await read(tenant, name) for name in ("x", "y")] == [DATA, OTHER]
            assert await audit(store) == []

    run(main())


def test_in_an_isolation_domain_the_digest_is_made_with_its_key(run, bucket, opened):
    async def main():
        async with opened(domains={"d": bytes(range(32))}) as store:
            await store.set_domain("t", "d", by="me")
            tenant = store.tenant("t")
            offer = await offered(tenant)
            stored = await tenant.put("x", Uploaded(offer.id, await tenant.digest_of(DATA)))
            assert stored.components[0].digest != Digest.of(DATA)
            assert await read(tenant, "x") == DATA

    run(main())
    assert Digest.of(DATA).hex() not in blobs_of(bucket)


def test_a_folder_and_credentials_without_a_key_say_so(run, bucket, databases, tmp_path):
    async def main():
        for blobs in (tmp_path.as_uri(), "gs://blobs/elsewhere"):
            with databases.fresh() as dsn:
                async with AsyncStore(blobs=blobs, catalog=dsn) as store:
                    tenant = store.tenant()
                    await tenant.put("x", b"1")
                    assert await code_of(tenant.offer_upload(1)) == "not_direct"
                    assert await code_of(tenant.direct_link("x")) == "not_direct"

    run(main())


@pytest.mark.parametrize(
    ("size", "code"), [(-1, "bad_argument"), ("1", "bad_argument"), (True, "bad_argument"), (2**60, "too_large")]
)
def test_an_offer_is_of_a_size_that_can_be(run, opened, size, code):
    async def main():
        async with opened() as store:
            assert await code_of(store.tenant().offer_upload(size)) == code

    run(main())
