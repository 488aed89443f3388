"""Which step runs of a flow are zombies (RULES 5.8): the kit's own function decides, from what receipts say. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hocket.saga import LedgerState, Standing, UndoStand, standing
from services.tracer.fold.beyond import Beyond
from services.tracer.fold.deliveries import Delivery, Stand
from services.tracer.fold.expectations import Expected
from services.tracer.fold.steps import Step
from services.tracer.read.facts import Said


def zombies_of(
    steps: Sequence[Step], said: Sequence[Said], deliveries: Sequence[Delivery], expected: Expected, beyond: Beyond
) -> tuple[Step, ...]:
    """The step runs whose effect must not stand, and that nothing is about to undo."""
    found = []
    for step in steps:
        undos = undos_of(step, said, deliveries, expected)
        stand = max((_stand(each, beyond) for each in undos), key=_RANK.__getitem__, default=UndoStand.NONE)
        reached = step.failed or bool(undos)
        if standing(LedgerState(step.ledger), reached=reached, undo=stand) is Standing.ZOMBIE:
            found.append(step)
    return tuple(found)


def undos_of(
    step: Step, said: Sequence[Said], deliveries: Sequence[Delivery], expected: Expected
) -> tuple[Delivery, ...]:
    """What is to undo this run: the orders to undo it, and the failures of its scope on the queue of its undo."""
    failures = {
        (each.id, hearer.subscription)
        for each in said
        if each.subject == step.subject
        for hearer in expected.get(each.name, ())
        if hearer.undo_of == step.name and hearer.holds(each.time)
    }
    return tuple(
        each
        for each in deliveries
        if (each.undo_of == step.name and _is_about(each, step))
        or ((each.event_id, each.subscription) in failures and (not each.run or _is_about(each, step)))
    )


def turns_at(
    steps: Sequence[Step], said: Sequence[Said], deliveries: Sequence[Delivery], expected: Expected, beyond: Beyond
) -> datetime | None:
    """When one of these runs becomes a zombie if nothing more is heard of its undo; None where none would."""
    moments = [
        moment
        for step in steps
        if step.standing or step.undoing
        for each in undos_of(step, said, deliveries, expected)
        if (moment := late_at(each, beyond)) is not None
    ]
    return min(moments, default=None)


def late_at(undo: Delivery, beyond: Beyond) -> datetime | None:
    """When an open undo has lasted for its whole retry budget; None: it is not open, or its budget is not known."""
    budget = beyond.budgets.get(undo.subscription, 0.0)
    if not undo.open or not budget:
        return None
    return undo.open_since + timedelta(seconds=budget)


def _stand(undo: Delivery, beyond: Beyond) -> UndoStand:
    if undo.stand is Stand.DEAD:
        return UndoStand.DEAD
    if not undo.open:
        return UndoStand.NONE
    late = late_at(undo, beyond)
    return UndoStand.LATE if late is not None and beyond.now is not None and beyond.now > late else UndoStand.OPEN


_RANK = {UndoStand.NONE: 0, UndoStand.OPEN: 1, UndoStand.LATE: 2, UndoStand.DEAD: 3}


def _is_about(delivery: Delivery, step: Step) -> bool:
    """Whether it is about this run; by the subject where a receipt of an older hocket names no run."""
    return delivery.run == step.run if delivery.run and step.run else delivery.subject == step.subject
