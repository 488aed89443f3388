"""Inbox, outbox, ledger and the handlers' own tables in one transaction: the port, the records, the drivers.

`port.py` is the interface, `records.py` its values; the drivers are in `sqlite/` and `postgres/`. What both drivers do
alike is here and written once: `schema.py`, `migrations.py`, `sql.py`, `row_codec.py`, `purge.py`, `joined.py` and
`handler_connection.py`. Above the port, for its users: `unit_of_work.py` and `group_commit.py`. Imports the ground
floor. Used by `tx`, `runtime`, `outbox/`, `delivery/`, `streams/`, `worker/` and the command line; only `assembly/` and
`testing/` import a driver.
"""
