"""Spans against OpenTelemetry's own list of names, and trace context against the rules of W3C."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import messaging_attributes as messaging
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.trace import SpanKind, StatusCode

from hocket.envelope.attributes import is_traceparent
from hocket.telemetry.signals import Processing, Saying
from hocket.telemetry.spans import OtelListener

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"
SAYING = Saying("orders", "order.placed", "id-1", "flow-1", "order.placed.v1", "")
#: What the list calls its own, with what it has given up left out.
NAMES = {
    value
    for name, value in vars(messaging).items()
    if name.startswith("MESSAGING_") and isinstance(value, str) and "deprecated" not in name.lower()
}
GIVEN_UP = {
    "messaging.operation", "messaging.client_id", "messaging.kafka.consumer.group", "messaging.rocketmq.client_group",
    "messaging.servicebus.destination.subscription_name", "messaging.eventhubs.consumer.group",
    "messaging.kafka.message.offset", "messaging.kafka.destination.partition",
}  # fmt: skip


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    """Where the spans of `listener` end."""
    exporter = InMemorySpanExporter()
    yield exporter
    exporter.shutdown()


def processing(traceparent: str) -> Processing:
    """A run whose delivery carried this traceparent."""
    return Processing("payments", "payments.charge", "order.placed", "id-1", "flow-1", 2, traceparent)


def test_every_attribute_is_one_of_the_conventions(exporter: InMemorySpanExporter) -> None:
    """Names and values that the conventions list, none that they have given up; ours begin with `hocket.`."""
    listener = OtelListener(SimpleSpanProcessor(exporter), "0")
    listener.saying(SAYING)
    with pytest.raises(KeyError), listener.processing(processing("")):
        raise KeyError
    publish, process = exporter.get_finished_spans()
    for span in (publish, process):
        named = {name for name in (span.attributes or {}) if not name.startswith("hocket.")}
        assert named <= (NAMES - GIVEN_UP) | {error_attributes.ERROR_TYPE}
        attributes = dict(span.attributes or {})
        assert attributes["messaging.system"] == messaging.MessagingSystemValues.RABBITMQ.value
        assert span.name.startswith(f"{attributes['messaging.operation.name']} ")
    types = messaging.MessagingOperationTypeValues
    said, ran = dict(publish.attributes or {}), dict(process.attributes or {})
    assert (publish.kind, said["messaging.operation.type"]) == (SpanKind.PRODUCER, types.SEND.value)
    assert (process.kind, ran["messaging.operation.type"]) == (SpanKind.CONSUMER, types.PROCESS.value)
    assert said["messaging.destination.name"] == "hocket.events:order.placed.v1"  # `{exchange}:{routing key}`
    assert said["messaging.rabbitmq.destination.routing_key"] == "order.placed.v1"
    assert ran["error.type"] == "KeyError"
    assert process.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize(
    "traceparent",
    [PARENT, PARENT[:-2] + "00", PARENT[:-2] + "ff", f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes"],
)
def test_a_valid_trace_goes_on(exporter: InMemorySpanExporter, traceparent: str) -> None:
    """W3C trace context: also of a version to come, of which the beginning is read; a trace that is not sampled too."""
    listener = OtelListener(SimpleSpanProcessor(exporter), "0")
    with listener.processing(processing(traceparent)) as handed_on:
        assert handed_on.startswith(f"00-{TRACE}-")
        assert is_traceparent(handed_on)
    for span in exporter.get_finished_spans():
        assert span.parent is not None
        assert f"{span.parent.span_id:016x}" == SPAN
    assert is_traceparent(traceparent)


@pytest.mark.parametrize(
    "traceparent",
    [
        "", "x", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}.-{SPAN}-01", f"00-.{TRACE[1:]}-{SPAN}-01", f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}.-01", f"00-{TRACE}-{SPAN}0-01", f"00-{TRACE}-{SPAN[1:]}-01", f"00-{TRACE}-{SPAN}-.1",
        f"00-{TRACE}-{SPAN}-1", f"00-{TRACE}-{SPAN}-001", f"00-{TRACE}-{SPAN}-01.", f"00-{TRACE}-{SPAN}-01-more",
        f"cc-{TRACE}-{SPAN}-01.more", f".0-{TRACE}-{SPAN}-01", f"0-{TRACE}-{SPAN}-01", f"000-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN.upper()}-01", f"00_{TRACE}_{SPAN}_01",
    ],
)  # fmt: skip
def test_an_invalid_trace_begins_anew(exporter: InMemorySpanExporter, traceparent: str) -> None:
    """W3C trace context: what is invalid is dropped whole, not read in part, and not handed on."""
    listener = OtelListener(SimpleSpanProcessor(exporter), "0")
    with listener.processing(processing(traceparent)) as handed_on:
        assert TRACE not in handed_on
    assert exporter.get_finished_spans()[0].parent is None
    assert not is_traceparent(traceparent)
