"""Metrics, traces and logs: listeners to the named moments of `signals`.

Imports the ground floor alone. Every room reports to `signals`; `assembly/` chooses the listeners.
"""
