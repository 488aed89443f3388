"""Traces over OTLP (http/protobuf), after OpenTelemetry's messaging conventions.

A publish span is the parent of the process spans of all subscriptions that hear the event, so that a flow is one trace.
The text of an error is not exported, because it may quote the value of a `Sensitive` field; its class is.
"""

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes, AttributeValue

from hocket.broker.topology import EVENTS
from hocket.errors import BreakerOpen, Control
from hocket.masking.mask import Mask, mask_in_hand
from hocket.telemetry.signals import Processing, Saying, Tracing

#: Milliseconds for sending the last spans when the process stops.
FLUSH_MILLISECONDS = 5000

#: Attributes that the kit writes; none of them holds data of an event.
_OWN = frozenset({
    "messaging.system", "messaging.operation.name", "messaging.operation.type", "messaging.destination.name",
    "messaging.rabbitmq.destination.routing_key", "messaging.consumer.group.name", "messaging.message.id",
    "messaging.message.conversation_id", "hocket.event.type", "hocket.attempt", "hocket.word", "error.type",
})  # fmt: skip
_PROPAGATOR = TraceContextTextMapPropagator()


class Masked(SpanProcessor):
    """Passes spans on, without the sensitive values that a handler wrote into attributes and events (RULES 18.1)."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._processor = processor

    def on_end(self, span: ReadableSpan) -> None:
        """Runs in the handler's context, which knows the events in hand. What only the kit wrote goes as it is."""
        attributes = dict(span.attributes or {})
        if span.events or not attributes.keys() <= _OWN or span.status.description:
            mask = mask_in_hand()
            span = ReadableSpan(
                name=mask.hide(span.name),
                context=span.context,
                parent=span.parent,
                resource=span.resource,
                attributes=_hidden(attributes, mask),
                events=[Event(each.name, _hidden(each.attributes, mask), each.timestamp) for each in span.events],
                links=span.links,
                kind=span.kind,
                status=Status(span.status.status_code, mask.hide(span.status.description or "") or None),
                start_time=span.start_time,
                end_time=span.end_time,
                instrumentation_scope=span.instrumentation_scope,
            )
        self._processor.on_end(span)

    def shutdown(self) -> None:
        """Stop the processor behind it."""
        self._processor.shutdown()

    def force_flush(self, timeout_millis: int = FLUSH_MILLISECONDS) -> bool:
        """Send what waits behind it."""
        return self._processor.force_flush(timeout_millis)


def _hidden(attributes: Attributes, mask: Mask) -> dict[str, AttributeValue]:
    """The attributes with every text masked; any other value that a mask knows becomes text."""
    hidden: dict[str, AttributeValue] = {}
    for name, value in (attributes or {}).items():
        text = value if isinstance(value, str) else repr(value)
        hidden[name] = value if (found := mask.hide(text)) == text else found
    return hidden


class OtelListener(Tracing):
    """A span for each event that is said and each run of a handler; each service is a resource with its own name.

    With `named`, the resource has the name of OTEL_SERVICE_NAME for all services.
    """

    def __init__(self, processor: SpanProcessor, version: str, *, named: bool = False) -> None:
        self._processor = Masked(processor)
        self._version = version
        self._named = named
        self._tracers: dict[str, Tracer] = {}

    def saying(self, event: Saying) -> str:
        """A publish span, child of the run that says the event, else of the flow; returns its W3C traceparent."""
        span = self._tracer(event.service).start_span(
            f"publish {event.routing_key}",
            context=None if trace.get_current_span().get_span_context().is_valid else _parent(event.traceparent),
            kind=SpanKind.PRODUCER,
            attributes={
                "messaging.system": "rabbitmq",
                "messaging.operation.name": "publish",
                "messaging.operation.type": "send",
                "messaging.destination.name": f"{EVENTS}:{event.routing_key}",
                "messaging.rabbitmq.destination.routing_key": event.routing_key,
                "messaging.message.id": event.event_id,
                "messaging.message.conversation_id": event.correlation_id,
                "hocket.event.type": event.type,
            },
        )
        span.end()
        return _traceparent(span)

    def processing(self, run: Processing) -> AbstractContextManager[str]:
        """A process span, child of the publish span that `traceparent` names. It is current while the handler runs."""
        return self._process(run)

    @contextmanager
    def _process(self, run: Processing) -> Iterator[str]:
        with self._tracer(run.service).start_as_current_span(
            f"process {run.subscription}",
            context=_parent(run.traceparent),
            kind=SpanKind.CONSUMER,
            attributes={
                "messaging.system": "rabbitmq",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": run.subscription,
                "messaging.consumer.group.name": run.subscription,
                "messaging.message.id": run.event_id,
                "messaging.message.conversation_id": run.correlation_id,
                "hocket.event.type": run.type,
                "hocket.attempt": run.attempt,
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield _traceparent(span)
            except (Control, BreakerOpen, CancelledError) as word:
                span.set_attribute("hocket.word", type(word).__name__)
                raise
            except BaseException as error:
                kind = type(error).__qualname__
                span.set_attribute("error.type", kind)
                span.set_status(StatusCode.ERROR, kind)
                raise

    def close(self) -> None:
        """Send the remaining spans, for at most `FLUSH_MILLISECONDS`, and stop. It blocks: call it in a thread."""
        self._processor.force_flush(FLUSH_MILLISECONDS)
        self._processor.shutdown()

    def _tracer(self, service: str) -> Tracer:
        tracer = self._tracers.get(service)
        if tracer is None:
            resource = Resource.create({} if self._named else {SERVICE_NAME: service})
            provider = TracerProvider(resource=resource, shutdown_on_exit=False)
            provider.add_span_processor(self._processor)
            tracer = self._tracers[service] = provider.get_tracer("hocket", self._version)
        return tracer


def exporting(version: str, *, named: bool) -> OtelListener:
    """The listener that sends spans to the endpoint of the `OTEL_*` variables."""
    return OtelListener(BatchSpanProcessor(OTLPSpanExporter()), version, named=named)


def _traceparent(span: Span) -> str:
    found = span.get_span_context()
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


def _parent(traceparent: str) -> Context:
    """A context whose current span is that of the traceparent; an empty context for an invalid or empty one."""
    return _PROPAGATOR.extract({"traceparent": traceparent} if traceparent else {}, context=Context())
