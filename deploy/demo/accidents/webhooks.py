"""What senders of webhooks do: send twice, out of order, with an old secret, or a new field; some forge."""

from deploy.demo.accidents.scene import Scene
from deploy.demo.webhooks.bodies import NEW_FIELD
from deploy.demo.webhooks.senders import Senders
from deploy.demo.webhooks.sendings import SHOP, Again, Sending, Signed
from deploy.demo.world import until

#: Seconds to wait until everybody has the score of the newest.
SCORED_SECONDS = 60.0


async def senders_at_work(scene: Scene) -> None:
    """Everything is sent; what must be taken is, what must not is not, and the newest decides the score."""
    told, place = scene.told, scene.world.place
    senders = Senders(scene.plan, scene.load, scene.posting, place.senders)
    well = [each for each in senders.sendings if each.signed is Signed.WELL]
    told.say(
        f"Two senders tell of leads by webhook, {len(well)} times: {sum(each.again is not Again.NO for each in well)} "
        f"twice, {sum(each.older for each in well)} behind a newer one; somebody forges {scene.plan.forged}."
    )
    await senders.send()
    for text in senders.otherwise:
        told.miss(text)
    told.say(
        f"{len(senders.taken)} webhooks were taken, {len(senders.refused)} were refused for their signature: look at "
        f"{place.url('deadletters')}/webhooks."
    )
    await _scored(scene, senders)


async def secrets_rotated(scene: Scene) -> None:
    """Both senders begin to sign with a new secret; the old one still counts."""
    await scene.load.at(scene.plan.rotate_at)
    scene.told.say("Both senders sign with their new secret from now on; which one matched is counted by ingress.")


async def shop_changes(scene: Scene) -> None:
    """The shop begins to send a field that nobody was told of."""
    await scene.load.at(scene.plan.drift_at)
    scene.told.say(
        f"The shop sends a new field, {NEW_FIELD}, without a word: look at {scene.world.place.url('tracer')}/drift."
    )


async def _scored(scene: Scene, senders: Senders) -> None:
    """Wait until the score of everybody is by the newest that was told of them."""
    told = scene.told
    newest: dict[str, Sending] = {}
    for each in senders.taken:
        known = newest.get(each.email)
        if known is None or known.updated_at < each.updated_at:
            newest[each.email] = each
    wanted = {each.id for each in newest.values()}
    leads: dict[str, str] = {}  # the subject of each lead, by the delivery that it was scored by

    async def scored() -> bool:
        leads.update({row["delivery"]: row["lead"] for row in await scene.world.rows("scoring", "/scores", "scores")})
        return wanted <= leads.keys()

    if await until(scored, SCORED_SECONDS):
        late = next((each for each in senders.taken if each.older and each.sender == SHOP), None)
        told.say(
            f"The scores of {len(wanted)} people are by the newest that was told of them, whatever came last"
            + (f"; scoring.score ended stale: {_subject(scene, leads[newest[late.email].id])}" if late else "")
        )
    else:
        told.miss(f"not every score was by the newest after {SCORED_SECONDS:.0f} s; {scene.world.log_of('scoring')}")


def _subject(scene: Scene, subject: str) -> str:
    return f"{scene.world.place.url('tracer')}/subjects/{subject}"
