"""Findings of `hocket check` about steps, failures and breakers: one faulty declaration for each."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hocket import Breaker, Death, Event, Heard, Service, Tx
from hocket.declarations.findings.finding import Finding
from hocket.declarations.findings.flows import Flows
from hocket.declarations.findings.steps import step_findings
from hocket.declarations.findings.undos import undo_findings

CARDS = Breaker("card-api", failures=(ConnectionError,))
SHORTEST = timedelta(seconds=10)


class Placed(Event, type="shop.placed", subject="order/{order}"):
    """Begins the flow."""

    order: int


class Charged(Event, type="bank.charged", subject="order/{order}"):
    """The first step's result."""

    order: int


class Declined(Event, type="bank.declined", subject="order/{order}"):
    """What the first step says in place of it."""

    order: int


class Sent(Event, type="post.sent", subject="order/{order}"):
    """The second step's result."""

    order: int


class Lost(Event, type="post.lost", subject="order/{order}"):
    """The second step's failure."""

    order: int


class ChargedHeard(Heard, type="bank.charged"):
    """As post hears it."""

    order: int


class LostHeard(Heard, type="post.lost"):
    """As bank hears it."""

    order: int


class Complained(Event, type="shop.complained", subject="customer/{order}"):
    """Begins another flow."""

    order: int


class Given(Event, type="goodwill.given", subject="order/{order}"):
    """The result of a step in that flow."""

    order: int


async def charge(placed: Placed, tx: Tx) -> Charged | Declined | None:
    """The first step."""


async def send(charged: ChargedHeard, tx: Tx) -> Sent | Lost | None:
    """The second step."""


def send_gave_up(charged: ChargedHeard, death: Death) -> Lost:
    """The second step is given up."""
    return Lost(order=charged.order)


async def refund(placed: Placed, did: Charged | None, why: Any, tx: Tx) -> None:
    """The first step's undo."""


def services(why: Any = LostHeard, *, undone: bool = True, gives_up: bool = False, **words: Any) -> list[Service[Any]]:
    """Shop begins the flow, bank charges and refunds, post sends. `words` are those of the charge."""
    shop, bank, post = (Service(name, owner="tests") for name in ("shop", "bank", "post"))
    shop.says(Placed)
    bank.handler(**words)(charge)
    if undone:
        refund.__annotations__["why"] = why
        bank.undo(charge, Charged, by="order")(refund)
    post.handler(send)
    if gives_up:
        post.on_dead(send)(send_gave_up)
    return [shop, bank, post]


def found(*services: Service[Any]) -> list[Finding]:
    """What is found in these services together."""
    flows = Flows([each.declarations for each in services])
    return [*step_findings(flows, SHORTEST), *undo_findings(flows)]


def test_a_flow_whose_failures_undo_its_steps_has_no_finding() -> None:
    """Said as an answer and of the dead, with a breaker on the step that can be undone."""
    assert found(*services(breaker=CARDS, gives_up=True)) == []


def test_a_step_that_acts_outside_and_cannot_be_undone_is_found() -> None:
    """`step-without-undo`: also in one service alone, for an undo stands beside its step."""
    [finding] = found(services(undone=False, breaker=CARDS)[1])
    assert finding.code == "step-without-undo"
    assert finding.sentence.startswith(
        "bank.charge calls the outside (card-api), says bank.charged, bank.declined, and has no undo"
    )
    assert finding.file == __file__
    assert finding.line == charge.__code__.co_firstlineno
    assert finding.way_out.startswith("declare its undo")
    assert found(services(undone=False)[1]) == []


def test_what_is_allowed_is_a_finding_with_a_reason() -> None:
    """It keeps its sentence."""
    [finding] = found(
        services(undone=False, breaker=CARDS, allow={"step-without-undo": "the bank takes nothing back"})[1]
    )
    assert finding.allowed == "the bank takes nothing back"


