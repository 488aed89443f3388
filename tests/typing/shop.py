"""A small shop: a command over HTTP, a projection of what the command said, and a route that reads the projection."""

from aiohttp import web
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

from hocket import Event, Heard, Outside, Service, Tx, View

tables = MetaData()
orders_table = Table("orders", tables, Column("order_id", String, primary_key=True), Column("cents", Integer))
lines_table = Table("lines", tables, Column("order_id", String, primary_key=True), Column("sku", String))
shop = Service("shop", owner="team-shop", tables=tables)


class OrderPlaced(Event, type="order.placed", subject="order/{order_id}"):
    """An order was placed."""

    order_id: str
    cents: int


class PlacedHeard(Heard, type="order.placed"):
    """The fields of a placed order that the view reads."""

    order_id: str
    cents: int = 0


class OrderCancelled(Heard, type="order.cancelled"):
    """An order was cancelled."""

    order_id: str


shop.says(OrderPlaced)


@shop.projection(orders_table, lines_table, version=2, name="order_view")
async def orders_seen(fact: PlacedHeard | OrderCancelled, tx: Tx) -> None:
    """Hear two events, write two tables."""
    db = await tx.db()
    if isinstance(fact, PlacedHeard):
        await db.execute(insert(tx.table(orders_table)).values(order_id=fact.order_id, cents=fact.cents))
        await db.execute(insert(tx.table(lines_table)).values(order_id=fact.order_id, sku="lamp"))


@shop.command(caller=lambda request: request.headers.get("X-Customer", ""), required=False)
async def place(request: web.Request, tx: Outside) -> web.Response:
    """`POST /orders`: once for each key."""
    order_id: str = (await request.json())["order_id"]
    tx.say(OrderPlaced(order_id=order_id, cents=100))
    return web.json_response({"order_id": order_id}, status=201, headers={"Hocket-Token": tx.token})


async def read(view: View, order_id: str) -> int | None:
    """Read what serves now."""
    table = view.table(orders_table)
    found: int | None = (await view.db.execute(select(table.c.cents).where(table.c.order_id == order_id))).scalar()
    return found


async def get(request: web.Request) -> web.Response:
    """`GET /orders/{order_id}`: with what the client itself has said."""
    async with shop.reading(orders_seen, after=request.headers.get("Hocket-Token")) as view:
        return web.json_response({"cents": await read(view, request.match_info["order_id"])})


@shop.http
def mount(app: web.Application) -> None:
    """Mount the command as any other handler."""
    app.router.add_post("/orders", place)
    app.router.add_get("/orders/{order_id}", get)
