"""`allow={"CODE": "reason"}` at a declaration: a finding of `hocket check` that its team has judged. Pure."""

from collections.abc import Mapping
from difflib import get_close_matches

from hocket.errors import DeclarationError

#: The codes of findings, by the kind of declaration that they are found at and allowed at (docs/checks.md).
_ALWAYS = ("failure-undoes-nothing", "period-short")
OF_HANDLER = ("step-without-undo", *_ALWAYS)
OF_UNDO = ("undo-unreached", "undo-flow", "scope-once", *_ALWAYS)
OF_OVERDUE = (
    "step-without-undo",
    "late-standing",
    "overdue-flow",
    "overdue-unended",
    "overdue-short",
    "overdue-unheard",
    *_ALWAYS,
)
OF_ON_DEAD = ("failure-undoes-nothing",)
#: Letters of a reason, at most.
MAX_REASON = 500


def allowances(given: object, codes: tuple[str, ...], where: str) -> dict[str, str]:
    """What is allowed at one declaration: reasons by code.

    Raises `DeclarationError` for a code that is not found at such a declaration, and for a missing reason.
    """
    if not isinstance(given, Mapping):
        raise DeclarationError(
            f'{where}: allow={given!r} is not a mapping; write allow={{"{codes[0]}": "why this is right here"}}'
        )
    for code, reason in given.items():
        if code not in codes:
            near = get_close_matches(str(code), codes, 1)
            way_out = f"did you mean {near[0]!r}?" if near else f"the codes here are {', '.join(codes)}"
            raise DeclarationError(f"{where}: allow={{{code!r}: ...}} names no finding of this declaration; {way_out}")
        if not isinstance(reason, str) or not reason.strip() or len(reason) > MAX_REASON:
            raise DeclarationError(
                f"{where}: allow={{{code!r}: {reason!r}}} gives no reason; write in up to {MAX_REASON} letters why "
                "this is right here"
            )
    return {code: " ".join(reason.split()) for code, reason in given.items()}
