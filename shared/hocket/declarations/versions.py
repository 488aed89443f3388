"""Versions of one event side by side (RULES 10.1): how an old one is read, and how it is said beside the new. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hocket.errors import DeclarationError
from hocket.event import Event, Heard


@dataclass(frozen=True, slots=True)
class Upcast:
    """Reads an old version into a newer one."""

    gives: type[Heard]
    call: Callable[[Any], Heard]


@dataclass(frozen=True, slots=True)
class UpcastPath:
    """How one version is read: the model of its data, and the upcasts from there to `gives`, what a handler hears."""

    model: type[Heard]
    gives: type[Heard]
    upcasts: tuple[Upcast, ...] = ()

    def read(self, data: Any) -> Heard:
        """The event as the handler hears it; raises what pydantic or an upcast raises."""
        event = self.model.model_validate(data)
        for each in self.upcasts:
            event = each.call(event)
        return event


def upcast_paths(
    models: Iterable[type[Heard]], upcasts: Mapping[type[Heard], Upcast]
) -> dict[tuple[str, int], UpcastPath]:
    """Every version from which a road leads to one of `models`; what a model reads itself takes no upcast."""
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
    """Says a newer version as an older one."""

    gives: type[Event]
    call: Callable[[Any], Event]


def older_of(event: Event, renderings: Mapping[type[Event], list[Downcast]]) -> Iterator[Event]:
    """The older renderings of what is said, and theirs."""
    for each in renderings.get(type(event), ()):
        older = each.call(event)
        yield older
        yield from older_of(older, renderings)


def older_types(event: type[Event], renderings: Mapping[type[Event], list[Downcast]]) -> Iterator[type[Event]]:
    """What is said beside an event of this class."""
    for each in renderings.get(event, ()):
        yield each.gives
        yield from older_types(each.gives, renderings)


def check_newer(old: type[Heard], new: type[Heard], where: str) -> None:
    """Two versions of one type, the first older; `DeclarationError`."""
    if old.__hocket_type__ != new.__hocket_type__:
        raise DeclarationError(
            f"{where}: {old.__name__} is a {old.__hocket_type__} and {new.__name__} a {new.__hocket_type__}; "
            "one event in two versions has one type"
        )
    if old.__hocket_version__ >= new.__hocket_version__:
        raise DeclarationError(
            f"{where}: {old.__name__} has version {old.__hocket_version__} and {new.__name__} version "
            f"{new.__hocket_version__}; the old one has the lower version"
        )


def check_one_road(old: type[Heard], known: Iterable[type[Heard]], where: str, what: str) -> None:
    """Refuse a second road for a version that has one; `DeclarationError`."""
    for each in known:
        if (each.__hocket_type__, each.__hocket_version__) == (old.__hocket_type__, old.__hocket_version__):
            raise DeclarationError(
                f"{where}: {old.__hocket_type__} version {old.__hocket_version__} {what} already; two roads lead to "
                "one, and nobody could tell which is taken: keep one of them"
            )
