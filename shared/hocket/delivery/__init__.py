"""The way of a delivery, station by station; `hocket check --pipeline` prints this list."""

from hocket.delivery import admit, commit, decide, decode, handle, intake, record, settle
from hocket.outbox import relay

#: The stations in the order in which a delivery passes them, and what each promises.
STATIONS: tuple[tuple[str, str], ...] = (
    ("intake", intake.PROMISE),
    ("decode", decode.PROMISE),
    ("admit", admit.PROMISE),
    ("handle", handle.PROMISE),
    ("decide", decide.PROMISE),
    ("record", record.PROMISE),
    ("commit", commit.PROMISE),
    ("settle", settle.PROMISE),
    ("relay", relay.PROMISE),
)
