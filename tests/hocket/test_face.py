"""The face: the public names of `hocket`, the errors they raise at import, and what a type checker sees."""

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

import hocket
from hocket.errors import DeclarationError, Unsayable
from tests.hocket.mistakes import entry_errors, type_errors
from tests.typing import ingress, inventory, mail, orders, payments, shop

ROOT = Path(__file__).parent.parent.parent
MYPY_SECONDS = 300

AT_IMPORT = [
    (type_errors.n1, r"payments\.take: service payments has uses=; write tx: Tx\[Uses\]"),
    (
        type_errors.n2,
        r"payments\.take: returns Other, which is a Heard: another service says it; return an Event of this service",
    ),
    (
        type_errors.n3,
        r"payments\.take: str is not an event; write a model of the event, class OrderPlaced\(Heard, type=",
    ),
    (type_errors.n4, r"payments\.take: retyr= is unknown; did you mean retry=\?"),
    (type_errors.n6, r"payments\.take: the second parameter is PaymentCharged; write PaymentCharged \| None"),
    (
        type_errors.n7,
        r"payments\.take: payments\.charge says PaymentCharged, PaymentDeclined, not PaymentRefunded",
    ),
    (
        type_errors.n8,
        r"payments\.take: the first parameter is Other, but payments\.charge hears OrderPlaced; write that",
    ),
    (type_errors.n9, r"payments\.take: is not an async function; write async def NAME"),
    (type_errors.n12, r"fraud\.take: there is no return annotation.* or -> None"),
    (type_errors.n15, r"fraud\.take: charge is not a handler of service fraud; name a handler of this service"),
    (type_errors.n16, r"payments\.take: str is not one subclass of Heard; write def NAME\(old: A\) -> B"),
    (type_errors.n17, r"payments\.take: formerly=3 is not a handler name; write formerly="),
    (type_errors.n18, r"payments\.take: Other is not one subclass of Event"),
    (entry_errors.p1, r"shop\.take: a projection says nothing, .*; write -> None"),
    (entry_errors.p2, r"shop\.take: vresion= is unknown; did you mean version=\?"),
    (entry_errors.p3, r"shop\.take: a projection names the tables that it fills"),
    (entry_errors.c1, r"shop\.take: a command is an async def name\(request, tx\)"),
    (entry_errors.c2, r"shop\.take: a command takes the request and the transaction, .* takes \(request\)"),
    (entry_errors.c3, r"shop\.take: caller= is a plain function of the request"),
    (entry_errors.w1, r"ingress, webhook take: is not a plain function; write def NAME\(body: Body, push: Push\)"),
    (entry_errors.w2, r"ingress, webhook take: returns PlacedHeard, which is a Heard"),
    (entry_errors.w3, r"ingress, webhook take: the second parameter is the push; write push: Push"),
    (entry_errors.w4, r"ingress, webhook take: say how it is signed"),
    (entry_errors.w5, r"ingress, webhook take: drift='refuse'; give one of accept, warn, quarantine"),
]
#: How many lines of each file of mistakes a type checker finds wrong.
MARKED = {type_errors: 17, entry_errors: 13}


def declared() -> tuple[set[object], ...]:
    """What the services have declared that the mistakes would add to."""
    return (
        set(payments.payments.declarations.subscriptions),
        set(shop.shop.declarations.projections),
        set(ingress.ingress.webhooks),
        set(ingress.ingress.declarations.says),
    )


def test_the_face_is_thirteen_names_and_every_one_is_there() -> None:
    """Every name of `__all__` exists, and there are no others."""
    assert len(set(hocket.__all__)) == len(hocket.__all__) == 13
    assert all(hasattr(hocket, name) for name in hocket.__all__)
    assert re.fullmatch(r"\d+\.\d+\.\d+", hocket.__version__)


def test_the_face_brings_neither_drivers_nor_testing_along() -> None:
    """A service that imports the face loads no driver's library and nothing of `hocket.testing`."""
    program = "import sys, hocket; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(run.stdout.split())
    foreign = {
        "hocket.testing",
        "hocket.assembly",
        "hocket.cli",
        "hocket.worker.http.server",
        "aio_pika",
        "aiosqlite",
        "click",
    }
    assert "hocket.service" in loaded
    assert not loaded & foreign


