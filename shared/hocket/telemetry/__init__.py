"""Listeners to the named moments of `hocket.signals`: metrics, traces, logs."""
