"""What the driver takes from the client library below its public interface: frames in and out of aiormq's connection.

Lists every private name that is used, and why: `docs/client-frames.md`; `test_private_names.py` checks each of them.
Files here import the port, the client and each other. Used by the other files of the RabbitMQ driver; no file
outside this folder may use a private name of the client.
"""
