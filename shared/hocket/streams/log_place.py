"""The place up to which a service has compared the log, kept in its store (RULES 4.8)."""

from dataclasses import dataclass, field

from hocket.broker.port import Delivery
from hocket.broker.topology import LOG
from hocket.runtime import Runtime
from hocket.store.records import Offset
from hocket.streams.end import last_of
from hocket.streams.gap import mark_of

#: Seconds after which a stream that counts no message held none before: the broker counts every 5 s.
COUNT_SECONDS = 15.0


def token_of(boot: str, offset: int, mark: str) -> str:
    """What is stored with a place: who, and where the message stands that was read last, with its mark."""
    return f"{boot}/{offset}/{mark}"


@dataclass(slots=True)
class LogPlace:
    """Where the log goes on; at the first start it begins at the end of the log.

    A log that shows no message may hold some that show late. Then nothing is kept until the first message comes to who
    reads from now on, or the broker would have counted what was there before.

    With the place goes the mark of the message that was read last: where another one stands there, the log was made
    anew. The token is `boot/offset/mark`.
    """

    runtime: Runtime
    reader: str = ""
    stored: Offset = field(default_factory=Offset)
    _marked: int = -1  # where the message stands that was read last when the place was stored, and its mark
    _mark: str = ""
    _last: Delivery | None = None  # the message that was read last
    _first: int | None = None  # the first message that came while no place was known
    _asked: int | None = None  # from where the log is read on, until its first message comes
    _awaited: float = 0.0  # since when the first message is awaited, by the monotonic clock

    @property
    def known(self) -> bool:
        """Whether a place is stored."""
        return bool(self.stored.token)

    @property
    def due(self) -> bool:
        """Whether none is stored, and `find` would store one."""
        return not self.known and (self._first is not None or self._counted)

    @property
    def _counted(self) -> bool:
        return self._awaited > 0 and self.runtime.clock.monotonic() >= self._awaited + COUNT_SECONDS

    async def find(self) -> None:
        """Read it from the store, or keep where it begins. `StoreError`, or `TransportError` of the log."""
        async with self.runtime.store.transaction() as tx:
            self.stored = await tx.offset(self.reader)
        if self.known:
            _, _, rest = self.stored.token.partition("/")
            offset, _, self._mark = rest.partition("/")
            self._marked = int(offset) if offset.isdigit() else -1
            return
        last = None if self._first is not None else await last_of(self.runtime.transport, LOG)
        if self._first is not None:  # it may have come meanwhile
            await self.keep(self._first)
        elif last is not None:
            self._last = last
            await self.keep((last.offset or 0) + 1)
        elif self._counted:
            await self.keep(0)

    def await_first(self) -> None:
        """The log is read from now on."""
        self._awaited = self.runtime.clock.monotonic()

    def start(self, end: int) -> int | None:
        """From where a log that ends at `end` is read on; None where it is shorter than it was: it was made anew."""
        marked = self._marked if self._marked >= 0 else self.stored.next
        if max(self.stored.next, self._marked + 1) > end:
            return None
        self._asked = self.stored.next
        return min(self.stored.next, marked)

    def read(self, delivery: Delivery) -> bool:
        """A message was read; False where another one stood there when the place was stored: the log was made anew."""
        offset = delivery.offset or 0
        if self._first is None and not self.known:
            self._first = offset
        asked, self._asked = self._asked, None
        if asked is not None and offset > asked:  # RULES 7.2
            what = "the log was cut before it was compared: what a removed binding kept away there is lost"
            self.runtime.trouble(what, missed=offset - asked)
        if offset == self._marked and self._mark != mark_of(delivery):
            return False
        if self._last is None or offset >= (self._last.offset or 0):
            self._last = delivery
        return True

    async def begin_anew(self) -> None:
        """The log is another one: all of it was said since."""
        self._marked, self._last = -1, None
        await self.keep(0)

    async def keep(self, place: int) -> None:
        """Store it, unless another replica has; then that is taken over."""
        async with self.runtime.store.transaction() as tx:
            boot, last = self.runtime.instance.boot, self._last
            to = Offset(place, boot if last is None else token_of(boot, last.offset or 0, mark_of(last)))
            self.stored = to if await tx.advance(self.reader, self.stored, to) else await tx.offset(self.reader)
