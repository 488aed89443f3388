"""The driver in memory: a broker within this process, for tests, `memory://` and systems under virtual time.

`MemoryBroker` is shared by the services of one event loop; each has its own `MemoryTransport`. There is no thread and
no timer: everything runs in `call_soon`, in the same order for the same calls. Limits: everything is lost when the
process ends, there is one node, and a stream drops messages only by `MemoryBroker.truncate`. Imports the port and the
topology. Used by `hocket.assembly` and `hocket.testing`.
"""

from hocket.broker.memory.broker import MAX_MESSAGE_BYTES, MemoryBroker
from hocket.broker.memory.transport import MemoryTransport

__all__ = ["MAX_MESSAGE_BYTES", "MemoryBroker", "MemoryTransport"]
