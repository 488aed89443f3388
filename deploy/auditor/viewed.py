"""Whether the read side shows what the write side decided and what the books say. Pure."""

from collections.abc import Iterator, Mapping

from deploy.auditor.evidence import Evidence, Row
from deploy.auditor.finding import Finding, Kind

#: What the view must show of an order that ended well, and what it must not show of one that was cancelled.
ENDED_WELL: Mapping[str, frozenset[str]] = {
    "payment": frozenset({"captured"}),
    "stock": frozenset({"reserved"}),
    "shipping": frozenset({"shipped", "delivered"}),
}
#: States in which an order has ended well.
WELL = frozenset({"shipped", "delivered"})
CANCELLED = "cancelled"
#: What both sides know of an order.
SHARED = ("state", "reason", "cancelled_by", "flow", "sku", "quantity", "total_cents")


def view_findings(evidence: Evidence) -> Iterator[Finding]:
    """Every order that the view does not show, shows twice, shows otherwise, or has made up."""
    shown: dict[str, Row] = {}
    for row in evidence.viewed:
        if row["order_id"] in shown:
            yield _wrong(row["order_id"], "the view lists it twice")
        shown[row["order_id"]] = row
    for order in evidence.orders:
        if order["order_id"] in shown:
            yield from _compared(order, shown.pop(order["order_id"]))
        else:
            yield _wrong(order["order_id"], "the view does not show it")
    for order_id in shown:
        yield _wrong(order_id, "the view shows it, and GET /orders of orders does not know it")


def _compared(order: Row, row: Row) -> Iterator[Finding]:
    for name in SHARED:
        if name in order and order[name] != row[name]:
            yield _wrong(order["order_id"], f"its {name} is {order[name]!r}, and the view shows {row[name]!r}")
    for part, may in ENDED_WELL.items():
        if row["state"] in WELL and row[part] not in may:
            yield _wrong(order["order_id"], f"it is {row['state']}, and the view shows its {part} as {row[part]}")
        if row["state"] == CANCELLED and row[part] in may | ({"authorised"} if part == "payment" else frozenset()):
            yield _wrong(order["order_id"], f"it is cancelled, and the view shows its {part} as {row[part]}")


def _wrong(order_id: str, text: str) -> Finding:
    return Finding(Kind.VIEW, f"order/{order_id}", text)
