"""Several versions of one event (RULES 10.1): upcasts read an old one, downcasts say an old one with the new. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hocket.envelope import Received
from hocket.errors import DeclarationError
from hocket.event import Event, Heard
from hocket.event_data.reading import read


@dataclass(frozen=True, slots=True)
class Upcast:
    """Makes a newer version of a heard event."""

    gives: type[Heard]
    call: Callable[[Any], Heard]


@dataclass(frozen=True, slots=True)
class UpcastPath:
    """How one version is read: the model of its data, and the upcasts from there to `gives`, which a handler hears."""

    model: type[Heard]
    gives: type[Heard]
    upcasts: tuple[Upcast, ...] = ()

    def read(self, received: Received) -> Heard:
        """The event as the handler hears it. Raises what pydantic or an upcast raises, `Undecodable` for a number."""
        event: Heard = read(self.model, received)
        for each in self.upcasts:
            event = each.call(event)
        return event


def upcast_paths(
    models: Iterable[type[Heard]], upcasts: Mapping[type[Heard], Upcast]
) -> dict[tuple[str, int], UpcastPath]:
    """For every version that can be read as one of `models`: how. A version with a model of its own takes no upcast."""
    ends = tuple(models)
    found = {(each.__hocket_type__, each.__hocket_version__): UpcastPath(each, each) for each in ends}
    for old in upcasts:
        steps: list[Upcast] = []
        at = old
        while at not in ends and at in upcasts:
            steps.append(upcasts[at])
            at = upcasts[at].gives
        if at in ends:
            found.setdefault((old.__hocket_type__, old.__hocket_version__), UpcastPath(old, at, tuple(steps)))
    return found


@dataclass(frozen=True, slots=True)
class Downcast:
    """Makes an older version of an event that is said."""

    gives: type[Event]
    call: Callable[[Any], Event]


def older_of(event: Event, downcasts: Mapping[type[Event], list[Downcast]]) -> Iterator[Event]:
    """The older versions of `event`, and the older versions of those."""
    for each in downcasts.get(type(event), ()):
        older = each.call(event)
        yield older
        yield from older_of(older, downcasts)


def older_types(event: type[Event], downcasts: Mapping[type[Event], list[Downcast]]) -> Iterator[type[Event]]:
    """The classes of the older versions that are said together with `event`."""
    for each in downcasts.get(event, ()):
        yield each.gives
        yield from older_types(each.gives, downcasts)


def check_newer(old: type[Heard], new: type[Heard], where: str) -> None:
    """Refuse two classes that are not an older and a newer version of one type. Raises `DeclarationError`."""
    if old.__hocket_type__ != new.__hocket_type__:
        raise DeclarationError(
            f"{where}: {old.__name__} has type {old.__hocket_type__} and {new.__name__} type {new.__hocket_type__}; "
            "give two versions of one event the same type"
        )
    if old.__hocket_version__ >= new.__hocket_version__:
        raise DeclarationError(
            f"{where}: {old.__name__} has version {old.__hocket_version__} and {new.__name__} version "
            f"{new.__hocket_version__}; give the older one the lower version"
        )


def check_one_path(old: type[Heard], known: Iterable[type[Heard]], where: str, what: str) -> None:
    """Refuse a second upcast or downcast for a version that has one. Raises `DeclarationError`."""
    for each in known:
        if (each.__hocket_type__, each.__hocket_version__) == (old.__hocket_type__, old.__hocket_version__):
            raise DeclarationError(
                f"{where}: {old.__hocket_type__} version {old.__hocket_version__} {what} already, and the result "
                "would depend on the order of declarations; keep one of them"
            )
