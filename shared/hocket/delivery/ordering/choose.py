"""Which runner a subscription needs."""

from hocket.declarations.subscription import Subscription
from hocket.delivery.ordering.runner import OrderedRunner
from hocket.delivery.runner import Pipeline, SubscriptionRunner


def runner_of(subscription: Subscription, pipeline: Pipeline, share: int) -> SubscriptionRunner:
    """The runner of one subscription; `share` is bytes of deliveries that it may hold."""
    runner = OrderedRunner if subscription.ordered else SubscriptionRunner
    return runner(subscription, pipeline, share)
