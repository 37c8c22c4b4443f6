"""Retention: what stays is what a few lines of Python say, and what is done is what was told.

The model below knows versions, rules and uses, and nothing of the catalog.
"""

from __future__ import annotations

import concurrent.futures
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casstore import AsyncStore, Conflict, Invalid, RetentionPolicy
from casstore.errors import Code
from casstore.operations import retaining
from casstore.testing.audit import audit
from tests.operations.failing import fails

DAY = timedelta(days=1)
SOPS = {"name": "sops", "match": {"type": "sop"}, "keep": {"last": 1}}
ALL = {"name": "all", "keep": {}}


def policy(*rules, **more):
    return {"rules": list(rules), **more}


async def verdicts(t, **options):
    """All pages, the oldest version first."""
    found, cursor = [], None
    while True:
        page = await t.preview_retention(cursor=cursor, **options)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return found[::-1]


async def told(t):
    return {each.ref: (each.drops, each.rule, each.why) for each in await verdicts(t)}


def backdate(where, tenant, ref, age):
    """A version is made in a moment, and tests do not wait for days."""
    name, number = ref.split("@")
    with psycopg.connect(where.catalog) as connection:
        connection.execute("set session_replication_role = replica")  # versions never change
        connection.execute(
            "update casstore.versions v set created_at = now() - %s from casstore.artifacts a, casstore.tenants t"
            " where a.id = v.artifact_id and t.id = a.tenant_id and t.name = %s and a.name = %s and v.number = %s",
            (age, tenant, name, int(number)),
        )


async def faults(store):
    """What is wrong with the store, but for what backdating does."""
    return [fault for fault in await audit(store) if "not in the order of their numbers" not in fault]


# -- the law ---------------------------------------------------------------------------------------------------------------

NAMES = {"a": "sop", "a/x": "note", "b": "sop"}
periods = st.integers(1, 5).map(lambda days: days * 86400)
rules = st.fixed_dictionaries(
    {
        "keep": st.fixed_dictionaries(
            {}, optional={"last": st.integers(1, 3), "for": periods, "accepted": st.booleans(), "tagged": st.booleans()}
        )
    },
    optional={
        "match": st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["sop", "note", "other"]),
                "labels": st.sampled_from([{"k": "1"}, {"k": "2"}, {"k": "1", "l": "1"}]),
                "name_prefix": st.sampled_from(["a", "A/", "b", "c"]),
            },
        )
    },
)
policies = st.lists(rules, max_size=3).map(
    lambda found: policy(*({"name": f"r{n}", **rule} for n, rule in enumerate(found)))
)


@dataclass
class Made:
    """A version as the model knows it."""

    name: str
    number: int
    labels: dict
    age: float  # days
    state: str = "draft"
    alias: bool = False
    tag: bool = False
    held: bool = False
    expired: bool = False
    gone: bool = False
    sources: list = field(default_factory=list)

    @property
    def ref(self):
        return f"{self.name}@{self.number}"


drawn = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(sorted(NAMES)),
            "labels": st.sampled_from([{}, {"k": "1"}, {"k": "2"}, {"k": "1", "l": "1"}]),
            "age": st.integers(0, 5).map(lambda days: days + 0.5),
            "state": st.sampled_from(["draft", "draft", "accepted", "obsolete"]),
            "alias": st.sampled_from([False, False, False, True]),
            "tag": st.sampled_from([False, False, False, True]),
            "held": st.sampled_from([False, False, False, True]),
            "expired": st.sampled_from([False, False, True]),
            "gone": st.sampled_from([False, False, False, True]),
            "from": st.lists(st.integers(0, 9), max_size=2),
        }
    ),
    min_size=1,
    max_size=9,
)


def fits(rule, version):
    match = rule.get("match", {})
    return (
        match.get("type", NAMES[version.name]) == NAMES[version.name]
        and match.get("labels", {}).items() <= version.labels.items()
        and version.name.startswith(match.get("name_prefix", "").lower())
    )


