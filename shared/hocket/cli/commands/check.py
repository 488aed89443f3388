"""`hocket check`: checks and shows what services declare, without starting them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from click.exceptions import Exit
from pydantic import BaseModel

from hocket.cli.targets import load, parse
from hocket.cli.text_table import table
from hocket.config import Config
from hocket.declarations.choreography import Declarations
from hocket.declarations.findings.every import findings, unused
from hocket.declarations.findings.finding import Finding
from hocket.declarations.subscription import Subscription, name_of
from hocket.declarations.team_settings import read
from hocket.errors import ConfigError, DeclarationError, HocketError
from hocket.event import Heard
from hocket.service import Service
from hocket.worker.breaker_sync import RENEWALS

#: Exit status where something was found that no declaration allows.
FOUND = 1


@click.command()
@click.argument("modules", nargs=-1, metavar="[MODULE...]", help="Modules with a service, as services.orders.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--pipeline", is_flag=True, help="Print the stations that a delivery passes, and what each promises.")
def check(modules: tuple[str, ...], as_json: bool, pipeline: bool) -> None:
    """Check what services declare, without starting them.

    Prints which events each service says and what each subscription hears. With several modules it also names events
    that none of them says, and finds what no service can see alone: check those together that work together.

    Each finding has a code, the file and line of its declaration, and a way out. A declaration allows one with
    allow={"CODE": "reason"}, which is listed. Exit status 0: nothing was found; 1: findings that are not allowed; 2: a
    declaration is invalid.
    """
    if pipeline:
        _stations()
    if not modules:
        if pipeline:
            return
        raise click.BadParameter("name a module with a service, or give --pipeline")
    found, errors = _load(modules)
    for service in found:
        if service.settings is not None:
            _look_at_settings(service.name, service.settings)
    declared = [service.declarations for service in found]
    every = findings(declared, timedelta(seconds=RENEWALS * _renewal()))
    stale = list(unused(declared, every))
    if as_json:
        click.echo(json.dumps(_described(declared, every, stale, errors), indent=2))
    else:
        click.echo("\n".join(_lines(declared, every, stale)))
    if errors:
        raise DeclarationError("; ".join(errors))
    if any(not each.allowed for each in every):
        raise Exit(FOUND)


def _load(modules: Iterable[str]) -> tuple[list[Service[Any]], list[str]]:
    """The valid services, and an error text for each of the others."""
    found: list[Service[Any]] = []
    errors: list[str] = []
    for text in modules:
        try:
            service = load(parse(text).module)
            service.complete()
            found.append(service)
        except HocketError as error:
            errors.append(str(error))
    return found, errors


def _look_at_settings(service: str, settings: type[BaseModel]) -> None:
    """Name what is missing or invalid in this environment, which need not be the one that the service starts in."""
    try:
        read(service, settings)
    except ConfigError as error:
        click.echo(f"hocket: in this environment it does not start: {error}", err=True)


def _renewal() -> float:
    """The time between two renewals in this environment; where its settings are invalid, the default."""
    try:
        return Config.read().owner_renew_seconds
    except ConfigError:
        return float(Config.model_fields["owner_renew_seconds"].default)


def _lines(declared: Sequence[Declarations], every: Sequence[Finding], stale: Sequence[Finding]) -> Iterator[str]:
    for one in declared:
        yield from describe(one)
    for queue, heard in unsaid(declared):
        yield f"{queue} hears {heard}, which none of these services says"
    for each in every:
        if not each.allowed:
            yield f"{_place(each)}: {each.code}: {each.sentence}. Way out: {each.way_out}"
    for each in every:
        if each.allowed:
            yield f"{_place(each)}: allowed: {each.code}: {each.sentence}. Reason: {each.allowed}"
    for each in stale:
        yield f"{_place(each)}: not needed: {each.code}: {each.sentence}. Reason: {each.allowed}"


def _described(
    declared: Sequence[Declarations], every: Sequence[Finding], stale: Sequence[Finding], errors: Sequence[str]
) -> dict[str, object]:
    """What `--json` prints (docs/checks.md)."""
    return {
        "services": [one.manifest() for one in declared],
        "unsaid": [{"subscription": queue, "hears": heard} for queue, heard in unsaid(declared)],
        "findings": [each.described() for each in every],
        "not_needed": [each.described() for each in stale],
        "invalid": list(errors),
    }


def _place(each: Finding) -> str:
    """`FILE:LINE`, from the current folder where it lies below."""
    path = Path(each.file)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{shown}:{each.line}"


def describe(declared: Declarations) -> Iterator[str]:
    """A line for the service, then one for each subscription."""
    said = ", ".join(sorted(_dotted(name) for name in declared.says)) or "nothing"
    yield f"{declared.service} ({declared.owner}) says {said}"
    for each in declared.subscriptions.values():
        heard = ", ".join(_heard(each))
        kind = f"undoes {each.undo.step} on" if each.undo else "waits on" if each.overdue else "hears"
        yield f"  {each.queue} {kind} {heard}, {_says(each)}{_guards(each)}"


def _heard(each: Subscription) -> Iterator[str]:
    """What its queue is bound to, and of what its own step's on_dead says it is written (RULES 5.5)."""
    yield from (_dotted(name) for name in each.bound)
    for model in each.undo.spoken if each.undo else ():
        if name_of(model) not in each.bound:
            yield f"{_dotted(name_of(model))} of on_dead"


def _says(each: Subscription) -> str:
    """What a subscription says: at once, later, and when a delivery is given up."""
    parts = [f"says {_names(each.says) or 'nothing'}"]
    if each.scheduled:
        parts.append(f"later {_names(each.scheduled)}")
    if each.on_dead_says:
        parts.append(f"on_dead {_names(each.on_dead_says)}")
    return ", ".join(parts)


def _guards(each: Subscription) -> str:
    """What keeps an event from its run at once (RULES 15)."""
    parts = [f", the latest by {each.latest_by.field}"] if each.latest_by is not None else []
    if each.after is not None:
        parts.append(f", after {each.after.queue} or {each.within}")
    return "".join(parts)


def unsaid(declared: Sequence[Declarations]) -> Iterator[tuple[str, str]]:
    """Subscription and event where these services hear what none of them says; nothing for a single service."""
    if len(declared) < 2:
        return
    said = {name for one in declared for name in one.says}
    for one in declared:
        for each in one.subscriptions.values():
            for name in each.bound:
                if name not in said:
                    yield each.queue, _dotted(name)


def _names(models: Iterable[type[Heard]]) -> str:
    return ", ".join(_dotted(name_of(model)) for model in models)


def _dotted(name: tuple[str, int]) -> str:
    return f"{name[0]}.v{name[1]}"


def _stations() -> None:
    from hocket.delivery import STATIONS

    click.echo(table(("STATION", "PROMISE"), STATIONS))