def test_a_time_out_that_acts_outside_is_found() -> None:
    """`step-without-undo`: nothing undoes a time-out, so another handler makes the call."""
    shop = Service("shop", owner="tests")

    @shop.overdue(timedelta(hours=1), unless=ChargedHeard, by="order", breaker=CARDS)
    async def unpaid(placed: Placed, tx: Tx) -> Lost:
        return Lost(order=placed.order)

    [finding] = found(shop)
    assert finding.code == "step-without-undo"
    assert finding.way_out.startswith("let a handler that hears what it says make the call")


def test_a_failure_that_undoes_no_step_before_it_is_found() -> None:
    """`failure-undoes-nothing`: of the dead, at on_dead; the charge stands although the parcel was given up."""
    [finding] = found(*services(Declined | Sent, gives_up=True))
    assert finding.code == "failure-undoes-nothing"
    assert finding.sentence == (
        "on_dead of post.send says post.lost, which undoes none of the steps before it (bank.charge): what they did "
        "stays"
    )
    assert finding.line == send_gave_up.__code__.co_firstlineno
    assert finding.way_out == "let their undos hear post.lost too"


def test_a_failure_that_undoes_a_step_of_other_flows_only_is_found() -> None:
    """`failure-undoes-nothing`: of an answer that an undo hears, at its handler."""
    [shop, bank, post] = services(Declined)
    shop.says(Complained)
    other = Service("goodwill", owner="tests")

    @other.handler
    async def give(complained: Complained, tx: Tx) -> Given:
        return Given(order=complained.order)

    @other.undo(give, Given, by="order")
    async def take(complained: Complained, did: Given | None, why: LostHeard, tx: Tx) -> None:
        """It hears what is never said in its flow."""

    [finding] = [each for each in found(shop, bank, post, other) if each.code == "failure-undoes-nothing"]
    assert finding.sentence.startswith(
        "post.send says post.lost, which undoes none of the steps before it (bank.charge)"
    )
    assert finding.line == send.__code__.co_firstlineno


def test_a_failure_without_a_step_before_it_is_found() -> None:
    """`failure-undoes-nothing`: nobody undoes anything by what on_dead says; alone a service does not know."""
    [shop, _, post] = services(gives_up=True)
    [finding] = found(shop, post)
    assert finding.sentence == "on_dead of post.send says post.lost, which undoes no step of its flow"
    assert found(post) == []


def test_a_failure_allowed_at_on_dead_keeps_its_reason() -> None:
    """The codes of on_dead stand there."""
    shop, post = (Service(name, owner="tests") for name in ("shop", "post"))
    post.handler(send)
    post.on_dead(send, allow={"failure-undoes-nothing": "nothing was done before"})(send_gave_up)
    [finding] = found(shop, post)
    assert finding.allowed == "nothing was done before"


def test_an_undo_whose_failures_nobody_says_is_found() -> None:
    """`undo-unreached`: alone a service does not know who says them."""
    [shop, bank, _] = services()
    [finding] = found(shop, bank)
    assert finding.code == "undo-unreached"
    assert finding.sentence == (
        "bank.refund waits for post.lost, which none of these services says, so it never undoes bank.charge"
    )
    assert finding.line == refund.__code__.co_firstlineno
    assert found(bank) == []


def test_an_undo_that_its_own_step_alone_would_start_is_found() -> None:
    """`undo-unreached`: a run that says the failure in place of its result has nothing to undo."""
    [shop, bank, post] = services(Declined)
    finding = next(each for each in found(shop, bank, post) if each.code == "undo-unreached")
    assert finding.sentence.startswith("bank.refund waits for bank.declined, which only bank.charge itself says")


def test_a_breaker_that_opens_for_less_than_two_renewals_is_found() -> None:
    """RULES 6.3, `period-short`: once for each breaker, at the first handler that names it."""
    hasty = Breaker("hasty-api", failures=(ConnectionError,), open_for=timedelta(seconds=9))
    [finding] = found(*services(breaker=hasty))
    assert finding.code == "period-short"
    assert finding.sentence.startswith("hasty-api of bank.charge opens for 9 s, and replicas keep it open for 10 s")
    allowed: Mapping[str, str] = {"period-short": "this service runs on SQLite"}
    [finding] = found(*services(breaker=hasty, allow=allowed))
    assert finding.allowed == "this service runs on SQLite"
