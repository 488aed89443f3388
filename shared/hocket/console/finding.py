"""Finds by a clear value what stands under its pseudonym, without writing the value into an address (RULES 18.2)."""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

from aiohttp import web

#: How a browser sends a form.
FORM = "application/x-www-form-urlencoded"
#: Longest text that is looked for.
MAX_WANTED = 300
#: Finds one thing by a text that may stand in an address: the address of its page, empty where there is nothing.
Find = Callable[[str], Awaitable[str]]
#: The pseudonyms of a clear value, the newest first; none without a key.
PseudonymsOf = Callable[[str], Sequence[str]]


def mount_finding(app: web.Application, find: Find, otherwise: str, pseudonyms_of: PseudonymsOf) -> None:
    """`POST /find`: leads on to what was looked for, `otherwise` to a list asked for it, `/flows?q=`.

    A text is looked for as it is, then each pseudonym of it, and of what stands behind its first slash. What is found
    by a pseudonym, or not at all while there is a key, never stands in an address as it was typed.
    """

    async def answer(request: web.Request) -> web.Response:
        if request.content_type != FORM:
            raise web.HTTPUnsupportedMediaType(text=f"send the form as {FORM}")
        try:
            form = await request.post()
        except LookupError:
            raise web.HTTPBadRequest(text="the form's charset is not known: send it as UTF-8") from None
        wanted = str(form.get("q", "")).strip()[:MAX_WANTED]
        named = names_in(wanted, pseudonyms_of)
        place = otherwise + quote(named[0] if named else wanted, safe="")
        for each in (wanted, *named):
            if each and (found := await find(each)):
                place = found
                break
        return web.Response(status=303, headers={"Location": place, "Cache-Control": "no-store"})

    app.router.add_post("/find", answer)


def names_in(wanted: str, pseudonyms_of: PseudonymsOf) -> list[str]:
    """The pseudonyms under which a clear value, or `KIND/VALUE`, can stand in a subject."""
    kind, slash, value = wanted.partition("/")
    found = [f"{kind}/{each}" for each in pseudonyms_of(value)] if slash and value else []
    return [*found, *pseudonyms_of(wanted)] if wanted else []
