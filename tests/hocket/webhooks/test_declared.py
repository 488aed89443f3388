"""The declaration of a webhook, checked at import."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings

from hocket import Event, Service
from hocket.errors import DeclarationError
from hocket.webhooks import Push, StandardWebhooks
from hocket.webhooks.declared import Webhook, webhook_of

SIGNED = StandardWebhooks(secrets="secrets")


class Settings(BaseSettings):
    """Of the service."""

    secrets: SecretStr | list[SecretStr] = SecretStr("")


class Body(BaseModel):
    """What is pushed."""

    id: str


class Heard(Event, type="door.heard", subject="thing/{id}"):
    """What is said."""

    id: str


def mapped(body: Body, push: Push) -> Heard | None:
    """A mapping."""
    return Heard(id=body.id)


def declared(fn: Callable[..., Any] = mapped, signed: object = SIGNED, **options: Any) -> Webhook:
    """One webhook."""
    return webhook_of("door", Settings, fn, signed, options)


def test_a_service_declares_what_its_webhooks_say() -> None:
    """RULES 12.2: as if it was said outside handlers; one name once."""
    service = Service("door", owner="team", settings=Settings)
    assert service.webhook(SIGNED)(mapped) is mapped
    assert service.webhooks["mapped"].says == (Heard,)
    assert service.declarations.outside == [Heard]
    with pytest.raises(DeclarationError, match="another webhook has this name"):
        service.webhook(SIGNED)(mapped)


def test_a_webhook_without_parentheses_is_refused() -> None:
    """RULES 12.2: it would declare nothing, and its pushes would be answered 404."""
    service = Service("door", owner="team", settings=Settings)
    with pytest.raises(DeclarationError, match=r"mapped stands below it without arguments; write @door.webhook"):
        service.webhook(mapped)  # type: ignore[arg-type]


async def waits(body: Body, push: Push) -> None:
    """Not plain."""


def no_push(body: Body, push: str) -> None:
    """The second parameter is wrong."""


class Odd:
    """No JSON becomes this."""


def unreadable(body: Odd, push: Push) -> None:
    """The body cannot be JSON."""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"fn": waits}, "is not a plain function"),
        ({"fn": no_push}, "write push: Push"),
        ({"fn": unreadable}, "cannot be read from JSON"),
        ({"signed": "stripe"}, "say how it is signed"),
        ({"signed": StandardWebhooks(secrets="others")}, "the field 'others' of the service's settings"),
        ({"name": "Stripe!"}, "a webhook's name has lower case letters"),
        ({"rate": 0}, "rate=0 is out of bounds"),
        ({"rate": True}, "rate=True is not of type float"),
        ({"drift": "ignore"}, "drift='ignore'; give one of accept, warn, quarantine"),
        ({"key": "id"}, "key= takes a plain function"),
        ({"retry": 3}, "retry= is unknown"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, Any], sentence: str) -> None:
    """RULES 12.7: the sentence says how to mend it."""
    with pytest.raises(DeclarationError, match=sentence):
        declared(**arguments)


def test_secrets_are_one_or_several() -> None:
    """RULES 12.7: with commas between them, or a list; a list may have commas in its secrets."""
    long = "d" * 32
    assert len(declared().secrets(Settings(secrets=SecretStr(f"whsec_{long}, {long}")))) == 2
    assert len(declared().secrets(Settings(secrets=[SecretStr(long), SecretStr(long)]))) == 2
    with pytest.raises(ValueError, match="SECRETS, secret 2 has 3 bytes"):
        declared().secrets(Settings(secrets=SecretStr(f"{long},abcd")))
    with pytest.raises(ValueError, match="SECRETS is empty"):
        declared().secrets(Settings(secrets=[]))


def test_settings_that_nothing_reads_are_refused() -> None:
    """Settings are for `uses=` and for the secrets of webhooks; without either the service does not start."""
    service = Service("things", owner="team", settings=Settings)
    with pytest.raises(DeclarationError, match=r"^Service\('things'\): nothing reads its settings=; give uses="):
        service.complete()
