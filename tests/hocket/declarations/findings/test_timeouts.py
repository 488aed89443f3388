"""What `hocket check` finds in time-outs of services that are checked together."""

from datetime import timedelta
from typing import Any

import pytest

from hocket import Event, Heard, Retry, Service, Tx
from hocket.declarations.findings.finding import Finding
from hocket.declarations.findings.flows import Flows
from hocket.declarations.findings.timeouts import timeout_findings
from hocket.declarations.subscription import Late


class Placed(Event, type="till.placed", subject="order/{order}"):
    """Begins the flow."""

    order: int


class Paid(Event, type="bank.paid", subject="order/{order}"):
    """Answers."""

    order: int


class Refunded(Event, type="bank.refunded", subject="order/{order}"):
    """Undone."""

    order: int


class Missing(Event, type="stock.missing", subject="order/{order}"):
    """A failure of the flow."""

    order: int


class Cancelled(Event, type="shop.cancelled", subject="order/{order}"):
    """What the time-out says."""

    order: int


class CancelledHeard(Heard, type="shop.cancelled"):
    """The same, as it is heard."""

    order: int


def found(
    *, late: Late = "undone", unless: Any = (Paid, Missing), within: float = 36_000, why: Any = CancelledHeard | Missing
) -> list[Finding]:
    """What is found in a bank whose charge is undone by `why`, a stock, and a shop with a time-out."""
    bank, shop, stock = (Service(name, owner="tests") for name in ("bank", "shop", "stock"))
    brief = Retry(retries=1, first=timedelta(seconds=10), longest=timedelta(seconds=10))

    @bank.handler(retry=brief, timeout=timedelta(seconds=30))
    async def charge(order: Placed, tx: Tx) -> Paid:
        return Paid(order=order.order)

    if why is not None:

        async def refund(order: Placed, did: Paid | None, why: Any, tx: Tx) -> Refunded:
            return Refunded(order=order.order)

        refund.__annotations__["why"] = why
        bank.undo(charge, Paid, by="order")(refund)

    @stock.handler
    async def reserve(order: Placed, tx: Tx) -> Missing:
        return Missing(order=order.order)

    @shop.overdue(timedelta(seconds=within), unless=unless, by="order", late=late)
    async def unpaid(order: Placed, tx: Tx) -> Cancelled:
        return Cancelled(order=order.order)

    return list(timeout_findings(Flows([bank.declarations, shop.declarations, stock.declarations])))


def test_all_is_well_where_the_ledger_undoes_a_late_answer() -> None:
    """RULES 5.7: the step that answers is undone by what the time-out says, in either order."""
    assert found(unless=Paid, why=CancelledHeard) == []
    assert found() == [], "a failure that answers undoes, and need not be undone"


def test_a_late_answer_that_would_stand_is_found() -> None:
    """RULES 5.7: unless it is accepted."""
    for why, how in ((Missing, "is undone by other events"), (None, "has no undo")):
        first = found(why=why)[0]
        assert first.code == "late-standing"
        assert first.sentence.startswith(
            f"shop.unpaid goes on when bank.paid is late, and bank.charge, which says it, {how}"
        )
        assert "late-standing" not in {each.code for each in found(why=why, late="accepted")}


def test_who_says_the_same_as_the_time_out_says_no_late_answer() -> None:
    """RULES 5.7: a cancellation that is late agrees with the time-out's own; nothing of it stands beside that."""
    shop, stock = Service("shop", owner="tests"), Service("stock", owner="tests")

    @stock.handler
    async def reserve(order: Placed, tx: Tx) -> Missing:
        return Missing(order=order.order)

    @shop.handler
    async def cancel(missing: Missing, tx: Tx) -> Cancelled:
        return Cancelled(order=missing.order)

    @shop.overdue(timedelta(seconds=60), unless=CancelledHeard, by="order")
    async def unpaid(order: Placed, tx: Tx) -> Cancelled:
        return Cancelled(order=order.order)

    assert list(timeout_findings(Flows([shop.declarations, stock.declarations]))) == []


@pytest.mark.parametrize(("across", "codes"), [(False, ["overdue-flow"]), (True, [])])
def test_an_answer_of_another_flow_is_named(across: bool, codes: list[str]) -> None:
    """RULES 5.7: what a customer cancels outside handlers is a flow of its own, and answers across flows only."""
    shop = Service("shop", owner="tests")
    shop.says(Placed, Cancelled)

    @shop.overdue(timedelta(seconds=60), unless=CancelledHeard, by="order", across=across)
    async def unpaid(order: Placed, tx: Tx) -> Cancelled:
        return Cancelled(order=order.order)

    assert [each.code for each in timeout_findings(Flows([shop.declarations]))] == codes


def test_a_failure_that_does_not_answer_is_named() -> None:
    """RULES 5.7: it would fire in a flow that was undone."""
    [finding] = found(unless=Paid)
    assert finding.code == "overdue-unended"
    assert finding.sentence == "shop.unpaid fires also in a flow that stock.missing has undone"


def test_a_time_out_shorter_than_the_retries_is_named() -> None:
    """RULES 5.7: two attempts of 30 s with 10 s between them."""
    [finding] = found(unless=Paid, why=CancelledHeard, within=69)
    assert finding.code == "overdue-short"
    assert finding.sentence.startswith("shop.unpaid waits 69 s for bank.paid, and bank.charge may need 70 s")


def test_what_nobody_hears_is_named() -> None:
    """RULES 5.7: the time-out fires, and nothing follows."""
    [finding] = found(unless=Paid, why=None, late="accepted")
    assert finding.code == "overdue-unheard"
    assert finding.sentence == "shop.unpaid says shop.cancelled, and none of these services hears it"
