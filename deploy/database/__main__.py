"""`python -m deploy.database`: a private PostgreSQL server to try hocket on, gone again after Ctrl-C."""

from deploy.database.server import PostgresServer
from deploy.private_server import until_signal

if __name__ == "__main__":
    until_signal(
        "python -m deploy.database",
        "Runs a private PostgreSQL server on loopback, prints its address, and takes it away with its data at Ctrl-C.",
        PostgresServer,
        lambda server: f"PostgreSQL listens: {server.url()}",
    )
