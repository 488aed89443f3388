"""The contract of every transport driver: subclass `TransportContract`, override `world`, and let pytest run it.

```python
class TestMine(TransportContract):
    @asynccontextmanager
    async def world(self) -> AsyncIterator[World]:
        yield MyWorld()
```

It needs pytest-asyncio in auto mode. A driver that cannot keep a promise overrides that test with a docstring that
says why. Imports the port and the topology. Used by the tests of the drivers here, and by those of other packages.
"""

from hocket.testing.transport_contract.faults import FaultsContract
from hocket.testing.transport_contract.publishing import PublishingContract
from hocket.testing.transport_contract.settling import SettlingContract
from hocket.testing.transport_contract.single import SingleContract
from hocket.testing.transport_contract.streams import StreamsContract


class TransportContract(PublishingContract, SettlingContract, SingleContract, StreamsContract, FaultsContract):
    """The promises of `hocket.broker.port`, each as a test."""
