"""Scores over HTTP.

| route | answer |
|---|---|
| `GET /scores?after=&limit=` | `{"scores": [...], "next": subject or null}` in the order of their subjects |

A score is `{lead, points, grade, delivery, updated_at, times}`: `lead` is the subject under which the consoles know
it, `delivery` the one that it was scored by, `updated_at` that one's by its sender's clock, `times` how often it was
scored.
"""

from dataclasses import asdict

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from services.scoring import storage
from services.scoring.service import scoring

#: Most scores on one page, and longest subject.
MAX_PAGE, MAX_SUBJECT = 500, 255


class PageQuery(BaseModel):
    """Which page of the scores."""

    model_config = ConfigDict(frozen=True)

    after: str = Field(default="", max_length=MAX_SUBJECT, pattern=r"^[^\x00-\x1f\x7f]*$")
    limit: int = Field(default=100, ge=1, le=MAX_PAGE)


async def get_scores(request: web.Request) -> web.Response:
    """`GET /scores`."""
    query = PageQuery.model_validate(dict(request.query))
    async with scoring.tx() as tx:
        found = await storage.page(await tx.read(), query.after, query.limit)
    following = found[-1].lead if len(found) == query.limit else None
    return web.json_response({"scores": [asdict(each) for each in found], "next": following})


@scoring.http
def mount(app: web.Application) -> None:
    """Put the route on the service's port."""
    app.router.add_get("/scores", get_scores)
