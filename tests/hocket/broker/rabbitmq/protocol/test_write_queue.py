"""The write queue of a connection: in order, bounded, and nothing of a channel after its close."""

import asyncio

from aiormq.abc import ChannelFrame
from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Connection
from pamqp.heartbeat import Heartbeat

from hocket.broker.rabbitmq.protocol.write_queue import MAX_WAITING, WriteQueue


def frame(number: int, made: Frame | Heartbeat) -> ChannelFrame:
    """A frame of channel `number`, as the client writes it."""
    return ChannelFrame.marshall(number, [made])


def left(queue: WriteQueue) -> list[bytes]:
    """What is written to the socket, in order."""
    return [queue.get_nowait().payload for _ in range(queue.qsize())]


async def test_the_close_of_a_channel_is_written_though_the_queue_is_full() -> None:
    """The client's own queue drops this answer when it is full, and the broker waits for it for ever."""
    queue = WriteQueue()
    for _ in range(MAX_WAITING):
        queue.put_nowait(frame(1, Basic.Qos()))
    answer = frame(1, Channel.CloseOk())
    queue.put_nowait(answer)
    assert left(queue)[-1] == answer.payload


async def test_what_waited_for_space_does_not_follow_the_close_of_its_channel() -> None:
    """A publish that waited is dropped once its channel has closed; others and the next of that number go on."""
    queue = WriteQueue()
    for _ in range(MAX_WAITING):
        queue.put_nowait(frame(2, Basic.Qos()))
    late = asyncio.create_task(queue.put(frame(1, Basic.Publish())))
    await asyncio.sleep(0)
    assert not late.done()
    queue.put_nowait(frame(1, Channel.CloseOk()))
    for _ in range(2):
        await queue.get()
    await late
    wanted = [frame(2, Basic.Publish()), frame(0, Heartbeat()), frame(0, Connection.CloseOk())]
    again = [frame(1, Channel.Open()), frame(1, Basic.Publish())]
    left_never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    queue.put_nowait(ChannelFrame.marshall(1, [Basic.Ack()], drain_future=left_never))
    for each in (*wanted, *again):
        queue.put_nowait(each)
    rest = [frame(2, Basic.Qos()).payload] * (MAX_WAITING - 2)
    assert left(queue) == [*rest, frame(1, Channel.CloseOk()).payload, *(each.payload for each in (*wanted, *again))]
    assert left_never.done()
