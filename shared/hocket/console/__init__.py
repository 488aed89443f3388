"""What the two consoles share: layout, state marks, masking, and security of requests and pages.

Imports the ground floor. Used by `services/tracer` and `services/deadletters`.

`mount` puts stylesheet, script, security headers, page errors and the same-origin check on an aiohttp application and
returns the `Console` that renders pages from `console/base.html`.
"""

from hocket.console.display import control_marks, counted, day_and_clock, duration, short_id, weekday_and_clock
from hocket.console.finding import mount_finding
from hocket.console.links import path_to, with_query
from hocket.console.masking import MASKED, Masks
from hocket.console.pages import Console, Page, mount
from hocket.console.payload_tree import Node, tree_of
from hocket.console.same_origin import foreign
from hocket.console.state_marks import MARKS, Mark, mark_of

__all__ = [
    "MARKS",
    "MASKED",
    "Console",
    "Mark",
    "Masks",
    "Node",
    "Page",
    "control_marks",
    "counted",
    "day_and_clock",
    "duration",
    "foreign",
    "mark_of",
    "mount",
    "mount_finding",
    "path_to",
    "short_id",
    "tree_of",
    "weekday_and_clock",
    "with_query",
]
