"""Reads the option `drift=` of a declaration (RULES 16.4). Pure."""

from collections.abc import Mapping
from typing import Any

from hocket.drift.kinds import MODES, Mode
from hocket.errors import DeclarationError


def mode_of(options: Mapping[str, Any], where: str) -> Mode:
    """What the declaration asks for, `warn` where it does not say. Raises `DeclarationError`."""
    given = options.get("drift", "warn")
    for mode in MODES:
        if isinstance(given, str) and given == mode:
            return mode
    raise DeclarationError(
        f"{where}: drift={given!r} is unknown; give {', '.join(repr(each) for each in MODES)}, or leave it out"
    )
