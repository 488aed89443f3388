"""Webhooks in: what a sender pushes, how it is signed, and how it becomes an event (RULES 12). For teams.

`@service.webhook(Stripe(secrets="stripe_secrets"))` above a plain function that maps a body to an event. A subclass of
`Signature` knows another sender.
"""

from hocket.webhooks.senders import GitHub, Shopify, StandardWebhooks, Stripe
from hocket.webhooks.signature import Push, Signature

__all__ = ["GitHub", "Push", "Shopify", "Signature", "StandardWebhooks", "Stripe"]
