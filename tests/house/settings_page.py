"""docs/settings.md, written from the code: every setting of the kit, group by group."""

from hocket.cli.settings_list import listed
from hocket.config import GROUPS, Config
from tests.house.module import ROOT

PAGE = ROOT / "docs/settings.md"

HEAD = """\
# Settings

<!-- written by `make house` from shared/hocket/setting_groups.py: do not edit -->

A process reads its settings from the environment once, at its start. An invalid value ends it with exit status 2 and
a sentence that names the variable, its value and what is allowed. A variable `HOCKET_…` that is none of these changes
nothing and is named at the start with its nearest neighbour. `hocket settings` prints the settings as the process
would read them, without passwords; `*` marks what is not the default.

A service's own settings are the pydantic model of `Service(settings=…)` and take a prefix of their own. OpenTelemetry
reads `OTEL_*` itself. How fast one handler works is declared beside it: `handler(concurrency=…, prefetch=…,
timeout=…, retry=…)`.

What all services of a broker must agree on is no setting. The streams `hocket.log`, `hocket.receipts` and
`hocket.unheard` are declared with 7 days and 20 GB; give them other bounds by a
[policy](https://www.rabbitmq.com/docs/policies), which goes before what was declared.

What two settings must keep to each other:

- `HOCKET_LEDGER_DAYS` and `HOCKET_DEAD_DAYS` are at least `HOCKET_INBOX_DAYS`.
- `HOCKET_OWNER_RENEW_SECONDS` is at most half of `HOCKET_OWNER_LEASE_SECONDS`.
- `HOCKET_EXIT_SECONDS` is more than `HOCKET_STOP_SECONDS`.
- `HOCKET_OUTBOX_BATCH` is at most `HOCKET_OUTBOX_MEMORY_ROWS`.
"""


def written() -> str:
    """The page as the code is now."""
    lines = [HEAD.rstrip()]
    for group in GROUPS:
        lines += ["", f"## {group.__name__.removesuffix('Settings')}", "", " ".join((group.__doc__ or "").split()), ""]
        lines += ["| variable | default | unit | allowed | meaning |", "|---|---|---|---|---|"]
        lines += [
            f"| `{each.name}` | {f'`{each.default}`' if each.default else 'empty'} | {each.unit} | {each.allowed} "
            f"| {each.meaning} |"
            for each in listed(Config.model_construct(), group)
        ]
    return "\n".join([*lines, ""])
