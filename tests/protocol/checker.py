"""Every world that can come about, breadth first: the first that breaks a law is reached by a shortest trace."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from tests.protocol.model import Collector, Putter, Reader, Row, Rules, World, generations, instants, rows


class Bounds(NamedTuple):
    """How much may happen in one world."""

    putters: int = 2
    puts: int = 1  # of each
    collectors: int = 1
    looks: int = 2  # at the ledger, of each collector
    crashes: int = 1
    purges: int = 1
    damages: int = 0
    delays: int = 0
    power_cuts: int = 0
    repairs: int = 0


class Result(NamedTuple):
    worlds: int
    broken: str  # the law; "" when every world keeps all of them
    trace: tuple[str, ...]  # how it comes about

    def __str__(self) -> str:
        steps = "\n".join(f"  {number}. {step}" for number, step in enumerate(self.trace, 1))
        return f"{self.worlds} worlds; {self.broken or 'no law is broken'}\n{steps}"


def beginnings(bounds: Bounds) -> Iterator[tuple[str, World]]:
    """Nothing; a version; bytes that nobody needs; an object that nobody knows."""
    putters = (Putter(left=bounds.puts),) * bounds.putters + (Putter(left=1, heals=True),) * bounds.repairs
    collectors = (Collector(left=bounds.looks),) * bounds.collectors
    world = World(None, 0, 0, putters, collectors, Reader(bounds.damages))
    world = world._replace(
        **{name: getattr(bounds, name) for name in ("crashes", "purges", "damages", "delays", "power_cuts")}
    )
    live = Row("l", 1, 1, at=1)
    yield "there is nothing", world
    yield "there is a version", world._replace(row=live, object=1, references=1, next=2, safe=(live, 2))
    yield "there are bytes without a version", world._replace(row=live, object=1, next=2, safe=(live, 2))
    yield "there is an object without a row", world._replace(object=1)


def check(bounds: Bounds, *flaws: str) -> Result:
    """Look at every world within the bounds."""
    rules, future = Rules(*flaws), Future(*flaws)
    seen: dict[World, tuple[World | None, str]] = {}
    layer: list[World] = []
    for name, world in beginnings(bounds):
        if canonical(world) not in seen:
            seen[canonical(world)] = None, name
            layer.append(canonical(world))
    while layer:
        following: list[World] = []
        for world in layer:
            steps = list(rules.steps(world))
            broken = law(world) or future.stuck(world) or deadlock(world, steps)
            if broken:
                return Result(len(seen), broken, told(seen, world))
            for name, raw in steps:
                after = canonical(raw)
                if after not in seen:
                    seen[after] = world, name
                    following.append(after)
        layer = following
    return Result(len(seen), "", ())


def told(seen: dict[World, tuple[World | None, str]], world: World | None) -> tuple[str, ...]:
    steps = []
    while world is not None:
        before, name = seen[world]
        steps.append(f"{name}  [{shown(world)}]")
        world = before
    return tuple(reversed(steps))


def shown(world: World) -> str:
    row = world.row
    told_row = f"{row.state} ticket {row.ticket} generation {row.generation} dead {row.dead}" if row else "no row"
    return f"{told_row}; object {world.object}; references {world.references}"


# -- the laws ------------------------------------------------------------------------------------------------------------


def law(world: World) -> str:
    """The law of every single moment that this one breaks."""
    row = world.row
    if world.alarm:
        return world.alarm
    if row and world.references and not row.domain:
        return "the blob of a version is in a domain that nobody knows"
    if row and row.state == "l" and row.generation == world.told != 0:
        return "the ledger believes again in what it was told is bad"
    return broken_promise(world) if world.references else ""


def broken_promise(world: World) -> str:
    """What is wrong for those who hold a version."""
    row = world.row
    if row is None:
        return "a version refers to a row that is not there"
    if row.state in "cd":
        return f"the blob of a version is {'condemned' if row.state == 'c' else 'being deleted'}"
    if row.state == "p":
        return "" if world.hurt else "the blob of a version is pending, and nobody has doubted it"
    gone = row.generation not in (world.object, world.hurt)
    return "the object of a version is gone, or another than the ledger says" if gone else ""


def deadlock(world: World, steps: list[tuple[str, World]]) -> str:
    """Somebody has work and nobody can go on."""
    waiting = any(
        p.pc not in ("idle", "failed", "dead") or (p.pc == "idle" and p.left and not p.heals) for p in world.putters
    )
    waiting = waiting or any(c.pc not in ("idle", "dead") for c in world.collectors)
    return "everybody waits" if waiting and not steps else ""


class Future:
    """What comes of a blob when everybody who is at work on it dies now."""

    def __init__(self, *flaws: str) -> None:
        self.rules = Rules(*flaws)
        self.judge = lru_cache(maxsize=None)(self._judge)

    def stuck(self, world: World) -> str:
        row = world.row and world.row._replace(leased=False, at=1)
        if row and row.state in "lc" and row.generation == world.hurt != 0:  # a reader or a check finds it one day
            row = Row("p", world.next, 0, world.object, domain=row.domain)
        return self.judge(row, world.object, min(world.references, 1), world.next)

    def _judge(self, row: Row | None, object_: int, references: int, following: int) -> str:
        empty = World(row, object_, references, (), (), next=following)
        put = self.alone(empty._replace(putters=(Putter(),)))
        done = (
            put.references == references + 1 and put.row and put.row.state == "l" and put.row.generation == put.object
        )
        if not done:
            return "a put of these bytes can never succeed"
        if references:
            return ""
        for _ in range(3):
            empty = self.alone(empty._replace(collectors=(Collector(),)))
            if empty.row:
                empty = empty._replace(row=empty.row._replace(leased=False))
            empty = self.alone(empty._replace(collectors=(Collector(),)))
        return "" if empty.row is None and not empty.object else "what nobody needs never goes"

    def alone(self, world: World) -> World:
        """One client to its end, with nothing else happening."""
        while steps := [after for name, after in self.rules.steps(world) if name.startswith(("putter", "collector"))]:
            world = steps[0]
        return world._replace(putters=(), collectors=())


# -- worlds that differ in names only are one ------------------------------------------------------------------------------


def canonical(world: World) -> World:
    """The same world with small numbers, and with clients who are alike in a fixed order."""
    made = {number: place for place, number in enumerate(sorted(generations(world)))}
    when = {number: place for place, number in enumerate(sorted(instants(world)))}
    tickets = sorted({0, world.next, world.safe[1], *ticket_numbers(world)})
    drawn = {number: place for place, number in enumerate(tickets)}

    def row(it: Row | None) -> Row | None:
        return it and it._replace(
            ticket=drawn[it.ticket], generation=made[it.generation], dead=made[it.dead], at=when[it.at]
        )

    putters = [
        p._replace(
            ticket=drawn[p.ticket],
            dead=made[p.dead],
            generation=made[p.generation],
            mine=row(p.mine),
            seen=row(p.seen),
            saw=made[p.saw],
        )
        for p in world.putters
    ]
    collectors = [
        Collector(c.pc, c.left, when[c.at], drawn[c.claim], made[c.dead], made[c.found], c.blind)
        for c in world.collectors
    ]
    late = sorted((verb, made[number]) for verb, number in world.late)
    return World(
        row(world.row),
        made[world.object],
        world.references,
        tuple(sorted(putters, key=repr)),
        tuple(sorted(collectors)),
        Reader(world.reader.left, made[world.reader.saw]),
        tuple(late),
        world.crashes,
        world.purges,
        world.damages,
        world.delays,
        world.power_cuts,
        made[world.hurt],
        made[world.told],
        drawn[world.next],
        (row(world.safe[0]), drawn[world.safe[1]]),
        world.alarm,
    )


def ticket_numbers(world: World) -> set[int]:
    held = {row.ticket for row in rows(world)} | {p.ticket for p in world.putters}
    return held | {c.claim for c in world.collectors}
