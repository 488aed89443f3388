"""What every commit of a projection's handler does first: it holds its generation's row (RULES 14.2)."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.declarations.subscription import Projected
from hocket.delivery.projecting import rows
from hocket.errors import HocketError

#: Seconds before a delivery of a dropped generation is looked at again: its process is about to stop it.
DROPPED_SECONDS = 0.5


class GenerationDropped(HocketError):
    """The generation hears no more: what came to it is nobody's any more."""


async def hold(connection: AsyncConnection, projected: Projected, keys: Sequence[bytes]) -> None:
    """Hold the row until this transaction ends, so that no swap comes between.

    `keys` are the inbox keys of what this transaction handles; they are noted where the generation is watched. Raises
    `GenerationDropped`.
    """
    row = await rows.held(connection, projected.name, projected.n)
    if row is None or not row.live:
        raise GenerationDropped(f"generation {projected.n} of {projected.name} was dropped: it is not filled any more")
    if row.watched > 0:
        await rows.note_fresh(connection, projected.name, keys)
