"""Where ingress can be told to end itself: along the way of a push, and of the rows that it leaves."""

import functools

from hocket.store.group_commit import CallerLedCommit
from hocket.worker.webhooks.custody import Custody
from hocket.worker.webhooks.door import Door
from hocket.worker.webhooks.taking import Taking
from tests.crash import crash_points
from tests.crash.crash_points import Fuse, Step, around


def lay(fuse: Fuse) -> None:
    """Lay the fuse along the way of a push, and along all that the crash run knows."""

    def at(point: str) -> Step:
        return functools.partial(fuse.passed, point)

    crash_points.lay(fuse)
    around(Taking, "take", before=at("before taking"))
    around(CallerLedCommit, "commit", before=at("before group"), after=at("after group"))
    around(Custody, "_written", before=at("before keeping"), after=at("after keeping"))
    around(Door, "_take", after=at("before answer"))