def modelled(policy, versions):
    """Which of the live versions are dropped, and the rule that decides about each."""
    live = [each for each in versions if not each.gone]
    decided = {
        each.ref: "ttl" if each.expired else next((r["name"] for r in policy["rules"] if fits(r, each)), None)
        for each in live
    }
    keeps = {rule["name"]: rule["keep"] for rule in policy["rules"]}

    def stays(version):
        rule = decided[version.ref]
        if version.alias or version.tag or version.held or rule is None:
            return True
        keep = keeps.get(rule, {})
        newer = [
            each
            for each in live
            if each.name == version.name and each.number > version.number and decided[each.ref] == rule
        ]
        return (
            len(newer) < keep.get("last", 0)
            or version.age * 86400 < keep.get("for", 0)
            or (keep.get("accepted", False) and version.state == "accepted")
        )

    kept = {each.ref for each in live if stays(each)}
    while more := {source for each in live if each.ref in kept for source in each.sources} - kept:
        kept |= more
    return {each.ref for each in live} - kept, decided


async def make(t, where, wanted):
    """The versions that were drawn, in the store and in the model; what cannot be is left out."""
    versions = []
    for n, each in enumerate(wanted):
        sources = sorted({versions[i % len(versions)].ref for i in each["from"]}) if versions else []
        stored = await t.put(
            each["name"], f"{n % 4}", type=NAMES[each["name"]], labels=each["labels"] or None, sources=sources or None,
            on_same="new_version",
        )  # fmt: skip
        versions.append(Made(each["name"], stored.number, each["labels"], each["age"], sources=sources))
    for n, (version, each) in enumerate(zip(versions, wanted, strict=True)):
        ref = version.ref
        used = any(ref in other.sources for other in versions)
        if each["gone"] and not used and not each["alias"]:
            await t.delete(ref, by="somebody", reason="retention: all")
            version.gone = True
            continue
        version.alias, version.tag, version.held = each["alias"], each["tag"], each["held"]
        if each["state"] != "draft":
            await t.transition(ref, each["state"], by="me")
            version.state = each["state"]
        if version.alias:
            await t.alias(ref, f"alias-{n}")
        if version.tag:
            await t.tag(ref, f"tag-{n}")
        if version.held:
            await t.hold(ref, "case", by="legal")
        if each["expired"]:
            await t.expire(ref, datetime(2020, 1, 1, tzinfo=UTC), by="me")
            version.expired = True
        backdate(where, t.name, ref, timedelta(days=version.age))
    return versions


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policies, drawn)
def test_what_is_dropped_is_what_the_model_says_and_what_was_told(bench, where, rules, wanted):
    async def check():
        t = bench.tenant()
        versions = await make(t, where, wanted)
        await t.set_retention(rules, by="me")
        drops, decided = modelled(rules, versions)
        before = await verdicts(t, limit=3)
        assert {each.ref for each in before if each.drops} == drops
        assert {each.ref: each.rule for each in before} == decided
        await t.empty_trash(timedelta(0), by="somebody")
        totals = (await t.preview_retention()).totals
        assert (totals.drops, totals.keeps) == (len(drops), len(before) - len(drops))
        used = (await t.usage()).stored_bytes
        done = await t.apply_retention(by="keeper")
        assert (done.dropped, done.kept_back, done.purged) == (len(drops), 0, 0)
        in_trash = {each.ref: each for each in await t.trash(limit=100)}
        assert {each.ref for each in in_trash.values() if each.by == "keeper"} == drops
        assert all(in_trash[ref].reason == f"retention: {decided[ref]}" for ref in drops)
        left = [(each.ref, each.drops, each.rule) for each in await verdicts(t)]
        assert left == [(each.ref, False, each.rule) for each in before if not each.drops]
        assert (await t.apply_retention(by="keeper")).dropped == 0
        for deleted in sorted((in_trash[ref] for ref in drops), key=lambda each: each.at):
            await t.purge(deleted.ref, by="keeper")  # the order in which they were dropped is one in which all can go
        assert used - (await t.usage()).stored_bytes == totals.frees_bytes

    bench.run(check())


# -- rules, one by one -----------------------------------------------------------------------------------------------------


