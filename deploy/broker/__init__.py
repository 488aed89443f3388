"""A private RabbitMQ node for the demo and for tests."""

from deploy.broker.node import BrokerFailed, RabbitNode, find_programs

__all__ = ["BrokerFailed", "RabbitNode", "find_programs"]
