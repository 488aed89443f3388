"""A broker in this process: for tests, for `memory://`, and for whole systems under virtual time.

`MemoryBroker` is shared by the services of one event loop, each has a `MemoryTransport` of its own. No thread, no
timer: everything happens in `call_soon`, in the same order for the same calls. What it cannot do: it keeps nothing
when the process ends, has one node, and a stream forgets only by `MemoryBroker.truncate`.
"""

from hocket.broker.memory.broker import MAX_MESSAGE_BYTES, MemoryBroker
from hocket.broker.memory.transport import MemoryTransport

__all__ = ["MAX_MESSAGE_BYTES", "MemoryBroker", "MemoryTransport"]
