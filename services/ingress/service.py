"""The service and its settings; it needs nothing outside and keeps nothing but its inbox."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from hocket import Service


class Settings(BaseSettings):
    """The secrets by which senders of webhooks sign; several of one sender stand with commas between them."""

    model_config = SettingsConfigDict(env_prefix="INGRESS_", frozen=True)

    form_secrets: SecretStr = Field(description="of the CRM's form, whsec_…, the newest first")
    shop_secrets: SecretStr = Field(description="of the shop's webhooks (the app's client secret), the newest first")


ingress = Service("ingress", owner="team-edge", settings=Settings)
