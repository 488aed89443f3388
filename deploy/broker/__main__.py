"""`python -m deploy.broker`: a private RabbitMQ node to try hocket on, gone again after Ctrl-C."""

from deploy.broker.node import RabbitNode
from deploy.private_server import until_signal

if __name__ == "__main__":
    until_signal(
        "python -m deploy.broker",
        "Runs a private RabbitMQ node on loopback, prints its address, and takes it away with its data at Ctrl-C.",
        RabbitNode,
        lambda node: f"RabbitMQ listens: export HOCKET_BROKER_URL='{node.url()}'",
    )
