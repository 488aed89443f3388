"""Hides sensitive values in texts before they leave the service (RULES 18.1).

Imports `event` alone. Used by everything that writes texts for others: telemetry, outbox, delivery, worker.
"""
