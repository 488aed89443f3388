"""The kit's settings: the only reader of `HOCKET_…` variables."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, get_args

from annotated_types import Ge, Gt, Le
from pydantic import (
    BaseModel,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket.errors import ConfigError
from hocket.pseudonym import Pseudonyms
from hocket.setting_groups import (
    AddressSettings,
    LimitSettings,
    OutboxSettings,
    PostgresSettings,
    Retention,
    RetentionSettings,
    SecretSettings,
    StopSettings,
    WatchSettings,
    WebhookSettings,
)

PREFIX = "HOCKET_"
#: What stands in place of a password, or of any other value that is not shown.
HIDDEN = "*****"
#: Words in the name of an address's parameter whose value is a secret.
SECRET_PARAMETERS = ("pass", "secret", "token", "key")

#: How the addresses of each setting may begin.
SCHEMES: Mapping[str, tuple[str, ...]] = {
    "broker_url": ("amqp://", "amqps://", "memory:"),
    "database_url": ("sqlite:///", "postgresql://", "postgresql+asyncpg://"),
    "desk_url": ("http://", "https://"),
    "management_url": ("http://", "https://", ""),
}

_NUMBERS: dict[Any, str] = {int: "a whole number", float: "a number"}
_URL = re.compile(r",(?=\w[\w+.-]*://)")
_SECRET = re.compile(rf"([?&][^=&]*(?:{'|'.join(SECRET_PARAMETERS)})[^=&]*=)[^&]*", re.IGNORECASE)


class Config(
    AddressSettings,
    LimitSettings,
    WebhookSettings,
    StopSettings,
    PostgresSettings,
    OutboxSettings,
    WatchSettings,
    SecretSettings,
    RetentionSettings,
    BaseSettings,
):
    """What a process of hocket reads from the environment (docs/settings.md); OpenTelemetry reads `OTEL_*` itself."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    @model_validator(mode="after")
    def _fit_together(self) -> "Config":
        """Settings that contradict each other are refused, all at once; for a retention see RULES 2.7."""
        if found := list(self._contradictions()):
            raise ValueError("; ".join(found))
        return self

    def _contradictions(self) -> Iterator[str]:
        if min(self.ledger_days, self.dead_days) < self.inbox_days:
            yield (
                f"HOCKET_INBOX_DAYS is {self.inbox_days:g}, HOCKET_LEDGER_DAYS {self.ledger_days:g} and "
                f"HOCKET_DEAD_DAYS {self.dead_days:g}: give the last two at least as many days as the first"
            )
        if self.exit_seconds <= self.stop_seconds:
            yield (
                f"HOCKET_EXIT_SECONDS is {self.exit_seconds:g} and HOCKET_STOP_SECONDS {self.stop_seconds:g}: give the "
                "process longer than its handlers"
            )
        if self.owner_renew_seconds * 2 > self.owner_lease_seconds:
            yield (
                f"HOCKET_OWNER_RENEW_SECONDS is {self.owner_renew_seconds:g} and HOCKET_OWNER_LEASE_SECONDS "
                f"{self.owner_lease_seconds:g}: renew at least twice within the lease"
            )
        if self.outbox_batch > self.outbox_memory_rows:
            yield (
                f"HOCKET_OUTBOX_BATCH is {self.outbox_batch} and HOCKET_OUTBOX_MEMORY_ROWS {self.outbox_memory_rows}: "
                "keep at least one batch in memory"
            )
        try:
            self.pseudonyms()
        except ValueError as error:
            yield str(error)

    @field_validator("broker_url", "database_url", "desk_url", "management_url")
    @classmethod
    def _scheme_is_known(cls, value: str, info: ValidationInfo) -> str:
        """An address begins as one that a driver knows; the driver checks the rest of it."""
        known = SCHEMES[info.field_name or ""]
        if not value.lower().startswith(known):
            raise ValueError(f"begin it with {' or '.join(filter(None, known))}")
        return value

    @classmethod
    def read(cls) -> "Config":
        """The settings of this process; `ConfigError` names each invalid variable, its value and what is allowed."""
        try:
            return cls()
        except ValidationError as error:
            sentences, invalid = [], {}
            for each in error.errors(include_url=False):
                if not each["loc"]:  # several settings together
                    sentences.append(each["msg"].removeprefix("Value error, "))
                    continue
                name = str(each["loc"][0]).lower()
                invalid[name] = cls.model_fields[name].default
                value = masked(name, str(each["input"]))
                own = each["msg"].removeprefix("Value error, ") if each["type"] == "value_error" else ""
                write = own or f"write {allowed(cls.model_fields[name])}"
                sentences.append(f"{PREFIX}{name.upper()} is {value!r}: {write}")
            if invalid:
                sentences += cls._contradictions_beside(invalid)
            raise ConfigError("; ".join(sentences)) from None  # the cause quotes values

    @classmethod
    def _contradictions_beside(cls, invalid: Mapping[str, Any]) -> list[str]:
        """The contradictions between the other settings, where those of `invalid` have these defaults."""
        try:
            cls(**invalid)
        except ValidationError as error:
            [together] = error.errors(include_url=False)
            found = together["msg"].removeprefix("Value error, ").split("; HOCKET_")
            found = [each if each.startswith(PREFIX) else PREFIX + each for each in found]
            return [each for each in found if not any(f"{PREFIX}{name.upper()} " in each for name in invalid)]
        return []

    def retention(self) -> Retention:
        """How long inbox rows, rows of dead letters and ledger rows are kept."""
        return Retention(
            timedelta(days=self.inbox_days), timedelta(days=self.dead_days), timedelta(days=self.ledger_days)
        )

    def pseudonyms(self) -> Pseudonyms:
        """What makes the pseudonyms in subjects (RULES 18.2); without a key it makes none."""
        return Pseudonyms.of(self.pseudonym_key)

    def database_of(self, service: str) -> str:
        """The database URL of one service."""
        return self.database_url.replace("{service}", service)

    def schema_of(self, service: str) -> str:
        """The PostgreSQL schema of one service; "" for the first of the user's search path."""
        return self.postgres_schema.replace("{service}", service)


