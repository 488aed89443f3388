"""What is written into the columns of a row is read again."""

import json

from hypothesis import example, given
from hypothesis import strategies as st

from hocket.broker.port import Message
from hocket.store import row_codec
from hocket.store.records import OutboxRow, RowKind


@given(st.lists(st.binary(max_size=20) | st.text(max_size=20).map(str.encode)).map(tuple))
@example((b"\xff\x00", b'{"a":"\xc3\xa9"}'))
def test_byte_strings_stay_exact(parts: tuple[bytes, ...]) -> None:
    """Also those that are no UTF-8, which the fast writer of JSON refuses."""
    text = row_codec.text_of(parts)
    assert row_codec.bytes_of(text) == parts
    assert json.loads(text) == [part.decode("utf-8", "surrogateescape") for part in parts]


@given(st.dictionaries(st.text(max_size=9), st.text(max_size=9) | st.integers(-(2**70), 2**70)))
@example({"half": "\ud800", "large": 2**64})
def test_headers_stay_exact(headers: dict[str, str | int]) -> None:
    """Texts and whole numbers of any size."""
    row = OutboxRow(RowKind.SELF, Message("shop", "shop.pack", b"{}", "application/json", headers), 1.0, id=7)
    assert row_codec.outbox_row(row_codec.outbox_values(row, None, 1.0)) == row
