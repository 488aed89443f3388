"""The stations that a delivery passes, from the broker's callback to the ack; `hocket check --pipeline` prints them.

Imports every floor below, ports but no driver. Used by `worker/`, which runs the stations, and by the command line.
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
