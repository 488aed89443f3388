"""A shop of a few orders at a demo's ports: it remembers what was posted, and fails when told to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from deploy.demo.place import HOST, PORTS, Place
from deploy.demo.world import World
from tests.deploy.port_offsets import free_offset


class SmallShop:
    """Orders by id with their states; each delivery delivers, each cancellation cancels."""

    def __init__(self, states: dict[str, str], failures: int = 0) -> None:
        self.states = states
        self.failures = failures  # posts that are still answered 503
        self.posts: list[tuple[str, str]] = []

    async def orders(self, _: web.Request) -> web.Response:
        """`GET /orders`, one page."""
        rows = [{"order_id": order_id, "state": state} for order_id, state in self.states.items()]
        return web.json_response({"orders": rows, "next": None})

    async def cancel(self, request: web.Request) -> web.Response:
        """`POST /orders/{order_id}/cancellations`."""
        return self._moved("cancellation", request.match_info["order_id"], "cancelled")

    async def deliver(self, request: web.Request) -> web.Response:
        """`POST /deliveries`."""
        return self._moved("delivery", (await request.json())["order_id"], "delivered")

    def _moved(self, kind: str, order_id: str, state: str) -> web.Response:
        if self.failures:
            self.failures -= 1
            return web.json_response({}, status=503)
        self.posts.append((kind, order_id))
        self.states[order_id] = state
        return web.json_response({"order_id": order_id}, status=202)


@asynccontextmanager
async def opened(shop: SmallShop, folder: Path) -> AsyncIterator[World]:
    """The shop at free ports, and the demo's way to it."""
    place = Place(folder, free_offset(PORTS.values()))
    place.folder.mkdir(parents=True)
    app: Any = web.Application()
    app.router.add_get("/orders", shop.orders)
    app.router.add_post("/orders/{order_id}/cancellations", shop.cancel)
    app.router.add_post("/deliveries", shop.deliver)
    runner = web.AppRunner(app)
    await runner.setup()
    world = World(place)
    try:
        for service in ("orders", "shipping"):
            await web.TCPSite(runner, HOST, place.port(service)).start()
        yield world
    finally:
        await world.close()
        await runner.cleanup()
