"""The desk's pages: groups by cause, letters, one letter, and the two acts with what each would do."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aiohttp import web

from hocket.console import Console, path_to, tree_of, with_query
from services.deadletters.act.discard import discard
from services.deadletters.act.refusal import MAX_REASON, Refused
from services.deadletters.act.replay import replay
from services.deadletters.ask.letters import (
    Groups,
    asides_of,
    count_same,
    counts_of,
    cursor,
    find_letters,
    masks_of,
    owners_of,
    shut_of,
    strangers_of,
)
from services.deadletters.ask.replay_plan import NoLetter
from services.deadletters.fold.cause import stack
from services.deadletters.fold.state import State, sentence, times
from services.deadletters.service import deadletters
from services.deadletters.show.parameters import form_reason, found, letters_asked, missing, who_of
from services.deadletters.show.sentences import (
    about_counts,
    about_desk,
    about_others,
    letter_line,
    runs,
    state_line,
    story,
)
from services.deadletters.show.views import MAX_HEX_BYTES, MAX_SHOWN_BYTES, hex_of, listed, whole

#: Ways to look at a payload.
PAYLOAD_VIEWS = ("tree", "raw", "hex", "headers")
#: Letters of one page.
PAGE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Desk:
    """What every page needs: who renders it, and where the tracer is."""

    console: Console
    tracer_url: str
    grouped: Groups = field(default_factory=Groups)

    async def groups(self, request: web.Request) -> web.Response:
        """`/`: what is broken, how much, and is it new?"""
        show = "all" if request.query.get("show") == "all" else "open"
        async with deadletters.tx() as tx:
            db = await tx.read()
            groups, counts, owners = await self.grouped.read(db), await counts_of(db), await owners_of(db)
            others, aside, shut = await strangers_of(db, tx.time), await asides_of(db), await shut_of(db)
        now = self.console.now()
        return self.console.render(
            "groups.html",
            page="groups",
            groups=[group for group in groups if show == "all" or group.open],
            open_groups=sum(1 for group in groups if group.open),
            all_groups=len(groups),
            counts=counts,
            owners=owners,
            shut=shut,
            show=show,
            others=others,
            aside=aside,
            answer=about_others(others) or about_counts(groups, counts),
            second=about_desk(groups, now),
        )

    async def letters(self, request: web.Request) -> web.Response:
        """`/letters`: which ones? The newest first."""
        query = letters_asked(request)
        async with deadletters.tx() as tx:
            db = await tx.read()
            rows = await find_letters(db, query.where(), after=query.after, limit=PAGE_ROWS, newest=True)
            owners, masks, counts = await owners_of(db), await masks_of(db), await counts_of(db)
            shut = await shut_of(db)
        following = cursor(rows, PAGE_ROWS)
        chosen = {
            name: value
            for name, value in request.query.items()
            if name in {"group", "cause", "subscription", "subject"}
        }
        chips = [
            ("any", with_query("/letters", chosen), sum(counts.values()), not query.state),
            *(
                (each.value, with_query("/letters", chosen, state=each), counts[each], query.state is each)
                for each in State
            ),
        ]
        now_shown = dict(request.query)
        return self.console.render(
            "letters.html",
            page="letters",
            letters=[listed(row, owners, masks) for row in rows],
            shut=shut,
            flow_url=lambda letter: self._tracer(letter, "flows", "correlationid"),
            chips=chips,
            chosen=chosen,
            filtered=bool(query.where()),
            cleared=with_query("/letters", chosen if query.state else {}),
            older=with_query("/letters", now_shown, after=str(following)) if following else "",
            word=sentence,
            later=query.after > 0,
        )

    async def letter(self, request: web.Request) -> web.Response:
        """`/letters/{id}`: what happened, what can I do?"""
        async with deadletters.tx() as tx:
            db = await tx.read()
            planned = await found(request, db, tx.time)
            if planned.letter.id != request.match_info["id"]:
                raise web.HTTPFound(_place(planned.letter.id))
            letter = await whole(db, planned)
            shut = (await shut_of(db)).get(letter["subscription"])
            same = await count_same(db, "group_id", letter["group"])
            flow = await count_same(db, "correlation_id", (letter["event"] or {}).get("correlationid"))
        view = request.query.get("view", "tree" if letter["data"] is not None else "raw")
        if view not in PAYLOAD_VIEWS or (letter["data"] is None and view == "tree"):
            view = "raw"
        if view == "raw" and letter["raw"] is None:
            view = "hex"
        now = self.console.now()
        last = letter["arrivals"][-1]
        trace = next((run["trace"] for run in reversed(last["history"]) if run["trace"]), "")
        return self.console.render(
            "letter.html",
            page="letters",
            letter=letter,
            mark=_mark(letter),
            word=sentence(State(letter["state"]), letter["again"]),
            plan=planned.plan,
            shut=shut,
            line=letter_line(letter, same, now),
            state_line=state_line(letter, now),
            story=story(letter),
            stack=stack(trace),
            runs=runs(letter),
            flow_letters=flow,
            view=view,
            views=[each for each in PAYLOAD_VIEWS if letter["data"] is not None or each != "tree"],
            headers=tree_of(letter["headers"]),
            times=times,
            tree=tree_of(letter["data"]) if letter["data"] is not None else [],
            hex=hex_of(planned.letter.body) if view == "hex" and not letter["masked"] else [],
            hex_bound=MAX_HEX_BYTES,
            raw_bound=MAX_SHOWN_BYTES,
            flow_url=self._tracer(letter, "flows", "correlationid"),
            subject_url=self._tracer(letter, "subjects", "subject"),
        )

    def _tracer(self, letter: dict[str, Any], page: str, attribute: str) -> str:
        event = letter["event"]
        return self.tracer_url.rstrip("/") + path_to(f"/{page}", event[attribute]) if event else ""

    async def body(self, request: web.Request) -> web.Response:
        """`/letters/{id}/body`: the bytes as they died, for keeping; not where something in them is masked."""
        async with deadletters.tx() as tx:
            db = await tx.read()
            planned = await found(request, db, tx.time)
            letter = await whole(db, planned)
        if letter["masked"]:
            raise web.HTTPForbidden(text="Fields of this letter are masked, so its bytes are not handed out.")
        return web.Response(
            body=planned.letter.body,
            content_type="application/octet-stream",
            headers={"Content-Disposition": f'attachment; filename="{planned.letter.no}.letter"'},
        )

    async def ask(self, request: web.Request) -> web.Response:
        """`/letters/{id}/replay` and `/discard`: what the act would do."""
        return await self._asking(request, _act(request))

    async def _asking(self, request: web.Request, act: str, refused: str = "", reason: str = "") -> web.Response:
        async with deadletters.tx() as tx:
            db = await tx.read()
            planned = await found(request, db, tx.time)
            letter = await whole(db, planned)
        return self.console.render(
            f"{act}.html",
            status=409 if refused else 200,
            page="letters",
            live=False,
            letter=letter,
            mark=_mark(letter),
            word=sentence(State(letter["state"]), letter["again"]),
            plan=planned.plan,
            discard_refusal=planned.discard_refusal,
            refused=refused,
            reason=reason,
            who=who_of(request),
            longest=MAX_REASON,
        )

    async def do(self, request: web.Request) -> web.StreamResponse:
        """The act itself; then the letter's page, which says what became of it."""
        reason = await form_reason(request)
        act = _act(request)
        try:
            if act == "replay":
                id = (await replay(request.match_info["id"], who=who_of(request), reason=reason)).letter
            else:
                id = await discard(request.match_info["id"], who=who_of(request), reason=reason)
        except NoLetter:
            raise missing(request) from None
        except Refused as refusal:
            return await self._asking(request, act, str(refusal), reason)
        return web.Response(status=303, headers={"Location": _place(id)})


def _act(request: web.Request) -> str:
    return request.path.rsplit("/", 1)[1]


def _place(id: str) -> str:
    return f"/letters/{quote(id, safe='')}"


def _mark(letter: dict[str, Any]) -> str:
    return "failed-again" if letter["state"] == "pending" and letter["again"] else str(letter["state"])


def routes(app: web.Application, desk: Desk) -> None:
    """The pages' addresses."""
    app.router.add_get("/", desk.groups)
    app.router.add_get("/letters", desk.letters)
    app.router.add_get("/letters/{id}", desk.letter)
    app.router.add_get("/letters/{id}/body", desk.body)
    for act in ("replay", "discard"):
        app.router.add_get(f"/letters/{{id}}/{act}", desk.ask)
        app.router.add_post(f"/letters/{{id}}/{act}", desk.do)
