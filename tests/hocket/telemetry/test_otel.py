"""Traces, received by a collector that really decodes OTLP."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from hocket.errors import BreakerOpen, Defer
from hocket.telemetry.otel import from_environment
from hocket.telemetry.signals import Processing, Saying, Signals, Tracing

FLOW = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SAYING = Saying("orders", "order.placed", "1", "flow", "order.placed.v1", "")
RUN = Processing("payments", "payments.charge", "order.placed", "1", "flow", 2, "")


class Collector:
    """Receives spans over HTTP."""

    def __init__(self) -> None:
        requests: list[ExportTraceServiceRequest] = []

        class Answer(BaseHTTPRequestHandler):
            """Decodes every request."""

            def do_POST(self) -> None:
                """Take the spans."""
                assert self.path == "/v1/traces"
                assert self.headers["Content-Type"] == "application/x-protobuf"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                requests.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.requests = requests
        self.server = HTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def spans(self) -> dict[str, tuple[str, Span]]:
        """Service and span by the span's name."""
        found: dict[str, tuple[str, Span]] = {}
        for request in self.requests:
            for resource in request.resource_spans:
                service = attributes(resource.resource.attributes)["service.name"]
                for scope in resource.scope_spans:
                    assert (scope.scope.name, scope.scope.version) == ("hocket", "1.2.3")
                    found |= {span.name: (str(service), span) for span in scope.spans}
        return found


def attributes(pairs: Iterator[KeyValue]) -> dict[str, str | int]:
    """Attributes as values."""
    return {
        pair.key: pair.value.int_value if pair.value.HasField("int_value") else pair.value.string_value
        for pair in pairs
    }


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on a port of its own."""
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, daemon=True)
    thread.start()
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


@pytest.fixture
def otel(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Tracing:
    """The listener that the standard variables make."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    listener = from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, "1.2.3")
    assert listener
    return listener


def test_a_flow_is_one_trace(collector: Collector, otel: Tracing) -> None:
    """Publish, process, publish again: each span is a child of the one before, across services."""
    first = otel.saying(SAYING)
    attempt = Processing("payments", "payments.charge", "order.placed", "1", "flow", 2, first)
    with Signals([otel]).around(attempt) as run_traceparent:
        pass  # what a handler returns becomes events once it has returned
    otel.saying(Saying("payments", "payment.charged", "2", "flow", "payment.charged.v1", run_traceparent))
    otel.close()
    spans = collector.spans()
    said_by, said = spans["publish order.placed.v1"]
    run_by, run = spans["process payments.charge"]
    answered_by, answered = spans["publish payment.charged.v1"]
    assert (said_by, run_by, answered_by) == ("orders", "payments", "payments")
    assert first[:-1] == f"00-{said.trace_id.hex()}-{said.span_id.hex()}-0"
    assert int(first[-2:], 16) & 1, "sampled"
    assert said.parent_span_id == b""
    assert run.parent_span_id == said.span_id
    assert answered.parent_span_id == run.span_id
    assert said.trace_id == run.trace_id == answered.trace_id
    assert (said.kind, run.kind) == (Span.SPAN_KIND_PRODUCER, Span.SPAN_KIND_CONSUMER)
    assert attributes(said.attributes) == {
        "messaging.system": "rabbitmq", "messaging.operation.name": "publish", "messaging.operation.type": "send",
        "messaging.destination.name": "hocket.events:order.placed.v1",
        "messaging.rabbitmq.destination.routing_key": "order.placed.v1", "messaging.message.id": "1",
        "messaging.message.conversation_id": "flow", "hocket.event.type": "order.placed",
    }  # fmt: skip
    assert attributes(run.attributes) == {
        "messaging.system": "rabbitmq", "messaging.operation.name": "process",
        "messaging.operation.type": "process", "messaging.destination.name": "payments.charge",
        "messaging.consumer.group.name": "payments.charge", "messaging.message.id": "1",
        "messaging.message.conversation_id": "flow", "hocket.event.type": "order.placed", "hocket.attempt": 2,
    }  # fmt: skip
    assert run.status.code == Status.STATUS_CODE_UNSET


def test_an_event_joins_the_trace_of_its_flow(collector: Collector, otel: Tracing) -> None:
    """Outside a handler the flow's traceparent is the parent; an invalid one starts a new trace."""
    assert otel.saying(Saying("orders", "a", "1", "flow", "a.v1", FLOW)).startswith(FLOW[:36])
    broken = otel.saying(Saying("orders", "b", "1", "flow", "b.v1", "00-broken"))
    assert not broken.startswith(FLOW[:36])
    otel.close()
    assert collector.spans()["publish a.v1"][1].parent_span_id.hex() == "b7ad6b7169203331"


def test_the_span_is_current_while_the_handler_runs(otel: Tracing) -> None:
    """Outside calls of the handler are children of its span; afterwards no span is current."""
    with Signals([otel]).around(RUN):
        assert trace.get_current_span().get_span_context().is_valid
    assert not trace.get_current_span().get_span_context().is_valid
    otel.close()


def test_errors_are_marked_without_their_text(collector: Collector, otel: Tracing) -> None:
    """The kind of the error, never its text, which may quote a sensitive field."""
    with pytest.raises(LookupError), Signals([otel]).around(RUN):
        raise LookupError("card 4111 1111 1111 1111")
    otel.close()
    span = collector.spans()["process payments.charge"][1]
    assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "LookupError")
    assert attributes(span.attributes)["error.type"] == "LookupError"
    assert b"4111" not in collector.requests[0].SerializeToString()


@pytest.mark.parametrize("word", [Defer.__name__, BreakerOpen.__name__, "CancelledError"])
def test_deferrals_and_stops_are_not_errors(collector: Collector, otel: Tracing, word: str) -> None:
    """A deferral, an open breaker and a stop are marked as such, without an error status."""
    wait = timedelta(seconds=1)
    error = {"Defer": Defer(wait), "BreakerOpen": BreakerOpen("card-api", wait)}.get(word, asyncio.CancelledError())
    with pytest.raises(type(error)), Signals([otel]).around(RUN):
        raise error
    otel.close()
    span = collector.spans()["process payments.charge"][1]
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert attributes(span.attributes)["hocket.word"] == word


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_an_endpoint_nothing_is_made(environ: dict[str, str]) -> None:
    """Without the standard variables there is no tracing."""
    assert from_environment(environ, "1.2.3") is None


def test_one_name_for_all(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_SERVICE_NAME names the resource of every service of the process."""
    endpoint = f"{collector.url}/v1/traces"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    environ = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint, "OTEL_SERVICE_NAME": "shop"}
    listener = from_environment(environ, "1.2.3")
    assert listener
    listener.saying(SAYING)
    listener.close()
    assert collector.spans()["publish order.placed.v1"][0] == "shop"
