"""Every precondition on every operation: it refuses without an effect when it does not hold, and lets pass when it does."""

from __future__ import annotations

import pytest

from casstore.testing.gcs import GcsServer
from tests.gcs_server.raw import BUCKET, Raw, object_path

TARGET, SOURCE = "there", "source"


def upload_resumable(raw, **conditions):
    session = raw.start(TARGET, **conditions)
    assert session.started.status == 200
    return session.put("0-2/3", b"new")


def compose(raw, **conditions):
    body = {"sourceObjects": [{"name": SOURCE}], "destination": {}}
    return raw("POST", f"{object_path(TARGET)}/compose", body, **conditions)


def copying(verb, target):
    return lambda raw, **conditions: raw("POST", f"{object_path(SOURCE)}/{verb}{target}", {}, **conditions)


def restore(raw, **conditions):
    listed = raw("GET", f"/storage/v1/b/{BUCKET}/o", softDeleted="true").json()["items"]
    generation = next(item["generation"] for item in listed if item["name"] == TARGET)
    return raw("POST", f"{object_path(TARGET)}/restore", {}, generation=generation, **conditions)


ELSEWHERE = f"/b/{BUCKET}/o/{TARGET}"
WRITES = {
    "media": lambda raw, **conditions: raw.put(TARGET, b"new", **conditions),
    "multipart": lambda raw, **conditions: raw.multipart({"name": TARGET}, b"new", **conditions),
    "resumable": upload_resumable,
    "compose": compose,
    "rewrite": copying("rewriteTo", ELSEWHERE),
    "copy": copying("copyTo", ELSEWHERE),
    "move": copying("moveTo", f"/o/{TARGET}"),
    "restore": restore,
}
CHANGES = {
    "patch": lambda raw, **conditions: raw("PATCH", object_path(TARGET), {"cacheControl": "no-store"}, **conditions),
    "update": lambda raw, **conditions: raw("PUT", object_path(TARGET), {"cacheControl": "no-store"}, **conditions),
    "delete": lambda raw, **conditions: raw("DELETE", object_path(TARGET), **conditions),
}
READS = {
    "stat": lambda raw, **conditions: raw("GET", object_path(TARGET), **conditions),
    "download": lambda raw, **conditions: raw.get(TARGET, **conditions),
}
COPIES = {name: WRITES[name] for name in ("rewrite", "copy", "move")}
# condition → what it adds to the number that is there, to hold and not to hold
CONDITIONS = {
    "GenerationMatch": (0, 1),
    "GenerationNotMatch": (1, 0),
    "MetagenerationMatch": (0, 1),
    "MetagenerationNotMatch": (1, 0),
}


@pytest.fixture
def place(server, raw) -> GcsServer:
    """`there` with a soft-deleted generation before it and metageneration 2, and `source` with metageneration 2."""
    raw("PATCH", f"/storage/v1/b/{BUCKET}", {"softDeletePolicy": {"retentionDurationSeconds": 3600}})
    for name in (TARGET, TARGET, SOURCE):
        raw.put(name, b"old")
        raw("PATCH", object_path(name), {"contentLanguage": "en"})
    return server


def numbers(raw: Raw, name: str) -> dict[str, int]:
    resource = raw("GET", object_path(name)).json()
    return {"Generation": int(resource["generation"]), "Metageneration": int(resource["metageneration"])}


def value(raw, name, condition, offset):
    kind = "Metageneration" if condition.startswith("Meta") else "Generation"
    return numbers(raw, name)[kind] + offset


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("operation", {**WRITES, **CHANGES, **READS}.items(), ids=lambda item: item[0])
def test_on_what_is_there(place, raw, operation, condition):
    name, perform = operation
    holds, fails = CONDITIONS[condition]
    before = place.objects(BUCKET)
    refused = perform(raw, **{f"if{condition}": value(raw, TARGET, condition, fails)})
    assert refused.status == (304 if name in READS and "Not" in condition else 412)
    assert place.objects(BUCKET) == before
    assert perform(raw, **{f"if{condition}": value(raw, TARGET, condition, holds)}).status in (200, 204)
    assert name in READS or place.objects(BUCKET) != before


