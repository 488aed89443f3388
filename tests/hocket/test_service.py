"""`Service`: names, options and steps as a team declares them, and `tx()` of the running service."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from aiohttp import web
from pydantic_settings import BaseSettings
from sqlalchemy import MetaData

from hocket.declarations.names import MAX_QUEUE_BYTES
from hocket.declarations.requests.command import Command
from hocket.declarations.subscription import HANDLER_TIMEOUT
from hocket.errors import DeclarationError, HocketError
from hocket.event import Death, Event, Heard
from hocket.pseudonym import Pseudonyms
from hocket.retry import Retry
from hocket.runtime import here
from hocket.service import Service
from hocket.tx import Outside, Tx


class Asked(Heard, type="thing.asked"):
    """The input of a step."""

    id: str


class Refused(Heard, type="other.refused"):
    """A failure."""

    id: str


class Made(Event, type="thing.made", subject="thing/{id}"):
    """What the step says."""

    id: str


class GivenUp(Event, type="thing.given_up", subject="thing/{id}"):
    """What is said when the step is given up."""

    id: str


class Uses:
    """The service's clients."""


class Settings(BaseSettings):
    """Settings of the service."""

    url: str = "http://127.0.0.1"


@asynccontextmanager
async def uses(settings: Settings) -> AsyncIterator[Uses]:
    """Yields the clients while the service runs."""
    assert settings.url
    yield Uses()


async def make(event: Asked, tx: Tx) -> Made | None:
    """A handler."""


async def make_many(event: Asked, tx: Tx) -> list[Made]:
    """A step that says many."""
    return []


async def make_twice(event: Asked, tx: Tx) -> tuple[Made, Made]:
    """A step whose results one undo would lose."""
    return Made(id="a"), Made(id="b")


async def look(event: Asked, tx: Tx) -> None:
    """A handler that says nothing."""


async def unmake(event: Asked, did: Made | None, why: Refused, tx: Tx) -> None:
    """An undo."""


async def unmake_many(event: Asked, did: list[Made], why: Refused, tx: Tx) -> None:
    """An undo of many."""


def gave_up(event: Asked, death: Death) -> GivenUp:
    """The `on_dead` of the step."""
    return GivenUp(id=event.id)


def things() -> Any:
    """A service, as no type checker sees it."""
    return Service("things", owner="team-things")


def test_a_service_is_what_it_was_given() -> None:
    """Name, owner, settings, uses and tables are kept for whoever starts it."""
    tables = MetaData()
    service = Service("order-view", owner="team", settings=Settings, uses=uses, tables=tables)
    assert (service.name, service.owner, service.settings, service.uses) == ("order-view", "team", Settings, uses)
    assert service.tables is tables
    assert (service.declarations.service, service.declarations.owner) == ("order-view", "team")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"name": "hocket"}, "none of amq, hocket"),
        ({"name": "amq"}, "none of amq, hocket"),
        ({"name": "Orders"}, "a service's name has lower case"),
        ({"name": "a.b"}, "a service's name has lower case"),
        ({"name": ""}, "a service's name has lower case"),
        ({"name": 3}, "a service's name has lower case"),
        ({"owner": ""}, "a service has an owner; write owner="),
        ({"settings": Settings(), "uses": uses}, "settings= takes a pydantic model's class"),
        ({"uses": 3}, "uses= takes a function that makes an async context manager"),
        ({"uses": uses.__wrapped__}, "put @asynccontextmanager above it"),  # type: ignore[attr-defined]
        ({"tables": "orders"}, "tables= takes a MetaData"),
    ],
)
def test_an_invalid_service_is_refused(words: dict[str, Any], sentence: str) -> None:
    """Reserved names and arguments of a wrong type raise `DeclarationError`."""
    make_service: Any = Service
    given = {"name": "things", "owner": "team", **words}
    with pytest.raises(DeclarationError, match=rf"^Service\(.*\): .*{sentence}"):
        make_service(given.pop("name"), **given)


def test_a_handler_stays_the_function_it_was() -> None:
    """A handler is a plain function: it can be called in a test."""
    service = things()
    assert service.handler(make) is make
    assert service.undo(make, Made)(unmake) is unmake
    assert service.handler(name="other")(make_many) is make_many
    assert service.on_dead(make_many)(gave_up) is gave_up
    assert set(service.declarations.subscriptions) == {"things.make", "things.unmake", "things.other"}