class _Secrets(SecretSettings, BaseSettings):
    """The secrets alone, where another setting is invalid."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)


def has_pseudonym_key() -> bool:
    """Whether the environment has a key of pseudonyms, valid or not."""
    return bool(_Secrets().pseudonym_key.strip())


#: The groups of settings, in the order in which they are shown.
GROUPS: tuple[type[BaseModel], ...] = tuple(
    each for each in Config.__bases__ if issubclass(each, BaseModel) and not issubclass(each, BaseSettings)
)


def masked(name: str, value: str) -> str:
    """The text of a setting without its passwords: of an address user, host and path are left."""
    if name in SecretSettings.model_fields:
        return HIDDEN if value else ""
    if not name.endswith("_url"):
        return value
    return ",".join(_masked_url(each) for each in _URL.split(value))


def _masked_url(url: str) -> str:
    scheme, mark, rest = url.rpartition("://")
    before, at, after = rest.rpartition("@")
    user, colon, _ = before.partition(":")
    return _SECRET.sub(rf"\1{HIDDEN}", f"{scheme}{mark}{user}{colon and colon + HIDDEN}{at}{after}")


def allowed(field: FieldInfo) -> str:
    """What may be written for a setting, in words."""
    if choices := get_args(field.annotation):
        return f"{', '.join(choices[:-1])} or {choices[-1]}"
    if field.annotation not in _NUMBERS:
        return "a text"
    low = next(each for each in field.metadata if isinstance(each, Ge | Gt))
    high = next(each.le for each in field.metadata if isinstance(each, Le))
    what = _NUMBERS[field.annotation]
    return f"{what} from {low.ge} to {high}" if isinstance(low, Ge) else f"{what} above {low.gt}, at most {high}"
