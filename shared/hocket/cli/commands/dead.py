"""`hocket dead`: lists, shows, replays and discards dead letters, through the desk's HTTP interface."""

import json
import sys
from collections.abc import Iterator
from typing import Any, NoReturn
from urllib.parse import quote

import click
from click.exceptions import Exit

from hocket.cli.click_types import Commands, Within
from hocket.cli.desk_client import DeskRefused, Query, ask
from hocket.cli.targets import settings
from hocket.cli.text_table import shown, table
from hocket.outcome import with_cause

#: Exit status if the desk refuses, or has no such letter.
NOT_SO = 1

_desk = click.option("--desk", default="", help="Address of the desk, http://HOST:PORT; default: HOCKET_DESK_URL.")
_as_json = click.option("--json", "as_json", is_flag=True, help="Print the desk's answer as JSON.")
_letter = click.argument("letter", metavar="LETTER", help="The letter's id.")


@click.group(cls=Commands)
def dead() -> None:
    """List, show, replay and discard dead letters."""


@dead.command("list")
@click.option(
    "--state",
    default="pending",
    show_default=True,
    help="Show letters in this state: pending, replaying, handled, discarded, obsolete or any.",
)
@click.option("--cause", default="", help="Show letters with this cause, as ValueError or timeout.")
@click.option("--subscription", default="", help="Show letters of this subscription, as payments.charge.")
@click.option("--after", type=Within(0), default=0, show_default=True, help="Continue after this position.")
@click.option("--limit", type=Within(1, 500), default=100, show_default=True, help="Show at most this many letters.")
@_desk
@_as_json
def list_(state: str, cause: str, subscription: str, after: int, limit: int, desk: str, as_json: bool) -> None:
    """List dead letters, the oldest first.

    ASKS: `zombie` where an undo was given up, so that an effect stands in a failed flow; else `open letter`.

    CAUSE: what differs from letter to letter is left out: ‹n› a number, ‹id› an id, ‹mail› an address. `hocket dead
    show` has it whole.
    """
    named = {"state": "" if state == "any" else state, "cause": cause, "subscription": subscription}
    query: Query = {name: value for name, value in named.items() if value}
    answer = _ask(desk, as_json, "GET", "", {**query, "after": after, "limit": limit})
    if as_json:
        return
    letters = answer["letters"]
    if not letters:
        click.echo(f"No letter is {state}." if state != "any" else "No letter matches.")
        return
    head = ("LETTER", "STATE", "ASKS", "SUBSCRIPTION", "OWNER", "SUBJECT", "ATTEMPTS", "DIED", "CAUSE")
    click.echo(table(head, [_row(letter) for letter in letters]))
    if answer["next"]:
        click.echo(f"More: --after {answer['next']}")


def _row(letter: dict[str, Any]) -> tuple[object, ...]:
    about = letter["event"]["subject"] if letter["event"] else "not readable"
    cause = with_cause(letter["cause"], letter["error"])[:160]
    whose = (letter["asks"] or "-", letter["subscription"], letter["owner"] or "-")
    return (letter["id"], letter["says"], *whose, about, letter["attempt"], letter["last"][:19], cause)


@dead.command()
@_letter
@_desk
@_as_json
def show(letter: str, desk: str, as_json: bool) -> None:
    """Show one letter: the event, why it failed, and what was done."""
    found = _ask(desk, as_json, "GET", f"/{quote(letter, safe='')}")
    if as_json:
        return
    event = found["event"] or {}
    facts = (
        ("letter", found["id"]),
        ("state", found["says"]),
        ("asks", found["asks"] or "nothing"),
        *((("time-out", "it had fired: nothing answered it in time"),) if found["overdue"] else ()),
        ("subscription", found["subscription"]),
        ("owner", found["owner"] or "not reported yet"),
        ("cause", with_cause(found["cause"], found["error"])),
        ("attempts", found["attempt"]),
        ("died", found["last"]),
        ("event", f"{event['type']} {event['id']}" if event else "not readable"),
        ("subject", event.get("subject", "not readable")),
        ("flow", event.get("correlationid", "not readable")),
        ("replay", found["refusal"] or "possible"),
    )
    click.echo("\n".join(f"{name:<13}{shown(value)}" for name, value in facts))
    runs = [run for arrival in found["arrivals"] for run in arrival["history"]]
    if runs:
        rows = [(run["attempt"], run["began"], run["word"], with_cause(run["cause"], run["error"])) for run in runs]
        click.echo("\n" + table(("ATTEMPT", "BEGAN", "ENDED", "CAUSE"), rows))
        click.echo("".join(_stack(runs[-1])), nl=False)
    if found["acts"]:
        acts = [(act["time"], act["kind"], act["who"], act["failure"] or act["reason"]) for act in found["acts"]]
        click.echo("\n" + table(("DONE", "WHAT", "BY", "WHY"), acts))
    if found["data"] is not None:
        click.echo("\n" + json.dumps(found["data"], indent=2))


def _stack(run: dict[str, Any]) -> Iterator[str]:
    """The stack of an attempt line by line, without control characters; nothing where it has none."""
    if lines := str(run.get("trace") or "").splitlines():
        yield f"\nStack of attempt {run['attempt']}:\n"
        for line in lines:
            yield f"  {shown(line)}\n"


@dead.command()
@_letter
@click.option("--reason", default="", help="Why it can work now; kept with the letter.")
@click.option("--dry-run", is_flag=True, help="Say what a replay would do, and send nothing.")
@_desk
@_as_json
def replay(letter: str, reason: str, dry_run: bool, desk: str, as_json: bool) -> None:
    """Deliver a letter again to the subscription that failed."""
    path = f"/{quote(letter, safe='')}/replay"
    if dry_run:
        plan = _ask(desk, as_json, "GET", path)
        if not as_json:
            will = f"Would be sent to {plan['subscription']} as attempt {plan['attempt']}. {plan['then']}"
            click.echo("\n".join([plan["refusal"] or will, *plan["warnings"]]))
        if not plan["would_send"]:
            raise Exit(NOT_SO)
        return
    done = _ask(desk, as_json, "POST", path, body={"reason": reason})
    if not as_json:
        click.echo(f"Sent to {done['subscription']} as attempt {done['attempt']}, replay {done['replay']}.")


@dead.command()
@_letter
@click.option("--reason", required=True, help="Why nobody needs it any more; kept with the letter.")
@_desk
@_as_json
def discard(letter: str, reason: str, desk: str, as_json: bool) -> None:
    """Close a letter without sending anything."""
    done = _ask(desk, as_json, "POST", f"/{quote(letter, safe='')}/discard", body={"reason": reason})
    if not as_json:
        click.echo(f"Discarded {done['letter']}.")


def _ask(
    desk: str, as_json: bool, method: str, path: str, query: Query | None = None, body: Any = None
) -> dict[str, Any]:
    """Ask the desk. With `as_json`, print the answer; if the desk refuses, end with status 1."""
    try:
        answer = ask(desk or settings().desk_url, method, f"/api/dead{path}", query, body)
    except DeskRefused as refused:
        _refused(refused, as_json)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    return answer


def _refused(refused: DeskRefused, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps(refused.answer, indent=2))
    print(f"hocket: {shown(refused)}", file=sys.stderr)
    raise Exit(NOT_SO)