def test_options_of_a_handler_have_defaults() -> None:
    """Five attempts, a minute, no breaker, an inbox row; and what is given instead."""
    service = things()
    service.handler(make)
    service.handler(name="watch", retry=Retry(retries=1), timeout=timedelta(seconds=1), idempotent=True)(look)
    plain, given = service.declarations.subscriptions.values()
    assert (plain.retry, plain.breaker, plain.timeout, plain.idempotent) == (Retry(), None, HANDLER_TIMEOUT, False)
    assert (given.queue, given.retry, given.timeout, given.idempotent) == (
        "things.watch",
        Retry(retries=1),
        timedelta(seconds=1),
        True,
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"retyr": Retry()}, r"things\.look: retyr= is unknown; did you mean retry=\?"),
        (
            {"quickly": True},
            r"things\.look: quickly= is unknown; give name=, formerly=, retry=, breaker=, timeout=, idempotent=",
        ),
        ({"retry": 3}, r"retry=3 is not of type Retry; give one"),
        ({"breaker": "card-api"}, r"breaker='card-api' is not of type Breaker"),
        ({"timeout": 3}, r"timeout=3 is not of type timedelta"),
        ({"timeout": timedelta()}, r"is not positive; give a timedelta above 0"),
        ({"idempotent": 1}, r"idempotent=1 is not of type bool"),
        ({"name": "Look"}, r"things\.Look: a handler's name has lower case letters"),
        ({"name": 3}, r"a handler's name has lower case letters"),
        ({"name": "x" * MAX_QUEUE_BYTES}, r"a queue's name has at most 200 bytes; give a shorter one by name="),
        ({"name": "make"}, r"things\.make: another handler has this name; give this one another by name="),
    ],
)
def test_an_invalid_option_is_refused(options: dict[str, Any], sentence: str) -> None:
    """Unknown options, values of a wrong type, and names that are invalid or in use."""
    service = things()
    service.handler(make)
    with pytest.raises(DeclarationError, match=sentence):
        service.handler(**options)(look)
    assert set(service.declarations.subscriptions) == {"things.make"}


def test_an_undo_has_its_own_options() -> None:
    """An undo takes `by` and `retry`; its name is that of its function."""
    service = things()
    service.handler(make)
    with pytest.raises(DeclarationError, match=r"by=3 does not name fields; write by="):
        service.undo(make, Made, by=3)(unmake)
    service.undo(make, Made, by=("id",), retry=Retry(retries=8))(unmake)
    undo = service.declarations.subscriptions["things.unmake"]
    assert (undo.undo.by, undo.retry) == (("id",), Retry(retries=8))


async def outside_tx(event: Asked, tx: Outside) -> None:
    """Takes what is for outside handlers."""


async def no_tx(event: Asked, tx: str) -> None:
    """Takes something else."""


async def foreign_tx(event: Asked, tx: Tx[Uses]) -> None:
    """Uses what the service has not."""


async def any_tx(event: Asked, tx: Tx[Any]) -> None:
    """Does not care."""


@pytest.mark.parametrize(
    ("fn", "sentence"),
    [
        (outside_tx, "the last parameter must be the transaction; write tx: Tx"),
        (no_tx, "the last parameter must be the transaction; write tx: Tx"),
        (foreign_tx, "service things has no uses=; write tx: Tx, or add uses= to the service"),
    ],
)
def test_the_transaction_is_that_of_the_service(fn: Callable[..., Any], sentence: str) -> None:
    """A handler takes `Tx` with the type that `uses` of its service yields."""
    with pytest.raises(DeclarationError, match=sentence):
        things().handler(fn)
    things().handler(any_tx)


def test_a_step_of_several_results_is_undone_as_a_list() -> None:
    """A list is undone whole; a tuple of two alike would lose one, and is refused."""
    service = things()
    service.handler(make_many)
    service.handler(make_twice)
    service.undo(make_many, Made)(unmake_many)
    assert service.declarations.subscriptions["things.unmake_many"].undo.many
    with pytest.raises(DeclarationError, match=r"things\.make_twice may say several Made; return list"):
        service.undo(make_twice, Made)(unmake)


