"""The facts in which a service tells of its webhooks: of single ones, and counts of all (RULES 12.2). Pure."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hocket.console.fact_types import Fact, Moment, Name, Number, Text, check_findable

#: Most sources of one service, and ends of one source, in a fact.
MAX_SOURCES, MAX_ENDS = 1_000, 50

Ends = Annotated[dict[Name, Annotated[int, Field(ge=0, le=2**62)]], Field(max_length=MAX_ENDS)]
Lasts = Annotated[dict[Name, Moment], Field(max_length=MAX_ENDS)]


class WebhookFact(Fact):
    """How one webhook that was kept or sampled stands now."""

    kind: Literal["webhook"]
    service: Name
    time: Moment
    id: Name
    source: Name
    state: Name
    received: Moment
    delivery: Name = ""
    cause: Name = ""
    error: Text = ""
    correlationid: Name = ""
    skew: float = 0.0
    instance: Name = ""
    boot: Name = ""

    @model_validator(mode="after")
    def _is_findable(self) -> Self:
        check_findable(self.service, self.source, self.id)
        return self


class WebhookCounts(Fact):
    """How many pushes of each source ended how since a process began, and when the last did.

    The source "" stands for all that named none that exists.
    """

    kind: Literal["webhooks"]
    service: Name
    time: Moment
    instance: Name = ""
    boot: Name = ""
    counts: Annotated[dict[Name, Ends], Field(max_length=MAX_SOURCES)] = Field(default_factory=dict)
    last: Annotated[dict[Name, Lasts], Field(max_length=MAX_SOURCES)] = Field(default_factory=dict)
    kept: Annotated[dict[Name, Number], Field(max_length=MAX_SOURCES)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_findable(self) -> Self:
        check_findable(self.service, self.boot)
        for source, ends in self.counts.items():
            for end in ends:
                check_findable(self.service, self.boot, source, end)
        return self
