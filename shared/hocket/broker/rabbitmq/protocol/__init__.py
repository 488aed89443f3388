"""Where frames are taken from, and given to, the client library: below aio-pika, in aiormq's connection.

What is taken, under which private names, and why: `docs/client-frames.md`; a test names each of them. Imports the
port and its neighbours alone. Used by `connection`, `consumer` and `publisher` of the driver.
"""
