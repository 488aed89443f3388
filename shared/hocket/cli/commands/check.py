"""`hocket check`: checks and shows what services declare, without starting them."""

from collections.abc import Iterable, Iterator
from typing import Any

import click
from pydantic import BaseModel

from hocket.cli.targets import load, parse
from hocket.cli.text_table import table
from hocket.declarations.choreography import Declarations
from hocket.declarations.overdue_findings import overdue_findings, overdue_refusals
from hocket.declarations.subscription import name_of
from hocket.declarations.team_settings import read
from hocket.declarations.undo_findings import undo_findings
from hocket.errors import ConfigError, DeclarationError, HocketError
from hocket.service import Service


@click.command()
@click.argument("modules", nargs=-1, metavar="[MODULE...]", help="Modules with a service, as services.orders.")
@click.option("--pipeline", is_flag=True, help="Print the stations that a delivery passes, and what each promises.")
def check(modules: tuple[str, ...], pipeline: bool) -> None:
    """Check what services declare, without starting them.

    Prints which events each service says and what each subscription hears. With several modules it also names events
    that none of them says. Time-outs are refused where a late answer would stand beside what they say (late-standing).
    Findings are no errors: undo-flow, a failure that may come in another flow than the step that it must undo;
    scope-once, an undo across flows by a field that may come more than once; overdue-unended, overdue-short and
    overdue-unheard.
    """
    if pipeline:
        _stations()
    if not modules:
        if pipeline:
            return
        raise click.BadParameter("name a module with a service, or give --pipeline")
    found, errors = _load(modules)
    for service in found:
        click.echo("\n".join(describe(service.declarations)))
        if service.settings is not None:
            _look_at_settings(service.name, service.settings)
    for line in unsaid([service.declarations for service in found]):
        click.echo(line)
    for line in undo_findings([service.declarations for service in found]):
        click.echo(line)
    for line in overdue_findings([service.declarations for service in found]):
        click.echo(line)
    errors += overdue_refusals([service.declarations for service in found])
    if errors:
        raise DeclarationError("; ".join(errors))


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


def describe(declared: Declarations) -> Iterator[str]:
    """A line for the service, then one for each subscription."""
    said = ", ".join(sorted(_dotted(name) for name in declared.says)) or "nothing"
    yield f"{declared.service} ({declared.owner}) says {said}"
    for each in declared.subscriptions.values():
        heard = ", ".join(_dotted(name) for name in each.bound) or "what its step's on_dead says"
        kind = f"undoes {each.undo.step} on" if each.undo else "waits on" if each.overdue else "hears"
        says = ", ".join(_dotted(name_of(model)) for model in each.says) or "nothing"
        yield f"  {each.queue} {kind} {heard}, says {says}"


def unsaid(declared: list[Declarations]) -> Iterator[str]:
    """A line for each event that these services hear and none of them says; none for a single service."""
    if len(declared) < 2:
        return
    said = {name for one in declared for name in one.says}
    for one in declared:
        for each in one.subscriptions.values():
            for name in each.bound:
                if name not in said:
                    yield f"{each.queue} hears {_dotted(name)}, which none of these services says"


def _dotted(name: tuple[str, int]) -> str:
    return f"{name[0]}.v{name[1]}"


def _stations() -> None:
    from hocket.delivery import STATIONS

    click.echo(table(("STATION", "PROMISE"), STATIONS))