async def test_each_reason_is_told_in_words(t, where):
    await t.put("sop/0", "1", type="sop")
    await t.put("sop/0", "2", type="sop")
    for n in range(3):
        await t.put("sop/a", f"{n}", type="sop", sources=None if n else ["sop/0@1"])
    await t.put("note", "made", sources=["sop/a@1"])
    await t.put("sop/b", "b", type="sop")
    await t.transition("sop/b@1", "accepted", by="me")
    await t.put("sop/b", "b2", type="sop")
    await t.put("sop/b", "b3", type="sop")
    await t.tag("sop/b@2", "final")
    for n in range(4):
        await t.put("old", f"{n}", type="old")
    await t.hold("old@2", "case-17", by="legal")
    await t.alias("old@1", "prod")
    await t.expire("old@3", datetime(2020, 2, 3, tzinfo=UTC), by="me")
    rules = policy(
        {"name": "sops", "match": {"type": "sop"}, "keep": {"last": 1, "accepted": True, "tagged": True}},
        {"name": "old", "match": {"name_prefix": "OLD"}, "keep": {"for": "30d"}},
    )
    await t.set_retention(rules, by="me")
    backdate(where, t.name, "old@2", 31 * DAY)
    assert await told(t) == {
        "sop/0@1": (False, "sops", "sop/a@1 was made from it"),
        "sop/0@2": (False, "sops", "the last"),
        "sop/a@1": (False, "sops", "note@1 was made from it"),
        "sop/a@2": (True, "sops", "nothing keeps it"),
        "sop/a@3": (False, "sops", "the last"),
        "note@1": (False, None, "no rule is about it"),
        "sop/b@1": (False, "sops", "accepted"),
        "sop/b@2": (False, "sops", "tagged final; final points at it"),
        "sop/b@3": (False, "sops", "the last"),
        "old@1": (False, "old", "younger than 30 days; prod points at it"),
        "old@2": (False, "old", "held by case-17"),
        "old@3": (True, "ttl", "expired on 2020-02-03 00:00:00 UTC"),
        "old@4": (False, "old", "younger than 30 days"),
    }


async def test_a_hold_on_a_name_or_on_everything_keeps_too(t):
    await t.put("a", "1")
    await t.put("b", "1")
    await t.set_retention(policy(ALL), by="me")
    await t.hold("a", "case", by="legal")
    assert {ref: drops for ref, (drops, *_) in (await told(t)).items()} == {"a@1": False, "b@1": True}
    await t.hold(None, "all", by="legal")
    assert (await t.apply_retention(by="me")).dropped == 0
    await t.release(None, "all", by="legal")
    assert (await t.apply_retention(by="me")).dropped == 1


async def test_without_rules_everything_stays_but_what_has_expired(t):
    await t.put("a", "1")
    await t.put("a", "2")
    assert await t.retention() is None
    first = await t.expire("a@1", timedelta(seconds=60), by="me", reason="a trace")
    assert (first.name, first.number, first.by, first.reason) == ("a", 1, "me", "a trace")
    assert (await t.apply_retention(by="me")).dropped == 0
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert (await t.expire("a@1", past, by="me")).at == past
    assert await t.expire("a@1", past, by="other") == await t.expire("a@1", past, by="me")
    assert (await t.expire("a@1", None, by="me")).at is None
    assert (await t.apply_retention(by="me")).dropped == 0
    await t.expire("a@1", past, by="me")
    assert (await t.apply_retention(by="me")).dropped == 1
    assert [(each.ref, each.reason) for each in await t.trash()] == [("a@1", "retention: ttl")]


async def test_only_what_retention_dropped_is_purged_after_its_time_and_what_is_held_is_left(t, where):
    for n in range(4):
        await t.put("a", f"{n}")
    made = await t.put("made", "from", sources=["a@1"])
    await t.delete("made@1", by="somebody")
    await t.put("mine", "1")
    await t.delete("mine@1", by="somebody", reason="retention: all")
    await t.set_retention(policy({"name": "all", "keep": {"last": 1}}, purge_after="7d"), by="me")
    assert (await t.apply_retention(by="me")).dropped == 3
    await t.hold("a@2", "case", by="legal")
    with psycopg.connect(where.catalog) as connection:
        connection.execute("update casstore.trash set at = at - interval '8 days'")
    done = await t.apply_retention(by="me")
    # What can come back was made from the first, the second is held; nobody asked to purge the others.
    assert (done.dropped, done.purged, done.left_in_trash) == (0, 1, 2)
    assert [each.ref for each in await t.trash(purged=True)] == ["a@3"]
    await t.undelete("a@1", by="me")
    await t.undelete(made.ref, by="me")


