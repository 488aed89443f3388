"""`hocket dead`: the dead-letter desk in a terminal."""

import json
import sys
from typing import Annotated, Any, NoReturn
from urllib.parse import quote

import typer

from hocket.cli.desk import DeskRefused, Query, ask
from hocket.cli.modules import settings
from hocket.cli.table import shown, table

#: Exit status of what the desk refused or does not have.
NOT_SO = 1

app = typer.Typer(help="Look at dead letters, replay and discard them.", no_args_is_help=True)

Desk = Annotated[str, typer.Option("--desk", help="Address of the desk; default HOCKET_DESK_URL.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the desk's answer as JSON.")]
Letter = Annotated[str, typer.Argument(metavar="LETTER", help="The letter's id.")]
Text = Annotated[str, typer.Option()]
Number = Annotated[int, typer.Option(min=0)]


@app.command("list")
def list_(
    state: Annotated[str, typer.Option(help="pending, replaying, handled, discarded, obsolete or any.")] = "pending",
    cause: Text = "",
    subscription: Text = "",
    after: Number = 0,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 100,
    desk: Desk = "",
    as_json: AsJson = False,
) -> None:
    """List letters, the oldest first."""
    named = {"state": "" if state == "any" else state, "cause": cause, "subscription": subscription}
    query: Query = {name: value for name, value in named.items() if value}
    answer = _ask(desk, as_json, "GET", "", {**query, "after": after, "limit": limit})
    if as_json:
        return
    letters = answer["letters"]
    if not letters:
        typer.echo(f"No letter is {state}." if state != "any" else "No letter is like this.")
        return
    head = ("LETTER", "STATE", "SUBSCRIPTION", "SUBJECT", "ATTEMPTS", "DIED", "CAUSE")
    typer.echo(table(head, [_row(letter) for letter in letters]))
    if answer["next"]:
        typer.echo(f"More: --after {answer['next']}")


def _row(letter: dict[str, Any]) -> tuple[object, ...]:
    about = letter["event"]["subject"] if letter["event"] else "not readable"
    cause = f"{letter['cause']}: {letter['error']}"[:160]
    return (letter["id"], letter["says"], letter["subscription"], about, letter["attempt"], letter["last"][:19], cause)


@app.command()
def show(letter: Letter, desk: Desk = "", as_json: AsJson = False) -> None:
    """Show one letter: what died, why, and what was done."""
    found = _ask(desk, as_json, "GET", f"/{quote(letter, safe='')}")
    if as_json:
        return
    event = found["event"] or {}
    facts = (
        ("letter", found["id"]),
        ("state", found["says"]),
        ("subscription", found["subscription"]),
        ("owner", found["owner"] or "not reported yet"),
        ("cause", f"{found['cause']}: {found['error']}"),
        ("attempts", found["attempt"]),
        ("died", found["last"]),
        ("event", f"{event['type']} {event['id']}" if event else "not readable"),
        ("subject", event.get("subject", "not readable")),
        ("flow", event.get("correlationid", "not readable")),
        ("replay", found["refusal"] or "possible"),
    )
    typer.echo("\n".join(f"{name:<13}{shown(value)}" for name, value in facts))
    runs = [run for arrival in found["arrivals"] for run in arrival["history"]]
    if runs:
        rows = [(run["attempt"], run["began"], run["word"], f"{run['cause']}: {run['error']}") for run in runs]
        typer.echo("\n" + table(("ATTEMPT", "BEGAN", "ENDED", "CAUSE"), rows))
    if found["acts"]:
        acts = [(act["time"], act["kind"], act["who"], act["failure"] or act["reason"]) for act in found["acts"]]
        typer.echo("\n" + table(("DONE", "WHAT", "BY", "WHY"), acts))
    if found["data"] is not None:
        typer.echo("\n" + json.dumps(found["data"], indent=2))


@app.command()
def replay(
    letter: Letter,
    reason: Text = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, and do nothing.")] = False,
    desk: Desk = "",
    as_json: AsJson = False,
) -> None:
    """Send a letter again, to the one subscription that failed."""
    path = f"/{quote(letter, safe='')}/replay"
    if dry_run:
        plan = _ask(desk, as_json, "GET", path)
        if not as_json:
            will = f"Would be sent to {plan['subscription']} as attempt {plan['attempt']}. {plan['then']}"
            typer.echo("\n".join([plan["refusal"] or will, *plan["warnings"]]))
        if not plan["would_send"]:
            raise typer.Exit(NOT_SO)
        return
    done = _ask(desk, as_json, "POST", path, body={"reason": reason})
    if not as_json:
        typer.echo(f"Sent to {done['subscription']} as attempt {done['attempt']}, replay {done['replay']}.")


@app.command()
def discard(
    letter: Letter,
    reason: Annotated[str, typer.Option(help="Why nobody needs it any more.")],
    desk: Desk = "",
    as_json: AsJson = False,
) -> None:
    """Settle a letter by hand; nothing is sent."""
    done = _ask(desk, as_json, "POST", f"/{quote(letter, safe='')}/discard", body={"reason": reason})
    if not as_json:
        typer.echo(f"Discarded {done['letter']}.")


def _ask(
    desk: str, as_json: bool, method: str, path: str, query: Query | None = None, body: Any = None
) -> dict[str, Any]:
    """Ask the desk; prints the answer where JSON is wanted, and ends where the desk refuses."""
    try:
        answer = ask(desk or settings().desk_url, method, f"/api/dead{path}", query, body)
    except DeskRefused as refused:
        _refused(refused, as_json)
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
    return answer


def _refused(refused: DeskRefused, as_json: bool) -> NoReturn:
    if as_json:
        typer.echo(json.dumps(refused.answer, indent=2))
    print(f"hocket: {shown(refused)}", file=sys.stderr)
    raise typer.Exit(NOT_SO)
