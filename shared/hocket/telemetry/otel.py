"""Decides from the standard `OTEL_*` variables whether this process sends traces.

OpenTelemetry is imported only if it does: without an endpoint it costs neither time nor memory.
"""

from collections.abc import Mapping

from hocket.telemetry.signals import Tracing

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def from_environment(environ: Mapping[str, str], version: str) -> Tracing | None:
    """The listener that the `OTEL_*` variables configure; None where they name no endpoint or disable tracing."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none":
        return None
    if not any(environ.get(name, "").strip() for name in _ENDPOINTS):
        return None
    from hocket.telemetry.spans import exporting

    return exporting(version, named=bool(environ.get("OTEL_SERVICE_NAME", "").strip()))
