"""The desk's pages: groups by cause, letters, one letter, and the two acts with what each would do."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import sqlalchemy as sa
from aiohttp import web
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console import Console, tree_of
from services.deadletters.act import replay
from services.deadletters.fold.cause import stack
from services.deadletters.fold.state import State, sentence, times
from services.deadletters.keep.tables import letters as letters_table
from services.deadletters.service import deadletters
from services.deadletters.show import sentences, views
from services.deadletters.show.parameters import Query, found, missing, who_of, wrong

#: Ways to look at a payload.
PAYLOAD_VIEWS = ("tree", "raw", "hex", "headers")
#: Letters of one page.
PAGE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Desk:
    """What every page needs: who renders it, and where the tracer is."""

    console: Console
    tracer_url: str

    async def groups(self, request: web.Request) -> web.Response:
        """`/`: what is broken, how much, and is it new?"""
        show = "all" if request.query.get("show") == "all" else "open"
        async with deadletters.tx() as tx:
            db = await tx.read()
            groups, counts, owners = await views.groups_of(db), await views.counts_of(db), await views.owners_of(db)
        now = self.console.now()
        return self.console.render(
            "groups.html",
            page="groups",
            groups=[group for group in groups if show == "all" or group.open],
            open_groups=sum(1 for group in groups if group.open),
            all_groups=len(groups),
            counts=counts,
            owners=owners,
            show=show,
            answer=sentences.desk(groups, counts),
            second=sentences.about_desk(groups, now),
        )

    async def letters(self, request: web.Request) -> web.Response:
        """`/letters`: which ones? The newest first."""
        try:
            query = Query.model_validate({name: value for name, value in request.query.items() if value})
        except ValidationError as error:
            raise wrong(error) from None
        async with deadletters.tx() as tx:
            db = await tx.read()
            rows = await views.find(db, query.where(), after=query.after, limit=PAGE_ROWS, newest=True)
            owners, masks, counts = await views.owners_of(db), await views.masks_of(db), await views.counts_of(db)
        following = views.cursor(rows, PAGE_ROWS)
        chosen = {name: value for name, value in request.query.items() if name in {"group", "cause", "subscription"}}
        chips = [
            ("any", self._address(chosen), sum(counts.values()), not query.state),
            *((each.value, self._address(chosen, state=each), counts[each], query.state is each) for each in State),
        ]
        now_shown = dict(request.query)
        return self.console.render(
            "letters.html",
            page="letters",
            letters=[views.listed(row, owners, masks) for row in rows],
            chips=chips,
            chosen=chosen,
            filtered=bool(query.where()),
            cleared=self._address(chosen if query.state else {}),
            older=self._address(now_shown, after=str(following)) if following else "",
            word=sentence,
            later=query.after > 0,
        )

    @staticmethod
    def _address(query: dict[str, str], **more: str) -> str:
        return "/letters?" + urlencode({**query, **more})

    async def letter(self, request: web.Request) -> web.Response:
        """`/letters/{id}`: what happened, what can I do?"""
        async with deadletters.tx() as tx:
            db = await tx.read()
            planned = await found(request, db, tx.time)
            if planned.letter.id != request.match_info["id"]:
                raise web.HTTPFound(_place(planned.letter.id))
            letter = await views.whole(db, planned)
            same = await _same(db, letters_table.c.group_id, letter["group"])
            flow = await _same(db, letters_table.c.correlation_id, (letter["event"] or {}).get("correlationid"))
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
            line=sentences.letter_line(letter, same, now),
            state_line=sentences.state_line(letter, now),
            story=sentences.story(letter),
            stack=stack(trace),
            runs=sentences.runs(letter),
            flow_letters=flow,
            view=view,
            views=[each for each in PAYLOAD_VIEWS if letter["data"] is not None or each != "tree"],
            headers=tree_of(letter["headers"]),
            times=times,
            tree=tree_of(letter["data"]) if letter["data"] is not None else [],
            hex=views.hex_of(planned.letter.body) if view == "hex" and not letter["masked"] else [],
            hex_bound=views.MAX_HEX_BYTES,
            raw_bound=views.MAX_SHOWN_BYTES,
            flow_url=self._tracer(letter, "flows", "correlationid"),
            subject_url=self._tracer(letter, "subjects", "subject"),
        )

    def _tracer(self, letter: dict[str, Any], page: str, attribute: str) -> str:
        event = letter["event"]
        return f"{self.tracer_url.rstrip('/')}/{page}/{quote(event[attribute], safe='/')}" if event else ""

    async def body(self, request: web.Request) -> web.Response:
        """`/letters/{id}/body`: the bytes as they died, for keeping; not where something in them is masked."""
        async with deadletters.tx() as tx:
            db = await tx.read()
            planned = await found(request, db, tx.time)
            letter = await views.whole(db, planned)
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
            letter = await views.whole(db, planned)
        return self.console.render(
            f"{act}.html",
            status=409 if refused else 200,
            page="letters",
            live=False,
            letter=letter,
            mark=_mark(letter),
            word=sentence(State(letter["state"]), letter["again"]),
            plan=planned.plan,
            refused=refused,
            reason=reason,
            who=who_of(request),
            longest=replay.MAX_REASON,
        )

    async def do(self, request: web.Request) -> web.StreamResponse:
        """The act itself; then the letter's page, which says what became of it."""
        form = await request.post()
        reason = str(form.get("reason", ""))[: replay.MAX_REASON]
        act = _act(request)
        try:
            if act == "replay":
                id = (await replay.replay(request.match_info["id"], who=who_of(request), reason=reason)).letter
            else:
                id = await replay.discard(request.match_info["id"], who=who_of(request), reason=reason)
        except replay.NoLetter:
            raise missing(request) from None
        except replay.Refused as refusal:
            return await self._asking(request, act, str(refusal), reason)
        return web.Response(status=303, headers={"Location": _place(id)})


def _act(request: web.Request) -> str:
    return request.path.rsplit("/", 1)[1]


def _place(id: str) -> str:
    return f"/letters/{quote(id, safe='')}"


def _mark(letter: dict[str, Any]) -> str:
    return "failed-again" if letter["state"] == "pending" and letter["again"] else str(letter["state"])


async def _same(db: AsyncConnection, column: sa.Column[Any], value: str | None) -> int:
    """How many letters share this value; 0 where there is none."""
    if not value:
        return 0
    return await db.scalar(sa.select(sa.func.count()).select_from(letters_table).where(column == value)) or 0


def routes(app: web.Application, desk: Desk) -> None:
    """The pages' addresses."""
    app.router.add_get("/", desk.groups)
    app.router.add_get("/letters", desk.letters)
    app.router.add_get("/letters/{id}", desk.letter)
    app.router.add_get("/letters/{id}/body", desk.body)
    for act in ("replay", "discard"):
        app.router.add_get(f"/letters/{{id}}/{act}", desk.ask)
        app.router.add_post(f"/letters/{{id}}/{act}", desk.do)
