"""Pages in a real browser, as people use them: by mouse, by keyboard, on a telephone, at night; and what hostile content tries."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from casstore import Components, Part
from tests.support.browser import contrast

ARTIFACTS = Path(__file__).parents[2] / "examples" / "artifacts"
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
SVG = f"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script><text>{EVIL}</text></svg>"
MARKDOWN = f"""# {EVIL}

[click](javascript:alert(1)) ![p](https://elsewhere.example/x.png) <svg onload=alert(1)>

<iframe src="javascript:alert(1)"></iframe> [fine](https://example.org)
"""

pytestmark = pytest.mark.slow


def picture():
    image = Image.new("RGB", (160, 100), "white")
    ImageDraw.Draw(image).rectangle((10, 10, 90, 60), fill="navy")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def bpmn(version):
    return (ARTIFACTS / "workflow_bpmn" / "loan-approval" / f"v000{version}.bpmn").read_bytes()


def test_upload_find_compare_delete_and_take_back(visit, tenant, site):
    """What a newcomer does, from the form for the token on, by what is written on the page."""
    page = visit()
    page.goto("/")
    page.get_by_label("Token").fill(tenant)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Nothing here yet").wait_for()
    assert f"--tenant {tenant}" in page.locator(".empty code").inner_text()

    def upload(version):
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Upload").click()
        page.get_by_label("Name").fill("workflow/loan")
        page.get_by_label("File").set_input_files(
            {"name": "loan.bpmn", "mimeType": "application/octet-stream", "buffer": bpmn(version)}
        )
        page.get_by_label("Labels").fill("team=ops")
        page.get_by_role("button", name="Store").click()
        page.locator("h1", has_text="Version").wait_for()

    upload(1)
    page.get_by_text("It is stored.").wait_for()
    upload(1)
    page.get_by_text("no other was made").wait_for()
    upload(3)
    assert page.locator("h1").inner_text() == "Version 2"
    page.locator(".diagram[data-drawn]").wait_for()

    page.get_by_role("link", name="Library").click()
    page.keyboard.press("/")
    page.keyboard.type("workflow/")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="workflow/loan").click()
    assert page.locator(".timeline > li").count() == 2
    assert page.locator(".timeline").get_by_text(f"by tester of {tenant}").count() == 2
    page.get_by_role("button", name="Compare").click()
    report = page.frame_locator("iframe.report")
    assert report.locator("h1").inner_text().split() == ["workflow/loan@1", "→", "workflow/loan@2"]
    report.locator(".diagram[data-drawn]").nth(1).wait_for()

    page.get_by_role("link", name="workflow/loan@2").click()
    page.get_by_role("link", name="Delete…").click()
    page.get_by_label("Why").fill("no longer true")
    page.get_by_role("button", name="Put into the trash").click()
    page.get_by_text("no longer true").wait_for()
    assert site.call(site.door(tenant).resolve("workflow/loan")).number == 1
    page.get_by_role("button", name="Take back workflow/loan@2").click()
    page.get_by_text("It is back from the trash.").wait_for()
    assert site.call(site.door(tenant).resolve("workflow/loan")).number == 2
    (operation,) = list(site.call(site.door(tenant).operations(op="undelete")))
    assert operation.by == f"tester of {tenant}"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()


def test_what_is_stored_never_does_anything(visit, tenant, site):
    """Titles, labels, metadata, Markdown, SVG, HTML, JSON, BPMN with scripts: on every page that shows them."""
    parts = Components(
        notes=Part(MARKDOWN, "text/markdown"),
        drawing=Part(SVG, "image/svg+xml"),
        page=Part(f"<html>{EVIL}</html>", "text/html"),
        data=Part(json.dumps({EVIL: [EVIL]}), "application/json"),
        script=Part("alert(1)", "text/javascript"),
        process=Part(bpmn(1).replace(b"Approve", b"&lt;img src=x onerror=alert(1)&gt;"), "application/bpmn+xml"),
    )
    options = {"title": EVIL, "labels": {"k": EVIL}, "metadata": {"m": EVIL}, "by": EVIL}
    site.put(tenant, "notes/evil", parts, **options)
    site.put(tenant, "notes/evil", Components({**parts, "notes": Part(MARKDOWN + EVIL, "text/markdown")}), **options)
    page = visit(tenant)
    for path in ("/", "/artifact/notes/evil", "/version/notes/evil@2", "/compare?a=notes/evil@1&b=notes/evil@2"):
        page.goto(path, wait_until="load")
        assert page.locator("img[src=x]").count() == 0
        assert page.locator("script:not([src*='/static/'])").count() == 0
    site.call(site.door(tenant).alias("notes/evil@2", "prod", by=f'"{EVIL}'))
    page.goto("/version/notes/evil@2")
    page.locator(".diagram[data-drawn]").wait_for()
    assert page.locator(".chip.pointer").get_attribute("title") == f'alias, can move; set by "{EVIL}'
    assert EVIL in page.locator(".subtitle").inner_text()
    assert page.get_by_text(f"by {EVIL}").count() == 1
    assert page.locator(".prose a").get_attribute("href") == "https://example.org"
    assert "[click](javascript:alert(1))" in page.locator(".prose").inner_text()
    site.call(site.door(tenant).unalias("notes/evil", "prod"))
    site.call(site.door(tenant).delete("notes/evil@2", by="tester", reason=EVIL))
    page.goto("/trash", wait_until="load")
    assert EVIL in page.locator(".rows").inner_text()


@pytest.mark.parametrize("role", ["drawing", "page", "script"])
def test_content_that_could_run_is_a_file(visit, tenant, site, role):
    parts = Components(
        drawing=Part(SVG, "image/svg+xml"), page=Part(EVIL, "text/html"), script=Part("alert(1)", "text/javascript")
    )
    site.put(tenant, "notes/evil", parts)
    page = visit(tenant)
    page.goto("/version/notes/evil@1")
    with page.expect_download() as download:
        page.get_by_role("link", name=f"Download {role}").click()
    assert Path(download.value.path()).read_bytes() in (SVG.encode(), EVIL.encode(), b"alert(1)")
    with page.expect_download():
        page.evaluate("address => { location.href = address }", f"/v1/components/notes/evil@1/{role}")


@pytest.fixture
def filled(site, tenant):
    """A library to be looked at."""
    site.put(
        tenant,
        "sop/login",
        "# Log in\n\nFirst of all.\n",
        media_type="text/markdown",
        type="sop",
        title="How to log in",
    )
    site.put(tenant, "chart/q3", picture(), media_type="image/png", type="visual", labels={"quarter": "3"})
    site.put(tenant, "workflow/loan", Part(bpmn(1), "application/bpmn+xml"), type="workflow_bpmn")
    site.put(tenant, "workflow/loan", Part(bpmn(3), "application/bpmn+xml"), sources=["sop/login@1"])
    report = {"finding": "slower than it was", "figures": [1, 2, {"deep": {"deeper": [None, True]}}]}
    site.put(
        tenant, "report/q3", report, title="What the third quarter found", sources=["workflow/loan@2", "chart/q3@1"]
    )
    site.put(tenant, "report/copy", report, sources=["report/q3@1"])
    site.call(site.door(tenant).alias("workflow/loan@2", "prod"))
    site.call(site.door(tenant).tag("workflow/loan@1", "release-1"))
    site.call(site.door(tenant).transition("workflow/loan@2", "accepted", by="tester"))
    site.put(tenant, "old/one", "x")
    site.call(site.door(tenant).delete("old/one@1", by="tester", reason="over"))
    return tenant


EVERYWHERE = (
    "/",
    "/artifact/workflow/loan",
    "/version/workflow/loan@2",
    "/version/report/q3@1",
    "/version/sop/login@1",
    "/version/chart/q3@1",
    "/compare?a=workflow/loan@1&b=workflow/loan@2",
    "/delete/sop/login@1",
    "/delete/report/copy",
    "/trash?deleted=old/one@1",
    "/activity",
    "/usage",
    "/upload",
    "/sign-in",
)


def test_every_page_on_a_telephone_and_at_night(visit, filled):
    """Nothing is wider than the screen, and every text has a contrast of 4.5 with what is behind it (WCAG 2.2, 1.4.3)."""
    page = visit(filled, width=390)
    for path in EVERYWHERE:
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(path, wait_until="domcontentloaded")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
            for ours, behind, what in page.evaluate(LOOKS):
                assert contrast(ours, behind) >= 4.5, (path, scheme, what)


LOOKS = """() => { const seen = new Set(), found = [];
for (const e of document.querySelectorAll("body *:not(svg *):not(.diagram *):not(option)")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  if (!own || !e.checkVisibility()) continue;
  let b = e, behind = "rgba(0, 0, 0, 0)";
  while (b && behind === "rgba(0, 0, 0, 0)") { behind = getComputedStyle(b).backgroundColor; b = b.parentElement; }
  const look = [getComputedStyle(e).color, behind];
  if (!seen.has(look.join())) { seen.add(look.join()); found.push([...look, e.outerHTML.slice(0, 200)]); } }
return found; }"""  # each colour of a text with the one behind it, and where that is


def test_the_keyboard_reaches_everything_and_shows_where_it_is(visit, filled):
    page = visit(filled)
    for path in ("/", "/version/report/q3@1", "/upload"):
        page.goto(path)
        page.evaluate("document.activeElement.blur()")
        wanted = page.locator("a:visible, button:visible, input:visible, select:visible, summary:visible").count()
        reached = set()
        for _ in range(wanted + 8):
            page.keyboard.press("Tab")
            seen = page.evaluate(
                """() => { const e = document.activeElement; if (e === document.body) return null;
                const s = getComputedStyle(e), box = e.querySelector?.(".box");
                const shown = s.outlineStyle !== "none" || (box && parseFloat(getComputedStyle(box).strokeWidth) >= 3);
                return [[...document.querySelectorAll("*")].indexOf(e), shown]; }"""
            )
            if seen is None:
                continue
            assert seen[1], (path, page.evaluate("document.activeElement.outerHTML.slice(0, 200)"))
            reached.add(seen[0])
        assert len(reached) >= wanted, path


def test_a_key_goes_to_the_search_from_everywhere(visit, filled):
    """It did in the library only."""
    page = visit(filled, allowed=("status of 404",))
    for path in ("/version/sop/login@1", "/usage", "/upload", "/artifact/not/there", "/"):
        page.goto(path)
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("/")
        page.locator("input[name=q]:focus").wait_for()
        page.keyboard.type("workflow/")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="workflow/loan").wait_for()


def test_a_slash_that_is_typed_stays_where_it_is(visit, filled):
    page = visit(filled)
    page.goto("/upload")
    page.get_by_label("Name").press("/")
    assert page.get_by_label("Name").input_value() == "/"


def test_the_first_stop_skips_to_the_content(visit, filled):
    page = visit(filled)
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_without_scripts_the_pages_are_whole(visit, filled):
    page = visit(filled, scripts=False)
    page.goto("/version/report/q3@1")
    deep = page.get_by_text("deeper", exact=True)
    assert not deep.is_visible()
    for summary in page.locator(".tree summary").all()[2:]:
        summary.click()
    assert deep.is_visible()
    page.goto("/version/workflow/loan@2")
    page.locator("summary", has_text="Source").click()
    assert "<bpmn" in page.locator("pre").inner_text() or "<definitions" in page.locator("pre").inner_text()


def test_filters_find_by_kind_status_and_label(visit, filled):
    page = visit(filled)

    def found():
        return page.locator(".tile .name").all_inner_texts()

    page.goto("/")
    assert len(found()) == 5
    page.get_by_label("Kind").fill("visual")
    page.get_by_role("button", name="Find").click()
    assert found() == ["chart/q3"]
    assert page.evaluate("[...document.images].every((i) => i.complete && i.naturalWidth)")
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Status").select_option("accepted")
    page.get_by_role("button", name="Find").click()
    assert found() == ["workflow/loan"]
    page.goto("/")
    page.get_by_label("Label").fill("quarter=3")
    page.get_by_label("Label").press("Enter")
    assert found() == ["chart/q3"]


def test_what_is_used_is_not_deleted_and_says_by_what(visit, filled):
    page = visit(filled)
    page.goto("/delete/workflow/loan@2")
    assert page.get_by_role("alert").get_by_role("link").all_inner_texts() == ["report/q3@1"]
    assert "prod" in page.get_by_role("alert").inner_text()
    assert page.get_by_role("button", name="Put into the trash").count() == 0


def test_a_version_is_accepted_gets_an_alias_and_all_is_undone(visit, filled, site):
    page = visit(filled, allowed=("status of 400",))
    page.goto("/version/sop/login@1")
    page.get_by_text("Accept it, mark it").click()
    page.get_by_label("Why").fill("read by two")
    page.get_by_role("button", name="Accept").click()
    page.get_by_text("It is accepted.").wait_for()
    page.get_by_text("Accept it, mark it").click()
    assert page.get_by_role("button", name="Accept", exact=True).count() == 0
    page.get_by_label("Alias").fill("By all")
    page.get_by_role("button", name="Point the alias at version 1").click()
    assert "By all" in page.get_by_role("alert").inner_text()
    page.get_by_label("Alias").fill("approved")
    page.get_by_role("button", name="Point the alias at version 1").click()
    page.get_by_text("The alias means this version now.").wait_for()
    assert site.call(site.door(filled).resolve("sop/login@approved")).state == "accepted"

    page.get_by_role("link", name="Activity").click()
    page.get_by_text("read by two").wait_for()
    page.get_by_role("button", name="Undo alias of sop/login@1").click()
    page.get_by_text("It is as it was before: sop/login").wait_for()
    page.get_by_role("button", name="Undo accepted of sop/login@1").click()
    page.get_by_text("It is as it was before: sop/login@1").wait_for()
    assert site.call(site.door(filled).resolve("sop/login")).state == "draft"
    assert [each.number for each in site.call(site.door(filled).pointers("sop/login"))] in ([], [None])


def test_what_is_in_the_way_of_deleting_can_be_taken_away(visit, filled, site):
    site.call(site.door(filled).alias("sop/login@1", "prod"))
    page = visit(filled)
    page.goto("/version/sop/login@1")
    page.get_by_text("Accept it, mark it").click()
    page.get_by_role("button", name="Remove the alias prod").click()
    page.get_by_text("The alias is gone.").wait_for()
    assert [each.number for each in site.call(site.door(filled).pointers("sop/login"))] in ([], [None])


def test_another_version_begins_with_the_title_and_labels_of_the_newest(visit, filled, site):
    """They were forgotten: the next version had none."""
    page = visit(filled)
    site.put(filled, "sop/login", "2", labels={"team": "ops", "b": "c"}, title="How to log in")
    page.goto("/artifact/sop/login")
    page.get_by_role("link", name="Upload a version").click()
    page.get_by_label("File").set_input_files({"name": "x.md", "mimeType": "text/markdown", "buffer": b"# 3"})
    page.get_by_role("button", name="Store").click()
    page.get_by_text("It is stored.").wait_for()
    newest = site.call(site.door(filled).resolve("sop/login"))
    assert (newest.number, newest.title, newest.labels) == (3, "How to log in", {"team": "ops", "b": "c"})


def test_lineage_is_drawn_and_leads_there(visit, filled):
    page = visit(filled)
    page.goto("/version/report/q3@1")
    boxes = page.locator(".graph a")
    assert boxes.locator(".label").all_text_contents() == [
        "login",
        "q3",
        "loan",
        "q3",
        "copy",
    ]
    assert page.locator(".graph .line").count() == 4
    boxes.nth(4).click()
    page.wait_for_url(re.compile("report/copy@1"))


def test_the_words_of_lineage_stay_in_their_boxes(visit, tenant, site):
    """They were cut by number of characters, and wide ones ran over."""
    names = ["examples-colors-resource", "W" * 60, "MMMM-mmmm-" * 5, "2026-11-29T11-33-59-0000001", "i" * 60]
    for name in names:
        site.put(tenant, f"a/{name}", "x", type="www-" * 12)
        site.put(tenant, f"a/{name}", "y")
    site.put(tenant, "a/all", "z", sources=[f"a/{name}@1" for name in names])
    site.put(tenant, "a/user", "z", sources=["a/all@1"], type="workflow_description_of_mammals")
    site.put(tenant, "a/all", "zz")
    page = visit(tenant)
    page.goto("/version/a/all@1")
    over = page.evaluate(
        """() => [...document.querySelectorAll(".graph a")].flatMap((a) => {
        const box = a.querySelector("rect").getBoundingClientRect();
        return [...a.querySelectorAll("text")].filter((t) => t.getBoundingClientRect().right > box.right - 4)
          .map((t) => t.textContent); })"""
    )
    assert over == []
    titles = page.locator(".graph a title").all_text_contents()
    assert all(any(name in title for title in titles) for name in names)
    assert "i" * 28 in page.locator(".graph").text_content()


def test_a_process_that_cannot_be_drawn_says_so(visit, tenant, site):
    site.put(tenant, "workflow/bad", Part("<definitions/>", "application/bpmn+xml"))
    page = visit(tenant, allowed=("unparsable", "failed to parse"))
    page.goto("/version/workflow/bad@1")
    page.get_by_text("This process cannot be drawn").wait_for()
    assert page.locator("pre").inner_text() == "<definitions/>" or page.locator(".source summary").is_visible()
