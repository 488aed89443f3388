"""Pseudonyms: what stands in a subject in place of a sensitive value, stable for one key (RULES 18.2). Pure."""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

#: What a pseudonym begins with, so that nobody takes it for a value.
SIGN = "~"
#: Bytes of the keyed hash that are kept: two values with one pseudonym do not happen.
HASH_BYTES = 16
#: Fewest characters of one key.
MIN_KEY_CHARS = 16


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Makes pseudonyms with the first key; finds them with all of them, so that a key can be replaced."""

    keys: Sequence[bytes] = ()

    @classmethod
    def of(cls, setting: str) -> "Pseudonyms":
        """The keys of HOCKET_PSEUDONYM_KEY: separated by commas, the newest first. `ValueError` for one too short."""
        keys = [each.strip() for each in setting.split(",")] if setting.strip() else []
        if any(len(each) < MIN_KEY_CHARS for each in keys):
            raise ValueError(
                f"HOCKET_PSEUDONYM_KEY has a key of fewer than {MIN_KEY_CHARS} characters: write one secret, or "
                "several separated by commas with the newest first; `openssl rand -hex 32` makes one"
            )
        return cls(tuple(each.encode() for each in keys))

    def __bool__(self) -> bool:
        return bool(self.keys)

    def every(self, value: str) -> list[str]:
        """The pseudonym of a value under each key, the newest first: what a console looks for."""
        return [_hashed(key, value) for key in self.keys]


def _hashed(key: bytes, value: str) -> str:
    found = hmac.digest(key, value.encode(errors="surrogatepass"), "sha256")[:HASH_BYTES]
    return SIGN + base64.b32encode(found).decode().rstrip("=").lower()
