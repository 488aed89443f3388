"""The claim of a handler's own transaction: the inbox row that it writes first, and the ending that it writes last."""

from dataclasses import dataclass, replace

from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.record import Recorder
from hocket.outcome import Done
from hocket.saga.ledger import LedgerRow, LedgerState
from hocket.store.port import WriteTransaction
from hocket.store.records import Ending


@dataclass(slots=True, eq=False)
class HandlerClaim:
    """What a handler's own transaction writes first and last: its inbox row, then the ending of the attempt."""

    recorder: Recorder
    arrival: Arrival
    ledger: LedgerRow | None = None

    async def write(self, tx: WriteTransaction) -> bool:
        """Lock the step run, write the inbox row; False where another run has ended the delivery or owns its step."""
        arrival = self.arrival
        if arrival.run:
            self.ledger = (await tx.ledger([arrival.run])).get(arrival.run)
            if arrival.role is Role.STEP and not self._owned():
                return False
        claim, _ = self.recorder.ending(replace(arrival, outcome=Done(), role=Role.EVENT), None)
        [written] = await tx.write([Ending(inbox=claim.inbox)])
        return written.won

    def _owned(self) -> bool:
        row = self.ledger
        return row is not None and row.state is LedgerState.BEGUN and row.owner == self.arrival.token

    def ending(self) -> Ending | None:
        """What the arrival's outcome leaves behind, None where its run no longer owns the step."""
        ending, owned = self.recorder.ending(self.arrival, self.ledger)
        if not owned:
            return None
        if ending.receipt and self.recorder.shed():
            return ending._replace(receipt=b"")
        return ending
