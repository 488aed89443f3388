"""RabbitMQ 3.10 to 4.x, by aio-pika.

Two connections a process, one publishes, one consumes, so that an alarm that holds publishers back leaves acks alone.
Reconnecting, consuming again and confirms are ours (`line`, `consuming`, `publishing`); aio-pika's plain connection
is below. What it cannot do: a stream has no single active consumer (RULES 7.1).
"""

from hocket.broker.rabbitmq.transport import RabbitTransport

__all__ = ["RabbitTransport"]
