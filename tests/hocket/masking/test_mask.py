"""Sensitive values in texts are hidden, in every spelling that RULES 18.1 names, and nothing else is."""

import asyncio
import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator

from hocket import Event, Sensitive
from hocket.config import HIDDEN
from hocket.masking.mask import ALWAYS, MAX_TEXT, Mask, keep_secret, mask_in_hand, mask_of, take
from hocket.masking.values import secrets_of

EMAIL = "ada+1@exämple.com"
ODD = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=60).filter(
    lambda text: len(text.strip()) > 3
)


class Told(Event, type="thing.told", subject="thing/{id}"):
    """An event with two sensitive fields, one of them deep."""

    id: str
    email: Sensitive[str]
    more: dict[str, list[Sensitive[str] | int]] = Field(default_factory=dict)


class Settings(BaseModel):
    """Settings with every kind of secret."""

    password: str = "secret-of-the-name"
    token: SecretStr = SecretStr("secret-of-the-type")
    url: str = "https://shop:secret%2Fof-the-url@api.example/?x=1"
    name: str = "a plain text that stays"


class Picky(BaseModel):
    """Refuses and quotes."""

    email: str

    @field_validator("email")
    @classmethod
    def _refuse(cls, value: str) -> str:
        raise ValueError("no")


@pytest.mark.parametrize(
    "text",
    [
        EMAIL, EMAIL.upper(), EMAIL.title(), repr(EMAIL), ascii(EMAIL), json.dumps(EMAIL), repr(EMAIL.encode()),
        json.dumps({"a": EMAIL}, ensure_ascii=False), quote(EMAIL), quote(EMAIL, safe=""), quote(EMAIL, safe="@"),
        quote_plus(EMAIL), quote(EMAIL).lower(), html.escape(EMAIL), EMAIL.encode().hex(), EMAIL.encode().hex().upper(),
    ],
)  # fmt: skip
def test_every_spelling_is_hidden(text: str) -> None:
    """RULES 18.1: as it is, escaped, quoted, in an address, in hex, in letters of any case."""
    assert Mask([EMAIL]).hide(f"cannot send <{text}>: refused").replace("b'", "").count(HIDDEN) == 1
    assert "ada" not in Mask([EMAIL]).hide(text).lower()


@pytest.mark.parametrize("before", ["", "a", "ab", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_hides_it_wherever_it_stands_inside(before: str, encode: Callable[[bytes], bytes]) -> None:
    """As in a header of basic authentication; what is left does not decode to it."""
    text = encode(f"{before}{EMAIL}:x".encode()).decode()
    hidden = Mask([EMAIL]).hide(text)
    assert HIDDEN in hidden
    assert len(hidden) < len(text) - len(EMAIL) // 2


@given(ODD, st.text(max_size=20), st.text(max_size=20))
def test_any_value_is_hidden_anywhere(value: str, before: str, after: str) -> None:
    """Whatever characters it has, and whatever stands beside it; hiding twice changes nothing."""
    mask = Mask([value])
    hidden = mask.hide(before + value + after)
    assert value not in hidden.replace(HIDDEN, "\x00")
    assert mask.hide(hidden) == hidden or HIDDEN in hidden


def test_short_values_are_hidden_as_words_and_ordinary_text_stays() -> None:
    """Two or three characters count only by themselves; one character, blanks and truth values are not looked for."""
    assert Mask(["123", "x", " "]).hide("code 123 in 41234 x") == f"code {HIDDEN} in 41234 x"
    assert mask_of(Told(id="1", email="")).hide("nothing is known") == "nothing is known"


def test_numbers_are_found_with_other_marks_between() -> None:
    """A card number is the same with blanks, with dashes, or with neither."""
    for text in ("4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "4111.1111.1111.1111"):
        assert Mask(["4111 1111 1111 1111"]).hide(f"card {text}!") == f"card {HIDDEN}!"


def test_what_was_cut_off_is_hidden_as_far_as_it_goes() -> None:
    """A library may have shortened it, and a text is cut itself: the beginning of a long value is enough."""
    value = "".join(f"{number:04d}-" for number in range(2000))
    mask = Mask([value])
    assert mask.hide(f"got {value[:100]}... and more") == f"got {HIDDEN}... and more"
    assert "0001-" not in mask.hide("x" * (MAX_TEXT - 50) + value)


def test_the_values_of_an_event_are_found_in_all_its_depth() -> None:
    """Keys of a mapping are data too; a field that holds something sensitive is sensitive as a whole."""
    told = Told(id="4711", email=EMAIL, more={"the-key": ["the-value", 20261128]})
    text = f"{told!r} the-key the-value 20261128 4711"
    hidden = mask_of(told, None, "no event").hide(text)
    assert all(each not in hidden for each in (EMAIL, "the-key", "the-value", "20261128"))
    assert "4711" in hidden
    raw = {"id": "4711", "email": [EMAIL], "more": {"a-key": {"deep": 77_777}}}
    assert mask_of(came=[(raw, Told)]).hide(f"{EMAIL} a-key 77777 4711") == f"{HIDDEN} {HIDDEN} {HIDDEN} 4711"


def test_what_every_text_may_hold_is_always_hidden() -> None:
    """RULES 18.1: the input that pydantic quotes, passwords in addresses, tokens in queries, authorization."""
    with pytest.raises(ValidationError) as caught:
        Picky(email=f"{EMAIL}, input_type=str]")
    assert "ada" not in ALWAYS.hide(str(caught.value))
    assert ALWAYS.hide(str(caught.value)).count("email") == 1
    assert ALWAYS.hide("amqp://u:pw@h/v and http://a/") == f"amqp://u:{HIDDEN}@h/v and http://a/"
    assert ALWAYS.hide("GET /x?api_key=abc&y=1") == f"GET /x?api_key={HIDDEN}&y=1"
    assert ALWAYS.hide("{'Authorization': 'Bearer abc.def'}") == f"{{'Authorization': 'Bearer {HIDDEN}'}}"


def test_secrets_of_settings_are_hidden_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """By type, by the name of the field, by their place in an address; what is too short is an ordinary word."""
    monkeypatch.setattr("hocket.masking.mask._secrets", {})
    keep_secret([*secrets_of(Settings()), "guest"])
    text = "secret-of-the-name secret-of-the-type secret/of-the-url guest a plain text that stays"
    assert Mask([EMAIL]).hide(text) == f"{HIDDEN} {HIDDEN} {HIDDEN} guest a plain text that stays"


def test_an_address_that_is_a_secret_is_hidden_whole() -> None:
    """Not its password alone: the rest of it may be secret too."""
    address = "https://hook:word@h.example/services/T0/B1"
    assert Mask([address]).hide(f"no answer of {address}.") == f"no answer of {HIDDEN}."


async def test_the_mask_in_hand_is_that_of_its_context() -> None:
    """What one attempt has in hand does not reach what began before it."""
    assert mask_in_hand() is ALWAYS

    async def attempt() -> str:
        take(lambda: Mask([EMAIL]))
        return mask_in_hand().hide(EMAIL)

    assert await asyncio.create_task(attempt()) == HIDDEN
    assert mask_in_hand() is ALWAYS
