"""The stations that a delivery passes, from the broker's callback to the ack; `hocket check --pipeline` prints them.

May import the outbox and every folder below it. Used by `worker/`, `streams/` and the command line.
"""

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
