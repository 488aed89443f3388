"""Names the `HOCKET_…` variables that change nothing: nobody reads them, or another kind of database is in use."""

import difflib
import os
import re
from collections.abc import Mapping

from hocket.config import PREFIX, Config
from hocket.setting_groups import PostgresSettings

#: What Kubernetes and Docker put into the environment for a service whose name begins with `hocket`.
_LINK = re.compile(r"_SERVICE_(HOST|PORT)(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?$")
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")
#: Read by docker-compose.yml, from the same shell.
_OTHERS = frozenset({"HOCKET_RABBITMQ_PASSWORD", "HOCKET_GRAFANA_PASSWORD"})


def unknown(environ: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each `HOCKET_…` variable that nobody reads; a team's own settings never begin like this."""
    known = {f"{PREFIX}{name}".upper() for name in Config.model_fields}
    sentences = []
    for variable in sorted(environ):
        name = variable.upper()
        if not name.startswith(PREFIX) or name in known | _OTHERS:
            continue
        if _LINK.search(name) or _LINK_VALUE.match(environ[variable]):
            continue  # of a service named hocket… beside this one
        [near] = difflib.get_close_matches(name, sorted(known), 1, 0.0)
        sentences.append(f"{variable} is no setting and changes nothing; did you mean {near}?")
    return sentences + _of_another_database(environ)


def _of_another_database(environ: Mapping[str, str]) -> list[str]:
    """What is set for PostgreSQL where the database is SQLite: whoever set it believes that another one is in use."""
    given = {name.upper(): value for name, value in environ.items()}
    address = given.get(f"{PREFIX}DATABASE_URL", Config.model_fields["database_url"].default)
    if not str(address).startswith("sqlite"):
        return []
    names = sorted(f"{PREFIX}{name}".upper() for name in PostgresSettings.model_fields)
    return [
        f"{name} changes nothing: the database is SQLite ({PREFIX}DATABASE_URL), not PostgreSQL"
        for name in names
        if name in given
    ]
