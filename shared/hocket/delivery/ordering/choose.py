"""What a worker takes from here: the runner that a subscription needs, and the switch to none that is ordered."""

from hocket.declarations.subscription import Subscription
from hocket.delivery.ordering.leaving import leave_order
from hocket.delivery.ordering.runner import OrderedRunner
from hocket.delivery.runner import Pipeline, SubscriptionRunner

__all__ = ("leave_order", "runner_of")


def runner_of(subscription: Subscription, pipeline: Pipeline, share: int) -> SubscriptionRunner:
    """The runner of one subscription; `share` is bytes of deliveries that it may hold."""
    runner = OrderedRunner if subscription.ordered else SubscriptionRunner
    return runner(subscription, pipeline, share)
