"""The contract of every store driver: subclass `StoreContract`, override `make`, and let pytest run it.

```python
class TestMyStore(StoreContract):
    def make(self, where: Path, boot: str, clock: Clock) -> CrashableStore:
        return MyStore(where / "store", clock=clock, boot=boot)
```

It needs pytest, pytest-asyncio in auto mode, and hypothesis.
"""

from hocket.testing.store_contract.breakers import BreakerContract
from hocket.testing.store_contract.endings import EndingsContract
from hocket.testing.store_contract.ordering import OrderingContract
from hocket.testing.store_contract.outbox import OutboxContract
from hocket.testing.store_contract.purge import PurgeContract
from hocket.testing.store_contract.steps import StepContract
from hocket.testing.store_contract.subjects import SubjectsContract
from hocket.testing.store_contract.time import TimeContract
from hocket.testing.store_contract.timers import TimersContract
from hocket.testing.store_contract.transactions import TransactionContract


class StoreContract(
    BreakerContract,
    EndingsContract,
    OrderingContract,
    OutboxContract,
    PurgeContract,
    StepContract,
    SubjectsContract,
    TimeContract,
    TimersContract,
    TransactionContract,
):
    """The promises of `hocket.store.port`, each as a test."""
