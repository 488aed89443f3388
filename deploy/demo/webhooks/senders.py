"""The two senders at work: sign each attempt anew, send again what had no good answer, write all of it down."""

import asyncio
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from deploy.demo.load import Load
from deploy.demo.plan import Plan
from deploy.demo.posting import Answer, Post, Posting
from deploy.demo.webhooks.sendings import AGAIN_SECONDS, SHOP, Again, Sending, Signed, sendings
from deploy.demo.webhooks.signing import Secrets, shopify, standard

#: Seconds by which a captured request is too old: the tolerance is five minutes.
LATE_SECONDS = 600
#: Sendings under way at once.
UNDER_WAY = 20


class Senders:
    """Sends the plan."""

    def __init__(self, plan: Plan, load: Load, posting: Posting, known: Secrets) -> None:
        self._plan = plan
        self._load = load
        self._posting = posting
        self._secrets = known
        self._slots = asyncio.Semaphore(UNDER_WAY)
        self.sendings = sendings(plan, secrets.token_hex(4), datetime.now(UTC))
        self.taken: list[Sending] = []
        self.refused: list[Sending] = []  # with 401
        self.otherwise: list[str] = []  # what was answered in no way that was to be expected

    async def send(self) -> None:
        """Send everything, each at its time."""
        async with asyncio.TaskGroup() as tasks:
            for each in self.sendings:
                await self._load.at(each.at)
                tasks.create_task(self._send(each))

    async def _send(self, sending: Sending) -> None:
        async with self._slots:
            if sending.again is Again.AT_ONCE:
                answers = list(await asyncio.gather(self._attempt(sending), self._attempt(sending)))
            elif sending.again is Again.LATER:
                first = await self._attempt(sending)
                await asyncio.sleep(AGAIN_SECONDS)
                answers = [first, await self._attempt(sending)]
            else:
                answers = [await self._attempt(sending)]
        statuses = {answer.status if answer is not None else None for answer in answers}
        if sending.signed is Signed.WELL and statuses == {202}:
            self.taken.append(sending)
        elif sending.signed is not Signed.WELL and statuses == {401}:
            self.refused.append(sending)
        else:
            told = ", ".join(map(str, statuses))
            self.otherwise.append(f"{sending.sender} {sending.id}, signed {sending.signed}, was answered {told}")

    async def _attempt(self, sending: Sending) -> Answer | None:
        post = Post(
            "webhook", sending.id, "ingress", f"/webhooks/{sending.sender}", {}, self._about(sending),
            self._headers(sending), sending.body,
        )  # fmt: skip
        answer, _ = await self._posting.post(post)
        return answer

    def _headers(self, sending: Sending) -> Mapping[str, str]:
        old = sending.at < self._plan.rotate_at
        body = sending.body + b" " if sending.signed is Signed.CHANGED else sending.body
        if sending.sender == SHOP:
            secret = self._secrets.shop_old if old else self._secrets.shop_new
            secret = self._secrets.shop_unknown if sending.signed is Signed.UNKNOWN else secret
            headers = dict(shopify(secret, sending.id.rpartition("/")[2], sending.topic, body))
        else:
            secret = self._secrets.form_old if old else self._secrets.form_new
            secret = self._secrets.form_unknown if sending.signed is Signed.UNKNOWN else secret
            at = int(time.time()) - (LATE_SECONDS if sending.signed is Signed.LATE else 0)
            headers = dict(standard(secret, sending.id, at, body))
        if sending.signed is Signed.NOT:
            for name in ("webhook-signature", "X-Shopify-Hmac-Sha256"):
                headers.pop(name, None)
        return {"Content-Type": "application/json", **headers}

    @staticmethod
    def _about(sending: Sending) -> Mapping[str, str]:
        """What the record says of it, for the auditor: who it is about, how new it is, whether it may count."""
        return {
            "email": sending.email,
            "updated_at": sending.updated_at.astimezone(UTC).isoformat(),
            "sender": sending.sender,
            "signed": sending.signed.value,
        }
