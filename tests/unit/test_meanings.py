"""Which formats give semantic digests, and that asking for one costs nothing where there is none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from casstore.formats import registry
from casstore.formats.comparison import Comparison, Format, Meaning
from casstore.formats.registry import can_mean, format_of, meaning_of, register
from casstore.model import Digest

TYPES = ("application/json", "application/ld+json; a=b", "application/bpmn+xml", "application/xml", "image/svg+xml")
TEXTS = ("text/plain", "text/markdown; charset=utf-8", "TEXT/csv", "application/yaml", "text/html")
NONE = ("image/png", "application/octet-stream", "application/x-npy", "application/pdf", "image/jpeg", "x/y")


@pytest.mark.parametrize("media_type", [*TYPES, *TEXTS, *NONE])
def test_who_can_mean_something_is_who_has_a_digest_of_it(media_type):
    """Of pictures the catalog has the pixels."""
    form = format_of(media_type)
    assert can_mean(media_type) == (form.meaning is not None and form.name != "png")
    assert can_mean(media_type) == (media_type not in NONE)


def test_asking_imports_no_format():
    program = f"""
import sys
from casstore.formats.registry import can_mean
for each in {[*TYPES, *TEXTS, *NONE]!r}: can_mean(each)
loaded = [name for name in sys.modules if name.startswith("casstore.formats.") or name in ("numpy", "PIL")]
assert sorted(loaded) == ["casstore.formats.comparison", "casstore.formats.media_types", "casstore.formats.registry"], loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_xml_means_what_it_is():
    model = b'<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"/>'
    assert meaning_of("application/xml", model) == meaning_of("application/bpmn+xml", model)
    assert meaning_of("application/xml", b"<a/>") == meaning_of("text/plain", b"<a/>")
    assert meaning_of("application/bpmn+xml", b"<a/>") is None
    assert meaning_of("application/octet-stream", b"") is None


def test_a_format_of_ones_own_has_its_own(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    said = Meaning(Digest.of(b"one"))

    def diff(before, after):
        return Comparison(format="own", depth="same")

    register(Format(name="own", media_types=frozenset({"x/own", "image/png"}), diff=diff, meaning=lambda _: said))
    register(Format(name="mute", media_types=frozenset({"application/json"}), diff=diff))
    assert [can_mean(each) for each in ("x/own", "image/png", "application/json")] == [True, True, False]
    assert meaning_of("X/own;a=b", b"") == said
    assert meaning_of("application/json", b"1") is None
