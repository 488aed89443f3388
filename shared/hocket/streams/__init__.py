"""Reads streams of the broker: the offset and what was folded move in one transaction (RULES 7.1).

Imports the ports and `delivery/`'s floor below. Used by `worker/` for services that observe (`hocket.observe`).
"""
