"""Real artifacts are accepted as what they are, and hostile ones are judged as expected, where the corpus is there."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from casstore import kinds
from casstore.formats import media_types

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
KINDS = {  # by the folder of real ones, or how the names of hostile ones begin
    "blueprint": "blueprint",
    "embedding": "hybrid_embedding",
    "poc": "poc",
    "roadmap": "roadmap",
    "solution": "solution",
    "sop": "sop",
    "visual": "visual",
    "png": "visual",
    "workflow_bpmn": "workflow",
    "workflow_json": "workflow",
}
# Where the corpus leaves the choice, this is ours.
ACCEPTED = {"blueprint-equal-components"}

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the checkout")


class File:
    """A file of the corpus as a source."""

    def __init__(self, path):
        self.path = path
        self.media_type = media_types.from_suffix(path.suffix)
        self.size_bytes = path.stat().st_size

    def open(self):
        return self.path.open("rb")


def versions(wanted):
    """The parts and the expectation of each version of these types, by type, name and number."""
    parts, expected = defaultdict(dict), {}
    for line in (CORPUS / "index.jsonl").read_text("utf-8").splitlines():
        entry = json.loads(line)
        if entry["type"] in wanted:
            version = entry["type"], entry["name"], entry["version"]
            parts[version][entry.get("component") or "main"] = File(CORPUS / entry["path"])
            expected[version] = entry.get("expect")
    return parts, expected


@pytest.mark.slow
@pytest.mark.parametrize("folder", sorted(set(KINDS) - {"png"}))
def test_every_real_version_is_accepted(folder):
    parts, _ = versions({folder})
    assert parts
    refused = {version: kinds.check(KINDS[folder], sources) for version, sources in parts.items()}
    assert not {version: found for version, found in refused.items() if found}


def test_hostile_versions_are_judged_as_expected():
    parts, expected = versions({"hostile"})
    judged = 0
    for version, sources in parts.items():
        name = version[1]
        if kind := KINDS.get(name.partition("-")[0]):
            refused = kinds.check(kind, sources) != []
            choice = expected[version] if expected[version] != "refuse-or-accept" else None
            assert refused is (choice == "refuse" if choice else name not in ACCEPTED), version
            judged += 1
    assert judged >= 30
