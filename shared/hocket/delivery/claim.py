"""The claim of a handler's own transaction: the inbox row that it writes first, and the ending that it writes last."""

from dataclasses import dataclass, replace

from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.record import Recorder
from hocket.outcome import Done
from hocket.saga.ledger import LedgerRow
from hocket.store.port import WriteTransaction
from hocket.store.records import Ending


@dataclass(slots=True, eq=False)
class HandlerClaim:
    """What a handler's own transaction writes first and last: its inbox row, then the ending of the attempt."""

    recorder: Recorder
    arrival: Arrival

    async def write(self, tx: WriteTransaction) -> bool:
        """Write the inbox row; False where another run has ended the delivery or owns its step (RULES 3.3)."""
        arrival = self.arrival
        claim, _ = self.recorder.ending(replace(arrival, outcome=Done(), role=Role.EVENT), None)
        inbox = claim.inbox
        if arrival.role is Role.STEP and inbox is not None:
            inbox = inbox._replace(run=arrival.run, owner=arrival.token)
        [written] = await tx.write([Ending(inbox=inbox)])
        return written.won

    async def again(self, tx: WriteTransaction) -> Ending | None:
        """The ending by the ledger row as it is: a failure may have marked it while the handler ran."""
        return self._decided((await tx.ledger([self.arrival.run])).get(self.arrival.run))

    def ending(self) -> Ending | None:
        """What the arrival's outcome leaves behind, by the ledger row as it was read before the handler ran."""
        return self._decided(self.arrival.ledger)

    def _decided(self, ledger: LedgerRow | None) -> Ending | None:
        """The ending, None where the run no longer owns the step."""
        ending, owned = self.recorder.ending(self.arrival, ledger)
        if not owned:
            return None
        if ending.receipt and self.recorder.shed():
            return ending._replace(receipt=b"")
        return ending
