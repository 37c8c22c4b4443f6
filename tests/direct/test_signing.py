"""Who signs: the key of a file, or Google for the account that the process runs as, as on Cloud Run."""

from __future__ import annotations

import asyncio

import google.auth.compute_engine._metadata as machine
import google.oauth2.credentials as people
import pytest
import requests

from casstore import Denied, Digest, Invalid, Unavailable, Uploaded, limits
from casstore.blobs import gcs_signing
from casstore.blobs.gcs import GcsBlobs
from casstore.errors import Code
from casstore.testing.gcs import status
from tests.blobs.conftest import HURRIED
from tests.direct.conftest import upload
from tests.direct.google import ACCOUNT, DENIED

DATA = b"straight to the bucket"
HERE = "gs://blobs/here"


@pytest.fixture
def credentials(bucket, google, monkeypatch, tmp_path):
    """`credentials(file)` are what Google's libraries find on this machine: those of the file, or of the machine itself."""
    # With the variable for emulators they would look for none.
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("API_ENDPOINT_OVERRIDE", bucket.url)
    monkeypatch.setattr(
        gcs_signing, "_URL", google.url + gcs_signing._URL.removeprefix("https://iamcredentials.{domain}")
    )
    monkeypatch.setattr(machine, "_GCE_METADATA_HOST", google.host)
    monkeypatch.setenv("GCE_METADATA_IP", google.host)
    monkeypatch.setattr(people, "_GOOGLE_OAUTH2_TOKEN_ENDPOINT", f"{google.url}/token")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))  # nobody has logged in

    def found(file: str | None = None) -> None:
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        if file:
            (tmp_path / "credentials.json").write_text(file)
            monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "credentials.json"))

    google.troubles.clear()
    google.signed = 0
    found()
    return found


async def goes_straight(tenant) -> None:
    """Bytes go to the bucket and come from it by signed requests, and the bucket verifies the signatures."""
    offer = await tenant.offer_upload(len(DATA))
    assert (await asyncio.to_thread(upload, offer, DATA + b"!"))[0] == 400
    assert (await asyncio.to_thread(upload, offer, DATA))[0] == 200
    await tenant.put("x", Uploaded(offer.id, Digest.of(DATA)))
    link = await tenant.direct_link("x")
    assert (await asyncio.to_thread(requests.get, link.url, timeout=20)).content == DATA
    forged = link.url[:-4] + ("beef" if link.url[-4:] != "beef" else "f00d")
    assert (await asyncio.to_thread(requests.get, forged, timeout=20)).status_code == 403


def signing(blobs=HERE, **options):
    """What `doctor` says of signing."""

    async def asked():
        store = await GcsBlobs.connect(blobs, **options)
        try:
            return next(each for each in await store.examine() if each.setting == "signing")
        finally:
            await store.aclose()

    return asyncio.run(asked())


def refused(blobs=HERE):
    """Why nothing can be signed."""

    async def asked():
        store = await GcsBlobs.connect(blobs, HURRIED)
        try:
            await store.link(Digest.of(DATA), "text/plain", "attachment", limits.DIRECT_LINK)
        finally:
            await store.aclose()

    with pytest.raises((Invalid, Denied, Unavailable)) as caught:
        asyncio.run(asked())
    return caught.value


def test_a_machine_of_google_has_its_account_sign(run, opened, google, credentials):
    async def main():
        async with opened(HERE) as store:
            await goes_straight(store.tenant())

    run(main())
    assert google.signed == 2
    found = signing()
    assert (found.ok, found.detail) == (True, f"requests are signed by {ACCOUNT}")


def test_a_person_names_the_account_that_signs(run, opened, google, credentials):
    credentials(google.login_file())

    async def main():
        async with opened(f"{HERE}?signer={ACCOUNT}") as store:
            await goes_straight(store.tenant())

    run(main())
    assert google.signed == 2


def test_a_federated_machine_has_the_account_sign_as_which_it_is_trusted(run, opened, google, credentials, tmp_path):
    credentials(google.federated_file(tmp_path / "told"))

    async def main():
        async with opened(HERE) as store:
            await goes_straight(store.tenant())

    run(main())
    assert google.signed == 2


def test_the_key_of_a_file_asks_nobody(run, opened, google, credentials, key_file):
    async def main():
        async with opened() as store:
            await goes_straight(store.tenant())

    run(main())
    credentials(google.key_file())
    assert signing().detail == f"requests are signed by {ACCOUNT}"
    assert google.signed == 0
    assert signing(f"{HERE}?credentials={key_file}&signer={ACCOUNT}").ok
    assert google.signed == 1  # unless another is named, for whom it may have it done


def test_nobody_to_sign_for_is_told(google, credentials):
    credentials(google.login_file())
    error = refused()
    assert error.code is Code.NOT_DIRECT
    assert "?signer=ACCOUNT" in error.hint
    found = signing()
    assert (found.ok, found.detail, found.hint) == (True, error.message, "")  # a store without it is as good
    assert google.signed == 0


def test_a_refusal_is_google_s_words_and_the_role_that_is_missing(google, credentials):
    google.troubles += [DENIED]
    error = refused()
    assert error.code is Code.NOT_DIRECT  # a client sends the bytes through the server then
    assert DENIED[1] in error.message
    assert ACCOUNT in error.message
    assert f"roles/iam.serviceAccountTokenCreator) on {ACCOUNT}" in error.hint
    google.troubles += [DENIED]
    assert signing().ok
    google.troubles += [DENIED]
    found = signing(f"{HERE}?signer={ACCOUNT}")
    assert (found.ok, found.hint) == (False, error.hint)  # somebody wanted it


def test_an_account_that_is_not_there_is_told(google, credentials):
    error = refused(f"{HERE}?signer=nobody@p.iam.gserviceaccount.com")
    assert (error.code, "nobody@p.iam.gserviceaccount.com" in error.message) == (Code.NOT_DIRECT, True)


def test_what_passes_is_asked_again(run, google, credentials):
    google.troubles += [(503, "later"), (429, "slower"), (500, "oops")]
    assert signing(patience=HURRIED).ok
    assert google.signed == 4


def test_what_does_not_pass_is_an_outage(google, credentials):
    google.troubles += 1000 * [(503, "The service is currently unavailable.")]
    error = refused()
    assert (type(error), error.code) == (Unavailable, Code.BLOBS_UNAVAILABLE)
    google.troubles.clear()


def test_a_role_that_is_given_meanwhile_needs_no_restart(run, opened, google, credentials):
    google.troubles += [DENIED]

    async def main():
        async with opened(HERE) as store:
            with pytest.raises(Invalid) as caught:
                await store.tenant().offer_upload(1)
            assert caught.value.code is Code.NOT_DIRECT
            await store.tenant().offer_upload(1)

    run(main())


def test_doctor_says_who_signs(run, opened, google, credentials):
    async def main():
        async with opened(HERE) as store:
            return await store.doctor()

    (found,) = [each for each in run(main()) if each.check == "bucket signing"]
    assert (found.ok, found.detail) == (True, f"requests are signed by {ACCOUNT}")


def test_without_the_settings_of_the_bucket_nothing_is_said(run, bucket, credentials):
    bucket.faults.add(status(403), operation="bucket_stat", times=None)
    with pytest.raises(Denied):
        signing()
