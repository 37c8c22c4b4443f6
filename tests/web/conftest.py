"""Pages of a real server, in a real browser.

`site` is a server with pages on a store of its own; `tenant` is a new tenant of it, filled with `site.put(tenant, …)`.
`visit(tenant)` answers Playwright's page, signed in as the tenant: whatever the browser complains about fails the test,
violations of the content security policy among it. CASSTORE_TEST_SCREENSHOTS: a folder
where each test leaves a picture of its page.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from casstore.errors import Code, Denied
from casstore.http.access import COOKIE, SCOPES, Access, Principal
from casstore.web import routers
from tests.http.conftest import Served, serve
from tests.support.browser import browser

__all__ = ["browser", "serve"]


class Tokens:
    """Tokens of tests: `tenant` or `tenant:scope`; others are refused."""

    async def principal(self, token):
        tenant, _, scope = token.partition(":")
        if not tenant.startswith("t-"):
            raise Denied(Code.NOT_AUTHENTICATED, "the token is not good", hint="Ask for another.")
        return Principal(tenant, f"tester of {tenant}", frozenset({scope}) if scope else SCOPES)


@dataclass(frozen=True)
class Site:
    """A server with pages."""

    served: Served

    @property
    def url(self):
        return self.served.url

    def call(self, work):
        return self.served.call(work)

    def put(self, tenant, name, data, **options):
        return self.call(self.served.store.tenant(tenant).put(name, data, **options))

    def door(self, tenant):
        return self.served.store.tenant(tenant)

    def client(self, token=None):
        cookies = {COOKIE: token} if token else {}
        return httpx.Client(base_url=self.url, cookies=cookies, timeout=30)


@pytest.fixture(scope="session")
def site(serve):
    with serve(Access([Tokens()]), routers=routers()) as served:
        yield Site(served)


@pytest.fixture
def tenant():
    return f"t-{uuid4().hex[:12]}"


@pytest.fixture
def client(site, tenant):
    with site.client(tenant) as found:
        yield found


@pytest.fixture
def visit(site, browser, request):
    """Pages that must not complain, ask anybody else for anything, or say anything in a dialogue."""
    faults, opened = [], []

    def visiting(token=None, *, width=1200, scripts=True, allowed=()):
        context = browser.new_context(
            base_url=site.url, viewport={"width": width, "height": 900}, java_script_enabled=scripts
        )
        if token:
            context.add_cookies([{"name": COOKIE, "value": token, "url": site.url, "httpOnly": True}])
        page = context.new_page()
        page.on(
            "console", lambda message: note(message.text, allowed) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: (faults.append(f"dialogue: {dialog.message}"), dialog.dismiss()))
        context.on("request", lambda asked: foreign(asked.url))
        opened.append(page)
        return page

    def note(text, allowed):
        if not any(re.search(pattern, text) for pattern in allowed):
            faults.append(text)

    def foreign(url):
        if not url.startswith((site.url, "data:", "blob:")):
            faults.append(f"asked for {url}")

    yield visiting
    for number, page in enumerate(opened):
        if folder := os.environ.get("CASSTORE_TEST_SCREENSHOTS"):
            page.screenshot(path=Path(folder) / f"{request.node.name}-{number}.png", full_page=True)
        page.context.close()
    assert faults == []


class Parsed(HTMLParser):
    """What a browser would make of a text: its elements, in order, with their attributes."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.text = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)

    def named(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]

    @property
    def addresses(self):
        return [
            value
            for _, attributes in self.elements
            for name, value in attributes.items()
            if name in ("href", "src", "action")
        ]


@pytest.fixture(scope="session")
def parsed():
    return Parsed


@pytest.fixture
def mounted(site):
    """`with mounted() as get:` asks an application that has ours at /store."""

    @contextmanager
    def mounting():
        from fastapi import FastAPI

        from casstore.http import app

        host = FastAPI()
        host.mount("/store", app(site.served.store, access=Access([Tokens()]), routers=routers()))

        def get(path, token):
            async def asking():
                transport = httpx.ASGITransport(app=host)
                cookies = {COOKIE: token}
                async with httpx.AsyncClient(transport=transport, base_url="http://host", cookies=cookies) as client:
                    return await client.get(path)

            return site.call(asking())

        yield get

    return mounting
