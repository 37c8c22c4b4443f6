"""Links to bytes: what the bucket answers, to whom, and for how long; and direct transfer over HTTP."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import httpx
import requests

from casstore import CasstoreError, Digest, limits
from casstore.http import app
from casstore.http.access import Access
from tests.direct.conftest import upload
from tests.http.conftest import Words

DATA = b"<script>alert(1)</script>"


def fetch(url):
    answer = requests.get(url, timeout=20)
    return answer.status_code, answer.content, answer.headers


async def refused(call):
    try:
        await call
    except CasstoreError as error:
        return error.code
    return None


def test_a_link_leads_to_the_bytes_of_its_tenant_for_a_while(run, opened, monkeypatch):
    async def main():
        async with opened() as store:
            tenant = store.tenant("a")
            await tenant.put("page/x", DATA, media_type="text/html")
            link = await tenant.direct_link("page/x@1#main")
            status, content, headers = await asyncio.to_thread(fetch, link.url)
            assert (status, content, Digest.of(content)) == (200, DATA, link.digest)
            assert headers["content-type"] == "text/html"
            assert headers["content-disposition"] == 'attachment; filename="x-v1-main.html"'
            assert (await asyncio.to_thread(fetch, link.url.replace("text%2Fhtml", "text%2Fplain")))[0] == 403
            assert await refused(store.tenant("b").direct_link("page/x@1")) == "artifact_not_found"
            assert await refused(tenant.direct_link("page/x@1#none")) == "component_not_found"
            monkeypatch.setattr(limits, "DIRECT_LINK", timedelta(seconds=1))
            link = await tenant.direct_link("page/x")
            time.sleep(2.1)  # the bucket counts whole seconds, by its own clock
            assert (await asyncio.to_thread(fetch, link.url))[0] == 400
            await tenant.delete("page/x@1", by="me")
            assert await refused(tenant.direct_link("page/x@1")) == "version_deleted"

    run(main())


def test_over_http(run, opened):
    async def main():
        async with opened() as store:
            transport = httpx.ASGITransport(app(store, access=Access([Words()])))
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                client.headers["Authorization"] = "Bearer t"
                offer = (await client.post("/v1/uploads", json={"size_bytes": len(DATA)})).json()
                local = await store.tenant("t").offer_upload(1)
                assert offer.keys() == local.model_dump().keys()
                told = local.model_copy(update=offer)
                assert (await asyncio.to_thread(upload, told, DATA))[0] == 200
                part = {"upload": offer["id"], "digest": str(Digest.of(DATA)), "media_type": "text/plain"}
                put = await client.post("/v1/artifacts/x", json={"components": {"main": part}})
                assert (put.status_code, put.json()["components"][0]["size_bytes"]) == (201, len(DATA))
                link = (await client.get("/v1/links/x@1%23main")).json()
                assert (await asyncio.to_thread(fetch, link["url"]))[1] == DATA
                paths = (await client.get("/openapi.json")).json()["paths"]
                for route, found in ((paths["/v1/uploads"]["post"], offer), (paths["/v1/links/{ref}"]["get"], link)):
                    example = route["responses"]["200"]["content"]["application/json"]["example"]
                    assert {name: type(value) for name, value in example.items()} == {
                        n: type(v) for n, v in found.items()
                    }
                for asked, status, code in (
                    ({"upload": offer["id"], "digest": str(Digest.of(b"other"))}, 400, "upload_altered"),
                    ({"upload": str(local.id)}, 404, "upload_not_found"),
                    ({"digest": str(Digest.of(DATA)), "text": "a"}, 400, "bad_argument"),
                ):
                    answer = await client.post("/v1/artifacts/y", json={"components": {"main": asked}})
                    assert (answer.status_code, answer.json()["code"]) == (status, code)
                read_only = {"Authorization": "Bearer t:read"}
                assert (await client.post("/v1/uploads", json={"size_bytes": 1}, headers=read_only)).status_code == 403
                other = {"Authorization": "Bearer u"}
                assert (await client.get("/v1/links/x@1", headers=other)).status_code == 404

    run(main())
