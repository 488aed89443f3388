"""A topology as a definitions file of RabbitMQ: for `rabbitmqctl import_definitions` or POST to `/api/definitions`."""

from hocket.broker.topology import Topology


def definitions_of(topology: Topology, vhost: str) -> dict[str, object]:
    """Exchanges, queues and bindings in `vhost`, which must exist; the same objects as are declared over AMQP."""
    return {
        "exchanges": [
            {
                "name": each.name, "vhost": vhost, "type": each.kind, "durable": True, "auto_delete": False,
                "internal": False, "arguments": dict(each.arguments),
            }
            for each in topology.exchanges
        ],
        "queues": [
            {
                "name": each.name, "vhost": vhost, "durable": True, "auto_delete": False,
                "arguments": dict(each.arguments),
            }
            for each in topology.queues
        ],
        "bindings": [
            {
                "source": each.source, "vhost": vhost, "destination": each.destination,
                "destination_type": "exchange" if each.to_exchange else "queue", "routing_key": each.key,
                "arguments": {},
            }
            for each in topology.bindings
        ],
    }  # fmt: skip
