"""The kit's settings as people see them, for `hocket settings` and docs/settings.md."""

from typing import NamedTuple

from pydantic import BaseModel

from hocket.config import GROUPS, PREFIX, Config, allowed, masked


class Setting(NamedTuple):
    """One setting; the passwords of a value that is not the default are masked."""

    name: str
    value: str
    default: str
    unit: str
    meaning: str
    allowed: str
    changed: bool  # the value is not the default


def listed(config: Config, group: type[BaseModel] | None = None) -> list[Setting]:
    """Every setting, or those of one group, in the order in which they are declared."""
    found = []
    for one in GROUPS if group is None else (group,):
        for name, field in one.model_fields.items():
            value, default = getattr(config, name), field.default
            changed = value != default
            extra = field.json_schema_extra
            assert isinstance(extra, dict)
            found.append(
                Setting(
                    f"{PREFIX}{name.upper()}",
                    masked(name, _text(value)) if changed else _text(default),
                    _text(default),
                    str(extra["unit"]),
                    field.description or "",
                    allowed(field),
                    changed,
                )
            )
    return found


def _text(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)
