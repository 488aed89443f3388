"""Compressed bodies of foreign publishers are unpacked within a bound."""

import gzip
import zlib

import pytest

from hocket.envelope.packing import MAX_UNPACKED_BYTES, unpack
from hocket.errors import Undecodable

BODY = b'{"name":"a"}' * 100


def packed_by_gzip(body: bytes) -> bytes:
    """The same bytes whenever it is called, so that the cases below have the same names in every process."""
    return gzip.compress(body, mtime=0)


def raw_deflate(body: bytes) -> bytes:
    """Deflate without zlib's header, as some publishers send it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (packed_by_gzip(BODY), "gzip"),
        (packed_by_gzip(BODY), " GZIP "),
        (packed_by_gzip(BODY[:600]) + packed_by_gzip(BODY[600:]), "x-gzip"),
        (zlib.compress(BODY), "deflate"),
        (raw_deflate(BODY), "deflate"),
        (BODY, "identity"),
        (BODY, "utf-8"),
        (BODY, ""),
    ],
)
def test_what_is_known_is_unpacked(packed: bytes, encoding: str) -> None:
    """gzip in one or several members, both forms of deflate, and what means nothing."""
    assert unpack(packed, encoding) == BODY


@pytest.mark.parametrize(
    ("packed", "encoding", "cause"),
    [
        (BODY, "br", "is none of deflate, gzip, x-gzip, identity"),
        (BODY, 7, "is none of"),
        (BODY, "gzip", "says gzip, but the body cannot be unpacked"),
        (packed_by_gzip(BODY)[:-9], "gzip", "says gzip, but the body cannot be unpacked"),
        (packed_by_gzip(BODY) + b"more", "gzip", "says gzip, but the body cannot be unpacked"),
        (packed_by_gzip(bytes(MAX_UNPACKED_BYTES + 1)), "gzip", f"more than {MAX_UNPACKED_BYTES} bytes"),
        (
            packed_by_gzip(bytes(MAX_UNPACKED_BYTES)) + packed_by_gzip(b"x"),
            "gzip",
            f"more than {MAX_UNPACKED_BYTES} bytes",
        ),
    ],
)
def test_what_cannot_be_unpacked_says_why(packed: bytes, encoding: object, cause: str) -> None:
    """Unknown, broken, cut, followed by something else, or too large: without quoting the body."""
    with pytest.raises(Undecodable, match=f"content-encoding: .*{cause}"):
        unpack(packed, encoding)


def test_a_bomb_is_not_blown_up() -> None:
    """A gigabyte in one megabyte is noticed at the bound, in a few milliseconds of work."""
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()
    assert len(bomb) < 2**19
    with pytest.raises(Undecodable, match="more than"):
        unpack(bomb, "gzip")
