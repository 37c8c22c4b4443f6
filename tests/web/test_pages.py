"""Pages as they are sent: their headers, their shape, where they lead, who may see them, and what other sites can do with them."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from casstore import Components, Part, limits
from casstore.formats.bpmn.sketch import sketch
from casstore.http.access import COOKIE
from casstore.web import assets

BPMN = "application/bpmn+xml"
PATHS = (
    "/",
    "/?q=plan&kind=document&state=draft&label=team%3Dops",
    "/?state=nonsense",
    "/artifact/plan/x",
    "/version/plan/x@2",
    "/version/parts/all@1",
    "/compare?a=plan/x@1&b=plan/x@2",
    "/trash",
    "/activity",
    "/usage",
    "/upload",
    "/delete/plan/x@2",
    "/delete/plan/x",
    "/sign-in",
    "/artifact/not/there",
    "/version/plan/gone@1",
    "/version/:::",
)


def array():
    import io

    out = io.BytesIO()
    np.save(out, np.zeros((12, 384), "float32"))
    return out.getvalue()


@pytest.fixture
def filled(site, tenant):
    """An artifact of each sort that pages treat differently."""
    put = site.put
    put(tenant, "sop/login", "# Log in\n", media_type="text/markdown")
    put(tenant, "plan/x", {"steps": [1]}, title="First", labels={"team": "ops"}, sources=["sop/login@1"])
    put(tenant, "plan/x", {"steps": [1, 2]}, title="Second", labels={"team": "ops"})
    parts = Components(
        table=Part("a,b\n1,2\n", "text/csv"),
        picture=Part("<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        page=Part("<h1>x</h1>", "text/html"),
        rows=Part(array(), "application/x-npy"),
        broken_json=Part("{", "application/json"),
        surrogate=Part(b'"\\ud800"', "application/json"),
        unknown=Part(b"\x00\xff", "application/zip"),
        process=Part("<definitions/>", BPMN),
        notes=Part("a\n", "text/markdown"),
    )
    put(tenant, "parts/all", parts, metadata={"</pre><script>": 1})
    put(tenant, "plan/gone", "x")
    site.call(site.door(tenant).delete("plan/gone@1", by="tester"))
    site.call(site.door(tenant).alias("plan/x@1", "prod"))
    return tenant


@pytest.mark.parametrize("path", PATHS)
def test_no_page_lets_anything_but_our_own_script_run(client, filled, parsed, path):
    answer = client.get(path)
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    page = parsed(answer.text)
    assert not page.named("style")
    assert all(attributes.get("src") for attributes in page.named("script"))
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_well_formed(client, filled, parsed, path):
    """One title and heading, landmarks, fields with labels, pictures with a text, ids once, headings in steps."""
    answer = client.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = parsed(answer.text)
    count = Counter(tag for tag, _ in page.elements)
    assert count["h1"] == count["main"] == count["title"] == count["header"] - parts(page) == 1
    assert page.named("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all("alt" in attributes for attributes in page.named("img"))
    assert count["input"] + count["select"] == count["label"]
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    described = {a for _, attributes in page.elements for a in (attributes.get("aria-labelledby") or "").split()}
    assert described <= set(ids)
    assert all(attributes.get("title") for attributes in page.named("iframe"))


def parts(page):
    """How many components have a header of their own."""
    return sum(attributes.get("class") == "part" for attributes in page.named("section"))


def leads_to(client, parsed, filled):
    """Every page that can be reached, and what it answered."""
    todo, seen = ["/"], {}
    while todo:
        path = todo.pop()
        if path in seen or path == "/compare" or len(seen) > 150:  # the form there needs what is chosen in it
            continue
        answer = client.get(path)
        seen[path] = answer
        if answer.headers["content-type"].startswith("text/html") and not path.startswith("/v1/"):
            todo += [each for each in parsed(answer.text).addresses if each.startswith("/")]
    return seen


def test_every_link_leads_somewhere(client, filled, parsed):
    for path, answer in leads_to(client, parsed, filled).items():
        expected = (
            (405, 303)
            if path.startswith(("/undelete", "/logout", "/state/", "/alias/", "/unalias/", "/undo/"))
            else (200,)
        )
        if path == "/version/plan/gone@1":  # what was done to it is listed; it says that it is in the trash
            expected = (410,)
        assert answer.status_code in expected, (path, answer.status_code)


def test_under_a_path_of_another_application_every_address_has_it(mounted, filled, parsed):
    with mounted() as get:
        for path in (*PATHS[:2], *PATHS[3:13], "/trash?deleted=plan/gone@1"):
            answer = get(f"/store{path}", filled)
            assert answer.status_code == 200
            assert all(each.startswith(("/store/", "#", "https://")) for each in parsed(answer.text).addresses)
        target = next(each for each in parsed(get("/store/", filled).text).addresses if each.endswith(".css"))
        assert get(target, filled).status_code == 200


def test_what_cannot_be_shown_says_so(client, filled):
    text = client.get("/version/parts/all@1").text
    for said in (
        "There is no view of this format",
        "It is shown as text: the content is not JSON",
        "&lt;h1&gt;x&lt;/h1&gt;",
        "384",
        "floating point, 32 bits",
    ):
        assert said in text


def test_damaged_bytes_are_told_and_the_page_is_there(site, tenant, client, places):
    stored = site.put(tenant, "plan/x", "some text that will be damaged")
    (component,) = stored.components
    places.damage(site.served.store.settings.blobs, component.digest, b"some text that is damaged now!")
    answer = client.get("/version/plan/x@1")
    assert answer.status_code == 200
    assert "It cannot be shown" in answer.text


def test_long_content_is_not_shown(client, site, tenant, monkeypatch):
    site.put(
        tenant, "plan/long", Components(a="x" * 300_000, b="y" * 300_000, c=Part("# z\n" * 40_000, "text/markdown"))
    )
    text = client.get("/version/plan/long@1").text
    assert "xxx" in text
    assert "yyy" not in text
    assert "Up to 524 kB are shown on a page" in text
    assert "It is shown as text, because it is long." in text
    assert "<h3>z</h3>" not in text


# -- who may ---------------------------------------------------------------------------------------------------------------


def test_without_a_token_there_is_the_form_for_one(site, parsed):
    with site.client() as nobody:
        for path in PATHS:
            if path != "/sign-in":
                answer = nobody.get(path)
                assert (answer.status_code, answer.headers.get("location")) == (303, "/sign-in"), path
        answer = nobody.post("/sign-in", data={"token": "wrong"})
        assert answer.status_code == 401
        assert "The token is not good" in answer.text
        assert "set-cookie" not in answer.headers


def test_a_token_becomes_a_cookie_and_is_forgotten(site, tenant):
    with site.client() as somebody:
        answer = somebody.post("/sign-in", data={"token": f" {tenant} "})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert somebody.cookies[COOKIE] == tenant
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert tenant in somebody.get("/").text
        somebody.post("/logout")
        assert somebody.get("/").status_code == 303


@pytest.mark.parametrize(
    ("scope", "path", "form"),
    [
        ("read", "/upload", {}),
        ("read", "/delete/plan/x@2", {}),
        ("add", "/delete/plan/x", {}),
        ("add", "/undelete/plan/x@1", {}),
        ("add", "/state/plan/x@2", {"state": "accepted"}),
        ("add", "/alias/plan/x@2", {"alias": "prod"}),
        ("add", "/unalias/plan/x@2", {"alias": "prod"}),
        ("add", "/undo/1", {}),
    ],
)
def test_a_token_that_may_not_is_told_so(site, filled, scope, path, form):
    with site.client(f"{filled}:{scope}") as limited:
        answer = limited.post(path, data=form)
        assert answer.status_code == 403
        assert "Your token does not allow that" in answer.text
        assert site.call(site.door(filled).resolve("plan/x")).number == 2


def test_what_is_another_tenants_does_not_exist(site, filled):
    with site.client("t-other") as other:
        for path in ("/artifact/plan/x", "/version/plan/x@2", "/compare?a=plan/x@1&b=plan/x@2", "/delete/plan/x"):
            assert other.get(path).status_code == 404
        for path in ("/", "/trash", "/usage", "/activity"):
            assert "plan" not in other.get(path).text


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}]
)
def test_a_page_of_another_site_changes_nothing(site, filled, headers):
    with site.client(filled) as victim:
        (operation, *_) = site.call(site.door(filled).operations("plan/gone@1", op="delete"))
        changing = (
            "/delete/plan/x@2",
            "/delete/plan/x",
            "/undelete/plan/gone@1",
            "/state/plan/x@2",
            "/alias/plan/x@2",
            "/unalias/plan/x@1",
        )
        for path in (*changing, f"/undo/{operation.id}", "/upload", "/sign-in"):
            form = {"token": filled, "state": "accepted", "alias": "mine"}
            assert victim.post(path, headers=headers, data=form).status_code == 403, path
    assert site.call(site.door(filled).resolve("plan/x@2")).state == "draft"
    assert [each.pointer for each in site.call(site.door(filled).pointers("plan/x"))] == ["prod"]
    assert site.call(site.door(filled).resolve("plan/x")).number == 2
    assert [each.ref for each in site.call(site.door(filled).trash())] == ["plan/gone@1"]


# -- our own files ---------------------------------------------------------------------------------------------------------


def test_our_files_are_kept_for_ever_under_their_digest(client):
    for name in ("pages.css", "pages.js", "icon.svg", "bpmn-viewer.min.js"):
        answer = client.get(assets.asset(name).path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    for path in ("/static/0/pages.css", f"/static/{assets.asset('pages.css').digest}/..%2fpages.css", "/static/0/x.py"):
        assert client.get(path).status_code == 404


def test_what_is_to_be_undone_and_cannot_be_is_told(site, tenant, client):
    put = site.put(tenant, "a", "x")
    site.put(tenant, "a", "y")
    site.call(site.door(tenant).alias("a@1", "prod"))
    site.call(site.door(tenant).alias("a@2", "prod"))
    of = {each.op: each.id for each in site.call(site.door(tenant).operations("a"))}
    answer = client.post(f"/undo/{of['alias']}")
    assert answer.status_code == 409
    assert client.post(f"/undo/{of['put']}").status_code == 400
    assert client.post("/undo/999999999999").status_code == 404
    assert site.call(site.door(tenant).resolve("a@prod")).number == 2
    assert put.number == 1


def test_an_alias_that_has_moved_meanwhile_is_not_removed(site, tenant, client):
    site.put(tenant, "a", "x")
    site.put(tenant, "a", "y")
    site.call(site.door(tenant).alias("a@2", "prod"))
    assert client.post("/unalias/a@1", data={"alias": "prod"}).status_code == 412
    assert site.call(site.door(tenant).resolve("a@prod")).number == 2


def test_who_may_not_is_not_offered_to(site, filled):
    with site.client(f"{filled}:read") as reader:
        for path in ("/artifact/plan/x", "/version/plan/x@2"):
            text = reader.get(path).text
            assert not re.search("Delete…|Upload a version|Mark as obsolete", text)


def test_a_name_in_an_error_stays_as_it_is_written(client, filled):
    answer = client.get("/version/plan/gone@1")
    assert answer.status_code == 410
    assert "plan/gone@1 was deleted" in answer.text
    assert "casstore " not in answer.text


def test_a_version_is_compared_with_the_one_before_it_if_that_is_there(site, tenant, client):
    for text in ("x", "y", "z"):
        site.put(tenant, "a", text)
    assert "Compare with 1" in client.get("/version/a@2").text
    site.call(site.door(tenant).delete("a@1", by="tester"))
    assert "Compare with" not in client.get("/version/a@2").text
    assert "Compare with 2" in client.get("/version/a@3").text


def test_a_version_that_is_not_the_newest_says_so(site, tenant, client, parsed):
    for text in ("x", "y", "z"):
        site.put(tenant, "a/b", text)
    assert "is newer" not in client.get("/version/a/b@3").text
    assert "is newer" not in client.get("/version/a/b").text
    answer = client.get("/version/a/b@1")
    assert "Version 3</a> is newer" in answer.text
    addresses = parsed(answer.text).addresses
    assert {"/version/a/b@3", "/compare?a=a%2Fb%401&b=a%2Fb%403"} <= set(addresses)
    site.call(site.door(tenant).delete("a/b@3", by="tester"))
    assert "Version 2</a> is newer" in client.get("/version/a/b@1").text
    assert "is newer" not in client.get("/version/a/b@2").text


def test_of_very_many_that_were_made_from_it_some_are_shown(site, tenant, client, monkeypatch):
    """All of ten thousand were read for a page that lists fifty."""
    monkeypatch.setattr("casstore.web.artifacts._NODES", 9)
    site.put(tenant, "base", "x")
    for each in range(8):
        site.put(tenant, f"made/{each}", "x", sources=["base@1"])
    assert "and 2 more" in client.get("/version/base@1").text
    site.put(tenant, "made/8", "x", sources=["base@1"])
    text = client.get("/version/base@1").text
    assert "and more than 2 more" in text
    assert "These are 8 of more than 8." in text


def test_a_list_goes_on_where_it_ended(site, tenant, client, parsed):
    names = {site.put(tenant, f"many/n{number}", f"{number}").name for number in range(30)}
    found, path = [], "/?q=many/"
    while path:
        addresses = parsed(client.get(path).text).addresses
        found += [each.removeprefix("/artifact/") for each in addresses if each.startswith("/artifact/")]
        path = next((each for each in addresses if "cursor=" in each), None)
    assert len(found) == 30
    assert set(found) == names


def test_pages_have_no_place_in_the_document_for_programs(client):
    assert not [
        path for path in client.get("/openapi.json").json()["paths"] if path.startswith(("/version", "/static"))
    ]


def test_a_digest_finds_who_has_its_bytes(site, tenant, client):
    digest = site.put(tenant, "one/a", "same").components[0].digest
    site.put(tenant, "two/b", "same")
    answer = client.get("/", params={"q": str(digest)}, follow_redirects=True)
    assert urlsplit(str(answer.url)).path == f"/bytes/{digest}"
    assert "one/a@1" in answer.text
    assert "two/b@1" in answer.text


def test_a_form_without_a_file_says_so_and_keeps_what_was_typed(client):
    answer = client.post("/upload", data={"name": "a/b", "title": 'x"y'}, files={"file": ("", b"")})
    assert answer.status_code == 400
    assert "No file was chosen" in answer.text
    assert 'value="x&#34;y"' in answer.text


def test_several_files_are_components(site, tenant, client):
    files = [("file", ("Current_State.md", b"# a")), ("file", ("roadmap.json", b"{}"))]
    answer = client.post("/upload", data={"name": "a/b", "labels": "team=ops, region=eu"}, files=files)
    assert (answer.status_code, answer.headers["location"]) == (303, "/version/a/b@1?stored=new")
    version = site.call(site.door(tenant).resolve("a/b"))
    assert [(c.role, c.media_type) for c in version.components] == [
        ("current_state", "text/markdown"),
        ("roadmap", "application/json"),
    ]
    assert version.labels == {"team": "ops", "region": "eu"}


def test_files_of_any_names_are_components(site, tenant, client):
    """The rule for roles was held against them."""
    files = [("file", (name, b"x")) for name in ("A b.txt", "a-b.md", "2026.json")]
    assert client.post("/upload", data={"name": "a/b"}, files=files).status_code == 303
    version = site.call(site.door(tenant).resolve("a/b"))
    assert [c.role for c in version.components] == ["a-b", "a-b-2", "file-2026"]


def test_a_kind_that_nobody_knows_is_taken_and_told(client, parsed):
    """A slip of the keys was taken without a word."""
    text = client.get("/upload").text
    known = [each["value"] for each in parsed(text).named("option")]
    assert "roadmap" in known
    assert all(kind in text.split('id="kind-help"')[1] for kind in known)

    def upload(name, kind, content):
        files = [("file", ("a.txt", content))]
        return client.post("/upload", data={"name": name, "kind": kind}, files=files, follow_redirects=True).text

    told = "No kind is called raodmap, so its content was not checked."
    assert told in upload("a/one", "raodmap", b"x")
    assert told not in upload("a/one", "raodmap", b"y")  # the first version decided
    for name, kind in (("a/two", ""), ("a/three", "sop")):
        answer = upload(name, kind, b"# x")
        assert "It is stored." in answer
        assert "No kind is called" not in answer


# -- where there is nothing ------------------------------------------------------------------------------------------------


def test_where_there_is_no_page_people_are_told_by_a_page_and_programs_by_a_problem(client, filled, parsed):
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path in ("/no/such/page", "/artifacts", "/v1/nothing"):
        answer = client.get(path, headers=browser)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8"), path
        assert f"There is no page {path}." in answer.text
        assert "/" in parsed(answer.text).addresses
        told = client.get(path)
        assert (told.status_code, told.json()["code"]) == (404, "route_not_found"), path
    assert client.post("/no/such/page", headers=browser).json()["code"] == "route_not_found"
    assert client.get("/<script>", headers=browser).text.count("<script>") == 0
    assert client.get("/v1/artifacts/plan/x", headers=browser).json()["number"] == 2  # what there is answers as ever


# -- taking back all of it -------------------------------------------------------------------------------------------------


def test_what_one_call_deleted_is_taken_back_at_once(site, client, tenant, parsed):
    door = site.door(tenant)
    for content in ("1", "2", "3"):
        site.put(tenant, "plan/x", content)
    site.put(tenant, "plan/y", "1")
    site.call(door.delete("plan/y@1", by="tester"))
    site.call(door.delete_artifact("plan/x", by="tester"))
    forms = [each["action"] for each in parsed(client.get("/trash").text).named("form")]
    assert [each for each in forms if each.startswith("/undelete")] == [
        *("/undelete/plan/x", "/undelete/plan/x@3", "/undelete/plan/x@2", "/undelete/plan/x@1", "/undelete/plan/y@1")
    ]
    undo = [each["action"] for each in parsed(client.get("/activity").text).named("form") if "/undo/" in each["action"]]
    assert len(undo) == 2  # one for each call
    assert "Undo all 3<" in client.get("/activity").text
    assert client.post(undo[0]).status_code == 303
    assert [version.number for version in site.call(door.history("plan/x"))] == [3, 2, 1]
    with site.client(f"{tenant}:read") as reader:
        for path in ("/trash", "/activity"):
            actions = [each["action"] for each in parsed(reader.get(path).text).named("form")]
            assert not any(each.startswith(("/undo", "/undelete")) for each in actions)


def tiles(client, parsed):
    """The pictures of the library."""
    return [each["src"] for each in parsed(client.get("/").text).named("img") if each.get("loading") == "lazy"]


def test_a_process_is_sketched_on_its_tile(site, client, tenant, parsed):
    drawn = (Path(__file__).parents[2] / "examples/artifacts/workflow_bpmn/loan-approval/v0001.bpmn").read_bytes()
    site.put(tenant, "workflow/loan", Components(process=Part(drawn, BPMN)))
    site.put(tenant, "workflow/words", Components(notes="x", process=Part("<definitions/>", f"{BPMN}; charset=utf-8")))
    site.put(tenant, "workflow/notes", "no process", media_type="text/plain")
    sources = tiles(client, parsed)
    assert [re.sub("b3:[0-9a-f]+", "…", source) for source in sources] == [
        "/sketch/workflow/words@…/process",
        "/sketch/workflow/loan@…/process",
    ]
    words, loan = (client.get(source) for source in sources)
    for answer in (words, loan):
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["cache-control"].startswith("private")
    assert loan.content == sketch(drawn)
    assert ">Do</text>" in words.text  # the document draws nothing: as a tile without a picture
    assert ">Do</text>" in client.get("/sketch/workflow/notes@1/main").text
    assert client.get("/sketch/workflow/loan@1/none").status_code == 404
    with site.client(f"t-other-{tenant}") as other:
        assert other.get(sources[1]).status_code == 404


def test_a_process_too_large_for_a_tile_is_not_read(site, client, tenant, monkeypatch, parsed):
    site.put(tenant, "workflow/large", Components(process=Part(b"<definitions/>" + b" " * 200, BPMN)))
    monkeypatch.setattr(limits, "PAGE_TILE_BYTES", 100)
    assert not tiles(client, parsed)
    assert ">Do</text>" in client.get("/sketch/workflow/large@1/process").text
