"""What has changed between two BPMN documents: their graphs first, then how they are drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from casstore import limits
from casstore.formats.bpmn.canonical import Canonical
from casstore.formats.bpmn.matching import Matching, by_order, match
from casstore.formats.bpmn.model import Facet, Model, Unit, read
from casstore.formats.bpmn.sentences import called, kind, named, path, quoted, value
from casstore.formats.bpmn.vocabulary import LANE, words
from casstore.formats.comparison import Change, Comparison, deepest

__all__ = ["changed_parts", "compare", "diff", "settled"]

_ENDS: Final = ("sourceRef", "targetRef", "attachedToRef")
_PART_NAMES: Final = {"conditionExpression": "condition", "extensionElements": "extension elements"}


def diff(before: bytes, after: bytes) -> Comparison:
    """Compare two documents; raises Invalid (not_comparable) with the reason."""
    if before == after:
        return Comparison(format="bpmn", depth="same", summary=("The same.",))
    return compare(read(before), read(after))


def compare(before: Model, after: Model) -> Comparison:
    """Compare two documents that were read, and are not the same bytes."""
    comparing, changes, layout = _settled(before, after)
    ids = comparing.ids()
    everything = [*changes, *layout, *ids]
    depth = deepest([*(change.depth for change in everything), "formatting"])
    return Comparison(
        format="bpmn",
        depth=depth,
        changes=tuple(everything[: limits.CHANGES_MAX]),
        total=len(everything),
        summary=tuple(_summary(changes, layout, ids)),
        details=comparing.details(),
    )


def settled(before: Model, after: Model) -> Matching:
    """Which element of one document is which of another, as `compare` tells it."""
    return _settled(before, after)[0].matching


def _settled(before: Model, after: Model) -> tuple[_Comparing, list[Change], list[Change]]:
    comparing = _Comparing(match(before, after))
    changes, layout = comparing.meaning(), comparing.layout()
    as_many = len(before.units) == len(after.units)  # else they cannot be the same graph
    if (changes or layout) and as_many and not comparing.matching.certain():
        orders = Canonical(before), Canonical(after)
        if orders[0].meaning() == orders[1].meaning():  # ids were given to others
            again = _Comparing(by_order(before, after, orders))
            if changes or len(again.layout()) < len(layout):
                return again, again.meaning(), again.layout()
    return comparing, changes, layout


def changed_parts(matching: Matching, old: Unit, new: Unit) -> list[str]:
    """Tags of parts that do not say the same."""
    tags = dict.fromkeys((*new.parts, *old.parts))
    return [tag for tag in tags if old.parts.get(tag) != _mapped(matching, new.parts.get(tag))]


def _mapped(matching: Matching, facet: Facet | None) -> Any:
    if facet is None or not facet[1]:
        return facet
    return facet[0], tuple(matching.back_target(target) for target in facet[1])


class _Comparing:
    """The changes between two models that were matched."""

    def __init__(self, matching: Matching) -> None:
        self.matching = matching
        self._before = matching.before
        self._after = matching.after
        self._pairs = [(self._before.units[old], self._after.units[new]) for old, new in matching.forth.items()]
        self._pairs.sort(key=lambda pair: pair[1].node.start)
        self._rewritten: list[tuple[Unit, Unit]] = []
        self._drawn: list[tuple[Unit, Unit]] = []

    def meaning(self) -> list[Change]:
        """What matters, in the order of the newer document; what is gone comes last."""
        found: list[tuple[int, Change]] = []
        self._rewritten = []
        for old, new in self._pairs:
            changes = list(self._pair(old, new))
            if changes:
                self._rewritten.append((old, new))
                found += ((new.node.start, change) for change in changes)
        for unit in self.matching.added():
            found.append((unit.node.start, self._whole("added", self._after, unit)))
        found.sort(key=lambda pair: pair[0])
        removed = sorted(self.matching.removed(), key=lambda unit: unit.node.start)
        return [change for _, change in found] + [self._whole("removed", self._before, unit) for unit in removed]

    def layout(self) -> list[Change]:
        """What is drawn differently, of elements that are in both."""
        changes = []
        self._drawn = []
        for old, new in self._pairs:
            was = [drawn for drawn, _ in old.drawn]
            now = [_mapped(self.matching, drawn) for drawn, _ in new.drawn]
            if was != now and Counter(was) != Counter(now):
                self._drawn.append((old, new))
                how = _redrawn(old, new)
                who = called(self._after, new) if new.index else "the diagram"
                op: Any = "moved" if how == "was moved" else "changed"
                changes.append(self._change(op, new, f"{who} {how}", depth="layout"))
        return changes

    def ids(self) -> list[Change]:
        """One change for all ids that are others now."""
        others = self._regenerated()
        if not others:
            return []
        text = f"{len(others)} of {len(self._pairs)} elements have other ids, and are the same"
        return [Change(op="changed", path="", what="ids", text=text, depth="formatting")]

    def details(self) -> dict[str, Any]:
        """Numbers, and ids for a drawing."""
        return {
            "counts": {"before": _counts(self._before), "after": _counts(self._after)},
            "before": {
                "removed": [path(unit) for unit in self.matching.removed()],
                "changed": [path(old) for old, _ in self._rewritten],
                "layout": [path(old) for old, _ in self._drawn],
            },
            "after": {
                "added": [path(unit) for unit in self.matching.added()],
                "changed": [path(new) for _, new in self._rewritten],
                "layout": [path(new) for _, new in self._drawn],
            },
            "regenerated": self._regenerated(),
        }

    def _regenerated(self) -> dict[str, str]:
        return {path(old): path(new) for old, new in self._pairs if old.id != new.id}

    @staticmethod
    def _whole(op: Any, model: Model, unit: Unit) -> Change:
        value_ = {"id": unit.id, "type": unit.tag, "name": unit.name}
        side: dict[str, Any] = {"after": value_} if op == "added" else {"before": value_}
        return Change(op=op, path=path(unit), what=kind(unit), text=f"{called(model, unit)} {op}", **side)

    @staticmethod
    def _change(op: Any, unit: Unit, text: str, before: Any = None, after: Any = None, **more: Any) -> Change:
        return Change(
            **{"op": op, "path": path(unit), "what": kind(unit), "text": text, "before": before, "after": after} | more
        )

    def _pair(self, old: Unit, new: Unit) -> Iterator[Change]:
        same = old.tag == new.tag and old.name == new.name and old.attrs == new.attrs
        if same and old.parts.keys() == new.parts.keys() and not self._differ(old, new):
            return
        who = called(self._before, old)
        if kind(old) != kind(new):
            article = "an" if kind(new)[0] in "aeiou" else "a"
            yield self._change("retyped", new, f"{who} became {article} {kind(new)}", kind(old), kind(new))
        if old.name != new.name:
            text = f"{called(self._after, new)} renamed from {quoted(old.name)}" if new.name else f"{who} lost its name"
            if quoted(old.name) == quoted(new.name) and old.name.strip():
                text += " (white space)"
            yield self._change("renamed", new, text, old.name, new.name)
        if new.parent >= 0 and (old.parent < 0 or self.matching.back.get(new.parent) != old.parent):
            place = self._after.units[new.parent]
            yield self._change(
                "moved", new, f"{who} moved into {called(self._after, place)}", self._id(old.parent), path(place)
            )
        yield from self._references(old, new, who)
        yield from self._attributes(old, new, who)
        yield from self._parts(old, new, who)

    def _differ(self, old: Unit, new: Unit) -> bool:
        """Whether these, which are called the same, have other parts, references or places; if in doubt, they do."""
        if old.parent != self.matching.back.get(new.parent, -1) or old.refs.keys() != new.refs.keys():
            return True
        for name, targets in new.refs.items():
            if old.refs[name] != tuple(self.matching.back_target(target) for target in targets):
                return True
        return any(old.parts[tag] != _mapped(self.matching, facet) for tag, facet in new.parts.items())

    def _id(self, index: int) -> str | None:
        return path(self._before.units[index]) if index >= 0 else None

    def _references(self, old: Unit, new: Unit, who: str) -> Iterator[Change]:
        for name in dict.fromkeys((*old.refs, *new.refs)):
            was = old.refs.get(name, ())
            now = tuple(self.matching.back_target(target) for target in new.refs.get(name, ()))
            if sorted(was, key=repr) != sorted(now, key=repr):
                yield self._reference(name, old, new, who)

    def _reference(self, name: str, old: Unit, new: Unit, who: str) -> Change:
        lost, got = self._ends(self._before, old, name), self._ends(self._after, new, name)
        before, after = _listed(lost), _listed(got)
        ids = [path(unit) for unit in lost] or old.attrs.get(name), [path(unit) for unit in got] or new.attrs.get(name)
        if name == LANE:
            text = f"{who} moved to {'lane ' + after if got else 'no lane'} from {'lane ' + before if lost else 'none'}"
            return self._change("moved", new, text, *ids)
        verbs = {"sourceRef": "now comes from", "targetRef": "now goes to", "attachedToRef": "is now attached to"}
        after = after if got else quoted(new.attrs.get(name, "nothing"))
        before = before if lost else quoted(old.attrs.get(name, "nothing"))
        if name in _ENDS:
            return self._change("rewired", new, f"{who} {verbs[name]} {after} instead of {before}", *ids)
        return self._change("rewired", new, f"{who}: {_label(name)} is now {after} instead of {before}", *ids)

    @staticmethod
    def _ends(model: Model, unit: Unit, name: str) -> list[Unit]:
        return [model.units[index] for index, _ in unit.refs.get(name, ())]

    def _attributes(self, old: Unit, new: Unit, who: str) -> Iterator[Change]:
        for name in sorted(old.attrs.keys() | new.attrs.keys()):
            was, now = old.attrs.get(name), new.attrs.get(name)
            if was != now and name not in old.refs and name not in new.refs:
                said = [quoted(each) if each is not None else "nothing" for each in (was, now)]
                yield self._change(
                    "changed", new, f"{who}: {_label(name, new)} changed from {said[0]} to {said[1]}", was, now
                )

    def _parts(self, old: Unit, new: Unit, who: str) -> Iterator[Change]:
        for tag in changed_parts(self.matching, old, new):
            if kind(old) != kind(new) and tag.endswith("EventDefinition") and (tag in old.parts) != (tag in new.parts):
                continue  # told as another kind of event
            nodes = [[child for child in unit.node.children if child.tag == tag] for unit in (old, new)]
            was, now = map(value, nodes)
            op = "changed" if all(nodes) else "added" if nodes[1] else "removed"
            label = _label(tag)
            text = f"{label} of {who} {op}"
            if isinstance(was, str) and isinstance(now, str) and op == "changed":
                text += f" from {quoted(was)} to {quoted(now)}"
            elif isinstance(now, str) and op == "added":
                text += f": {quoted(now)}"
            yield self._change(op, new, text, was, now, what=label)


def _label(name: str, unit: Unit | None = None) -> str:
    uri, _, local = name[1:].rpartition("}")
    prefix = unit.node.scope.prefix(uri) if unit and uri else None
    return f"{prefix}:{local}" if prefix else _PART_NAMES.get(name) or words(name.removesuffix("Ref"))


def _listed(units: Iterable[Unit]) -> str:
    return ", ".join(map(named, units))


def _counts(model: Model) -> dict[str, int]:
    return dict(sorted(Counter(unit.tag for unit in model.units).items()))


def _redrawn(old: Unit, new: Unit) -> str:
    """How the drawing of an element changed."""
    if not (old.drawn and new.drawn):
        return "is drawn now" if new.drawn else "is not drawn any more"
    bounds = [
        [child.attrs for _, shape in unit.drawn for child in shape.children if child.tag.endswith("}Bounds")]
        for unit in (old, new)
    ]
    if len(bounds[0]) == len(bounds[1]) > 0 and bounds[0] != bounds[1]:
        sizes = [[(each.get("width"), each.get("height")) for each in side] for side in bounds]
        return "was moved" if sizes[0] == sizes[1] else "was resized"
    return "is drawn differently"


_SENTENCES: Final = 5  # of changes in a summary


def _summary(changes: list[Change], layout: list[Change], ids: list[Change]) -> Iterator[str]:
    if changes:
        yield from (change.text for change in changes[:_SENTENCES])
        if len(changes) > _SENTENCES:
            by_op = Counter(change.op for change in changes)
            yield f"in all {', '.join(f'{number} {op}' for op, number in by_op.most_common())}"
    if layout:
        what = "1 element is" if len(layout) == 1 else f"{len(layout)} elements are"
        yield f"{'Layout' if changes else 'Layout only'}: {what} drawn differently."
    if not changes and not layout:
        yield "Nothing but formatting."
    for change in ids:
        yield change.text[0].upper() + change.text[1:] + "."
