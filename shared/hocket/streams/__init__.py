"""Reads streams of the broker: the offset is committed together with what the reader wrote (RULES 7.1).

May import the delivery and every folder below it. Used by `worker/` for services that observe (`hocket.observe`).
"""
