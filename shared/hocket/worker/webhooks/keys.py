"""By which keys a push is known, and what was answered to it (RULES 12.3, 12.6). Pure."""

from dataclasses import dataclass

from hocket.envelope.keys import inbox_key
from hocket.store.records import InboxRow
from hocket.webhooks.declared import Webhook
from hocket.webhooks.signature import Push
from hocket.worker.webhooks.ends import Cause, End
from hocket.worker.webhooks.interpret import HASH_BYTES, Interpreted, body_hash


@dataclass(frozen=True, slots=True)
class Taken:
    """The push is in custody, in this flow."""

    flow: str
    end: End


@dataclass(frozen=True, slots=True)
class Keys:
    """A push's id, and where equal bodies are one its body (None elsewhere), as names and as inbox keys."""

    name: str
    id: bytes
    body_name: str
    body: bytes | None
    hash: bytes

    @property
    def all(self) -> list[bytes]:
        """The inbox keys."""
        return [self.id] if self.body is None else [self.id, self.body]


def keys_of(service: str, hook: Webhook, push: Push) -> Keys:
    """The same at each attempt and each retry."""
    name, hashed = f"webhook/{hook.name}/{push.id}", body_hash(push.body)
    id = inbox_key(service, f"/{service}", "", name)
    if not hook.signed.same_body:
        return Keys(name, id, "", None, hashed)
    body_name = f"webhook-body/{hook.name}/{hashed.hex()}"
    return Keys(name, id, body_name, inbox_key(service, f"/{service}", "", body_name), hashed)


def is_same(known: InboxRow, hashed: bytes, events: bytes) -> bool:
    """Whether equal raw bytes, or equal events, were said under this id before (RULES 12.5)."""
    return known.data_hash[:HASH_BYTES] == hashed or (bool(events) and known.data_hash[HASH_BYTES:] == events)


def conflict() -> Interpreted:
    """How a push is kept whose id stands for another body."""
    return Interpreted(
        cause=Cause.CONFLICT, error="the same delivery id came with another body before, and that one stands"
    )
