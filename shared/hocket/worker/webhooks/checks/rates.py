"""Rates of pushes: a bucket of tokens for each address and each source, by the monotonic clock (RULES 12.1). Pure."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

#: Addresses whose rate is remembered; of more the one that was silent longest is forgotten.
MAX_ADDRESSES = 10_000
#: Seconds of its rate that may come at once.
BURST_SECONDS = 1.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rates:
    """Lets `rate` a second through for each name; `rate` 0 lets all through."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def admits(self, name: str, rate: float, most: float = 0.0) -> bool:
        """Whether one more of this name may come now; `most` may come at once, 0: those of `BURST_SECONDS`."""
        if not rate:
            return True
        now, most = self._now(), most or max(rate * BURST_SECONDS, 1.0)
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(most, now)
            if len(self._buckets) > MAX_ADDRESSES:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(name)
        bucket.tokens = min(bucket.tokens + max(now - bucket.at, 0.0) * rate, most)
        bucket.at = now
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True


def address_of(peer: str, forwarded: str, proxies: int) -> str:
    """Whose rate it is: the peer's, or behind so many trusted proxies what the first of them saw.

    `forwarded` is `X-Forwarded-For` whole: each proxy appends whom it heard, so all further left is the sender's word.
    """
    named = [each.strip() for each in forwarded.split(",") if each.strip()]
    if proxies <= 0 or not named:
        return peer
    return _without_port(named[-min(proxies, len(named))])


def _without_port(address: str) -> str:
    """The address alone: some proxies write the port too, which is another one for each connection."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, colon, port = address.partition(":")
    return host if colon and port.isdigit() else address
