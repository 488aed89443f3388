"""Tests stand where what they test stands: tests/hocket mirrors shared/hocket."""

from collections.abc import Iterator, Mapping, Sequence

from tests.house.module import Module

#: Tests of what several modules of their folder do together, and why no module names them.
ACROSS: Mapping[str, str] = {
    "tests.hocket.test_face": "the face is the package itself",
    "tests.hocket.broker.rabbitmq.test_deleted": "what happens when queues are deleted: transport, consumer, declare",
    "tests.hocket.broker.rabbitmq.test_forgets": "what happens when a broker loses all: transport, consumer, declare",
    "tests.hocket.broker.rabbitmq.protocol.test_private_names": "the client's private names, over the whole kit",
    "tests.hocket.console.test_script": "static/console.js in a browser",
    "tests.hocket.worker.projections.test_beside_readers": "what waits for locks at the server: making, removal",
    "tests.hocket.console.test_style": "static/console.css",
    "tests.hocket.delivery.test_across": "steps that are undone from every flow, through whole services",
    "tests.hocket.delivery.test_breakers": "breakers over all stations",
    "tests.hocket.delivery.test_everything_once": "all stations under accidents",
    "tests.hocket.delivery.test_keys": "keys over all stations",
    "tests.hocket.delivery.test_replays": "replays over all stations",
    "tests.hocket.delivery.test_sagas": "steps and undos over all stations",
    "tests.hocket.delivery.test_stations": "the list of stations and their table in docs/house.md",
    "tests.hocket.delivery.test_versions": "versions over all stations",
    "tests.hocket.delivery.ordering.test_hand_overs": "order over whole services that take a queue from each other",
    "tests.hocket.delivery.ordering.test_history": "ordered subscriptions that read history, through whole services",
    "tests.hocket.delivery.ordering.test_opening": "what is delivered while a lane opens: runner, lane, gather",
    "tests.hocket.envelope.test_official_sdks": "envelopes as the official SDKs of CloudEvents read them",
    "tests.hocket.outbox.test_outside_joined": "outside transactions that join one of an application",
    "tests.hocket.store.postgres.test_across": "steps that are undone from every flow, by two replicas",
    "tests.hocket.store.postgres.test_faults": "a server that fails under the whole store",
    "tests.hocket.store.postgres.test_pauses": "a subscription that pauses, on the whole store",
    "tests.hocket.store.postgres.test_own_failures": "handlers that misuse the whole store",
    "tests.hocket.store.sqlite.test_own_failures": "handlers that misuse the whole store",
    "tests.hocket.store.postgres.test_steps": "steps of a service on the whole store",
    "tests.hocket.store.postgres.test_replicas": "several processes on one database",
    "tests.hocket.store.postgres.test_service": "a service on the whole store",
    "tests.hocket.store.sqlite.test_file": "the database file under the whole store",
}


def mirrored(modules: Sequence[Module]) -> Iterator[str]:
    """A test of the kit is named after a module of its folder, or after the folder, with words behind it."""
    kit = {module.name for module in modules if f"{module.name}.".startswith("hocket.")}
    for module in modules:
        folder, _, name = module.name.removeprefix("tests.").rpartition(".")
        if not module.name.startswith("tests.hocket.") or not name.startswith("test_") or module.name in ACROSS:
            continue
        tested = name.removeprefix("test_")
        if folder not in kit:
            yield f"{module.path}: there is no {folder}; move the test to where the code is now"
        elif not any(f"{tested}_".startswith(f"{one}_") for one in _names_in(folder, kit)):
            yield f"{module.path}: {folder} has no {tested}; name what it tests, or list it in tests/house/mirror.py"


def _names_in(folder: str, kit: set[str]) -> set[str]:
    inner = {name.removeprefix(f"{folder}.") for name in kit if name.startswith(f"{folder}.")}
    return {name for name in inner if "." not in name} | {folder.rpartition(".")[2]}
