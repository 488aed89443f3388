"""What the shop consists of, as the chaos sees it: services, their breakers, the systems outside."""

from collections.abc import Mapping

#: The services of teams, each with the names of its breakers.
BREAKERS: Mapping[str, tuple[str, ...]] = {
    "ingress": (),
    "orders": (),
    "payments": ("card-api",),
    "inventory": ("stock-api",),
    "shipping": ("carrier-api",),
    "notifications": ("mail-api",),
    "crm": ("crm-api",),
    "scoring": (),
    "order_view": (),
}
TEAMS = tuple(BREAKERS)
#: The one that only says events: there is no queue of its.
HEARS_NOTHING = frozenset({"ingress"})
#: The tracer and the desk: one process each, killed and paused like the others.
OBSERVERS = ("tracer", "deadletters")
#: The outside world, which is left alone but for its faults.
OUTSIDE = "sandbox"
#: Whose system of the outside world each service calls.
CALLS: Mapping[str, str] = {
    "payments": "cards",
    "inventory": "stock",
    "shipping": "carrier",
    "notifications": "mail",
    "crm": "crm",
}
TARGETS = tuple(CALLS.values())
