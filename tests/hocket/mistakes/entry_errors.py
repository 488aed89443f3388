"""Mistakes in projections, commands and webhooks; a type checker sees every one. Each is in a function to make it.

As in `type_errors`: mypy strict refuses an ignore without an error, so this file passes only while mypy sees them all.
"""

from aiohttp import web

from hocket import Outside, Tx
from hocket.webhooks import Push, Stripe
from tests.typing.ingress import Form, LeadCaptured, ingress
from tests.typing.payments import Uses, payments
from tests.typing.shop import OrderPlaced, PlacedHeard, orders_seen, orders_table, shop

FORM = Stripe(secrets="form_secrets")


def p1() -> None:
    """A projection that says something."""

    @shop.projection(orders_table, version=3)  # type: ignore[arg-type]
    async def take(placed: PlacedHeard, tx: Tx) -> OrderPlaced:
        return OrderPlaced(order_id=placed.order_id, cents=0)


def p2() -> None:
    """A misspelt option of a projection."""

    @shop.projection(orders_table, vresion=3)  # type: ignore[call-arg]
    async def take(placed: PlacedHeard, tx: Tx) -> None: ...


def p3() -> None:
    """A projection that names a table by its text."""

    @shop.projection("orders")  # type: ignore[arg-type]
    async def take(placed: PlacedHeard, tx: Tx) -> None: ...


async def p4() -> None:
    """A view is read with `async with`, and its moment is a text."""
    async with shop.reading(orders_seen, after=5):  # type: ignore[arg-type]
        pass


def c1() -> None:
    """A command that is not async."""

    @shop.command()  # type: ignore[arg-type]
    def take(request: web.Request, tx: Outside) -> web.Response:
        return web.Response()


def c2() -> None:
    """A command that has no transaction."""

    @shop.command()  # type: ignore[arg-type]
    async def take(request: web.Request) -> web.Response:
        return web.Response()


def c3() -> None:
    """A caller that is found by waiting."""

    async def caller(request: web.Request) -> str:
        return str(request.path)

    @shop.command(caller=caller)  # type: ignore[arg-type]
    async def take(request: web.Request, tx: Outside) -> web.Response:
        return web.Response()


def c4() -> None:
    """A bare `Outside` in a service that uses things: seen by the checker only."""

    @payments.command()  # type: ignore[arg-type]
    async def take(request: web.Request, tx: Outside) -> web.Response:
        return web.Response()

    @payments.command()
    async def right(request: web.Request, tx: Outside[Uses]) -> web.Response:
        return web.Response()


def w1() -> None:
    """A mapping that is async."""

    @ingress.webhook(FORM)  # type: ignore[type-var]
    async def take(body: Form, push: Push) -> LeadCaptured:
        return LeadCaptured(delivery=push.id)


def w2() -> None:
    """A mapping that says what another service says."""

    @ingress.webhook(FORM)  # type: ignore[type-var]
    def take(body: Form, push: Push) -> PlacedHeard:
        return PlacedHeard(order_id=push.id)


def w3() -> None:
    """A mapping of the request in place of the push."""

    @ingress.webhook(FORM)  # type: ignore[arg-type]
    def take(body: Form, push: web.Request) -> LeadCaptured:
        return LeadCaptured(delivery="")


def w4() -> None:
    """A webhook without its signature."""

    @ingress.webhook("form_secrets")  # type: ignore[arg-type]
    def take(body: Form, push: Push) -> LeadCaptured:
        return LeadCaptured(delivery=push.id)


def w5() -> None:
    """A word that drift does not know."""

    @ingress.webhook(FORM, drift="refuse")  # type: ignore[arg-type]
    def take(body: Form, push: Push) -> LeadCaptured:
        return LeadCaptured(delivery=push.id)
