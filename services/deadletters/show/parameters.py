"""Reads requests: which letters, which letter, an act with its reason, and who asks."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Annotated

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.deadletters.act.refusal import MAX_REASON
from services.deadletters.ask.letters import DEFAULT_LIMIT, MAX_LIMIT
from services.deadletters.ask.replay_plan import NoLetter, Planned, planned
from services.deadletters.fold.state import State
from services.deadletters.read.letter import text

#: Digits of a number in an address.
MAX_DIGITS = 9
#: Characters of a wrong part of an address that are said again.
MAX_SHOWN = 100
#: What the numbers of an address may be.
NUMBERS = {"after": "that an earlier answer named as next", "limit": f"from 1 to {MAX_LIMIT}"}
#: Most bytes of a posted act.
MAX_ACT_BYTES = 16 * 1024


class Query(BaseModel):
    """Which letters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State | None = None
    cause: str = ""
    subscription: str = ""
    group: str = ""
    subject: str = ""
    after: int = Field(default=0, ge=0, le=2**62)
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)

    def where(self) -> dict[str, str]:
        """Columns and the values they must have."""
        named = {
            "cause": self.cause,
            "subscription": self.subscription,
            "group_id": self.group,
            "subject": self.subject,
        }
        found = {name: value for name, value in named.items() if value}
        return {**found, "state": self.state.value} if self.state else found


def letters_asked(request: web.Request) -> Query:
    """Which letters a request asks for; 400 that names each invalid part."""
    try:
        return Query.model_validate({name: value for name, value in request.query.items() if value})
    except ValidationError as error:
        raise web.HTTPBadRequest(text="; ".join(_asked_wrong(error))) from None


def _asked_wrong(error: ValidationError) -> Iterator[str]:
    """What is wrong with each part of an address, and what may stand there."""
    for each in error.errors():
        name, given = str(each["loc"][0]), str(each["input"])[:MAX_SHOWN]
        if each["type"] == "extra_forbidden":
            yield f"{name}= is unknown: filter by {', '.join(Query.model_fields)}"
        elif name == "state":
            yield f"state={given} is no state of a letter: give one of {', '.join(State)}, or none for all"
        elif name in NUMBERS:
            yield f"{name}={given}: give a whole number {NUMBERS[name]}"
        else:
            yield f"{name}={given}: {each['msg']}"


def earlier_asked(request: web.Request) -> int:
    """How many of the newest arrivals to leave out; 400 where that is no number."""
    text_ = request.query.get("earlier", "0")
    if not (text_.isascii() and text_.isdigit() and len(text_) <= MAX_DIGITS):
        raise web.HTTPBadRequest(text="earlier: give the number that the previous answer named")
    return int(text_)


class Why(BaseModel):
    """The body of an act."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: Annotated[str, Field(max_length=MAX_REASON), AfterValidator(partial(text, limit=MAX_REASON))] = ""


async def reason_of(request: web.Request) -> str:
    """The reason in the JSON body of an act; 400 that says what is wrong with the body."""
    if (request.content_length or 0) > MAX_ACT_BYTES:
        raise web.HTTPBadRequest(text=f"body: larger than {MAX_ACT_BYTES} bytes")
    body = await request.read()
    try:
        return Why.model_validate_json(body or b"{}").reason
    except ValidationError as error:
        raise wrong(error) from None


async def form_reason(request: web.Request) -> str:
    """The reason in the form of an act; 400 where the body is no form."""
    try:
        form = await request.post()
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"body: is no form: {error}") from None
    return str(form.get("reason", ""))[:MAX_REASON]


def who_of(request: web.Request) -> str:
    """Who acts: the address. No header says who it is: anyone could send it (docs/security.md)."""
    return request.remote or "unknown"


def wrong(error: ValidationError) -> web.HTTPBadRequest:
    """A 400 that names each field and what is wrong with it."""
    found = (f"{'.'.join(str(part) for part in each['loc']) or 'body'}: {each['msg']}" for each in error.errors())
    return web.HTTPBadRequest(text="; ".join(found))


async def found(request: web.Request, db: AsyncConnection, moment: datetime) -> Planned:
    """The letter of the address with its plan; 404 where there is none."""
    try:
        return await planned(db, request.match_info["id"], moment)
    except NoLetter:
        raise missing(request) from None


def missing(request: web.Request) -> web.HTTPNotFound:
    """The 404 of an address that names no letter."""
    return web.HTTPNotFound(text=f"There is no letter {request.match_info['id'][:64]} at this desk.")
