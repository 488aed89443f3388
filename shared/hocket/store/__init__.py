"""Inbox, outbox, ledger and the handlers' own tables in one transaction: the port, the records, the drivers.

Drivers stand in `sqlite/` and `postgres/`; `hocket.assembly` picks one by the database URL, nobody else imports them.
Used by `outbox/`, `delivery/`, `streams/` and `worker/`, through the port.
"""
