"""For tests: `play` runs whole services under virtual time, `fake_tx` makes the `tx` for a direct call of a handler.

The contract suites of the two ports are `hocket.testing.transport_contract` and `hocket.testing.store_contract`.
Imports every floor below, drivers too. Used by tests alone: no other room imports it.
"""

from hocket.testing.fake_tx import fake_tx
from hocket.testing.play import Play, play

__all__ = ["Play", "fake_tx", "play"]
