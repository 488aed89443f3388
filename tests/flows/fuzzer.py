"""Hostile deliveries from one seed: bytes, envelopes, headers and content types that no honest publisher sends."""

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from hocket.envelope import CONTENT_TYPE

#: Bytes of the largest body, and one in how many is so large.
LARGE_BYTES = 200_000
LARGE_ONE_IN = 500
#: Levels of the deepest nesting.
DEEP = 3000

STRINGS = ("", "a", "\x00", "a\x00b", "\ud800", "\u202e", "ß" * 200, "k" * 3000, "'; --", "💥", "NaN", "../..", "\r\n")
NUMBERS: tuple[Any, ...] = (0, -1, 2**31, 2**63, 10**400, 1.5, float("nan"), float("inf"), True, None)
TYPES = ("application/json", "text/plain", "", "application/cloudevents+json", CONTENT_TYPE, "application/octet-stream",
         "application/cloudevents+json; charset=utf-16", "x" * 200)  # fmt: skip


class Hostile(NamedTuple):
    """One delivery."""

    body: bytes
    content_type: str
    headers: dict[str, Any]


class Fuzzer:
    """Makes deliveries for a subscription that hears `type`, version 1; the same from the same seed."""

    def __init__(self, type: str, seed: int) -> None:
        self._type = type
        self._chance = random.Random(seed)
        self._number = 0
        self._sent: list[Hostile] = []
        self._kinds: tuple[Callable[[], Hostile], ...] = (
            self._honest, self._bytes, self._cut, self._twisted, self._data, self._version, self._binary,
            self._again, self._other_data, self._deep, self._claims,
        )  # fmt: skip

    def deliveries(self, count: int) -> Iterator[Hostile]:
        """So many of them."""
        for _ in range(count):
            made = self._chance.choice(self._kinds)()
            headers = {**made.headers, **self._headers()}
            made = made._replace(headers=headers)
            if len(self._sent) < 1000 or self._chance.random() < 0.01:
                self._sent.append(made)
            yield made

    def _pick(self) -> Any:
        """Any value of JSON."""
        kind = self._chance.randrange(4)
        if kind == 0:
            return self._chance.choice(STRINGS)
        if kind == 1:
            return self._chance.choice(NUMBERS)
        return [self._pick() for _ in range(2)] if kind == 2 else {self._chance.choice(STRINGS): self._pick()}

    def _envelope(self) -> dict[str, Any]:
        self._number += 1
        return {
            "specversion": "1.0", "id": f"id-{self._number}", "source": "/hostile", "type": self._type,
            "dataschema": f"urn:hocket:{self._type}:1", "subject": f"thing/{self._number}",
            "datacontenttype": "application/json",
            "time": datetime.now(UTC).isoformat(), "idempotencykey": f"key-{self._number}",
            "data": {"name": f"n{self._number}", "text": "x"},
        }  # fmt: skip

    def _structured(self, envelope: Any) -> Hostile:
        return Hostile(json.dumps(envelope).encode(), CONTENT_TYPE, {})

    def _honest(self) -> Hostile:
        envelope = self._envelope()
        if self._chance.randrange(LARGE_ONE_IN // 10) == 0:
            envelope["data"]["text"] = "y" * self._chance.randrange(LARGE_BYTES)
        return self._structured(envelope)

    def _bytes(self) -> Hostile:
        return Hostile(self._chance.randbytes(self._chance.randrange(300)), self._chance.choice(TYPES), {})

    def _cut(self) -> Hostile:
        whole = self._structured(self._envelope())
        return whole._replace(body=whole.body[: self._chance.randrange(len(whole.body))])

    def _twisted(self) -> Hostile:
        envelope = self._envelope()
        for _ in range(self._chance.randrange(1, 4)):
            name = self._chance.choice([*envelope, "correlationid", "causationid", "traceparent", "revision", "extra"])
            if self._chance.random() < 0.3:
                envelope.pop(name, None)
            else:
                envelope[name] = self._pick()
        return self._structured(envelope)

    def _data(self) -> Hostile:
        envelope = self._envelope()
        envelope["data"] = self._pick() if self._chance.random() < 0.5 else {"name": self._pick(), "text": self._pick()}
        return self._structured(envelope)

    def _version(self) -> Hostile:
        version = self._chance.choice([0, 2, 99, -1, "x", 10**30])
        return self._structured({**self._envelope(), "dataschema": f"urn:hocket:{self._type}:{version}"})

    def _binary(self) -> Hostile:
        envelope = self._envelope()
        data = json.dumps(envelope.pop("data")).encode()
        return Hostile(data, "application/json", {f"cloudEvents:{name}": value for name, value in envelope.items()})

    def _again(self) -> Hostile:
        return self._chance.choice(self._sent) if self._sent else self._honest()

    def _other_data(self) -> Hostile:
        number = self._chance.randrange(1, self._number + 2)
        envelope = {**self._envelope(), "id": f"id-{number}", "idempotencykey": f"key-{number}"}
        return self._structured({**envelope, "data": {"name": "other", "text": str(self._chance.random())}})

    def _deep(self) -> Hostile:
        depth = self._chance.randrange(DEEP)
        left, right = self._chance.choice([("[", "]"), ('{"a":', "}")])
        return Hostile(f'{{"data":{left * depth}1{right * depth}}}'.encode(), CONTENT_TYPE, {})

    def _claims(self) -> Hostile:
        return self._structured(self._envelope())._replace(content_type=self._chance.choice(TYPES))

    def _headers(self) -> dict[str, Any]:
        if self._chance.random() < 0.7:
            return {}
        names = ("hocket-attempt", "hocket-replay", "hocket-cause-attempt", "hocket-death-id", "traceparent",
                 "x-death", "x-delivery-count", "foreign", "cloudEvents:id")  # fmt: skip
        values: tuple[Any, ...] = ("", "1", "x" * 2000, 1, -5, 2**40, True, None, 1.5, {"a": [1, {"b": None}]},
                                   [1, "a"], datetime.now(UTC), bytearray(b"\xff\x00"))  # fmt: skip
        return {self._chance.choice(names): self._chance.choice(values) for _ in range(self._chance.randrange(1, 4))}
