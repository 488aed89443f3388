"""The driver for RabbitMQ 3.10 to 4.x, over aio-pika.

Two connections for each process, one publishes, one consumes, so that an alarm that blocks publishers leaves acks
alone. Reconnecting, consuming again and confirms are ours (`connection`, `consumer`, `publisher`), over aio-pika's
plain connection; what goes below its public interface is in `protocol/`. It cannot give a stream a single active
consumer (RULES 7.1). Imports the port and the topology. Used by `hocket.assembly`, which picks it by the broker's URL.
"""

from hocket.broker.rabbitmq.transport import RabbitTransport

__all__ = ["RabbitTransport"]
