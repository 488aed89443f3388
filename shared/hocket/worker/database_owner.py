"""Whose database it is: the first service that opens it writes its name there, every other one is refused."""

from hocket.errors import ConfigError
from hocket.store.meta import meta_of, set_first
from hocket.store.port import Store

#: The row of `hocket_meta` with the name of the service whose tables these are.
OWNER = "service"


async def claim(store: Store, service: str) -> None:
    """Write the service's name into a database that has none. `ConfigError` where it has another's.

    Two services on one database would take each other's events for their own: inbox keys, outbox rows, offsets and the
    services' own tables are not kept apart there.
    """
    async with store.read() as connection:
        owner = await meta_of(connection, OWNER)
    if owner is None:
        async with store.transaction() as tx:
            db = await tx.db()
            await set_first(db, OWNER, service)
            owner = await meta_of(db, OWNER)
    if owner != service:
        raise ConfigError(
            f"the database of service {service} holds the tables of service {owner}: give each its own, by {{service}} "
            f"in HOCKET_DATABASE_URL; if {owner} is this service's former name, delete the row '{OWNER}' of hocket_meta"
        )