@pytest.mark.parametrize("operation", WRITES)
def test_on_what_is_not_there(place, raw, operation):
    """Generation 0 means: no live object."""
    place.remove(BUCKET, TARGET)
    before = place.objects(BUCKET)
    assert WRITES[operation](raw, ifGenerationMatch=5).status == 412
    assert WRITES[operation](raw, ifMetagenerationMatch=1).status == 412
    assert WRITES[operation](raw, ifGenerationNotMatch=0).status == 412
    assert place.objects(BUCKET) == before
    assert WRITES[operation](raw, ifGenerationMatch=0).status == 200
    before = place.objects(BUCKET)
    assert TARGET in before
    place.write(BUCKET, SOURCE, b"again")  # a move has taken it
    assert WRITES[operation](raw, ifGenerationMatch=0).status == 412
    assert place.objects(BUCKET)[TARGET] == before[TARGET]


@pytest.mark.parametrize("operation", {**CHANGES, **READS})
def test_who_is_not_there_is_not_found_whatever_the_condition(place, raw, operation):
    place.remove(BUCKET, TARGET)
    for condition in ({"ifGenerationMatch": 0}, {"ifGenerationMatch": 5}, {"ifGenerationNotMatch": 0}):
        assert {**CHANGES, **READS}[operation](raw, **condition).status == 404


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("operation", COPIES)
def test_on_the_source(place, raw, operation, condition):
    holds, fails = CONDITIONS[condition]
    before = place.objects(BUCKET)
    refused = COPIES[operation](raw, **{f"ifSource{condition}": value(raw, SOURCE, condition, fails)})
    assert refused.status == 412
    assert place.objects(BUCKET) == before
    assert COPIES[operation](raw, **{f"ifSource{condition}": value(raw, SOURCE, condition, holds)}).status == 200


def test_on_the_components(place, raw):
    generation = numbers(raw, SOURCE)["Generation"]

    def compose(condition):
        source = {"name": SOURCE, "objectPreconditions": {"ifGenerationMatch": condition}}
        return raw("POST", f"{object_path(TARGET)}/compose", {"sourceObjects": [source]}).status

    assert compose(str(generation + 1)) == 412
    assert compose(str(generation)) == 200


def test_on_a_bucket(raw):
    path = f"/storage/v1/b/{BUCKET}"
    metageneration = int(raw("GET", path).json()["metageneration"])
    wrong, right = {"ifMetagenerationMatch": metageneration + 1}, {"ifMetagenerationMatch": metageneration}
    assert raw("PATCH", path, {"labels": {"a": "b"}}, **wrong).status == 412
    assert raw("GET", path, **wrong).status == 412
    assert raw("GET", path, ifMetagenerationNotMatch=metageneration).status == 304
    assert raw("DELETE", path, **wrong).status == 412
    assert raw("PATCH", path, {"labels": {"a": "b"}}, **right).json()["labels"] == {"a": "b"}
    assert raw("DELETE", path, **right).status == 412  # the patch has counted it up
    assert raw("DELETE", path, ifMetagenerationMatch=metageneration + 1).status == 204


def test_a_resumable_upload_is_judged_when_it_ends(server, raw):
    session = raw.start("a", ifGenerationMatch=0)
    server.write(BUCKET, "a", b"somebody was faster")
    assert session.put("0-2/3", b"new").status == 412
    server.remove(BUCKET, "a")
    assert session.put("0-2/3", b"new").status == 200  # nothing of it was lost


def test_a_server_may_judge_it_when_it_starts_too():
    with GcsServer(conditions_at_start=True) as server:
        server.create_bucket(BUCKET)
        raw = Raw(server.url)
        generation = server.write(BUCKET, "a", b"old")
        assert raw.start("a", ifGenerationMatch=0).started.status == 412
        session = raw.start("a", ifGenerationMatch=generation)
        server.write(BUCKET, "a", b"newer")
        assert session.put("0-2/3", b"new").status == 412
        raw.connection.close()


def test_a_condition_is_a_number(raw):
    assert raw.put("a", b"", ifGenerationMatch="x").status == 400
