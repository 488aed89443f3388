"""Declaring `latest_by`, `after` and `within`: what is refused at import, and what a service tells of it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import AwareDatetime

from hocket import Event, Heard, Sensitive, Service, Tx
from hocket.cli.commands.check import describe
from hocket.errors import DeclarationError

MINUTE = timedelta(minutes=1)


class Placed(Heard, type="till.placed"):
    """Heard."""

    version: int
    at: AwareDatetime
    local: datetime
    note: str | None
    guessed: int = 0
    secret: Sensitive[int]


class Changed(Heard, type="till.changed"):
    """Heard beside it."""

    version: str
    at: AwareDatetime


class Older(Heard, type="till.named", version=1):
    """An older version whose field is sensitive."""

    name: Sensitive[str]


class Named(Heard, type="till.named", version=2):
    """The newer one, where it is not."""

    name: str


class Said(Event, type="shop.said", subject="said/{n}"):
    """What a step says."""

    n: int


def declared(heard: Any = Placed, **options: Any) -> Service[None]:
    """A service with one handler that has these options, below one that may go first."""
    service = Service("shop", owner="tests")

    @service.handler
    async def first(event: Placed, tx: Tx) -> Said:
        return Said(n=1)

    async def then(event: Any, tx: Tx) -> None:
        """Nothing."""

    then.__annotations__["event"] = heard
    if options.get("after") == "first":
        options["after"] = first
    service.handler(**options)(then)
    return service


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"latest_by": 5}, 'does not name a field; write latest_by="updated_at"'),
    ({"latest_by": "size"}, "Placed has no such field; add it there, name another"),
    ({"latest_by": "local"}, "latest_by='local' is datetime in Placed, whose values may be missing or do not sort"),
    ({"latest_by": "note"}, "is str | None in Placed, whose values may be missing"),
    ({"latest_by": "guessed"}, "has a default in Placed, so that all events without it would count as equally old"),
    ({"latest_by": "secret"}, "latest_by='secret' is sensitive in Placed"),
    ({"latest_by": "version", "heard": Placed | Changed}, "of kind int in Placed and text in Changed"),
    ({"latest_by": "note", "heard": Changed | Placed}, "Changed has no such field"),
    ({"latest_by": "version", "idempotent": True}, "idempotent=True writes no inbox row, and latest_by= decides by it"),
    ({"after": "first"}, "after= needs within="),
    ({"after": "first", "within": timedelta(0)}, "after= needs within=, a timedelta above 0"),
    ({"after": "first", "within": timedelta(days=31)}, "at most 30 days"),
    ({"after": "first", "within": 60}, "and got 60"),
    ({"after": "first", "within": MINUTE, "idempotent": True}, "after= decides by it"),
    ({"within": MINUTE}, "within= bounds the wait for after=, which is missing"),
    ({"after": print, "within": MINUTE}, "after=print is not a handler of this service that is declared above"),
    ({"after": "shop.first", "within": MINUTE}, "after=shop.first is not a handler of this service"),
]


@pytest.mark.parametrize(("options", "error"), REFUSED)
def test_what_is_refused(options: dict[str, Any], error: str) -> None:
    """RULES 15.1, 15.4: at import, with what is wrong and the way out."""
    with pytest.raises(DeclarationError) as refused:
        declared(**options)
    assert error in str(refused.value)


def test_nobody_waits_in_a_circle() -> None:
    """RULES 15.4: a handler can only wait for one that is declared above, so none waits for itself."""
    service = Service("shop", owner="tests")

    async def one(event: Placed, tx: Tx) -> None:
        """Nothing."""

    async def other(event: Placed, tx: Tx) -> None:
        """Nothing."""

    for first, second in ((one, other), (one, one)):
        with pytest.raises(DeclarationError, match="declared above; name one, so that none waits for itself"):
            service.handler(after=second, within=MINUTE)(first)


def test_what_can_be_no_predecessor() -> None:
    """RULES 15.4: another service's handler, an undo, a time-out, and what keeps no row."""
    service, elsewhere = Service("shop", owner="tests"), declared()
    [theirs, *_] = elsewhere.declarations.subscriptions.values()

    @service.handler(idempotent=True)
    async def light(event: Placed, tx: Tx) -> None:
        """Nothing."""

    @service.overdue(MINUTE, unless=Changed)
    async def late(event: Placed, tx: Tx) -> None:
        """Nothing."""

    async def then(event: Placed, tx: Tx) -> None:
        """Nothing."""

    for first, error in (
        (theirs.call, "is not a handler of this service"),
        (light, "which is idempotent=True and keeps no row"),
        (late, "which is a time-out; name an ordinary handler"),
    ):
        with pytest.raises(DeclarationError, match=error):
            service.handler(after=first, within=MINUTE)(then)


def test_a_step_keeps_no_latest() -> None:
    """RULES 15.3: its effect outside may have happened when its run is rolled back as stale."""
    service = Service("shop", owner="tests")

    @service.handler(latest_by="version")
    async def step(event: Placed, tx: Tx) -> Said:
        return Said(n=1)

    async def undo(event: Placed, did: Said | None, why: Changed, tx: Tx) -> None:
        """Nothing."""

    async def late(event: Placed, tx: Tx) -> None:
        """Nothing."""

    with pytest.raises(DeclarationError, match=r"shop\.step has latest_by=, and a step has none"):
        service.undo(step, Said)(undo)
    with pytest.raises(DeclarationError, match="latest_by= is an option of a handler, and this is a time-out"):
        service.overdue(MINUTE, unless=Changed, latest_by="version")(late)  # type: ignore[call-arg]  # what is refused


def test_an_older_version_that_is_sensitive_is_found_before_the_start() -> None:
    """RULES 15.1: what an upcast copies into the field would be stored as well."""
    service = declared(Named, latest_by="name")
    service.complete()

    @service.upcast
    def newer(old: Older) -> Named:
        return Named(name=old.name)

    with pytest.raises(DeclarationError, match="latest_by='name' is sensitive in Older"):
        service.complete()


def test_what_a_service_tells_of_it() -> None:
    """RULES 15.1, 15.4: manifest and `hocket check` name the field, the predecessor and the bound."""
    service = declared(Placed | Changed, latest_by="at", after="first", within=MINUTE)
    told: Any = service.declarations.manifest()["subscriptions"]
    first, then = told
    assert (then["latest_by"], then["after"], then["within"]) == ("at", "shop.first", 60.0)
    assert not {"latest_by", "after", "within"} & set(first)
    assert list(describe(service.declarations))[-1].endswith(", the latest by at, after shop.first or 0:01:00")
    assert service.declarations.subscriptions["shop.first"].followed
