"""A team's own settings: what is wrong is one sentence with the variable's name, and never a value."""

from datetime import datetime
from enum import Enum
from typing import Any, Literal

import pytest
from pydantic import AliasChoices, BaseModel, Field, SecretStr, ValidationError, create_model, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket.declarations.team_settings import check_settings, expected, read, refusal, variable_of
from hocket.errors import ConfigError, DeclarationError

SECRET = "hunter2-hunter2"
MISSING = "SHOP_DSN is missing: set it to a text (where the shop's database is)"


class Cards(BaseModel):
    """Nested."""

    timeout: float = 1.0


class Region(Enum):
    """Two."""

    EU = "eu"
    US = "us"


class Shop(BaseSettings):
    """Every way in which a field is named."""

    model_config = SettingsConfigDict(env_prefix="SHOP_", env_nested_delimiter="__")

    dsn: str = Field(description="where the shop's database is")
    limit: int = 1
    pin: str = ""
    region: str = Field(default="", max_length=2, validation_alias=AliasChoices("REGION", "ZONE"))
    cards: Cards = Cards()
    hosts: list[str] = []
    password: SecretStr = SecretStr("")

    @field_validator("pin")
    @classmethod
    def _four(cls, value: str) -> str:
        if value and len(value) != 4:
            raise ValueError(f"{value} has not four digits")
        return value


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, f"service shop: {MISSING}"),
        ({"SHOP_DSN": "x", "SHOP_LIMIT": SECRET}, "service shop: SHOP_LIMIT is not valid: input should be a valid int"),
        (
            {"SHOP_DSN": "x", "SHOP_PIN": SECRET},
            "service shop: SHOP_PIN is not valid: the check of its class refuses it",
        ),
        ({"SHOP_DSN": "x", "REGION": SECRET}, "service shop: REGION is not valid: string should have at most 2"),
        ({"SHOP_DSN": "x", "SHOP_CARDS__TIMEOUT": SECRET}, "service shop: SHOP_CARDS__TIMEOUT is not valid: input"),
        ({"SHOP_DSN": "x", "SHOP_HOSTS": SECRET}, "service shop: SHOP_HOSTS cannot be parsed: write JSON"),
        (
            {"SHOP_LIMIT": SECRET},
            f"service shop: {MISSING}; SHOP_LIMIT is not valid: input should be a valid integer",
        ),
        (
            {"SHOP_HOSTS": SECRET, "SHOP_LIMIT": SECRET},
            f"service shop: SHOP_HOSTS cannot be parsed: write JSON; {MISSING}; SHOP_LIMIT is not valid: input should",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(given: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable's name and the cause; the value stands neither in it nor in what it came from."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        read("shop", Shop)
    assert str(caught.value).startswith(sentence)
    assert SECRET not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_what_is_right_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the class itself reads it."""
    monkeypatch.setenv("SHOP_DSN", "x")
    assert read("shop", Shop).dsn == "x"
    assert variable_of(Shop, "region") == "REGION"


def test_an_unknown_model_is_named_by_its_fields() -> None:
    """Where a module reads its settings when it is imported."""
    with pytest.raises(ValidationError, match="dsn") as caught:
        Shop.model_validate({})
    assert refusal(caught.value) == "dsn is missing: set it"


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (SecretStr, "a text, which is kept secret"),
        (Literal["eu", "us"], "eu or us"),
        (Region, "eu or us"),
        (dict[str, int], "JSON"),
        (Cards, "JSON"),
        (datetime, "a value for datetime"),
    ],
)
def test_what_a_missing_variable_is_to_hold_is_said_in_words(annotation: Any, words: str) -> None:
    """By the type of its field."""
    assert expected(create_model("Made", __base__=BaseSettings, field=(annotation, ...)), ("field",)) == words


class _Kits(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="HOCKET_SHOP_")
    limit: int = 1


class _ByAlias(BaseSettings):
    limit: int = Field(default=1, validation_alias="HOCKET_LIMIT")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (Cards, "Cards is a plain model, which reads no environment; let it inherit from pydantic_settings"),
        (_Kits, "_Kits reads HOCKET_SHOP_LIMIT, and HOCKET_… are the kit's own settings"),
        (_ByAlias, "_ByAlias reads HOCKET_LIMIT"),
        ("Cards", "settings= takes a pydantic model's class"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_at_import(settings: Any, sentence: str) -> None:
    """With the way out."""
    with pytest.raises(DeclarationError, match=sentence):
        check_settings("Service('shop')", settings)
