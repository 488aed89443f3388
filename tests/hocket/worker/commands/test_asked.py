"""Which requests are the same."""

from hypothesis import given
from hypothesis import strategies as st

from hocket.worker.commands.asked import Target, asked_of, fingerprint_of

TARGET = Target("POST", "/sales", "", "application/json", b'{"a": 1, "b": [true, null]}')


def test_every_part_of_a_key_counts() -> None:
    """RULES 13.1: service, method, path, caller and value; the body does not."""
    keys = [
        asked_of("till", "r", TARGET, "ada", "k"),
        asked_of("shop", "r", TARGET, "ada", "k"),
        asked_of("till", "r", TARGET._replace(method="PUT"), "ada", "k"),
        asked_of("till", "r", TARGET._replace(path="/returns"), "ada", "k"),
        asked_of("till", "r", TARGET, "bob", "k"),
        asked_of("till", "r", TARGET, "ada", "K"),
        asked_of("till", "r", TARGET, "adak", ""),
    ]
    assert len({each.key for each in keys}) == len({each.name for each in keys}) == len(keys)
    assert asked_of("till", "r", TARGET._replace(body=b"{}"), "ada", "k").key == keys[0].key


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_no_two_callers_share_a_key(one: str, key: str, other: str, another: str) -> None:
    """RULES 13.1: whatever they choose, one client's key never reads another's answer."""
    same = (one, key) == (other, another)
    keys = asked_of("till", "r", TARGET, one, key).key, asked_of("till", "r", TARGET, other, another).key
    assert (keys[0] == keys[1]) is same


def test_json_counts_by_its_value() -> None:
    """RULES 13.2: spaces, order of fields and the way a number is written are not another request."""
    same = b'{"b":[true,null],"a":1.0}'
    assert fingerprint_of(TARGET) == fingerprint_of(TARGET._replace(body=same))
    assert fingerprint_of(TARGET) == fingerprint_of(TARGET._replace(body=same, content_type=""))
    assert fingerprint_of(TARGET) == fingerprint_of(TARGET._replace(content_type="application/json; charset=utf-8"))
    for other in (
        b"",
        b"{}",
        b'{"a": 2, "b": [true, null]}',
        b'{"a": 1, "a": 1, "b": [true, null]}',
        b"\xff",
        b"[" * 999,
    ):
        assert fingerprint_of(TARGET) != fingerprint_of(TARGET._replace(body=other))


def test_any_other_body_counts_by_its_bytes() -> None:
    """RULES 13.2: with its type; method, path and query count too."""
    plain = TARGET._replace(content_type="text/plain", body=b"1.0")
    others = [
        plain._replace(body=b"1.00"),
        plain._replace(content_type="application/json"),
        plain._replace(query="a=1"),
        plain._replace(path="/other"),
        plain._replace(method="PUT"),
    ]
    assert len({fingerprint_of(each) for each in [plain, *others]}) == len(others) + 1


def test_the_boundary_of_a_multipart_body_does_not_count() -> None:
    """RULES 13.2: clients draw it anew when they repeat a request."""

    def upload(boundary: str, content: str) -> bytes:
        head = 'Content-Disposition: form-data; name="a"'
        body = f"--{boundary}\r\n{head}\r\n\r\n{content}\r\n--{boundary}--"
        kind = f"multipart/form-data; boundary={boundary}"
        return fingerprint_of(TARGET._replace(content_type=kind, body=body.encode()))

    assert upload("x1y2z3", "one") == upload("7777777", "one")
    assert upload("x1y2z3", "one") != upload("x1y2z3", "two")
