"""What a pushed lead looks like. Pure."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

#: Longest address in bytes: `lead/ADDRESS`, the subject of what is said, has at most 255.
MAX_EMAIL_BYTES = 250


def _is_address(value: str) -> str:
    """Refuse characters that nobody sees, such as a zero-width space, and an address that is no subject."""
    if not value.isprintable():
        raise ValueError("has a character that cannot be printed")
    if len(value.encode()) > MAX_EMAIL_BYTES:
        raise ValueError(f"has more than {MAX_EMAIL_BYTES} bytes")
    return value


Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$"), AfterValidator(_is_address)]
Campaign = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class NewLead(BaseModel):
    """A lead as it is pushed."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    email: Email
    campaign: Campaign = ""
