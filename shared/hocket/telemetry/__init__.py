"""Listeners to the named moments of `hocket.telemetry.signals`: metrics, traces, logs."""
