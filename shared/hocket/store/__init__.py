"""Inbox, outbox, ledger and the handlers' own tables in one transaction: the port, the records, the drivers.

`port.py` is the interface, `records.py` its values; the drivers are in `sqlite/` and `postgres/`. What both drivers do
alike is here and written once: `handler_connection.py`, `joined.py`, `sql.py`, `schema.py`, `purge.py`. Imports only
`saga/`, `broker/`'s port and the modules below them. Used by `outbox/`, `delivery/`, `streams/` and `worker/`, through
the port; only `assembly/` and `testing/` import a driver.
"""
