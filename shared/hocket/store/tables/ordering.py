"""The tables of ordered subscriptions: who may write, which subjects have a line, and what stands in it (RULES 9)."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from hocket.store.tables.columns import KIT, raw, real, texts, whole

#: One token a subscription: whoever took the last one may write (RULES 9.1).
ORDER = Table(
    "hocket_order",
    KIT,
    *texts("subscription"),
    whole("token"),
    *texts("boot"),
    real("updated"),
    PrimaryKeyConstraint("subscription"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: One line a subject with an unfinished head: the head's inbox key, its death where it waits for a person (RULES 9.4).
LINES = Table(
    "hocket_lines",
    KIT,
    *texts("subscription", "subject"),
    raw("head"),
    *texts("death"),
    whole("waiting"),
    real("since"),
    PrimaryKeyConstraint("subscription", "subject"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: What waits behind a head: whole deliveries, by their place.
PARKED = Table(
    "hocket_parked",
    KIT,
    *texts("subscription"),
    raw("key"),
    *texts("subject"),
    whole("place"),
    *texts("event_id", "exchange", "routing_key"),
    raw("body"),
    *texts("content_type", "headers", "type", "correlation_id", "app_id"),
    real("timestamp"),
    PrimaryKeyConstraint("subscription", "key"),
    sqlite_strict=True,  # found by a row id: a look for a key would read the bodies on its way
)
_PLACES = Index("hocket_parked_places", PARKED.c.subscription, PARKED.c.subject, PARKED.c.place, unique=True)
_PLACES.info["where"] = PARKED.c.place >= 0

#: The tables of this file.
ORDERING = (ORDER, LINES, PARKED)
