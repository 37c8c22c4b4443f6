"""How versions live and die, in plain Python: what one tenant has, and what keeps it, lets go of it and takes it back.

It is the judge of test_letting_go.py. A verb answers what the store has to answer: the code of a refusal, or what the call
tells. The day is the catalog's clock, which tests move by whole days; what is compared with it ends in half a day, so that the
seconds that a test takes decide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

NAMES = {"a": "sop", "b/c": "note"}  # and their types
HALF = 0.5
Ref = tuple[str, int]


@dataclass
class Made:
    """One version."""

    content: int
    source: Ref | None
    day: float
    order: int
    state: str = "draft"
    expires: float | None = None
    gone: float | None = None  # since which day it is in the trash
    rule: str | None = None  # by which it went there
    purged: bool = False
    erased: bool = False


@dataclass
class Row:
    """A row of the log. Those of one call are undone together."""

    call: int
    op: str
    name: str | None
    number: int | None
    before: int | None = None  # where an alias was
    undone: bool = False


@dataclass(frozen=True)
class Policy:
    """One rule for all of a type, or for all; and when what it dropped is purged."""

    type: str | None = None
    last: int = 0
    days: int = 0
    accepted: bool = False
    purge_days: int | None = None

    def as_given(self) -> dict[str, object]:
        keep: dict[str, object] = {"accepted": True} if self.accepted else {}
        keep |= {"last": self.last} if self.last else {}
        keep |= {"for": seconds(self.days)} if self.days else {}
        rule = {"name": "rule", "keep": keep} | ({"match": {"type": self.type}} if self.type else {})
        return {"rules": [rule]} | ({} if self.purge_days is None else {"purge_after": seconds(self.purge_days)})


def seconds(days: int) -> int:
    """And half a day."""
    return int((days + HALF) * 86400)


@dataclass
class Tenant:
    """What the store has to be like."""

    day: float = 0
    versions: dict[str, list[Made]] = field(default_factory=lambda: {name: [] for name in NAMES})
    aliases: dict[str, int | None] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)
    holds: dict[tuple, bool] = field(default_factory=dict)  # what each was placed on; whether it holds
    policy: Policy | None = None
    log: list[Row] = field(default_factory=list)
    calls: int = 0

    # -- looking ----

    def all(self) -> dict[Ref, Made]:
        return {(name, n): made for name, line in self.versions.items() for n, made in enumerate(line, 1)}

    def at(self, ref: Ref) -> Made | None:
        return self.all().get(ref)

    def refs(self, name: str) -> list[Ref]:
        return [ref for ref in self.all() if ref[0] == name]

    def live(self, name: str) -> list[int]:
        return [n for n, made in enumerate(self.versions[name], 1) if made.gone is None]

    def none(self, ref: Ref) -> str:
        return "version_not_found" if self.versions[ref[0]] else "artifact_not_found"

    def held(self, ref: Ref) -> bool:
        return any(self.holds.get(target) for target in (ref, (ref[0], None), (None, None)))

    def pointed(self, ref: Ref) -> bool:
        return ref[1] in (self.aliases.get(ref[0]), self.tags.get(ref[0]))

    def users(self, refs: list[Ref], *, purge: bool = False) -> bool:
        """Whether anything else that is live (that can come back) was made from one of these."""
        return any(
            made.source in refs and ref not in refs and not (made.purged if purge else made.gone is not None)
            for ref, made in self.all().items()
        )

    def stored(self) -> int:
        return sum({made.content for made in self.all().values() if not (made.purged or made.erased)})

    # -- putting, pointing, accepting ----

    def put(self, name: str, content: int, expect: int | None, source: Ref | None, ttl: int | None = None) -> str | int:
        if source and (self.at(source) is None or self.at(source).gone is not None):
            return self.none(source) if self.at(source) is None else "version_deleted"
        latest = max(self.live(name), default=0)
        if expect not in (None, latest):
            return "head_moved"
        head = self.at((name, latest))
        same = head and not head.erased and head.content == content and source in (None, head.source)
        if not same:
            day = max([self.day, *(made.day for made in self.versions[name])])
            made = Made(content, source, day, sum(map(len, self.versions.values())))
            made.expires = None if ttl is None else day + ttl + HALF
            self.versions[name].append(made)
            latest = len(self.versions[name])
        elif head.expires is not None:
            self.outlive((name, latest), None if ttl is None else self.day + ttl + HALF)
        self.write("put", [(name, latest)])
        return latest

    def outlive(self, ref: Ref, asked: float | None) -> None:
        """A version that is put again lives until the longer of the two is over."""
        made = self.at(ref)
        if asked is None or asked >= made.expires:  # on the same day it is asked for some seconds later
            made.expires = asked
            self.write("expire", [ref])

    def alias(self, ref: Ref) -> str | None:
        if self.at(ref) is None or self.at(ref).gone is not None:
            return self.none(ref) if self.at(ref) is None else "version_deleted"
        return self.move(*ref)

    def unalias(self, name: str) -> str | None:
        if not self.versions[name]:
            return "artifact_not_found"
        return self.move(name, None) if name in self.aliases else "pointer_not_found"

    def move(self, name: str, number: int | None) -> None:
        before = self.aliases.get(name)
        if before != number:
            self.aliases[name] = number
            self.write("alias" if number else "unalias", [(name, number)], before)

    def tag(self, ref: Ref) -> str | None:
        if self.at(ref) is None or self.at(ref).gone is not None:
            return self.none(ref) if self.at(ref) is None else "version_deleted"
        if ref[0] in self.tags:
            return None if self.tags[ref[0]] == ref[1] else "tag_frozen"
        self.tags[ref[0]] = ref[1]
        self.write("tag", [ref])
        return None

    def transition(self, ref: Ref, state: str) -> str | None:
        made = self.at(ref)
        if made is None or made.gone is not None:
            return self.none(ref) if made is None else "version_deleted"
        if made.state == state:
            return None
        if made.state == "obsolete":
            return "bad_transition"
        made.state = state
        self.write(state, [ref])
        return None

    # -- holding ----

    def hold(self, target: tuple) -> str | None:
        if refusal := self.no_target(target):
            return refusal
        if not self.holds.get(target):
            if target[1] and self.at(target).purged:
                return "version_purged"
            self.holds[target] = True
            self.write("hold", [target])
        return None

    def release(self, target: tuple) -> str | None:
        if refusal := self.no_target(target):
            return refusal
        if target not in self.holds:
            return "hold_not_found"
        if self.holds[target]:
            self.holds[target] = False
            self.write("release", [target])
        return None

    def no_target(self, target: tuple) -> str | None:
        name, number = target
        if name and not self.versions[name]:
            return "artifact_not_found"
        return self.none(target) if number and self.at(target) is None else None

    # -- into the trash and back ----

    def delete(self, ref: Ref) -> str | None:
        return self.none(ref) if self.at(ref) is None else self.let_go([ref], one=True)

    def delete_artifact(self, name: str) -> str | None:
        return self.let_go(self.refs(name), one=False) if self.versions[name] else "artifact_not_found"

    def let_go(self, refs: list[Ref], *, one: bool, rule: str | None = None) -> str | None:
        """`one`: it is not all that is live of an artifact, whose aliases and tags would go with it."""
        fresh = [ref for ref in refs if self.at(ref).gone is None]
        if (one and any(map(self.pointed, fresh))) or self.users(refs) or any(map(self.held, fresh)):
            return "still_used"
        after = [made.gone for made in self.all().values() if made.source in refs and made.gone is not None]
        for ref in fresh:
            self.at(ref).gone, self.at(ref).rule = max([self.day, *after]), rule
        self.write("delete", fresh)
        return None

    def undelete(self, ref: Ref) -> str | None:
        return self.none(ref) if self.at(ref) is None else self.back([ref])

    def undelete_artifact(self, name: str) -> str | None:
        return self.back(self.refs(name)) if self.versions[name] else "artifact_not_found"

    def back(self, refs: list[Ref]) -> str | None:
        refs = [ref for ref in refs if not self.at(ref).purged]
        if not refs:
            return "version_purged"
        sources = {self.at(ref).source for ref in refs} - {None, *refs}
        if any(self.at(source).gone is not None for source in sources):
            return "source_deleted"
        gone = [ref for ref in refs if self.at(ref).gone is not None]
        for ref in gone:
            self.at(ref).gone = self.at(ref).rule = None
        self.write("undelete", gone)
        return None

    # -- for ever ----

    def purge(self, ref: Ref) -> str | None:
        return self.none(ref) if self.at(ref) is None else self.purge_all([ref])

    def purge_artifact(self, name: str) -> str | None:
        return self.purge_all(self.refs(name)) if self.versions[name] else "artifact_not_found"

    def purge_all(self, refs: list[Ref]) -> str | None:
        if all(self.at(ref).gone is None for ref in refs):
            return "not_deleted"
        refs = [ref for ref in refs if self.at(ref).gone is not None and not self.at(ref).purged]
        if any(map(self.held, refs)) or self.users(refs, purge=True):
            return "still_used"
        self.destroy(refs)
        return None

    def destroy(self, refs: list[Ref]) -> None:
        for ref in refs:
            self.at(ref).purged = True
        self.write("purge", refs)

    def due(self, days: int | None) -> dict[Ref, Made]:
        """What was deleted so long ago, and a half day; None: at whatever time."""
        since = self.day - (0 if days is None else days + HALF)
        trash = {ref: made for ref, made in self.all().items() if made.gone is not None and not made.purged}
        return {ref: made for ref, made in trash.items() if made.gone <= since}

    def empty_trash(self, days: int | None) -> int:
        """What is held stays, and what that was made from."""
        due = self.due(days)
        kept = {ref for ref, made in self.all().items() if self.held(ref) and not made.purged}
        while more := {self.at(ref).source for ref in kept} - kept - {None}:
            kept |= more
        self.destroy([ref for ref in due if ref not in kept])
        return len(due.keys() - kept)

    def erase_content(self, content: int) -> str | None:
        having = [
            ref for ref, made in self.all().items() if made.content == content and not (made.purged or made.erased)
        ]
        if any(map(self.held, having)):
            return "still_used"
        if not having and not any(made.content == content and made.erased for made in self.all().values()):
            return "content_not_found"
        for ref in having:
            self.at(ref).erased = True
        self.write("erase_content", having)
        return None

    # -- by rules ----

    def expire(self, ref: Ref, days: int | None) -> str | None:
        if self.at(ref) is None:
            return self.none(ref)
        before, self.at(ref).expires = self.at(ref).expires, None if days is None else self.day + days + HALF
        if (before, days) != (None, None):
            self.write("expire", [ref])
        return None

    def set_retention(self, policy: Policy) -> None:
        if self.policy != policy:
            self.policy = policy
            self.write("retention", [(None, None)])

    def verdicts(self) -> dict[Ref, tuple[str | None, bool]]:
        """Of each live version the rule that decides, and whether it is dropped."""
        live = {ref: made for ref, made in self.all().items() if made.gone is None}
        rules = {ref: self.rule_for(ref, made) for ref, made in live.items()}
        kept = {ref for ref in live if self.held(ref) or self.pointed(ref) or self.keeps(ref, rules)}
        while more := {live[ref].source for ref in kept} - kept - {None}:
            kept |= more
        return {ref: (rules[ref], ref not in kept) for ref in live}

    def rule_for(self, ref: Ref, made: Made) -> str | None:
        if made.expires is not None and made.expires <= self.day:
            return "ttl"
        return "rule" if self.policy and self.policy.type in (None, NAMES[ref[0]]) else None

    def keeps(self, ref: Ref, rules: dict[Ref, str | None]) -> bool:
        if rules[ref] != "rule":
            return rules[ref] is None
        newer = [each for each, rule in rules.items() if rule == "rule" and each[0] == ref[0] and each[1] > ref[1]]
        young = self.policy.days and self.at(ref).day > self.day - self.policy.days - HALF
        return (
            len(newer) < self.policy.last or bool(young) or (self.policy.accepted and self.at(ref).state == "accepted")
        )

    def apply_retention(self) -> tuple[int, int]:
        """How many went into the trash, and how many for ever."""
        return self.drop(), self.purge_dropped()

    def drop(self) -> int:
        dropped = {ref: rule for ref, (rule, drops) in self.verdicts().items() if drops}
        for ref in sorted(dropped, key=lambda ref: -self.at(ref).order):
            assert self.let_go([ref], one=True, rule=dropped[ref]) is None
        return len(dropped)

    def purge_dropped(self) -> int:
        if self.policy is None or self.policy.purge_days is None:
            return 0
        purged = 0
        for ref, made in sorted(self.due(self.policy.purge_days).items(), key=lambda each: -each[1].order):
            if made.rule and not self.held(ref) and not self.users([ref], purge=True):
                self.destroy([ref])
                purged += 1
        return purged

    # -- taking back ----

    def write(self, op: str, refs: list[tuple], before: int | None = None) -> None:
        self.calls += 1
        self.log += [Row(self.calls, op, *ref, before) for ref in refs]

    def order_log(self, told: list[tuple]) -> None:
        """As the store tells it, where it tells the same: what two calls do with different artifacts has no order of its own."""
        left, ordered = [*self.log], []
        for each in told:
            found = [row for row in left if (row.op, row.name, row.number) == each][:1]
            ordered += found
            left = [row for row in left if row not in found]
        self.log = ordered + left

    def undo(self, place: int) -> str | None:
        """The operation at this place of the log."""
        row = self.log[place]
        ways = {
            "alias": self.undo_move,
            "unalias": self.undo_move,
            "delete": self.undo_trash,
            "undelete": self.undo_trash,
        }
        ways |= dict.fromkeys(("accepted", "obsolete"), self.undo_step)
        if row.op not in ways:
            return "not_undoable"
        if row.undone:
            return None
        rows = [each for each in self.log if each.call == row.call]
        if refusal := ways[row.op](row, rows):
            return refusal
        for each in rows:
            each.undone = True
        self.write("undo", [(each.name, each.number) for each in rows])
        return None

    def followed(self, rows: list[Row], *ops: str) -> bool:
        """Whether any of these came later, and was not taken back."""
        later = self.log[self.log.index(rows[-1]) + 1 :]
        return any(row.op in ops and row.name == rows[0].name and self.counts(row, rows) for row in later)

    @staticmethod
    def counts(row: Row, rows: list[Row]) -> bool:
        if row.op in ("alias", "unalias"):
            return True
        same = row.number in [each.number for each in rows]
        return same and not (row.undone and row.op in ("accepted", "obsolete"))

    def undo_move(self, row: Row, rows: list[Row]) -> str | None:
        if self.followed(rows, "alias", "unalias"):
            return "undo_superseded"
        if row.before and self.at((row.name, row.before)).gone is not None:
            return "version_deleted"
        return self.move(row.name, row.before)

    def undo_step(self, row: Row, rows: list[Row]) -> str | None:
        made = self.at((row.name, row.number))
        if made.gone is not None:
            return "version_deleted"
        if self.followed(rows, "accepted", "obsolete"):
            return "undo_superseded"
        others = [each for each in self.log if (each.name, each.number) == (row.name, row.number) and each is not row]
        is_still_accepted = row.op == "obsolete" and any(each.op == "accepted" and not each.undone for each in others)
        made.state = "accepted" if is_still_accepted else "draft"
        return None

    def undo_trash(self, row: Row, rows: list[Row]) -> str | None:
        if self.followed(rows, "delete", "undelete", "purge"):
            return "undo_superseded"
        refs = [(each.name, each.number) for each in rows]
        if row.op == "delete":
            return self.back(refs)
        others = set(self.live(row.name)) - {number for _, number in refs}
        return self.let_go(refs, one=bool(others))
