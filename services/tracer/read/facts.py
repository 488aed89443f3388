"""The facts a flow is folded from: what was said, how attempts ended, what services declare (docs/wire.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

#: Bound of one name, id or word in a fact; longer ones are not understood.
MAX_NAME = 1000
#: Bytes of the names by which one fact is found: PostgreSQL takes no longer ones into an index.
MAX_KEY_BYTES = 2_000
#: Bound of one free text in a fact.
MAX_TEXT = 20_000

#: Bound of a number in a fact that databases keep.
MAX_NUMBER = 2**31 - 1
#: Bound of what one attempt may have said.
MAX_SAID = 10_000
#: Years that a fact may be of: outside of them no clock and no zone can be computed with.
YEARS = range(1970, 9000)

#: The type of the kit's own undo envelopes, which travel outside the log.
UNDO_TYPE = "hocket.undo"


def _within_years(moment: datetime) -> datetime:
    if moment.year not in YEARS:
        raise ValueError(f"is of the year {moment.year}, which no clock shows")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_within_years)]
Number = Annotated[int, Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Name = Annotated[str, Field(max_length=MAX_NAME, pattern=r"^[^\x00]*$")]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
EventName = tuple[Name, Number]


@dataclass(frozen=True, slots=True)
class Said:
    """One event of the log: who said what when, within which flow, because of what."""

    source: str
    id: str
    type: str
    version: int
    subject: str
    time: datetime
    flow: str
    cause: str = ""  # id of the event that was being handled
    data: str = field(default="{}", compare=False, repr=False)  # JSON

    @property
    def service(self) -> str:
        """The service that said it: its source without the slash."""
        return self.source.strip("/") or self.source

    @property
    def name(self) -> tuple[str, int]:
        """(type, version)."""
        return self.type, self.version


class _Fact(BaseModel):
    """A fact of the receipts stream; absent and null mean the same, unknown fields are left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: each for name, each in value.items() if each is not None}
        return value


def _findable(*names: str) -> None:
    if sum(len(name.encode()) for name in names) > MAX_KEY_BYTES:
        raise ValueError(f"its names have more than {MAX_KEY_BYTES} bytes together")


class About(_Fact):
    """The event that an attempt was about."""

    id: Name = ""
    source: Name = ""
    type: Name = ""
    version: Number = 1


class Receipt(_Fact):
    """How one attempt ended."""

    kind: Literal["receipt"]
    service: Name
    subscription: Name
    outcome: Literal["handled", "retry", "deferred", "dead", "duplicate", "refused", "obsolete"]
    time: Moment
    instance: Name = ""
    boot: Name = ""
    event: About = About()
    subject: Name = ""
    correlationid: Name = ""
    attempt: Number = 1
    began: Moment | None = None
    ended: Moment | None = None
    next_at: Moment | None = None
    said: Annotated[tuple[Name, ...], Field(max_length=MAX_SAID)] = ()
    death: Name = ""
    cause: Name = ""
    error: Text = ""
    ledger: Name = ""
    step: Name = ""
    replay: Name = ""
    first: Name = ""  # of a duplicate: how it ended then

    @model_validator(mode="after")
    def _is_findable(self) -> Self:
        about = (self.event.source, self.event.id, self.subject, self.correlationid)
        _findable(self.subscription, *about, self.boot)
        return self

    @property
    def key(self) -> tuple[str, str, str, int, str, str, datetime]:
        """What makes two copies of one receipt the same receipt."""
        return (
            self.subscription, self.event.source, self.event.id, self.attempt, self.outcome, self.boot, self.time
        )  # fmt: skip

    @property
    def begun(self) -> datetime:
        """When the attempt began, as far as it is known."""
        return self.began or self.time

    @property
    def over(self) -> datetime:
        """When the attempt ended, as far as it is known."""
        return self.ended or self.time


class Declared(_Fact):
    """One subscription of a manifest."""

    name: Name
    hears: tuple[EventName, ...] = ()
    says: tuple[EventName, ...] = ()
    scheduled: tuple[EventName, ...] = ()
    undo_of: Name = ""
    why: tuple[EventName, ...] = ()
    on_dead: tuple[EventName, ...] = ()
    breaker: Name = ""
    attempts: Number = 0


class Manifest(_Fact):
    """What a service says of itself at start and hourly."""

    kind: Literal["manifest"]
    service: Name
    time: Moment
    owner: Name = ""
    subscriptions: tuple[Declared, ...] = ()
    says: tuple[EventName, ...] = ()
    sensitive: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)


class Breaking(_Fact):
    """The state of one breaker, as a heartbeat tells it."""

    state: Name
    since: Moment | None = None
    until: Moment | None = None


class Heartbeat(_Fact):
    """That an instance lives, every 10 s."""

    kind: Literal["heartbeat"]
    service: Name
    time: Moment
    instance: Name = ""
    boot: Name = ""
    version: Name = ""
    waiting: dict[Name, Number] = Field(default_factory=dict)
    breakers: dict[Name, Breaking] = Field(default_factory=dict)
    shed: Number = 0

    @model_validator(mode="after")
    def _is_findable(self) -> Self:
        _findable(self.service, self.instance)
        return self


Reported = Receipt | Manifest | Heartbeat
_KINDS: Mapping[str, type[Receipt] | type[Manifest] | type[Heartbeat]] = {
    "receipt": Receipt,
    "manifest": Manifest,
    "heartbeat": Heartbeat,
}


def reported(value: object) -> Reported:
    """One fact of the receipts stream. `ValueError` says why it is not understood."""
    kind = value.get("kind") if isinstance(value, dict) else None
    model = _KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise ValueError("kind: is none of receipt, manifest, heartbeat")
    return model.model_validate(value)


def utc(seconds: float) -> datetime:
    """A moment from seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
