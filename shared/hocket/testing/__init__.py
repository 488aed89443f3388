"""For tests: `play` runs whole services under virtual time, `fake_tx` lets a handler be called as a plain function.

The contract suites of the two ports are `hocket.testing.transport_contract` and `hocket.testing.store_contract`.
"""

from hocket.testing.fake_tx import fake_tx
from hocket.testing.play import Play, play

__all__ = ["Play", "fake_tx", "play"]
