"""Compares the bodies of webhooks with what their models read (RULES 16); what is kept has cause `drift`."""

import json
from collections.abc import Mapping

import orjson

from hocket.drift.counting import About, DriftWatch
from hocket.drift.sentences import held_because
from hocket.webhooks.declared import Webhook
from hocket.webhooks.signature import Push


class WebhookDrift:
    """The look at the bodies of one service's webhooks; a sender is the webhook's name."""

    def __init__(self, service: str, hooks: Mapping[str, Webhook]) -> None:
        self.watches = {
            name: DriftWatch(f"{service}.{name}", hook.drift) for name, hook in hooks.items() if hook.body is not bytes
        }

    def check(self, hook: Webhook, push: Push) -> str:
        """Count one body, valid or not; why it is to be kept, "" where it is not. It raises nothing for any body.

        All of each body is compared: beside a commit of its own that costs nothing.
        """
        watch = self.watches.get(hook.name)
        if watch is None:
            return ""
        try:
            data = _parsed(push.body)
        except (ValueError, RecursionError):
            return ""  # what is no JSON is kept for that
        about = About(push.source, getattr(hook.body, "__name__", "body"), 1, push.id)
        findings = watch.look(hook.adapter, data, about, push.received, whole=True)
        return held_because(findings) if hook.drift == "quarantine" else ""


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except ValueError:
        return json.loads(body)  # numbers and texts that pydantic reads as well