async def test_a_policy_is_set_once_and_by_its_revision(t):
    first = await t.set_retention(policy(SOPS), by="me", expect=0)
    assert (first.revision, first.by) == (1, "me")
    assert await t.set_retention(policy(SOPS), by="other") == first
    with fails(Conflict, Code.RETENTION_MOVED):
        await t.set_retention(policy(ALL), by="me", expect=0)
    second = await t.set_retention(RetentionPolicy.from_dict(policy(ALL)), by="me", expect=1)
    assert (second.revision, second.policy.to_dict()) == (2, policy({"name": "all", "match": {}, "keep": {}}))
    assert await t.retention() == second


REFUSED = {
    "no rules": ({}, "rules"),
    "no list": ({"rules": 3}, "rules"),
    "stranger": (policy(SOPS, x=1), "x"),
    "twins": (policy(SOPS, SOPS), "'sops'"),
    "ttl": (policy({"name": "ttl", "keep": {}}), "rules[0].name"),
    "no keep": (policy({"name": "a"}), "rules[0].keep"),
    "last 0": (policy({"name": "a", "keep": {"last": 0}}), "rules[0].keep.last"),
    "last true": (policy({"name": "a", "keep": {"last": True}}), "rules[0].keep.last"),
    "for": (policy(SOPS, {"name": "a", "keep": {"for": "month"}}), "rules[1].keep.for"),
    "for ever": (policy({"name": "a", "keep": {"for": "9999999999w"}}), "rules[0].keep.for"),
    "for 0": (policy({"name": "a", "keep": {"for": 0}}), "rules[0].keep.for"),
    "type": (policy({"name": "a", "match": {"type": "A B"}, "keep": {}}), "rules[0].match.type"),
    "labels": (policy({"name": "a", "match": {"labels": {" ": ""}}, "keep": {}}), "rules[0].match.labels"),
    "prefix": (policy({"name": "a", "match": {"name_prefix": "/a"}, "keep": {}}), "rules[0].match.name_prefix"),
    "not a mapping": ([], "refused"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_no_policy_is_refused_by_its_place(t, case):
    wrong, place = REFUSED[case]
    with fails(Invalid, Code.BAD_RETENTION) as caught:
        await t.set_retention(wrong, by="me")
    assert place in caught.value.message
    assert await t.retention() is None


@given(policies)
def test_a_policy_is_read_as_it_is_written(rules):
    read = RetentionPolicy.from_dict(rules)
    assert RetentionPolicy.from_dict(read.to_dict()) == read


@pytest.mark.parametrize("when", [datetime(2027, 1, 1), timedelta(0), "tomorrow", timedelta(days=99_999)])  # noqa: DTZ001
async def test_what_is_no_time_is_refused(t, when):
    await t.put("a", "1")
    with fails(Invalid, Code.BAD_ARGUMENT):
        await t.expire("a@1", when, by="me")


def test_a_policy_is_read_from_a_file(tmp_path):
    (tmp_path / "p.yaml").write_text("rules:\n- name: a\n  keep: {for: 30d}\npurge_after: 1w\n")
    (tmp_path / "p.json").write_text('{"rules": [{"name": "a", "keep": {"for": 2592000}}], "purge_after": 604800}')
    assert retaining.policy_in(tmp_path / "p.yaml") == retaining.policy_in(tmp_path / "p.json")
    for wrong in ("rules: [", "rules: []\nrules: []", "rules:\n- {name: a, keep: {last: 1, last: 2}}"):
        (tmp_path / "p.yaml").write_text(wrong)
        with fails(Invalid, Code.BAD_RETENTION):
            retaining.policy_in(tmp_path / "p.yaml")


# -- interruptions and races -----------------------------------------------------------------------------------------------


class Died(BaseException):
    pass


@pytest.mark.parametrize("calls", range(4))
async def test_what_a_crash_has_left_the_next_call_does(t, store, monkeypatch, calls):
    """A chain, each made from the one before: dropped from its end, in batches of two."""
    ref = None
    for n in range(6):
        ref = (await t.put(f"a/{n}", f"{n}", sources=[ref] if ref else None)).ref
    await t.set_retention(policy(ALL), by="me")
    monkeypatch.setattr("casstore.limits.RETENTION_BATCH", 2)
    monkeypatch.setattr("casstore.limits.RETENTION_PLAN", 4)
    drop, count = retaining.retention.drop, 0

    async def dying(*arguments):
        nonlocal count
        if count == calls:
            raise Died
        count += 1
        return await drop(*arguments)

    monkeypatch.setattr(retaining.retention, "drop", dying)
    if calls < 3:
        with pytest.raises(Died):
            await t.apply_retention(by="me")
        assert len(await t.trash()) == 2 * calls
        assert await faults(store) == []
        monkeypatch.setattr(retaining.retention, "drop", drop)
    assert (await t.apply_retention(by="me")).dropped == 6 - 2 * min(calls, 3) + (6 if calls >= 3 else 0)
    assert len(await t.trash()) == 6
    assert await faults(store) == []


async def test_what_is_used_or_held_or_decided_otherwise_after_the_look_stays(t, monkeypatch):
    for n in range(6):
        await t.put(f"a/{n}", f"{n}")
    await t.set_retention(policy({"name": "all", "keep": {"accepted": True}}), by="me")
    look = retaining.retention.to_drop

    async def meanwhile(*arguments):
        found = await look(*arguments)
        if arguments[-1] is None:
            await t.hold("a/0@1", "case", by="legal")
            await t.alias("a/1@1", "prod")
            await t.put("b", "made", sources=["a/2@1"])
            await t.transition("a/3@1", "accepted", by="me")
            await t.delete("a/4@1", by="somebody")
        return found

    monkeypatch.setattr(retaining.retention, "to_drop", meanwhile)
    done = await t.apply_retention(by="keeper")
    assert (done.dropped, done.kept_back) == (1, 5)
    assert [(each.ref, each.by) for each in await t.trash()] == [("a/5@1", "keeper"), ("a/4@1", "somebody")]


async def test_a_policy_that_changes_meanwhile_ends_the_call(t, monkeypatch):
    await t.put("a", "1")
    await t.set_retention(policy(ALL), by="me")
    look = retaining.retention.to_drop

    async def meanwhile(*arguments):
        found = await look(*arguments)
        await t.set_retention(policy(), by="me")
        return found

    monkeypatch.setattr(retaining.retention, "to_drop", meanwhile)
    with fails(Conflict, Code.RETENTION_MOVED):
        await t.apply_retention(by="me")
    assert not await t.trash()


async def test_a_hold_waits_for_a_batch_and_a_batch_for_a_hold(t, where, databases):
    """Stopped before its commit on either side: what is dropped had no hold, and what got one is there."""
    a, b = await t.put("a", "1"), await t.put("b", "2")
    await t.set_retention(policy(ALL), by="me")
    hold = "select * from casstore.place_hold(%s, %s, null, null, 'case', 'legal', null)"
    apply = "select casstore.apply_retention(%s, 1, %s::uuid[], 'me')"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for first, second in (
            ((hold, (t.name, "a")), (apply, (t.name, [a.id]))),
            ((apply, (t.name, [b.id])), (hold, (t.name, "b"))),
        ):
            with (
                psycopg.connect(databases.direct(where.catalog)) as one,
                psycopg.connect(databases.direct(where.catalog)) as two,
                psycopg.connect(databases.direct(where.catalog), autocommit=True) as watcher,
            ):
                one.execute(*first)
                asked = pool.submit(two.execute, *second)
                waits = False
                while not waits and not asked.done():
                    (waits,) = watcher.execute(
                        "select cardinality(pg_blocking_pids(%s)) > 0", (two.info.backend_pid,)
                    ).fetchone()
                assert waits
                one.commit()
                asked.result()
                two.commit()
    assert [each.ref for each in await t.trash()] == ["b@1"]


async def test_others_see_nothing_of_it(t, other):
    await t.put("a", "1")
    await t.set_retention(policy(ALL), by="me")
    await other.put("a", "1")
    assert await other.retention() is None
    assert (await other.apply_retention(by="me")).dropped == 0
    assert (await t.apply_retention(by="me")).dropped == 1
    assert (await other.get("a")).version.number == 1


async def test_the_store_is_whole(store: AsyncStore):
    assert await faults(store) == []
