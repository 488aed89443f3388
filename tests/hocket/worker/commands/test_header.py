"""`Idempotency-Key` as clients send it."""

import pytest

from hocket.worker.commands.header import MAX_KEY_BYTES, MalformedKey, key_of


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('"8e03978e-40d5-43e8-bc93-6894a57f9324"', "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
        (' "a b" ', "a b"),
        (r'"say \"hi\" \\o/"', r'say "hi" \o/'),
        ('"k";v=1;q="x y";flag', "k"),
        ("order:4711/a=b", "order:4711/a=b"),
        ("k" * MAX_KEY_BYTES, "k" * MAX_KEY_BYTES),
    ],
)
def test_a_string_or_a_bare_token_is_a_key(line: str, key: str) -> None:
    """RULES 13.1: with and without quotes it is the same key; parameters mean nothing."""
    assert key_of([line]) == key


@pytest.mark.parametrize(
    "lines",
    [
        [""], ['""'], ['"a'], ['a"b"'], ['"a" b'], ["a b"], ["a,b"], ['"a", "b"'], ["a;b"], ['"é"'], ["é"], [r'"\n"'],
        ["k" * (MAX_KEY_BYTES + 1)], [f'"{"k" * (MAX_KEY_BYTES + 1)}"'], ["a", "a"], ['"a";'], ['"a";Q'],
    ],
)  # fmt: skip
def test_anything_else_is_malformed(lines: list[str]) -> None:
    """RULES 13.1: two lines or a list are no key, nor is what has no end."""
    with pytest.raises(MalformedKey, match="header Idempotency-Key"):
        key_of(lines)


def test_no_line_is_no_key() -> None:
    """RULES 13.1: then it is missing, which only a route that requires one refuses."""
    assert key_of([]) is None
