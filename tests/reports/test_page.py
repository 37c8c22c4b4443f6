"""The page of a comparison, in a real browser: what it says at a glance, what it shows, and that it does nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from casstore import Components, Part
from tests.support.browser import contrast_of

ARTIFACTS = Path(__file__).parents[2] / "examples" / "artifacts"
BPMN = "application/bpmn+xml"
MARKDOWN = "text/markdown"
LINES = "".join(f"line {n}\n" for n in range(40))

pytestmark = pytest.mark.slow


def picture(*boxes, size=(160, 100)):
    image = Image.new("RGB", size, "white")
    for box in boxes:
        ImageDraw.Draw(image).rectangle(box, fill="navy")
    out = io.BytesIO()
    image.save(out, "PNG")
    return Part(out.getvalue(), "image/png")


def bpmn():
    return next(path for path in sorted(ARTIFACTS.glob("workflow_bpmn/**/*.bpmn")) if b"BPMNShape" in path.read_bytes())


def test_it_says_at_a_glance_what_has_changed(compared, show):
    page = show(compared(Part("# Roll back\nstop\n", MARKDOWN), Part("# Roll back\ngo on\n", MARKDOWN)))
    assert page.title() == "a/thing@1 → a/thing@2"
    assert page.locator("h1").inner_text().split() == ["a/thing@1", "→", "a/thing@2"]
    assert page.locator("header.top .chip").inner_text() == "differ in meaning"
    assert "Roll back" in page.locator("ul.summary li").first.inner_text()


def test_texts_stand_side_by_side_with_their_words_marked(compared, show):
    page = show(compared(LINES, LINES.replace("line 20\n", "line twenty\n")))
    assert page.locator("td.old").inner_text() == "line 20"
    assert page.locator("td.old del").inner_text() == "20"
    assert page.locator("td.new ins").inner_text() == "twenty"
    numbers = [text for text in page.locator("tr:has(td.old) td.n").all_inner_texts() if text]
    assert numbers == ["21", "21"]


def test_what_is_the_same_unfolds(compared, show):
    page = show(compared(LINES, LINES.replace("line 20\n", "line twenty\n")))
    first = page.get_by_text("line 3", exact=True).first
    assert not first.is_visible()
    button = page.get_by_role("button", name="17 lines that are the same")
    assert button.get_attribute("aria-expanded") == "false"
    button.focus()
    page.keyboard.press("Enter")
    assert first.is_visible()
    assert button.get_attribute("aria-expanded") == "true"


def test_keys_go_from_change_to_change(compared, show):
    changed = LINES.replace("line 5\n", "line five\n").replace("line 30\n", "line thirty\n")
    page = show(compared(LINES, changed))

    def press(key):
        page.keyboard.press(key)
        return page.evaluate("document.activeElement.innerText")

    assert press("n").startswith("main")
    assert "five" in press("n")
    assert "thirty" in press("n")
    assert "thirty" in press("n")
    assert "five" in press("p")


def test_json_is_told_and_shown(compared, show):
    before = {"phases": [{"id": "a", "end": "2026-03-01"}, {"id": "b"}]}
    after = {"phases": [{"id": "b"}, {"id": "a", "end": "2026-03-15"}], "owner": "ops"}
    page = show(compared(before, after, type="roadmap"))
    summary = page.locator("ul.summary").inner_text()
    assert "end 14 days later: 'a' (2026-03-01 → 2026-03-15)" in summary
    assert "moved" in summary
    assert page.locator("table:has(caption:text('change')) tbody tr").count() >= 3
    assert page.locator("td.new").filter(has_text="ops").is_visible()


def test_pictures_with_a_slider(compared, show):
    page = show(compared(picture((10, 10, 50, 50)), picture((10, 10, 50, 50), (90, 40, 120, 80)), type="visual"))
    assert page.locator(".pictures img").count() == 3
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth === 160)")
    slider = page.locator("input[type=range]")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("document.querySelector('.slider').style.getPropertyValue('--at')") == "60%"


def see_through(colour, box, size):
    """A transparent picture with one box."""
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle(box, fill=colour)
    out = io.BytesIO()
    image.save(out, "PNG")
    return Part(out.getvalue(), "image/png")


def seen(locator):
    """What a part of the page looks like."""
    return Image.open(io.BytesIO(locator.screenshot())).convert("RGB")


def test_each_side_of_the_slider_shows_one_picture(compared, show):
    """Right of the place the older one was seen too, through what is transparent in the newer and beyond its edges."""
    red, blue = see_through("red", (0, 0, 159, 40), (160, 100)), see_through("blue", (0, 60, 299, 99), (300, 200))
    for older, newer, colours in ((red, blue, ((255, 0, 0), (0, 0, 255))), (blue, red, ((0, 0, 255), (255, 0, 0)))):
        page = show(compared(older, newer))
        page.locator("input[type=range]").fill("25")
        image = seen(page.locator(".slider"))
        assert image.width >= 300  # as large as the larger one
        middle = image.width // 4
        sides = image.crop((0, 0, middle - 2, image.height)), image.crop((middle + 4, 0, image.width, image.height))
        found = [{colour for _, colour in side.getcolors(10**6)} for side in sides]
        assert [colours[0] in found[0], colours[1] in found[0]] == [True, False]
        assert [colours[0] in found[1], colours[1] in found[1]] == [False, True]


def test_the_slider_keeps_the_scale_of_both_on_a_narrow_screen(compared, show):
    page = show(compared(picture((0, 0, 9, 9), size=(1600, 400)), picture((0, 0, 9, 9), size=(800, 400))))
    page.set_viewport_size({"width": 390, "height": 700})
    widths = page.evaluate("[...document.querySelectorAll('.slider img')].map(i => i.getBoundingClientRect().width)")
    assert widths[0] < 390
    assert widths[0] == pytest.approx(2 * widths[1], abs=1)


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_text_is_no_picture_whatever_it_became(compared, show, is_turned):
    """A text that became a picture was embedded as a picture, which no browser shows."""
    sides = [Part("# Roll back\n", MARKDOWN), picture((10, 10, 50, 50))]
    page = show(compared(*(reversed(sides) if is_turned else sides)))
    assert page.locator(".pictures img").count() == 1
    assert page.evaluate("[...document.images].every(i => i.naturalWidth === 160)")
    assert page.locator(".slider").count() == 0
    one, other = ("a PNG", "text/markdown") if is_turned else ("text/markdown", "a PNG")
    assert page.get_by_text(f"The older one is {one}, the newer one is {other}.").is_visible()


def test_what_is_called_a_picture_and_is_none_is_shown_as_what_it_is(compared, show):
    page = show(compared(*(Components(a=Part(text, "image/png"), b=text) for text in ("one\n", "two\n"))))
    assert page.locator("img").count() == 0
    assert page.locator("td.new").all_inner_texts() == ["two", "two"]
    page = show(compared(Part("one\n", "image/png"), picture((10, 10, 50, 50))))
    assert page.get_by_text("The older one is called image/png and is none, the newer one is a PNG.").is_visible()
    page = show(compared(Components(a="x"), Components(a="x", b=Part("one\n", "image/png"))))
    assert page.locator("img").count() == 0


def test_diagrams_are_drawn_with_what_has_changed(compared, show):
    text = bpmn().read_text("utf-8")
    task = next(line for line in text.splitlines() if "serviceTask" in line or "userTask" in line or ":task " in line)
    name = task.split('name="')[1].split('"')[0]
    page = show(compared(Part(text, BPMN), Part(text.replace(f'name="{name}"', 'name="Renamed here"'), BPMN)))
    page.locator(".diagram[data-drawn]").nth(1).wait_for()
    assert page.locator(".diagram .is-changed").count() >= 2
    assert "Renamed here" in page.locator("ul.summary").inner_text()
    page.get_by_role("button", name="show in newer").first.click()
    assert page.locator(".is-chosen").count() == 1
    assert page.locator(".bjs-powered-by").first.is_visible()  # its licence asks for that


def test_a_diagram_that_cannot_be_drawn_says_so(compared, show):
    def without_shapes(name):
        return Part(
            '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" id="d" targetNamespace="x">'
            f'<process id="p"><task id="t" name="{name}"/></process></definitions>',
            BPMN,
        )

    page = show(compared(without_shapes("one"), without_shapes("two")))
    page.get_by_text("This diagram cannot be drawn").first.wait_for()
    assert "two" in page.locator("ul.summary").inner_text()


def test_components_in_a_table(compared, show):
    page = show(compared(Components(p="1\n", q="same"), Components(p="2\n", r="new\n", q="same")))
    rows = page.locator("table:has(caption:text-is('Components')) tbody tr").all_inner_texts()
    assert [row.split()[:2] for row in rows] == [["p", "changed"], ["q", "same"], ["r", "added"]]
    page.get_by_role("link", name="r", exact=True).click()
    assert page.url.endswith("#part-r")


def test_what_is_stored_does_nothing(compared, show):
    evil = '</script><img src=x onerror="document.title=1">\n'
    page = show(compared(Components(p=evil, q={"k": evil}), Components(p=evil * 2, q={evil: 1}), labels={"a": evil}))
    assert page.title() == "a/thing@1 → a/thing@2"
    assert page.locator("img").count() == 0


def test_it_is_read_on_a_telephone_and_in_the_dark(compared, show):
    page = show(compared(LINES, LINES.replace("line 20\n", "line twenty and a few words more, so that it is long\n")))
    page.set_viewport_size({"width": 375, "height": 700})
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    assert page.locator("td.old").is_visible()
    assert page.locator("td.new").is_visible()


def test_a_long_word_in_the_summary_stays_on_the_page(compared, show):
    page = show(compared({"k" * 90: 1}, {"k" * 90: 2}))
    page.set_viewport_size({"width": 390, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_is_drawn_in_black_is_seen_at_night(compared, show):
    """Black on nothing was black on the dark page."""
    older, newer = (see_through("black", (0, 0, 60, end), (160, 100)) for end in (40, 60))
    page = show(compared(older, newer))
    page.emulate_media(color_scheme="dark")
    for image in (page.locator(".pictures img").first, page.locator(".slider")):
        assert min(seen(image).getpixel((110, 90))) > 200


def test_colours_can_be_told_apart(compared, show):
    """WCAG 2.2, 1.4.3: text has a contrast of 4.5 with what is behind it, by day and by night."""
    page = show(compared(Components(p="1\n", q="x\n"), Components(p="2\n", r="y\n")))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for place in ("h1", ".chip", ".quiet", "td.old", "td.new", "td.old del", "td.new ins", "th", "a"):
            assert contrast_of(page.locator(place).first) >= 4.5, (scheme, place)
