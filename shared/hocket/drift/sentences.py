"""Drift in words: why an event is kept out, and what began when (RULES 16.3). Pure."""

from collections.abc import Sequence

from hocket.drift.kinds import Finding, Kind

#: Places that one sentence names.
MAX_NAMED = 10

_HELD = {
    Kind.MISSING: "is missing",
    Kind.NULL: "is null",
    Kind.TYPE: "is of another type",
    Kind.VALUE: "has a value that is not declared",
    Kind.UNKNOWN: "is unknown",
}
_BEGAN = {
    Kind.MISSING: "began to leave out `{}`",
    Kind.NULL: "began to send null as `{}`",
    Kind.TYPE: "began to send another type as `{}`",
    Kind.VALUE: "began to send an undeclared value as `{}`",
    Kind.UNKNOWN: "began to send `{}`",
}


def held_because(findings: Sequence[Finding]) -> str:
    """Why `quarantine` keeps an event out, without any value; "" where it does not."""
    held = [f"{each.path} {_HELD[each.kind]}" for each in findings if each.holds]
    if not held:
        return ""
    more = f"; and {len(held) - MAX_NAMED} more" if len(held) > MAX_NAMED else ""
    return (
        f"it differs from what is read: {'; '.join(held[:MAX_NAMED])}{more}. A replay lets it through; change the "
        "model where the sender is right"
    )


def began(source: str, path: str, kind: str) -> str:
    """What a sender began to do: "shopify began to send `customer.tags`"."""
    words = _BEGAN[Kind(kind)] if kind in {each.value for each in Kind} else f"began to differ ({kind}) at `{{}}`"
    return f"{source.strip('/') or source or 'somebody'} {words.replace('{}', path)}"
