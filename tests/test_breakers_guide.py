"""The service of docs/breakers.md, run as it stands there, against a carrier that is ill for a while."""

import asyncio
import importlib
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest

from hocket import Event, Service
from hocket.testing import play

GUIDE = Path(__file__).parent.parent / "docs" / "breakers.md"
BLOCK = re.compile(r"```python\n# (\w+)\.py\n(.*?)```", re.DOTALL)

#: Who says what the guide's service hears.
orders = Service("orders", owner="team-orders")


class OrderPaid(Event, type="order.paid", subject="order/{order_id}"):
    """An order."""

    order_id: str


orders.says(OrderPaid)


@pytest.fixture
def shipping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The guide's module."""
    [(name, code)] = BLOCK.findall(GUIDE.read_text(encoding="utf-8"))
    (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module(name)
    sys.modules.pop(name, None)


async def test_the_guides_service_leaves_its_carrier_alone(shipping: ModuleType, monkeypatch: Any) -> None:
    """RULES 6.7: it opens, says so once, tries again when the period is over, and books every order once."""
    ill, keys = True, list[str]()

    class Carrier:
        """In place of the client: the guide's `http`."""

        def __init__(self, **_: object) -> None: ...

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def post(self, _: str, *, headers: dict[str, str]) -> None:
            """Answers 503 while it is ill."""
            if ill:
                raise TimeoutError
            keys.append(headers["Idempotency-Key"])

    monkeypatch.setattr(shipping.aiohttp, "ClientSession", Carrier)
    async with play(orders, shipping.shipping) as stage:
        for number in range(12):
            async with orders.tx() as tx:
                tx.say(OrderPaid(order_id=str(number)))
        await stage.quiet()
        await asyncio.sleep(10)
        changed = shipping.shipping.declarations.breaker_event
        assert [each.state for each in stage.said_of(changed)] == ["open"]
        ill = False
        await stage.advance(timedelta(minutes=10))
        assert len(set(keys)) == len(keys) == 12
        assert [each.state for each in stage.said_of(changed)][:2] == ["open", "half-open"]
