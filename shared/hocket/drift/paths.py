"""Paths of fields as they are shown: `customer.tags`, `lines[].sku`, `prices.*`. A name may hold data. Pure."""

import re

#: Longest name of a field that is shown, and longest path, in characters.
MAX_NAME_CHARS, MAX_PATH_CHARS = 64, 200
#: Digits in a name from which on it is taken for data, such as an id or a date.
MAX_DIGITS = 6
#: The path of the whole; what stands for every name of a map; what stands for a name that looks like data itself.
WHOLE, ANY, UNSHOWN = "$", "*", '"…"'

_PLAIN = re.compile(r"[@$]?[^\W\d][\w$-]*")
_QUOTED = re.compile(r"[@$]?[^\W\d][\w$:/. -]*")


def name_of(key: str) -> str:
    """A field's name as it is shown: `"…"` where it is long, odd or looks like data (an address, a number, an id)."""
    if len(key) > MAX_NAME_CHARS or sum(each.isdigit() for each in key) > MAX_DIGITS:
        return UNSHOWN
    if _PLAIN.fullmatch(key):
        return key
    return f'"{key}"' if _QUOTED.fullmatch(key) else UNSHOWN


def below(path: str, name: str) -> str:
    """The path of a field of the object at `path`; one that would be too long ends at its object."""
    longer = f"{path}.{name}" if path else name
    return longer if len(longer) <= MAX_PATH_CHARS else path


def items_of(path: str) -> str:
    """The path of the items of the list at `path`."""
    return f"{path}[]" if len(path) + 2 <= MAX_PATH_CHARS else path


def parent_of(path: str) -> str:
    """The path of the object in which a field stands; "": the whole."""
    if path.endswith('"'):
        return path[:-1].rpartition('"')[0].rstrip(".")
    return path.rpartition(".")[0]
