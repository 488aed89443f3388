"""What was pushed, and how a sender signs: the base of every signature (RULES 12.6 to 12.8). Pure."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from multidict import CIMultiDict, CIMultiDictProxy

from hocket.errors import DeclarationError

#: Headers that every push keeps, beside those that its signature names.
KEPT_HEADERS = ("Content-Type", "User-Agent")
#: Headers that no push keeps: they are secrets of somebody's session.
NEVER_KEPT = frozenset({"authorization", "cookie", "proxy-authorization"})
#: By how much a signed timestamp may differ from the time of receipt, either way.
TOLERANCE = timedelta(minutes=5)
#: Most bytes of one header that is kept.
MAX_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Push:
    """One request of a sender, as its signature and its mapping see it.

    `source` is the webhook's name, `id` the delivery's ("" until it is known that the push is authentic), `received`
    when it came, in UTC, `body` the bytes as they came. `headers` are those that the signature names, and Content-Type
    and User-Agent; their case does not matter. The other headers are not kept, so no mapping can build on them.
    """

    source: str
    id: str
    received: datetime
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


def headers_of(given: Mapping[str, str]) -> CIMultiDictProxy[str]:
    """Headers as a push has them: they cannot be changed, and their case does not matter."""
    return CIMultiDictProxy(CIMultiDict(given))


class Signature(ABC):
    """How one kind of sender signs what it pushes. Subclass it for another sender.

    `secrets` names a field of the service's settings: one secret, several with commas between them, or a list. All are
    tried, so that one can be replaced while both are in use. A signed timestamp may differ from the time of receipt by
    `tolerance` either way. `same_body=True`: an equal body under another id is the same push (a `twin`, RULES 12.6);
    that is so where the id is not signed, unless `same_body=False` says that this sender has real twins.

    A subclass names in `headers` what it reads, and these alone are in `Push.headers`. A push in which one of them
    stands twice is not authentic. Raises `DeclarationError` for arguments that cannot be.
    """

    #: Whether the delivery id is signed. Where it is not, a captured body verifies under any new id.
    signs_id: ClassVar[bool] = True
    #: The headers that `verify`, `delivery_id`, `signed_at` and mappings of this sender read.
    headers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *, secrets: str, tolerance: timedelta = TOLERANCE, same_body: bool | None = None) -> None:
        kind = type(self).__name__
        named: object = secrets
        if not isinstance(named, str) or not named.isidentifier():
            raise DeclarationError(
                f"{kind}(secrets={secrets!r}): name the field of the service's settings that holds the secrets, "
                'secrets="stripe_secrets"; never write a secret there'
            )
        if tolerance <= timedelta(0):
            raise DeclarationError(f"{kind}(tolerance={tolerance}): give a timedelta above 0")
        if found := sorted(NEVER_KEPT & {each.lower() for each in self.headers}):
            raise DeclarationError(f"{kind}.headers names {found[0]}, which is never kept: sign by another header")
        self.secrets = secrets
        self.tolerance = tolerance
        self.same_body = not self.signs_id if same_body is None else same_body

    @abstractmethod
    def verify(self, push: Push, secret: bytes) -> bool:
        """Whether this secret has signed these bytes, compared in constant time (`hmac.compare_digest`)."""

    @abstractmethod
    def delivery_id(self, push: Push) -> str:
        """The sender's id of this delivery, the same in each of its attempts; "" where there is none."""

    def signed_at(self, push: Push) -> datetime | None:
        """The timestamp that is signed with the push; None where the sender signs none."""
        return None

    def secret_of(self, text: str) -> bytes:
        """A secret as the settings have it, in bytes. `ValueError` where it cannot be read."""
        return text.encode()
