"""What hocket writes, read by the official SDKs of CloudEvents in Python and JavaScript: strict, both ways."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cloudevents.core.bindings import amqp, rabbitmq
from cloudevents.core.v1.event import CloudEvent
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deploy.setup.node import PACKAGES, is_current
from hocket import Event
from hocket.clock import rfc3339
from hocket.envelope import CONTENT_TYPE, Envelope, decode, encode
from hocket.envelope.attributes import MAX_VERSION
from hocket.envelope.keys import correlation_of
from services.crm import crm
from services.ingress import ingress
from services.inventory import inventory
from services.notifications import notifications
from services.orders import orders
from services.payments import payments
from services.scoring import scoring
from services.shipping import shipping
from tests.hocket.envelope.test_cloudevent import LINE, NAMES, NOW, ORDER, PARENT, VALUES

ROOT = Path(__file__).parents[3]
SHOP = (crm, ingress, inventory, notifications, orders, payments, scoring, shipping)
#: Every event that a service of the shop says, each once.
SAID: list[type[Event]] = [event for service in SHOP for event in service.declarations.says.values()]
#: Odd, and still what hocket can say: any subject, key, data and extension, any valid type.
ODD = st.builds(
    Envelope,
    id=st.uuids().map(str),
    source=st.from_regex(r"\A/[a-z][a-z0-9_]{0,20}\Z"),
    type=st.from_regex(r"\A[A-Za-z0-9_-]{1,9}(\.[A-Za-z0-9_-]{1,9}){0,3}\Z") | LINE.map(lambda text: f"t.{text}"),
    version=st.integers(1, MAX_VERSION),
    subject=LINE,
    time=st.datetimes(min_value=datetime(1, 1, 2), timezones=st.just(UTC)),  # noqa: DTZ001 -- the strategy adds the zone
    correlation_id=LINE,
    idempotency_key=LINE,
    data=st.dictionaries(st.text(max_size=5), VALUES, max_size=5),
    causation_id=st.just("") | LINE,
    revision=st.integers(0, MAX_VERSION),
    traceparent=st.just("") | st.just(PARENT),
    tracestate=st.just("") | st.just("vendor=1"),
    extensions=st.dictionaries(NAMES, LINE | st.booleans() | st.integers(-(2**31), 2**31 - 1), max_size=4),
)


class Message(NamedTuple):
    """An event as HTTP carries it."""

    headers: Mapping[str, str]
    body: str


class JavaScript:
    """The official SDK in a process of node that answers line by line."""

    def __init__(self) -> None:
        self._node = subprocess.Popen(
            ["node", str(Path(__file__).with_name("javascript_sdk.cjs"))],
            env={**os.environ, "NODE_PATH": str(ROOT / PACKAGES / "node_modules")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def ask(self, message: Message) -> dict[str, Any]:
        """What it makes of a message; `error` where it refuses it."""
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        self._node.stdin.write(json.dumps(message._asdict()) + "\n")
        self._node.stdin.flush()
        answer: dict[str, Any] = json.loads(self._node.stdout.readline())
        return answer

    def close(self) -> None:
        """End it."""
        self._node.communicate(timeout=10)


@pytest.fixture(scope="module")
def javascript() -> Iterator[JavaScript]:
    """The SDK that `python -m deploy.setup test` brings; skips where it could not."""
    if shutil.which("node") is None or not is_current(ROOT / "locks/node", ROOT / PACKAGES):
        pytest.skip("the JavaScript SDK of CloudEvents is not here: `python -m deploy.setup test` brings it, with npm")
    sdk = JavaScript()
    yield sdk
    sdk.close()


def envelope_of(event: type[Event]) -> Envelope:
    """An envelope as the service writes it; what stands in the data is no concern of CloudEvents."""
    type_, version = event.__hocket_type__, event.__hocket_version__
    return ORDER._replace(type=type_, version=version, data={name: name for name in event.model_fields}, revision=0)


def back(message: Mapping[str, Any]) -> Envelope:
    """The envelope that hocket reads of a message that an SDK wrote."""
    headers = {name.lower(): value for name, value in message["headers"].items()}
    content_type = headers.pop("content-type", "")
    return decode(message["body"].encode(), content_type, headers, NOW)


def to_milliseconds(envelope: Envelope) -> Envelope:
    """The JavaScript SDK writes no finer times."""
    time = envelope.time.replace(microsecond=envelope.time.microsecond // 1000 * 1000)
    return envelope._replace(time=time)


def check_both_ways(javascript: JavaScript, envelope: Envelope, *, binary: bool) -> None:
    """JavaScript takes what hocket wrote, and hocket reads the same from what JavaScript writes of it."""
    answer = javascript.ask(Message({"content-type": CONTENT_TYPE}, encode(envelope).decode()))
    assert "error" not in answer, answer
    assert answer["seen"]["id"] == envelope.id
    assert answer["seen"]["dataschema"].startswith("urn:hocket:")
    assert to_milliseconds(back(answer["structured"])) == to_milliseconds(envelope)
    if binary:
        assert to_milliseconds(back(answer["binary"])) == to_milliseconds(envelope)


def test_the_shop_says_something() -> None:
    """The list of events is no empty one, and no name is there twice."""
    assert len(SAID) >= 10
    assert len({(each.__hocket_type__, each.__hocket_version__) for each in SAID}) == len(SAID)


@pytest.mark.parametrize("event", SAID, ids=lambda event: event.__hocket_type__)
def test_javascript_takes_every_event_of_the_shop(javascript: JavaScript, event: type[Event]) -> None:
    """CloudEvents 1.0.2 demands that `dataschema` is a URI; the SDK validates every attribute."""
    check_both_ways(javascript, envelope_of(event), binary=True)


@settings(deadline=None)
@example(envelope=ORDER)
@given(envelope=ODD)
def test_javascript_takes_what_is_odd(javascript: JavaScript, envelope: Envelope) -> None:
    """Whatever stands in subject, keys, types and extensions: the event is valid. (HTTP headers cannot carry all.)"""
    check_both_ways(javascript, envelope, binary=False)


def test_javascript_refuses_what_earlier_releases_wrote(javascript: JavaScript) -> None:
    """The checker can refuse: `payment.charged/1` is no URI. hocket still reads it, as the same version."""
    body = json.loads(encode(ORDER)) | {"dataschema": "order.placed/2"}
    assert "dataschema" in javascript.ask(Message({"content-type": CONTENT_TYPE}, json.dumps(body)))["error"]
    assert decode(json.dumps(body).encode(), CONTENT_TYPE, {}, NOW) == ORDER


@pytest.mark.parametrize("event", SAID, ids=lambda event: event.__hocket_type__)
def test_python_takes_every_event_of_the_shop(event: type[Event]) -> None:
    """The Python SDK reads what hocket wrote, and hocket reads the same from what it writes, in both modes."""
    envelope = envelope_of(event)
    read = rabbitmq.from_structured_event(rabbitmq.RabbitMQMessage({}, CONTENT_TYPE, encode(envelope)))
    assert read.get_dataschema() == f"urn:hocket:{envelope.type}:{envelope.version}"
    for message in (rabbitmq.to_structured_event(read), rabbitmq.to_binary_event(read)):
        assert decode(message.body, message.content_type or "", message.headers, NOW) == envelope


@given(envelope=ODD)
def test_python_takes_what_is_odd(envelope: Envelope) -> None:
    """As for JavaScript."""
    read = rabbitmq.from_structured_event(rabbitmq.RabbitMQMessage({}, CONTENT_TYPE, encode(envelope)))
    message = rabbitmq.to_structured_event(read)
    assert decode(message.body, message.content_type or "", message.headers, NOW) == envelope


def test_python_reads_every_attribute() -> None:
    """CloudEvents 1.0.2: the official SDK reads every attribute of an encoded envelope."""
    event = rabbitmq.from_structured_event(rabbitmq.RabbitMQMessage({}, CONTENT_TYPE, encode(ORDER)))
    assert event.get_id() == ORDER.id
    assert event.get_type() == "order.placed"
    assert event.get_time() == ORDER.time
    assert event.get_subject() == "order/4711"
    assert event.get_extension("correlationid") == ORDER.correlation_id
    assert event.get_extension("traceparent") == PARENT
    assert event.get_extension("revision") == 1
    assert event.get_data() == ORDER.data


def test_we_read_what_python_says() -> None:
    """Structured mode, and binary mode with the header prefixes of AMQP and of Knative."""
    event = CloudEvent(
        {
            "type": "order.placed", "source": "/shop", "id": "17", "time": NOW, "subject": "order/1", "region": "eu",
            "datacontenttype": "application/json",
        },
        {"order_id": "1"},
    )  # fmt: skip
    whole = Envelope(
        "17", "/shop", "order.placed", 1, "order/1", NOW, correlation_of("/shop", "17"), "17", {"order_id": "1"},
        extensions={"region": "eu"},
    )  # fmt: skip
    in_json = rabbitmq.to_structured_event(event)
    assert decode(in_json.body, in_json.content_type or "", {}, NOW) == whole
    in_headers = rabbitmq.to_binary_event(event)
    assert decode(in_headers.body, in_headers.content_type or "", in_headers.headers, NOW) == whole
    other = amqp.to_binary_event(event)
    content_type = str(other.properties["content-type"])
    assert decode(other.application_data, content_type, other.application_properties, NOW) == whole


def test_we_read_what_javascript_says(javascript: JavaScript) -> None:
    """An event that JavaScript makes is read in both modes."""
    given_ = {"specversion": "1.0", "id": "17", "source": "/shop", "type": "order.placed", "time": rfc3339(NOW)}
    body = json.dumps({**given_, "region": "eu", "data": {"order_id": "1"}})
    answer = javascript.ask(Message({"content-type": CONTENT_TYPE}, body))
    whole = Envelope(
        "17", "/shop", "order.placed", 1, "order.placed/17", NOW, correlation_of("/shop", "17"), "17",
        {"order_id": "1"}, extensions={"region": "eu"},
    )  # fmt: skip
    assert back(answer["structured"]) == whole
    assert back(answer["binary"]) == whole
