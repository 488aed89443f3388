"""What an ending does to the line of its subject (RULES 9.4 to 9.8). Pure."""

from hocket.delivery.ordering.turn import PARKED, Seat, Turn
from hocket.outcome import Again, Bury, GiveBack, Outcome, Seen
from hocket.store.records import Ending, InboxRow, InboxState, LineChange, OrderedWrite


def with_order(ending: Ending, turn: Turn, key: bytes, outcome: Outcome | None) -> Ending:
    """The ending with the token that is checked, and with its change of the line."""
    write = OrderedWrite(turn.subscription, turn.token, subject=turn.subject, key=key)
    if outcome is None or isinstance(outcome, GiveBack):
        return ending if ending.inbox is None else ending._replace(ordered=write)
    if turn.seat is Seat.PARKS and isinstance(outcome, Again) and outcome.cause == PARKED:
        [later] = ending.outbox  # it is sent when its turn comes, not now
        parked = write._replace(change=LineChange.PARK, behind=turn.behind, place=turn.place, parked=later)
        return ending._replace(outbox=(), ordered=parked)
    if turn.discard:
        ending = ending._replace(receipt=b"")  # it is no delivery of the event: the desk tells what a person did
    row = ending.inbox.row if ending.inbox is not None else None
    change = change_of(outcome, row, turn)
    death = row.death_id if change is LineChange.HOLD and row is not None and row.state is InboxState.DEAD else ""
    return ending._replace(ordered=write._replace(change=change, death=death))


def change_of(outcome: Outcome, row: InboxRow | None, turn: Turn) -> LineChange:
    """What becomes of the line; a line that is not there need not be released."""
    release = LineChange.RELEASE if turn.lined() else LineChange.NONE
    if turn.seat is Seat.BESIDE or not turn.subject:
        return LineChange.NONE
    if turn.discard:
        return LineChange.RELEASE if turn.seat is Seat.LETS_GO else LineChange.NONE
    match outcome:
        case Again():
            return LineChange.HOLD
        case Bury() if row is not None and not turn.skip and not row.spoke:
            return LineChange.HOLD
        case Seen(first=first) if first in {InboxState.RETRY, InboxState.DEAD}:
            return LineChange.NONE
        case _:
            return release
