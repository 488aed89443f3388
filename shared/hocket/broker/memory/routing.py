"""Where a message goes: exchanges, bindings, alternate exchanges, as AMQP 0-9-1 has them."""

from hocket.broker.mismatch import mismatch, missing
from hocket.broker.topology import Binding, Exchange, Queue
from hocket.errors import ConfigError

Arguments = dict[str, str | int]


def matches(pattern: str, key: str) -> bool:
    """Whether a topic binding takes the key: `*` is one word, `#` any number of them."""
    return _match(pattern.split("."), key.split(".") if key else [])


def _match(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(_match(pattern[1:], words[skip:]) for skip in range(len(words) + 1))
    return bool(words) and pattern[0] in {"*", words[0]} and _match(pattern[1:], words[1:])


def differing(kind: str, name: str, wanted: Arguments, standing: Arguments) -> None:
    """Raise `ConfigError` where two sets of arguments differ, naming the first that does."""
    for argument in sorted(wanted.keys() | standing.keys()):
        if wanted.get(argument) != standing.get(argument):
            raise ConfigError(
                mismatch(kind, name, argument, wanted.get(argument, "none"), standing.get(argument, "none"))
            )


class Routing:
    """Exchanges and bindings of one broker."""

    def __init__(self) -> None:
        self.exchanges: dict[str, Exchange] = {}
        self._queues: set[str] = set()
        self._bindings: dict[str, list[Binding]] = {}

    def add_exchange(self, exchange: Exchange) -> None:
        """Declare; the same again is nothing, another one under that name is a `ConfigError`."""
        standing = self.exchanges.setdefault(exchange.name, exchange)
        if standing.kind != exchange.kind:
            raise ConfigError(mismatch("exchange", exchange.name, "type", exchange.kind, standing.kind))
        differing("exchange", exchange.name, exchange.arguments, standing.arguments)

    def add_queue(self, queue: Queue) -> None:
        """Let bindings and the default exchange reach it."""
        self._queues.add(queue.name)

    def add_binding(self, binding: Binding) -> None:
        """Bind; both ends must stand."""
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
        """Unbind, when it was bound."""
        of_source = self._bindings.get(binding.source, [])
        if binding in of_source:
            of_source.remove(binding)

    def queues(self, exchange: str, key: str) -> list[str]:
        """The queues that take the message, each once, in the order of the bindings."""
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
        taken = False
        for binding in self._bindings.get(name, ()):
            if exchange.kind == "direct" and binding.key != key:
                continue
            if exchange.kind == "topic" and not matches(binding.key, key):
                continue
            taken = True
            if binding.to_exchange:
                self._walk(binding.destination, key, found, seen)
            else:
                found[binding.destination] = None
        alternate = exchange.arguments.get("alternate-exchange")
        if not taken and isinstance(alternate, str):
            self._walk(alternate, key, found, seen)
