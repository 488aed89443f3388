"""What pydantic found wrong in data, field by field, never with the value: it may be sensitive. Pure."""

from typing import NamedTuple

from pydantic import ValidationError

#: Fields that one sentence names.
MAX_PLACES = 10
#: Kinds of error whose text comes from a team's own validator: it may quote the value.
_OWN_TEXT = frozenset({"value_error", "assertion_error"})


class Invalid(NamedTuple):
    """One field that is not valid."""

    place: tuple[int | str, ...]  # empty where several fields together are not
    kind: str
    text: str  # may quote the value where it is `own_text`

    @property
    def field(self) -> str:
        """The field's name, `lines.0.sku`."""
        return ".".join(map(str, self.place))

    @property
    def own_text(self) -> bool:
        """Whether the text is that of a team's validator."""
        return self.kind in _OWN_TEXT


def invalid_fields(error: ValidationError) -> list[Invalid]:
    """All of them, in the order of the model."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [Invalid(each["loc"], each["type"], each["msg"]) for each in found]
