"""What `uses=` makes: a failure is one sentence without the settings' secrets."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from pydantic import BaseModel, SecretStr
from pydantic_settings import BaseSettings

from hocket import Service
from hocket.errors import ConfigError
from hocket.worker.resource import made

SECRET = "hunter2-hunter2"


class Settings(BaseSettings):
    """With a secret."""

    api_key: SecretStr = SecretStr(SECRET)
    dsn: str = "host=h password=sesame"


class Answer(BaseModel):
    """What the team's code reads from somewhere."""

    cents: int


async def test_a_failure_is_one_sentence_with_its_place() -> None:
    """Class, text and line of the error; neither the sentence nor what it came from has a secret (RULES 18.1)."""

    @asynccontextmanager
    async def uses(settings: Settings) -> AsyncIterator[None]:
        raise RuntimeError(
            f"no access with {settings.api_key.get_secret_value()} to amqp://u:{SECRET}@h, {settings.dsn}"
        )
        yield

    service = Service("shop", owner="team", settings=Settings, uses=uses)
    async with AsyncExitStack() as stack:
        with pytest.raises(ConfigError) as caught:
            await made(service, stack)
    text = str(caught.value)
    assert text.startswith("service shop: what uses= makes could not start: RuntimeError: no access with ***** to amqp")
    assert "test_resource.py:" in text
    assert SECRET not in text
    assert "sesame" not in text
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


async def test_a_model_that_refuses_does_not_quote_its_input() -> None:
    """A validation error of the team's own names the field alone."""

    @asynccontextmanager
    async def uses() -> AsyncIterator[Answer]:
        yield Answer.model_validate({"cents": SECRET})

    async with AsyncExitStack() as stack:
        with pytest.raises(ConfigError, match="could not start: ValidationError: cents is not valid: input") as caught:
            await made(Service("shop", owner="team", uses=uses), stack)
    assert SECRET not in str(caught.value)


async def test_nothing_declared_is_nothing_made() -> None:
    """`tx.use` is None then."""
    async with AsyncExitStack() as stack:
        assert await made(Service("shop", owner="team"), stack) is None