def test_undo_and_on_dead_need_a_step() -> None:
    """RULES 2.6: an undo, an idempotent handler and an undeclared function are not steps."""
    service = things()
    service.handler(make)
    service.handler(idempotent=True)(look)
    service.undo(make, Made)(unmake)
    with pytest.raises(DeclarationError, match=r"things\.unmake is an undo itself; name the step, things\.make"):
        service.on_dead(unmake)(gave_up)
    with pytest.raises(DeclarationError, match=r"things\.look is idempotent=True and keeps no row.*RULES 2\.6"):
        service.on_dead(look)(gave_up)
    with pytest.raises(DeclarationError, match="make_many is not a handler of service things"):
        service.undo(make_many, Made)(unmake_many)
    with pytest.raises(DeclarationError, match=r"things\.make says Made, not GivenUp; name an event that it says"):
        service.undo(make, GivenUp)(unmake_many)


def test_the_declarations_are_checked_as_a_whole_at_start() -> None:
    """`complete` refuses declarations that were changed after each was checked."""
    service = things()
    service.handler(make)
    service.undo(make, Made)(unmake)
    service.complete()
    service.declarations.subscriptions["things.make"].on_dead_says = (GivenUp,)
    with pytest.raises(DeclarationError, match="on_dead of things"):
        service.complete()


def test_what_is_said_outside_handlers_is_declared() -> None:
    """Only events of the service's own, and no others."""
    service = things()
    service.says(Made, GivenUp)
    service.says(Made)
    assert set(service.declarations.says.values()) == {Made, GivenUp}
    assert service.declarations.outside == [Made, GivenUp]
    for wrong in (Asked, Event, "thing.made"):
        with pytest.raises(DeclarationError, match=r"things\.says: .* is not an Event; name the class"):
            service.says(wrong)


def test_routes_are_mounted_by_a_plain_function() -> None:
    """Mount functions are kept in order; async functions and other values are refused."""
    service = things()

    def mount(app: web.Application) -> None:
        """Mounts nothing."""

    async def waits(app: web.Application) -> None:
        """Would never be awaited."""

    assert service.http(mount) is mount
    assert service.mounts == [mount]
    for wrong in (waits, "routes"):
        with pytest.raises(DeclarationError, match=r"http takes a plain function, def mount"):
            service.http(wrong)


async def test_using_returns_the_service_with_other_uses() -> None:
    """The service that `using` returns shares name and declarations, and yields what it was given."""
    service = Service("things", owner="team", settings=Settings, uses=uses)
    fakes = Uses()
    other = service.using(fakes)
    assert (other.name, other.owner) == (service.name, service.owner)
    assert other.declarations is service.declarations
    assert (other.settings, service.settings) == (None, Settings)
    assert other.uses is not None
    async with other.uses() as yielded:
        assert yielded is fakes
    assert service.uses is uses


class Stand:
    """A service that runs, as far as `tx()` asks."""

    boot, pseudonyms = "boot", Pseudonyms()
    reading: Any = None  # it has no projection

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, str | None]] = []

    def outside(
        self, key: str | None, correlation_id: str | None, connection: object = None
    ) -> AbstractAsyncContextManager[Any]:
        """Yield what was asked for."""
        self.asked.append((key, correlation_id))
        return nullcontext("tx")

    async def command(self, command: Command, request: web.Request) -> web.StreamResponse:
        """No command is asked for here."""
        raise NotImplementedError

    async def send(
        self, subscription: str, body: bytes, content_type: str, *,
        attempt: int, replay: str = "", death: str = "", headers: Mapping[str, object] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """Nothing is sent here."""


async def test_a_transaction_outside_is_that_of_the_service_as_it_runs_here() -> None:
    """`tx()` finds the running service by context; where none runs, the error says how to start it."""
    service = things()
    stand = Stand()
    with here({"things": stand}):
        async with service.tx(key="k", correlation_id="c") as tx, service.tx():
            assert tx == "tx"
    assert stand.asked == [("k", "c"), (None, None)]
    with pytest.raises(HocketError, match=r"service things does not run here: use tx\(\) inside"):
        service.tx()
