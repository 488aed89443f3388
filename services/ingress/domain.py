"""What a pushed lead looks like. Pure."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$")]
Campaign = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class NewLead(BaseModel):
    """A lead as it is pushed."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    email: Email
    campaign: Campaign = ""
