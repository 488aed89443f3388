"""Bodies that a publisher has compressed (`content-encoding`): unpacked within a bound. Pure."""

import zlib

from hocket.errors import Undecodable

#: The name under which a delivery's headers hold the message property `content-encoding`.
ENCODING = "content-encoding"
#: Bytes of a body after unpacking: the bound against small bodies that grow without end.
MAX_UNPACKED_BYTES = 4 * 1024 * 1024
#: What zlib is told of each encoding: gzip's header, zlib's own header, or none.
_WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
_AS_IS = frozenset({"", "identity", "utf-8", "utf8"})


def unpack(body: bytes, encoding: object) -> bytes:
    """The body without its `content-encoding`. Raises `Undecodable` for one that is unknown, broken or too large.

    Some clients name a charset there: UTF-8 means that nothing is packed.
    """
    name = encoding.strip().lower() if isinstance(encoding, str) else None
    if name in _AS_IS:
        return body
    windows = _WINDOWS.get(name or "")
    if windows is None:
        raise Undecodable(ENCODING, f"is none of {', '.join(sorted(_WINDOWS))}, identity")
    for window in windows:
        try:
            return _inflated(body, window)
        except zlib.error:
            continue
    raise Undecodable(ENCODING, f"says {name}, but the body cannot be unpacked")


def _inflated(body: bytes, window: int) -> bytes:
    """Every member of the body, unpacked. Raises `zlib.error` where it is broken or ends too early."""
    parts: list[bytes] = []
    room = MAX_UNPACKED_BYTES
    while body:
        stream = zlib.decompressobj(window)
        parts.append(stream.decompress(body, room + 1))
        room -= len(parts[-1])
        if room < 0:
            raise Undecodable(ENCODING, f"the body has more than {MAX_UNPACKED_BYTES} bytes when it is unpacked")
        if not stream.eof:
            raise zlib.error("the body ends too early")
        body = stream.unused_data
    return b"".join(parts)
