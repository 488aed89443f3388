"""What leaves on a connection: in order, bounded, and nothing of a channel behind its end."""

import asyncio

from aiormq.abc import ChannelFrame
from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Connection
from pamqp.heartbeat import Heartbeat

from hocket.broker.rabbitmq.protocol.write_queue import MAX_WAITING, WriteQueue


def frame(number: int, made: Frame | Heartbeat) -> ChannelFrame:
    """A frame of channel `number`, as the client writes it."""
    return ChannelFrame.marshall(number, [made])


def left(outgoing: WriteQueue) -> list[bytes]:
    """What goes to the socket, in order."""
    return [outgoing.get_nowait().payload for _ in range(outgoing.qsize())]


async def test_the_end_of_a_channel_leaves_though_there_is_no_room() -> None:
    """The client throws its answer away where the queue is full: the broker then waits for it for ever."""
    outgoing = WriteQueue()
    for _ in range(MAX_WAITING):
        outgoing.put_nowait(frame(1, Basic.Qos()))
    answer = frame(1, Channel.CloseOk())
    outgoing.put_nowait(answer)
    assert left(outgoing)[-1] == answer.payload


async def test_what_waited_for_room_does_not_follow_the_end_of_its_channel() -> None:
    """A publish that waited goes nowhere once its channel has ended; other channels and the next of its number do."""
    outgoing = WriteQueue()
    for _ in range(MAX_WAITING):
        outgoing.put_nowait(frame(2, Basic.Qos()))
    late = asyncio.create_task(outgoing.put(frame(1, Basic.Publish())))
    await asyncio.sleep(0)
    assert not late.done()
    outgoing.put_nowait(frame(1, Channel.CloseOk()))
    for _ in range(2):
        await outgoing.get()
    await late
    wanted = [frame(2, Basic.Publish()), frame(0, Heartbeat()), frame(0, Connection.CloseOk())]
    again = [frame(1, Channel.Open()), frame(1, Basic.Publish())]
    left_never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    outgoing.put_nowait(ChannelFrame.marshall(1, [Basic.Ack()], drain_future=left_never))
    for each in (*wanted, *again):
        outgoing.put_nowait(each)
    rest = [frame(2, Basic.Qos()).payload] * (MAX_WAITING - 2)
    assert left(outgoing) == [*rest, frame(1, Channel.CloseOk()).payload, *(each.payload for each in (*wanted, *again))]
    assert left_never.done()
