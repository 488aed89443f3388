"""The list of all accidents of one demo."""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from deploy.demo.accidents.crashes import crm_away, doubled, payments_killed
from deploy.demo.accidents.letters import mails_fail, mails_mended, refund_refused
from deploy.demo.accidents.outages import cards_ill, carrier_down, mail_limited
from deploy.demo.accidents.scene import Scene
from deploy.demo.accidents.webhooks import secrets_rotated, senders_at_work, shop_changes


async def prepared(scene: Scene) -> Sequence[Callable[[], Coroutine[Any, Any, None]]]:
    """Each accident, to be run at once with the load; what must stand before the first post stands."""
    faults = await mails_fail(scene)
    alone = (
        *(crm_away, mail_limited, cards_ill, carrier_down, payments_killed, doubled, refund_refused),
        *(senders_at_work, secrets_rotated, shop_changes),
    )
    return [*(partial(each, scene) for each in alone), partial(mails_mended, scene, faults)]
