"""How drift is counted: at a new shape, one in a hundred, within bounds; facts that only grow."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field, create_model

from hocket.console.drift_facts import Drifted
from hocket.drift.counting import EVERY, MAX_PATHS, MAX_SHAPES, MAX_SIBLINGS, MAX_STREAMS, About, DriftWatch
from hocket.drift.kinds import Kind
from hocket.drift.tally import MARKS, Counted, Tally
from hocket.event import Heard

START = datetime(2026, 11, 24, 14, 5, tzinfo=UTC)


class Rung(Heard, type="bell.rung"):
    name: str
    loud: int = 0


class Nested(Heard, type="bell.nested"):
    name: str
    inner: dict[str, int] = Field(default_factory=dict)


def about(n: int, source: str = "/tower", type_: str = "bell.rung") -> About:
    """The n-th event."""
    return About(source, type_, 1, f"e{n}")


def watched(*bodies: dict[str, Any], model: type[Heard] = Rung) -> Counted:
    """What is counted of these, one a second."""
    watch = DriftWatch("hall.listen", "warn")
    for n, body in enumerate(bodies):
        watch.look(model, body, about(n), START + timedelta(seconds=n))
    [counted] = watch.counted()
    return counted


def test_a_field_at_the_top_is_counted_at_every_event() -> None:
    """RULES 16.2: the set of names is looked up each time, so its count is exact, with the first and the last event."""
    known = {"name": "a", "loud": 1}
    counted = watched(*[known] * 10, *[{**known, "tags": 1}] * 50, known)
    tally = counted.paths["tags", Kind.UNKNOWN]
    assert (tally.many, tally.first.event, tally.last.event, tally.deep) == (50, "e10", "e59", False)
    assert tally.first.time == START + timedelta(seconds=10)
    assert (counted.events, counted.looked) == (61, 2)


def test_a_change_deep_inside_is_seen_within_a_hundred_events() -> None:
    """RULES 16.2: the names at the top are the same; one in a hundred gets the deep look."""
    known, changed = {"name": "a", "inner": {"x": 1}}, {"name": "a", "inner": {"x": "1"}}
    counted = watched(*[known] * 10, *[changed] * EVERY, model=Nested)
    tally = counted.paths["inner.*", Kind.TYPE]
    assert int(tally.first.event[1:]) < 10 + EVERY
    assert tally.deep


def test_what_is_invalid_gets_a_deep_look() -> None:
    """RULES 16.2: `whole` looks at once, at a shape that is known too."""
    watch = DriftWatch("hall.listen", "warn")
    for n in range(3):
        watch.look(Rung, {"name": "a", "loud": 1}, about(n), START)
    found = watch.look(Rung, {"name": "a", "loud": "x"}, about(3), START, whole=True)
    assert [(each.path, each.kind) for each in found] == [("loud", Kind.TYPE)]


def test_ten_thousand_shapes_are_bounded() -> None:
    """RULES 16.2, 16.3: so many shapes are remembered and looked at; names beyond fifty siblings become `*`."""
    watch = DriftWatch("hall.listen", "warn")
    for n in range(10_000):
        watch.look(Rung, {"name": "a", "loud": 1, f"k{n}": 1}, about(n), START + timedelta(seconds=n))
    [counted] = watch.counted()
    assert set(counted.paths) == {("*", Kind.UNKNOWN)}
    assert counted.looked <= MAX_SHAPES + 10_000 // EVERY
    assert counted.paths["*", Kind.UNKNOWN].first.event == "e0"


def test_one_huge_shape_is_not_remembered() -> None:
    """RULES 16.2: what is remembered of names is bounded, also where each event has fifty thousand of them."""
    watch = DriftWatch("hall.listen", "warn")
    body = {"name": "a", "loud": 1, **{f"k{n}": 1 for n in range(50_000)}}
    for n in range(EVERY):
        watch.look(Rung, body, about(n), START)
    [counted] = watch.counted()
    assert (counted.events, counted.looked) == (EVERY, 1)
    assert set(counted.paths) == {("*", Kind.UNKNOWN)}


def test_fifty_siblings_keep_their_names() -> None:
    """RULES 16.3: up to the bound each has its own path, of one object each."""
    counted = watched({"name": "a", "loud": 1, **{f"k{n}": 1 for n in range(MAX_SIBLINGS)}})
    assert len(counted.paths) == MAX_SIBLINGS
    more = watched({"name": "a", "loud": 1, **{f"k{n}": 1 for n in range(MAX_SIBLINGS + 1)}})
    assert set(more.paths) == {("*", Kind.UNKNOWN)}


def test_paths_of_a_type_are_bounded_and_the_rest_is_counted() -> None:
    """RULES 16.3: at most two hundred paths; what has none is counted as more."""
    fields: dict[str, Any] = {f"f{'abcdefghij'[n % 10]}{n}": (int, 0) for n in range(MAX_PATHS + 30)}
    inner = create_model("Inner", **fields)
    outer = create_model("Outer", __base__=Rung, __cls_kwargs__={"type": "bell.outer"}, inner=(inner, ...))
    watch = DriftWatch("hall.listen", "warn")
    watch.look(outer, {"name": "a", "loud": 1, "inner": {}}, about(0), START)
    [counted] = watch.counted()
    assert len(counted.paths) == MAX_PATHS
    assert counted.more == 30


def test_sources_are_bounded() -> None:
    """RULES 16.3: a sender that makes up sources is counted under one."""
    watch = DriftWatch("hall.listen", "warn")
    for n in range(3 * MAX_STREAMS):
        watch.look(Rung, {"name": "a", "loud": 1}, about(n, f"/s{n}"), START)
    counted = watch.counted()
    assert len(counted) == MAX_STREAMS + 1
    assert {each.source: each.events for each in counted}["*"] == 2 * MAX_STREAMS


def test_facts_only_grow_and_are_valid() -> None:
    """RULES 7.4, 16.3: each fact has everything of its boot; what did not change is not told again but on demand."""
    watch = DriftWatch("hall.listen", "quarantine")
    watch.look(Rung, {"name": "a"}, about(0), START)
    [first] = watch.counted()
    assert watch.counted() == []
    assert [each.events for each in watch.counted(all_of_it=True)] == [1]
    watch.look(Rung, {"name": "a"}, about(1), START + timedelta(seconds=5))
    [second] = watch.counted()
    watch.untold()
    assert watch.counted() == [second]
    key = ("loud", Kind.MISSING)
    assert (first.paths[key].many, second.paths[key].many) == (1, 2)
    fact = {**second.fact(), "service": "hall", "time": "2026-11-24T14:06:00Z", "boot": "b"}
    read = Drifted.model_validate(json.loads(json.dumps(fact)))
    assert (read.events, read.mode, read.paths[0].last.id) == (2, "quarantine", "e1")


def test_marks_are_when_so_many_were_counted() -> None:
    """RULES 16.3: the tracer adds them up over boots to know when a thousand events were seen."""
    counted = watched(*[{"name": "a", "loud": 1}] * 1200)
    assert [many for many, _ in counted.marks] == list(MARKS)
    assert counted.marks[-1][1] == START + timedelta(seconds=999)


def test_metrics_count_what_was_found_since() -> None:
    """docs/wire.md#metrics: by type and kind, each once."""
    watch = DriftWatch("hall.listen", "warn")
    for n in range(3):
        watch.look(Rung, {"name": "a", "x": 1}, about(n), START)
    assert watch.since_last() == {("bell.rung", "unknown"): 3, ("bell.rung", "missing"): 3}
    assert watch.since_last() == {}


def test_tallies_add_up_in_any_order() -> None:
    """Siblings are put together in no order of time."""
    counted = watched({"name": "a", "loud": 1, "x": 1}, {"name": "a", "loud": 1, "y": 1})
    one, other = (counted.paths[path, Kind.UNKNOWN] for path in ("x", "y"))
    assert one.and_also(other) == other.and_also(one) == Tally(2, one.first, other.last)
