"""The page of webhooks that services keep or refuse, and the same for programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from aiohttp import web

from hocket.console import Console
from services.deadletters.ask.letters import owners_of
from services.deadletters.ask.webhooks import WebhookGroup, source_ends, webhook_groups
from services.deadletters.service import deadletters

#: What a cause means, and what helps.
WORDS = {
    "unparsable": "no JSON: ask the sender, discard it",
    "contract": "the model does not fit: mend it, deploy, retry",
    "mapping": "the mapping failed: mend it, deploy, retry",
    "conflict": "the delivery id came with another body before: look at both",
    "drift": "the body differs from the model: look, then retry lets it through",
    "signature": "no active secret has signed it: a stranger, or a secret that is missing",
    "skew": "its timestamp is too far from our clock",
    "headers": "a header that the signature reads stands twice or is too long",
}


def headline(groups: Sequence[WebhookGroup]) -> str:
    """The page in one sentence."""
    kept = sum(each.many for each in groups if each.state == "kept")
    if not kept:
        return "No webhook waits for a person"
    if kept == 1:
        return "1 webhook is kept and waits for a person"
    return f"{kept:,} webhooks are kept and wait for a person"


@dataclass(frozen=True, slots=True)
class WebhooksPage:
    """What the page needs: who renders it."""

    console: Console

    async def show(self, request: web.Request) -> web.Response:
        """`GET /webhooks`: what is kept and refused, since when, and how to let it in."""
        async with deadletters.tx() as tx:
            db = await tx.read()
            groups, sources, owners = await webhook_groups(db), await source_ends(db), await owners_of(db)
        return self.console.render(
            "webhooks.html", page="webhooks", groups=groups, sources=sources, owners=owners, words=WORDS,
            answer=headline(groups),
        )  # fmt: skip


async def get_webhooks(request: web.Request) -> web.Response:
    """`GET /api/webhooks`."""
    async with deadletters.tx() as tx:
        db = await tx.read()
        groups, sources = await webhook_groups(db), await source_ends(db)
    return web.json_response(
        {
            "open": [{**asdict(each), "command": each.command} for each in groups],
            "sources": [{"service": each.service, "source": each.source, "ends": each.ends, "last": each.last}
                        for each in sources],
        }
    )  # fmt: skip


def routes(app: web.Application, page: WebhooksPage) -> None:
    """The addresses."""
    app.router.add_get("/webhooks", page.show)
    app.router.add_get("/api/webhooks", get_webhooks)
