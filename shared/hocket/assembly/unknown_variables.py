"""Names the `HOCKET_…` variables that nobody reads, each with its nearest neighbour."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import AliasChoices, BaseModel

from hocket.config import PREFIX, Config

#: How alike two names are, from 0 to 1, before one is taken for the other misspelt.
ALIKE = 0.9
#: What Kubernetes and Docker put into the environment for a service whose name begins with `hocket`.
_LINK = re.compile(r"_SERVICE_(HOST|PORT)(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?$")
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://")
#: Read by docker-compose.yml, from the same shell.
_OTHERS = frozenset({"HOCKET_RABBITMQ_PASSWORD"})


def unknown(models: Iterable[type[BaseModel]] | None, environ: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each `HOCKET_…` variable that nobody reads, with its nearest neighbour.

    `models` are the settings of the services that run; what is theirs is known. Where nobody knows the services (None)
    only what differs little from a setting is named.
    """
    known, _ = _variables(Config)
    theirs, beginnings = set(known | _OTHERS), tuple[str, ...]()
    for model in models or ():
        names, begin = _variables(model)
        theirs |= names
        beginnings += begin
    sentences = []
    for variable in sorted(environ):
        name = variable.upper()
        if not name.startswith(PREFIX) or name in theirs or name.startswith(beginnings):
            continue
        if _LINK.search(name) or _LINK_VALUE.match(environ[variable]):
            continue  # of a service named hocket… beside this one
        near = difflib.get_close_matches(name, sorted(known), 1, ALIKE if models is None else 0.0)
        if near:
            sentences.append(f"{variable} is no setting and changes nothing; did you mean {near[0]}?")
    return sentences


def _variables(model: type[BaseModel]) -> tuple[set[str], tuple[str, ...]]:
    """The variables that a settings model reads, and how those of its nested models begin; in capitals."""
    config: Mapping[str, Any] = model.model_config
    prefix, delimiter = config.get("env_prefix") or "", config.get("env_nested_delimiter")
    names: set[str] = set()
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        aliases = {each.upper() for each in choices if isinstance(each, str)}
        names |= aliases or {f"{prefix}{name}".upper()}
    return names, tuple(f"{name}{delimiter}".upper() for name in names) if delimiter else ()
