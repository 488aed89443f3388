"""The table of webhooks that were kept with a cause, and of samples of those that were refused (RULES 12.2)."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table, UniqueConstraint

from hocket.store.tables.columns import KIT, raw, real, texts, whole

#: One row a push. `key` is its inbox key; of a refused one, which has none, its own id. `asked`: 0, or a person asked
#: to try it again: 1, with any skew 2. `secret` is the position of the secret that matched, 0: none.
#: `hidden` are the names of sensitive fields, which nobody is shown.
WEBHOOKS = Table(
    "hocket_webhooks",
    KIT,
    *texts("id", "source", "delivery", "state", "cause", "error", "correlation_id"),
    *(raw(name) for name in ("key", "body_hash")),
    whole("size"),
    *texts("headers", "hidden"),
    real("skew"),
    *(whole(name) for name in ("secret", "asked")),
    *texts("note"),
    *(real(name) for name in ("received", "updated")),
    raw("body"),  # last, and found by a row id: what is looked at every two seconds is read without it
    PrimaryKeyConstraint("id"),
    UniqueConstraint("key", "body_hash", name="hocket_webhooks_once"),
    sqlite_strict=True,
)
#: Few of many rows are open.
_STATES = Index("hocket_webhooks_state", WEBHOOKS.c.state, WEBHOOKS.c.source)
