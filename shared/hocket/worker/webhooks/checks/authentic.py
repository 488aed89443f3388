"""Whether a push is authentic: which secret signed it, and whether its timestamp is near (RULES 12.7, 12.8). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from hocket.webhooks.declared import Secret, Webhook
from hocket.webhooks.signature import Push
from hocket.worker.webhooks.ends import End


@dataclass(frozen=True, slots=True)
class Verdict:
    """`end` is None where it is authentic; `secret` counts from 1; `skew` in seconds, None: no timestamp is signed."""

    end: End | None
    secret: int = 0
    skew: float | None = None
    error: str = ""


def judge(hook: Webhook, push: Push, secrets: Sequence[Secret], *, any_skew: bool = False) -> Verdict:
    """Try every secret, also after one has matched: the time does not tell which."""
    position, error = 0, ""
    for at, secret in enumerate(secrets, 1):
        try:
            if hook.signed.verify(push, secret.raw) and not position:
                position = at
        except BaseException as raised:  # noqa: BLE001 -- a team's subclass may raise anything on what a stranger sends
            error = f"verify raised {type(raised).__name__}"
    if not position:
        return Verdict(End.SIGNATURE, error=error or "no active secret has signed it")
    try:
        signed = hook.signed.signed_at(push)
        skew = (push.received - signed).total_seconds() if signed is not None else None
    except BaseException as raised:  # noqa: BLE001 -- as above
        return Verdict(End.SIGNATURE, error=f"signed_at raised {type(raised).__name__}")
    tolerance = hook.signed.tolerance.total_seconds()
    if skew is not None and abs(skew) > tolerance and not any_skew:
        error = (
            f"its timestamp is {abs(skew):.0f} s {'old' if skew > 0 else 'ahead'}, and {tolerance:.0f} s are allowed"
        )
        return Verdict(End.SKEW, position, skew, error)
    return Verdict(None, position, skew)