def test_the_checker_accepts_the_examples_and_sees_every_mistake_but_one() -> None:
    """mypy strict passes the services of tests/typing, and finds each marked line of the mistakes wrong.

    An ignore that ignores nothing is an error of its own in strict mode.
    """
    for mistakes, count in MARKED.items():
        assert mistakes.__file__ is not None
        marked = re.findall(r"# type: ignore\[", Path(mistakes.__file__).read_text(encoding="utf-8"))
        assert len(marked) == count
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "tests/typing", "tests/hocket/mistakes"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=MYPY_SECONDS,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(("mistake", "sentence"), AT_IMPORT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_mistake_is_refused_at_import(mistake: Callable[[], None], sentence: str) -> None:
    """Each mistake that is visible at import raises `DeclarationError` there and adds nothing to the service."""
    before = declared()
    with pytest.raises(DeclarationError, match=sentence):
        mistake()
    assert declared() == before
    assert not type_errors.fraud.declarations.subscriptions


def test_something_scheduled_without_a_moment_is_refused() -> None:
    """N11: neither `at` nor `after`."""
    with pytest.raises(Unsayable, match=r"give after=.* or at=.*, exactly one of them"):
        type_errors.n11()


def test_an_event_cannot_be_changed() -> None:
    """N14: a fact is frozen."""
    with pytest.raises(ValidationError, match="frozen"):
        type_errors.n14(payments.OrderPlaced(order_id="1", total_cents=1))


def test_the_examples_declare_what_their_signatures_say() -> None:
    """Signatures become data: what is heard, what is said at once, later and by `on_dead`, and what is undone."""
    for service in (payments.payments, orders.orders, inventory.inventory, mail.notifications):
        service.complete()
    declared = {
        **payments.payments.declarations.subscriptions,
        **orders.orders.declarations.subscriptions,
        **inventory.inventory.declarations.subscriptions,
        **mail.notifications.declarations.subscriptions,
    }
    charge, refund = declared["payments.charge"], declared["payments.refund"]
    assert charge.bound == (("order.placed", 2), ("order.placed", 1))
    assert declared["notifications.tell_customer"].former_queues == ("notifications.tell",)
    assert charge.heard == (payments.OrderPlaced,)
    assert charge.says == (payments.PaymentCharged, payments.PaymentDeclined)
    assert charge.on_dead_says == (payments.PaymentDeclined,)
    assert charge.undone_by is refund
    assert charge.breaker is refund.breaker is payments.card_api
    assert refund.undo is not None
    assert refund.undo.why == (payments.StockRejected, payments.OrderCancelled)
    assert refund.undo.spoken == (payments.PaymentDeclined,)
    assert declared["payments.score"].says == ()
    assert declared["orders.confirm"].says == (orders.OrderConfirmed,)
    assert declared["orders.confirm"].scheduled == (orders.ReviewAsked,)
    assert declared["orders.confirm"].timeout == timedelta(seconds=5)
    assert declared["orders.cancel"].bound == (("payment.declined", 1), ("stock.rejected", 1))
    release = declared["inventory.release"].undo
    assert release is not None
    assert release.many
    assert release.by == ()
    assert declared["notifications.tell_customer"].retry.attempts == 8
    assert orders.orders.mounts == [orders.mount]
    assert orders.orders.tables is orders.tables
    assert set(orders.orders.declarations.says) == {
        ("order.placed", 2),
        ("order.placed", 1),
        ("order.confirmed", 1),
        ("order.cancelled", 1),
        ("order.review_asked", 1),
    }


def test_what_enters_and_what_is_read_is_declared_too() -> None:
    """A projection, a command and webhooks become data as their signatures say."""
    for service in (shop.shop, ingress.ingress):
        service.complete()
    view = shop.shop.declarations.projection_of(shop.orders_seen)
    assert view is not None
    assert view.projected is not None
    assert (view.name, view.projected.version) == ("order_view", 2)
    assert view.projected.tables == (shop.orders_table, shop.lines_table)
    assert view.bound == (("order.placed", 1), ("order.cancelled", 1))
    assert view.says == ()
    assert set(shop.shop.declarations.says) == {("order.placed", 1)}
    assert shop.place.__name__ == "place"
    form, customer = ingress.ingress.webhooks["form"], ingress.ingress.webhooks["shop"]
    assert (form.body, form.rate, form.drift) == (ingress.Form, 10, "quarantine")
    assert (form.says, form.scheduled) == ((ingress.LeadCaptured,), ())
    assert (customer.body, customer.drift) == (bytes, "warn")
    assert (customer.says, customer.scheduled) == ((ingress.LeadStored,), (ingress.LeadAsked,))
    assert customer.key is not None
    assert set(ingress.ingress.declarations.says) == {("lead.captured", 1), ("lead.stored", 1), ("lead.asked", 1)}
