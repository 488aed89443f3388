"""What is looked at while the soak lasts: memory, what waits in outboxes and queues, how long answers take."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import quantiles
from typing import TextIO

import aio_pika
import aiohttp

from tests.crash.quiescence import ANSWER_SECONDS, QUEUES

WAITING = re.compile(r'^hocket_outbox_waiting\{kind="(\w+)",service="\w+"\} (\S+)$', re.MULTILINE)
KIB = 1024
MIB = KIB * KIB


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. Sizes are in bytes, waits in seconds, `at` in seconds since the soak began."""

    at: float
    rss: dict[str, int]
    pss: dict[str, int]
    broker: int
    outbox: dict[str, int]  # rows, by kind
    queues: dict[str, int]  # messages
    sales: int  # answered since the run began
    p50: float
    p99: float


def of_proc(text: str, name: str) -> int:
    """A size in a file like /proc/PID/status, in bytes. `ValueError` where it does not stand there."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"no {name} in what /proc says of a process")
    return int(found[1]) * KIB


def rss(pid: int) -> int:
    """Resident memory of a process. `OSError` where it has ended."""
    return of_proc(Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace"), "VmRSS")


def pss(pid: int) -> int:
    """The same, what is shared with others divided among them."""
    return of_proc(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii", errors="replace"), "Pss")


def spread(waits: Sequence[float]) -> tuple[float, float]:
    """p50 and p99."""
    if len(waits) < 2:
        return (waits[0], waits[0]) if waits else (0.0, 0.0)
    cuts = quantiles(waits, n=100, method="inclusive")
    return cuts[49], cuts[98]


class Sampler:
    """Takes samples and writes each down as one JSON object a line."""

    def __init__(self, pids: Mapping[str, int], ports: Mapping[str, int], broker: int, out: TextIO) -> None:
        self._pids = pids
        self._ports = ports
        self._broker = broker
        self._out = out
        self.samples: list[Sample] = []

    async def take(
        self,
        at: float,
        sales: int,
        waits: Sequence[float],
        http: aiohttp.ClientSession,
        channel: aio_pika.abc.AbstractChannel,
    ) -> Sample:
        """One sample. `OSError` where a process has ended."""
        outbox: dict[str, int] = {}
        for port in self._ports.values():
            timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
            async with http.get(f"http://127.0.0.1:{port}/metrics", timeout=timeout) as answer:
                for kind, value in WAITING.findall(await answer.text()):
                    outbox[kind] = outbox.get(kind, 0) + int(float(value))
        queues = {}
        for name in QUEUES:
            declared = await channel.declare_queue(name, passive=True)
            queues[name] = declared.declaration_result.message_count or 0
        p50, p99 = spread(waits)
        sample = Sample(
            round(at, 1),
            {name: rss(pid) for name, pid in self._pids.items()},
            {name: pss(pid) for name, pid in self._pids.items()},
            rss(self._broker),
            outbox,
            queues,
            sales,
            round(p50, 4),
            round(p99, 4),
        )
        self.samples.append(sample)
        self._out.write(json.dumps(asdict(sample)) + "\n")
        self._out.flush()
        return sample

    def curves(self) -> dict[str, list[tuple[float, float]]]:
        """Resident memory over time, of every service process."""
        return {name: [(each.at, each.rss[name]) for each in self.samples] for name in self._pids}

    def broker_curve(self) -> list[tuple[float, float]]:
        """The broker's."""
        return [(each.at, each.broker) for each in self.samples]


def line(sample: Sample, rate: float) -> str:
    """A sample in words; `rate` is what was answered lately, in sales a second."""
    sizes = sorted(sample.rss.values())
    return (
        f"{sample.at / 60:.0f} min: {rate:.1f} sales/s, answers p50 {sample.p50 * 1000:.0f} ms p99 "
        f"{sample.p99 * 1000:.0f} ms, memory {sizes[0] / MIB:.1f} to {sizes[-1] / MIB:.1f} MiB a process, broker "
        f"{sample.broker / MIB:.0f} MiB, {sum(sample.outbox.values())} rows in outboxes, "
        f"{sum(sample.queues.values())} messages in queues"
    )
