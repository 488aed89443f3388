"""Routes messages through exchanges, bindings and alternate exchanges, as AMQP 0-9-1 does."""

from hocket.broker.mismatch import mismatch, missing
from hocket.broker.topology import Binding, Exchange, Queue
from hocket.errors import ConfigError

Arguments = dict[str, str | int]


def matches(pattern: str, key: str) -> bool:
    """Whether a topic binding matches the key: `*` is one word, `#` any number of them."""
    return _match(pattern.split("."), key.split(".") if key else [])


def _match(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_match(pattern[1:], words[skip:]) for skip in range(len(words) + 1))
    return bool(words) and pattern[0] in {"*", words[0]} and _match(pattern[1:], words[1:])


def differing(kind: str, name: str, wanted: Arguments, existing: Arguments) -> None:
    """Raise `ConfigError` where two sets of arguments differ, naming the first that does."""
    for argument in sorted(wanted.keys() | existing.keys()):
        if wanted.get(argument) != existing.get(argument):
            raise ConfigError(
                mismatch(kind, name, argument, wanted.get(argument, "none"), existing.get(argument, "none"))
            )


class Routing:
    """Exchanges and bindings of one broker."""

    def __init__(self) -> None:
        self.exchanges: dict[str, Exchange] = {}
        self._queues: set[str] = set()
        self._bindings: dict[str, list[Binding]] = {}

    def add_exchange(self, exchange: Exchange) -> None:
        """Declare an exchange; `ConfigError` if one exists under that name with other values."""
        existing = self.exchanges.setdefault(exchange.name, exchange)
        if existing.kind != exchange.kind:
            raise ConfigError(mismatch("exchange", exchange.name, "type", exchange.kind, existing.kind))
        differing("exchange", exchange.name, exchange.arguments, existing.arguments)

    def add_queue(self, queue: Queue) -> None:
        """Let bindings and the default exchange route to this queue."""
        self._queues.add(queue.name)

    def add_binding(self, binding: Binding) -> None:
        """Bind; `ConfigError` if one of the ends does not exist."""
        kind, known = ("exchange", self.exchanges.keys()) if binding.to_exchange else ("queue", self._queues)
        said = f"{binding.source} -> {binding.destination} ({binding.key!r})"
        if binding.source not in self.exchanges:
            raise ConfigError(missing(said, f"exchange {binding.source}"))
        if binding.destination not in known:
            raise ConfigError(missing(said, f"{kind} {binding.destination}"))
        of_source = self._bindings.setdefault(binding.source, [])
        if binding not in of_source:
            of_source.append(binding)

    def remove_binding(self, binding: Binding) -> None:
        """Remove a binding, if it exists."""
        of_source = self._bindings.get(binding.source, [])
        if binding in of_source:
            of_source.remove(binding)

    def remove_queue(self, queue: str) -> None:
        """Remove a queue with the bindings that lead to it."""
        self._queues.discard(queue)
        for of_source in self._bindings.values():
            of_source[:] = [each for each in of_source if each.to_exchange or each.destination != queue]

    def queues(self, exchange: str, key: str) -> list[str]:
        """The queues that get the message, each once, in the order of the bindings."""
        if not exchange:
            return [key] if key in self._queues else []
        found: dict[str, None] = {}
        self._walk(exchange, key, found, set())
        return list(found)

    def _walk(self, name: str, key: str, found: dict[str, None], seen: set[str]) -> None:
        exchange = self.exchanges.get(name)
        if exchange is None or name in seen:
            return
        seen.add(name)
        matched = False
        for binding in self._bindings.get(name, ()):
            if exchange.kind == "direct" and binding.key != key:
                continue
            if exchange.kind == "topic" and not matches(binding.key, key):
                continue
            matched = True
            if binding.to_exchange:
                self._walk(binding.destination, key, found, seen)
            else:
                found[binding.destination] = None
        alternate = exchange.arguments.get("alternate-exchange")
        if not matched and isinstance(alternate, str):
            self._walk(alternate, key, found, seen)
