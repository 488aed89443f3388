"""The functions of `hocket.saga` with one rule left out each, to show what the rule is for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hocket.saga import Begun, Ended, Failed, LedgerRow, LedgerState, begin, end, fail, owns

#: The rules that can be left out.
RULES: Mapping[str, str] = {
    "begun": "RULES 5.2: `begun` is committed before the handler runs",
    "owner": "RULES 5.2, 3.1: `begun` names its owner, and only that run wins",
    "tombstone": "RULES 5.3: a failure that finds no row leaves a tombstone",
    "mark": "RULES 5.3: a failure that finds `begun` marks it",
    "void": "RULES 5.2: a run that did nothing ends `void`",
    "next-undo": "RULES 5.4: a run that was taken over while its undo was ordered orders the next one",
    "obsolete": "RULES 5.6: a run that is undoing or undone never begins again",
}


@dataclass(frozen=True)
class Decisions:
    """Four functions that decide about a ledger row; those of `hocket.saga` where nothing else is said."""

    begin: Callable[..., Any] = begin
    end: Callable[..., Ended] = end
    fail: Callable[..., Failed] = fail
    owns: Callable[..., bool] = owns


def _without_begun(row: LedgerRow | None, **words: Any) -> Any:
    return begin(row, **words) if row and row.state is LedgerState.TOMBSTONE else Begun(row)  # type: ignore[arg-type]  # no row is what is left out


def _without_owner(row: LedgerRow | None, **words: Any) -> Any:
    return begin(row._replace(owner="") if row else None, **words)


def _without_tombstone(row: LedgerRow | None, **words: Any) -> Any:
    return begin(None if row and row.state is LedgerState.TOMBSTONE else row, **words)


def _without_obsolete(row: LedgerRow | None, **words: Any) -> Any:
    if row and words["replay"] and row.state in {LedgerState.UNDOING, LedgerState.UNDONE}:
        row = row._replace(state=LedgerState.UNSURE)
    return begin(row, **words)


def _without_mark(row: LedgerRow | None, **words: Any) -> Failed:
    return Failed(None, None) if row and row.state is LedgerState.BEGUN else fail(row, **words)


def _without_void(row: LedgerRow, **words: Any) -> Ended:
    void = words["end"] is LedgerState.VOID and owns(row, words["token"], words["boot"])
    return end(row, **words | {"end": LedgerState.DONE if void else words["end"]})


def _without_next_undo(row: LedgerRow, **words: Any) -> Ended:
    return end(row, **words) if owns(row, words["token"], words["boot"]) else Ended(row, None, won=False)


def _owns_whatever_is_not_final(row: LedgerRow, *_: str) -> bool:
    return row.state in {LedgerState.BEGUN, LedgerState.TOMBSTONE}


def _owns_whatever_has_begun(row: LedgerRow, *_: str) -> bool:
    return row.state is LedgerState.BEGUN


_WITHOUT: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "begun": {"begin": _without_begun, "owns": _owns_whatever_is_not_final},
    "owner": {"begin": _without_owner, "owns": _owns_whatever_has_begun},
    "tombstone": {"begin": _without_tombstone},
    "mark": {"fail": _without_mark},
    "void": {"end": _without_void},
    "next-undo": {"end": _without_next_undo},
    "obsolete": {"begin": _without_obsolete},
}


def without_rules(names: frozenset[str]) -> Decisions:
    """The functions with the rules of these names left out."""
    return replace(Decisions(), **{name: function for rule in names for name, function in _WITHOUT[rule].items()})
