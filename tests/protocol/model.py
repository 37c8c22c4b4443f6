"""The life of one blob as plain values: its row in the ledger, its object, and everybody who works on the two.

A step is what nobody can see half of: one request to the object store, or one piece of a transaction between two points at
which it may have to wait. So a call of a putter is two steps (pin: the locks are got; commit: what it wrote can be seen), a mark
and a claim of a collector likewise (lock, then look and commit). Every rule is that of the function of its name in sql/migrations
or of casstore/operations; a *flaw* takes one piece of it away. There is no clock: a lease may end, a quarantine be over and a
collector be taken for dead at any moment.

Numbers are names: 0 is none, and what counts of tickets, generations and instants is whether two are the same.

Tenants that share a blob are putters whose versions are counted together; those in different isolation domains share none, for
equal bytes have different digests there. What a row knows of the domain is whether it is that of the putters: a collector that
finds an object without a row makes one of which nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

ROUNDS = 3  # of uploads in one put; the product has a few more


class Row(NamedTuple):
    """A row of casstore.blobs."""

    state: str  # p, l, c, d
    ticket: int  # incarnation
    generation: int = 0
    dead: int = 0
    leased: bool = False  # lease_until is in the future
    at: int = 0  # state_at
    domain: bool = True  # that of the putters; False: nobody knows


class Putter(NamedTuple):
    """Who puts a version; or, with `heals`, who looks whether the object is good, and gives the blob its bytes if it is not."""

    pc: str = "idle"  # idle, pinned, reserved, uploaded, failed, dead; looked, read, healing
    left: int = 1  # puts, or repairs, to do
    ticket: int = 0
    dead: int = 0
    generation: int = 0  # of its upload
    mine: Row | None = None  # written, and not yet committed
    refers: bool = False  # this transaction will make the version
    rounds: int = 0
    heals: bool = False
    seen: Row | None = None  # as a repair has found it
    needed: bool = False  # whether there was a version then
    saw: int = 0  # the generation that the repair has read
    good: bool = False


class Collector(NamedTuple):
    pc: str = "idle"  # idle, orphan, mark, marking, delete, claiming, claimed, stat, target, deleting, gone, dead
    left: int = 1  # looks at the ledger to do
    at: int = 0  # the state_at that was planned
    claim: int = 0
    dead: int = 0
    found: int = 0  # a generation without a row, or of an object that nobody knew
    blind: bool = False  # it looked for references before it had the lock, and saw none


class Reader(NamedTuple):
    left: int = 0
    saw: int = 0  # the generation that it read and found altered


class World(NamedTuple):
    row: Row | None
    object: int  # the generation of the object
    references: int  # versions that were acknowledged and not purged
    putters: tuple[Putter, ...]
    collectors: tuple[Collector, ...]
    reader: Reader = Reader()
    late: tuple[tuple[str, int], ...] = ()  # requests that will arrive although nobody waits for them any more
    crashes: int = 0  # how many more there may be, of this and of the following
    purges: int = 0
    damages: int = 0
    delays: int = 0
    power_cuts: int = 0
    hurt: int = 0  # the generation that was altered or lost behind the store's back
    told: int = 0  # the same, when the ledger has been told
    next: int = 1  # ticket
    safe: tuple[Row | None, int] = (
        None,
        1,
    )  # row and next ticket that outlive a power cut: reservations are not waited for
    alarm: str = ""  # what went wrong in the last step, if a rule of its own says so


Step = tuple[str, World]


class Rules:
    """Who may do what. `flaws` are the pieces that are missing; none is the protocol."""

    def __init__(self, *flaws: str) -> None:
        self.flaws = frozenset(flaws)

    def lacks(self, piece: str) -> bool:
        return piece in self.flaws

    def steps(self, world: World) -> Iterator[Step]:
        """Everything that can happen next."""
        for place, putter in enumerate(world.putters):
            for name, after in self.put(world, place, putter):
                yield f"putter {place + 1}: {name}", after
        for place, collector in enumerate(world.collectors):
            for name, after in self.collect(world, place, collector):
                yield f"collector {place + 1}: {name}", after
        yield from self.read(world)
        yield from self.happen(world)

    # -- locks ----

    def held_for_update(self, world: World) -> bool:
        """A collector is between its lock and its commit."""
        return any(c.pc in ("marking", "claiming") for c in world.collectors) and not self.lacks(
            "lock of the collector"
        )

    def being_written(self, world: World) -> bool:
        return any(p.pc == "pinned" and p.mine for p in world.putters)

    def pinned(self, world: World) -> bool:
        """KEY SHARE, or more, is held by a putter."""
        return any(p.pc == "pinned" and (p.mine or not self.lacks("lock of the put")) for p in world.putters)

    # -- a putter: casstore/operations/put.py and pin_blobs ----

    def put(self, world: World, place: int, putter: Putter) -> Iterator[Step]:
        def become(**changes: object) -> tuple[Putter, ...]:
            return (*world.putters[:place], putter._replace(**changes), *world.putters[place + 1 :])

        match putter.pc:
            case "idle" if putter.heals:
                yield from self.look(world, putter, become)
            case "looked" | "read":
                yield from self.mend(world, putter, become)
            case "idle" | "healing" | "uploaded" if self.may_pin(world, putter):
                after = self.pin(world, putter)
                if after is None:
                    return
                mine, refers, following = after
                told = f"pins, finds it {world.row.state if world.row else 'unknown'}"
                putters = become(pc="pinned", mine=mine, refers=refers)
                yield told, world._replace(putters=putters, next=following)
            case "pinned":
                yield from self.commit(world, putter, become)
            case "reserved":
                dead = 0 if self.lacks("dead of an upload") else putter.dead
                object_, following = placed(world, dead)
                done = become(pc="uploaded", generation=object_)
                yield f"uploads, gets generation {object_}", following._replace(putters=done)
                if world.delays:
                    late = (*world.late, ("put", dead))
                    yield (
                        "uploads, and once more, later",
                        following._replace(putters=done, late=late, delays=world.delays - 1),
                    )

    def may_pin(self, world: World, putter: Putter) -> bool:
        return (putter.left > 0 or putter.pc in ("healing", "uploaded")) and not self.held_for_update(world)

    def pin(self, world: World, putter: Putter) -> tuple[Row | None, bool, int] | None:
        """What it writes, whether the version can be made, and the next ticket; None: it waits for another putter."""
        row = world.row
        if row and (row.state == "l" or (self.lacks("state of a known row") and not putter.ticket)):
            return None, row.domain, world.next
        if self.being_written(world):
            return None
        at = fresh_instant(world)
        if row is None:
            return Row("p", world.next, leased=True, at=at), False, world.next + 1
        if putter.pc == "uploaded" and row.state == "p":
            holds = putter.ticket == row.ticket or self.lacks("ticket")
            if holds and (row.dead != putter.generation or self.lacks("dead of a settlement")):
                domain = row.domain if self.lacks("domain of a settlement") else True
                mine = row._replace(state="l", generation=putter.generation, dead=0, leased=False, at=at, domain=domain)
                return mine, True, world.next
        if row.state == "c" and row.generation and row.domain:
            return row._replace(state="l", leased=False, at=at), True, world.next
        keeps = row.state == "p" or self.lacks("new ticket of a take-over")
        dead = 0 if self.lacks("dead of a take-over") else row.dead
        domain = row.domain if self.lacks("domain of a reservation") else True
        mine = Row("p", row.ticket if keeps else world.next, 0, dead, leased=True, at=at, domain=domain)
        return mine, False, world.next + (not keeps)

    def commit(self, world: World, putter: Putter, become) -> Iterator[Step]:
        if self.held_for_update(world) and not putter.mine:  # only where it has no lock: its foreign key asks for one
            return
        row = putter.mine or world.row
        done = {"mine": None, "refers": False, "ticket": 0, "dead": 0, "generation": 0, "rounds": 0}
        if putter.refers:
            if row is None:
                yield "is refused by the foreign key", world._replace(putters=become(pc="failed", **done))
                return
            putters = become(pc="idle", left=putter.left - (not putter.heals), **done)
            after = world._replace(row=row, putters=putters, references=world.references + (not putter.heals))
            yield "has healed it" if putter.heals else "commits its version", durable(after)
        elif putter.rounds == ROUNDS:
            yield "gives up", world._replace(row=row, putters=become(pc="failed", **done))
        else:
            assert row
            got = {"ticket": row.ticket, "dead": row.dead, "rounds": putter.rounds + 1}
            after = world._replace(row=row, putters=become(pc="reserved", **done | got))
            yield "reserves", after  # and nobody waits for the disk

    # -- a repair: casstore/operations/repairing.py, trust_blob and distrust_blob; its bytes come in as those of a put ----

    def look(self, world: World, it: Putter, become) -> Iterator[Step]:
        """It reads the row, then the object."""
        if it.left and world.row:
            looked = become(pc="looked", left=it.left - 1, seen=world.row, needed=world.references > 0)
            yield f"looks, finds it {world.row.state}", world._replace(putters=looked)

    def mend(self, world: World, it: Putter, become) -> Iterator[Step]:
        seen, idle = it.seen, {"pc": "idle", "seen": None, "needed": False, "saw": 0, "good": False}
        if it.pc == "looked":
            good = world.object not in (0, world.hurt)
            told = "nothing" if not world.object else "good bytes" if good else "bad bytes"
            yield f"reads {told}", world._replace(putters=become(pc="read", saw=world.object, good=good))
        elif not (it.needed or seen.generation) or (it.good and (seen.state, seen.generation) == ("l", it.saw)):
            yield "has nothing to mend", world._replace(putters=become(**idle))
        elif it.good and (self.lacks("dead of a trust") or seen.state != "d") and self.may_be_alive(seen, it):
            if not self.locked(world):
                yield from self.trust(world, it, world._replace(putters=become(**idle)))
        elif it.good or not (seen.generation or (seen.state == "p" and it.saw not in (0, seen.dead))):
            yield "goes to heal it", world._replace(putters=become(**idle | {"pc": "healing" if it.needed else "idle"}))
        elif not self.locked(world):
            healing = become(**idle | {"pc": "healing" if it.needed else "idle"})
            yield from self.distrust(world, it, world._replace(putters=healing))

    def locked(self, world: World) -> bool:
        return self.held_for_update(world) or self.being_written(world)

    def may_be_alive(self, row: Row, it: Putter) -> bool:
        """Nobody may be deleting this generation, and nobody has found it bad."""
        return row.dead != it.saw or self.lacks("dead of a trust")

    def is_as_seen(self, row: Row | None, seen: Row, flaw: str) -> bool:
        return row is not None and (
            self.lacks(flaw) or ((row.ticket, row.at) == (seen.ticket, seen.at) and row.state != "d")
        )

    def trust(self, world: World, it: Putter, after: World) -> Iterator[Step]:
        row = world.row
        if self.is_as_seen(row, it.seen, "row of a trust") and self.may_be_alive(row, it):
            row = row._replace(state="l", generation=it.saw, dead=0, leased=False, at=fresh_instant(world))
            yield "believes in what it read", durable(after._replace(row=row))
        else:
            yield "may not believe in what it read", after

    def distrust(self, world: World, it: Putter, after: World) -> Iterator[Step]:
        row = world.row
        if self.is_as_seen(row, it.seen, "row of a distrust"):
            alarm = (
                "a good object is doubted"
                if (row.state, row.generation) == ("l", world.object) and row.generation != world.hurt
                else ""
            )
            dead = row.dead if self.lacks("dead of a distrust") else it.saw or row.dead
            row = Row("p", world.next, 0, dead, at=fresh_instant(world), domain=row.domain)
            after = after._replace(row=row, next=world.next + 1, told=world.hurt, alarm=alarm)
            yield "tells the ledger what it read", durable(after)
        else:
            yield "tells the ledger too late", after

    # -- a collector: casstore/operations/collecting.py and the functions gc_… ----

    def collect(self, world: World, place: int, it: Collector) -> Iterator[Step]:
        def become(**changes: object) -> World:
            collectors = (*world.collectors[:place], it._replace(**changes), *world.collectors[place + 1 :])
            return world._replace(collectors=collectors)

        idle = {"pc": "idle", "at": 0, "claim": 0, "dead": 0, "found": 0, "blind": False}
        match it.pc:
            case "idle" if it.left:
                yield from self.plan(world, it.left - 1, become)
            case "orphan" if self.lacks("row of an orphan"):
                yield "deletes the orphan", erased(become(**idle), it.found)
            case "orphan" if world.row or not self.being_written(world):  # else it waits for the row that is being made
                row = world.row or Row("p", world.next, at=fresh_instant(world), domain=world.references > 0)
                yield (
                    "registers the orphan",
                    durable(become(**idle)._replace(row=row, next=world.next + (not world.row))),
                )
            case "mark" | "delete":
                yield from self.lock(world, it, become, idle)
            case "marking":
                yield from self.mark(world, it, become(**idle))
            case "claiming":
                yield from self.claim(world, it, become, idle)
            case "claimed" | "stat" | "target" | "deleting" | "gone":
                yield from self.sweep(world, it, become, idle)

    def plan(self, world: World, left: int, become) -> Iterator[Step]:
        row = world.row
        if row is None:
            if world.object:
                yield "finds an orphan", become(pc="orphan", left=left, found=world.object)
        elif row.state in "cd":
            yield f"plans to delete ({row.state})", become(pc="delete", left=left, at=row.at)
        elif world.references == 0 and (row.state == "l" or not row.leased or self.lacks("lease")):
            yield f"plans to condemn ({row.state})", become(pc="mark", left=left, at=row.at)

    def lock(self, world: World, it: Collector, become, idle) -> Iterator[Step]:
        """`for update skip locked`, of a row that is as it was planned."""
        row = world.row
        as_planned = row and (row.at == it.at or self.lacks("plan"))
        fits = row and (
            row.state in "cd" if it.pc == "delete" else row.state == "l" or (row.state == "p" and not row.leased)
        )
        fits = fits or (row and it.pc == "mark" and row.state == "p" and self.lacks("lease"))
        locked = self.pinned(world) or self.held_for_update(world)
        if self.lacks("lock of the collector"):
            locked = False
        following = "marking" if it.pc == "mark" else "claiming"
        if not (as_planned and fits) or locked:
            yield "passes it by", become(**idle)
        elif self.lacks("look after the lock") and not it.blind:
            yield "looks, and has no lock yet", become(blind=True) if world.references == 0 else become(**idle)
        else:
            yield "locks", become(pc=following)

    def unreferenced(self, world: World, it: Collector, piece: str) -> bool:
        return world.references == 0 or it.blind or self.lacks(piece) or self.lacks("look")

    def mark(self, world: World, it: Collector, after: World) -> Iterator[Step]:
        row = world.row
        if self.lacks("lock of the collector") and self.being_written(world):
            return
        if row and row.state in "pl" and self.unreferenced(world, it, "look of the mark"):
            alarm = "the lease of an upload was broken" if row.leased else ""
            row = row._replace(state="c", leased=False, at=fresh_instant(world))
            yield "condemns", durable(after._replace(row=row, alarm=alarm))
        else:
            yield "sees a reference", after

    def claim(self, world: World, it: Collector, become, idle) -> Iterator[Step]:
        row = world.row
        if self.lacks("lock of the collector") and self.being_written(world):
            return
        if row is None:
            yield "finds no row", become(**idle)
        elif self.unreferenced(world, it, "look of the claim"):
            ticket = row.ticket if self.lacks("new ticket of a claim") else world.next
            row = row._replace(
                state="d",
                ticket=ticket,
                generation=0,
                dead=row.generation or row.dead,
                leased=False,
                at=fresh_instant(world),
            )
            alarm = "a quarantine was cut short" if it.at != (world.row.at if world.row else 0) else ""
            mine = become(pc="claimed", claim=row.ticket, dead=row.dead, at=0, blind=False)._replace(alarm=alarm)
            if self.lacks("object before row"):
                yield "claims, forgets the row", durable(mine._replace(row=None, next=world.next + 1))
                return
            yield "claims", durable(mine._replace(row=row, next=world.next + (ticket == world.next)))
        else:
            live = row.state == "c" and row.generation
            row = row._replace(state="l", at=fresh_instant(world)) if live else row
            yield "sees a reference", durable(become(**idle)._replace(row=row))

    def sweep(self, world: World, it: Collector, become, idle) -> Iterator[Step]:
        row = world.row
        claimed = row is not None and (row.state == "d" or self.lacks("state of a claim"))
        holds = claimed and row.ticket == it.claim
        match it.pc:
            case "claimed" if it.dead:
                goal = world.object if self.lacks("generation of a delete") else it.dead
                yield from self.delete(world, goal, become, "gone" if world.object == goal else "stat")
            case "claimed" | "stat":
                found = world.object
                yield f"looks, finds {found or 'nothing'}", become(pc="target" if found else "gone", found=found)
            case "target" if not self.being_written(world) and not self.held_for_update(world):
                if holds:
                    yield (
                        "writes down its target",
                        durable(become(pc="deleting")._replace(row=row._replace(dead=it.found))),
                    )
                elif self.lacks("claim of a target") or self.lacks("object before row"):
                    yield "believes in its target", become(pc="deleting")
                else:
                    yield "has lost its claim", become(**idle)
            case "deleting":
                yield from self.delete(world, it.found, become, "gone")
            case "gone" if not self.pinned(world) and not self.held_for_update(world):
                if holds or (row and row.state == "d" and self.lacks("claim of the end")):
                    alarm = "a version refers to the row that goes" if world.references else ""
                    yield "removes the row", durable(become(**idle)._replace(row=None, alarm=alarm))
                else:
                    yield "has lost its claim", become(**idle)

    def delete(self, world: World, generation: int, become, following: str) -> Iterator[Step]:
        name = f"deletes generation {generation}"
        yield name, erased(become(pc=following), generation)
        if world.delays:
            late = (*world.late, ("delete", generation))
            yield (
                f"{name}, and once more, later",
                erased(become(pc=following), generation)._replace(late=late, delays=world.delays - 1),
            )

    # -- a reader, and what nobody does on purpose ----

    def read(self, world: World) -> Iterator[Step]:
        reader, row = world.reader, world.row
        if reader.left and world.references and world.object and world.object == world.hurt:
            yield "the reader finds the bytes altered", world._replace(reader=Reader(reader.left - 1, world.object))
        if reader.left and world.references and row and row.state == "l" and not world.object:
            yield "the reader finds no object", self.doubted(world, 0)._replace(reader=Reader(reader.left - 1))
        if reader.saw and not self.held_for_update(world) and not self.being_written(world):
            yield "the reader tells the ledger", self.doubted(world, reader.saw)._replace(reader=Reader(reader.left))

    def doubted(self, world: World, bad: int) -> World:
        """doubt_blob."""
        row = world.row
        if not (row and row.state == "l" and world.references):
            return world
        row = row._replace(
            state="p",
            ticket=world.next,
            generation=0,
            dead=0 if self.lacks("dead of a doubt") else bad,
            leased=False,
            at=fresh_instant(world),
        )
        return durable(world._replace(row=row, next=world.next + 1, told=world.hurt))

    def happen(self, world: World) -> Iterator[Step]:
        row = world.row
        if row and row.leased and not self.being_written(world):
            yield "the lease ends", world._replace(row=row._replace(leased=False))
        if world.references and world.purges:
            yield (
                "a version is purged",
                durable(world._replace(references=world.references - 1, purges=world.purges - 1)),
            )
        if world.damages and world.object and row and row.state == "l" and world.references:
            hurt = world._replace(hurt=world.object, damages=world.damages - 1)
            yield "the object is altered", hurt
            yield "the object is lost", hurt._replace(object=0)
        for place, (verb, generation) in enumerate(world.late):
            rest = world._replace(late=world.late[:place] + world.late[place + 1 :])
            after = placed(rest, generation)[1] if verb == "put" else erased(rest, generation)
            yield f"a late {verb} ({generation}) arrives", after
        if world.crashes:
            yield from self.crash(world._replace(crashes=world.crashes - 1))
        if world.power_cuts:
            yield "the power fails", power_cut(world, keeps_numbers=not self.lacks("numbers given once"))

    def crash(self, world: World) -> Iterator[Step]:
        """A crash in the middle of a request: it may still arrive."""
        for place, putter in enumerate(world.putters):
            if putter.pc != "dead" and (putter.pc != "idle" or putter.left):
                putters = (*world.putters[:place], Putter("dead", 0, heals=putter.heals), *world.putters[place + 1 :])
                yield f"putter {place + 1} dies", world._replace(putters=putters)
                if putter.pc == "reserved":
                    late = (*world.late, ("put", putter.dead))
                    yield (
                        f"putter {place + 1} dies, its upload arrives later",
                        world._replace(putters=putters, late=late),
                    )
        for place, it in enumerate(world.collectors):
            if it.pc not in ("idle", "dead"):
                collectors = (*world.collectors[:place], Collector("dead", 0), *world.collectors[place + 1 :])
                yield f"collector {place + 1} dies", world._replace(collectors=collectors)
                goal = {"claimed": it.dead, "deleting": it.found}.get(it.pc)
                if goal:
                    late = (*world.late, ("delete", goal))
                    yield (
                        f"collector {place + 1} dies, its delete arrives later",
                        world._replace(collectors=collectors, late=late),
                    )


def placed(world: World, dead: int) -> tuple[int, World]:
    """`BlobStore.put`: create-only, and with `dead` in the place of that generation."""
    if world.object in (0, dead):
        world = world._replace(object=fresh_generation(world))
    return world.object, world


def erased(world: World, generation: int) -> World:
    """`BlobStore.delete`."""
    return world._replace(object=0) if world.object == generation else world


def durable(world: World) -> World:
    """A commit that was waited for; all before it are on disk too."""
    return world._replace(safe=(world.row, world.next)) if world.power_cuts else world


def power_cut(world: World, *, keeps_numbers: bool) -> World:
    """The database comes back without reservations of late, also the numbers they drew. Clients go on."""
    row, following = world.safe
    following = world.next if keeps_numbers else following
    putters = tuple(
        p._replace(pc=beginning_of(p), mine=None, refers=False) if p.pc == "pinned" else p for p in world.putters
    )
    collectors = tuple(Collector("idle", c.left) if c.pc in ("marking", "claiming") else c for c in world.collectors)
    return world._replace(row=row, next=following, putters=putters, collectors=collectors, power_cuts=0, safe=(None, 1))


def beginning_of(putter: Putter) -> str:
    """Where a putter is again whose call was cut off."""
    return "uploaded" if putter.ticket else "healing" if putter.heals else "idle"


def rows(world: World) -> list[Row]:
    """All that anybody knows, remembers or has written."""
    mine = (row for putter in world.putters for row in (putter.mine, putter.seen))
    return [row for row in (world.row, world.safe[0], *mine) if row]


def generations(world: World) -> set[int]:
    """Those that anybody knows of."""
    known = {world.object, world.hurt, world.told, world.reader.saw, *(number for _, number in world.late)}
    for row in rows(world):
        known |= {row.generation, row.dead}
    for putter in world.putters:
        known |= {putter.generation, putter.dead, putter.saw}
    for it in world.collectors:
        known |= {it.dead, it.found}
    return known


def instants(world: World) -> set[int]:
    return {row.at for row in rows(world)} | {it.at for it in world.collectors} | {0}


def fresh_generation(world: World) -> int:
    return max(generations(world)) + 1


def fresh_instant(world: World) -> int:
    return max(instants(world)) + 1
